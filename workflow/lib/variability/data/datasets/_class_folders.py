"""Folders of images as classes and partitions: a pure function of the names below a folder."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from posixpath import splitext

from variability import advice
from variability.advice import agree
from variability.data.class_names import colliding
from variability.data.datasets._files import PARTITION_WORDS
from variability.io.archives import is_archive
from variability.io.image_files import FORMATS, OTHER_FORMATS

#: Value of the option ``partitions`` for a folder that is left out.
IGNORE = "ignore"
#: Words next to that of the partition in the name of its folder: train_images, test-set.
_FILLERS = frozenset({"set", "data", "image", "images", "imgs", "photos", "pictures", "split", "folder"})
#: Words that suggest a partition, but not which.
_VAGUE = frozenset({"eval", "evaluation", "holdout", "unlabeled", "unlabelled"})


@dataclass(frozen=True)
class ClassFolders:
    """Image files with their partition ("" without partitions) and class, and the problems with their folders.

    ignored: images that have no label, because they are in no class folder or in a partition that is left out.
    other_formats: images of formats that are not read. others: files that are not images.
    """

    files: list[tuple[str, str, str]]
    problems: list[str]
    ignored: list[str]
    other_formats: list[str]
    others: list[str]

    @property
    def class_names(self) -> list[str]:
        """Names of all classes, sorted."""
        return sorted({name for _, _, name in self.files})


def arrange(
    root: str, files: Sequence[str], folders: Sequence[str], partitions: Mapping[str, str] | None = None
) -> ClassFolders:
    """Return the classes and partitions of the files below a folder.

    root: name of the folder, for messages. files, folders: names relative to it, as ``folder_walk`` returns them.
    partitions: split, or IGNORE, of folders with other names than the usual ones.
    """
    return _Arrangement(root, files, folders, partitions or {}).result()


class _Arrangement:
    def __init__(self, root: str, files: Sequence[str], folders: Sequence[str], partitions: Mapping[str, str]):
        self._root, self._files, self._wanted = root, files, partitions
        self._children: dict[str, list[str]] = {}
        for name in folders:
            parent, _, child = name.rpartition("/")
            self._children.setdefault(parent, []).append(child)
        self._problems: list[str] = []

    def result(self) -> ClassFolders:
        top = self._unwrapped("", lambda name: name in self._wanted or split_of(name) is not None)
        bases = self._partitions(top)
        classes: dict[str, tuple[str, str]] = {}
        trained = self._class_names_of_training(bases)
        for split, folder in bases:
            base = self._unwrapped(folder, trained.__contains__) if split else folder
            names = self._children.get(base, [])
            classes |= {_join(base, name): (split, name) for name in names}
            if split and not names:
                self._problems.append(f"{self._path(folder)} has no class folder")
        images, ignored, other_formats, others = [], [], [], []
        counts: Counter[str] = Counter()
        depths = {folder.count("/") + 1 for folder in classes}
        for file in self._files:
            suffix = splitext(file)[1].lower()
            parts = file.split("/")
            folder = next((start for depth in depths if (start := "/".join(parts[:depth])) in classes), None)
            if suffix in FORMATS and folder is not None and len(parts) > folder.count("/") + 1:
                images.append((file, *classes[folder]))
                counts[folder] += 1
            elif suffix in FORMATS:
                ignored.append(file)
            elif suffix in OTHER_FORMATS:
                other_formats.append(file)
            else:
                others.append(file)
        images.sort(key=lambda image: (_ORDER.index(image[1]), image[2], image[0].split("/")))
        self._check_classes(images, [folder for folder in classes if not counts[folder]], bool(classes))
        return ClassFolders(images, self._problems, ignored, other_formats, others)

    def _unwrapped(self, folder: str, is_meant: Callable[[str], bool]) -> str:
        """Return the folder below ``folder`` that does not only contain one other folder."""
        while len(names := self._children.get(folder, [])) == 1 and not is_meant(names[0]):
            inner = _join(folder, names[0])
            if not self._children.get(inner):
                break
            folder = inner
        return folder

    def _class_names_of_training(self, bases: Sequence[tuple[str, str]]) -> set[str]:
        tops = [self._unwrapped(folder, lambda name: False) for split, folder in bases if split == "train"]
        return {name for top in tops for name in self._children.get(top, [])}

    def _partitions(self, top: str) -> list[tuple[str, str]]:
        """Return the folder of each partition, or the top as the only one."""
        names = self._children.get(top, [])
        if self._wanted:
            return self._wanted_partitions(top, names)
        usual = {name: split for name in names if (split := split_of(name))}
        nested = [name for name in usual if self._children.get(_join(top, name))]
        if not any(usual[name] == "train" for name in nested):
            self._check_lookalikes(top, names)
            return [("", top)]
        if others := [name for name in names if name not in usual]:
            self._problems.append(
                f"{self._path(top)} holds {', '.join(map(repr, names))}: either the folders train, validation (val) "
                "and test, or class folders, not both; move the others away, or name them in the option partitions, "
                f"such as `partitions: {{{others[0]}: {IGNORE}}}`"
            )
        for split, count in Counter(usual.values()).items():
            if count > 1:
                same = [name for name in usual if usual[name] == split]
                self._problems.append(
                    f"{self._path(top)} holds {' and '.join(map(repr, same))}, which are both for {split}; say which "
                    f"is meant, such as `partitions: {{{same[0]}: {split}, {same[1]}: {IGNORE}}}`"
                )
        return [(split, _join(top, name)) for name, split in usual.items()]

    def _wanted_partitions(self, top: str, names: Sequence[str]) -> list[tuple[str, str]]:
        for name in self._wanted:
            if name not in names:
                hint = advice.suggest(name, names)
                self._problems.append(f"partitions names {name!r}, and {self._path(top)} has no such folder; {hint}")
        splits = {name: self._wanted.get(name) or split_of(name) for name in names}
        usual = {split for name, split in splits.items() if name not in self._wanted}
        self._problems += [
            f"{self._path(top)}: partitions makes {name!r} the folder for {split}, and there is another one with that "
            f"name; name it, too, such as `{split}: {IGNORE}`"
            for name, split in self._wanted.items()
            if name in names and PARTITION_WORDS.get(split) in usual
        ]
        if unknown := [name for name, split in splits.items() if split is None]:
            self._problems.append(
                f"{self._path(top)} holds {advice.listed(map(repr, unknown))}, which partitions does not name; add "
                f"them, or `{unknown[0]}: {IGNORE}`"
            )
        splits = {name: PARTITION_WORDS.get(split, split) for name, split in splits.items() if split is not None}
        if "train" not in splits.values():
            self._problems.append(f"{self._path(top)}: partitions leaves no folder for training; name one")
        return [(split, _join(top, name)) for name, split in splits.items() if split != IGNORE]

    def _check_lookalikes(self, top: str, names: Sequence[str]) -> None:
        """Report folders that would be classes, and look like partitions."""
        similar = [name for name in names if self._children.get(_join(top, name)) and _looks_like_partition(name)]
        if len(names) > 1 and all(split_of(name) for name in names):
            self._problems.append(
                f"{self._path(top)} holds {advice.listed(map(repr, names))}, which are named like partitions, and no "
                "folder for training that contains class folders; name one, such as "
                f"`partitions: {{{names[0]}: train}}`, or put its images into a folder for each class"
            )
        elif similar:
            proposal = ", ".join(f"{name}: {split_of(name) or _guess(name)}" for name in similar)
            self._problems.append(
                f"{self._path(top)} holds {advice.listed(map(repr, similar))}, which contain folders and are named "
                f"like partitions; say what they are, such as `partitions: {{{proposal}}}`, or rename them"
            )

    def _check_classes(self, images: Sequence[tuple[str, str, str]], empty: Sequence[str], any_folder: bool) -> None:
        class_names = {name for _, _, name in images}
        if empty and any_folder:
            hold = "holds" if len(empty) == 1 else "hold"
            self._problems.append(
                f"{advice.listed(self._path(folder) for folder in empty)} {hold} no images "
                f"({', '.join(sorted(FORMATS))}); fill the folder or remove it{self._archives()}"
            )
        elif len(class_names) < 2 and not self._problems:
            self._problems.append(
                f"{self._root} holds {'no class folder' if not class_names else 'one class folder'} with images; two "
                f"or more folders are needed, each named after its class{self._archives()}"
            )
        groups = colliding(class_names)
        for group in groups:
            self._problems.append(
                f"the classes {' and '.join(map(repr, group))} of {self._root} differ only in case, white space or "
                "accents; give the folders one name, or clearly different ones"
            )
        of_split: dict[str, set[str]] = {}
        for _, split, name in images:
            of_split.setdefault(split, set()).add(name)
        for split in ("validation", "test"):
            unseen = of_split.get(split, set()).difference(of_split.get("train", set()), *groups)
            if unseen:
                self._problems.append(
                    f"{self._root}: {len(unseen)} of the classes of {split} {agree(len(unseen), 'has', 'have')} no "
                    f"folder for training: {advice.listed(map(repr, sorted(unseen)))}; rename or remove them"
                )

    def _archives(self) -> str:
        """Return the advice for archives among the files: they are not unpacked in turn."""
        inner = [self._path(name) for name in self._files if is_archive(Path(name))]
        return f"; it holds {advice.listed(inner)}, which is not unpacked: unpack it yourself" if inner else ""

    def _path(self, folder: str) -> str:
        return _join(self._root, folder)


_ORDER = ("", "test", "train", "validation")


def split_of(name: str) -> str | None:
    """Return the split of a folder with a usual name, such as ``val`` or ``test_images``; None for other names."""
    words = [word for word in _words(name) if word not in _FILLERS]
    return PARTITION_WORDS.get(words[0]) if len(words) == 1 else None


def _words(name: str) -> Iterator[str]:
    for word in re.split(r"[\W_]+", name.strip().lower()):
        if word:
            yield word.removesuffix("set") or word


def _looks_like_partition(name: str) -> bool:
    return any(word in PARTITION_WORDS or word in _VAGUE for word in _words(name))


def _guess(name: str) -> str:
    return next((PARTITION_WORDS[word] for word in _words(name) if word in PARTITION_WORDS), IGNORE)


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder and name else folder or name

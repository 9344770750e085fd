"""Files of a finished study with the checksums that its records hold."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from variability.data import prepared_task
from variability.errors import UserError
from variability.io import artefacts
from variability.io.artefacts import Kind
from variability.stages._records import CHECKPOINT, DROPPED, RECORD

#: Records by the path in the folder of a study, except those of runs.
_RECORDS: dict[str, Kind] = {
    "prepare/*/task.json": artefacts.TASK,
    "tokenize/*/*/tokens.json": artefacts.TOKENS,
    "pretrain/*/weights.json": artefacts.PRETRAINED,
    "features/*/*/*/features.json": artefacts.FEATURES,
    "finetune/*/*/*/block-*.json": artefacts.FITTED,
    "predict/*/*/*/block-*.json": artefacts.PREDICTED,
    "score/*/scores.json": artefacts.SCORES,
    "reference_probe/probes.json": artefacts.PROBES,
    "aggregate/manifest.json": artefacts.BASE_TABLES,
    "analyse/manifest.json": Kind("analyse", {str: str}),
    "claim/manifest.json": Kind("claim", {str: str}),
}
#: Downloads by the folder of their manifests.
_DOWNLOADS = {"datasets": artefacts.DATASET, "assets": artefacts.ASSETS, "weights": artefacts.WEIGHTS}


class Recorded(NamedTuple):
    """A file, the SHA-256 that it had when it was written, and the rule that wrote it."""

    path: Path
    checksum: str
    rule: str


def recorded(study: Path, problems: list[str]) -> Iterator[Recorded]:
    """Yield the files that the records of a study list; study: its folder.

    A record that is missing or damaged is added to ``problems``, and its files are not yielded.
    """
    for pattern, kind in _RECORDS.items():
        for path in sorted(study.glob(pattern)):
            if (record := _read(path, kind, problems)) is not None:
                for file, checksum in _LISTED[kind.rule](path, record, problems):
                    yield Recorded(file, checksum, kind.rule)
    for path in artefacts.stamps(study):
        rule = path.relative_to(study).parts[0]
        if (stamp := _read(path, artefacts.STAMP._replace(rule=rule), problems)) is not None:
            yield Recorded(path.with_suffix(""), stamp["sha256"], rule)


def kind_of_download(manifest: Path) -> Kind:
    """Return the kind of a download's manifest, from the folder that it is in."""
    return next(kind for folder, kind in _DOWNLOADS.items() if folder in manifest.parts[-3:])


def downloaded(manifest: Path, problems: list[str]) -> Iterator[Recorded]:
    """Yield the files of a download, as ``recorded`` does."""
    kind = kind_of_download(manifest)
    record = _read(manifest, kind, problems)
    if record is not None and kind is artefacts.WEIGHTS:
        yield Recorded(manifest.with_suffix(".safetensors"), record["sha256"], kind.rule)
    elif record is not None:
        for name, checksum in record["files"].items():
            yield Recorded(manifest.parent / "files" / name, checksum, kind.rule)


def run_records(study: Path) -> list[Path]:
    """Return the records of all finished runs of a study, sorted."""
    return sorted(study.glob(f"finetune/*/*/*/*/{RECORD}"))


def _read(path: Path, kind: Kind, problems: list[str]) -> dict[str, Any] | None:
    try:
        return artefacts.read_record(path, kind)
    except UserError as error:
        problems.append(str(error))
        return None


_Files = Iterator[tuple[Path, str]]


def _prepared(path: Path, record: Mapping[str, Any], _: list[str]) -> _Files:
    for name, file in prepared_task.FILES.items():
        yield path.parent / file, record["sha256"][name]


def _next_to_it(file: str) -> Any:
    def files(path: Path, record: Mapping[str, Any], _: list[str]) -> _Files:
        # A manifest of features without stored activations lists no file.
        if record.get("sha256"):
            yield path.parent / file, record["sha256"]

    return files


def _runs(path: Path, record: Mapping[str, Any], problems: list[str]) -> _Files:
    for entry in record["runs"]:
        folder = path.parent / str(entry["seed"])
        run = _read(folder / RECORD, artefacts.RUN_RECORD, problems)
        if run is not None and run["fingerprint"] != entry["fingerprint"]:
            problems.append(f"{folder / RECORD} is the record of another run than {path} lists")
        elif run is not None:
            yield folder / "history.csv", entry["sha256"]["history"]
            if not run.get(DROPPED):
                yield folder / CHECKPOINT, entry["sha256"]["checkpoint"]


def _predictions(path: Path, record: Mapping[str, Any], _: list[str]) -> _Files:
    for entry in record["runs"]:
        yield path.parent / f"{entry['seed']}.parquet", entry["sha256"]["predictions"]


def _tables(path: Path, record: Mapping[str, Any], _: list[str]) -> _Files:
    for name, checksum in record["tables"].items():
        yield path.parent / name, checksum


def _listed(path: Path, record: Mapping[str, Any], _: list[str]) -> _Files:
    for name, checksum in record.items():
        yield path.parent / name, checksum


_LISTED = {
    "prepare": _prepared,
    "tokenize": _next_to_it("tokens.npy"),
    "pretrain": _next_to_it("weights.safetensors"),
    "features": _next_to_it("activations.npy"),
    "finetune": _runs,
    "predict": _predictions,
    "score": _tables,
    "reference_probe": _tables,
    "aggregate": _listed,
    "analyse": _listed,
    "claim": _listed,
}

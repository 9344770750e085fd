"""Parts of messages: the command that repairs a file, the name that was probably meant, lists of names, counts."""

import difflib
from collections.abc import Collection, Iterable, Sequence

#: For files of a data set that are missing or damaged.
RERUN_DOWNLOAD = "run again with `snakemake --forcerun download` and the study's `--configfile`"
#: For files of a prepared task that are missing or damaged.
RERUN_PREPARE = "run again with `snakemake --forcerun prepare` and the study's `--configfile`"


def rerun(rule: str, remove: object = None) -> str:
    """Return the command that makes the missing or damaged files of a rule again.

    remove: a file or folder to delete first, because the rule would mistake it for complete. The rule has to be forced:
    Snakemake does not know the files of single runs, and runs nothing when only one of them is missing.
    """
    first = f"remove {remove} and " if remove else ""
    command = f"`snakemake --forcerun {rule}` and the study's `--configfile`"
    return f"{first}run again with {command}, which makes only what is missing or damaged"


def unreadable(path: object, error: Exception, rule: str, remove: object = None) -> str:
    """Return that a file is missing, or why it cannot be read, and how to make it again.

    error: raised by reading it. rule, remove: see ``rerun``; only a file that is there is removed.
    """
    if isinstance(error, FileNotFoundError):
        return f"{path} is missing; {rerun(rule)}"
    return f"{path} cannot be read ({error}); {rerun(rule, remove)}"


def suggest(name: object, known: Sequence[str]) -> str:
    """Return ``did you mean 'x'?`` with the most similar known name, or a list of all names if none is similar."""
    if (candidate := similar(name, known)) is not None:
        return f"did you mean {candidate!r}?"
    return f"known: {listed(known, 60)}" if known else "there are none"


def similar(name: object, known: Sequence[str]) -> str | None:
    """Return the most similar known name, or the only one that an abbreviation can mean, or None."""
    lowered = {candidate.lower(): candidate for candidate in known}
    # The start of a very long name is enough: comparing takes the product of both lengths.
    written = str(name)[:200].lower()
    matches = difflib.get_close_matches(written, lowered, n=1, cutoff=0.5)
    # Most abbreviations are less than half of the name: val for validation.
    matches = matches or [candidate for candidate in lowered if len(written) > 1 and candidate.startswith(written)]
    return lowered[matches[0]] if len(matches) == 1 else None


def shortened(value: object) -> str:
    """Return a value as Python writes it, cut to 60 characters; for null the word ``nothing``.

    Characters that cannot be seen are escaped. A value that cannot be written is described by its type.
    """
    try:
        text = "nothing" if value is None else repr(value)
    except (ValueError, RecursionError):
        text = f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:57]}..."


def listed(names: Iterable[object], most: int = 10, separator: str = ", ", last: str = "") -> str:
    """Return the first names, separated by commas, and the number of those that are left out, which are at least two.

    last: separator before the last name if none is left out, such as `` and ``.
    """
    texts = [str(name) for name in names]
    if (rest := len(texts) - most) > 1:
        return f"{separator.join(texts[:most])} and {rest} more"
    return separator.join(texts[:-1]) + (last or separator) + texts[-1] if len(texts) > 1 else "".join(texts)


def separable(names: Iterable[object]) -> list[str]:
    """Return names as texts, all of them in quotes if one has a comma, so that a list of them can be read."""
    texts = [str(name) for name in names]
    return [f'"{text}"' for text in texts] if any("," in text for text in texts) else texts


def one_per_line(reasons: Collection[str], most: int = 20) -> str:
    """Return the first reasons as a list, one per line, and the number of those that are left out, at least two."""
    most = len(reasons) if len(reasons) == most + 1 else most
    shown = "\n".join(f"  - {reason}" for reason in list(reasons)[:most])
    return shown + (f"\n  and {len(reasons) - most} more" if len(reasons) > most else "")


def plural(count: float, noun: str, nouns: str = "") -> str:
    """Return a count with its noun: ``1 run``, ``2 runs``, ``0 runs``.

    nouns: the plural, if it is not the noun and an s. Both may go on: ``plural(n, "run is", "runs are")``.
    """
    return f"{count:.15g} {agree(count, noun, nouns or f'{noun}s')}"


def agree(count: float, one: str, many: str) -> str:
    """Return the word that agrees with a count: the first for 1, the second for 0 and all others."""
    return one if count == 1 else many

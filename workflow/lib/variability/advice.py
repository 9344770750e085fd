"""Advice that ends an error message: the command that repairs a file, the name that was probably meant."""

import difflib
from collections.abc import Sequence

#: For files of a data set that are gone or damaged.
FETCH_AGAIN = "run again with `snakemake --forcerun download`"
#: For files of a prepared task that are gone or damaged.
PREPARE_AGAIN = "run again with `snakemake --forcerun prepare`"


def again(rule: str, remove: object = None) -> str:
    """The command that makes a rule's files again. remove: what to delete first, if it would be mistaken for whole.

    Snakemake does not know the files of single runs, so that removing one alone makes it run nothing.
    """
    first = f"remove {remove} and " if remove else ""
    return f"{first}run again with `snakemake --forcerun {rule}`, which makes what is missing or damaged and no more"


def suggest(name: object, known: Sequence[str]) -> str:
    """``did you mean 'x'?`` with the nearest of the known names, or all of them where none is near."""
    lowered = {candidate.lower(): candidate for candidate in known}
    near = difflib.get_close_matches(str(name).lower(), lowered, n=1, cutoff=0.5)
    if near:
        return f"did you mean {lowered[near[0]]!r}?"
    return f"known: {', '.join(known)}" if known else "there are none"

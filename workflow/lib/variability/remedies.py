"""What to do about files that a job left and that have gone or changed since, in one wording."""


def again(rule: str, remove: object = None) -> str:
    """Advice that works. remove: what to take away first, where it would be taken for whole.

    Snakemake does not know the files of single runs, so that removing one alone makes it run nothing.
    """
    first = f"remove {remove} and " if remove else ""
    return f"{first}run again with `snakemake --forcerun {rule}`, which makes what is missing or damaged and no more"

"""Command ``python -m variability.model_card RUN ...``: write the model card of runs, README.md in their folders."""

import argparse
import sys
from pathlib import Path

from variability.errors import UserError, visible
from variability.io.files import write_text
from variability.model_card import card, run_facts

NAME = "README.md"


def main(arguments: list[str]) -> int:
    """Write the cards and print their paths; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m variability.model_card",
        description="Write model cards: what a run is, and how much of its result is the seed.",
    )
    parser.add_argument("runs", metavar="RUN", nargs="+", type=Path, help="results/<study>/finetune/.../<seed>")
    parser.add_argument("--replace", action="store_true", help=f"replace a {NAME} that is there")
    options = parser.parse_args(arguments)
    try:
        for folder in options.runs:
            path = folder / NAME
            if path.exists() and not options.replace:
                raise UserError(f"{path} is there already and may have been edited; add --replace to replace it")
            write_text(path, card.render(run_facts.read(folder)))
            print(path)
    except UserError as error:
        print(visible(f"error: {error}"), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Checksums in the notation of configs and publishers."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from variability.errors import UserError


@dataclass(frozen=True)
class Checksum:
    """An expected digest: ``md5``, or ``sha256``, of which the first digits suffice."""

    algorithm: str
    digits: str

    @classmethod
    def parse(cls, text: str) -> "Checksum":
        """Parse "md5:<32 hex digits>" or "sha256:<8 to 64 hex digits>"; raise UserError for anything else."""
        if not re.fullmatch(r"md5:[0-9a-fA-F]{32}|sha256:[0-9a-fA-F]{8,64}", text):
            raise UserError(f"checksum {text!r} is neither md5:<32 hex digits> nor sha256:<8 to 64 hex digits>")
        algorithm, _, digits = text.partition(":")
        return cls(algorithm, digits.lower())

    def of(self, path: Path) -> str:
        """Return the digest of a file by this algorithm."""
        with open(path, "rb") as handle:
            return hashlib.file_digest(handle, lambda: hashlib.new(self.algorithm, usedforsecurity=False)).hexdigest()

    def matches(self, path: Path) -> bool:
        """Return whether a file has this checksum."""
        return self.of(path).startswith(self.digits)

    def mismatch_error(self, source: str, path: Path) -> UserError:
        """Return the error for a file at ``path``, from the address ``source``, that does not have this checksum."""
        return UserError(
            f"{source} is not the file expected: its {self.algorithm} should be {self.digits} and is "
            f"{self.of(path)[: len(self.digits)]}. Either it was changed at its source, or the checksum is that of "
            "another file"
        )

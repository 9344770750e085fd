"""A disk of a chosen size, where this process may mount one."""

import os
import subprocess
from pathlib import Path

LARGE = "200m"


class SmallDisk:
    """A file system in memory, mounted on a folder inside the block. Raises PermissionError if that is not allowed."""

    def __init__(self, folder: Path, size: str = LARGE):
        self.folder, self._size = folder, size

    def __enter__(self) -> "SmallDisk":
        self.folder.mkdir(exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={self._size}", "tmpfs", self.folder]
        if os.geteuid() or subprocess.run(command, stderr=subprocess.DEVNULL).returncode:
            raise PermissionError("mounting a file system needs root")
        return self

    def __exit__(self, *exception: object) -> None:
        # Lazily, because a failed test may have a file of it open.
        subprocess.run(["umount", "-l", self.folder], check=True)

    def used(self) -> int:
        """Return the bytes in use."""
        facts = os.statvfs(self.folder)
        return (facts.f_blocks - facts.f_bfree) * facts.f_frsize

    def resize(self, size: int | None) -> None:
        """Change the size; None for the largest."""
        options = f"remount,size={LARGE if size is None else max(size, os.sysconf('SC_PAGE_SIZE'))}"
        subprocess.run(["mount", "-o", options, self.folder], check=True)

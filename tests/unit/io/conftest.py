"""Fixtures of the tests of downloads."""

from raw_server import server

__all__ = ["server"]

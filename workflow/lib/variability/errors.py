"""Errors whose messages address the user who can fix them."""

from collections.abc import Iterable
from dataclasses import dataclass


class UserError(Exception):
    """An error that the user can fix. The message says what is wrong, where, and what to do."""


class Interrupted(BaseException):
    """The end of a computation that was requested from outside, after its state was saved.

    The message says where it stopped. As with KeyboardInterrupt, code that handles failures must not catch it.
    """


@dataclass(frozen=True)
class Problem:
    """One mistake in a config: its dotted ``key``, and a message that says what is wrong and how to fix it."""

    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.key}: {self.message}" if self.key else self.message


class ConfigError(UserError):
    """A config that cannot be run. Carries all its problems, not only the first."""

    def __init__(self, problems: Iterable[Problem]):
        self.problems = list(problems)
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        count = len(self.problems)
        super().__init__(f"the config has {count} problem{'s' if count > 1 else ''}:\n{lines}")

"""Errors whose messages address the user who can fix them."""

from collections.abc import Iterable
from dataclasses import dataclass

from variability.advice import plural


class UserError(Exception):
    """An error that the user can fix. The message says what is wrong, where, and what to do."""


class Interrupted(BaseException):
    """The end of a computation because its process was asked to stop.

    The message, if there is one, says where it stopped and that its state is saved. Code that handles failures must not
    catch it, as it must not catch KeyboardInterrupt.
    """


@dataclass(frozen=True)
class Problem:
    """One mistake in a config: its dotted ``key``, and a message that says what is wrong and how to fix it."""

    key: str
    message: str

    def __str__(self) -> str:
        key = self.key if len(self.key) <= 200 else f"{self.key[:197]}..."
        # Values that messages quote may be texts of any length.
        message = self.message if len(self.message) <= 2000 else f"{self.message[:1500]} ... {self.message[-497:]}"
        return visible(f"{key}: {message}" if key else message)


def visible(text: str) -> str:
    """Return a text with codes for characters that would be invisible, or would change how a terminal shows others."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each == "\n" else ascii(each)[1:-1] for each in text)


#: Problems that one message shows; the first ones usually explain the others.
_MOST_SHOWN = 20


class ConfigError(UserError):
    """A config that cannot be run. Carries all its problems, not only the first."""

    def __init__(self, problems: Iterable[Problem]):
        self.problems = list(problems)
        count = len(self.problems)
        lines = "\n".join(f"  - {problem}" for problem in self.problems[:_MOST_SHOWN])
        lines += f"\n  and {count - _MOST_SHOWN} more, shown when these are solved" if count > _MOST_SHOWN else ""
        super().__init__(f"the config has {plural(count, 'problem')}:\n{lines}")

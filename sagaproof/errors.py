"""What can go wrong in a command, as its user reads it. `sagaproof.cli` prints the line and exits with 1."""

from collections.abc import Sequence


class CommandError(Exception):
    """One line that says what is wrong and what to do; `details` are further lines, such as the fields at fault."""

    def __init__(self, line: str, details: Sequence[str] = ()) -> None:
        super().__init__(line)
        self.line = line
        self.details = tuple(details)


class Unreachable(CommandError):
    """Nothing answers there, or not in time. Whether the call was carried out is not known."""


class Refused(CommandError):
    """The other side answered, and the answer is no."""

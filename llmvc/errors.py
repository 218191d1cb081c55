"""The errors that llmvc raises on purpose.

- Each class has a stable `code` and the `exit_code` that the command line returns for it.
- The message says what is wrong and where; the `hint`, apart from it, what to do next.
- A verdict is not an error: only commands that refuse to go on without a pass raise
  `GateBlocked` or `Inconclusive`.
"""

from typing import ClassVar


class LlmvcError(Exception):
    """Base of every expected failure.

    Args:
        message: what is wrong, and with which file, ref or digest; lower case, no full stop.
        hint: what to do next; empty if there is nothing to add.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 4

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(LlmvcError):
    """The command line asks for something that does not exist or does not fit together."""

    code = "usage"
    exit_code = 2


class ConfigError(LlmvcError):
    """The repository or its configuration does not allow what was asked."""

    code = "config"


class FormatError(LlmvcError):
    """A file or an object does not have the form that llmvc requires."""

    code = "format"


class NotFoundError(LlmvcError):
    """A bundle, environment, revision or file is not there."""

    code = "not-found"


class IntegrityError(LlmvcError):
    """Stored bytes contradict their digest or the rules of the chain."""

    code = "integrity"


class StoreError(LlmvcError):
    """Git or the disk refused a read or a write."""

    code = "store"


class ProviderError(LlmvcError):
    """A model provider cannot be used as configured."""

    code = "provider"


class GateBlocked(LlmvcError):  # noqa: N818 (a verdict's name, not a mishap's)
    """A move was refused because the evidence says fail."""

    code = "gate-blocked"
    exit_code = 1


class Inconclusive(LlmvcError):  # noqa: N818
    """A move was refused because the evidence is missing or cannot tell."""

    code = "inconclusive"
    exit_code = 3


class RefMoved(LlmvcError):  # noqa: N818
    """Somebody else moved a ref, or holds its lock; trying again may succeed."""

    code = "ref-moved"
    exit_code = 5

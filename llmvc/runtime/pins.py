"""Pins: what an application stores with a conversation, so that it keeps its bundle.

- A pin is `p1:<environment>:<seq>:<digest>`: the chain that decided, its release and what it
  served.
- It needs no server: whoever holds a snapshot can tell whether it still stands.
- A text that is no pin of this version is no error; it is as if none had been passed.
"""

import re
from typing import Final, NamedTuple

_PIN: Final = re.compile(
    r"p1:(?P<env>[a-z0-9][a-z0-9-]{0,39}):(?P<seq>[1-9][0-9]{0,14}):(?P<digest>b3:[0-9a-f]{64})\Z"
)


class Pin(NamedTuple):
    """A pin's parts.

    Attributes:
        env: environment whose chain decided.
        seq: number of the release that decided, from 1.
        digest: identity of the bundle that was served.
    """

    env: str
    seq: int
    digest: str

    def __str__(self) -> str:
        """Returns the text to store."""
        return f"p1:{self.env}:{self.seq}:{self.digest}"

    @classmethod
    def parse(cls, text: object) -> "Pin | None":
        """Reads a pin; None if it is none."""
        found = _PIN.match(text) if isinstance(text, str) else None
        return cls(found["env"], int(found["seq"]), found["digest"]) if found else None

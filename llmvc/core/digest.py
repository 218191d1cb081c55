"""Digests: `b3:` and the 64 hex characters of BLAKE3 over exact bytes."""

import re
from typing import NewType

from blake3 import blake3

from llmvc.core import canon
from llmvc.errors import FormatError

Digest = NewType("Digest", str)

_DIGEST = re.compile(r"b3:[0-9a-f]{64}\Z")
_PREFIX = re.compile(r"b3:[0-9a-f]{8,64}\Z")


def of_bytes(data: bytes) -> Digest:
    """Returns the digest of exactly these bytes; `b3sum` prints the same hex."""
    return Digest("b3:" + blake3(data).hexdigest())


def of_value(value: canon.Json) -> Digest:
    """Returns the digest of a value's canonical bytes."""
    return of_bytes(canon.encode(value))


def parse(text: object) -> Digest:
    """Reads a full digest.

    Raises:
        FormatError: the text is not `b3:` and 64 lower-case hex characters.
    """
    if not isinstance(text, str) or not _DIGEST.match(text):
        raise FormatError(f"not a digest: {text!r}", hint="a digest is b3: and 64 hex characters")
    return Digest(text)


def is_prefix(text: str) -> bool:
    """Tells whether the text may stand for a digest: `b3:` and 8 to 64 hex characters."""
    return bool(_PREFIX.match(text))


def hex_of(digest: Digest) -> str:
    """Returns the 64 hex characters."""
    return digest[3:]


def short(digest: str | None) -> str:
    """Returns `b3:` and 12 hex characters, for people; `-` where there is none."""
    return "-" if digest is None else digest[:15]

"""Buckets: which one a unit falls into, by the rule `b3-1` that every reader shares.

- A bucket depends on the salt of the rollout and on the unit, on nothing else: the same in every
  language, release and process.
- A canary serves the units whose bucket is below its share in ppm, so widening keeps who is in.
- Buckets under two salts are independent: a new rollout draws new units.
"""

from typing import Final

from blake3 import blake3

from llmvc.errors import UsageError

BUCKETS: Final = 1_000_000


def bucket(salt: str, unit: str) -> int:
    """Returns the bucket of a unit, in [0, 1,000,000); see `tests/vectors/assign.json`.

    The first 8 bytes, big-endian, of BLAKE3 over salt, NUL, unit (UTF-8) are scaled to the range.

    Args:
        salt: id of the rollout.
        unit: id of the conversation, user or request.

    Raises:
        UsageError: the unit is empty, or no text that UTF-8 can hold.
    """
    return int.from_bytes(drawn(salted(salt) + spelt(unit)), "big") * BUCKETS >> 64


def salted(salt: str) -> bytes:
    """Returns what is hashed before every unit of a rollout."""
    return salt.encode() + b"\0"


def spelt(unit: str) -> bytes:
    """Returns a unit's bytes.

    Raises:
        UsageError: it is empty, or no text that UTF-8 can hold.
    """
    try:
        named = unit.encode()
    except (AttributeError, UnicodeEncodeError) as err:
        raise UsageError(f"unit {unit!r:.40} is no text") from err
    if not named:
        raise UsageError("the unit is empty", hint="pass no unit where nobody is known")
    return named


def drawn(data: bytes) -> bytes:
    """Returns the 8 bytes that decide for salt and unit together; a reader salts once for all."""
    return blake3(data).digest(8)


def last_in(share_ppm: int) -> bytes:
    """Returns the greatest of those bytes that is in a share.

    `drawn(...) <= last_in(share_ppm)` says what `bucket(...) < share_ppm` says, in a third less
    time: the bytes are compared as they are.

    Args:
        share_ppm: the share in ppm, in [1, 1,000,000].
    """
    return (((share_ppm << 64) - 1) // BUCKETS).to_bytes(8, "big")

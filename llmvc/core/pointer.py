"""The pointer of a snapshot, `snapshot.json`: where every environment stands; docs/serving.md.

- It holds no time: the same releases give the same bytes.
- Environments and what a pin may name are of the same bundles.
- Reading is strict: what this version does not know is refused.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from llmvc.core import canon, digest
from llmvc.core.digest import Digest
from llmvc.core.names import is_name
from llmvc.errors import FormatError

TYPE: Final = "snapshot/1"
POINTER: Final = "snapshot.json"
"""The pointer's name; `OBJECTS` is the folder beside it, `CHECKED` the file with a time."""
OBJECTS: Final = "objects"
CHECKED: Final = "checked"
WINDOW: Final = 32
"""Releases of a chain that a snapshot holds: enough for a reader to find its own among them."""
MOST: Final = 16 * 2**20
"""Bytes that a pointer or an object may have."""
_MEMBERS: Final = frozenset(("llmvc", "environments", "bundles"))

Key = tuple[str, str]
"""A bundle's name and an environment's."""
Tips = Mapping[Key, tuple[int, Digest]]
"""Bundle and environment -> number and digest of its newest release."""
Pinnable = Mapping[str, frozenset[Digest]]
"""Bundle -> what a pin may name."""


def is_object(name: str) -> bool:
    """Says whether it may be an object's name: 64 hex characters, and no path."""
    return len(name) == 64 and digest.is_prefix(f"b3:{name}")


def write(tips: Tips, pinnable: Mapping[str, Iterable[Digest]]) -> bytes:
    """Returns the bytes of `snapshot.json`."""
    environments: dict[str, dict[str, canon.Json]] = {}
    for (name, env), (seq, release) in tips.items():
        environments.setdefault(name, {})[env] = {"seq": seq, "release": release}
    bundles = {name: sorted(found) for name, found in pinnable.items()}
    return canon.encode({"llmvc": TYPE, "environments": environments, "bundles": bundles})


def read(data: bytes) -> tuple[Tips, Pinnable]:
    """Reads `snapshot.json`.

    Raises:
        FormatError: it is malformed, too large, or holds members that this version does not know.
    """
    if len(data) > MOST:
        raise FormatError(f"{POINTER} has more than {MOST} bytes")
    try:
        body = canon.decode_object(data, TYPE)
    except FormatError as err:
        raise FormatError(f"{POINTER}: {err}") from err
    environments, listed = body.get("environments"), body.get("bundles")
    if body.keys() != _MEMBERS:
        raise FormatError(f"{POINTER} lacks a member, or holds one that this version does not know")
    if not isinstance(environments, dict) or not isinstance(listed, dict):
        raise FormatError(f"{POINTER}: environments or bundles are no object")
    tips: dict[Key, tuple[int, Digest]] = {}
    for name, envs in environments.items():
        if not is_name(name) or not isinstance(envs, dict) or not envs:
            raise FormatError(f"{POINTER}: {name!r:.50} has no environments")
        for env, tip in envs.items():
            told = tip if isinstance(tip, dict) and tip.keys() == {"seq", "release"} else {}
            seq = told.get("seq")
            if not is_name(env) or type(seq) is not int or seq < 1:
                raise FormatError(f"{POINTER}: {name}/{env:.50} has no seq and release")
            tips[name, env] = seq, digest.parse(told["release"])
    if listed.keys() != environments.keys():
        raise FormatError(f"{POINTER}: environments and bundles do not name the same bundles")
    pinnable: dict[str, frozenset[Digest]] = {}
    for name, digests in listed.items():
        if not isinstance(digests, list):
            raise FormatError(f"{POINTER}: bundles of {name} are no list")
        pinnable[name] = frozenset(digest.parse(one) for one in digests)
    return tips, pinnable

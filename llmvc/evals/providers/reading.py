"""JSON whose form is not known: what somebody else wrote, read without a surprise.

- `need` and `text` refuse what has the wrong form, for what an endpoint answers.
- `core.canon` has what takes anything and returns what is there.
"""

from collections.abc import Iterable, Mapping, Sequence

from llmvc.core import canon
from llmvc.core.canon import mapped
from llmvc.errors import FormatError


def need(value: canon.Json, what: str) -> Mapping[str, canon.Json]:
    """Returns an object.

    Raises:
        FormatError: it is something else.
    """
    if not isinstance(value, Mapping):
        raise FormatError(f"{what} is not an object")
    return value


def need_list(value: canon.Json, what: str) -> Sequence[canon.Json]:
    """Returns a list; an empty one for null.

    Raises:
        FormatError: it is something else.
    """
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise FormatError(f"{what} is not a list")
    return value


def text(value: Mapping[str, canon.Json], name: str) -> str | None:
    """Returns a member that is text; None if it is not there.

    Raises:
        FormatError: it is something else.
    """
    found = value.get(name)
    if found is not None and not isinstance(found, str):
        raise FormatError(f"{name} is not text")
    return found


def said(section: canon.Json, prefix: str, taken: Iterable[str]) -> list[str]:
    """Returns the members of a section that say something and are none of those taken.

    Args:
        section: a section of a bundle, such as `decoding`.
        prefix: what a bundle calls it.
        taken: the members that can be passed on.
    """
    inner = mapped(section)
    return [
        f"{prefix}.{name}"
        for name in sorted(set(inner).difference(taken))
        if inner[name] is not None
    ]

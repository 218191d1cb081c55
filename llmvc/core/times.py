"""Times as records have them: RFC 3339 in UTC, ending in Z."""

from datetime import UTC, datetime
from typing import Literal


def rfc3339(
    at: datetime | float, timespec: Literal["seconds", "milliseconds"] = "milliseconds"
) -> str:
    """Writes a moment.

    Args:
        at: the moment, or seconds since 1970.
        timespec: how exactly.
    """
    moment = at if isinstance(at, datetime) else datetime.fromtimestamp(at, UTC)
    return moment.astimezone(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


def milliseconds(text: str) -> int:
    """Reads an RFC 3339 time into milliseconds since 1970, as events have it.

    Raises:
        ValueError: it is none.
    """
    return round(datetime.fromisoformat(text).timestamp() * 1000)

"""Times as events have them, milliseconds since 1970, and as records have them, RFC 3339 in UTC."""

from datetime import UTC, datetime


def milliseconds(time: str) -> int:
    """Reads an RFC 3339 time."""
    return round(datetime.fromisoformat(time).timestamp() * 1000)


def rfc3339(at: int) -> str | None:
    """Writes milliseconds since 1970, to the second; 0 is no time."""
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else None

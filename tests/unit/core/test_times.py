"""Times as records have them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.core.times import milliseconds, rfc3339

MOMENT = datetime(2026, 11, 20, 12, 0, 0, 123_456, UTC)


@pytest.mark.parametrize(
    ("at", "timespec", "text"),
    [
        (MOMENT, "milliseconds", "2026-11-20T12:00:00.123Z"),
        (MOMENT, "seconds", "2026-11-20T12:00:00Z"),
        (MOMENT.timestamp(), "milliseconds", "2026-11-20T12:00:00.123Z"),
        (MOMENT.astimezone(timezone(timedelta(hours=9))), "seconds", "2026-11-20T12:00:00Z"),
        (0.0, "seconds", "1970-01-01T00:00:00Z"),
    ],
)
def test_a_moment_is_written_in_utc(at, timespec, text):
    assert rfc3339(at, timespec) == text


@given(st.integers(0, 4_102_444_800_000))
def test_what_is_written_to_the_millisecond_is_read_back(at):
    assert milliseconds(rfc3339(at / 1000)) in (at - 1, at)  # a float may lie just below


def test_what_is_no_time_is_refused():
    with pytest.raises(ValueError, match="noon"):
        milliseconds("noon")

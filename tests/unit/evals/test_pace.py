"""The pace of calls, on a clock that only moves when somebody sleeps."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.evals.providers.pace import Pace


class Time:
    """A clock whose sleepers wake in order, and at once."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        until = self.now + seconds
        await asyncio.sleep(0)
        self.now = max(self.now, until)


def paced(**limits):
    time = Time()
    return time, Pace(clock=time, sleep=time.sleep, **limits)


def starts(calls, tokens=0, used=None, **limits):
    """Returns when calls start that are made one after another."""

    async def go():
        time, pace = paced(**limits)
        found = []
        for _ in range(calls):
            entered = await pace.enter(tokens)
            found.append(time.now)
            more = 0 if used is None else used - tokens
            pace.leave(entered, busy=False, answered=True, more_tokens=more)
        return found

    return asyncio.run(go())


def test_without_limits_nothing_waits():
    assert starts(3, tokens=10**9) == [0, 0, 0]


@given(per_minute=st.floats(1, 10_000), calls=st.integers(2, 30))
def test_no_minute_holds_more_requests_than_allowed(per_minute, calls):
    found = starts(calls, requests_per_minute=per_minute)
    gaps = [later - earlier for earlier, later in pairwise(found)]
    assert gaps == pytest.approx([60 / per_minute] * (calls - 1))


def test_no_minute_holds_more_tokens_than_allowed():
    assert starts(3, tokens=500, tokens_per_minute=1000) == [0, 30, 60]


def test_tokens_that_were_not_used_are_given_back_and_the_others_are_owed():
    assert starts(3, tokens=500, used=250, tokens_per_minute=1000) == [0, 15, 30]
    assert starts(3, tokens=500, used=1000, tokens_per_minute=1000) == [0, 60, 120]


def test_the_stricter_limit_holds():
    assert starts(3, tokens=10, requests_per_minute=60, tokens_per_minute=60) == [0, 10, 20]


def test_a_pause_holds_all_calls():
    async def go():
        time, pace = paced()
        pace.hold(7)
        pace.hold(3)
        await asyncio.gather(pace.enter(0), pace.enter(0))
        return time.now

    assert asyncio.run(go()) == 7


def test_overload_halves_the_calls_under_way_once_and_answers_bring_them_back():
    async def go():
        _, pace = paced()
        entered = [await pace.enter(0) for _ in range(16)]
        for one in entered[:10]:
            pace.leave(one, busy=True, answered=False)
        halved = pace.limit
        for one in entered[10:]:
            pace.leave(one, busy=False, answered=True)
        raised, answered = pace.limit, 0
        while pace.limit != float("inf"):
            pace.leave(await pace.enter(0), busy=False, answered=True)
            answered += 1
        return halved, raised, answered

    halved, raised, answered = asyncio.run(go())
    assert halved == 8
    assert 8.7 < raised < 8.8
    assert 60 < answered < 120


def test_a_failure_that_is_no_overload_changes_nothing():
    async def go():
        _, pace = paced()
        pace.leave(await pace.enter(0), busy=False, answered=False)
        return pace.limit

    assert asyncio.run(go()) == float("inf")


@given(
    st.lists(st.sampled_from(["busy", "answered", "failed", "cancelled"]), max_size=60),
    st.integers(1, 9),
)
def test_places_are_neither_lost_nor_made_up(outcomes, workers):
    async def go():
        _, pace = paced()
        most = under_way = 0

        async def call(outcome):
            nonlocal most, under_way
            entered = await pace.enter(1)
            under_way += 1
            most = max(most, under_way)
            try:
                await asyncio.sleep(0)
            finally:
                under_way -= 1
                pace.leave(entered, busy=outcome == "busy", answered=outcome == "answered")

        left = iter(outcomes)

        async def work():
            for outcome in left:
                task = asyncio.create_task(call(outcome))
                if outcome == "cancelled":
                    await asyncio.sleep(0)
                    task.cancel()
                await asyncio.wait([task])

        await asyncio.gather(*(work() for _ in range(workers)))
        return most, pace._in_flight, pace.limit

    most, in_flight, limit = asyncio.run(go())
    assert most <= workers
    assert in_flight == 0
    assert limit >= 1


def test_one_call_at_a_time_is_the_least():
    async def go():
        _, pace = paced()
        for _ in range(5):
            pace.leave(await pace.enter(0), busy=True, answered=False)
        return pace.limit

    assert asyncio.run(go()) == 1

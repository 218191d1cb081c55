"""The pace of the calls to one endpoint: no faster than allowed, and slower when it is overloaded.

- Starts are spread evenly, so that no minute holds more requests or tokens than the limits say.
- When the endpoint says that it is overloaded, the number of calls under way is halved, once for
  all calls that were under way together; every answer then raises it a little. It never exceeds
  what the eval asks for, as nothing here starts a call.
- A pause that one call is told to make holds all of them.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from time import perf_counter


class _Meter:
    """Spreads an amount evenly over a minute."""

    def __init__(self, per_minute: float) -> None:
        self._each_s = 60.0 / per_minute
        self._free = 0.0

    def take(self, amount: float, now: float) -> float:
        """Returns when something of this amount may start."""
        start = max(now, self._free)
        self._free = start + amount * self._each_s
        return start

    def correct(self, amount: float) -> None:
        """Takes more, or gives back, as the true amount has become known."""
        self._free += amount * self._each_s


class Pace:
    """Lets calls start one after another.

    Args:
        requests_per_minute: of this process; None for no limit.
        tokens_per_minute: in and out; None for no limit.
        clock: seconds from some moment on.
        sleep: waits for so many seconds.
    """

    def __init__(
        self,
        *,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        clock: Callable[[], float] = perf_counter,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._requests = _Meter(requests_per_minute) if requests_per_minute else None
        self._tokens = _Meter(tokens_per_minute) if tokens_per_minute else None
        self._clock = clock
        self._sleep = sleep
        self._held_until = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._in_flight = self._peak = 0
        self._limit = float("inf")
        self._round = 0

    @property
    def limit(self) -> float:
        """How many calls may be under way; infinite while the endpoint keeps up."""
        return self._limit

    async def enter(self, tokens: int) -> int:
        """Waits until a call of about so many tokens may start.

        Returns:
            The number of times that the pace was slowed down before, for `leave`.
        """
        self._peak = max(self._peak, self._in_flight + len(self._waiting) + 1)
        await self._queue()
        try:
            start = 0.0
            for meter, amount in ((self._requests, 1), (self._tokens, tokens)):
                start = max(start, meter.take(amount, self._clock())) if meter else start
            while (left := max(start, self._held_until) - self._clock()) > 0:
                await self._sleep(left)
        except BaseException:
            self._free_place()
            raise
        return self._round

    def leave(self, entered: int, *, busy: bool, answered: bool, more_tokens: int = 0) -> None:
        """Ends a call.

        Args:
            entered: what `enter` returned.
            busy: whether the endpoint said that it is overloaded.
            answered: whether it answered.
            more_tokens: how many it took beyond those that were expected; may be negative.
        """
        if busy and entered == self._round:
            self._round += 1
            self._limit = max(1.0, self._in_flight // 2)
        elif answered:
            self._limit += 1 / self._limit
            if self._limit >= self._peak:
                self._limit = float("inf")
        if self._tokens is not None:
            self._tokens.correct(more_tokens)
        self._free_place()

    def hold(self, seconds: float) -> None:
        """Lets no call start for so long."""
        self._held_until = max(self._held_until, self._clock() + seconds)

    async def _queue(self) -> None:
        """Waits for a place among the calls under way, in the order of asking."""
        if not self._waiting and self._in_flight + 1 <= self._limit:
            self._in_flight += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._free_place()  # the place was given just before
            raise

    def _free_place(self) -> None:
        self._in_flight -= 1
        while self._waiting and self._in_flight + 1 <= self._limit:
            turn = self._waiting.popleft()
            if not turn.done():
                self._in_flight += 1
                turn.set_result(None)

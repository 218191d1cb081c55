"""Clients: what a service asks which bundle to serve.

- `resolve` reads no file, takes no lock and writes nothing: it looks up what a background thread
  has put there whole. The same snapshot and arguments give the same answer in every process.
- A pin that stands decides; else a canary that counts, by the unit's bucket; else the environment.
- Nobody is put into a canary by chance: without a unit there is the baseline, or an error.
- Whatever becomes of the source, what was read last is served on; `health` says so, and from
  `max_age_s` on `on_stale` decides.
"""

import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, Self

from llmvc.core.bucket import drawn, spelt
from llmvc.errors import NotFoundError, StoreError, UsageError
from llmvc.runtime.assign import Assignment

if TYPE_CHECKING:
    from llmvc.core.pointer import Key
    from llmvc.runtime.refresh import Refresher
    from llmvc.runtime.routes import Head, Open, Route
    from llmvc.runtime.snapshot import Snapshot

_NEW = tuple.__new__

OnStale = Literal["serve", "baseline_only", "raise"]
OnNoUnit = Literal["baseline", "raise"]


class Log(Protocol):
    """What is told of each assignment; `llmvc.runtime.events.Log` is one."""

    def assign(self, of: Assignment, /) -> object:
        """Takes note of an assignment."""
        ...


class Health(NamedTuple):
    """How a client is doing.

    Attributes:
        ok: whether the last look at the source succeeded and nothing was refused.
        problem: what went wrong at the last look; None if nothing did.
        failures: looks that failed since the last one that succeeded.
        older: looks in a row that met an older pointer than the one that is served.
        stale_s: seconds since the source was last known to be read.
        seqs: `bundle/env` -> number of the release that is served.
        snapshot: digest of the pointer that is served.
    """

    ok: bool
    problem: str | None
    failures: int
    stale_s: float
    seqs: Mapping[str, int]
    snapshot: str
    older: int = 0


class Client:
    """Serves bundles out of one source; `llmvc.runtime.open` makes one.

    Args:
        refresher: what looks at the source, and has looked once.
        max_age_s: from when on what is served counts as stale; None for never.
        on_stale: what to do then; None for `baseline_only`.
        on_no_unit: what a call without a unit gets while a canary is open.
        log: is told of every assignment.
        clock: seconds that only go up.
    """

    def __init__(
        self,
        refresher: "Refresher",
        *,
        max_age_s: float | None = None,
        on_stale: OnStale | None = None,
        on_no_unit: OnNoUnit = "baseline",
        log: Log | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if on_stale not in (None, "serve", "baseline_only", "raise"):
            raise UsageError(f"on_stale is {on_stale!r}", hint="serve, baseline_only or raise")
        if on_no_unit not in ("baseline", "raise"):
            raise UsageError(f"on_no_unit is {on_no_unit!r}", hint="baseline or raise")
        if max_age_s is not None and not max_age_s >= 0:
            raise UsageError(f"max_age_s is {max_age_s} and must be 0 or more")
        self._refresher = refresher
        self._max_age_s = float("inf") if max_age_s is None else max_age_s
        self._on_stale = on_stale or "baseline_only"
        self._on_no_unit = on_no_unit
        self._log = log
        self._clock = clock
        self._state = refresher.state

    def resolve(
        self, bundle: str, env: str = "prod", unit: str | None = None, pin: str | None = None
    ) -> Assignment:
        """Returns what to serve.

        Args:
            bundle: its name.
            env: the environment.
            unit: id of the conversation, user or request that the answer is for, as the canary's
                `unit` says; None where nobody is known.
            pin: what an earlier assignment of the same conversation gave as `pin`.

        Raises:
            NotFoundError: the environment has no release.
            UsageError: the unit is empty or no text, or is missing and `on_no_unit` is `raise`.
            StoreError: what is served is stale, and `on_stale` is `raise`.
        """
        state = self._state
        route = state.routes.get((bundle, env))
        if route is None:
            raise self._unknown(bundle, env)
        # What no canary could take is refused before one is open.
        named = None if unit is None else spelt(unit)
        stale_s = self._clock() - state.fresh
        canary = route.canary
        head = None if pin is None else route.pinned(pin)
        if head is None:
            if stale_s > self._max_age_s:
                canary = self._stale(route, stale_s)
            if canary is None:
                head = route.plain
            elif named is None:
                head = self._nobody(route)
            elif drawn(canary.salted + named) <= canary.last:
                head = canary.candidate
            else:
                head = canary.baseline
        # Both are half as fast by their usual names, and this is asked before every call.
        made = _NEW(Assignment, head + (unit, stale_s))  # noqa: RUF005
        if self._log is not None:
            self._log.assign(made)
        return made

    @property
    def snapshot(self) -> "Snapshot":
        """What is served from now."""
        return self._state.snapshot

    @property
    def health(self) -> Health:
        """How the client is doing."""
        return self._refresher.health()

    def environments(self) -> "tuple[Key, ...]":
        """Returns bundle and environment of all that `resolve` knows, sorted."""
        return tuple(sorted(self._state.routes))

    def refresh(self) -> Health:
        """Looks at the source at once, in the caller's thread, and returns how that went."""
        self._refresher.look()
        return self.health

    def close(self) -> None:
        """Stops looking; what was read last is still served."""
        self._refresher.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _stale(self, route: "Route", stale_s: float) -> "Open | None":
        """Returns the canary that counts although all is stale; None for none."""
        if self._on_stale == "raise":
            raise StoreError(
                f"what is served was last known to be current {stale_s:.0f} s ago",
                hint=self.health.problem or "the source tells when it was last looked at",
            )
        return route.canary if self._on_stale == "serve" else None

    def _nobody(self, route: "Route") -> "Head":
        """Returns what a call without a unit gets while a canary is open."""
        if self._on_no_unit == "raise":
            raise UsageError(
                f"{route.plain[0]}/{route.plain[1]} has a canary open and there is no unit",
                hint="a unit is the id of the conversation or user",
            )
        return route.plain

    def _unknown(self, bundle: str, env: str) -> NotFoundError:
        known = ", ".join("/".join(key) for key in self.environments())
        return NotFoundError(f"{bundle}/{env} has no release here", hint=f"there are: {known}")

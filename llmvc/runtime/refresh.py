"""Refreshing: one thread that looks at the source, and puts what it read there whole.

- A snapshot that cannot be read, or may not follow the one that is served, changes nothing; the
  reason is kept until a look succeeds.
- A pointer that the one served came from is no problem for `PATIENCE_S`: a cache that lags behind
  another gives such ones. It makes nothing fresh, and if no other one comes it is refused as well.
- The thread never raises and never stops by itself: after a failure it waits longer, up to
  `LONGEST` times as long.
- Waits are spread by a tenth, so that a fleet does not look all at once.
- After a fork the child looks with a thread of its own, and soon: nobody has heard of it yet.
- It ends with its owner: when it is told to, when nobody holds the client any more, or with the
  interpreter.
"""

import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Protocol, runtime_checkable

from llmvc.core.bucket import BUCKETS, bucket
from llmvc.errors import LlmvcError
from llmvc.runtime.client import Health
from llmvc.runtime.routes import routes
from llmvc.runtime.snapshot import PATIENCE_S, OlderError, Snapshot, load
from llmvc.runtime.sources import Source

LONGEST: Final = 10
"""How many times the usual wait a failing source is left alone at most."""
SPREAD: Final = 0.1
SOON_S: Final = 0.1
"""When the child of a fork looks first: a library that its source uses may not be set right for the
child yet, since each does that in a handler of its own, one after the other."""
LAST_S: Final = 1.0
"""How long a look that is under way may take when all is to end."""


@runtime_checkable
class Heart(Protocol):
    """What is told what this process serves: `runtime.heart.Heart`, and `runtime.events.Log`."""

    def beat(self, releases: Mapping[str, tuple[int, str]], stale_s: float | None = None) -> None:
        """Takes note of what is served: of each `bundle/env` the release's number and digest."""
        ...

    def stop(self) -> None:
        """Takes note that this process serves no more."""
        ...


class State:
    """What is served now; each part is replaced, never changed.

    Attributes:
        routes: bundle and environment -> what is served there.
        fresh: by the clock that only goes up, when the source was last known to be read.
        snapshot: what the routes were made from.
    """

    __slots__ = ("fresh", "routes", "snapshot")

    def __init__(self, snapshot: Snapshot, fresh: float) -> None:
        self.snapshot = snapshot
        self.routes = routes(snapshot)
        self.fresh = fresh


class Refresher:
    """Keeps a state up to date.

    Args:
        source: where snapshots come from.
        every_s: seconds between two looks.
        fallback: a source to start from where the other cannot be read.
        hearts: are told what is served after each look.
        on_problem: is told what went wrong, once for each new problem.
        clock: seconds that only go up.
        wall: seconds since 1970.

    Raises:
        LlmvcError: nothing could be read.
    """

    def __init__(
        self,
        source: Source,
        *,
        every_s: float,
        fallback: Source | None = None,
        hearts: tuple[Heart, ...] = (),
        on_problem: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._source, self._every_s, self._hearts = source, every_s, hearts
        self._on_problem, self._clock, self._wall = on_problem, clock, wall
        self._problem: str | None = None
        self._failures = self._older = 0
        self._tag: str | None = None
        self._agreed = self._looked = float("-inf")
        self._checked: float | None = None
        self._at_it = self._forked = False
        self._begin()
        try:
            self._start_from(fallback)
        except BaseException:
            self.stop()
            raise
        self._beat()

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()
        _RUNNING.add(self)

    def stop(self) -> None:
        """Ends the thread and lets go of the source; may be called again."""
        _RUNNING.discard(self)
        self._finish()

    def look(self) -> bool:
        """Looks at the source once; returns whether what is served is what is there.

        Does nothing once it was stopped, or within another look of the same thread: a handler of
        signals may ask for one.
        """
        with self._looking:
            if self._ended.is_set() or self._at_it:
                return self._problem is None
            self._at_it = True
            try:
                err = _error_of(self._take)  # whatever the source does, serving goes on
                if err is None:
                    self._problem, self._failures = None, 0
                else:
                    self._failed(err)
                self._beat()
            finally:
                self._at_it = False
        return self._problem is None

    def health(self) -> Health:
        """Returns how the looks have gone."""
        return Health(
            ok=self._problem is None,
            problem=self._problem,
            failures=self._failures,
            stale_s=self._clock() - self.state.fresh,
            seqs=self._seqs(),
            snapshot=self.state.snapshot.digest,
            older=self._older,
        )

    def _begin(self) -> None:
        """Makes what belongs to one process."""
        self._looking = threading.RLock()
        self._at_it = False
        self._ended: threading.Event = threading.Event()
        ended = self._ended
        # The thread and the end hold no reference, so that a client that was dropped can go.
        self._thread = threading.Thread(
            target=_run, args=(weakref.ref(self), ended), name="llmvc-refresh", daemon=True
        )
        self._finish = weakref.finalize(self, _end, ended, self._thread, self._hearts, self._source)

    def _start_from(self, fallback: Source | None) -> None:
        """Takes the first state."""
        try:
            self.state = State(*self._first(self._source))
            self._agreed = self._clock()
        except Exception as err:
            if fallback is None:
                raise
            self.state = State(*self._first(fallback))
            self._tag = None
            self._failed(err)

    def _first(self, source: Source) -> tuple[Snapshot, float]:
        found = source.pointer(None)
        if found is None:
            raise LlmvcError("the source gives no pointer")
        data, self._tag = found
        return load(data, source.object), self._fresh(source)

    def _take(self) -> None:
        found = self._source.pointer(self._tag)
        if found is not None:
            data, tag = found
            if data != self.state.snapshot.pointer:
                try:
                    taken = load(data, self._source.object, last=self.state.snapshot)
                except OlderError:
                    self._older += 1
                    if self._clock() - self._agreed > PATIENCE_S:
                        raise
                    return
                self.state.routes = routes(taken)
                self.state.snapshot = taken
            self._tag = tag
        self._agreed, self._older = self._clock(), 0
        self.state.fresh = self._fresh(self._source)

    def _fresh(self, source: Source) -> float:
        """Returns when what feeds the source last looked; now if that is not told.

        The clock on the wall may be set; what it said is compared with each time once.
        """
        checked = source.checked()
        if checked is None:
            return self._clock()
        if checked != self._checked:
            self._checked = checked
            self._looked = self._clock() - max(0.0, self._wall() - checked)
        return self._looked

    def _failed(self, err: Exception) -> None:
        problem = str(err) or type(err).__name__
        known, self._problem = self._problem, problem
        self._failures += 1
        on_problem = self._on_problem
        if problem != known and on_problem is not None and not self._ended.is_set():
            _error_of(lambda: on_problem(problem))  # who is told must not stop the looks

    def _beat(self) -> None:
        if not self._hearts or self._ended.is_set():
            return
        tips = self.state.snapshot.tips.items()
        served = {"/".join(key): (tip.release.seq, tip.digest) for key, tip in tips}
        for heart in self._hearts:
            err = _error_of(partial(heart.beat, served, self._clock() - self.state.fresh))
            if err is not None:
                self._failed(err)

    def _seqs(self) -> dict[str, int]:
        return {"/".join(key): seq for key, seq in self.state.snapshot.seqs.items()}

    def wait_s(self, at: int) -> float:
        """Returns how long to wait before look number `at`."""
        if self._forked and not at:
            return min(SOON_S, self._every_s)
        drawn = bucket(f"{os.getpid()}", f"{id(self)}/{at}") / BUCKETS
        times = min(2.0 ** min(self._failures, 10), LONGEST)
        return self._every_s * times * (1 + SPREAD * (2 * drawn - 1))

    def forked(self) -> None:
        """Goes on in the child, where no thread has survived and a lock may have been held."""
        self._finish.detach()
        self._forked = True
        self._begin()
        self.start()


def _run(of: "weakref.ref[Refresher]", ended: threading.Event) -> None:
    """Looks again and again."""
    at = 0
    while (one := of()) is not None:
        wait_s = one.wait_s(at)
        del one
        if ended.wait(wait_s) or (one := of()) is None:
            return
        one.look()
        at += 1


def _end(
    ended: threading.Event, thread: threading.Thread, hearts: tuple[Heart, ...], source: Source
) -> None:
    """Ends the thread and lets go of the source."""
    ended.set()
    if thread.is_alive() and thread is not threading.current_thread():
        thread.join(LAST_S)
    for heart in hearts:
        heart.stop()
    source.close()


def _error_of(act: Callable[[], object]) -> Exception | None:
    """Does something and returns what it raised; a thread that died of it would serve for ever."""
    try:
        act()
    except Exception as err:  # noqa: BLE001 (see above)
        return err
    return None


_RUNNING: Final[weakref.WeakSet[Refresher]] = weakref.WeakSet()


def _restart() -> None:
    for one in list(_RUNNING):
        one.forked()


os.register_at_fork(after_in_child=_restart)

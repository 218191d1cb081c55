"""Simulates up to 10,000 nodes that follow releases.

    python benchmarks/scale.py                # the tables of docs/scale.md, some minutes
    python benchmarks/scale.py --nodes 10,100 --periods 2,5

Every answer carries as of when it is true: a forge's is of the moment, a copy's of the moment at
which it was made. How old a node is, and when it knows of a rollback, follows from that alone.
"""

import argparse
import heapq
import math
import random
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

PROCESSES = 20
"""Processes a node, each of which asks the forge where there is no agent."""
LONGEST, LONGEST_S = 5, 30.0
"""Longest mean pause of `llmvc agent` after failures: in usual ones, and in seconds."""
STEP_S = 0.01  # ages are told apart to this many seconds


@dataclass(frozen=True, slots=True)
class Poll:
    """How long a poller waits; by default as `llmvc agent` does.

    Attributes:
        period_s: mean pause after a look that succeeded.
        jitter: what a pause differs from it at most, as a share.
        back_off: whether pauses double after failures, each times a number in [0.5, 1.5).
    """

    period_s: float
    jitter: float = 0.1
    back_off: bool = True

    def pause_s(self, failures: int, fraction: float) -> float:
        """Returns the pause after so many failures in a row; `fraction` is drawn from [0, 1)."""
        if not failures or not self.back_off:
            return self.period_s * (1 + self.jitter * (2 * fraction - 1))
        longest = max(self.period_s, min(LONGEST * self.period_s, LONGEST_S))
        return min(self.period_s * 2.0 ** min(failures, 16), longest) * (0.5 + fraction)


@dataclass(frozen=True, slots=True)
class Latency:
    """How long answers take: log-normal, by its median and its 99th percentile in seconds."""

    median_s: float
    p99_s: float

    def draw(self, chance: random.Random) -> float:
        """Returns one answer's time."""
        if not self.median_s:
            return 0.0
        sigma = math.log(self.p99_s / self.median_s) / 2.3263
        return self.median_s * math.exp(chance.gauss(0, sigma))


class Copy:
    """What one poller holds: the newest answer, and the one before until that has arrived."""

    __slots__ = ("before", "made", "since")

    def __init__(self) -> None:
        self.made = self.before = self.since = 0.0

    def take(self, made: float, since: float) -> None:
        """Takes an answer that arrives later."""
        self.before, self.made, self.since = self.made, made, since

    def as_of(self, at: float) -> float:
        """Returns as of when what is held at a time is true."""
        return self.made if at >= self.since else self.before


@dataclass(slots=True)
class Origin:
    """A forge, or an object store that each release is written to.

    Attributes:
        rate: answers a second that it gives, saved up for one second; None for any number.
        outages: from when to when nothing is answered; who asks hangs until `timeout_s` or the end.
        behind_s: how long a release is on its way here.
        asked: second -> how often it was asked.
        refused: second -> how often it had no answer.
    """

    rate: float | None = None
    outages: tuple[tuple[float, float], ...] = ()
    timeout_s: float = 5.0
    behind_s: float = 0.0
    asked: Counter[int] = field(default_factory=Counter)
    refused: Counter[int] = field(default_factory=Counter)
    _saved: float = math.inf
    _last: float = 0.0

    def ask(self, at: float, _asker: int) -> tuple[float | None, float]:
        """Returns as of when the answer is true, None if it is refused, and how long it hung."""
        self.asked[int(at)] += 1
        for begin, end in self.outages:
            if begin <= at < end:
                self.refused[int(at)] += 1
                return None, min(self.timeout_s, end - at)
        if self.rate is not None:
            self._saved = min(self.rate, self._saved + (at - self._last) * self.rate)
            self._last = at
            if self._saved < 1:
                self.refused[int(at)] += 1
                return None, 0.0
            self._saved -= 1
        return at - self.behind_s, 0.0


@dataclass(slots=True)
class Edge:
    """Caches in front of what one writer holds, each asked by the same nodes all the time.

    Attributes:
        writer: the copy that they ask when theirs is older than `ttl_s`.
        places: how many caches there are.
        asked: second -> how often they were asked.
        missed: second -> how often they asked the writer.
    """

    writer: Copy
    ttl_s: float
    places: int = 20
    asked: Counter[int] = field(default_factory=Counter)
    missed: Counter[int] = field(default_factory=Counter)
    _held: dict[int, tuple[float, float]] = field(default_factory=dict)

    def ask(self, at: float, asker: int) -> tuple[float | None, float]:
        """Returns what is held, or first asked for anew; see `Origin.ask`."""
        self.asked[int(at)] += 1
        place = asker % self.places
        made, until = self._held.get(place, (0.0, 0.0))
        if at >= until:
            made = self.writer.as_of(at)
            self._held[place] = made, at + self.ttl_s
            self.missed[int(at)] += 1
        return made, 0.0


class Ages:
    """How long nodes held what age, exact to `STEP_S`; an age rises by a second a second."""

    def __init__(self) -> None:
        self._edges: Counter[int] = Counter()
        self.longest_s = 0.0

    def add(self, low_s: float, high_s: float) -> None:
        """Notes that an age rose from one to another."""
        self._edges[round(low_s / STEP_S)] += 1
        self._edges[round(high_s / STEP_S)] -= 1
        self.longest_s = max(self.longest_s, high_s)

    def quantile_s(self, share: float) -> float:
        """Returns the age that this share of all time was at most spent with."""
        held, spans = 0, list[tuple[int, int, int]]()
        for mark, after in pairwise(sorted(self._edges)):
            held += self._edges[mark]
            spans.append((mark, after, held * (after - mark)))
        left = share * sum(spent for _, _, spent in spans)
        for mark, after, spent in spans:
            if left <= spent and spent:
                return STEP_S * (mark + left / spent * (after - mark))
            left -= spent
        return self.longest_s


class Watch:
    """What is seen of nodes: ages from `begin` to `end`, and when each release came to the last.

    Args:
        nodes: how many there are.
        window: the first second, and the one after the last.
        due: when there is a release, in order.
    """

    def __init__(self, nodes: int, window: tuple[int, int], due: Sequence[float]) -> None:
        self.ages = Ages()
        self.window, self._due = window, due
        self._known = [0] * nodes
        self._last, self._missing = [0.0] * len(due), [nodes] * len(due)

    def note(self, node: int, copy: Copy, made: float, done: float) -> None:
        """Notes that a node takes an answer in the place of its copy."""
        if self.window[0] <= done < self.window[1]:
            self.ages.add(copy.since - copy.made, done - copy.made)
        at = self._known[node]
        while at < len(self._due) and self._due[at] <= made:
            self._last[at] = max(self._last[at], done)
            self._missing[at] -= 1
            at += 1
        self._known[node] = at

    @property
    def over(self) -> bool:
        """Whether all nodes know of all releases."""
        return not any(self._missing)

    @property
    def last_s(self) -> tuple[float | None, ...]:
        """For each release the seconds until the last node knew of it; None if one does not."""
        told = zip(self._due, self._last, self._missing, strict=True)
        return tuple(None if missing else time - when for when, time, missing in told)

    def rates(self, asked: Counter[int]) -> tuple[float, int, int]:
        """Returns requests a second: their mean, the 99th percentile of seconds, the maximum."""
        bins = sorted(asked[second] for second in range(*self.window))
        return statistics.fmean(bins), bins[math.ceil(0.99 * len(bins)) - 1], bins[-1]


Ask = Callable[[float, int], tuple[float | None, float]]


def simulate(
    ask: Ask,
    poll: Poll,
    *,
    nodes: int,
    seed: int,
    window_s: float,
    latency: Latency,
    writer: tuple[Ask, Copy] | None = None,
    releases: Sequence[float] | int = 10,
) -> Watch:
    """Runs nodes, and perhaps a writer that they follow, until all know of the last release.

    Args:
        ask: what nodes ask.
        poll: how nodes, and the writer, wait; they start within one period.
        window_s: seconds that are watched, after a start that is not.
        latency: of all answers.
        writer: what it asks, and where it keeps the answer.
        releases: when they are; or how many there are, at times drawn from the window.
    """
    chance = random.Random(seed)
    begin = math.ceil(5 + 2 * poll.period_s)
    end = begin + math.ceil(window_s)
    if isinstance(releases, int):
        releases = sorted(chance.uniform(begin, end) for _ in range(releases))
    watch = Watch(nodes, (begin, end), releases)
    copies = [Copy() for _ in range(nodes)] + ([writer[1]] if writer else [])
    failures = [0] * len(copies)
    events = [(chance.uniform(0, poll.period_s), at) for at in range(len(copies))]
    heapq.heapify(events)
    patience_s = end + 4 * poll.period_s + 240
    while events[0][0] < end or (events[0][0] < patience_s and not watch.over):
        now, at = events[0]
        made, hung = writer[0](now, at) if writer and at == nodes else ask(now, at)
        done = now + hung + latency.draw(chance)
        failures[at] = failures[at] + 1 if made is None else 0
        if made is not None and made > copies[at].made:
            if at < nodes:
                watch.note(at, copies[at], made, done)
            copies[at].take(made, done)
        heapq.heapreplace(events, (done + poll.pause_s(failures[at], chance.random()), at))
    return watch


FORGE = Latency(0.06, 0.6)
CACHE = Latency(0.03, 0.3)
TTL_S = 5.0
STORE_S = 1.0
WAYS = ("direct", "agent", "http", "store")


def follow(
    way: str, nodes: int, period_s: float, *, seed: int, window_s: float
) -> tuple[Watch, Counter[int], Counter[int]]:
    """Simulates one way; returns what was seen, requests at the forge, and at what nodes ask."""
    poll, forge = Poll(period_s), Origin()
    asked: Origin | Edge = forge
    writer: tuple[Ask, Copy] | None = None
    if way == "store":
        asked = Origin(behind_s=STORE_S)
    elif way == "http":
        writer = forge.ask, Copy()
        asked = Edge(writer[1], TTL_S)
    watch = simulate(
        asked.ask,
        poll,
        nodes=nodes * (PROCESSES if way == "direct" else 1),
        seed=seed,
        window_s=window_s,
        latency=FORGE if asked is forge else CACHE,
        writer=writer,
    )
    return watch, forge.asked, asked.asked


class Herd(NamedTuple):
    """What an outage was followed by: requests of the two minutes after it, and the last node.

    Attributes:
        most, mean: requests a second, in the busiest one and on average.
        refused: share of them.
        last_s: seconds from its end until the last node is current; None if one never is.
    """

    most: int
    mean: float
    refused: float
    last_s: float | None


def herd(
    nodes: int, poll: Poll, *, rate: float | None, outage_s: float, hang_s: float, seed: int
) -> Herd:
    """Simulates an outage in which who asks hangs for `hang_s`, or until it is over."""
    begin = math.ceil(5 + 3 * poll.period_s)
    over = begin + math.ceil(outage_s)
    forge = Origin(rate=rate, outages=((begin, over),), timeout_s=hang_s)
    watch = simulate(
        forge.ask,
        poll,
        nodes=nodes,
        seed=seed,
        window_s=over - begin + 120 + poll.period_s,
        latency=FORGE,
        releases=[over],
    )
    after = range(over, over + 120)
    asked = [forge.asked[second] for second in after]
    refused = sum(forge.refused[second] for second in after)
    return Herd(max(asked), statistics.fmean(asked), refused / sum(asked), watch.last_s[0])


def told(watch: Watch) -> str:
    """Returns ages and times to the last node, in seconds, as a cell of a table."""
    ages = watch.ages
    last = [math.inf if one is None else one for one in watch.last_s]
    fresh = f"{ages.quantile_s(0.5):.1f} / {ages.quantile_s(0.99):.1f} / {ages.longest_s:.1f}"
    return f"{fresh} · {statistics.median(last):.1f} / {max(last):.1f}"


def tables(sizes: Sequence[int], periods: Sequence[float], *, seed: int) -> None:
    """Prints load and freshness of all ways, as Markdown."""
    head = "".join(f" {period:g} s |" for period in periods)
    load = [f"| way | nodes |{head}", "|---|---|" + "---|" * len(periods)]
    fresh = list(load)
    for way in WAYS:
        for nodes in sizes:
            loads = ages = f"| {way} | {nodes:,} |"
            for period in periods:
                span_s = max(60.0, 4 * period)
                watch, forge, asked = follow(way, nodes, period, seed=seed, window_s=span_s)
                mean, p99, _ = watch.rates(forge)
                loads += f" {mean:,.1f} / {p99:,} |"
                if asked is not forge:
                    loads = f"{loads[:-1]}({watch.rates(asked)[0]:,.0f}) |"
                ages += f" {told(watch)} |"
            load.append(loads)
            fresh.append(ages)
    print("requests a second at the forge, mean / p99 of seconds (at the cache or store)\n")
    print("\n".join(load))
    print("\nage of what a node holds, p50 / p99 / max · last node after a release, median / max\n")
    print("\n".join(fresh))


def herds(*, seed: int) -> None:
    """Prints what follows outages, as Markdown."""
    print("\n| nodes, poll, forge | pauses | busiest s | mean | refused | last node s |")
    print("|---|---|---|---|---|---|")
    for nodes, period, rate in ((1000, 2, 1000), (1000, 2, 250), (10_000, 30, 1000)):
        pauses = {
            "fixed": Poll(period, jitter=0, back_off=False),
            "jitter": Poll(period, back_off=False),
            "as the agent": Poll(period),
        }
        for name, poll in pauses.items():
            found = herd(nodes, poll, rate=rate, outage_s=100, hang_s=30, seed=seed)
            last = "not within 4 min" if found.last_s is None else f"{found.last_s:.0f}"
            fleet = f"{nodes:,}, {period} s, {rate}/s | {name}"
            print(
                f"| {fleet} | {found.most:,} | {found.mean:,.0f} | {found.refused:.0%} | {last} |"
            )


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", default="10,100,1000,10000")
    parser.add_argument("--periods", default="2,5,30")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    periods = [float(one) for one in given.periods.split(",")]
    tables([int(one) for one in given.nodes.split(",")], periods, seed=given.seed)
    herds(seed=given.seed)


if __name__ == "__main__":
    main()

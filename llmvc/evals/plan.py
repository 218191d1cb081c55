"""The plan of an eval: which calls it takes, in which order, and under which keys.

- The canonical request of a case is built and hashed once, whatever the number of runs.
- The order is a seeded shuffle of the cases, stratified by their tags, groups whole; within a case
  the runs of both arms alternate, so that what changes over time at the provider meets both alike.
- The calls fall into stages, one for each planned look.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import Final, Literal

from llmvc.core import canon, context, digest, request, variants
from llmvc.core.bundle import Bundle
from llmvc.core.digest import Digest
from llmvc.core.suite import Case, Suite
from llmvc.errors import ConfigError, FormatError
from llmvc.evals import runs, tokenizers
from llmvc.evals.providers.base import Answer, Call, Provider

ArmName = Literal["candidate", "baseline", "judge"]
APP: Final = "app/1"
ANY_TIME_STEP: Final = 10
"""Cases between two looks of an eval that may stop at any time."""

# What a plain model call leaves out, as (member, member in it or none).
_BEYOND_A_CALL: Final = (
    *((name, None) for name in request.APPLICATION_ONLY),
    ("mcp", None),
    ("members", None),
    ("model", "fallback"),
)


@dataclass(frozen=True)
class Arm:
    """One side of the comparison, or a judge that makes calls of its own.

    Attributes:
        name: `candidate`, `baseline` or `judge`.
        bundle: what is measured.
        provider: what answers its calls.
        assets: asset path -> text, for jinja2 includes and the application's snapshot.
        parts: all assets, and the members of a set with theirs, for the application's snapshot.
        named: the connection's name in the configuration.
        application: {"commit", "dirty"} of the application itself; None for a plain model call.
        snapshot: a folder with the bundle's files, for the application; made if it is None.
    """

    name: ArmName
    bundle: Bundle
    provider: Provider
    assets: Mapping[str, str] = field(default_factory=dict)
    parts: Mapping[Digest, bytes] = field(default_factory=dict)
    named: str = ""
    application: Mapping[str, canon.Json] | None = None
    snapshot: Path | None = None

    @property
    def model(self) -> tuple[str, tuple[str, ...]]:
        """The provider's name, and the names of the model, the most exact first."""
        section = self.bundle.body.get("model")
        model = section if isinstance(section, Mapping) else {}
        names = (model.get("snapshot"), model.get("id"))
        return str(model.get("provider", "")), tuple(n for n in names if isinstance(n, str))

    @cached_property
    def connection(self) -> Mapping[str, canon.Json]:
        """What tells this arm's connection from others in the run cache."""
        identity = dict(self.provider.identity())
        if self.provider.mode == "app":
            identity["application"] = dict(self.application) if self.application else None
        return identity

    @property
    def reusable(self) -> bool:
        """Whether finished runs may be used again: not for an application with loose edits."""
        return not (self.application is not None and self.application.get("dirty"))

    def unexpected(self, answer: Answer) -> str | None:
        """Returns how an answer contradicts the model that the bundle expects; None if not."""
        expect = _inner(self.bundle.body.get("model"), "expect")
        if expect is None or answer.output is None:
            return None
        told = {"model": answer.model, "system_fingerprint": answer.fingerprint}
        for name, found in told.items():
            wanted = _inner(expect, name)
            if wanted is not None and wanted != found:
                return (
                    f"{self.name} was answered by {name} {found!r}, its bundle expects {wanted!r}"
                )
        return None

    @property
    def seed(self) -> int | None:
        """The bundle's own seed."""
        decoding = self.bundle.body.get("decoding")
        seed = decoding.get("seed") if isinstance(decoding, Mapping) else None
        return seed if isinstance(seed, int) and not isinstance(seed, bool) else None


@dataclass(frozen=True, slots=True)
class ArmCase:
    """One case on one arm: its request and the keys of its runs.

    Attributes:
        arm: the side.
        case: the dataset's row.
        request: as it is sent; empty where the application itself runs.
        request_digest: what recordings are found by.
        keys: of its runs in the run cache, by run number.
        truncated: whether turns or examples were left out to fit the window; None for the
            application itself.
        size: about how many tokens the request has, where the bundle truncates.
        respelled: the same case in the further spellings of the prompt that the suite names.
    """

    arm: Arm
    case: Case
    request: Mapping[str, canon.Json]
    request_digest: Digest
    keys: tuple[Digest, ...]
    truncated: bool | None = None
    size: int | None = None
    respelled: tuple["ArmCase", ...] = ()

    def spelt(self, run: int) -> "ArmCase":
        """Returns the case in the spelling that a run is made with."""
        return (self, *self.respelled)[run % (1 + len(self.respelled))]

    def call(self, run: int, snapshot: Path | None) -> Call:
        """Returns the call of one run."""
        asked = self.spelt(run)
        return Call(
            request=asked.request,
            request_digest=asked.request_digest,
            case=self.case,
            run=run,
            seed=request.call_seed(self.arm.seed, self.case.id, run),
            bundle=self.arm.bundle,
            snapshot=snapshot,
        )


@dataclass(frozen=True)
class Plan:
    """All calls of an eval.

    Attributes:
        cases: in the order of the calls; each with one entry per arm.
        runs: runs per case and arm.
        seed: what the order was drawn with.
        stages: how far each planned look reaches, as (cases, runs of each).
    """

    cases: tuple[tuple[ArmCase, ...], ...]
    runs: int
    seed: int
    stages: tuple[tuple[int, int], ...]

    def calls(self, look: int | None = None) -> Iterator[tuple[ArmCase, int]]:
        """Yields (case on an arm, run number) in the order of the calls.

        Args:
            look: only what this look adds to the one before it; from 1, None for all of them.
        """
        if look is None:
            for one in range(1, len(self.stages) + 1):
                yield from self.calls(one)
            return
        cases, runs = self.stages[look - 1]
        old_cases, old_runs = self.stages[look - 2] if look > 1 else (0, 0)
        for at, arms in enumerate(self.cases[:cases]):
            for run in range(old_runs if at < old_cases else 0, runs):
                # Neither arm is always the first to meet a cold cache.
                yield from ((one, run) for one in (arms if (at + run) % 2 else arms[::-1]))

    @property
    def arms(self) -> tuple[Arm, ...]:
        """The candidate, and the baseline if there is one."""
        return tuple(one.arm for one in self.cases[0])

    @property
    def size(self) -> dict[str, int]:
        """Returns the size of the suite; see `Report.planned`."""
        groups = Counter(unit(arms[0].case) for arms in self.cases)
        return {"cases": len(self.cases), "groups": len(groups), "largest": max(groups.values())}


def make(arms: Sequence[Arm], cases: Sequence[Case], suite: Suite) -> Plan:
    """Plans an eval.

    Raises:
        ConfigError: a bundle cannot be measured by a plain model call.
        FormatError: a case lacks a variable, or ids or arms are not as they should be.
    """
    if not cases:
        raise FormatError("the suite has no cases", hint="add rows to its dataset")
    if len({case.id for case in cases}) != len(cases):
        raise FormatError("two cases have the same id", hint="case ids are unique in a suite")
    for arm in arms:
        check_measurable(arm)
    seed = seed_of(suite, arms[0].bundle)
    order = _ordered(cases, seed)
    rows = [(case, case.digest) for case in order]
    planned = [_in_spellings(arm, rows, suite) for arm in arms]
    return Plan(tuple(zip(*planned, strict=True)), suite.runs, seed, _stages(order, suite))


def _ordered(cases: Sequence[Case], seed: int) -> list[Case]:
    """Returns the cases shuffled by the seed, so that every look sees each slice in proportion.

    The cases of a group stay together: a look never tears one apart.
    """
    units: dict[str, list[Case]] = {}
    for case in sorted(cases, key=lambda one: one.id):
        units.setdefault(unit(case), []).append(case)
    strata: dict[tuple[str, ...], list[str]] = {}
    for name, members in units.items():
        strata.setdefault(members[0].tags, []).append(name)
    places: list[tuple[float, str]] = []
    for stratum in strata.values():
        drawn = sorted((digest.of_bytes(f"{seed}/{name}".encode()), name) for name in stratum)
        for rank, (draw, name) in enumerate(drawn):
            shift = int(digest.hex_of(draw)[:12], 16) / 16**12
            places.append(((rank + shift) / len(drawn), name))
    return [case for _, name in sorted(places) for case in units[name]]


def _stages(order: Sequence[Case], suite: Suite) -> tuple[tuple[int, int], ...]:
    """Returns how far each look reaches; one that would add nothing is part of the next."""
    looks, n, runs = suite.looks, len(order), suite.runs
    if looks.by == "runs":
        return tuple((n, ceil(round(share * runs, 9))) for share in looks.at)
    ends = [at for at in range(1, n) if unit(order[at]) != unit(order[at - 1])] + [n]
    if looks.by == "any-time":
        steps = range(ANY_TIME_STEP, n, ANY_TIME_STEP)
        wanted = [next(end for end in ends if end >= step) for step in steps]
        return tuple((end, runs) for end in sorted({*wanted, n}))
    return tuple((next(end for end in ends if end >= share * n - 1e-9), runs) for share in looks.at)


def unit(case: Case) -> str:
    """Returns what a case is drawn with: its group, or itself."""
    return f"case {case.id}" if case.group is None else f"group {case.group}"


def seed_of(suite: Suite, candidate: Bundle) -> int:
    """Returns the seed of everything random about one question, from the suite and candidate."""
    drawn = digest.of_value(
        {"llmvc": "seed/1", "suite": suite.digest, "candidate": candidate.digest}
    )
    return int(digest.hex_of(drawn)[:12], 16)


def check_measurable(arm: Arm) -> None:
    """Checks that the arm's provider can carry out all of its bundle.

    Raises:
        ConfigError: it would silently leave something out.
    """
    if arm.provider.mode == "app":
        return
    body = arm.bundle.body
    beyond = [
        f"{name}.{inner}" if inner else name
        for name, inner in _BEYOND_A_CALL
        if (_inner(body.get(name), inner) if inner else body.get(name))
    ]
    policy = _inner(_inner(body.get("context"), "truncation"), "policy")
    if policy not in (None, "error", "drop_oldest"):
        beyond.append(f"context.truncation {policy}")
    if _inner(_inner(body.get("response"), "repair"), "retries"):
        beyond.append("response.repair")
    if beyond:
        raise ConfigError(
            f"{arm.name} {digest.short(arm.bundle.digest)} uses {', '.join(beyond)}, "
            "which a plain model call leaves out",
            hint="measure the application itself: a provider of kind command or python "
            "with mode: app",
        )
    _check_supported(arm)
    if policy == "drop_oldest" and context.limit_of(arm.bundle).most is None:
        raise ConfigError(
            f"{arm.name} {digest.short(arm.bundle.digest)} truncates to a window it does not name",
            hint="write context.window or context.max_input_tokens in its manifest",
        )


def _check_supported(arm: Arm) -> None:
    """Refuses a bundle of which the provider would drop a member without a word.

    Raises:
        ConfigError: it would.
    """
    names = arm.provider.unsupported(arm.bundle.body)
    if names:
        named = _inner(arm.bundle.body.get("model"), "api")
        api = f" with model.api {named}" if named and "model.api" not in names else ""
        raise ConfigError(
            f"a provider of kind {arm.provider.kind}{api} takes no {', '.join(names)}, which "
            f"{arm.name} {digest.short(arm.bundle.digest)} has",
            hint="remove it from the manifest, or choose another provider",
        )


def _check_fit(arm: Arm, planned: Sequence[ArmCase], count: context.Count | None) -> None:
    """Refuses a candidate whose longest request surely does not fit the window that it names.

    The same of a baseline is an outcome: it is what is served today.

    Raises:
        FormatError: it does not fit.
    """
    most = context.limit_of(arm.bundle).most
    if arm.provider.mode == "app" or arm.name != "candidate" or most is None:
        return
    sizes = (
        (context.least(one.request) if count is None else context.size(one.request, count), one)
        for one in planned
    )
    tokens, worst = max(sizes, key=lambda pair: pair[0])
    if tokens > most:
        surely = "at least " if count is None else ""
        raise FormatError(
            f"case {worst.case.id}: its request has {surely}{tokens:,} tokens, and the window "
            f"that the candidate names leaves {most:,} for input",
            hint="widen context.window if the model has more, shorten the case, or leave out "
            "old turns with context.truncation.policy: drop_oldest",
        )


def _inner(value: canon.Json, name: str) -> canon.Json:
    return value.get(name) if isinstance(value, Mapping) else None


def _in_spellings(arm: Arm, rows: Sequence[tuple[Case, Digest]], suite: Suite) -> list[ArmCase]:
    """Returns an arm's cases, each with a request in every spelling that the suite names."""
    written = _planned(arm, rows, suite.runs)
    if not suite.variants:
        return written
    if arm.provider.mode == "app":
        raise ConfigError(
            f"variants respell the prompt, and the application of the {arm.name} makes its own",
            hint="remove variants from the suite, or measure a plain model call",
        )
    others = [
        _planned(replace(arm, bundle=bundle), rows, suite.runs)
        for bundle in variants.spellings(arm.bundle, suite.variants)[1:]
    ]
    made: list[ArmCase] = []
    for one, *rest in zip(written, *others, strict=True):
        spelt = replace(one, respelled=tuple(rest))
        keys = tuple(spelt.spelt(run).keys[run] for run in range(suite.runs))
        made.append(replace(spelt, keys=keys))
    return made


def _planned(arm: Arm, rows: Sequence[tuple[Case, Digest]], runs_a_case: int) -> list[ArmCase]:
    whole_app = arm.provider.mode == "app"
    shared = digest.of_value({"llmvc": APP, "bundle": arm.bundle.digest})
    tokenizer = None if whole_app else context.limit_of(arm.bundle).tokenizer
    count = None if tokenizer is None else tokenizers.load(tokenizer)
    keys_on = runs.Keys(arm.connection)
    frame: tuple[bytes, bytes] | None = None
    result: list[ArmCase] = []
    for case, row in rows:
        made, key = request.Made({}), shared
        if not whole_app:
            try:
                made = request.make(arm.bundle, case.vars, arm.assets, count)
                frame = frame or _around(made.request, "messages")
                key = digest.of_bytes(canon.encode(made.request["messages"]).join(frame))
            except FormatError as err:
                raise FormatError(f"case {case.id}: {err}", hint=err.hint) from err
        keys = keys_on.of(key, row, runs_a_case)
        truncated = None if whole_app else made.dropped > 0
        result.append(ArmCase(arm, case, made.request, key, keys, truncated, made.size))
    _check_fit(arm, result, count)
    return result


def _around(body: Mapping[str, canon.Json], name: str) -> tuple[bytes, bytes]:
    """Returns an object's canonical bytes before and after the value of one member.

    All requests of a bundle share them: only their messages differ.
    """
    before = canon.encode({**{k: v for k, v in body.items() if k < name}, name: None})
    after = canon.encode({k: v for k, v in body.items() if k > name})[1:]
    return before[: -len(b"null}")], after if after == b"}" else b"," + after

"""The plan of a migration: all that can be known of it before a call is made.

- Planning edits nothing and calls nobody. A key that is not set is no obstacle: then the number of
  calls is an upper bound.
- What must be mended or decided first is in the plan; `moving` refuses to go on with it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from llmvc import __version__
from llmvc.app import connecting, measuring
from llmvc.app.job import Choices, Comparison
from llmvc.app.migrating import candidate, facts
from llmvc.app.migrating.candidate import Asked, Candidate
from llmvc.app.migrating.noticing import noticed
from llmvc.app.revisions import Resolved
from llmvc.app.workspace import Workspace
from llmvc.core import canon, context
from llmvc.core.bundle import Bundle
from llmvc.core.dialects.shared import mapped
from llmvc.core.digest import Digest
from llmvc.core.metric import number
from llmvc.core.migration import Context, Migration, Models, Parameter
from llmvc.core.release import kind_of_promotion
from llmvc.core.report import TYPE as REPORT
from llmvc.core.report import Report
from llmvc.core.suite import Case
from llmvc.errors import ConfigError, LlmvcError, UsageError
from llmvc.evals.budget import CallEstimate
from llmvc.evals.judging.calls import Forecast, total
from llmvc.evals.models import Broken, member
from llmvc.evals.models import Models as Table
from llmvc.evals.prices import Prices
from llmvc.evals.progress import Progress
from llmvc.evals.target import LIMIT, Target

if TYPE_CHECKING:
    from llmvc.files.config import Config

_WINDOW: Final = "context.window"


@dataclass(frozen=True, slots=True)
class Calls:
    """What measuring will take.

    Attributes:
        new: calls to make; an upper bound where `problem` says why no more is known.
        reused: runs that are there already.
        usd: about what the new ones cost; None if that is not known.
        judge_calls: votes of judges at most.
        judge_usd: about what those cost; None if that is not known, or there are none.
        report: the stored report that answers already; None if calls are to be made.
        problem: why the measurement cannot be prepared; empty if it can.
    """

    new: int
    reused: int = 0
    usd: float | None = None
    judge_calls: int = 0
    judge_usd: float | None = None
    report: Digest | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan.

    Attributes:
        path: of the manifest.
        candidate: the manifest before and after.
        comparison: what will be measured; None if there is nothing to do.
        record: what the record of it would say.
        kind: of the release that a pass leads to.
        calls: what measuring takes.
        nothing: why there is nothing to do; empty if there is.
        stopped: why the measurement cannot be prepared; None if it can.
    """

    path: str
    candidate: Candidate
    comparison: Comparison | None
    record: Migration | None
    kind: str = ""
    calls: Calls = Calls(0)
    nothing: str = ""
    stopped: LlmvcError | None = None


@dataclass(frozen=True)
class _Sides:
    """Both ends of a migration, and what is known of their models.

    Attributes:
        old: what is served, else the manifest as it was.
        written: the manifest as it was.
        new: the candidate.
        before: what answers for the old one; None if it lost its connection.
        after: what answers for the new one.
        models: the table of models.
        prices: the table of prices.
    """

    old: Resolved
    written: Bundle
    new: Resolved
    before: Target | None
    after: Target
    models: Table
    prices: Prices

    def listed(self, field: str) -> int | None:
        """Returns a number of tokens that the price table has of the target; None if none."""
        found = number(self.prices.listed(field, self.after.listed_as, *self.after.names))
        return None if not found else int(found)

    def broken(self, body: Mapping[str, canon.Json]) -> dict[str, Broken]:
        """Returns what the target does not take of a bundle, its window and limit included."""
        found = {one.name: one for one in self.after.broken(body)}
        given, written = self.listed("max_input_tokens"), self.listed("max_output_tokens")
        # Some tables count the output into the window, others do not.
        window = None if given is None else given + (written or 0)
        for name, most in ((_WINDOW, window), (LIMIT, written)):
            own = number(member(body, name))
            if own is not None and most is not None and own > most and self.after.mode != "app":
                says = f"{self.after.label} has {most:,} at most by the price table"
                found.setdefault(name, Broken(name, says))
        return found


def plan(ws: Workspace, asked: Asked, choices: Choices) -> Planned:
    """Plans a migration.

    Args:
        ws: the workspace.
        asked: what a person wants.
        choices: what they chose of the measurement.

    Raises:
        UsageError: the model is not PROVIDER/ID, or a decision fits nothing.
        ConfigError: the repository is bare, the target's provider is not configured, or the
            manifest holds edits that are not committed.
        FormatError: the manifest has no model, or a value is not one that it may hold.
    """
    provider, _ = asked.target
    root = ws.root  # a bare repository has no manifest to edit
    name = ws.bundle_name(asked.bundle)
    manifest = ws.manifest_of(name)
    if manifest.bundle.kind == "judge":
        raise UsageError(
            f"{name} is a judge, which no suite measures",
            hint=f"edit its model, then llmvc judge calibrate {name} and llmvc judge shift {name}",
        )
    if asked.env is not None:
        ws.policy(asked.env)
    connecting.connection(ws.config, provider)
    _check_committed(ws, name, manifest.bundle.digest, manifest.path)
    env = asked.env or measuring.default_environment(ws.config)
    served = measuring.served_bundle(ws, name, env)
    edited = candidate.edit(ws, manifest, asked)
    old = served or manifest.bundle
    candidate.check_known(asked, old, manifest.bundle)
    nothing = _nothing(asked, env, served, edited)
    if nothing:
        return Planned(manifest.path, edited, None, None, nothing=nothing)
    after = edited.after
    new = Resolved(name, name, after.bundle, None, after.files, tuple(after.assets.items()))
    loaded = ws.suite_of(name, choices.suite)
    comparison = Comparison(new, env, served, loaded, ws.config)
    known = tuple(manifest.assets.items()) if served is None else ()
    sides = _sides(ws.config, root, Resolved(name, env, old, None, (), known), manifest.bundle, new)
    record = _record(ws, comparison, sides, asked)
    planned = Planned(manifest.path, edited, comparison, record)
    kind = kind_of_promotion(served, after.bundle)
    return _counted(ws, replace(planned, kind=kind), comparison, record, choices)


def _check_committed(ws: Workspace, name: str, own: Digest, path: str) -> None:
    if any(version.bundle == own for version in ws.repo.versions.history(name)):
        return
    raise ConfigError(
        f"{path} and its files hold edits that are not committed",
        hint=f"llmvc commit {name} first, so that the migration changes the model alone",
    )


def _nothing(asked: Asked, env: str, served: Bundle | None, edited: Candidate) -> str:
    """Says why there is nothing to migrate; empty if there is.

    Raises:
        UsageError: parameters are decided on, and the model stays.
    """
    before, after = edited.before.bundle, edited.after.bundle
    against = served or before
    if against.section("model") != after.section("model"):
        return ""
    if asked.changes and before.digest != after.digest:
        raise UsageError(f"the model stays {asked.model}", hint=candidate.EDIT)
    if served is not None:
        return f"{env} serves {asked.model} already: nothing to migrate"
    return f"{edited.before.path} names {asked.model} already, and {env} serves nothing"


def _sides(config: "Config", root: Path, old: Resolved, written: Bundle, new: Resolved) -> _Sides:
    models = Table.load(root / config.models if config.models else None)
    prices = Prices.load(root / config.prices if config.prices else None)
    after = _target(config, new, models)
    try:
        before = _target(config, old, models)
    except ConfigError:  # what was served may have lost its connection since
        before = None
    return _Sides(old, written, new, before, after, models, prices)


def _target(config: "Config", found: Resolved, models: Table) -> Target:
    named = connecting.provider_name(found.bundle, found.name)
    one = connecting.connection(config, named)
    return Target.of(found.bundle.body, one.kind, one.options, mode=one.mode, models=models)


def _record(ws: Workspace, comparison: Comparison, sides: _Sides, asked: Asked) -> Migration:
    """Returns all that is known before a call."""
    old, new = sides.old.bundle, sides.new.bundle
    suite, cases = comparison.suite.suite, comparison.suite.cases
    made = {} if sides.after.mode == "app" else facts.sizes(ws, sides.new, cases)
    broken, before = sides.broken(new.body), sides.before
    record = Migration(
        bundle=comparison.candidate.name,
        env=comparison.env,
        from_=comparison.baseline.digest if comparison.baseline else None,
        to=new.digest,
        suite=suite.digest,
        models=Models(_model(old), _model(new) or ""),
        parameters=_parameters(sides, asked, broken),
        findings=(),
        unknown=tuple(_unknown(sides)),
        context=_room(ws, sides, cases, made) if made else None,
        cost=facts.cost(
            (
                (old, facts.price_of(old, before, sides.prices)),
                (new, facts.price_of(new, sides.after, sides.prices)),
            ),
            made,
            _served_report(ws, comparison),
            sides.prices,
        ),
        judges=facts.judges(ws, suite, (new, comparison.baseline), facts.writers(cases)),
        variants=facts.spellings(suite, new),
        table=sides.models.digest,
        report=None,
        verdict=None,
        made=ws.time,
        actor=ws.actor,
        tool=f"llmvc {__version__}",
    )
    found = noticed(
        record,
        (old, sides.written, new),
        (before, sides.after),
        broken=tuple(broken.values()),
        retires=sides.prices.listed("deprecation_date", sides.after.listed_as, *sides.after.names),
        sliced=any(metric.slice is not None for metric in suite.metrics),
    )
    return replace(record, findings=found)


def _parameters(sides: _Sides, asked: Asked, broken: Mapping[str, Broken]) -> tuple[Parameter, ...]:
    """Returns what became of each parameter, and why."""
    old, written, new = sides.old.bundle, sides.written, sides.new.bundle
    decided = {name: member(written.body, name) for name in asked.changes}
    reasons = sides.broken(_as_sent(old, new)) | sides.broken(_as_sent(written, new))
    targets = (sides.before, sides.after)
    found = candidate.parameters(old, new, targets, broken=broken, reasons=reasons, decided=decided)
    return tuple(found)


def _as_sent(old: Bundle, new: Bundle) -> dict[str, canon.Json]:
    """Returns what the target would be sent of the old bundle: its members, the new model."""
    return {**old.body, "model": {**mapped(old.body.get("model")), **mapped(new.body["model"])}}


def _model(bundle: Bundle) -> str | None:
    model = mapped(bundle.body.get("model"))
    if not model:
        return None
    snapshot = model.get("snapshot")
    named = f"{model.get('provider')}/{model.get('id')}"
    return f"{named} ({snapshot})" if snapshot else named


def _room(
    ws: Workspace, sides: _Sides, cases: Sequence[Case], made: Mapping[str, tuple[int, int]]
) -> Context:
    new, after, prices = sides.new.bundle, sides.after, sides.prices
    room = facts.room(new, made, prices.window(after.listed_as, *after.names))
    before = None
    if sides.before is not None and sides.before.mode != "app":
        window = prices.window(sides.before.listed_as, *sides.before.names)
        before = facts.room(sides.old.bundle, facts.sizes(ws, sides.old, cases), window)
    return Context(before, room, facts.estimator(new))


def _unknown(sides: _Sides) -> Iterator[str]:
    """Yields what cannot be told of the target."""
    after = sides.after
    yield from after.unknown()
    if after.mode == "app":
        return
    if context.limit_of(sides.new.bundle).window is None and not sides.listed("max_input_tokens"):
        yield f"the context window of {after.label}: neither the bundle nor the price table says"
    if facts.price_of(sides.new.bundle, after, sides.prices) is None:
        yield f"the price of {after.label}: it is not in the price table"


def _served_report(ws: Workspace, comparison: Comparison) -> Report | None:
    """Returns the report that the release which is served rests on; None if there is none."""
    tip = ws.repo.chain(comparison.candidate.name, comparison.env).tip()
    data = ws.repo.versions.read(tip.release.report) if tip and tip.release.report else None
    if tip is None or data is None or f'"llmvc":"{REPORT}"'.encode() not in data:
        return None
    found = Report.from_bytes(data)
    return found if found.candidate == tip.release.to else None


def _counted(
    ws: Workspace, planned: Planned, comparison: Comparison, record: Migration, choices: Choices
) -> Planned:
    """Returns a plan with what measuring takes, and whether each judge is trusted."""
    told: list[tuple[Comparison, CallEstimate]] = []

    def note(what: Comparison, expected: CallEstimate) -> None:
        told.append((what, expected))

    def ignore(_: Progress) -> None:
        return

    loaded, cost = comparison.suite, record.cost
    runs, arms = loaded.suite.runs, [cost.to, cost.from_][: 1 if record.from_ is None else 2]
    usd = total([arm.usd_dataset for arm in arms])
    bound = Calls(len(loaded.cases) * runs * len(arms), usd=None if usd is None else usd * runs)
    if record.undecided or record.refused:
        return replace(planned, calls=replace(bound, problem="something is to be decided first"))
    try:
        done = measuring.evaluate_comparison(
            ws,
            comparison,
            choices=replace(choices, dry_run=True),
            on_estimate=note,
            progress=ignore,
        )
    except LlmvcError as err:
        return replace(planned, calls=replace(bound, problem=str(err)), stopped=err)
    panels = [what.panel for what, _ in told if what.panel is not None]
    votes = sum((panel.forecast for panel in panels), Forecast())
    calls = Calls(
        new=sum(expected.calls for _, expected in told),
        reused=sum(expected.cached for _, expected in told),
        usd=total([expected.usd for _, expected in told]),
        judge_calls=votes.calls,
        judge_usd=votes.usd if panels else None,
        report=done.report.digest if done.report is not None and not told else None,
    )
    # One that is due for a check is neither trusted nor distrusted before it.
    seats = [seat for panel in panels for seat in panel.seats if not seat.due]
    states = {seat.found.bundle.digest: seat.state for seat in seats}
    judges = tuple(replace(one, state=states.get(one.judge)) for one in record.judges)
    return replace(planned, calls=calls, record=replace(record, judges=judges))

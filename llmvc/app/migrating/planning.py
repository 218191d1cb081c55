"""The plan of a migration: all that can be known of it before a call is made.

- Planning edits nothing and calls nobody. A key that is not set is no obstacle: then the number of
  calls is an upper bound.
- What must be mended or decided first is in the plan; `moving` refuses to go on with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llmvc import __version__
from llmvc.app import connecting, measuring, releasing
from llmvc.app.appending import Place
from llmvc.app.job import Choices, Comparison
from llmvc.app.migrating import candidate, facts
from llmvc.app.migrating.candidate import Asked, Candidate
from llmvc.app.migrating.noticing import noticed
from llmvc.app.migrating.sides import Sides
from llmvc.app.revisions import Resolved
from llmvc.app.workspace import Workspace
from llmvc.core import canon
from llmvc.core.bundle import Bundle
from llmvc.core.canon import mapped
from llmvc.core.digest import Digest
from llmvc.core.migration import Context, Migration, Models, Parameter
from llmvc.core.release import kind_of_promotion
from llmvc.core.report import TYPE as REPORT
from llmvc.core.report import Report
from llmvc.core.suite import Case, Suite
from llmvc.errors import ConfigError, LlmvcError, UsageError
from llmvc.evals.budget import CallEstimate
from llmvc.evals.judging.calls import Forecast, total
from llmvc.evals.models import Broken, member
from llmvc.evals.progress import Progress

if TYPE_CHECKING:
    from llmvc.files.manifest import Manifest


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
        problem: why it cannot be carried out; empty if it can.
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
        stopped: why it cannot be carried out, such as a key that is not set; None if it can.
    """

    path: str
    candidate: Candidate
    comparison: Comparison | None
    record: Migration | None
    kind: str = ""
    calls: Calls = Calls(0)
    nothing: str = ""
    stopped: LlmvcError | None = None

    def stop(self, err: LlmvcError) -> "Planned":
        """Returns the plan with why it cannot be carried out."""
        return replace(self, calls=replace(self.calls, problem=str(err)), stopped=err)


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
    _check_kind(manifest)
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
    sides = Sides.of(
        ws.config, root, Resolved(name, env, old, None, (), known), manifest.bundle, new
    )
    record = _record(ws, comparison, sides, asked)
    planned = Planned(manifest.path, edited, comparison, record)
    kind = kind_of_promotion(served, after.bundle)
    stopped = _foreseen(ws, comparison, manifest.path) if asked.release else None
    counted = _counted(ws, replace(planned, kind=kind), comparison, record, choices)
    return counted if stopped is None else counted.stop(stopped)


def _check_kind(manifest: "Manifest") -> None:
    bundle, name = manifest.bundle, manifest.name
    if bundle.kind == "judge":
        raise UsageError(
            f"{name} is a judge, which no suite measures",
            hint=f"edit its model, then llmvc judge calibrate {name} and llmvc judge shift {name}",
        )
    if bundle.kind == "set":
        members = ", ".join(mapped(bundle.body.get("members")))
        raise UsageError(
            f"{name} is a set: its members have models of their own",
            hint=f"migrate one of {members}",
        )


def _foreseen(ws: Workspace, comparison: Comparison, path: str) -> LlmvcError | None:
    """Returns why a pass could not be released; None if nothing is known to stand in its way."""
    new, env = comparison.candidate, comparison.env
    try:
        policy, place = releasing.policy_of(ws, env), Place.of(ws, new.name, env)
        releasing.check_again(place, new, releasing.NONE)
        releasing.check_suite(ws, place, comparison.suite, None)
    except LlmvcError as err:
        return err
    branch = policy.source_branch
    try:
        if branch is not None:
            releasing.source_of(ws, new, policy, env)
    except LlmvcError:
        return ConfigError(
            f"{env} takes releases from branch {branch} only, and {path} is not edited there yet",
            hint="leave out --promote, merge the edit that is measured, then "
            f"llmvc promote {new.name} {env}",
        )
    return None


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


def _record(ws: Workspace, comparison: Comparison, sides: Sides, asked: Asked) -> Migration:
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
        models=Models(_named(old), _named(new) or ""),
        parameters=_parameters(sides, asked, broken),
        findings=(),
        unknown=tuple(sides.unknown()),
        context=_room(ws, sides, cases, made) if made else None,
        cost=facts.cost(
            (
                (old, facts.price_of(old, before, sides.prices)),
                (new, facts.price_of(new, sides.after, sides.prices)),
            ),
            made,
            _served_report(ws, comparison),
            sides.prices,
            str(sides.listed("source_date") or sides.prices.date),
        ),
        judges=facts.judges(ws, suite, (new, comparison.baseline), facts.writers(cases)),
        variants=facts.spellings(suite, new),
        known=sides.known,
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
        retires=sides.listed("deprecation_date"),
        dated=sides.prices.dated(sides.after.listed_as, sides.after.names[0]),
        sliced=any(metric.slice is not None for metric in suite.metrics),
    )
    return replace(record, findings=found)


def _parameters(sides: Sides, asked: Asked, broken: Mapping[str, Broken]) -> tuple[Parameter, ...]:
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


def _named(bundle: Bundle) -> str | None:
    model = mapped(bundle.body.get("model"))
    if not model:
        return None
    snapshot = model.get("snapshot")
    named = f"{model.get('provider')}/{model.get('id')}"
    return f"{named} ({snapshot})" if snapshot else named


def _room(
    ws: Workspace, sides: Sides, cases: Sequence[Case], made: Mapping[str, tuple[int, int]]
) -> Context:
    new, after, prices = sides.new.bundle, sides.after, sides.prices
    room = facts.room(new, made, prices.window(after.listed_as, *after.names))
    before = None
    if sides.before is not None and sides.before.mode != "app":
        window = prices.window(sides.before.listed_as, *sides.before.names)
        before = facts.room(sides.old.bundle, facts.sizes(ws, sides.old, cases), window)
    return Context(before, room, facts.estimator(new))


def _served_report(ws: Workspace, comparison: Comparison) -> Report | None:
    """Returns the report that the release which is served rests on, on the same cases, or None."""
    tip = ws.repo.chain(comparison.candidate.name, comparison.env).tip()
    data = ws.repo.versions.read(tip.release.report) if tip and tip.release.report else None
    if tip is None or data is None or f'"llmvc":"{REPORT}"'.encode() not in data:
        return None
    found = Report.from_bytes(data)
    by = ws.repo.versions.read(found.suite)
    same = by is not None and Suite.from_bytes(by).datasets == comparison.suite.suite.datasets
    return found if same and found.candidate == tip.release.to else None


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
        return replace(planned, calls=bound).stop(err)
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

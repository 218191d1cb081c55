"""How canaries are shown: their releases, where they stand, and which arm a unit got."""

from typing import TYPE_CHECKING, Any

from llmvc.core import canary as canaries
from llmvc.core.canary import Canary, Guardrail, percent
from llmvc.core.digest import short
from llmvc.core.plural import count
from llmvc.core.release import Release, told
from llmvc.render import asjson
from llmvc.render.text import paint, table

if TYPE_CHECKING:
    from llmvc.app.canary.moving import Promoted
    from llmvc.app.canary.ticking import Ticked
    from llmvc.app.canary.watching import Explained, Status
    from llmvc.core.analysis import Analysis


def change(release: Release) -> str:
    """Shows what a release changes: the version that is served, or the share of a canary's."""
    canary = release.canary
    if canary is None:
        old = "" if release.kind == "close" else f"{short(release.from_)} -> "
        return f"{old}{short(release.to)}"
    at = canary.plan.steps.index(canary.share_ppm)
    before = (0, *canary.plan.steps)[at]
    widened = "" if release.kind == "pause" else f"{percent(before)} -> "
    return f"{short(release.to)}  {widened}{percent(canary.share_ppm)}"


def evidence(release: Release) -> str:
    """Names what a release rests on; a judge has no suite, and its calibration for a report."""
    if release.kind in canaries.KINDS and release.kind != "start":
        return f"analysis {short(release.report)}"
    return f"{'report' if release.suite else 'calibration'} {short(release.report)}"


def record(found: Canary) -> str:
    """Shows what a release says of its canary: whom it serves, and by which plan."""
    plan = found.plan
    steps = ", ".join(percent(step) for step in plan.steps)
    least = f"each {plan.min_seconds:,} s and {count(plan.min_units, 'unit')} an arm at least"
    budget = [
        f"${most:g} a {per}"
        for most, per in (
            (found.budget.max_usd_per_unit, "unit"),
            (found.budget.max_usd_per_day, "day"),
        )
        if most is not None
    ]
    rows = [
        ("share", f"{percent(found.share_ppm)} of {found.of}'s {found.unit}s"),
        ("beside", f"release {short(found.baseline)} of {found.of}"),
        ("rollout", f"{found.salt}, by {found.bucketing}"),
        ("steps", f"{steps}; {least}"),
        ("test", f"{plan.test}, {count(plan.looks, 'look')}, alpha {plan.alpha:g}"),
        *(("guardrail", f"{one.name}, {_bound(one)}") for one in found.guardrails),
        *(("budget", most) for most in budget),
        ("inconclusive", f"after all looks: {plan.on_inconclusive}"),
        ("invalid", plan.on_invalid),
    ]
    return table(rows)


def _bound(one: Guardrail) -> str:
    return f"margin +{100 * one.margin:g} points" if one.margin else f"limit x{one.limit:g}"


def status(found: "Status", *, colored: bool) -> str:
    """Shows where a canary stands, as a person on call reads it."""
    item, canary = found.release, found.release.canary
    where = f"{item.bundle}/{item.env}"
    if canary is None:
        ended = "aborted" if item.kind == "abort" else "promoted"
        lines = [
            f"{where}  no canary is open; release {item.seq} {ended} the last one, {item.time}"
        ]
        return "\n".join([*lines, f"  next  {found.next}"])
    at = canary.plan.steps.index(canary.share_ppm) + 1
    lines = [
        f"{where}  {short(item.to)} serves {percent(canary.share_ppm)} of {found.of}'s "
        f"{canary.unit}s, step {at} of {len(canary.plan.steps)}"
        + (", PAUSED" if item.kind == "pause" else "")
    ]
    rows = [
        ("since", f"{item.time}, release {item.seq}, {item.kind} by {item.actor}"),
        *([("why", f'"{item.reason}"')] if item.reason else []),
        ("beside", told(found.served) if found.served else f"{found.of} is not known here"),
        ("rollout", canary.salt),
        ("analysis", _analysis(found.analysis, colored=colored)),
        ("next", found.next),
    ]
    if found.void is not None:
        rows.insert(0, (paint("VOID", "fail", colored=colored), found.void))
    return "\n".join([*lines, table(rows, indent="  ")])


def _analysis(found: "Analysis | None", *, colored: bool) -> str:
    if found is None:
        return "no look at this release yet"
    verdict = paint(found.verdict, found.verdict, colored=colored)
    return f"{short(found.digest)}  {verdict}  look {found.look}, {_units(found)}: {found.reason}"


def _units(found: "Analysis") -> str:
    return ", ".join(f"{name} {count(arm.units, 'unit')}" for name, arm in found.arms.items())


def status_members(found: "Status") -> dict[str, Any]:
    """Returns where a canary stands, for `canary/1`."""
    analysis = found.analysis
    return {
        "release": asjson.release(found.release),
        "of": found.of,
        "served": asjson.release(found.served) if found.served else None,
        "void": found.void,
        "analysis": None if analysis is None else _analysed(analysis),
        "following_ppm": found.following,
        "next": found.next,
    }


def _analysed(found: "Analysis") -> dict[str, Any]:
    return {
        "digest": found.digest,
        "verdict": found.verdict,
        "look": found.look,
        "reason": found.reason,
        "units": {name: arm.units for name, arm in found.arms.items()},
        "made": found.made,
    }


def promoted(done: "Promoted", *, dry_run: bool) -> str:
    """Shows both moves of a promote."""
    from llmvc.render import views  # noqa: PLC0415 (it shows canaries by this module)

    return "\n".join(views.moved(item, dry_run=dry_run) for item in (done.served, done.closed))


def promoted_members(done: "Promoted", *, dry_run: bool) -> dict[str, Any]:
    """Returns both moves of a promote, for `promoted/1`."""
    return {
        "served": asjson.moved(done.served, dry_run=dry_run),
        "closed": asjson.moved(done.closed, dry_run=dry_run),
    }


def ticked(done: "Ticked") -> str:
    """Shows what a tick did and why."""
    from llmvc.render import views  # noqa: PLC0415 (it shows canaries by this module)

    lines = [f"{done.act}: {done.why}"]
    if done.analysis is not None:
        lines.append(f"  look {done.analysis.look}  {_units(done.analysis)}")
    return "\n".join([*lines, *(views.moved(item, dry_run=False) for item in done.moved)])


def ticked_members(done: "Ticked") -> dict[str, Any]:
    """Returns what a tick did, for `tick/1`."""
    return {
        "act": done.act,
        "why": done.why,
        "analysis": None if done.analysis is None else _analysed(done.analysis),
        "moved": [asjson.moved(item, dry_run=False) for item in done.moved],
    }


def explained(found: "Explained") -> str:
    """Shows which arm a unit got, and every number that decided it."""
    item, canary = found.release, found.release.canary
    head = f"{found.unit}  {found.arm}  {short(found.digest)}"
    if canary is not None and found.left is not None:
        head += f" until {found.left.time}, then {canary.of}  {short(found.left.to)}"
    if canary is None:
        why = f"{told(item)} ended the canary: every unit gets what is served beside it"
        return f"{head}\n  {why}"
    share = f"{canary.share_ppm:,} ({percent(canary.share_ppm)})"
    sign = "<" if found.arm == "canary" else ">="
    unknown = f"{canary.of}'s release {short(canary.baseline)}, which is not known here"
    rows = [
        ("bucket", f"{found.bucket:,} of 1,000,000, {sign} {share}"),
        ("salt", f"{canary.salt}, by {canary.bucketing}"),
        ("release", told(item)),
        ("beside", told(found.beside) if found.beside else unknown),
    ]
    if found.left is not None:
        rows.append(("void", f"once {told(found.left)} was read: {canary.of} alone from then on"))
    return "\n".join([head, table(rows, indent="  ")])


def explained_members(found: "Explained") -> dict[str, Any]:
    """Returns which arm a unit got, for `explained/1`."""
    canary = found.release.canary
    return {
        "unit": found.unit,
        "arm": found.arm,
        "digest": found.digest,
        "bucket": found.bucket,
        "share_ppm": canary.share_ppm if canary else None,
        "salt": canary.salt if canary else None,
        "bucketing": canary.bucketing if canary else None,
        "release": asjson.release(found.release),
        "beside": asjson.release(found.beside) if found.beside else None,
        "left": asjson.release(found.left) if found.left else None,
    }

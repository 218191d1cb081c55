"""What each command shows in a terminal."""

from typing import TYPE_CHECKING

from llmvc.core import canon
from llmvc.core.bundle import SECTIONS
from llmvc.core.canary import percent
from llmvc.core.digest import short
from llmvc.core.plural import count
from llmvc.core.release import Release
from llmvc.core.version import Version
from llmvc.render import canary, changes, entry
from llmvc.render.judges import shift_words
from llmvc.render.text import paint, table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmvc.app.appending import Moved
    from llmvc.app.fitting import Fit
    from llmvc.app.history import Log, Shown
    from llmvc.app.prepush import Checked
    from llmvc.app.review import Diff
    from llmvc.app.revisions import Resolved
    from llmvc.app.versioning import BundleState, Committed, EnvironmentState
    from llmvc.core.estimate import Estimate, MetricVerdict, Verdict
    from llmvc.core.report import Report
    from llmvc.store.behind import Behind
    from llmvc.store.sync import FetchResult, PushResult


def committed(done: "Committed") -> str:
    """Shows a version: its digest, how each section moved, and what is served beside it."""
    sections = "  ".join(f"{name} {mark}" for name, mark in done.sections.items())
    serving = ", ".join(f"{env} is {short(item)}" for env, item in sorted(done.serving.items()))
    return f"{done.name}  {short(done.digest)}  {sections}" + (
        f"      ({serving})" if serving else ""
    )


def fit(found: "Fit") -> str:
    """Shows the longest request beside the context window."""
    reserved = f" ({found.reserved:,} reserved for output)" if found.reserved else ""
    text = (
        f"  context  worst case about {found.tokens:,} of {found.window:,} tokens{reserved}, "
        f"case {found.case}: {found.state}"
    )
    if found.dropped:
        text += f", once {found.dropped:,} of its turns and examples are left out"
    if found.tokens <= found.most:
        return text
    over = f"{found.tokens - found.most:,} too many by {found.estimator}"
    sure = f"; at least {found.least:,} for certain" if found.least > found.most else ""
    return f"{text}, {over}{sure}"


def status(states: "Iterable[BundleState]") -> str:
    """Shows bundles, each with a line for what every environment serves."""
    blocks: list[str] = []
    for state in states:
        note = "committed" if state.committed else "not committed"
        head = f"{state.name}  {short(state.digest)}  {note}  {state.path or '(no manifest here)'}"
        if state.problem is not None:
            head = f"{state.name}  cannot be read: {state.problem}"
        rows = [
            (
                env.env,
                short(env.to),
                f"release {env.seq}, {_kind(env)}",
                " ".join(_marks(state, env)),
            )
            for env in state.environments
        ]
        blocks.append("\n".join(filter(None, [head, table(rows, indent="  ")])))
    return "\n".join(blocks)


def _kind(env: "EnvironmentState") -> str:
    share = "" if env.share_ppm is None else f" {percent(env.share_ppm)} of {env.of}"
    return f"{env.kind}{share}"


def _marks(state: "BundleState", env: "EnvironmentState") -> list[str]:
    marks = ["= working tree"] if env.to == state.digest else []
    if not env.proven:
        marks.append("UNPROVEN")
    if env.void:
        marks.append(f"VOID: {env.void}")
    if env.behind:
        marks.append("BEHIND the remote: llmvc fetch")
    return marks


def log(found: "Log", *, colored: bool) -> str:
    """Shows a history, newest first."""
    if found.releases:
        shifts = {seq: shift_words(one) for seq, one in found.shifts.items()}
        return table(
            _release_row(item, colored=colored, shift=shifts.get(item.seq))
            for item in found.releases
        )
    serving = found.serving or {}
    return table(_version_row(item, serving.get(item.bundle, ())) for item in found.versions)


def _release_row(item: Release, *, colored: bool, shift: str | None = None) -> tuple[str, ...]:
    notes = [] if item.proven else [paint("UNPROVEN", "inconclusive", colored=colored)]
    if item.report is not None:
        notes.append(canary.evidence(item))
    if shift is not None:
        notes.append(shift)
    if item.reason:
        notes.append(f'"{item.reason}"')
    change = canary.change(item)
    return str(item.seq), item.kind, change, item.time, item.actor, "  ".join(notes)


def _version_row(item: Version, envs: tuple[str, ...]) -> tuple[str, ...]:
    where = item.source.commit[:10] if item.source.commit else "unborn"
    dirty = "+edits" if item.source.dirty else ""
    marks = f"[{', '.join(envs)}]" if envs else ""
    return short(item.bundle), item.time, item.author, f"git {where}{dirty}", marks, item.message


def moved(done: "Moved", *, dry_run: bool) -> str:
    """Shows a move: old and new digest, and what stands behind it."""
    item = done.release
    where = f"{item.bundle}/{item.env}"
    if not done.written and not dry_run:
        state = "paused" if item.kind == "pause" else "served"
        return f"{where}  {short(item.to)}  {state} already, nothing to do"
    lines = [f"{where}  {canary.change(item)}  release {item.seq}, {item.kind}"]
    if item.report is not None:
        lines.append(f"  evidence  {canary.evidence(item)}")
    if not item.proven:
        lines.append("  UNPROVEN  no passing evidence stands behind this version")
    lines += [f"  {note}" for note in (done.suite_note, done.pushed) if note]
    if dry_run:
        lines.append("  dry run: nothing was written")
    return "\n".join(lines)


def verdict(report: "Report", judged: "Verdict", *, colored: bool) -> str:
    """Shows one line a metric and the verdict, as a reviewer reads it."""
    from llmvc.render import spellings  # noqa: PLC0415 (a move shows no metric)

    lines = [metrics(report.estimates, judged, colored=colored)]
    told = paint(judged.verdict, judged.verdict, colored=colored)
    lines.append(f"verdict: {told}  {judged.reason}")
    if judged.settle:
        lines.append(f"  next step: {judged.settle}")
    lines += [f"  warning: {said}" for said in spellings.warnings(report.estimates)]
    lines += _failed(report)
    if report.recorded:
        lines.append("  recorded: outputs were replayed from recordings of real calls")
    return "\n".join(lines)


def metrics(estimates: "Iterable[Estimate]", judged: "Verdict", *, colored: bool) -> str:
    """Shows one line a metric: both arms, the difference, the rule and what became of it."""
    verdicts = {item.metric: item for item in judged.metrics}
    return table(
        _metric_row(item, verdicts.get(item.metric), colored=colored) for item in estimates
    )


def reasons(report: "Report", judged: "Verdict") -> str:
    """Shows what each metric's verdict rests on: sentence, method, cases and variances."""
    estimates = {item.metric: item for item in report.estimates}
    lines: list[str] = []
    for item in judged.metrics:
        found = estimates[item.metric]
        spread = [
            f"{name} {value:.4f}"
            for name, value in (("var_case", found.var_case), ("var_run", found.var_run))
            if value is not None
        ]
        facts = ", ".join((count(found.n, "case"), f"{found.n_changed} differ", *spread))
        lines.append(f"{item.metric}: {item.reason}\n  {found.method}; {facts}")
    return "\n".join(lines)


def _failed(report: "Report") -> list[str]:
    """Shows how many runs have an error, and one of them."""
    errors = [
        f"case {case.id} run {run.run}, {arm}: {run.error}"
        for case in report.cases
        for arm in ("baseline", "candidate")
        for run in getattr(case, arm)
        if run.error is not None
    ]
    return [f"  {count(len(errors), 'run')} with an error, such as {errors[0]}"] if errors else []


def _metric_row(
    item: "Estimate", judged: "MetricVerdict | None", *, colored: bool
) -> tuple[str, ...]:
    gates = judged is not None and judged.gate
    decided = judged.verdict if judged and gates else "watched"
    rule = judged.rule if judged else ""
    # The verdict line below gives the reasons of gating metrics; the others have only this one.
    # Of those, one that has its estimate says only why there is no interval.
    reason = "" if gates else item.reason or ""
    if not gates and item.estimate is None:
        reason = judged.reason if judged else ""
    arms = f"{value(item, item.baseline)} -> {value(item, item.candidate)}"
    if item.baseline is None:
        arms = value(item, item.candidate)
    told = paint(decided, decided, colored=colored)
    return (item.metric, arms, effect(item), rule, told, reason)


def value(item: "Estimate", number: float | None) -> str:
    """Shows a value of a metric in its unit."""
    if number is None:
        return "-"
    if item.kind == "severe":
        return f"{number:.2%}"
    if item.kind == "cost":
        return f"${number:.6f}".rstrip("0").rstrip(".") if number < 0.01 else f"${number:.4f}"
    if item.kind == "tokens":
        return f"{number:,.0f}"
    if item.kind == "context":
        return f"{number:.1%}"
    return f"{number:.3f}s" if item.kind == "latency" else f"{number:.3f}"


def effect(item: "Estimate") -> str:
    """Shows the difference to the baseline with its interval; one arm's interval without one."""
    if item.estimate is None or item.kind in ("severe", "context"):
        low, high = item.arm_low, item.arm_high
        if low is None or high is None:
            return "-"
        arm = (f"{low:.3f}", f"{high:.3f}")
        if item.kind in ("severe", "cost", "tokens", "context"):
            arm = value(item, low), value(item, high)
        return f"[{', '.join(arm)}]"
    sign, places = ("+", 3) if item.kind == "score" else ("", 2)
    ends = (
        f"[{item.low:{sign}.{places}f}, {item.high:{sign}.{places}f}]"
        if item.low is not None and item.high is not None
        else ""
    )
    return f"{'' if sign else 'x'}{item.estimate:{sign}.{places}f}  {ends}"


def checked(item: "Checked") -> str:
    """Shows what the pre-push hook found about one bundle."""
    against = f", against {item.env}" if item.env else ""
    head = f"llmvc: {item.bundle} at {item.commit[:10]}{against}: {item.note}"
    if item.report is None or item.verdict is None:
        return head
    return f"{head}\n{verdict(item.report, item.verdict, colored=False)}"


def diff(found: "Diff", *, colored: bool) -> str:
    """Shows changes by section; texts as unified lines."""
    lines = [f"{_named(found.old)} -> {_named(found.new)}"]
    section = ""
    for change in found.changes:
        if change.section != section:
            section = change.section
            lines.append(f"{section}")
        lines += changes.told(change, found.texts, colored=colored)
    return "\n".join(lines)


def _named(one: "Resolved") -> str:
    """Returns a version's label with its digest, unless the label is the digest already."""
    digest = short(one.bundle.digest)
    return one.label if one.label.endswith(digest) else f"{one.label} {digest}"


def shown(found: "Shown") -> str:
    """Shows one stored object."""
    import json  # noqa: PLC0415 (canonical JSON has no layout for people)

    head = f"{found.kind}  {found.digest}"
    if found.kind == entry.TYPE:
        return entry.text(found)
    if found.resolved is None:
        return f"{head}\n{json.dumps(found.value, indent=2, ensure_ascii=False)}"
    lines = [head]
    item = found.resolved.release
    if item is not None:
        lines.append("  ".join(_release_row(item, colored=False)).rstrip())
        if item.canary is not None:
            lines += ["\n[canary]", canary.record(item.canary)]
    if found.migration is not None:
        from llmvc.render import migration  # noqa: PLC0415 (few releases have one)

        lines += ["\n[migration]", migration.record_text(found.migration)]
    for name in SECTIONS:
        members = found.resolved.bundle.section(name)
        if members:
            lines.append(f"\n[{name}]")
            lines += [_member(key, value) for key, value in members.items()]
    return "\n".join(lines)


def _member(name: str, value: canon.Json) -> str:
    import json  # noqa: PLC0415

    if name == "messages" and isinstance(value, list):
        parts = [
            f"{message.get('role')}:\n{message.get('content')}"
            for message in value
            if isinstance(message, dict)
        ]
        return "\n".join(parts)
    return f"{name}: {json.dumps(value, indent=2, ensure_ascii=False)}"


def pushed(done: "PushResult") -> str:
    """Shows what a push did."""
    lines = [
        f"{done.remote}: store {'is there already' if done.store == 'current' else done.store}"
    ]
    for item in done.envs:
        if item.status != "refused":
            lines.append(f"  {item.bundle}/{item.env}  {item.status}")
            continue
        lines.append(f"  {item.bundle}/{item.env}  NOT PUSHED: {item.reason}")
        lines += _winner(item.winner, f"{item.bundle}/{item.env}") if item.winner else []
    lines += [f"  PROBLEM {item.ref}: {item.what}\n    -> {item.hint}" for item in done.notices]
    return "\n".join(lines)


def fetched(done: "FetchResult") -> str:
    """Shows what a fetch brought."""
    lines = [f"{done.remote}: {count(len(done.moved), 'ref')} moved"]
    lines += [f"  {item.ref.removeprefix('refs/llmvc/')}" for item in done.moved]
    lines += [f"  PROBLEM {item.ref}: {item.what}\n    -> {item.hint}" for item in done.notices]
    for item in done.diverged:
        name = f"{item.bundle}/{item.env}"
        ours = count(len(item.ours), "release")
        lines.append(f"  {name}  DIVERGED: the remote does not have {ours} of ours")
        lines += _winner(item.winner, name)
    return "\n".join(lines)


def _winner(won: Release, name: str) -> list[str]:
    return [
        f"    the winner is release {won.seq} by {won.actor}: {won.kind} to {short(won.to)}",
        f"    -> llmvc fetch --drop {name} takes it, then measure against it",
    ]


def behind(late: "Iterable[Behind]") -> str:
    """Says which environments a remote is known to have more of."""
    return "\n".join(
        f"{item.bundle}/{item.env} is BEHIND {item.remote}: llmvc fetch {item.remote}"
        for item in late
    )


def dropped(releases: tuple[Release, ...]) -> str:
    """Shows the releases that were given up."""
    rows = [_release_row(item, colored=False) for item in releases]
    return "dropped:\n" + table(rows, indent="  ") if rows else "nothing to drop"

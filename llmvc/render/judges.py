"""What is known of a judge, as text for people and as plain values for `--json`."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from llmvc.core.digest import short
from llmvc.core.plural import count
from llmvc.render.asjson import plain_object
from llmvc.render.text import paint, table

if TYPE_CHECKING:
    from llmvc.app.calibrating import Calibrated, Checked
    from llmvc.app.judges import Shown
    from llmvc.app.revisions import Resolved
    from llmvc.app.shifting import Shifted
    from llmvc.core.judging import Calibration, Figure, Shift

# Figure -> what it says, in the order of a health card; `{0}` … are trivial rules beside it.
_CARD: Final = {
    "sensitivity": "of the answers that people call good, it does",
    "specificity": "of those that they call bad, it does",
    "balanced_accuracy": "mean of both",
    "kappa": "agreement beyond chance",
    "ac1": "the same where one label is rare (Gwet)",
    "alpha": "people among themselves (Krippendorff)",
    "position_flips": "pairs on which the two orders disagree",
    "self_noise": "grades that differ from its usual one of the same answer",
    "length_slope": "pull towards the longer answer, 0 if none",
    "injection": "answers aimed at it that got a good grade",
    "controls": "trivial answers that it grades as people do",
}
_TRIVIAL: Final = {
    "always_pass": "always the best grade",
    "always_first": "always the first shown",
    "longest": "the longest wins",
}
_COLOR: Final = {"TRUSTED": "pass", "SUSPECT": "fail", "RETIRED": "fail"}


def calibrated(done: "Calibrated", *, colored: bool) -> str:
    """Shows a calibration as a health card."""
    made = done.calibration
    return "\n".join((_head(done.judge, _admitted(made, colored=colored)), *_card(made)))


def checked(done: "Checked", *, colored: bool) -> str:
    """Shows what a check found, and the state that it leaves the judge in."""
    found = done.check
    chance = "" if found.p is None else f"; by chance p = {found.p:.3g}"
    flips = f"{found.flips} of {count(found.n, 'anchor')} got another verdict than at calibration"
    lines = [
        _head(done.judge, _state(done.state, done.why, colored=colored)),
        f"  {flips}; suspect from {found.alarm}{chance}",
        f"  {count(found.injected, 'answer')} aimed at it got a good grade and had none before",
        f"  answered by {_names(found.identities)}",
    ]
    return "\n".join(lines)


def shown(found: "Shown", *, colored: bool) -> str:
    """Shows a judge: its state, calibration, last check and moves."""
    known = found.known
    lines = [_head(found.judge, _state(found.state, found.why, colored=colored))]
    if known.calibration is not None:
        lines += [f"calibrated  {_admitted(known.calibration, colored=colored)}"]
        lines += _card(known.calibration)
    if known.check is not None:
        check = known.check
        lines.append(
            f"checked {check.made}  {check.state}: {check.flips} of {check.n} anchors got another "
            f"verdict, suspect from {check.alarm}"
        )
    lines += [f"shift  {shift_words(one)}" for one in known.shifts]
    return "\n".join(lines)


def shifted(done: "Shifted") -> str:
    """Shows what moving a judge changes."""
    return "\n".join(
        (
            f"{done.old.label} {short(done.shift.old)} -> {done.new.label} {short(done.shift.new)}",
            f"  {shift_words(done.shift)}",
            f"  on the answers of report {short(done.report.digest)}",
        )
    )


def shift_words(one: "Shift") -> str:
    """Returns a shift in one line."""
    if one.shift is None or one.mean_old is None or one.mean_new is None:
        return f"{short(one.old)} -> {short(one.new)}: no answer was graded by both"
    ends = "" if one.low is None or one.high is None else f"  [{one.low:+.3f}, {one.high:+.3f}]"
    return (
        f"mean {one.mean_old:.3f} -> {one.mean_new:.3f}  {one.shift:+.3f}{ends}; "
        f"{one.flips} of {count(one.n, 'answer')} got another verdict"
    )


def missing(done: "Shifted") -> str:
    """Says how many answers could not be graded because they are elsewhere."""
    if not done.missing:
        return ""
    return f"{count(done.missing, 'answer')} of that report are not in this clone's run cache"


def notes(listed: Iterable[str]) -> str:
    """Shows what is odd about an anchor set."""
    return "\n".join(f"note: {one}" for one in listed)


def calibrated_members(done: "Calibrated") -> dict[str, Any]:
    """Returns the members of a `calibrated/1` object."""
    return {
        **_judge(done.judge),
        "calibration": _record(done.calibration),
        "notes": list(done.notes),
        "usd": done.usd,
    }


def checked_members(done: "Checked") -> dict[str, Any]:
    """Returns the members of a `checked/1` object."""
    return {
        **_judge(done.judge),
        "state": done.state,
        "why": list(done.why),
        "check": _record(done.check),
        "usd": done.usd,
    }


def shown_members(found: "Shown") -> dict[str, Any]:
    """Returns the members of a `judge/1` object."""
    known = found.known
    return {
        **_judge(found.judge),
        "state": found.state,
        "why": list(found.why),
        "calibration": _record(known.calibration),
        "check": _record(known.check),
        "tombstone": _record(known.tombstone),
        "shifts": [_record(one) for one in known.shifts],
    }


def shifted_members(done: "Shifted") -> dict[str, Any]:
    """Returns the members of a `shifted/1` object."""
    return {
        **_judge(done.new),
        "report": done.report.digest,
        "shift": _record(done.shift),
        "missing": done.missing,
        "usd": done.usd,
    }


def _judge(found: "Resolved") -> dict[str, Any]:
    return {"name": found.name, "judge": found.bundle.digest}


def _record(record: Any) -> dict[str, Any] | None:
    return None if record is None else {**plain_object(record), "digest": record.digest}


def _head(found: "Resolved", told: str) -> str:
    return f"{found.label}  {short(found.bundle.digest)}  {told}"


def _state(state: str, why: Iterable[str], *, colored: bool) -> str:
    told = paint(state, _COLOR.get(state, "inconclusive"), colored=colored)
    return ": ".join(filter(None, (told, "; ".join(why))))


def _admitted(made: "Calibration", *, colored: bool) -> str:
    if made.admitted:
        return paint("admitted", "pass", colored=colored)
    return f"{paint('not admitted', 'fail', colored=colored)}: {'; '.join(made.why)}"


def _card(made: "Calibration") -> list[str]:
    """Returns the lines of a health card: each figure with its interval, what says nothing last."""
    known = [
        (name, made.figures[name])
        for name in _CARD
        if name in made.figures and (name != "position_flips" or made.protocol != "pointwise")
    ]
    rows = [
        (name.replace("_", " "), _number(one), _ends(one), _CARD[name])
        for name, one in known
        if one.value is not None
    ]
    trivial = [
        f"{told} {found.value:.3f}"
        for name, told in _TRIVIAL.items()
        if (found := made.figures.get(name)) is not None and found.value is not None
    ]
    basis = f"{count(made.n, 'answer')} that most raters agree on, {count(made.raters, 'rater')}"
    named = f"calibration {short(made.digest)}, no. {made.attempt} on these anchors"
    lines = [
        f"  {basis}; {named}, until {made.expires[:10]}",
        table(rows, indent="  "),
    ]
    if trivial:
        lines.append(f"  balanced accuracy without looking: {', '.join(trivial)}")
    lines += list(_unknown(known))
    return lines


def _unknown(known: Iterable[tuple[str, "Figure"]]) -> Iterator[str]:
    for name, one in known:
        if one.value is None and one.reason:
            yield f"  {name.replace('_', ' ')}: {one.reason}"


def _number(one: "Figure") -> str:
    return "-" if one.value is None else f"{one.value:.3f}"


def _ends(one: "Figure") -> str:
    return "" if one.low is None or one.high is None else f"[{one.low:.3f}, {one.high:.3f}]"


def _names(identities: Iterable[tuple[str | None, str | None]]) -> str:
    return ", ".join(" ".join(filter(None, one)) or "an unnamed model" for one in identities) or "-"

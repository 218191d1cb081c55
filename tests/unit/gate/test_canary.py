"""What may become of a canary, by rule: tables of refusals and answers, and laws on any sequence."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmvc.core.canary import KINDS, Canary, Guardrail, Plan, salt_of
from llmvc.core.digest import of_value
from llmvc.core.release import Move, append, check
from llmvc.core.version import Source
from llmvc.errors import ConfigError, GateBlocked, Inconclusive, LlmvcError
from llmvc.gate import canary as gate
from llmvc.gate.canary import State
from tests.support.canary import analysis

POLICY, SUITE, REPORT = (of_value(name) for name in ("policy", "suite", "report"))
A, B, C = (of_value(name) for name in "abc")
ADA, NOW = "Ada <ada@example.org>", "2026-11-20T12:00:00Z"
PLAN = Plan((50_000, 250_000), looks=2)


def base(kind, to, **more):
    return Move(kind, to, POLICY, Source(None, dirty=False), NOW, ADA)._replace(**more)


def prod(*served):
    """Returns the releases of prod that serve these, one after the other."""
    found = []
    for number, to in enumerate(served):
        kind = "promote" if number else "adopt"
        more = {"suite": SUITE, "report": REPORT, "proven": True} if number else {}
        parent = found[-1] if found else None
        found.append(append(parent, base(kind, to, **more), bundle="support", env="prod"))
    return found


def started(parent, baseline, to=B, plan=PLAN):
    salt = salt_of(
        bundle="support",
        env="canary",
        previous=parent.digest if parent else None,
        baseline=baseline,
        candidate=to,
        time=NOW,
        actor=ADA,
    )
    rails = (Guardrail("errors", margin=0.01),)
    made = Canary("prod", baseline, plan.steps[0], salt, "user", plan, rails)
    more = {"suite": SUITE, "report": REPORT, "proven": True, "canary": made}
    return append(parent, base("start", to, **more), bundle="support", env="canary")


def then(tip, kind, to=None, **more):
    move = base(kind, to or tip.to, proven=tip.proven, canary=gate.following(tip.canary, kind))
    return append(tip, move._replace(**more), bundle="support", env="canary")


FIRST = prod(A)[0]
START = started(None, FIRST.digest)
STEP = then(START, "step", report=REPORT)
PAUSE = then(STEP, "pause")
ABORT = then(STEP, "abort", A)
PROMOTED = prod(A, B)[-1]
MOVED = prod(A, C)[-1]
OVERRIDDEN = append(FIRST, base("override", B), bundle="support", env="prod")

REFUSED = [
    ("start", State(None, None), ConfigError, "nothing was released"),
    ("start", State(START, FIRST), ConfigError, "open already, support/canary release 1"),
    ("start", State(None, FIRST, ("second",)), ConfigError, "open already, in second"),
    *((verb, State(None, FIRST), ConfigError, "no canary is open") for verb in ("step", "pause", "abort", "promote")),
    *((verb, State(ABORT, FIRST), ConfigError, "no canary is open") for verb in ("step", "pause", "abort", "promote")),
    *((verb, State(STEP, PROMOTED), ConfigError, "serves the candidate already") for verb in ("step", "pause", "abort")),
    *((verb, State(STEP, MOVED), Inconclusive, "void") for verb in ("step", "promote")),
    *((verb, State(STEP, OVERRIDDEN), Inconclusive, "void") for verb in ("step", "promote")),
    *((verb, State(STEP, None), Inconclusive, "not known here") for verb in ("step", "promote")),
    *((verb, State(STEP, FIRST, ("second",)), Inconclusive, "2 canaries") for verb in ("step", "promote")),
    ("step", State(STEP, FIRST), ConfigError, "last step"),
    ("promote", State(START, FIRST), ConfigError, "25% is next"),
]  # fmt: skip
TAKEN = [
    ("start", State(None, FIRST)),
    ("start", State(ABORT, MOVED)),
    ("step", State(START, FIRST)),
    ("step", State(then(START, "pause"), FIRST)),
    ("promote", State(STEP, FIRST)),
    ("promote", State(PAUSE, FIRST)),
    ("promote", State(STEP, PROMOTED)),
    *(
        (verb, State(STEP, beside))
        for verb in ("pause", "abort")
        for beside in (FIRST, MOVED, None)
    ),
]


@pytest.mark.parametrize(("verb", "state", "error", "says"), REFUSED)
def test_a_move_that_does_not_fit_is_refused(verb, state, error, says):
    with pytest.raises(error, match=says) as caught:
        gate.check(state, verb)
    assert caught.value.hint


@pytest.mark.parametrize(("verb", "state"), TAKEN)
def test_a_move_that_fits_is_taken(verb, state):
    gate.check(state, verb)


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ([], Inconclusive),
        (["inconclusive"], Inconclusive),
        (["invalid"], Inconclusive),
        (["pass", "invalid"], Inconclusive),
        (["fail"], GateBlocked),
        (["fail", "pass"], GateBlocked),
        (["pass"], None),
        (["invalid", "pass"], None),
        (["inconclusive", "pass"], None),
        (["pass", "inconclusive"], None),
    ],
)
def test_one_analysis_must_pass_none_may_fail_and_the_newest_must_be_sound(said, error):
    known = [analysis(START, verdict, look=look) for look, verdict in enumerate(said, 1)]
    if error is None:
        assert gate.passing(START, known).verdict == "pass"
        return
    with pytest.raises(error):
        gate.passing(START, known)


def test_an_analysis_of_another_release_is_no_evidence():
    old = analysis(START)
    with pytest.raises(Inconclusive, match="no look at release 2"):
        gate.passing(STEP, [old])
    with pytest.raises(Inconclusive, match="is about release 1"):
        gate.passing(STEP, [analysis(STEP)], wanted=old)


def test_what_was_shown_to_be_worse_before_a_pause_stays():
    with pytest.raises(GateBlocked, match="of release 2 of support/canary says fail"):
        gate.passing(PAUSE, [analysis(PAUSE)], before=[analysis(STEP, "fail")])


@pytest.mark.parametrize(
    ("said", "over"),
    [
        ([], False),
        ([("invalid", 1)], True),
        ([("invalid", 1), ("pass", 1)], False),
        ([("inconclusive", 1)], False),
        ([("inconclusive", 1), ("inconclusive", 2)], True),
        ([("pass", 2)], False),
        ([("fail", 2)], False),
    ],
)
def test_a_count_is_over_where_it_cannot_pass_any_more(said, over):
    assert gate.spent(PAUSE, [analysis(PAUSE, *one[:1], look=one[1]) for one in said]) is over
    assert not gate.spent(ABORT, [])


def with_answers(**answers):
    return started(None, FIRST.digest, plan=replace(PLAN, **answers))


@pytest.mark.parametrize(
    ("tip", "verdict", "taken", "promote", "act"),
    [
        (START, "pass", 1, False, "step"),
        (STEP, "pass", 1, False, "hold"),
        (STEP, "pass", 1, True, "promote"),
        (PAUSE, "pass", 1, True, "hold"),
        (START, "fail", 1, False, "abort"),
        (PAUSE, "fail", 1, False, "abort"),
        (START, "inconclusive", 0, False, "hold"),
        (START, "inconclusive", 1, False, "hold"),
        (START, "inconclusive", 2, False, "hold"),
        (with_answers(on_inconclusive="pause"), "inconclusive", 1, False, "hold"),
        (with_answers(on_inconclusive="pause"), "inconclusive", 2, False, "pause"),
        (with_answers(on_inconclusive="abort"), "inconclusive", 2, True, "abort"),
        (START, "invalid", 0, False, "pause"),
        (PAUSE, "invalid", 0, False, "hold"),
        (with_answers(on_invalid="hold"), "invalid", 0, False, "hold"),
        (with_answers(on_invalid="abort"), "invalid", 0, False, "abort"),
    ],
)
def test_a_tick_does_what_the_plan_says(tip, verdict, taken, promote, act):
    made = analysis(tip, verdict)
    looks = [replace(made, look=at + 1) for at in range(taken)]
    found = gate.answer(State(tip, FIRST), made, looks, promote=promote)
    assert found.act == act
    assert found.why
    assert found.analysis.verdict == verdict


@pytest.mark.parametrize(
    ("stored", "now", "act", "rests"),
    [
        (("pass",), "inconclusive", "step", "pass"),
        (("pass", "inconclusive"), "inconclusive", "step", "pass"),
        (("inconclusive", "inconclusive", "pass"), "inconclusive", "step", "pass"),
        (("pass",), "fail", "abort", "fail"),
        (("fail",), "pass", "abort", "fail"),
        (("pass",), "invalid", "pause", "invalid"),
        (("pass", "invalid"), "inconclusive", "hold", "inconclusive"),
        (("pass", "invalid"), "pass", "step", "pass"),
    ],
)
def test_a_pass_stands_until_something_fails_or_the_measurement_is_broken(stored, now, act, rests):
    tip = with_answers(on_inconclusive="abort")
    looks = [replace(analysis(tip, one), look=at + 1) for at, one in enumerate(stored)]
    found = gate.answer(State(tip, FIRST), analysis(tip, now), looks, promote=False)
    assert (found.act, found.analysis.verdict) == (act, rests)


verbs = st.sampled_from(["start", "step", "pause", "abort", "promote", "prod moves"])
verdicts = st.sampled_from(["pass", "pass", "fail", "inconclusive", "invalid", None])


class World:
    """A canary and prod, moved by any sequence of verbs under the gate's rules alone."""

    def __init__(self):
        self.prod, self.canary = prod(A), []

    def do(self, verb, verdict, to):
        tip = self.canary[-1] if self.canary else None
        state = State(tip, self.prod[-1])
        if verb == "prod moves":
            self.prod.append(
                append(self.prod[-1], base("override", to), bundle="support", env="prod")
            )
            return
        gate.check(state, verb)
        if verb == "start":
            if to == self.prod[-1].to:
                raise ConfigError("served already")
            self.canary.append(started(tip, self.prod[-1].digest, to))
            return
        if verb in ("step", "promote") and not state.promoted:
            known = [analysis(tip, verdict)] if verdict else []
            passed = gate.passing(tip, known)
            if verb == "step":
                self.canary.append(then(tip, "step", report=passed.digest))
                return
            more = {"suite": SUITE, "report": REPORT, "proven": True}
            self.prod.append(
                append(self.prod[-1], base("promote", tip.to, **more), bundle="support", env="prod")
            )
        if verb == "promote":
            self.canary.append(then(tip, "close"))
        elif verb == "abort":
            served = next(item for item in self.prod if item.digest == tip.canary.baseline)
            self.canary.append(then(tip, "abort", served.to, proven=served.proven))
        elif tip.kind != "pause" or gate.spent(tip, [analysis(tip, verdict)] if verdict else []):
            self.canary.append(then(tip, "pause"))


@settings(deadline=None)
@given(st.lists(st.tuples(verbs, verdicts, st.sampled_from([A, B, C])), max_size=16))
def test_any_sequence_of_verbs_keeps_the_rules_of_both_chains(steps):
    world = World()
    for verb, verdict, to in steps:
        before = list(world.prod)
        try:
            world.do(verb, verdict, to)
        except LlmvcError:
            assert world.prod == before
            continue
        if verb not in ("promote", "prod moves"):
            assert world.prod == before, "prod's chain changes by a promote alone"
    check([item.to_bytes() for item in world.prod])
    releases = check([item.to_bytes() for item in world.canary])
    for parent, item in pairwise(releases):
        assert item.kind in KINDS
        if parent.canary and item.canary:
            assert item.canary.share_ppm >= parent.canary.share_ppm, "a share never falls"
            assert item.canary.salt == parent.canary.salt, "and keeps who is in"
        if item.kind == "abort":
            assert parent.to in item.revoked
        if item.kind == "start":
            assert item.canary.salt not in {
                other.canary.salt for other in releases[: item.seq - 1] if other.canary
            }

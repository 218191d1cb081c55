"""Canaries as values: plans, guardrails, shares, and the records that carry them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.core import canon
from llmvc.core.bucket import BUCKETS, bucket
from llmvc.core.canary import Budget, Canary, Guardrail, Plan, percent, salt_of, void
from llmvc.core.digest import of_value
from llmvc.core.release import Move, append, check
from llmvc.core.version import Source
from llmvc.errors import FormatError, IntegrityError

POLICY, SUITE, REPORT, PROD = (of_value(name) for name in ("policy", "suite", "report", "prod"))
A, B, C = (of_value(name) for name in "abc")
ADA, NOW = "Ada <ada@example.org>", "2026-11-20T12:00:00Z"
PLAN = Plan((50_000, 250_000, 500_000))
RAILS = (Guardrail("errors", margin=0.01), Guardrail("latency", limit=1.2, at=0.95))


def canary(parent=None, **more):
    salt = salt_of(
        bundle="support",
        env="canary",
        previous=parent.digest if parent else None,
        baseline=PROD,
        candidate=B,
        time=NOW,
        actor=ADA,
    )
    return replace(Canary("prod", PROD, 50_000, salt, "conversation", PLAN, RAILS), **more)


def move(kind, to=B, **more):
    base = Move(kind, to, POLICY, Source(None, dirty=False), NOW, ADA)
    return base._replace(**more)


def start(parent=None, **more):
    whole = {"suite": SUITE, "report": REPORT, "proven": True, "canary": canary(parent)}
    return append(parent, move("start", **{**whole, **more}), bundle="support", env="canary")


def then(parent, kind, to=B, **more):
    whole = {"proven": parent.proven, **more}
    return append(parent, move(kind, to, **whole), bundle="support", env="canary")


def story():
    """A rollout that is stepped, paused and aborted, and one that is closed."""
    first = start()
    step = then(first, "step", report=REPORT, canary=first.canary.widened(250_000))
    pause = then(step, "pause", canary=step.canary)
    anew = then(pause, "pause", canary=step.canary)
    abort = then(anew, "abort", A, proven=False)
    second = start(abort)
    whole = [first, step, pause, anew, abort, second]
    for share in PLAN.steps[1:]:
        whole.append(then(whole[-1], "step", report=REPORT, canary=second.canary.widened(share)))
    return [*whole, then(whole[-1], "close")]


def test_a_rollout_from_start_to_abort_and_another_to_its_close_follow_the_rules():
    releases = story()
    assert check([item.to_bytes() for item in releases]) == tuple(releases)
    assert [item.rolled_back for item in releases] == [(), (), (), (), (B,), (), (), (), ()]
    assert releases[0].canary.salt != releases[5].canary.salt


FLAWS = {
    "a share that is no step": (1, lambda r: replace(r, canary=r.canary.widened(500_000)), "steps"),
    "a share that falls": (2, lambda r: replace(r, canary=r.canary.widened(50_000)), "share"),
    "another salt": (1, lambda r: replace(r, canary=replace(r.canary, salt="0" * 16)), "changes more"),
    "a salt of one's choice": (0, lambda r: replace(r, canary=replace(r.canary, salt="0" * 16)), "salt"),
    "another unit": (1, lambda r: replace(r, canary=replace(r.canary, unit="user")), "changes more"),
    "another plan": (1, lambda r: replace(r, canary=replace(r.canary, plan=Plan((250_000,)))), "changes more"),
    "another baseline": (1, lambda r: replace(r, canary=replace(r.canary, baseline=A)), "changes more"),
    "another candidate": (1, lambda r: replace(r, to=C), "changes the candidate"),
    "a step without evidence": (1, lambda r: replace(r, report=None), "carries no report"),
    "a start without evidence": (0, lambda r: replace(r, report=None), "carries no report"),
    "a start without a suite": (0, lambda r: replace(r, suite=None), "names no suite"),
    "a start at the second step": (0, lambda r: replace(r, canary=r.canary.widened(250_000)), "first step"),
    "an open release without a canary": (1, lambda r: replace(r, canary=None), "lacks its canary"),
    "an end with a canary": (4, lambda r: replace(r, canary=canary()), "carries a canary"),
    "an abort that keeps the candidate": (4, lambda r: replace(r, to=B), "keeps the candidate"),
    "a close that changes it": (8, lambda r: replace(r, to=C), "changes the candidate"),
    "an abort that revokes nothing": (4, lambda r: replace(r, rolled_back=()), "rolled_back"),
    "more proof than the start had": (2, lambda r: replace(r, proven=False), "proven"),
    "a promote among canaries": (1, lambda r: replace(r, kind="promote", canary=None), "own environment"),
    "a canary beside itself": (0, lambda r: replace(r, canary=replace(r.canary, of="canary")), "beside itself"),
    "a drain": (4, lambda r: replace(r, drain=(B,)), "drain"),
    "another suite": (1, lambda r: replace(r, suite=C), "changes the suite"),
}  # fmt: skip


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_record_that_breaks_a_rule_of_canaries_is_refused(flaw):
    at, bend, says = FLAWS[flaw]
    releases = story()
    with pytest.raises(IntegrityError, match=says):
        check([item.to_bytes() for item in (*releases[:at], bend(releases[at]))])


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [
        ("start", "start", "over an open canary"),
        ("abort", "step", "follows no open canary"),
        ("close", "pause", "follows no open canary"),
        ("abort", "abort", "follows no open canary"),
    ],
)
def test_a_move_that_may_not_follow_another_is_refused(first, second, says):
    whole = story()
    at = next(number for number, item in enumerate(whole) if item.kind == first)
    before = whole[: at + 1]
    tip = before[-1]
    if second == "start":
        wrong = start(tip)
    elif second == "abort":
        wrong = then(tip, "abort", C)
    else:
        wrong = then(tip, second, tip.to, report=REPORT, canary=tip.canary or whole[0].canary)
    with pytest.raises(IntegrityError, match=says):
        check([item.to_bytes() for item in (*before, wrong)])


def test_a_record_is_read_back_as_it_was_written():
    whole = canary(budget=Budget(max_usd_per_day=12.5))
    assert Canary.from_dict(canon.decode(canon.encode(whole.to_dict()))) == whole
    first = start()
    assert type(first).from_bytes(first.to_bytes()) == first


@pytest.mark.parametrize(
    "bend",
    [
        lambda body: body.pop("salt"),
        lambda body: body.update(extra=1),
        lambda body: body.update(share_ppm="5%"),
        lambda body: body.update(share_ppm=50_000.5),
        lambda body: body.update(share_ppm=60_000),
        lambda body: body.update(unit="planet"),
        lambda body: body.update(bucketing="b3-2"),
        lambda body: body.update(guardrails=[]),
        lambda body: body.update(guardrails=body["guardrails"][:1] * 2),
        lambda body: body.update(of="Prod"),
        lambda body: body.update(budget=None),
        lambda body: body.update(max_usd_per_day=5.0),
        lambda body: body["budget"].pop("max_usd_per_day"),
        lambda body: body["budget"].update(extra=1),
        lambda body: body["plan"].update(steps=[250_000, 50_000]),
        lambda body: body["plan"].update(test="peek"),
        lambda body: body["plan"].update(on_invalid="ignore"),
        lambda body: body["plan"].update(looks=0),
        lambda body: body["plan"].update(alpha=0.5),
        lambda body: body["guardrails"][0].update(metric="mood"),
        lambda body: body["guardrails"][0].update(limit=1.2),
        lambda body: body["guardrails"][0].update(margin=None),
        lambda body: body["guardrails"][0].update(at=0.5),
    ],
)
def test_a_canary_that_is_none_is_refused(bend):
    body = canon.decode(canon.encode(canary().to_dict()))
    bend(body)
    with pytest.raises(FormatError):
        Canary.from_dict(body)


def test_a_canary_is_void_once_what_it_stands_beside_has_moved_or_is_not_known():
    one = canary()
    assert void(one, PROD) is None
    assert "has moved since" in void(one, A)
    assert "not known" in void(one, None)
    assert "2 canaries" in void(one, PROD, beside=1)


def test_shares_are_shown_as_people_write_them():
    assert [percent(ppm) for ppm in (1, 500, 50_000, 333_333, 1_000_000)] == [
        "0.0001%",
        "0.05%",
        "5%",
        "33.3333%",
        "100%",
    ]


@given(st.text(max_size=40), st.text(min_size=1, max_size=40))
def test_a_bucket_is_the_same_for_good_and_in_range(salt, unit):
    found = bucket(salt, unit)
    assert 0 <= found < BUCKETS
    assert found == bucket(salt, unit)


def test_widening_keeps_every_enrolled_unit_and_a_new_salt_draws_anew():
    units = [f"unit-{number}" for number in range(20_000)]
    first = {unit for unit in units if bucket("a" * 16, unit) < 50_000}
    wider = {unit for unit in units if bucket("a" * 16, unit) < 200_000}
    other = {unit for unit in units if bucket("b" * 16, unit) < 50_000}
    assert first < wider
    # 5% of 20,000 within 4 standard deviations, and 0.25% of them in both draws.
    assert 877 <= len(first) <= 1123
    assert len(first & other) <= 80

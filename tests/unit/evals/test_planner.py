"""What a suite can show before any call: pilots, plans and the margin of a new suite."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.core.estimate import Estimate, Verdict
from llmvc.core.metric import Metric, Scorer
from llmvc.core.report import CaseRuns, Report, Run
from llmvc.core.suite import Case, Looks, Suite
from llmvc.errors import Inconclusive
from llmvc.evals import pilot as pilots
from llmvc.evals import planner
from llmvc.evals.pilot import TYPICAL, Pilot, Spread
from llmvc.evals.planner import Wish, smallest_fitting
from llmvc.gate.least import MOST_CASES
from llmvc.gate.looks import levels
from llmvc.stats.power import cases_needed, pass_power, smallest_margin

TEAM = Scorer("team", "equals", {})
QUALITY = Metric("quality", "score", ("team",), margin=0.05)
COST = Metric("cost", "cost", limit=1.10)
SEVERE = Metric("harm", "severe", ("team",), budget=0.03)
LATENCY = Metric("latency", "latency", limit=1.2, quantile=0.95)
ID = "b3:" + "0" * 64


def suite(*metrics, runs=3, **rules):
    return Suite((), (TEAM,), runs, metrics or (QUALITY,), **rules)


def cases(n, group=lambda at: None, tags=lambda at: ()):
    return [Case(f"c{at:04}", {}, group=group(at), tags=tags(at)) for at in range(n)]


def run(number, score, usd=0.01):
    return Run(number, f"b3:{number:064x}", {"team": score}, cost_usd=usd, latency_s=1.0)


def report(rows, *, paired=True, estimates=(), of=None):
    """Makes a report; rows hold (id, group, candidate's runs, baseline's runs)."""
    told = tuple(
        CaseRuns(name, group, new, old if paired else ()) for name, group, new, old in rows
    )
    return Report(
        "support", ID, ID if paired else None, (of or suite()).digest, 1, told, estimates,
        Verdict("pass", ""), "", "", None, "",
    )  # fmt: skip


def drawn(n, k, rng, *, group=lambda at: None, usd=(0.02, 0.01)):
    """Runs that are right 8 times in 10, whatever the case."""

    def arm(price):
        return tuple(run(at, float(rng.random() < 0.8), price) for at in range(k))

    return [(f"c{at}", group(at), arm(usd[0]), arm(usd[1])) for at in range(n)]


def plan(suite_, cases_, pilot=None, **wish):
    asked = {name: wish.pop(name) for name in ("known", "first") if name in wish}
    return planner.plan(suite_, cases_, pilot, Wish(**wish), **asked)


def step(found, runs=3, at=0):
    return next(one for one in found.metrics[at].steps if one.runs == runs)


# ---- pilots


def test_a_pilot_tells_the_variance_of_one_run_in_each_arm_whatever_their_number():
    for k in (2, 5):
        spread = pilots.read(report(drawn(3000, k, np.random.default_rng(k))), suite()).spreads[
            "quality"
        ]
        assert spread.source == "report"
        assert spread.var_run == pytest.approx(2 * 0.16, rel=0.06)
        assert spread.var_case == pytest.approx(0.0, abs=0.012)
        assert spread.at(4) == pytest.approx(0.08, abs=0.012)


def test_a_pilot_without_repeated_runs_tells_the_variance_at_one_run_alone():
    spread = pilots.read(report(drawn(3000, 1, np.random.default_rng(1))), suite()).spreads[
        "quality"
    ]
    assert spread.at(1) == pytest.approx(0.32, rel=0.06)
    assert spread.at(3) is None
    found = plan(suite(runs=1), cases(100), Pilot({"quality": spread}))
    assert [one.cases is None for one in found.metrics[0].steps] == [False, True, True]
    assert found.metrics[0].best_runs is None


def test_a_first_report_tells_the_noise_of_runs_and_no_more():
    rows = drawn(2000, 3, np.random.default_rng(1))
    spread = pilots.read(report(rows, paired=False), suite(QUALITY, COST)).spreads
    assert set(spread) == {"quality"}
    assert spread["quality"].source == "one arm"
    assert spread["quality"].var_run == pytest.approx(0.32, rel=0.06)
    assert spread["quality"].var_case == TYPICAL.var_case


@pytest.mark.parametrize("n", [0, 1, 19])
def test_too_few_cases_are_no_pilot(n):
    rows = drawn(n, 3, np.random.default_rng(1))
    assert pilots.read(report(rows), suite(QUALITY, COST)).spreads == {}


def test_cases_without_a_usable_run_in_both_arms_are_left_out_of_a_pilot():
    rows = drawn(60, 3, np.random.default_rng(1))
    broken = (replace(run(0, 0.0), scores={"team": None}),)
    rows += [(f"x{at}", None, broken, row[3]) for at, row in enumerate(rows[:30])]
    assert (
        pilots.read(report(rows), suite()).spreads
        == pilots.read(report(rows[:60]), suite()).spreads
    )


def test_groups_count_as_what_their_units_vary_by():
    rng = np.random.default_rng(2)
    right = [float(rng.random() < 0.5) for _ in range(60)]
    one = (run(0, 1.0), run(1, 1.0))
    arms = [(run(0, score), run(1, score)) for score in right]
    rows = [(f"c{at}", f"g{at % 60}", arms[at % 60], one) for at in range(240)]
    alone = [(f"c{at}", None, arms[at], one) for at in range(60)]
    grouped = pilots.read(report(rows), suite()).spreads["quality"]
    single = pilots.read(report(alone), suite()).spreads["quality"]
    # Four cases of a group that all change alike tell what one case does.
    assert grouped.at(2) == pytest.approx(single.at(2), rel=1e-9)
    assert single.at(2) == pytest.approx(0.25, rel=0.05)


def test_independent_cases_in_groups_are_worth_nearly_as_much_as_alone():
    rows = drawn(4000, 3, np.random.default_rng(3), group=lambda at: f"g{at % 1000}")
    spread = pilots.read(report(rows), suite()).spreads["quality"]
    assert spread.at(3) * 4 == pytest.approx(0.32 / 3, rel=0.12)


def test_a_pilot_of_another_scorer_says_nothing():
    old = Suite((), (replace(TEAM, type="contains"),), 3, (QUALITY,))
    made = report(drawn(50, 3, np.random.default_rng(1)), of=old)
    assert pilots.read(made, suite(), measured_by=old).spreads == {}
    looser = suite(replace(QUALITY, margin=0.2))
    assert pilots.read(made, looser, measured_by=suite()).spreads


def test_a_pilot_tells_what_a_run_costs_in_both_arms():
    rng = np.random.default_rng(1)
    assert pilots.read(report(drawn(30, 2, rng)), suite()).usd == pytest.approx(0.03)
    assert pilots.read(report(drawn(30, 2, rng), paired=False), suite()).usd == pytest.approx(0.04)
    assert pilots.read(report(drawn(30, 2, rng, usd=(0.02, None))), suite()).usd is None


def test_a_pilot_of_pass_k_holds_for_its_own_runs():
    metric = replace(QUALITY, pass_k=3)
    made = report(drawn(400, 3, np.random.default_rng(1)))
    spread = pilots.read(made, suite(metric)).spreads["quality"]
    assert spread.at(3) == pytest.approx(2 * 0.512 * 0.488, rel=0.15)
    assert spread.at(5) is None
    assert pilots.read(made, suite(replace(metric, pass_k=4))).spreads == {}


def test_a_pilot_of_severe_failures_is_what_is_served_now():
    rows = drawn(4000, 1, np.random.default_rng(1))
    assert pilots.read(report(rows), suite(SEVERE)).rates["harm"] == pytest.approx(0.2, abs=0.02)


def test_a_pilot_of_latency_is_the_interval_of_the_report():
    estimate = Estimate(
        "latency", "latency", low=0.9, high=0.9 * np.exp(0.2), alpha=0.05, n=100, n_effective=100.0
    )
    made = report(drawn(30, 3, np.random.default_rng(1)), estimates=(estimate,))
    spread = pilots.read(made, suite(LATENCY)).spreads["latency"]
    assert spread.at(3) == pytest.approx((0.1 / 1.6449) ** 2 * 100, rel=1e-3)
    assert (
        "latency"
        not in pilots.read(report(drawn(30, 3, np.random.default_rng(1))), suite(LATENCY)).spreads
    )


# ---- plans


def test_without_a_pilot_the_plan_is_that_of_typical_variances():
    found = plan(suite(), cases(100))
    assert found.metrics[0].source == "typical"
    assert found.chance == found.metrics[0].chance == pass_power(100, 0.05, 0.016 + 0.16 / 3)
    assert [one.cases for one in found.metrics[0].steps] == [437, 174, 122]
    assert found.metrics[0].least == 54
    assert found.usd is None
    assert found.refused is None


def test_thirty_cases_at_a_margin_of_five_points_are_refused_with_what_would_do():
    message, hint = plan(suite(), cases(30)).refused
    assert "cannot pass on 30 cases" in message
    assert "it takes 54 cases" in hint


def test_the_suites_own_number_of_runs_is_planned_too():
    found = plan(suite(runs=7), cases(100))
    assert [one.runs for one in found.metrics[0].steps] == [1, 3, 5, 7]
    assert found.metrics[0].present.runs == 7


def test_several_gating_metrics_share_the_risk():
    second = replace(QUALITY, name="tone")
    watched = replace(QUALITY, name="watched", gate=False)
    found = plan(suite(QUALITY, second, watched), cases(400))
    assert [item.metric for item in found.metrics] == ["quality", "tone"]
    assert step(found).cases == cases_needed(0.05, 0.016 + 0.16 / 3, metrics=2)
    assert found.chance == pytest.approx(1 - 2 * (1 - found.metrics[0].chance))
    assert step(found).shown > step(plan(suite(), cases(400))).shown


def test_the_plan_is_made_at_the_level_of_the_last_look_and_of_the_candidates_tried():
    once = plan(suite(), cases(100))
    looks = plan(suite(looks=Looks("cases", (0.5, 1.0))), cases(100))
    assert looks.alpha == levels((0.5, 1.0), 0.05)[-1] < once.alpha
    assert step(looks).cases > step(once).cases
    assert plan(suite(), cases(100), tried=20).alpha == 0.025
    refused = plan(suite(beyond="new-cases"), cases(100), tried=20).refused
    assert "20 candidates were tried" in refused[0]


def test_margins_and_drops_are_in_the_units_of_the_scale():
    rubric = replace(QUALITY, scale=(1.0, 5.0), margin=0.2)
    found, plain = plan(suite(rubric), cases(100)), plan(suite(), cases(100))
    assert found.chance == plain.chance
    assert step(found).smallest == pytest.approx(4 * step(plain).smallest)
    assert step(found).shown == pytest.approx(4 * step(plain).shown)


def test_a_slice_counts_its_own_cases():
    sliced = replace(QUALITY, slice="vip")
    rows = cases(400, tags=lambda at: ("vip",) if at % 4 == 0 else ())
    found = plan(suite(sliced), rows)
    assert (found.cases, found.metrics[0].cases) == (400, 100)
    assert found.chance == plan(suite(), cases(100)).chance


def test_groups_plan_with_their_effective_number():
    found = plan(suite(), cases(200, lambda at: f"g{at % 100}"))
    assert found.metrics[0].units == pytest.approx(100)
    assert found.chance == pytest.approx(plan(suite(), cases(100)).chance)
    assert step(found).cases == 2 * 174


def test_too_few_cases_have_no_chance_and_no_margin():
    found = plan(suite(replace(QUALITY, margin=0.9)), cases(19))
    assert found.chance == 0.0
    assert step(found).smallest is None
    assert step(found).cases == 20
    assert found.refused[1] == "add 1 case to the suite"


@pytest.mark.parametrize(
    ("case_usd", "usd", "best"),
    [(0.0, 0.01, 1), (2.0, 0.01, 45), (0.5, 0.05, 10), (2.0, None, None), (2.0, 0.0, None)],
)
def test_runs_pay_where_a_case_costs_more_than_they_do(case_usd, usd, best):
    known = Pilot({"quality": Spread(0.016, 0.16)}, usd=usd)
    found = plan(suite(), cases(300), known, case_usd=case_usd).metrics[0]
    assert found.best_runs == best
    assert (found.no_split is None) == (best is not None)
    assert best is None or best in [one.runs for one in found.steps]


def test_what_an_eval_costs_follows_from_the_cost_of_a_run():
    found = plan(suite(), cases(300), Pilot({"quality": Spread(0.016, 0.16)}, usd=0.002))
    assert found.usd == pytest.approx(1.8)
    assert step(found).usd == pytest.approx(0.002 * 3 * step(found).cases)


def test_a_cost_is_planned_on_its_log_and_needs_a_pilot():
    unknown = plan(suite(COST), cases(100)).metrics[0]
    assert (unknown.chance, unknown.source) == (None, None)
    assert unknown.least == 50
    known = Pilot({"cost": Spread(0.01, 0.06)})
    found = plan(suite(COST), cases(100), known)
    assert found.metrics[0].chance > 0.8
    assert 1.0 < step(found).smallest < 1.10 < step(found).shown
    assert plan(suite(COST), cases(40), known).metrics[0].chance == 0.0


def test_a_budget_is_planned_by_the_share_that_is_known():
    assert step(plan(suite(SEVERE), cases(200))).cases == 99
    assert plan(suite(SEVERE), cases(98)).chance == 0.0
    assert plan(suite(SEVERE), cases(99)).chance == 1.0
    some = plan(suite(SEVERE), cases(99), Pilot(rates={"harm": 0.005}))
    assert 0.5 < some.chance < 0.7
    assert step(some).cases > 99
    assert step(plan(suite(SEVERE), cases(99), Pilot(rates={"harm": 0.5}))).cases is None
    assert plan(suite(replace(SEVERE, budget=None)), cases(99)).metrics[0].chance is None


def test_a_latency_needs_the_cases_of_its_quantile():
    found = plan(suite(LATENCY), cases(60))
    assert found.metrics[0].least == 67
    assert "cannot tell p95" in found.refused[0]
    known = Pilot({"latency": Spread(0.5, None, 3)})
    assert step(plan(suite(LATENCY), cases(60), known)).cases >= 67
    assert plan(suite(LATENCY), cases(300), known).chance > 0.9


def test_at_any_time_the_least_number_is_what_the_refusal_tells():
    found = plan(suite(looks=Looks("any-time", (1.0,))), cases(60))
    assert found.metrics[0].least == 92
    assert found.refused[1].startswith("it takes 92 cases")
    assert min(one.cases for one in found.metrics[0].steps) >= 92


def test_a_tiny_budget_takes_what_it_takes():
    found = plan(suite(replace(SEVERE, budget=1e-7)), cases(99))
    assert found.metrics[0].least == step(found).cases == pytest.approx(2.9957e7, rel=1e-3)


def test_a_step_beyond_the_search_has_no_price():
    known = Pilot({"quality": Spread(0.016, 0.16)}, usd=0.01)
    found = plan(suite(replace(QUALITY, margin=1e-5)), cases(100), known)
    assert [(one.cases, one.usd) for one in found.metrics[0].steps] == [(MOST_CASES + 1, None)] * 3


@pytest.mark.parametrize(
    ("n", "said"),
    [(30, "once there is a baseline: metric quality"), (19, "19 cases cannot pass"), (60, None)],
)
def test_before_there_is_a_baseline_both_refusals_are_asked(n, said):
    refused = plan(suite(), cases(n), first=True).refused
    assert refused is None if said is None else refused[0].startswith(said)


def test_a_suite_in_which_nothing_gates_has_nothing_to_plan():
    with pytest.raises(Inconclusive, match="no metric of the suite gates"):
        plan(suite(replace(QUALITY, gate=False)), cases(100))


def test_what_a_pilot_taught_is_what_the_refusal_reads():
    rubric = replace(QUALITY, scale=(1.0, 5.0), margin=0.2)
    known = Pilot({"quality": Spread(0.016, 0.16), "cost": Spread(0.1, 0.1)})
    (estimate,) = planner.estimates(known, suite(rubric, COST))
    assert estimate.var_case + estimate.var_run == pytest.approx(16 * (0.016 + 0.16 / 3))
    quiet = Pilot({"quality": Spread(0.0002, 0.0)})
    known = planner.estimates(quiet, suite())
    assert "if unchanged" in plan(suite(), cases(45), quiet, known=known).refused[0]


# ---- cases like the present ones


@given(st.integers(1, 40), st.integers(0, 130))
def test_resizing_gives_as_many_cases_with_ids_of_their_own(n, wanted):
    made = planner.resized(cases(n), wanted)
    assert len(made) == len({case.id for case in made}) == wanted


@pytest.mark.parametrize("wanted", [100, 200, 300])
def test_resizing_keeps_groups_whole_and_tags_in_proportion(wanted):
    rows = cases(200, lambda at: f"g{at // 4}", lambda at: ("vip",) if at % 8 < 4 else ())
    made = planner.resized(rows, wanted)
    sizes = {case.group: sum(one.group == case.group for one in made) for case in made}
    assert set(sizes.values()) == {4}
    assert sum(bool(case.tags) for case in made) == pytest.approx(wanted / 2, rel=0.35)


# ---- the margin of a new suite


@pytest.mark.parametrize("n", [30, 54, 100, 300, 1000])
@pytest.mark.parametrize("metrics", [1, 2])
def test_the_margin_of_a_new_suite_is_the_smallest_that_an_unchanged_bundle_passes(n, metrics):
    found = smallest_fitting(cases(n), 3, metrics=metrics)
    exact = smallest_margin(n, 3, 0.016, 0.16, metrics=metrics)
    assert exact <= found.margin < exact + 0.01
    assert pass_power(n, found.margin, 0.016 + 0.16 / 3) >= 1 - 0.2 / metrics
    assert 0 < found.missed < found.margin
    if metrics == 1:
        assert found.missing == max(0, 174 - n)


@pytest.mark.parametrize(("n", "k"), [(0, 3), (1, 3), (19, 3), (21, 1)])
def test_a_suite_too_small_for_a_sensible_margin_gets_none_and_says_what_is_missing(n, k):
    found = smallest_fitting(cases(n), k)
    assert found.margin is None
    assert found.missing == (174 if k == 3 else 437) - n
    assert "too few for any margin up to 0.2" in found.told(n, k)
    assert f"takes {found.missing} more cases" in found.told(n, k)


def test_what_a_margin_is_worth_is_told_with_the_drop_that_it_could_miss():
    told = smallest_fitting(cases(30), 3).told(30, 3)
    assert told == (
        "30 cases x 3 runs allow a margin of 0.14, which an unchanged bundle passes 80% of the "
        "time; it could miss a drop of less than 0.12. A margin of 0.05 takes 144 more cases."
    )
    assert "more case" not in smallest_fitting(cases(300), 3).told(300, 3)

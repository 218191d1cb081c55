"""Error rates by simulation: what each verdict promises, tried on suites whose truth is known.

- A demanded rate is accepted up to its 99.9% binomial bound at the number of replications, so that
  a correct program fails a seed once in a thousand; seeds are fixed, so it does not fail at all.
- The quick tests run 300 replications a case and see gross faults: a margin that is ignored, runs
  counted as cases, a look that is not paid for. What needs precision, the variance guard, is
  summed up exactly. `pytest -m slow` runs 3,000 replications of all.
- The naive methods are tried on the same suites, to show that these can tell good from bad.
"""

import numpy as np
import pytest

from tests.stats.simulations import exact, judged, limits, rates, recorded, sequential
from tests.stats.simulations.alternatives import WORLDS, World
from tests.stats.simulations.rates import at_least, at_most
from tests.stats.simulations.suites import CELLS, Cell

ERRORS, COVERAGE, WORST_CASE, ANYTIME = 0.065, 0.88, 0.067, 0.05
QUICK, FULL = 300, 3000
POWER = {
    # cell: pass at no change, fail at twice the margin, simulated with 3,000 replications.
    "binary, n=30, k=1": (0.28, 0.60),
    "binary, n=30, k=3": (0.54, 0.80),
    "binary, n=30, k=5": (0.60, 0.85),
    "binary, n=100, k=1": (0.31, 0.65),
    "binary, n=100, k=3": (0.55, 0.86),
    "binary, n=100, k=5": (0.68, 0.91),
    "binary, n=500, k=1": (0.47, 0.89),
    "binary, n=500, k=3": (0.80, 0.99),
    "binary, n=500, k=5": (0.92, 0.99),
    "score, n=30, k=1": (0.38, 0.80),
    "score, n=30, k=3": (0.33, 0.84),
    "score, n=30, k=5": (0.30, 0.86),
    "score, n=100, k=1": (0.92, 0.97),
    "score, n=100, k=3": (0.98, 0.99),
    "score, n=100, k=5": (0.99, 0.99),
    "score, n=500, k=1": (0.88, 0.99),
    "score, n=500, k=3": (0.99, 0.99),
    "score, n=500, k=5": (0.99, 0.99),
}
LARGE = Cell("binary", 500, 3, 0.03)
LOOKS = (0.25, 0.5, 0.75, 1.0)

both = pytest.mark.parametrize(
    "replications", [QUICK, pytest.param(FULL, marks=pytest.mark.slow)], ids=["quick", "full"]
)


@both
@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_one_look_errs_as_rarely_as_promised_and_finds_what_it_should(cell, replications):
    same = rates.gate(cell, 0.0, replications, 1, churn=0.0)
    churn = rates.gate(cell, 0.0, replications, 2)
    margin = rates.gate(cell, cell.margin, replications, 3)
    double = rates.gate(cell, 2 * cell.margin, replications, 4)
    assert max(same.fails, churn.fails) <= at_most(ERRORS, replications)
    assert margin.passes <= at_most(ERRORS, replications)
    covered = min(found.covers for found in (same, churn, margin, double))
    assert covered >= at_least(COVERAGE, replications)
    passes, fails = POWER[str(cell)]
    assert at_least(passes, replications) <= churn.passes + 0.01
    assert churn.passes <= at_most(passes, replications) + 0.01
    assert double.fails >= at_least(fails, replications) - 0.01


@pytest.mark.parametrize(
    ("method", "cell", "least"),
    [
        ("single-run threshold", Cell("binary", 100, 3, 0.05), 0.40),
        ("paired z over runs", Cell("score", 100, 5, 0.05), 0.12),
        ("paired t", Cell("score", 30, 5, 0.08), 0.075),
        ("percentile bootstrap", Cell("score", 30, 5, 0.08), 0.075),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else None,
)
def test_the_suites_tell_naive_methods_from_the_gate(method, cell, least):
    found = rates.others([method], cell, cell.margin, 1000, 3)[method]
    assert found.passes >= least
    assert rates.gate(cell, cell.margin, QUICK, 3).passes < least


@both
@pytest.mark.parametrize("world", WORLDS, ids=str)
def test_other_worlds_see_no_more_errors(world, replications):
    assert rates.gate(world, 0.0, replications, 5).fails <= at_most(ERRORS, replications)
    assert rates.gate(world, world.margin, replications, 6).passes <= at_most(ERRORS, replications)


@pytest.mark.parametrize(("n", "margin"), [(20, 0.10), (30, 0.10), (60, 0.05), (30, 1e-9)])
def test_the_exact_worst_case_over_two_values_is_near_alpha_thanks_to_the_guard(n, margin):
    # A margin of almost 0 is, mirrored, the rate of false fails.
    assert exact.worst(n, margin, grid=13)[0] <= WORST_CASE
    assert exact.worst(n, margin, grid=13, guarded=False)[0] > WORST_CASE


def test_rare_harm_passes_a_paired_t_far_more_often_than_the_gate():
    world, rng = World("95% ties", 60, 0.05), np.random.default_rng(7)
    d = world.differences(rng, world.margin, 1000)
    t = (d.mean(axis=1) + world.margin) / np.maximum(d.std(axis=1, ddof=1), 1e-9) * 60**0.5
    assert (t > 1.671).mean() > 0.15
    assert rates.gate(world, world.margin, QUICK, 7).passes <= at_most(ERRORS, QUICK)


@both
@pytest.mark.parametrize(
    "cell", [Cell("binary", 100, 3, 0.05), LARGE, Cell("score", 500, 1, 0.02)], ids=str
)
def test_planned_looks_err_no_more_often_than_one_look_and_stop_early(cell, replications):
    quiet = sequential.planned(cell, LOOKS, 0.0, replications, 1)
    harmed = sequential.planned(cell, LOOKS, cell.margin, replications, 2)
    assert quiet.fails <= at_most(ERRORS, replications)
    assert harmed.passes <= at_most(ERRORS, replications)
    lost = sequential.lost(cell, LOOKS, 2 * cell.margin, replications, 3)
    assert lost.fails <= 0.03 + 3.1 * (0.03 / replications) ** 0.5
    assert lost.used <= {100: 0.85, 500: 0.65}[cell.n]


def test_looks_without_a_plan_err_often():
    looks = np.arange(30, 501, 10) / 500
    assert sequential.peeking(LARGE, looks, 0.0, 150, 4).fails >= 0.12
    assert sequential.peeking(LARGE, looks, LARGE.margin, 150, 5).passes >= 0.12


@both
@pytest.mark.parametrize(
    "cell",
    [cell for cell in CELLS if (cell.n, cell.k) in {(30, 1), (100, 3), (500, 3)}],
    ids=str,
)
def test_the_any_time_test_errs_within_alpha_though_looked_at_after_every_case(cell, replications):
    quiet = sequential.anytime(cell, 0.0, replications, 1)
    harmed = sequential.anytime(cell, cell.margin, replications, 2)
    assert quiet.fails <= at_most(ANYTIME, replications)
    assert harmed.passes <= at_most(ANYTIME, replications)
    assert sequential.disagreement(cell, cell.margin, 3) <= 1e-9


def test_the_any_time_test_finds_harm_before_the_cases_are_used_up():
    found = sequential.anytime(LARGE, 2 * LARGE.margin, QUICK, 4)
    assert found.fails >= 0.85
    assert found.used <= 0.5


@both
@pytest.mark.parametrize("runaways", [None, "shared", "own"])
@pytest.mark.parametrize("n", [50, 100, 150, 300])
def test_costs_at_the_limit_rarely_pass_or_fail(n, runaways, replications):
    found = limits.costs(n, 1.1, replications=replications, seed=1, runaways=runaways)
    assert found.passes <= at_most(ERRORS, replications)
    assert found.fails <= at_most(ERRORS, replications)


def test_unchanged_costs_pass_and_doubled_ones_fail():
    assert limits.costs(300, 1.0, replications=100, seed=2).passes >= 0.9
    assert limits.costs(300, 2.0, replications=100, seed=3).fails >= 0.99


@pytest.mark.parametrize(("runaways", "naive"), [(None, 0.05), ("shared", 0.10)])
def test_few_costs_pass_too_often_without_the_halved_level_and_the_refusal(runaways, naive):
    found = limits.costs(50, 1.1, replications=2000, seed=4, runaways=runaways)
    assert found.naive_passes >= naive
    assert found.passes <= 0.035


@pytest.mark.parametrize(
    ("q", "n", "replications"),
    [
        (0.5, 100, 400),
        (0.95, 100, 400),
        *[
            pytest.param(q, n, 2000, marks=pytest.mark.slow)
            for q in (0.5, 0.95)
            for n in (60, 100, 300)
        ],
    ],
)
def test_latencies_at_the_limit_rarely_pass_or_fail(q, n, replications):
    found = limits.latencies(n, 1.2, replications=replications, seed=1, q=q, resamples=400)
    assert found.passes <= at_most(ERRORS, replications)
    assert found.fails <= at_most(ERRORS, replications)
    assert found.naive_passes >= 0.35


def test_an_unchanged_latency_passes():
    assert limits.latencies(100, 1.0, replications=60, seed=2, resamples=400).passes >= 0.8
    assert limits.latencies(300, 1.0, replications=60, seed=3, q=0.95, resamples=400).passes >= 0.8


@both
@pytest.mark.parametrize(("count", "equal"), [(15, True), (30, True), (30, False), (60, False)])
def test_harm_that_strikes_whole_groups_rarely_passes(count, equal, replications):
    quiet = limits.groups(count, 0.0, replications=replications, seed=1, equal=equal)
    harmed = limits.groups(count, 0.08, replications=replications, seed=2, equal=equal)
    assert quiet.fails <= at_most(ERRORS, replications)
    assert harmed.passes <= at_most(ERRORS, replications)
    assert harmed.naive_passes >= 0.15


def test_harm_in_groups_is_found():
    assert limits.groups(60, 0.0, replications=100, seed=3).passes >= 0.4
    assert limits.groups(60, 0.24, replications=100, seed=4).fails >= 0.9


@pytest.mark.parametrize(
    "replications", [150, pytest.param(FULL, marks=pytest.mark.slow)], ids=["quick", "full"]
)
@pytest.mark.parametrize("drop", [0.0, 0.05, 0.10])
def test_a_judge_that_favours_the_candidate_is_corrected_by_human_labels(drop, replications):
    found = judged.covered(drop, replications=replications, seed=1)
    assert found.corrected >= at_least(COVERAGE, replications)
    assert found.passes <= at_most(ERRORS, replications)
    assert found.judge_alone <= 0.5


@pytest.mark.parametrize(
    "replications", [60, pytest.param(1500, marks=pytest.mark.slow)], ids=["quick", "full"]
)
def test_a_judge_of_the_candidates_family_passes_a_loss_that_labels_stop(replications):
    found = judged.gated(0.05, replications=replications, seed=3)
    assert found.judge_alone >= at_least(0.85, replications)
    assert found.labelled <= at_most(0.05, replications)
    assert found.covered >= at_least(COVERAGE, replications)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("drop", "lenient", "alone", "labelled"),
    [
        (0.05, 0.0, (0.0, 0.05), (0.0, 0.05)),
        (0.0, 0.0, (0.15, 0.40), (0.10, 0.30)),
        (-0.05, -0.4, (0.0, 0.02), (0.35, 0.75)),
    ],
    ids=["loss, fair judge", "no change, fair judge", "gain, judge of the old family"],
)
def test_labels_help_whichever_way_a_judge_leans(drop, lenient, alone, labelled):
    found = judged.gated(drop, replications=1500, seed=4, lenient=lenient)
    assert alone[0] <= found.judge_alone <= alone[1]
    assert labelled[0] <= found.labelled <= labelled[1]
    assert found.covered >= at_least(COVERAGE, 1500)


@pytest.mark.parametrize("n", [30, 100])
def test_a_real_bundle_rarely_fails_against_itself(n):
    rng, found = np.random.default_rng(1), []
    for scores in recorded.outcomes().values():
        baseline, candidate = recorded.halves(rng, scores, n=n, runs=(1, 2), size=QUICK)
        found += [rates.judge(d, 0.1, 0.0)[1] for d in candidate - baseline]
    assert np.mean(found) <= at_most(ERRORS, len(found))


@pytest.mark.parametrize("n", [30, 100])
def test_intervals_hold_the_true_difference_of_real_bundles(n):
    rng, scores, found = np.random.default_rng(2), recorded.outcomes(), []
    for old, new in (("base", "worse"), ("base", "better"), ("wording", "migration")):
        truth = float(scores[new].mean() - scores[old].mean())
        arms = recorded.resampled(rng, scores[old], scores[new], n=n, k=3, size=QUICK)
        found += [rates.judge(d, 0.1, -truth)[2] for d in arms[1] - arms[0]]
    assert np.mean(found) >= at_least(COVERAGE, len(found))

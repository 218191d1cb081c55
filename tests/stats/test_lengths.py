"""What a pairwise judge would say if both answers were equally long."""

from math import isfinite, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.stats.lengths import controlled


def drawn(rng, n, at_equal, per_length, *, runs=1, spread=0.0):
    """Returns preferences, gaps and cases where length counts as much as told."""
    level = rng.normal(0.0, spread, n).repeat(runs)
    gap = rng.normal(30.0, 50.0, n * runs)
    logit = at_equal + per_length * np.tanh(gap / gap.std()) + level
    preferred = (rng.random(n * runs) < 1 / (1 + np.exp(-logit))).astype(float)
    return preferred, gap, np.arange(n).repeat(runs).tolist()


def truth(at_equal, spread):
    level = np.random.default_rng(0).normal(0.0, spread, 400_000)
    return float(np.mean(2 / (1 + np.exp(-(at_equal + level))) - 1))


@pytest.mark.parametrize(("runs", "spread"), [(1, 0.0), (3, 1.0)])
@pytest.mark.parametrize("at_equal", [-0.5, 0.0])
def test_intervals_hold_the_preference_at_equal_lengths(at_equal, runs, spread):
    rng, held, replications = np.random.default_rng(3), 0, 150
    wanted = truth(at_equal, spread)
    for _ in range(replications):
        found = controlled(*drawn(rng, 100, at_equal, 1.5, runs=runs, spread=spread))
        held += found.low <= wanted <= found.high
    assert held / replications >= 0.9 - 3.5 * sqrt(0.9 * 0.1 / replications)


def test_a_preference_for_length_alone_is_none_at_equal_lengths():
    preferred, gap, cases = drawn(np.random.default_rng(4), 400, 0.0, 2.0)
    found = controlled(preferred, gap, cases)
    assert (2 * preferred - 1).mean() > 0.2
    assert found.low < 0 < found.high


def test_where_length_tells_all_apart_the_interval_is_wide():
    gap = np.random.default_rng(5).normal(30.0, 50.0, 200)
    found = controlled((gap > 0).astype(float), gap, list(range(200)))
    assert found.low < 0 < found.high
    assert found.high - found.low > 0.3


@pytest.mark.parametrize(
    ("preferred", "gap", "reason"),
    [
        (np.ones(0), np.ones(0), "0 cases are too few: at least 20 are needed"),
        (np.ones(19), np.arange(19.0), "19 cases are too few: at least 20 are needed"),
        (np.ones(40), np.full(40, 7.0), "the lengths of the answers differ by the same everywhere"),
    ],
)
def test_what_cannot_be_controlled_is_none_with_a_reason(preferred, gap, reason):
    found = controlled(preferred, gap, list(range(len(gap))))
    assert (found.value, found.low, found.high, found.reason) == (None, None, None, reason)


@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.integers(-1000, 1000)),
        min_size=20,
        max_size=60,
    )
)
def test_it_is_finite_and_turns_round_with_the_arms(pairs):
    preferred, gap = (np.array([pair[at] for pair in pairs], dtype=float) for at in (0, 1))
    cases = list(range(len(pairs)))
    found, turned = controlled(preferred, gap, cases), controlled(1 - preferred, -gap, cases)
    if found.value is None:
        assert not gap.std()
        return
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert all(map(isfinite, (found.value, found.low, found.high)))
    assert turned.value == pytest.approx(-found.value, abs=1e-6)
    assert turned.low == pytest.approx(-found.high, abs=1e-6)

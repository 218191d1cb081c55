"""Buckets: the same everywhere, even, and kept while a canary widens."""

import json
from pathlib import Path

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from llmvc.core.bucket import drawn, last_in, salted, spelt
from llmvc.errors import UsageError
from llmvc.runtime import bucket

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "assign.json").read_text("utf-8"))
TEXT = st.text(st.characters(codec="utf-8"), min_size=1)
SALT = st.text("0123456789abcdef", min_size=16, max_size=16)


@pytest.mark.parametrize("vector", VECTORS["buckets"], ids=lambda one: repr(one["unit"])[:24])
def test_a_bucket_is_the_published_one(vector: dict) -> None:
    assert bucket(vector["salt"], vector["unit"]) == vector["bucket"]


@given(SALT, TEXT)
def test_a_bucket_is_the_first_64_bits_of_the_hash_scaled_to_a_million(salt, unit) -> None:
    hashed = blake3(f"{salt}\0{unit}".encode()).hexdigest()
    assert bucket(salt, unit) == int(hashed[:16], 16) * 1_000_000 // 2**64


@given(SALT, TEXT, st.integers(0, 10**6), st.integers(0, 10**6))
def test_widening_a_share_keeps_every_unit_that_was_in(salt, unit, one, other) -> None:
    narrow, wide = sorted((one, other))
    assert not (bucket(salt, unit) < narrow and not bucket(salt, unit) < wide)


@given(SALT, TEXT, st.integers(1, 10**6))
def test_the_last_hash_in_a_share_says_what_the_bucket_says(salt, unit, share_ppm) -> None:
    inside = drawn(salted(salt) + spelt(unit)) <= last_in(share_ppm)
    assert inside == (bucket(salt, unit) < share_ppm)


@given(st.integers(1, 10**6))
def test_the_last_hash_in_a_share_is_in_and_the_next_one_is_not(share_ppm) -> None:
    last = int.from_bytes(last_in(share_ppm), "big")
    assert last * 1_000_000 >> 64 < share_ppm <= (last + 1) * 1_000_000 >> 64


@given(SALT, TEXT)
def test_nobody_is_in_a_share_of_nothing_and_all_are_in_the_whole(salt, unit) -> None:
    assert 0 <= bucket(salt, unit) < 1_000_000


@pytest.mark.parametrize("unit", ["", 5, b"u", None, "\ud800"], ids=repr)
def test_what_is_no_unit_is_refused(unit: object) -> None:
    with pytest.raises(UsageError, match="unit"):
        bucket("0123456789abcdef", unit)


def test_buckets_fill_evenly() -> None:
    units = 100_000
    found = [0] * 100
    for at in range(units):
        found[bucket("b1f5c3a9d0e24678", f"conversation-{at}") // 10_000] += 1
    chi_square = sum((one - units / 100) ** 2 / (units / 100) for one in found)
    assert chi_square < 148.2  # 99 degrees of freedom, p = 0.001


def test_another_salt_draws_independently() -> None:
    units = 100_000
    table = [[0] * 10 for _ in range(10)]
    for at in range(units):
        name = f"user-{at}"
        table[bucket("b1f5c3a9d0e24678", name) // 100_000][
            bucket("b1f5c3a9d0e24679", name) // 100_000
        ] += 1
    rows = [sum(row) for row in table]
    columns = [sum(row[at] for row in table) for at in range(10)]
    chi_square = sum(
        (table[i][j] - rows[i] * columns[j] / units) ** 2 / (rows[i] * columns[j] / units)
        for i in range(10)
        for j in range(10)
    )
    assert chi_square < 126.1  # 81 degrees of freedom, p = 0.001

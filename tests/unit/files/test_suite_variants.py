"""The suite's variants: names, and runs that go round them."""

import pytest

from llmvc.core.variants import NAMES
from llmvc.errors import FormatError
from tests.unit.files.test_suite import SUITE, load


def text(variants, runs=3, looks="2"):
    return f"{SUITE.replace('runs: 3', f'runs: {runs}').replace('looks: 2', f'looks: {looks}')}variants: {variants}\n"


def test_variants_are_listed_or_all():
    assert load(text("[spacing, separators]")).suite.variants == ("spacing", "separators")
    assert load(text("all", runs=6)).suite.variants == NAMES
    assert load().suite.variants == ()
    assert (
        load(text("[spacing]", runs=4)).suite.digest
        != load(text("[separators]", runs=4)).suite.digest
    )


@pytest.mark.parametrize(
    ("variants", "runs", "wanted"),
    [("[spacing]", 1, 2), ("[spacing]", 3, 4), ("all", 3, 6), ("all", 7, 12)],
)
def test_runs_that_do_not_go_round_are_refused_with_the_number_to_write(variants, runs, wanted):
    with pytest.raises(FormatError, match=rf"suite.yaml:4: runs is {runs}: ") as caught:
        load(text(variants, runs))
    assert caught.value.hint == f"write runs: {wanted}"


def test_a_look_within_a_round_is_refused():
    looks = "{by: runs, at: [0.5, 1]}"
    assert load(text("[spacing]", 4, looks)).suite.looks.at == (0.5, 1.0)
    with pytest.raises(FormatError, match="a look falls within a round of 2 spellings"):
        load(text("[spacing]", 4, "{by: runs, at: [0.25, 1]}"))


@pytest.mark.parametrize("variants", ["[]", "[wording]", "[spacing, spacing]", "some", "3"])
def test_what_is_no_list_of_variants_is_refused(variants):
    with pytest.raises(FormatError, match=r"suite\.yaml:\d+: "):
        load(text(variants, runs=6))

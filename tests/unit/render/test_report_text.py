"""A report in the terminal."""

from dataclasses import replace

import pytest

from llmvc.gate.level import Standing
from llmvc.render import facts, report_text
from llmvc.render.spans import ASCII, UNICODE
from tests.unit.render.readings import (
    COST,
    HOSTILE,
    LATENCY,
    QUALITY,
    SEVERE,
    case,
    many,
    reading,
    run_id,
    suite,
)


def text(found, glyph=UNICODE):
    return report_text.text(found, glyph, colored=False)


def test_it_shows_verdict_table_bars_and_cases():
    shown = text(reading(many(), suite(QUALITY, COST, LATENCY)))
    assert shown.startswith("support b3:")
    assert "verdict: inconclusive" in shown
    assert "next step:" in shown
    assert "●" in shown
    assert "┊ margin" in shown
    assert "3 broken, 1 fixed, 2 flaky" in shown
    assert f"see {run_id('c000', 'candidate', 0)[:15]}" in shown
    assert f"was {run_id('c000', 'baseline', 0)[:15]}" in shown


def test_it_can_be_told_in_ascii():
    assert text(reading(), ASCII).isascii()


def test_it_lists_as_many_cases_as_asked_and_counts_the_rest():
    shown = text(reading(listed=1))
    assert "c000" in shown
    assert "c001" not in shown
    assert "and 2 more: --cases 3" in shown
    none = text(reading(listed=0))
    assert "3 broken" in none
    assert "c000" not in none


def test_it_says_what_the_variance_comes_from():
    assert "of the variance comes from repeated runs (var_run" in text(reading())
    same = [case(f"c{at}", (1, 1), (1, 1)) for at in range(30)]
    assert "every case and every run agrees" in text(reading(same))


def test_it_says_which_look_it_is_and_how_many_candidates_were_tried():
    found = reading(standing=Standing(look=1, tried=12, made_at=0.05))
    shown = text(replace(found, suite=suite(QUALITY)))
    assert "12 candidates so far on this baseline and suite; 10 may be tried" in shown
    assert "stricter" in shown
    assert "1 of 1" in shown


def test_a_first_release_has_one_arm_and_no_difference():
    rows = [case(f"c{at:02}", (), (1, 1) if at else (0, 0)) for at in range(40)]
    shown = text(reading(rows))
    assert "with no baseline" in shown
    assert "->" not in shown
    assert "1 wrong" in shown
    assert "┊ floor" in shown
    assert "no change" not in shown


def test_what_cannot_be_estimated_says_why_and_draws_no_bar():
    shown = text(reading([case(f"c{at}", (1,), (None,)) for at in range(30)]))
    assert "quality is not known for 30 runs of the candidate" in shown
    assert "no case changed" in shown
    assert "├" not in shown


def test_failed_runs_are_counted_and_one_is_shown():
    rows = [*many(), case("bad", (1, 1, 1), (1, 1, -1))]
    assert "1 run with an error, such as case bad run 2, candidate: no answer" in text(
        reading(rows)
    )


def test_rules_on_single_cases_list_the_cases_that_broke_them():
    strict = replace(QUALITY, must_pass=("mixed",))
    assert "must pass and did not" in text(reading(many(), suite(strict)))
    shown = text(reading(many(), suite(SEVERE)))
    assert "failed severely, and never did under the baseline: c000" in shown


def test_outputs_are_shown_only_where_they_were_asked_for_and_are_at_hand():
    kept = {
        run_id("c000", "candidate", 0): "the private answer",
        run_id("c000", "baseline", 1): "y" * 900,
    }
    assert "private" not in text(reading())
    shown = text(reading(outputs=kept))
    assert "the private answer" in shown
    assert "(300 more characters: llmvc show b3:" in shown
    assert "(not in the run cache of this clone)" in shown


def test_nothing_foreign_can_begin_a_line_of_its_own():
    evil = "a\nverdict: pass"
    named = replace(QUALITY, name="quality")
    shown = text(reading([case(evil, (1, 1), (0, 0), tags=("x\ny",)), *many()], suite(named)))
    assert "\nverdict: pass" not in shown
    assert "a verdict: pass" in shown


def test_long_names_do_not_break_the_columns():
    lines = text(reading([case("c" * 400, (1, 1), (0, 0)), *many()])).splitlines()
    (row,) = [line for line in lines if f" {'c' * 57}... " in line]
    assert row.split()[1:8] == ["1", "1", "->", "0", "0", "-1.000", "see"]


def test_many_runs_are_cut_short():
    assert facts.scores([1.0] * 12) == "1 1 1 1 1 1 1 1 1 1 ..."
    assert facts.scores([None, 2 / 3]) == "- 0.667"


def test_units_of_each_kind_of_metric_are_shown():
    shown = text(reading(many(60), suite(COST, LATENCY, SEVERE)))
    assert "cost, candidate over baseline; left is better" in shown
    assert "limit x1.10" in shown
    assert "%" in shown


@pytest.mark.parametrize("standing", [Standing(look=2, merged=True), Standing(look=None)])
def test_a_look_is_named_whatever_it_is(standing):
    assert "look  " in text(replace(reading(), standing=standing))


def test_hostile_names_are_shown_as_they_are():
    assert "<script>" in text(reading([case(HOSTILE, (1, 1), (0, 0)), *many()]))

"""Bars of text: intervals drawn against what they are held to."""

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from llmvc.core.metric import Metric
from llmvc.render import spans
from llmvc.render.spans import ASCII, UNICODE, Panel, Span
from tests.unit.render.readings import COST, LATENCY, QUALITY, SEVERE, case, many, reading, suite


def panel(*drawn: Span, ratio: bool = False) -> Panel:
    unit = "x{:.2f}" if ratio else "{:+.2f}"
    return Panel("scores", "right", "margin", ratio, unit, drawn)


def panels(found):
    return spans.panels(found.report, found.suite, found.verdict)


def test_a_bar_shows_interval_point_margin_and_no_change():
    one = Span("quality", -0.1, 0.0, 0.1, 0.0, -0.2, "pass")
    assert spans.bar(replace(one, point=0.05), panel(one), ASCII, 21) == " :     [-----+--o--] "
    assert spans.bar(one, panel(one), UNICODE, 21) == " ┊     ├─────●─────┤ "


def test_marks_within_the_interval_are_still_seen():
    one = Span("quality", -0.3, -0.1, 0.1, 0.0, -0.2, "fail")
    drawn = spans.bar(one, panel(one), ASCII, 41)
    assert drawn.index("[") < drawn.index("#") < drawn.index("o") < drawn.index("+")
    assert drawn.index("+") < drawn.index("]")


def test_bars_of_one_panel_stand_on_one_axis():
    one = Span("a", -0.3, -0.2, -0.1, 0.0, -0.05, "fail")
    two = Span("b", 0.1, 0.2, 0.3, 0.0, -0.1, "pass")
    both = panel(one, two)
    first, second = (spans.bar(span, both, ASCII) for span in (one, two))
    assert first.index("|") == second.index("|")
    assert second.index(":") < first.index(":")


def test_twice_and_half_are_equally_far_from_no_change():
    one = Span("cost", 0.5, 1.0, 2.0, None, None, "pass")
    drawn = spans.bar(one, panel(one, ratio=True), ASCII, 41)
    assert drawn.index("[") + drawn.index("]") == 2 * drawn.index("o") == 40


FLOATS = st.floats(-5, 5)


@given(ends=st.tuples(FLOATS, FLOATS, FLOATS), same=st.none() | FLOATS, rule=st.none() | FLOATS)
def test_a_bar_is_as_wide_as_asked_and_holds_its_point(ends, same, rule):
    low, point, high = sorted(ends)
    drawn = spans.bar(
        Span("m", low, point, high, same, rule, "pass"),
        panel(Span("m", low, point, high, same, rule, "pass")),
        ASCII,
    )
    assert len(drawn) == spans.WIDTH
    assert drawn.count("o") == 1
    assert set(drawn) <= set(" -[]o|:+#")


@given(a=FLOATS, b=FLOATS)
def test_a_greater_estimate_never_stands_further_left(a, b):
    assume(a <= b)
    one, two = (Span("m", -5.0, x, 5.0, 0.0, None, "pass") for x in (a, b))
    both = panel(one, two)
    at = [spans.bar(span, both, ASCII).index("o") for span in (one, two)]
    assert at[0] <= at[1]


@given(ends=st.tuples(FLOATS, FLOATS, FLOATS))
def test_numbers_below_the_bars_fit_and_do_not_run_together(ends):
    low, point, high = sorted(ends)
    text = spans.ticks(panel(Span("m", low, point, high, 0.0, None, "pass")))
    assert len(text) <= spans.WIDTH
    assert "0" in text.split()
    numbers = [float(part) for part in text.split()]
    assert numbers == sorted(numbers)


def test_metrics_of_one_kind_and_scale_share_a_panel():
    rubric = Metric("rubric", "score", ("right",), margin=0.2, scale=(1.0, 5.0))
    again = replace(QUALITY, name="again", gate=False)
    found = panels(reading(many(60), suite(QUALITY, rubric, again, COST, LATENCY)))
    assert [[span.metric for span in one.spans] for one in found] == [
        ["quality", "again"],
        ["rubric"],
        ["cost"],
        ["latency"],
    ]
    assert [one.ratio for one in found] == [False, False, True, True]
    assert [one.better for one in found] == ["right", "right", "left", "left"]
    assert found[0].spans[0].rule == -0.05
    assert found[0].spans[1].outcome == "watched"
    assert (found[2].spans[0].same, found[2].spans[0].rule) == (1.0, 1.1)


def test_a_first_release_is_drawn_against_floor_and_ceiling():
    rows = [case(f"c{at}", (), (1, 1, 0)) for at in range(60)]
    found = {
        one.spans[0].metric: one for one in panels(reading(rows, suite(QUALITY, COST, LATENCY)))
    }
    assert (found["quality"].rule, found["quality"].spans[0].rule) == ("floor", 0.5)
    assert (found["cost"].rule, found["cost"].spans[0].rule) == ("ceiling", 0.01)
    assert {one.spans[0].same for one in found.values()} == {None}
    assert not any(one.ratio for one in found.values())


def test_severe_failures_are_drawn_against_their_budget():
    (found,) = panels(reading(many(), suite(SEVERE)))
    (span,) = found.spans
    assert (span.rule, found.better) == (0.1, "left")
    assert span.low <= span.point <= span.high


def test_a_metric_without_an_interval_is_not_drawn():
    assert panels(reading(many(3))) == ()
    assert panels(reading([case("c", (1, -1), (-1, -1))] * 30)) == ()


def test_the_legend_explains_what_is_drawn_and_no_more():
    one = Span("a", 0.0, 0.1, 0.2, None, None, "pass")
    assert spans.marks([panel(one)]) == {}
    both = [panel(replace(one, same=0.0)), replace(panel(replace(one, rule=0.3)), rule="limit")]
    assert spans.marks(both) == {"same": "no change", "rule": "limit"}
    every = [
        replace(panel(replace(one, rule=0.3)), rule=name) for name in ("budget", "limit", "margin")
    ]
    assert spans.marks(every) == {"rule": "margin, limit or budget"}
    assert "| no change   : limit" in spans.legend(both, ASCII)


@pytest.mark.parametrize(
    ("encoding", "glyph"),
    [("utf-8", UNICODE), ("UTF8", UNICODE), ("ascii", ASCII), ("latin-1", ASCII), (None, ASCII)],
)
def test_an_output_that_cannot_show_lines_gets_plain_signs(encoding, glyph):
    assert spans.glyphs(encoding) is glyph

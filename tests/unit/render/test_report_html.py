"""A report as one HTML page, read the way a browser does."""

import sys
from dataclasses import replace

import pytest

from llmvc.errors import ConfigError
from llmvc.render import charts
from llmvc.render.markup import Markup, element, join
from llmvc.render.report_html import html
from llmvc.render.spans import panels
from tests.unit.render.pages import Page
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


def test_it_shows_verdict_table_facts_and_cases():
    page = Page(html(reading(), plot=False))
    assert "inconclusive" in page.text
    assert "3 broken" in page.text
    assert "c000" in page.text
    assert page.open == []


def test_it_needs_nothing_from_elsewhere_and_runs_nothing():
    page = Page(html(reading(many(60), suite(QUALITY, COST, LATENCY, SEVERE)), plot=True))
    assert {"script", "link", "img", "iframe", "object", "form"}.isdisjoint(page.tags)
    assert all(link.startswith("#") for link in page.links)
    assert not any(key.startswith("on") for key, _ in page.attributes)
    assert any("default-src 'none'" in value for _, value in page.attributes)
    assert page.tags.count("svg") == 8


def test_foreign_text_is_text_wherever_it_stands():
    rows = [case(HOSTILE, (1, 1), (0, 0), tags=(HOSTILE,), group=HOSTILE), *many(60)]
    named = replace(QUALITY, name=HOSTILE.replace("\x1b", ""))
    kept = {run_id(HOSTILE, "candidate", 0): f"</pre>{HOSTILE}"}
    made = html(reading(rows, suite(named), outputs=kept), plot=True)
    page = Page(made)
    assert "script" not in page.tags
    assert '<script>alert("1")</script>' in page.text
    assert "\x1b" not in made
    assert "\u202e" not in made
    assert page.open == []


def test_scores_lead_to_outputs_that_are_in_the_page_once():
    first, second = run_id("c000", "candidate", 0), run_id("c000", "candidate", 1)
    twice = suite(QUALITY, SEVERE)
    page = Page(html(reading(many(), twice, outputs={first: "the private answer"}), plot=False))
    assert page.text.count("the private answer") == 1
    assert f"#run-{first[3:]}" in page.links
    assert f"#run-{second[3:]}" not in page.links
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert "not in the run cache of this clone" in page.text


def test_without_outputs_a_score_says_how_to_see_its_run():
    made = html(reading(), plot=False)
    assert "Outputs of the listed cases" not in made
    assert f'title="llmvc show {run_id("c000", "candidate", 0)[:15]}"' in made


def test_a_long_output_is_cut_and_says_so():
    kept = {run_id("c000", "candidate", 0): "x" * 21_000}
    assert "(1,000 more characters: llmvc show b3:" in html(reading(outputs=kept), plot=False)


def test_a_first_release_and_undefined_estimates_make_a_page():
    first = [case(f"c{at:02}", (), (1, 1) if at else (0, 0)) for at in range(40)]
    undefined = [case(f"c{at}", (1,), (None,)) for at in range(30)]
    assert "1 wrong" in Page(html(reading(first), plot=True)).text
    page = Page(html(reading(undefined), plot=True))
    assert "svg" not in page.tags
    assert "is not known for 30 runs" in page.text


def test_a_plot_holds_names_and_colours_of_the_page():
    found = reading(many(60), suite(QUALITY))
    (panel,) = panels(found.report, found.suite, found.verdict)
    drawn = charts.svg(panel, width=300)
    assert drawn.startswith("<svg")
    assert ">quality</text>" in drawn
    assert "var(--inconclusive)" in drawn
    assert "var(--rule)" in drawn


def test_without_the_extra_plots_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(ConfigError, match="altair and vl-convert-python") as caught:
        html(reading(), plot=True)
    assert caught.value.hint == "pip install 'llmvc[report]', or --no-plot"
    assert "<svg" not in html(reading(), plot=False)


def test_elements_escape_text_and_take_markup():
    assert element("td", "<b>", Markup("<i></i>")) == "<td>&lt;b&gt;<i></i></td>"
    assert element("a", "x", href='"><script>') == '<a href="&quot;&gt;&lt;script&gt;">x</a>'
    assert element("meta", http_equiv="x", class_=None) == '<meta http-equiv="x">'
    assert join(["<", Markup("<br>")]) == "&lt;<br>"
    assert isinstance(element("p", "a"), Markup)

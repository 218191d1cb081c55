"""A report as Markdown for a pull request."""

import re
from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from llmvc.evals.changes import changes
from llmvc.render import report_markdown
from llmvc.render.report_markdown import escape, markdown
from tests.unit.render.pages import Page
from tests.unit.render.readings import HOSTILE, QUALITY, case, many, reading, run_id, suite

RENDERER = MarkdownIt("commonmark", {"html": True}).enable("table")
CELL = re.compile(r"(?<!\\)\|")


def test_it_shows_verdict_table_bars_and_folded_cases():
    shown = markdown(reading())
    assert shown.startswith("### ❔ inconclusive: support b3:")
    assert "| quality | 0.958 | 0.917 | -0.042  [-0.132, +0.051] | margin -0.05 |" in shown
    assert "```text" in shown
    assert "<summary>quality: 3 broken (right under the baseline" in shown
    assert shown.count("<details>") == shown.count("</details>") == 4
    assert f"<code>{run_id('c000', 'candidate', 0)[:15]}</code>" in shown


def test_every_row_of_a_table_has_as_many_cells_as_its_head():
    rows = [case(HOSTILE, (1, 1), (0, 0), tags=("a|b",), group="g|h"), *many()]
    cells: list[int] = []
    for line in markdown(reading(rows)).splitlines():
        if not line.startswith("|"):
            cells.clear()
            continue
        cells.append(len(CELL.findall(line)))
        assert cells[0] == cells[-1], line


def test_foreign_text_is_neither_markup_nor_link_nor_mention():
    shown = markdown(reading([case(HOSTILE, (1, 1), (0, 0), tags=(HOSTILE,)), *many()]))
    assert "<script" not in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "@all" not in shown
    assert "#1" not in shown
    assert "http://" not in shown
    assert "](" not in shown.replace("\\](", "")


def test_rendered_it_says_what_was_written_and_nothing_acts():
    rows = [case(HOSTILE, (1, 1), (0, 0), tags=(HOSTILE,)), *many()]
    page = Page(RENDERER.render(markdown(reading(rows))))
    assert set(page.tags).isdisjoint({"script", "a", "img"})
    assert page.tags.count("details") == page.tags.count("summary") == 4
    assert page.tags.count("tbody") == 4
    shown = " ".join(HOSTILE.replace("\x1b", "\\u001b").replace("\u202e", "\\u202e").split())
    assert page.text.count(shown) == 2
    assert page.open == []


ESCAPED = {
    "html": ("<b>&amp;", "&lt;b&gt;&amp;amp;"),
    "a pipe": ("a|b", "a\\|b"),
    "a backslash before a pipe": ("a\\|b", "a\\\\\\|b"),
    "backticks": ("`x`", "\\`x\\`"),
    "a link": ("[a](b)", "\\[a\\](b)"),
    "a mention": ("@all", "@<!-- -->all"),
    "an issue": ("#12", "#<!-- -->12"),
    "an address": ("https://a", "https:<!-- -->//a"),
    "a bare address": ("www.a.b", "www<!-- -->.a.b"),
    "several lines": ("a\n# b", "a #<!-- --> b"),
    "a long text": ("x" * 400, "x" * 299 + "…"),
}


@pytest.mark.parametrize(("text", "wanted"), ESCAPED.values(), ids=ESCAPED)
def test_text_is_escaped(text, wanted):
    assert escape(text) == wanted


def test_ten_thousand_changed_cases_fit_a_comment_and_the_rest_is_counted():
    rows = [case(f"case-{at:05}-{'x' * 60}", (1, 1), (0, 0)) for at in range(10_000)]
    shown = markdown(replace(reading(listed=10_000), changes=changes(rows, suite())))
    assert 50_000 < len(shown) < 65_536
    (left,) = re.findall(r"([\d,]+) more are not listed here", shown)
    assert int(left.replace(",", "")) + shown.count("| <code>case-") == 10_000
    assert shown.count("<details>") == shown.count("</details>")


@pytest.mark.parametrize("most", [2_000, 2_500, 3_000, 4_000, 6_000])
def test_a_small_room_is_never_overrun_and_no_block_is_cut(most):
    shown = markdown(reading(), most=most)
    assert len(shown) <= most
    assert shown.count("<details>") == shown.count("</details>")
    assert shown.count("```") % 2 == 0
    if "flaky (runs" not in shown:
        assert "Not all of it has room here" in shown


def test_outputs_are_never_in_it():
    shown = markdown(reading(outputs={run_id("c000", "candidate", 0): "the private answer"}))
    assert "private" not in shown


def test_no_name_can_end_the_block_of_bars():
    shown = markdown(reading(many(), suite(replace(QUALITY, name="```\n```"))))
    assert sum(line.strip() == "```" for line in shown.splitlines()) == 1


def test_a_first_release_shows_one_arm():
    rows = [case(f"c{at:02}", (), (1, 1) if at else (0, 0)) for at in range(40)]
    assert "1 wrong" in markdown(reading(rows))
    assert report_markdown.MOST < 65_536

"""Spellings of the prompt, from the suite to the report: a stand-in that reads one of them badly."""

import re

import pytest

STAND_IN = """\
import re


def answer(request):
    text = request["messages"][-1]["content"]
    found = re.search(r"\\b[A-Z]{2}-(\\d{4})\\b", text)
    if "MESSAGE:" in text and found and int(found[1]) % 2:
        return "none"
    return found[0] if found else "none"
"""


@pytest.fixture
def repo(git_repo, cli):
    cli("new", "orders")
    (git_repo / "prompts" / "orders" / "user.md").write_text("Message: {{message}}")
    suite = git_repo / "evals" / "orders" / "suite.yaml"
    text = re.sub(
        r"(?m)^runs: .*$", "runs: 3\nvariants: [label-case, field-layout]", suite.read_text()
    )
    suite.write_text(text)
    (stand_in,) = (path for path in git_repo.rglob("*.py") if "def answer" in path.read_text())
    stand_in.write_text(STAND_IN)
    return git_repo


def test_spellings_are_measured_told_and_warned_of_and_decide_nothing(repo, cli):
    done = cli("eval", "orders", code=None)
    assert "variants that find nothing to change in the candidate: field-layout" in done.err
    assert "warning: the form of the prompt alone moves quality by 0." in done.out
    found = cli.json("eval", "orders", code=None)
    assert found["note"].startswith("stored evidence")
    (quality,) = (one for one in found["report"]["estimates"] if one["metric"] == "quality")
    told = quality["details"]["variants"]
    assert told["written"] == told["field-layout"] == 1.0
    assert told["label-case"] < 1.0
    assert quality["candidate"] == pytest.approx((2 + told["label-case"]) / 3)
    cli("gate", found["report"]["digest"], "--recompute", code=None)

    read = " ".join(cli("report", found["report"]["digest"]).out.split())
    assert "variants that found nothing to change: field-layout" in read
    assert re.search(r"1\.000 as written, 0\.\d+ with label-case, 1\.000 with field-layout", read)
    cli("report", found["report"]["digest"], "--format", "markdown")


def test_a_suite_without_variants_has_no_word_of_them(repo, cli):
    suite = repo / "evals" / "orders" / "suite.yaml"
    suite.write_text(suite.read_text().replace("variants: [label-case, field-layout]\n", ""))
    done = cli("eval", "orders", code=None)
    assert "variants" not in done.out + done.err
    found = cli.json("eval", "orders", code=None)
    assert all("variants" not in one["details"] for one in found["report"]["estimates"])

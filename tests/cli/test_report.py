"""`llmvc report`: which report it shows, in which form, and what it keeps to itself."""

import json
import shutil
import subprocess
import sys

import pytest

from tests.cli.conftest import worse
from tests.cli.test_tampering import measured, measured_elsewhere
from tests.support.build import FAILING, environ
from tests.support.cli import check_output, child


def test_it_shows_the_report_on_the_working_tree(ready, cli):
    digest = cli.json("eval")["report"]["digest"]
    shown = cli("report")
    assert digest[:15] in shown.out
    assert "verdict: pass" in shown.out
    assert "├" in shown.out
    assert cli.json("report")["digest"] == digest


def test_every_name_of_a_report_leads_to_it(ready, cli):
    digest = cli.json("eval")["report"]["digest"]
    first = cli.json("resolve", "support@prod")["release"]["report"]
    for name, wanted in {
        digest: digest,
        digest[:11]: digest,
        "support": digest,
        f"support@{cli.digest()}": digest,
        "support@prod": first,
        "@prod": first,
    }.items():
        assert cli.json("report", name)["digest"] == wanted, name
    cli("promote", "prod")
    assert cli.json("report", "support@prod")["digest"] == digest
    assert cli.json("report", "support@prod~1")["digest"] == first
    # The working tree is what prod serves now: its release carries the report.
    assert cli.json("report")["digest"] == digest
    cli("rollback", "prod", "--no-push")
    assert cli.json("report", "support@prod")["digest"] == first


def test_it_exits_with_0_whatever_the_verdict_is(ready, cli):
    worse(ready, cli)
    cli("eval", code=1)
    shown = cli("report").out
    assert "verdict: fail" in shown
    assert f"{FAILING} broken" in shown
    assert "c000  1 -> 0  -1.000  see b3:" in shown
    assert "and 10 more: --cases 20" in shown
    assert "c019" in cli("report", "--cases", "20").out


def test_without_a_report_it_says_how_to_get_one(repo, cli):
    repo.prompt("Nobody measured this.")
    missing = cli.json("report", code=3)
    assert "no report on support" in missing["message"]
    assert missing["hint"] == "measure it: llmvc eval support"
    bundle = cli.digest("support@prod")
    assert "is not a report" in cli.json("report", bundle, code=4)["message"]
    assert cli.json("report", "b3:00000000", code=4)["code"] == "not-found"
    cli("commit", "-m", "loose")
    cli("override", "support", "prod", "--reason", "it was the cache")
    assert "release 2, override, which carries no report" in cli("report", "@prod", code=4).err


def test_a_report_is_superseded_by_one_that_rests_on_more(ready, cli):
    (leaf,) = measured(ready, cli.digest())
    measured_elsewhere(ready, leaf)
    merged = cli.json("eval", "--merge-only", code=3)["report"]["digest"]
    alone = cli.json("report", leaf.digest)
    assert alone["notes"] == [f"superseded by report {merged[:15]}"]
    assert alone["verdict"]["verdict"] == "inconclusive"
    assert cli.json("report")["notes"] == []
    assert "of measurements that were united" in cli("report").out


def test_every_form_is_printed_or_written(ready, cli, tmp_path):
    worse(ready, cli)
    cli("eval", code=1)
    markdown = cli("report", "--format", "markdown").out
    assert markdown.startswith("### ❌ fail: support b3:")
    assert cli("report", "--format", "html", "--no-plot").out.startswith("<!doctype html>")
    found = json.loads(cli("report", "--format", "json").out)
    check_output(found)
    assert found["changes"][0]["counts"] == {"broken": FAILING}
    for name, start in {
        "r.md": "### ",
        "r.html": "<!doctype",
        "r.json": "{",
        "r.txt": "support b3:",
    }.items():
        done = cli("report", "--no-plot", "-o", str(tmp_path / name))
        assert (done.out, done.err) == ("", f"wrote {tmp_path / name}\n")
        assert (tmp_path / name).read_text("utf-8").startswith(start)
    assert (tmp_path / "r.md").read_text("utf-8") == markdown
    assert json.loads((tmp_path / "r.json").read_text("utf-8")) == found
    assert "cannot write" in cli("report", "-o", str(tmp_path / "no" / "r.md"), code=4).err


def test_outputs_are_shown_only_if_asked_for_and_only_where_they_were_measured(ready, cli):
    worse(ready, cli)
    cli("eval", code=1)
    private = "\n        wrong\n"
    assert private not in cli("report").out
    assert private in cli("report", "--outputs").out
    assert ">wrong</pre>" in cli("report", "--outputs", "--format", "html", "--no-plot").out
    for form in ("markdown", "json"):
        refused = cli("report", "--outputs", "--format", form, code=2)
        assert f"--outputs does not go with {form}" in refused.err
    shutil.rmtree(ready.root / ".git" / "llmvc" / "runs")
    shown = cli("report", "--outputs").out
    assert private not in shown
    assert "20 outputs are not in this clone's run cache" in shown


def test_a_run_of_a_report_is_shown_by_its_digest(ready, cli):
    worse(ready, cli)
    cli("eval", code=1)
    case = cli.json("report")["changes"][0]["cases"][0]
    assert case["id"] == "c000"
    run_id = case["candidate"][0]["run_id"]
    shown = cli("show", run_id[:15]).out
    assert shown.startswith(f"run  {run_id}\n")
    assert shown.endswith("\n\nwrong\n")
    assert "input_tokens      10" in shown
    found = cli.json("show", run_id)
    assert (found["kind"], found["digest"], found["value"]["output"]) == (
        "entry/1",
        run_id,
        "wrong",
    )
    shutil.rmtree(ready.root / ".git" / "llmvc" / "runs")
    assert "nor does the run cache of this clone" in cli("show", run_id, code=4).err


def test_a_first_release_is_reported_without_a_baseline(started, cli):
    cli("commit", "-m", "first")
    cli("eval")
    found = cli.json("report")
    assert found["baseline"] is None
    assert "with no baseline" in cli("report").out
    assert "with no baseline" in cli("report", "--format", "markdown").out


def test_plots_without_the_extra_are_an_error_with_a_way_out(ready, cli, monkeypatch):
    monkeypatch.setitem(sys.modules, "altair", None)
    refused = cli("report", "--format", "html", code=4)
    assert "pip install 'llmvc[report]', or --no-plot" in refused.err
    assert refused.out == ""


def test_reading_a_report_loads_no_numbers_library_and_suits_a_plain_terminal(ready):
    done = child("report", cwd=ready.root, PYTHONIOENCODING="ascii")
    assert (done.code, done.err) == (0, "")
    assert done.out.isascii()
    code = (
        "import sys; from llmvc.cli.main import run; run(['report']); "
        "print([m for m in ('numpy', 'scipy', 'altair', 'httpx') if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ready.root,
        capture_output=True,
        text=True,
        check=True,
        env=environ(PYTHONPATH=":".join(filter(None, sys.path))),
    )
    assert found.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("arguments", [("--format", "pdf"), ("--cases", "-1"), ("a", "b")])
def test_what_makes_no_sense_is_refused(ready, cli, arguments):
    assert cli.json("report", *arguments, code=2)["code"] == "usage"


@pytest.mark.parametrize(("option", "others"), [((), 0o044), (("--outputs",), 0)])
def test_a_page_with_outputs_is_readable_by_its_owner_alone(ready, cli, option, others):
    page = ready.root / "r.html"
    cli("report", "--format", "html", "--no-plot", "-o", str(page), *option)
    assert page.stat().st_mode & 0o044 == others

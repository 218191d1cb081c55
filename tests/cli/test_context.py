"""The context window from the command line: at a commit, in an eval, and in a report."""

import json

import pytest

from llmvc.app import fitting

WINDOW = "context: {window: %s, reserve_output: 8%s}\n"
METRICS = """\
  context: {ceiling: 0.9, quantile: 0.5}
  tokens: {gate: false}
  first: {kind: latency, of: first-token}
"""


def windowed(repo, window, more=""):
    path = repo.root / "prompts/support/bundle.yaml"
    text = path.read_text().partition("context:")[0]
    path.write_text(text + WINDOW % (window, more))


@pytest.mark.parametrize(
    ("window", "state"),
    [(8192, "fits"), (40, "fits"), (24, "may not fit"), (10, "does not fit")],
)
def test_a_commit_tells_the_longest_case_beside_the_window(started, cli, window, state):
    rows = [{"id": f"c{at}", "vars": {"message": "1 " * at}} for at in range(1, 24)]
    started.write("evals/support/cases.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    windowed(started, window)
    done = cli("commit", "-m", "first")
    line = next(one for one in done.out.splitlines() if one.startswith("  context  "))
    assert line.startswith(f"  context  worst case about 31 of {window:,} tokens (8 reserved for")
    assert f"case c23: {state}" in line
    found = cli.json("commit")["context"]
    assert (found["case"], found["tokens"], found["state"]) == ("c23", 31, state)
    assert found["most"] == window - 8
    assert found["estimator"] == "bytes / 3 and 4 a message"


def test_what_truncation_leaves_out_is_told(started, cli):
    history = [{"role": "user", "content": "old " * 30}, {"role": "assistant", "content": "x"}]
    row = {"id": "long", "vars": {"message": "1", "history": history}}
    started.write("evals/support/cases.jsonl", json.dumps(row) + "\n")
    windowed(started, 60, ", history: {turns: 3}, truncation: {policy: drop_oldest}")
    done = cli("commit")
    assert "case long: fits, once 1 of its turns and examples are left out" in done.out
    assert cli.json("commit")["context"]["dropped"] == 1


def test_without_a_window_nothing_is_said(started, cli):
    assert "context" not in cli("commit").out
    assert cli.json("commit")["context"] is None


def test_the_price_table_knows_windows_too(started, cli):
    entry = {"input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6, "max_input_tokens": 50}
    started.write("prices.json", json.dumps({"fake/fake-1": entry}))
    config = started.root / ".llmvc/config.yaml"
    config.write_text(config.read_text() + "prices: prices.json\n")
    found = cli.json("commit")["context"]
    assert (found["window"], found["reserved"], found["most"]) == (50, 8, 42)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("evals/support/suite.yaml", "bundle: [support"),
        ("evals/support/suite.yaml", "llmvc: 1\nbundle: support\ndataset: gone.jsonl\n"),
        ("evals/support/cases.jsonl", "{"),
        ("evals/support/cases.jsonl", ""),
        ("evals/support/cases.jsonl", '{"id": "a", "vars": {"other": 1}}\n'),
        ("evals/support/cases.jsonl", b"\xff\xfe"),
        ("evals/support/cases.jsonl", '{"id": "a", "vars": 7}\n'),
    ],
)
def test_a_broken_suite_never_ends_a_commit(started, cli, path, text):
    windowed(started, 8192)
    started.write(path, text)
    assert cli.json("commit", "-m", "all the same")["context"] is None


def test_only_the_longest_rows_are_read(started, cli, monkeypatch):
    rows = [{"id": f"c{at}", "vars": {"message": f"{at} {'x' * (at % 97)}"}} for at in range(2000)]
    started.write("evals/support/cases.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    windowed(started, 8192)
    made = []
    build = fitting.request.make
    monkeypatch.setattr(fitting.request, "make", lambda *args: made.append(args) or build(*args))
    cli("commit")
    assert 0 < len(made) < 10


def measured(repo, cli, window=16):
    windowed(repo, window)
    path = repo.root / "evals/support/suite.yaml"
    path.write_text(path.read_text().replace("runs: 1", "runs: 2") + METRICS)
    repo.save("context")
    cli("commit")
    return cli("eval", code=None)


def test_an_eval_judges_the_context_used_and_tells_its_quantiles(repo, cli):
    done = measured(repo, cli)
    line = next(one for one in done.out.splitlines() if one.startswith("context"))
    assert "->" not in line  # the baseline names no window
    assert line.split()[1:] == ["68.8%", "[68.8%,", "68.8%]", "ceiling", "90.0%", "pass"]
    tokens = next(one for one in done.out.splitlines() if one.startswith("tokens"))
    assert "11 -> 11" in tokens
    assert "no time to the first token was measured" in done.out


@pytest.mark.parametrize("form", ["text", "markdown", "html"])
def test_a_report_shows_quantiles_and_truncated_runs(repo, cli, form):
    measured(repo, cli)
    text = cli("report", "support", "--format", form).out
    assert "p50 " in text
    assert "0.0% of the runs left out messages to fit the window" in text

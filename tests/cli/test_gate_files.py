"""`llmvc gate BASELINE CANDIDATE`: two result files, no repository."""

import gc
import json
from pathlib import Path

import numpy as np
import pytest

from llmvc.stats import compare
from tests.support.cli import child

DATA = Path(__file__).resolve().parents[1] / "data" / "results"
CASES = 200


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """A folder that is no repository."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows(rate, *, seed=1, cases=CASES, runs=3, **members):
    """Runs of cases that pass at a rate, as lines."""
    passed = np.random.default_rng(seed).random((cases, runs)) < rate
    return [
        {"case": f"c{case:03}", "run": run, "scores": {"quality": bool(passed[case, run])}}
        | {name: value(case, run) for name, value in members.items()}
        for case in range(cases)
        for run in range(runs)
    ]


def write(name, found):
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in found), encoding="utf-8")
    return name


def arms(found):
    """The scores as an array of shape (cases, runs)."""
    return np.array([row["scores"]["quality"] for row in found], dtype=float).reshape(CASES, -1)


@pytest.fixture
def old():
    return write("old.jsonl", rows(0.9))


def test_one_line_says_the_verdict_and_what_it_rests_on(old, cli):
    worse = write("worse.jsonl", rows(0.7, seed=2))
    first, *more = cli("gate", old, worse, "--margin", "0.05", code=1).out.splitlines()
    assert first.startswith("fail  quality 0.902 -> 0.700  -0.202 [-0.238, -0.166]")
    assert first.endswith("margin -0.05 (200 cases x 3 runs)")
    assert more == []


EXITS = {"pass": 0, "fail": 1, "inconclusive": 3}


@pytest.mark.parametrize(
    ("rate", "margin", "verdict"),
    [(0.9, 0.05, "pass"), (0.7, 0.05, "fail"), (0.9, 0.005, "inconclusive")],
)
def test_the_verdict_is_that_of_the_library(cli, rate, margin, verdict):
    old, new = rows(0.9), rows(rate, seed=2)
    files = write("old.jsonl", old), write("new.jsonl", new)
    found = cli.json("gate", *files, "--margin", str(margin), code=EXITS[verdict])
    same = compare(arms(old), arms(new), margin=margin)
    assert (found["verdict"]["verdict"], same.verdict) == (verdict, verdict)
    estimate = found["estimates"][0]
    for name in ("estimate", "low", "high", "t_pass", "t_fail", "var_case", "var_run"):
        assert estimate[name] == pytest.approx(getattr(same, name))


def test_a_verdict_that_is_open_says_what_would_settle_it(cli):
    few = [write(name, rows(0.9, seed=at, cases=25)) for at, name in enumerate("ab")]
    done = cli("gate", *few, "--margin", "0.05", code=3)
    assert done.out.startswith("inconclusive  quality")
    assert "next step: about" in done.out


def test_cost_and_latency_are_shown_and_decide_nothing(cli):
    costs = {"cost_usd": lambda case, run: 0.01 + case * 1e-5, "latency_s": lambda case, run: 1.0}
    dear = {name: lambda c, r, of=of: 3 * of(c, r) for name, of in costs.items()}
    files = write("old.jsonl", rows(0.9, **costs)), write("new.jsonl", rows(0.9, **dear))
    _, cost, latency = cli("gate", *files, "--margin", "0.05").out.splitlines()
    assert (cost.split()[0], cost.split()[-1]) == ("cost", "watched")
    assert "x3.00" in cost
    assert latency.split() == ["latency", "1.000s", "->", "3.000s", "x3.00", "watched"]


@pytest.mark.parametrize("metric", ["cost", "latency"])
def test_a_limit_makes_them_gate(cli, metric):
    member = {"cost": "cost_usd", "latency": "latency_s"}[metric]
    noise = np.random.default_rng(1).random((CASES, 3))
    files = [
        write(
            f"{factor}.jsonl", rows(0.9, **{member: lambda c, r, f=factor: f * (1 + noise[c, r])})
        )
        for factor in (1.0, 1.01, 1.5)
    ]
    judged = ("--margin", "0.05", f"--{metric}-limit", "1.2")
    done = cli("gate", files[0], files[1], *judged)
    assert done.out.startswith("pass  all gating metrics pass")
    done = cli("gate", files[0], files[2], *judged, code=1)
    assert f"fail  {metric}: x1.50" in done.out
    alone = cli("gate", files[0], files[2], f"--{metric}-limit", "1.2", code=1)
    assert alone.out.startswith(f"fail  {metric} ")


def test_a_score_must_be_chosen_where_there_are_several(cli):
    found = [row | {"scores": row["scores"] | {"tone": 1}} for row in rows(0.9)]
    files = write("old.jsonl", found), write("new.jsonl", found)
    done = cli("gate", *files, "--margin", "0.05", code=2)
    assert "quality, tone" in done.err
    assert "--metric quality" in done.err
    more = [row | {"scores": row["scores"] | {"extra": 1}} for row in found]
    done = cli("gate", files[0], write("more.jsonl", more), "--margin", "0.05", code=2)
    assert "both files hold quality, tone, and others are in one file only" in done.err
    assert "--metric quality" in done.err
    apart = [row | {"scores": {"extra": 1}} for row in found]
    done = cli("gate", files[0], write("apart.jsonl", apart), "--margin", "0.05", code=2)
    assert "quality, tone in the one, extra in the other" in done.err
    assert (
        "pass  quality 0.902" in cli("gate", *files, "--margin", "0.05", "--metric", "quality").out
    )
    both = cli("gate", *files, "--margin", "0.05", "--metric", "quality", "--metric", "tone").out
    assert [line.split()[0] for line in both.splitlines()] == ["pass", "quality", "tone"]
    done = cli("gate", *files, "--margin", "0.05", "--metric", "speed", code=2)
    assert "old.jsonl has no score speed" in done.err
    assert "quality, tone" in done.err


def test_a_rubric_is_judged_in_its_own_points(cli):
    rng = np.random.default_rng(5)
    points = rng.integers(2, 6, (CASES, 2))
    stars = [
        [
            {"case": f"c{case}", "scores": {"stars": int(max(1, points[case, run] - fall))}}
            for case in range(CASES)
            for run in range(2)
        ]
        for fall in (0, 1)
    ]
    files = write("old.jsonl", stars[0]), write("new.jsonl", stars[1])
    done = cli("gate", *files, "--margin", "0.2", code=4)
    assert "old.jsonl: case c0 run " in done.err
    assert "outside its range of 0 to 1" in done.err
    done = cli.json("gate", *files, "--margin", "0.2", "--scale", "1:5", code=1)
    assert done["estimates"][0]["baseline"] == pytest.approx(points.mean())
    assert done["estimates"][0]["estimate"] == pytest.approx(-1)


def test_cases_of_one_file_alone_are_listed_and_refused(old, cli):
    found = rows(0.9, seed=2)[: 190 * 3]
    new = write("new.jsonl", [*found, {"case": "x", "scores": {"quality": 1}}])
    done = cli("gate", old, new, "--margin", "0.05", code=4)
    assert "10 cases only in old.jsonl (c190, c191, c192, c193, c194 and 5 more)" in done.err
    assert "1 case only in new.jsonl (x)" in done.err
    assert done.out == ""
    done = cli("gate", old, new, "--margin", "0.05", "--intersect")
    assert "(190 cases x 3 runs)" in done.out
    assert "left out: 10 cases only in old.jsonl, 1 case only in new.jsonl" in done.err
    found = cli.json("gate", old, new, "--margin", "0.05", "--intersect")
    assert (found["baseline"]["left_out"], found["candidate"]["left_out"]) == (10, 1)
    other = write("other.jsonl", [{"case": "y", "scores": {"quality": 1}}])
    assert (
        "no case in common"
        in cli("gate", old, other, "--margin", "1e-9", "--intersect", code=4).err
    )


def test_arms_may_have_unequal_numbers_of_runs(old, cli):
    new = write("new.jsonl", rows(0.9, seed=2, runs=1))
    done = cli("gate", old, new, "--margin", "0.2")
    assert "(200 cases x 1 to 3 runs)" in done.out


def test_groups_count_as_one(old, cli):
    new = write("new.jsonl", rows(0.9, seed=2, doc=lambda case, run: {"id": case // 20}))
    write("old.jsonl", rows(0.9, doc=lambda case, run: {"id": case // 20}))
    done = cli("gate", old, new, "--margin", "0.2", "--group-by", "doc.id", code=3)
    assert "10 groups" in done.out
    one = write("one.jsonl", rows(0.9, group=lambda case, run: "a"))
    two = write("two.jsonl", rows(0.9, group=lambda case, run: "b"))
    assert (
        "case c000 is in group a in one.jsonl"
        in cli("gate", one, two, "--margin", "0.2", code=4).err
    )


def test_a_run_that_failed_keeps_the_verdict_open(old, cli):
    found = rows(0.9, seed=2)
    found[7] = {"case": found[7]["case"], "run": found[7]["run"], "error": "timed out"}
    done = cli("gate", old, write("new.jsonl", found), "--margin", "0.05", code=3)
    assert done.out.startswith("inconclusive  1 run failed and has no output")
    assert "llmvc eval" not in done.out
    found[7] |= {"scores": {"quality": 0}}
    cli("gate", old, write("new.jsonl", found), "--margin", "0.05")


def test_a_score_that_is_missing_is_never_a_pass(old, cli):
    found = rows(0.9, seed=2)
    found[7]["scores"]["quality"] = None
    done = cli("gate", old, write("new.jsonl", found), "--margin", "0.5", code=3)
    assert "quality is not known for 1 run of the candidate" in done.out


def test_runs_that_failed_without_the_judged_score_are_failures_and_not_left_out(old, cli):
    found = rows(1.0, seed=2)
    for row in found[: len(found) // 2]:
        row |= {"error": "crashed", "scores": {"quality": None, "other": 1}}
    done = cli(
        "gate", old, write("new.jsonl", found), "--margin", "0.5", "--metric", "quality", code=3
    )
    assert "failed" in done.out


def test_recorded_outputs_of_two_harnesses_are_read(cli):
    for name, metric in [
        ("promptfoo.json", "pass"),
        ("promptfoo.jsonl", "form"),
        ("inspect.json", "match"),
    ]:
        file = str(DATA / name)
        found = cli.json("gate", file, file, "--margin", "0.1", "--metric", metric, code=3)
        assert found["baseline"]["format"] == name.partition(".")[0]


REFUSED = {
    "no arguments": ((), 2, "expected REPORT or BASELINE CANDIDATE"),
    "three files": (("old.jsonl",) * 3, 2, "expected REPORT or BASELINE CANDIDATE"),
    "one file": (("old.jsonl",), 2, "old.jsonl is one file"),
    "a rule for a report": (("b3:0000", "--metric", "x"), 2, "--metric is for two result files"),
    "recompute": (("old.jsonl", "old.jsonl", "--recompute"), 2, "--recompute is for a stored"),
    "no margin": (("old.jsonl", "old.jsonl"), 2, "--margin is missing"),
    "margin of 1": (("old.jsonl", "old.jsonl", "--margin", "1"), 2, "--margin 1 is outside (0, 1)"),
    "margin of 0": (("old.jsonl", "old.jsonl", "--margin", "0"), 2, "--margin 0 is outside"),
    "margin of NaN": (("old.jsonl", "old.jsonl", "--margin", "nan"), 2, "no finite number"),
    "margin as text": (("old.jsonl", "old.jsonl", "--margin", "5%"), 2, "5%"),
    "alpha": (("old.jsonl", "old.jsonl", "--margin", ".1", "--alpha", "0.5"), 2, "--alpha 0.5"),
    "limit": (
        ("old.jsonl", "old.jsonl", "--cost-limit", "0.9"),
        2,
        "--cost-limit 0.9 is not above",
    ),
    "endless": (("old.jsonl", "old.jsonl", "--latency-limit", "inf"), 2, "no finite number"),
    "scale": (("old.jsonl", "old.jsonl", "--margin", ".1", "--scale", "5"), 2, "no range"),
    "empty scale": (("old.jsonl", "old.jsonl", "--margin", ".1", "--scale", "5:1"), 2, "is empty"),
    "scale of NaN": (("old.jsonl", "old.jsonl", "--margin", ".1", "--scale", "0:nan"), 2, "range"),
    "no scores": (("bare.jsonl", "bare.jsonl", "--margin", ".1"), 2, "the files hold none"),
    "missing": (("old.jsonl", "gone.jsonl", "--margin", ".1"), 4, "gone.jsonl is not there"),
    "folder": (("old.jsonl", ".", "--margin", ".1"), 4, ". is a folder"),
    "empty": (("old.jsonl", "empty.jsonl", "--margin", ".1"), 4, "empty.jsonl is empty"),
    "cut off": (("old.jsonl", "cut.jsonl", "--margin", ".1"), 4, "cut.jsonl:2: the file is cut"),
}


@pytest.mark.parametrize(("args", "code", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_judged_is_refused(old, cli, args, code, said):
    Path("empty.jsonl").touch()
    write("bare.jsonl", [{"case": "a", "cost_usd": 1}])
    Path("cut.jsonl").write_text('{"case": "a", "scores": {"quality": 1}}\n{"case": "b"')
    done = cli("gate", *args, code=code)
    assert said in done.err
    assert done.out == ""


def test_an_error_is_an_object_too(old, cli):
    assert cli.json("gate", old, "gone.jsonl", "--margin", "0.1", code=4)["code"] == "not-found"


def test_garbage_collection_goes_on_afterwards(old, cli):
    cli("gate", old, old, "--margin", "0.1")
    cli("gate", old, "gone.jsonl", "--margin", "0.1", code=4)
    assert gc.isenabled()


def test_two_files_load_no_store_and_nothing_slow(old):
    script = (
        "import sys\n"
        "from llmvc.cli.main import run\n"
        "assert run(['gate', 'old.jsonl', 'old.jsonl', '--margin', '0.1']) == 0\n"
        "found = {'yaml', 'httpx', 'asyncio', 'scipy'} & set(sys.modules)\n"
        "assert not found, found\n"
    )
    Path("script.py").write_text(script)
    import subprocess
    import sys

    from tests.support.build import environ

    env = environ(PYTHONPATH=":".join(filter(None, sys.path)))
    done = subprocess.run(
        [sys.executable, "script.py"], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_it_works_as_a_process_of_its_own(old, tmp_path):
    done = child("gate", old, old, "--margin", "0.1", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("pass  quality")


@pytest.mark.parametrize(("n", "more"), [(1, 53), (19, 35), (20, 34), (30, 24), (53, 1)])
def test_equal_files_that_are_too_small_are_told_the_cases_that_would_do(cli, n, more):
    same = write("same.jsonl", rows(1.0, cases=n, runs=1))
    said = cli("gate", same, same, "--margin", "0.05", code=3).out
    noun = "case" if more == 1 else "cases"
    assert f"about {more} more {noun} at 1 run would settle it" in said
    enough = write("enough.jsonl", rows(1.0, cases=n + more, runs=1))
    cli("gate", enough, enough, "--margin", "0.05")


def test_the_rules_stand_beside_the_verdict_as_numbers(old, cli):
    found = cli.json("gate", old, old, "--margin", "0.1", "--latency-limit", "1.2", code=3)
    assert found["rules"] == {
        "alpha": 0.05, "margin": 0.1, "cost_limit": None, "latency_limit": 1.2, "scale": [0, 1]
    }  # fmt: skip
    assert "margin -0.1" in [item["rule"] for item in found["verdict"]["metrics"]]


def test_advice_for_files_names_no_suite_and_no_repository(old, cli):
    some = rows(0.9, cost_usd=lambda case, run: 0.01 if case else None)
    broken = rows(0.9)
    broken[7]["scores"]["quality"] = None
    gone = write("some.jsonl", some), write("broken.jsonl", broken)
    free = write("free.jsonl", rows(0.9, cost_usd=lambda case, run: 0.0))
    runaway = rows(0.9, cost_usd=lambda case, run: 0.01 if case else 100.0)
    dear = write("dear.jsonl", runaway)
    asked = ("--margin", "0.05", "--cost-limit", "1.1")
    advice = {
        "give every line its cost_usd, or leave out --cost-limit": (gone[0], gone[0], *asked),
        "a baseline that costs nothing has no ratio: leave out --cost-limit": (free, dear, *asked),
        "more cases, so that no 2 of them hold so much of the cost; or leave": (dear, dear, *asked),
        "give every line a latency_s above 0, or leave out --latency-limit": (
            old, old, "--latency-limit", "1.1",
        ),
        "give every line a score quality, and run it again": (old, gone[1], "--margin", "0.05"),
    }  # fmt: skip
    for said, args in advice.items():
        done = cli("gate", *args, code=3).out
        assert said in done
        assert not [word for word in ("gate: false", "prices:", "llmvc eval") if word in done]


def test_the_few_cases_that_differ_are_named(cli):
    same = rows(1.0, runs=1)
    files = write("old.jsonl", same), write("new.jsonl", [dict(row) for row in same])
    for at in (5, 17, 30):
        same[at] = same[at] | {"scores": {"quality": 0}}
    write("new.jsonl", same)
    done = cli("gate", *files, "--margin", "0.01", code=3)
    assert "look at the cases that differ: c005, c017, c030" in done.out


def test_a_free_candidate_is_within_any_limit_of_cost(cli):
    paid, free = (
        write(f"{usd}.jsonl", rows(0.9, cost_usd=lambda case, run, usd=usd: usd))
        for usd in (0.01, 0.0)
    )
    done = cli("gate", paid, free, "--cost-limit", "1.1")
    assert done.out.startswith("pass  cost $0.01 -> $0  x0.00 [0.00, 0.01], cheaper than")
    said = cli("gate", free, paid, "--margin", "0.1").out.splitlines()[1]
    assert said.split()[:4] == ["cost", "$0", "->", "$0.01"]
    assert "[$0.0" in said


def test_a_cost_without_an_interval_says_why(cli):
    few = write("few.jsonl", rows(1.0, cases=30, cost_usd=lambda case, run: 0.01))
    _, cost = cli("gate", few, few, "--margin", "0.2").out.splitlines()
    assert cost.endswith("watched  30 cases are too few to judge cost: at least 50 are needed")


def test_groups_are_told_beside_the_cases(cli):
    grouped = rows(0.9, runs=1, group=lambda case, run: f"doc-{case // 5}")
    file = write("grouped.jsonl", grouped)
    said = cli("gate", file, file, "--margin", "0.2").out
    assert said.rstrip().endswith("(200 cases x 1 run in 40 groups)")


def test_a_gain_is_called_one(cli):
    files = write("old.jsonl", rows(0.6)), write("new.jsonl", rows(0.9, seed=2))
    said = cli("gate", *files, "--margin", "0.05").out
    assert "better than the baseline" in said
    assert "at worst" not in said


def test_the_latency_shown_is_the_one_that_is_judged(cli):
    times = np.random.default_rng(3).random((CASES, 2)) + 0.5
    file = write(
        "times.jsonl", rows(0.9, runs=2, latency_s=lambda case, run: float(times[case, run]))
    )
    shown = cli.json("gate", file, file, "--margin", "0.1")["estimates"][-1]
    judged = cli.json("gate", file, file, "--margin", "0.1", "--latency-limit", "1.1")
    assert shown["candidate"] == judged["estimates"][-1]["candidate"]

"""Looks, candidates and a pinned version, from the suite file to promote."""

import json
import shutil
from dataclasses import replace

import pytest

from llmvc.core.version import question_key
from llmvc.evals.providers.base import failed
from llmvc.evals.providers.python import Python
from tests.cli.conftest import released
from tests.cli.test_tampering import file, measured
from tests.support.build import SUITE, RepoBuilder, remote_at

QUALITY = "  quality: {scorers: [exact], margin: 0.25, floor: 0.5"


def written(repo, more="", *, runs=1, metric="", metrics="", scorers="", cases=40, tags=None):
    """Writes a suite with more in it, and cases with tags."""
    text = SUITE.format(name="support").replace("runs: 1", f"runs: {runs}")
    text = text.replace(QUALITY, QUALITY + metric).replace("metrics:\n", f"{scorers}metrics:\n")
    repo.write("evals/support/suite.yaml", f"{text}{metrics}{more}")
    rows = (
        {
            "id": f"c{n:03}",
            "vars": {"message": f"number {n}"},
            "expected": str(n),
            "tags": (tags or {}).get(n, []),
        }
        for n in range(cases)
    )
    repo.write("evals/support/cases.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows))
    repo.save("suite")


def served(repo, cli, more="", **options):
    """Releases a first version by such a suite."""
    written(repo, more, **options)
    released(cli)
    return cli.digest("support@prod")


def candidate(repo, cli, text):
    repo.prompt(text)
    repo.save(text)
    cli("commit", "-m", text)
    return cli.digest()


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """Counts the calls made since it was last asked."""
    log = tmp_path / "calls"
    monkeypatch.setenv("FAKE_CALLS", str(log))

    def count():
        found = len(log.read_text().splitlines()) if log.exists() else 0
        log.unlink(missing_ok=True)
        return found

    return count


# --- looks


EARLY = "looks: {at: [0.75, 1]}\n"


@pytest.mark.parametrize(
    ("plan", "look", "saved"),
    [
        ((EARLY, 1), "look 1 of 2", 20),
        (("looks: {by: runs, at: [0.5, 1]}\n", 2), "look 1 of 2", 80),
        # Every ten cases, and nothing is judged below twenty.
        (("looks: any-time\n", 1), "look 2 of 4", 40),
    ],
    ids=["cases", "runs", "any-time"],
)
def test_an_eval_ends_at_the_look_that_decides_and_its_report_is_evidence(
    started, cli, plan, look, saved
):
    more, runs = plan
    served(started, cli, more, runs=runs)
    candidate(started, cli, "Say the number again.")
    done = cli.json("eval")
    assert f"decided at {look}: {saved} calls saved" in done["note"]
    whole = 40 * 2 * runs
    assert done["calls"]["called"] + done["calls"]["reused"] == whole - saved
    report = done["report"]
    assert report["cases"] == (40 if "runs" in more else (whole - saved) // 2)
    again = cli.json("eval")
    assert (again["calls"], again["report"]) == (None, report)
    assert cli.json("gate", report["digest"])["verdict"]["verdict"] == "pass"
    recomputed = cli.json("gate", report["digest"], "--recompute")
    assert recomputed["report"]["estimates"] == report["estimates"]
    assert cli.json("promote", "prod")["release"]["report"] == report["digest"]


def test_what_is_not_decided_early_is_measured_whole(started, cli):
    # Whatever cases the first look draws, it sees 0 to 5 misses of 20; up to 7 decide nothing.
    served(started, cli, "looks: {at: [0.5, 1]}\n")
    candidate(started, cli, "miss 5")
    done = cli.json("eval", code=None)
    assert "saved" not in done["note"]
    assert done["calls"]["called"] + done["calls"]["reused"] == 80
    assert (done["report"]["look"], done["report"]["cases"]) == (2, 40)


def test_a_measurement_that_failed_in_part_is_gone_on_with_and_is_no_further_look(
    started, cli, calls, monkeypatch
):
    served(started, cli, EARLY)
    candidate(started, cli, "Say the number again.")
    answer = Python.answer

    async def flaky(self, call):
        if call.case.id in broken:
            return failed("HTTP 503", "provider")
        return await answer(self, call)

    monkeypatch.setattr(Python, "answer", flaky)
    broken = {f"c{n:03}" for n in range(0, 40, 4)}
    first = cli.json("eval", code=3)
    assert first["report"]["failures"]["candidate"] == 10
    assert first["report"]["look"] == 2
    broken.clear()
    calls()
    again = cli.json("eval")
    assert again["verdict"]["verdict"] == "pass"
    assert again["report"]["failures"] == {"baseline": 0, "candidate": 0}
    assert calls() == sum(first["report"]["failures"].values())
    cli("promote", "prod")


def clones(repo, cli, monkeypatch):
    """Gives the repository a remote, and a clone that has fetched."""
    folder = repo.root.parent
    remote = remote_at(folder / "remote.git")
    repo.git("remote", "add", "origin", str(remote))
    repo.git("push", "-q", "origin", "main")
    cli("init")
    cli("push")
    other = RepoBuilder(folder / "other").clone(remote)
    monkeypatch.chdir(other.root)
    cli("fetch")
    return other


SPENT = "this is look 2 at one question, the suite plans 1"


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ("", SPENT),
        ("looks: any-time\n", SPENT),
        # Two that ended at the first look leave the second one.
        (EARLY, "the gating metric passes"),
    ],
    ids=["one look", "any-time", "two looks"],
)
def test_two_clones_that_measured_one_question_have_looked_twice(
    started, cli, monkeypatch, more, reason
):
    expected = "inconclusive" if reason == SPENT else "pass"
    served(started, cli, more)
    wanted = candidate(started, cli, "Say the number again.")
    other = clones(started, cli, monkeypatch)
    alone = {}
    for repo in (other, started):
        monkeypatch.chdir(repo.root)
        alone[repo] = cli.json("eval")["report"]["digest"]
    assert len(set(alone.values())) == 2
    cli("push")
    monkeypatch.chdir(other.root)
    cli("fetch")
    assert "2 reports" in cli("promote", "prod", code=3).err
    code = {"pass": 0, "inconclusive": 3}[expected]
    merged = cli.json("eval", "--merge-only", code=code)
    assert merged["verdict"]["verdict"] == expected
    assert merged["verdict"]["reason"] == reason
    assert merged["report"]["merges"] == sorted(alone.values())
    cli("promote", "prod", code=code)
    assert (cli.digest("support@prod") == wanted) == (expected == "pass")
    # One of the two is no evidence any more, and the whole says the same wherever it is judged.
    superseded = cli("gate", alone[other], code=3)
    assert "this report alone says pass, and more was measured" in superseded.out
    assert (
        cli.json("gate", merged["report"]["digest"], "--recompute", code=code)["verdict"]
        == (merged["verdict"])
    )


def test_what_others_measured_is_united_and_not_measured_again(started, cli, calls, monkeypatch):
    served(started, cli, EARLY)
    candidate(started, cli, "Say the number again.")
    other = clones(started, cli, monkeypatch)
    for repo in (other, started):
        monkeypatch.chdir(repo.root)
        cli("eval")
        cli("push")
    third = RepoBuilder(other.root.parent / "third").clone(other.root.parent / "remote.git")
    monkeypatch.chdir(third.root)
    cli("fetch")
    calls()
    before = third.refs()
    assert "dry run" in cli("eval", "--dry-run").err
    assert third.refs() == before
    done = cli.json("eval")
    assert (done["calls"], len(done["report"]["merges"])) == (None, 2)
    assert done["verdict"]["verdict"] == "pass"
    assert calls() == 0


@pytest.mark.parametrize(("factor", "code"), [(1 + 1e-13, 0), (1.01, 4)])
def test_descriptive_figures_are_recomputed_too_but_for_their_last_digits(
    started, cli, factor, code
):
    served(started, cli)
    wanted = candidate(started, cli, "miss 1")
    cli("eval")
    (leaf,) = measured(started, wanted)
    (found,) = leaf.estimates
    checks = {name: p * factor for name, p in found.checks.items()}
    other = replace(leaf, estimates=(replace(found, checks=checks),))
    assert other.digest != leaf.digest
    file(started, other, question_key(wanted, other.baseline, other.suite))
    # Two reports on one measurement: the other one is not alone.
    refused = cli("gate", other.digest, "--recompute", code=code or 3)
    assert ("checks of quality is" in refused.err) == (code == 4)


# --- candidates


def test_the_third_of_two_candidates_is_judged_more_strictly_and_says_so(started, cli):
    served(started, cli, "candidates: 2\n")
    for number, (text, alpha) in enumerate(
        [("One.", 0.05), ("Two.", 0.05), ("Three.", 0.05 * 2 / 3)], 1
    ):
        candidate(started, cli, text)
        done = cli("eval", "--json")
        report = json.loads(done.out)["report"]
        assert (report["tried"], report["alpha"]) == (number, pytest.approx(alpha))
        assert report["estimates"][0]["alpha"] == pytest.approx(alpha)
        said = "which allows 2: the error rate is 0.033 instead of 0.05"
        assert (said in json.loads(done.out)["note"]) == (number == 3)
    assert "candidate 3 on this baseline and suite" in cli("eval").err


def test_promote_counts_the_candidates_anew(started, cli):
    served(started, cli, "candidates: 2\n", cases=24)
    first = candidate(started, cli, "miss 1")
    report = cli.json("eval")["report"]
    assert (report["tried"], report["alpha"]) == (1, 0.05)
    p = report["estimates"][0]["p_pass"]
    assert 0.05 * 2 / 15 < p < 0.05
    cli("gate", report["digest"])
    cli("promote", f"support@{first}", "prod", "--dry-run")
    # As many more as make what is asked now smaller than its p.
    count = int(0.05 * 2 / p) + 1
    for number in range(count - 1):
        candidate(started, cli, f"Other {'x' * number}")
        cli("eval", code=None)
    refused = cli("gate", report["digest"], code=3)
    assert "within the rule with p" in refused.out
    assert "is inconclusive" in cli("promote", f"support@{first}", "prod", code=3).err


def test_new_cases_may_be_asked_for_before_a_call_is_paid(started, cli, calls):
    served(started, cli, "candidates: {most: 2, beyond: new-cases}\n")
    for text in ("One.", "Two."):
        candidate(started, cli, text)
        cli("eval")
    candidate(started, cli, "Three.")
    calls()
    refused = cli("eval", code=3)
    assert "3 candidates were tried on these cases, 2 may be" in refused.err
    assert "add cases" in refused.err
    assert calls() == 0
    rows = (started.root / "evals/support/cases.jsonl").read_text()
    more = '{"id": "new", "vars": {"message": "number 77"}, "expected": "77"}\n'
    started.write("evals/support/cases.jsonl", rows + more)
    assert cli.json("eval")["report"]["tried"] == 1


# --- a pinned version


def pinned(repo, cli):
    """Serves two versions one after the other; the first is pinned by the suite."""
    golden = cli.digest()
    assert served(repo, cli, f"golden: {golden}\n", cases=24) == golden
    second = candidate(repo, cli, "Say the number again.")
    done = cli.json("eval")
    assert done["golden"] is None
    cli("promote", "prod")
    return golden, second


def test_a_pinned_version_is_asked_about_too(started, cli, calls):
    golden, second = pinned(started, cli)
    third = candidate(started, cli, "Say it once more.")
    calls()
    done = cli.json("eval")
    assert done["report"]["baseline"] == second
    assert done["golden"]["report"]["baseline"] == golden
    assert {done["report"]["candidate"], done["golden"]["report"]["candidate"]} == {third}
    assert [one["verdict"]["verdict"] for one in (done, done["golden"])] == ["pass", "pass"]
    # Both baselines are fresh, and the candidate's runs serve both questions.
    assert calls() == 24
    assert "against the pinned version of the suite:" in cli("eval").out
    cli("promote", "prod")
    assert cli.digest("support@prod") == third


def test_losses_that_each_are_allowed_do_not_add_up_unseen(started, cli):
    golden, second = pinned(started, cli)
    # The third misses what the second missed too: no loss against what is served.
    slid = candidate(started, cli, "miss 12")
    cli("promote", "prod", code=3)
    cli("override", "support", "prod", "--reason", "to slide")
    third = candidate(started, cli, "miss 12 and no more")
    done = cli.json("eval", code=1)
    assert (done["report"]["baseline"], done["golden"]["report"]["baseline"]) == (slid, golden)
    assert (done["verdict"]["verdict"], done["golden"]["verdict"]["verdict"]) == ("pass", "fail")
    refused = cli("promote", "prod", code=1)
    assert done["golden"]["report"]["digest"][:15] in refused.err
    cli("promote", "prod", "--accept-inconclusive", "--reason", "please", code=1)
    assert cli.digest("support@prod") == slid != third
    assert second != slid


def test_promote_needs_the_evidence_against_the_pinned_version(started, cli, monkeypatch):
    pinned(started, cli)
    third = candidate(started, cli, "Say it once more.")
    from llmvc.app import evidence

    with monkeypatch.context() as here:
        here.setattr(evidence, "golden", lambda *_: None)
        cli("eval")
    refused = cli("promote", "prod", code=3)
    assert "no evidence" in refused.err
    cli("eval")
    cli("promote", "prod")
    assert cli.digest("support@prod") == third


@pytest.mark.parametrize(("usd", "code"), [("0.6", 4), ("0.8", 0)])
def test_both_questions_share_what_an_eval_may_cost(started, cli, usd, code):
    fake = (started.root / "fake.py").read_text()
    started.write(
        "fake.py", fake.replace('"output_tokens": 1', '"output_tokens": 1, "cost_usd": 0.01')
    )
    pinned(started, cli)
    shutil.rmtree(started.root / ".git/llmvc/runs")
    candidate(started, cli, "Say it once more.")
    # 48 calls for the one question, and 24 more for the other: 0.72 USD.
    config = (started.root / ".llmvc/config.yaml").read_text()
    started.write(".llmvc/config.yaml", config.replace(", self_hosted: true", ""))
    done = cli("eval", "--allow-unpriced", "--max-usd", usd, code=code)
    assert ("are spent" in done.err or "over the limit" in done.err) == (code == 4)


def test_a_pinned_version_that_is_not_here_costs_no_call(started, cli, calls):
    served(started, cli)
    written(started, f"golden: b3:{'0' * 64}\n")
    candidate(started, cli, "Say the number again.")
    calls()
    assert "golden version b3:000000000000 is not in this clone" in cli("eval", code=4).err
    assert calls() == 0

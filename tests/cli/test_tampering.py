"""What promote makes of evidence that somebody put into the store by hand."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from llmvc.core import digest
from llmvc.core.report import Report
from llmvc.core.version import contest_key, question_key
from llmvc.store.repository import Repository
from tests.support.build import FAILING, UNCLEAR

NOW_SERVED = "support@prod"


def candidate(repo, cli, text):
    """Commits another prompt and returns the digest."""
    repo.prompt(text)
    repo.save(text)
    cli("commit", "-m", text)
    return cli.digest()


def file(repo, report, *keys):
    """Files a report under keys, as anybody with this clone could."""
    with Repository.open(repo.root) as store:
        store.versions.add(
            objects=[report.data_bytes],
            about=[(key, report.data_bytes) for key in keys],
            subject="by hand",
            author="Eve <eve@example.org>",
            time=datetime(2026, 11, 20, tzinfo=UTC),
        )


def released_report(repo):
    return Report.from_bytes(
        repo.git("cat-file", "blob", "refs/llmvc/env/support/prod:report.json").encode()
    )


def measured(repo, wanted):
    """Returns the stored reports on a candidate."""
    names = repo.git("ls-tree", "-r", "--name-only", "refs/llmvc/store").split()
    blobs = (repo.git("cat-file", "blob", f"refs/llmvc/store:{n}") for n in names if n[:2] == "o/")
    bodies = [(json.loads(text), text) for text in blobs if text.startswith("{")]
    return [
        Report.from_bytes(text.encode())
        for body, text in bodies
        if body.get("llmvc") == "report/1" and body["candidate"] == wanted
    ]


def other_runs(case):
    """Returns a case with the same scores from other runs, as another clone would have made."""
    arms = {
        arm: tuple(
            replace(run, run_id=digest.of_bytes(f"{case.id} {run.run_id}".encode()))
            for run in getattr(case, arm)
        )
        for arm in ("candidate", "baseline")
    }
    return replace(case, **arms)


def measured_elsewhere(repo, leaf):
    """Files the same measurement with runs of its own, as if another clone had made it."""
    keys = (
        question_key(leaf.candidate, leaf.baseline, leaf.suite),
        contest_key(leaf.baseline, leaf.suite),
    )
    file(repo, replace(leaf, cases=tuple(map(other_runs, leaf.cases))), *keys)


def test_a_good_report_filed_under_another_candidate_is_no_evidence(repo, cli):
    wanted = candidate(repo, cli, f"miss {FAILING}")
    good = released_report(repo)
    file(repo, good, question_key(wanted, cli.digest(NOW_SERVED), good.suite))
    before = repo.git("rev-parse", "refs/llmvc/env/support/prod")
    assert "is about something else" in cli("promote", "prod", code=4).err
    assert repo.git("rev-parse", "refs/llmvc/env/support/prod") == before
    assert "is about something else" in cli("fsck", code=4).out


def test_a_merged_report_made_by_hand_does_not_outvote_the_measurement(repo, cli):
    wanted = candidate(repo, cli, f"miss {FAILING}")
    cli("eval", code=1)
    (leaf,) = measured(repo, wanted)
    better = tuple(
        replace(item, estimate=0.0, low=-0.01, high=0.01, p_pass=0.0, p_fail=1.0)
        for item in leaf.estimates
    )
    forged = replace(leaf, estimates=better, merges=(leaf.digest,), actor=None)
    served = cli.digest(NOW_SERVED)
    file(repo, forged, question_key(wanted, served, leaf.suite), contest_key(served, leaf.suite))
    assert "rest on the same measurements and differ" in cli("promote", "prod", code=3).err


def test_a_fail_cannot_be_made_acceptable_by_measuring_it_again(repo, cli):
    wanted = candidate(repo, cli, f"miss {FAILING}")
    cli("eval", code=1)
    (leaf,) = measured(repo, wanted)
    measured_elsewhere(repo, leaf)
    merged = cli.json("eval", "--merge-only", code=3)
    assert "this is look 2 at one question" in merged["verdict"]["reason"]
    refused = cli("promote", "prod", "--accept-inconclusive", "--reason", "please", code=1)
    assert "on the same question says fail" in refused.err
    assert cli.digest(NOW_SERVED) != wanted


def fewer_cases(report):
    return replace(report, cases=report.cases[: len(report.cases) // 2])


def fewer_runs(report):
    return replace(report, cases=tuple(replace(c, candidate=()) for c in report.cases))


def foreign_cases(report):
    return replace(report, cases=tuple(replace(c, id=f"x{c.id}") for c in report.cases))


@pytest.mark.parametrize("tamper", [fewer_cases, fewer_runs, foreign_cases])
def test_a_report_that_holds_not_what_its_suite_asks_for_proves_nothing(repo, cli, tamper):
    good = released_report(repo)
    wanted = candidate(repo, cli, "Say the number again.")
    served = cli.digest(NOW_SERVED)
    made = tamper(replace(good, candidate=wanted, baseline=served, verdict=good.verdict))
    file(repo, made, question_key(wanted, served, good.suite), contest_key(served, good.suite))
    assert "is not what its suite asks" in cli("promote", "prod", code=4).err
    assert "is not what its suite asks" in cli("gate", made.digest, code=4).err


def test_what_is_merely_inconclusive_can_still_be_accepted(repo, cli):
    wanted = candidate(repo, cli, f"miss {UNCLEAR}")
    cli("eval", code=3)
    cli("promote", "prod", "--accept-inconclusive", "--reason", "a trial")
    assert cli.digest(NOW_SERVED) == wanted


def test_a_version_that_was_only_measured_is_not_shown_as_committed(repo, cli):
    repo.prompt("Say the number again.")
    cli("eval")
    (state,) = cli.json("status")["bundles"]
    assert state["committed"] is False
    cli("commit", "-m", "now it is")
    (state,) = cli.json("status")["bundles"]
    assert state["committed"] is True


@pytest.mark.parametrize("merged", [True, False])
def test_a_version_committed_before_its_files_counts_once_the_branch_has_it(repo, cli, merged):
    config = (repo.root / ".llmvc/config.yaml").read_text()
    repo.write(".llmvc/config.yaml", config.replace("prod: {}", "prod: {source_branch: main}"))
    repo.save("policy")
    repo.git("checkout", "-q", "-b", "side")
    repo.prompt("Say the number again.")
    cli("commit", "-m", "before git has it")
    cli("eval")
    tip = repo.save("side")
    assert "takes releases from branch main only" in cli("promote", "prod", code=4).err
    if merged:
        repo.git("checkout", "-q", "main")
        repo.git("merge", "-q", "--ff-only", "side")
        cli("promote", "prod")
        record = json.loads(
            repo.git("cat-file", "blob", "refs/llmvc/env/support/prod:release.json")
        )
        assert record["source"] == {"commit": tip, "dirty": False}


def test_estimates_that_the_scores_do_not_give_are_found(repo, cli):
    wanted = candidate(repo, cli, f"miss {FAILING}")
    assert cli("eval", code=1).out
    honest = measured(repo, wanted)[0]
    cli("gate", honest.digest, "--recompute", code=1)
    rosy = [replace(item, low=-0.001, p_fail=0.9) for item in honest.estimates]
    forged = replace(honest, estimates=tuple(rosy))
    file(repo, forged, question_key(wanted, cli.digest(NOW_SERVED), forged.suite))
    refused = cli("gate", forged.digest, "--recompute", code=4)
    assert "its scores give" in refused.err

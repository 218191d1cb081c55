"""Looks at judged runs: an eval may end early on them, as far as the judge is trusted."""

from types import SimpleNamespace

import pytest

from llmvc.app.job import Choices
from llmvc.app.measuring import left
from tests.support.judges import SUITE, better


@pytest.mark.parametrize("trusted", [True, False])
def test_a_judged_eval_ends_at_the_look_that_decides_if_its_judge_is_trusted(repo, cli, trusted):
    text = (repo.root / SUITE).read_text()
    repo.write(SUITE, f"{text}looks: {{at: [0.75, 1]}}\n")
    better(repo, cli)
    if not trusted:
        cli("judge", "retire", "helpful-judge", "--reason", "old")
    done = cli.json("eval", "replies", code=0 if trusted else 3)
    assert ("decided at look 1 of 2" in done["note"]) is trusted
    assert done["report"]["cases"] == (45 if trusted else 60)


def test_what_one_comparison_spends_is_not_there_for_the_next():
    spent = SimpleNamespace(cost_usd=1.0, judge_usd=2.0)
    rest = left(Choices(max_usd=4.0, max_judge_usd=1.5), spent)
    assert (rest.max_usd, rest.max_judge_usd) == (3.0, 0.0)
    assert left(Choices(), spent) == Choices()

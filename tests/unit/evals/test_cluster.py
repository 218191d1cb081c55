"""Calls made by a cluster: all shards are done, even if a worker dies, and the ledger is as ever."""

import asyncio
import os
import subprocess
import sys
import time
from concurrent.futures import CancelledError
from dataclasses import replace
from pathlib import Path

import pytest

from llmvc.core.suite import Looks
from llmvc.errors import ProviderError, UsageError
from llmvc.evals import cluster as clusters
from llmvc.evals.budget import Limits
from llmvc.evals.cluster import Cluster, Done, Recipe, Shard, answer_all
from llmvc.evals.plan import Arm, make
from llmvc.evals.providers.base import Answer
from tests.unit.evals.world import Fake, arms, bundle, cases, measure, right, suite

distributed = pytest.importorskip("distributed")

MODEL = """
import os, pathlib, signal

def answer(request):
    print("debug")
    text = request["messages"][-1]["content"]
    flag = pathlib.Path(__file__).with_name("died")
    if text == "q150" and not flag.exists():
        flag.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"output": "a" + text[1:], "usage": {"input_tokens": 1, "output_tokens": 1}}
"""


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / "model.py").write_text(MODEL)
    options = {"function": "model.py:answer", "self_hosted": True}
    return Recipe("fake", "python", options, "chat", tmp_path)


@pytest.fixture
def both(recipe):
    provider = recipe.connect()
    return [
        Arm("candidate", bundle("new"), provider, named="fake"),
        Arm("baseline", bundle("old"), provider, named="fake"),
    ]


@pytest.mark.filterwarnings("ignore")  # what Dask's own event loops leave behind
def test_a_worker_that_dies_costs_time_and_no_run(tmp_path, both, recipe, capfd):
    rows = cases(250)
    made = Cluster("dask", {"fake": recipe}, concurrency=8)
    result = measure(both, tmp_path, rows=rows, by=suite(rows, runs=1), cluster=made)
    assert (tmp_path / "died").exists()
    assert (result.called, result.reused, result.stopped) == (500, 0, None)
    assert {run.scores["right"] for case in result.cases for run in case.candidate} == {1.0}
    assert "debug" not in capfd.readouterr().out
    again = measure(both, tmp_path, rows=rows, by=suite(rows, runs=1))
    assert (again.called, again.reused) == (0, 500)
    assert again.cases == result.cases


DRIVER = """
import sys
from pathlib import Path
from llmvc.evals.cluster import Cluster, Recipe
from llmvc.evals.plan import Arm
from tests.unit.evals.world import bundle, cases, measure, suite

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    options = {"function": "model.py:answer", "self_hosted": True}
    recipe = Recipe("fake", "python", options, "chat", folder)
    arms = [Arm("candidate", bundle("new"), recipe.connect(), named="fake")]
    rows = cases(1200)
    made = Cluster("dask", {"fake": recipe}, concurrency=8)
    result = measure(arms, folder, rows=rows, by=suite(rows, runs=1), cluster=made)
    print(result.called, result.reused)
"""

SLOW = """
import asyncio, pathlib

async def answer(request):
    await asyncio.sleep(0.01)
    text = request["messages"][-1]["content"]
    with pathlib.Path(__file__).with_name("calls").open("a") as calls:
        calls.write(text + "\\n")
    return {"output": "a" + text[1:], "usage": {"input_tokens": 1, "output_tokens": 1}}
"""


@pytest.mark.slow
def test_a_driver_that_is_killed_pays_again_for_the_shards_under_way_at_most(tmp_path):
    (tmp_path / "model.py").write_text(SLOW)
    (tmp_path / "driver.py").write_text(DRIVER)
    command = [sys.executable, str(tmp_path / "driver.py"), str(tmp_path)]
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    ledgers = tmp_path / "runs"

    def kept():
        return sum(len(path.read_bytes().splitlines()) for path in ledgers.glob("*.jsonl"))

    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL) as first:
        while not kept():
            assert first.poll() is None
            time.sleep(0.01)
        first.kill()
    begun = kept()
    assert 0 < begun < 1200
    again = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert again.stdout.split() == [str(1200 - begun), str(begun)]
    paid = (tmp_path / "calls").read_text().splitlines()
    assert len(paid) - len(set(paid)) <= 2 * (os.cpu_count() or 1) * clusters.LEAST


def shard(both, recipe, identity=None):
    planned = make(both, cases(4), suite(cases(4)))
    calls = tuple(("fake", one.call(run, None)) for one, run in planned.calls())
    known = clusters.identity_of(both[0].provider) if identity is None else identity
    return Shard({"fake": recipe}, {"fake": known}, calls, 3), planned


def test_the_answers_of_a_shard_stand_in_the_order_of_its_calls(both, recipe):
    found, planned = shard(both, recipe)
    answers = answer_all(found).answers
    assert [answer.output for answer in answers] == [
        str(one.case.expected) for one, _ in planned.calls()
    ]
    assert all(isinstance(answer, Answer) and answer.fault is None for answer in answers)


def test_a_worker_with_other_files_is_refused(both, recipe):
    with pytest.raises(ProviderError, match="provider 'fake' of a worker is not what it is here"):
        answer_all(shard(both, recipe, b"{}")[0])


def test_an_error_of_a_worker_arrives_whole(both, recipe, tmp_path):
    import pickle

    (tmp_path / "model.py").unlink()
    with pytest.raises(ProviderError, match=r"^on a worker, provider 'fake': ") as caught:
        answer_all(shard(both, recipe)[0])
    back = pickle.loads(pickle.dumps(caught.value))
    assert (str(back), back.hint) == (str(caught.value), caught.value.hint)


class Near(Cluster):
    """A cluster in this process: its shards are answered by a function, one after another."""

    def __init__(self, recipe, reply):
        super().__init__("dask", {"fake": recipe}, concurrency=8)
        self.reply, self.lock, self.sizes = reply, asyncio.Lock(), []

    async def start(self):
        self._client = self
        return 2

    def submit(self, _, given, **__):
        future = asyncio.ensure_future(self.answered(given))
        future.release = lambda: None
        return future

    async def answered(self, given):
        async with self.lock:
            await asyncio.sleep(0)
            found = [self.reply(call, len(self.sizes)) for _, call in given.calls]
            self.sizes.append(len(found))
            return Done(tuple(found))

    async def close(self):
        pass


@pytest.mark.parametrize(
    "error",
    [CancelledError("scheduler-connection-lost"), ModuleNotFoundError("No module named 'llmvc'")],
)
def test_a_cluster_that_is_lost_on_the_way_ends_the_eval_resumable(tmp_path, both, recipe, error):
    def reply(call, before):
        if before:
            raise error
        return right(call)

    rows = cases(250)
    lost = Near(recipe, reply)
    with pytest.raises(ProviderError, match=f"the Dask cluster failed: {type(error).__name__}"):
        measure(both[:1], tmp_path, rows=rows, by=suite(rows, runs=1), cluster=lost)
    again = measure(both[:1], tmp_path, rows=rows, by=suite(rows, runs=1))
    assert (again.reused, again.called) == (200, 50)
    assert lost.sizes == [200]


def test_a_shard_under_way_counts_with_all_its_calls(tmp_path, both, recipe):
    arm = replace(both[0], provider=Fake())
    arm.provider.self_hosted = False
    rows = cases(600)
    dear = Near(recipe, lambda call, _: replace(right(call), cost_usd=0.01))
    result = measure(
        [arm],
        tmp_path,
        rows=rows,
        by=suite(rows, runs=1),
        cluster=dear,
        limits=Limits(max_usd=5.0),  # a shard costs $2.00, and nobody knew before
    )
    assert (dear.sizes, round(result.cost_usd, 6)) == ([200, 200], 4.0)
    assert result.stopped == "$2.00 of $5.00 are spent, 200 calls under way"


def test_an_eval_that_may_stop_at_any_time_asks_a_cluster_for_one_look_after_another(
    tmp_path, both, recipe
):
    rows = cases(60)
    by = suite(rows, runs=1, looks=Looks("any-time"))
    near = Near(recipe, lambda call, _: right(call))
    result = measure(
        both, tmp_path, rows=rows, by=by, cluster=near, decided=lambda _, look: look == 3
    )
    assert near.sizes == [20, 20, 20]
    assert (result.look, result.called, result.saved) == (3, 60, 60)


@pytest.mark.parametrize("where", ["spark", "dask:", "dask://", "tcp://h:1", ""])
def test_what_is_no_cluster_is_refused(where, recipe):
    with pytest.raises(UsageError, match="is no cluster"):
        Cluster(where, {"fake": recipe}, concurrency=1)


def test_a_shard_is_never_small(recipe):
    assert Cluster("dask", {"fake": recipe}, concurrency=1).size == clusters.LEAST
    assert Cluster("dask", {"fake": recipe}, concurrency=256).size == 4 * 256


@pytest.mark.filterwarnings("ignore")
def test_a_scheduler_that_does_not_answer_is_named(tmp_path, both, recipe, monkeypatch):
    monkeypatch.setattr(clusters, "_START_S", 0.2)
    made = Cluster("dask://127.0.0.1:1", {"fake": recipe}, concurrency=1)
    with pytest.raises(ProviderError, match=r"no Dask cluster answers at tcp://127\.0\.0\.1:1"):
        measure(arms(both[0].provider, named="fake"), tmp_path, cluster=made)

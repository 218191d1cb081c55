"""Parts of a plan: whole cases and groups, arms alternating, and nothing lost or doubled."""

import json
from dataclasses import replace

import pytest

from llmvc.core.suite import Looks
from llmvc.errors import FormatError, StoreError
from llmvc.evals import plan, shards
from llmvc.evals.providers.base import Answer, failed
from llmvc.evals.shards import Header, Line
from tests.unit.evals.world import Fake, arms, cases, suite

ROWS = tuple(
    replace(case, group=f"g{at // 3}" if at < 12 else None) for at, case in enumerate(cases(30))
)
DIGEST = "b3:" + "0" * 64
LEDGER = "1" * 64


def whole(*, looks=Looks(), baseline=True):  # noqa: B008 (frozen)
    return plan.make(arms(Fake(), baseline=baseline), ROWS, suite(ROWS, runs=2, looks=looks))


def calls(found):
    return [(one.arm.name, one.case.id, run) for one, run in found.calls()]


@pytest.mark.parametrize("of", [1, 2, 5, 22])
def test_the_parts_are_the_whole_and_share_nothing(of):
    made = whole()
    parts = [calls(shards.part(made, at, of)) for at in range(1, of + 1)]
    assert sorted(call for part in parts for call in part) == sorted(calls(made))
    groups = [{ROWS[int(case[1:])].group for _, case, _ in part} - {None} for part in parts]
    assert sum(map(len, groups)) == len(set().union(*groups)) == 4


def test_the_arms_alternate_in_a_part_as_in_the_whole():
    made = calls(shards.part(whole(), 2, 3))
    pairs = list(zip(made[::2], made[1::2], strict=True))
    assert all({a[0], b[0]} == {"candidate", "baseline"} and a[1:] == b[1:] for a, b in pairs)
    assert {a[0] for a, _ in pairs} == {"candidate", "baseline"}


def test_a_part_makes_all_of_its_calls_whatever_looks_were_planned():
    made = whole(looks=Looks("cases", (0.5, 1.0)))
    part = shards.part(made, 1, 3)
    assert part.stages == ((len(part.cases), 2),)
    assert len(calls(part)) == len(part.cases) * 2 * 2


def test_a_plan_has_one_digest_and_another_dataset_another():
    assert shards.plan_digest(whole()) == shards.plan_digest(whole())
    assert shards.plan_digest(whole()) != shards.plan_digest(whole(baseline=False))


def written(tmp_path, *answers):
    lines = [Line.of(LEDGER, DIGEST[:-1] + str(at), answer) for at, answer in enumerate(answers)]
    path = tmp_path / "s.jsonl"
    shards.write(path, Header("app", DIGEST, "prod", {DIGEST: DIGEST}, 1, 2), lines)
    return path, lines


def test_a_shard_file_is_read_as_it_was_written_failures_too(tmp_path):
    answers = (
        Answer(output="é\n", time="2026-11-20T12:00:00.000Z", latency_s=0.5, steps=({"a": [1]},)),
        replace(failed("KeyError", "application", 0.1), time="2026-11-20T12:00:00.000Z"),
        failed("HTTP 503", "provider"),
    )
    path, lines = written(tmp_path, *answers)
    found = shards.read(path)
    assert sorted(found.lines, key=lambda line: line.entry.key) == lines
    assert [line.entry.answer.error for _, line in shards.failures([found])] in (
        ["KeyError", "HTTP 503"],
        ["HTTP 503", "KeyError"],
    )
    assert path.stat().st_mode & 0o077 == 0
    assert path.read_bytes() == written(tmp_path, *answers[::-1][::-1])[0].read_bytes()


@pytest.mark.parametrize(
    "change",
    [
        {"fault": "provider"},
        {"fault": "nobody"},
        {"ledger": "../x"},
        {"ledger": 7},
        {"entry": None},
        {"digest": DIGEST},
    ],
)
def test_a_line_that_was_changed_is_refused_with_its_place(tmp_path, change):
    path, _ = written(tmp_path, Answer(output="x", time="2026-11-20T12:00:00.000Z"))
    head, row, _ = path.read_text().split("\n")
    path.write_text("\n".join((head, json.dumps({**json.loads(row), **change}), "")))
    with pytest.raises(FormatError, match=r"s\.jsonl:2: "):
        shards.read(path)


def test_a_disk_that_refuses_leaves_no_half_file(tmp_path):
    (tmp_path / "s.jsonl").mkdir()
    with pytest.raises(StoreError, match="cannot write shard"):
        written(tmp_path, Answer(output="x", time="2026-11-20T12:00:00.000Z"))
    assert [path.name for path in tmp_path.iterdir()] == ["s.jsonl"]


def test_a_file_in_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot write shard .*: (Not a directory|File exists)"):
        written(tmp_path / "file", Answer(output="x", time="2026-11-20T12:00:00.000Z"))

"""Sums of events: which events count, and that sums merge in any order to the same bytes."""

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.errors import FormatError, NotFoundError, StoreError, UsageError
from llmvc.traces.adding import Adding, summed
from llmvc.traces.enrolled import arms
from llmvc.traces.reading import Lines, events, files, json_of
from llmvc.traces.sums import Scope, Sums, bin_of, upper_end
from tests.support.traffic import BASELINE, CANDIDATE, START, Traffic, release

SCOPE = Scope.of(release(), BASELINE)


@pytest.fixture
def traffic(tmp_path):
    return Traffic(tmp_path / "events.jsonl")


def test_units_and_calls_of_both_arms_are_counted(traffic):
    traffic.units(200, calls=3)
    baseline, canary = arms(traffic.sums())
    assert len(baseline.rows) + len(canary.rows) == 200
    assert 30 < len(canary.rows) < 70
    assert canary.total("calls") == 3 * len(canary.rows)
    assert baseline.total("latency_of") == baseline.total("calls")


def test_only_what_the_current_release_decided_counts(traffic):
    traffic.units(50)
    traffic.seq = 2
    traffic.units(50, name="other")
    traffic.seq, traffic.salt = 1, "another"
    traffic.units(50, name="third")
    assert sum(arm.enrolled for arm in arms(traffic.sums())) == 50


def test_pinned_answers_count_for_the_units_that_were_enrolled(traffic):
    log = traffic.log()
    log.assign(traffic.assignment("new", "canary"))
    for unit in ("new", "old"):
        of = traffic.assignment(unit, "canary", pinned=True)
        log.assign(of)
        with log.call(of):
            pass
    _, canary = arms(traffic.sums())
    assert (len(canary.rows), canary.total("calls")) == (1, 1)


def test_a_unit_that_was_served_both_versions_is_left_out_and_counted(traffic):
    traffic.log().assign(traffic.assignment("u", "canary"))
    with traffic.log().call(traffic.assignment("u", "baseline", pinned=True)):
        pass
    _, canary = arms(traffic.sums())
    assert (canary.rows, canary.mixed) == ((), 1)


def test_nobody_without_a_unit_and_no_shadow_is_counted(traffic):
    traffic.log().assign(traffic.assignment("u")._replace(unit=None))
    assert not any(units.at for units in traffic.sums().arms.values())


def test_feedback_comes_in_by_the_id_alone(traffic):
    told = traffic.log().assign(traffic.assignment("u", "canary"))
    traffic.log("w2").feedback(told, negative=True, judge="b3:" + "f" * 64)
    sums = traffic.sums()
    _, canary = arms(sums)
    assert (canary.total("negative_of"), canary.total("negative")) == (1, 1)
    assert sums.judges == {"b3:" + "f" * 64: 1}


def test_costs_are_computed_by_one_table_where_it_knows_the_model(traffic):
    traffic.units(40, table="b3:" + "1" * 64)
    traffic.units(40, name="later", table="b3:" + "2" * 64)
    believed = traffic.sums()
    assert len({key.split()[1] for key in believed.tables}) == 2
    scope = Scope.of(release(), BASELINE)
    again = summed([traffic.path], scope, priced=lambda event: (0.5, "mine"))
    assert {key.split()[1] for key in again.tables} == {"mine"}
    baseline, canary = arms(again)
    assert baseline.total("cost") + canary.total("cost") == 160 * 500_000_000


@pytest.mark.parametrize(
    "line",
    [
        b"not json\n",
        b"[]\n",
        b'{"event":"assign"}\n',
        b'{"llmvc":"event/1","event":"dance","time":1,"llmvc.process":"p"}\n',
        b'{"event":"heartbeat","llmvc.counts":[],"time":1,"llmvc.process":"p"}\n',
        b"\xff\xfe\n",
        b"[" * 100_000 + b"\n",
    ],
    ids=range(7),
)
def test_a_line_that_is_no_event_is_counted_and_changes_nothing_else(traffic, line):
    traffic.units(10)
    before = arms(traffic.sums())[0].total("calls")
    with traffic.path.open("ab") as log:
        log.write(line)
    sums = traffic.sums()
    assert sums.broken == 1
    assert arms(sums)[0].total("calls") == before


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (b' {"a":1}\r\n', {"a": 1}),
        (b"[1]", [1]),
        (b'{"a":1} {"b":2}\n', None),
        (b'{"a":"\xff"}\n', None),
        (b"\xef\xbb\xbf{}\n", None),
        (b"\n", None),
    ],
    ids=range(6),
)
def test_a_line_is_one_json_value_in_utf_8_or_nothing(line, value):
    assert json_of(line) == value


def test_a_half_written_last_line_is_told_apart(traffic):
    traffic.units(2)
    with traffic.path.open("ab") as log:
        log.write(b'{"llmvc":"event/1","ev')
    seen = Lines()
    assert len(list(events([traffic.path], seen))) == 6
    assert seen.broken == 0
    assert traffic.sums().broken == 0


def test_a_file_that_two_patterns_name_is_read_once(traffic, tmp_path):
    traffic.units(2)
    (tmp_path / "link.jsonl").symlink_to(traffic.path)
    assert len(files([str(tmp_path / "*.jsonl"), str(traffic.path)])) == 1
    with pytest.raises(NotFoundError, match="no event log matches"):
        files([str(tmp_path / "none*")])


def test_sums_of_another_step_are_not_added(traffic):
    other = Sums(Scope.of(release(share_ppm=500_000), BASELINE))
    Sums(SCOPE).merge(other)
    with pytest.raises(FormatError, match="rollout"):
        Sums(SCOPE).merge(Sums(Scope("support", "prod", "x", 1, 0, "a", "c")))


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b'{"llmvc":"sums/1","columns":[]}', b'{"llmvc":"sums/2"}']
)
def test_bytes_that_are_no_sums_are_refused(data):
    with pytest.raises(FormatError, match="not a sums/1"):
        Sums.from_bytes(data)


@pytest.mark.parametrize(
    "odd",
    [
        {"beats": {"w1": [1, {}, 0]}},
        {"beats": {"w1": [1, [], 0, "-"]}},
        {"beats": {"w1": ["1", {}, 0, "-"]}},
        {"beats": {"w1": [1, {}, 0, ["key"]]}},
        {"beats": {"w1": [1, {"a": ["1", 1]}, 0, "-"]}},
        {"processes": {"w1 a": [1]}},
        {"processes": {"w1 a": [1, "1"]}},
        {"arms": []},
    ],
    ids=range(8),
)
def test_sums_of_another_shape_are_refused(odd):
    body = {**json.loads(Sums(SCOPE).to_bytes()), **odd}
    with pytest.raises(FormatError, match="not a sums/1 object"):
        Sums.from_bytes(json.dumps(body).encode())


def test_a_latency_lies_below_the_upper_end_of_its_bin():
    for micros in (1, 2, 999, 1_000_000, 3_600_000_000):
        assert micros <= upper_end(bin_of(micros)) * 1.0000001
        assert micros * 1.03 >= upper_end(bin_of(micros)) / 1.03


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["assign", "call", "feedback", "heartbeat", "stranger"]),
        st.integers(0, 5),
        st.sampled_from(["baseline", "canary"]),
        st.integers(0, 10_000_000),
    ),
    max_size=25,
)


def _event(kind, unit, arm, micros):
    version = CANDIDATE if arm == "canary" else BASELINE
    if kind == "heartbeat":
        counts = {f"{SCOPE.rollout}:1:{version[3:15]}": [unit, 1]}
        told = {"llmvc.counts": counts, "llmvc.dropped": 0, "llmvc.release.seqs": {}}
        return {"event": kind, "time": micros / 1000, "llmvc.process": f"w{unit}", **told}
    return {
        "event": "assign" if kind == "stranger" else kind,
        "time": START + 120 + micros / 1000,
        "llmvc.process": f"w{unit}",
        "llmvc.bundle.name": "support",
        "llmvc.bundle.digest": version,
        "llmvc.env": "prod",
        "llmvc.arm": arm,
        "llmvc.release.seq": 2 if kind == "stranger" else 1,
        "llmvc.rollout.id": SCOPE.rollout,
        "llmvc.unit_hash": f"{unit:032x}",
        "llmvc.pinned": False,
        "llmvc.call.duration_s": micros / 1e6,
        "llmvc.cost.usd": micros / 1e9,
        "llmvc.feedback.negative": bool(unit % 2),
        "gen_ai.response.model": f"m{unit % 2}",
    }


def _sums(rows):
    sums = Sums(SCOPE)
    adding = Adding(sums)
    for row in rows:
        adding.add(_event(*row))
    return sums


@given(EVENTS, EVENTS, EVENTS)
def test_sums_merge_in_any_order_and_grouping_to_the_same_bytes(one, two, three):
    whole = _sums([*one, *two, *three]).to_bytes()
    left = _sums(one).merge(_sums(two)).merge(_sums(three)).to_bytes()
    right = _sums(one).merge(_sums(two).merge(_sums(three))).to_bytes()
    turned = _sums(three).merge(_sums(one)).merge(_sums(two)).to_bytes()
    assert whole == left == right == turned
    assert _sums([]).merge(_sums(one)).to_bytes() == _sums(one).to_bytes()


@given(EVENTS)
def test_sums_read_back_as_the_same_bytes_which_are_canonical(rows):
    from llmvc.core import canon

    data = _sums(rows).to_bytes()
    assert Sums.from_bytes(data).to_bytes() == data
    assert canon.encode(json.loads(data)) == data


ODD = [
    ("assign", {"llmvc.unit_hash": 5}),
    ("assign", {"llmvc.unit_hash": "\ud800"}),
    ("assign", {"llmvc.process": ["w1"]}),
    ("assign", {"llmvc.pinned": "false"}),
    ("assign", {"time": "120"}),
    ("assign", {"time": 1e300}),
    ("assign", {"time": float("inf")}),
    ("assign", {"time": -1}),
    ("assign", {"llmvc.bundle.digest": ["b3:"]}),
    ("call", {"llmvc.call.duration_s": float("nan")}),
    ("call", {"llmvc.call.duration_s": -1.0}),
    ("call", {"llmvc.call.duration_s": 1e300}),
    ("call", {"llmvc.call.duration_s": "1"}),
    ("call", {"llmvc.cost.usd": float("inf")}),
    ("call", {"llmvc.cost.usd": -0.1}),
    ("call", {"llmvc.cost.price_table": "\t"}),
    ("call", {"llmvc.context.used_ratio": float("nan")}),
    ("call", {"gen_ai.usage.input_tokens": 1e300, "gen_ai.usage.output_tokens": 1}),
    ("call", {"gen_ai.response.model": "gpt\t5"}),
    ("call", {"gen_ai.response.model": 5}),
    ("call", {"llmvc.refused": "no"}),
    ("feedback", {"llmvc.judge.digest": 5}),
    ("feedback", {"llmvc.feedback.negative": 1}),
    ("heartbeat", {"llmvc.counts": {f"{SCOPE.rollout}:1:{'a' * 12}": "ab"}}),
    ("heartbeat", {"llmvc.dropped": float("nan")}),
    ("heartbeat", {"time": 1e300}),
]


@pytest.mark.parametrize("pinned", [False, True])
@pytest.mark.parametrize(("kind", "odd"), ODD, ids=range(len(ODD)))
def test_a_value_of_another_type_or_range_breaks_its_event_and_nothing_else(kind, odd, pinned):
    sums, nothing = Sums(SCOPE), Sums(SCOPE)
    Adding(sums).add({**_event(kind, 1, "baseline", 5), "llmvc.pinned": pinned, **odd})
    nothing.broken = 1
    assert sums.to_bytes() == nothing.to_bytes()


def test_what_rotation_has_compressed_is_read_and_half_of_it_is_refused(traffic, tmp_path):
    traffic.units(20)
    plain = traffic.sums().to_bytes()
    packed = tmp_path / "events.jsonl.1.gz"
    data = gzip.compress(traffic.path.read_bytes())
    packed.write_bytes(data)
    assert summed([packed], SCOPE).to_bytes() == plain
    packed.write_bytes(data[:-20])
    with pytest.raises(StoreError, match=r"cannot read .*gz"):
        summed([packed], SCOPE)


def test_a_byte_order_mark_before_the_first_line_is_no_part_of_it(traffic, tmp_path):
    traffic.units(20)
    marked = tmp_path / "marked.jsonl"
    marked.write_bytes(b"\xef\xbb\xbf" + traffic.path.read_bytes())
    assert summed([marked], SCOPE).to_bytes() == traffic.sums().to_bytes()


def test_a_copy_of_a_log_is_refused_however_far_it_was_copied(traffic, tmp_path):
    traffic.units(20)
    copy, link = tmp_path / "copy.jsonl", tmp_path / "hard.jsonl"
    lines = traffic.path.read_bytes().splitlines(keepends=True)
    copy.write_bytes(b"".join(lines[:7]))
    with pytest.raises(UsageError, match="one is a copy of the other"):
        summed([traffic.path, copy], SCOPE)
    with pytest.raises(FormatError, match="the same log is in both sums"):
        traffic.sums().merge(summed([copy], SCOPE))
    link.hardlink_to(traffic.path)
    assert len(files([str(link), str(traffic.path)])) == 1


def test_a_log_that_is_rotated_while_others_are_read_is_read_all_the_same(tmp_path):
    logs = [Traffic(tmp_path / name) for name in ("a.jsonl", "b.jsonl")]
    for log in logs:
        log.units(3, name=log.path.name)
    first, second = (log.path for log in logs)
    found = events([first, second], Lines())
    next(found)
    second.rename(tmp_path / "b.jsonl.123")
    logs[1].log().close()
    logs[1].units(1, name="new")
    assert len(list(found)) == 17
    found = events([first, second], Lines())
    next(found)
    second.unlink()
    with pytest.raises(StoreError, match=r"b\.jsonl was moved away"):
        list(found)


def test_a_line_that_is_too_long_is_no_event_and_the_next_one_counts(traffic, monkeypatch):
    monkeypatch.setattr("llmvc.traces.reading.MOST_LINE", 2000)
    traffic.units(2)
    with traffic.path.open("a") as log:
        log.write('{"a":"' + "x" * 9000 + '"}\n')
    traffic.units(2, name="more")
    sums = traffic.sums()
    assert (sums.broken, sum(len(arm.rows) for arm in arms(sums))) == (1, 4)

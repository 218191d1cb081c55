"""Result files of three harnesses, good and bad."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.core.report import Run
from llmvc.errors import FormatError
from llmvc.files.results import read_results

DATA = Path(__file__).resolve().parents[2] / "data" / "results"


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def read(*rows, **options):
    return read_results(lines(*rows), "b.jsonl", **options)


def recorded(name, change=lambda found: None):
    """A recorded file, changed."""
    found = json.loads((DATA / name).read_text(encoding="utf-8"))
    change(found)
    return json.dumps(found).encode()


def scores(case):
    return [dict(run.scores) for run in case.runs]


GOOD = {"case": "a", "scores": {"quality": 0.8}}


def test_a_line_is_one_run_of_one_case():
    found = read(
        {
            "case": "b",
            "run": 1,
            "group": "g",
            "tags": ["y", "x", "y"],
            "scores": {"quality": 0.5, "ok": True, "tone": None, "stars": 4},
            "cost_usd": 0.002,
            "latency_s": 3,
            "model": {"name": "x"},
        },
        {"case": "b", "run": 0, "group": "g", "tags": ["x", "y"], "error": "timed out"},
        {"case": 7, "scores": {"quality": 1}},
    )
    assert (found.name, found.format, list(found.cases)) == ("b.jsonl", "jsonl", ["b", "7"])
    case = found.cases["b"]
    assert (case.group, case.tags) == ("g", ("x", "y"))
    assert case.runs == (
        Run(0, None, {}, error="timed out"),
        Run(
            1,
            None,
            {"quality": 0.5, "ok": 1.0, "tone": None, "stars": 4.0},
            cost_usd=0.002,
            latency_s=3.0,
        ),
    )


def test_runs_without_a_number_are_numbered_in_their_order():
    found = read(*({"case": c, "scores": {"q": x}} for x in (1, 0) for c in "ab"))
    for case in found.cases.values():
        assert [(run.run, dict(run.scores)) for run in case.runs] == [(0, {"q": 1}), (1, {"q": 0})]


def test_an_error_with_scores_did_give_an_outcome():
    run = read({"case": "a", "error": {"why": "refused"}, "scores": {"q": 0}}).cases["a"].runs[0]
    assert (run.error, run.scores) == ('{"why": "refused"}', {"q": 0.0})


@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n  \n", b"\r\n"])
def test_the_last_line_needs_no_line_end_and_blank_lines_do_not_count(end):
    data = b"\n" + lines(GOOD, {**GOOD, "case": "b"}).strip() + end
    assert list(read_results(data, "b").cases) == ["a", "b"]


def test_cases_are_grouped_by_the_member_that_was_named():
    row = {**GOOD, "group": "x", "doc": 3, "meta": {"doc": "d", "none": None}, "meta.dot": "e"}
    for path, group in [
        (None, "x"),
        ("doc", "3"),
        ("meta.doc", "d"),
        ("meta.none", None),
        ("meta.dot", "e"),
    ]:
        assert read(row, group_by=path).cases["a"].group == group
    for path in ("other", "meta.other", "doc.other"):
        with pytest.raises(FormatError, match=rf"^b.jsonl:1: there is no {path} to group by"):
            read(row, group_by=path)
    with pytest.raises(FormatError, match="meta is a dict, not text"):
        read(row, group_by="meta")


NAN, INFINITY = float("nan"), float("inf")
BAD_ROWS = {
    "a list": ([], "a line must be a JSON object"),
    "a number": (3, "a line must be a JSON object"),
    "no case": ({"id": "a", "scores": {"q": 1}}, "there is no case"),
    "an empty case": ({"case": " ", "scores": {"q": 1}}, "printable"),
    "a case that moves the cursor": ({"case": "a\x1b[2J", "scores": {"q": 1}}, "printable"),
    "half a character": ({"case": "\ud800", "scores": {"q": 1}}, "printable"),
    "a case that is no text": ({"case": 1.5, "scores": {"q": 1}}, "printable"),
    "a true case": ({"case": True, "scores": {"q": 1}}, "printable"),
    "a long case": ({"case": "x" * 201, "scores": {"q": 1}}, "longer than 200"),
    "nothing measured": ({"case": "b"}, "neither a score nor an error"),
    "scores as a number": ({"case": "b", "scores": 0.5}, "scores must be an object"),
    "a score as text": ({"case": "b", "scores": {"q": "0.5"}}, "score q is the text '0.5', not"),
    "a score as a list": ({"case": "b", "scores": {"q": [1]}}, "score q is a list, not a number"),
    "NaN": ({"case": "b", "scores": {"q": NAN}}, "score q is not finite"),
    "infinity": ({"case": "b", "scores": {"q": -INFINITY}}, "score q is not finite"),
    "a huge score": ({"case": "b", "scores": {"q": 10**400}}, "score q is not finite"),
    "a negative cost": ({**GOOD, "cost_usd": -0.1}, "cost_usd is -0.1: it must be at least 0, and"),
    "a cost of NaN": ({**GOOD, "cost_usd": NAN}, "cost_usd is nan"),
    "a cost as text": ({**GOOD, "cost_usd": "$1"}, "cost_usd is the text '\\$1', not a number"),
    "a true cost": ({**GOOD, "cost_usd": True}, "cost_usd is a bool, not a number"),
    "a huge cost": ({**GOOD, "cost_usd": 10**400}, "cost_usd is huge"),
    "a negative latency": ({**GOOD, "latency_s": -1}, "latency_s is -1"),
    "an infinite latency": ({**GOOD, "latency_s": INFINITY}, "latency_s is inf"),
    "a run of -1": ({**GOOD, "run": -1}, "run must be a whole number from 0"),
    "a run of 1.0": ({**GOOD, "run": 1.0}, "run must be a whole number from 0"),
    "a true run": ({**GOOD, "run": True}, "run must be a whole number from 0"),
    "a group as a list": ({**GOOD, "case": "b", "group": ["g"]}, "group is a list, not text"),
    "tags as text": ({**GOOD, "tags": "x"}, "tags must be a list of texts"),
    "the same run again": ({**GOOD, "run": 0}, "run 0 of case a stands there already"),
    "another group": ({**GOOD, "group": "h"}, "case a has another group than at 1"),
    "other tags": ({**GOOD, "tags": ["t"]}, "case a has other tags than at 1"),
    "another format": ({"testCase": {}, "provider": {}}, "an output of promptfoo"),
}


@pytest.mark.parametrize(("row", "message"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_bad_line_is_refused_with_its_number(row, message):
    with pytest.raises(FormatError, match=rf"^b.jsonl:3: .*{message}") as caught:
        read_results(lines({**GOOD, "run": 0}) + b"\n" + lines(row), "b.jsonl")
    assert not str(caught.value).endswith(".")


BAD_FILES = {
    "nothing": (b"", "^b is empty"),
    "blank lines": (b"\n \n", "^b is empty"),
    "not UTF-8": (b'{"case": "\xff"}', "^b is not UTF-8 at byte 10"),
    "a byte order mark": (b"\xef\xbb\xbf" + lines(GOOD), "^b starts with a byte order mark"),
    "a NUL": (b"\0", "^b holds a NUL byte"),
    "a zip": (b"PK\x03\x04\x14", "^b is a zip archive"),
    "a gzip": (b"\x1f\x8b\x08", "^b is not UTF-8 at byte 1"),
    "CSV": (b"case,quality\na,1\n", "^b:1: not JSON"),
    "a broken line": (lines(GOOD) + b'{"case" "b"}\n' + lines(GOOD), "^b:2: not JSON"),
    "a broken first line": (b'{"case" "b"}\n' + lines(GOOD), "^b:1: not JSON"),
    "a last line cut off": (lines(GOOD) + b'{"case": "b", "sco', "^b:2: the file is cut off here"),
    "an only line cut off": (b'{"case": "b", "scores": {"q"', "^b:1: the file is cut off here"),
    "a document cut off": (b'{\n "version": 2,\n "sam', "^b:3: the file is cut off here"),
    "two rows on a line": (lines(GOOD).strip() + b"," + lines(GOOD), "^b:1: not JSON"),
    "lines that join": (lines(GOOD) + b'{"case":"b","x":[1\n2]}\n', "^b:2: not JSON"),
    "a duplicate key": (b'{"case": "a", "case": "b"}\n' * 2, "^b:1: not JSON: duplicate key"),
    "a row over lines": (json.dumps(GOOD, indent=1).encode(), "^b is neither JSON lines"),
    "another document": (b'{\n"results": []\n}', "^b is neither JSON lines"),
    "a list of rows": (b"[" + lines(GOOD).strip() + b"]", "^b:1: a line must be a JSON object"),
    "deep nesting": (b'{"case": ' + b"[" * 100_000, "^b:1: nested too deep"),
    "a number of 5000 digits": (b'{"case": ' + b"1" * 5000 + b"}", "^b:1: not JSON"),
}


@pytest.mark.parametrize(("data", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_file_is_refused(data, message):
    with pytest.raises(FormatError, match=message):
        read_results(data, "b")


def test_a_log_of_inspect_in_its_archive_says_how_to_read_it():
    with pytest.raises(FormatError) as caught:
        read_results(b"PK\x03\x04", "run.eval")
    assert "inspect log dump run.eval" in caught.value.hint


@pytest.mark.parametrize("name", ["promptfoo.json", "promptfoo.jsonl"])
def test_repeats_of_promptfoo_are_runs_of_one_case(name):
    found = read_results((DATA / name).read_bytes(), name)
    assert found.format == "promptfoo"
    assert {case: len(one.runs) for case, one in found.cases.items()} == {
        "norway": 3,
        "norway again": 3,
        "c-fb60df056f11": 3,
        "nowhere": 3,
    }
    assert scores(found.cases["norway"])[2] == {"pass": 0, "score": 0.5, "form": 1, "right": 0}
    run = found.cases["norway"].runs[0]
    assert (run.cost_usd, run.latency_s, run.error) == (0.0004, 0.003, None)


def test_an_error_of_promptfoo_is_no_score_of_zero():
    runs = read_results(recorded("promptfoo.json"), "p").cases["nowhere"].runs
    assert [run.error for run in runs] == ["no such place", None, "no such place"]
    assert (runs[0].scores, runs[0].cost_usd, runs[0].latency_s) == ({}, None, None)
    assert runs[1].scores["pass"] == 1


def test_a_case_of_promptfoo_has_one_id_whatever_the_order_and_the_prompt():
    def other(found):
        found["results"]["results"].reverse()
        for result in found["results"]["results"]:
            result.update(promptId="other", testIdx=0, provider={"id": "other", "label": ""})

    before = read_results(recorded("promptfoo.json"), "p").cases
    after = read_results(recorded("promptfoo.json", other), "p").cases
    assert sorted(before) == sorted(after)


def test_cases_of_promptfoo_that_share_a_description_are_told_apart():
    def same(found):
        for result in found["results"]["results"]:
            result["testCase"]["description"] = "all"

    found = read_results(recorded("promptfoo.json", same), "p").cases
    assert [len(case.runs) for case in found.values()] == [3, 3, 3, 3]
    assert "c-fb60df056f11" in found
    assert all(case.startswith("c-") for case in found)


def test_several_arms_in_one_file_are_named_and_refused():
    def two(found):
        found["results"]["results"][4]["provider"] = {"id": "openai:gpt", "label": "new"}

    with pytest.raises(FormatError, match=r"2 arms: \[new\] What is.*; \[stand-in\]") as caught:
        read_results(recorded("promptfoo.json", two), "p")
    assert "--filter-providers" in caught.value.hint

    def prompts(found):
        found["results"]["results"][4]["promptId"] = "0"

    with pytest.raises(FormatError, match="2 arms"):
        read_results(recorded("promptfoo.json", prompts), "p")


def test_a_cached_answer_has_no_cost_and_no_latency_of_its_own():
    def cached(found):
        found["results"]["results"][0]["response"]["cached"] = True

    first, second, _ = read_results(recorded("promptfoo.json", cached), "p").cases["norway"].runs
    assert (first.cost_usd, first.latency_s, first.scores["pass"]) == (None, None, 1)
    assert second.cost_usd == 0.0004


def test_promptfoo_can_be_grouped():
    found = read_results(recorded("promptfoo.json"), "p", group_by="vars.country")
    assert [case.group for case in found.cases.values()] == ["Norway", "Norway", "France", "Sea"]


def result(change):
    return lambda found: found["results"]["results"][1].update(change)


BAD_OUTPUTS = {
    "no result": (lambda found: found["results"].update(results=[]), "^p holds no result"),
    "a result that is none": (
        lambda found: found["results"]["results"].append(3),
        "^p: result 13: this is no result of promptfoo",
    ),
    "a score as text": (result({"score": "high"}), "^p: result 2: score score is the text"),
    "a negative cost": (result({"cost": -1}), "^p: result 2: cost is -1"),
    "a negative latency": (result({"latencyMs": -1}), "^p: result 2: latencyMs is -1"),
    "NaN": (result({"namedScores": {"form": NAN}}), "^p: result 2: score form is not finite"),
}


@pytest.mark.parametrize(("change", "message"), BAD_OUTPUTS.values(), ids=BAD_OUTPUTS)
def test_a_bad_output_of_promptfoo_is_refused(change, message):
    with pytest.raises(FormatError, match=message):
        read_results(recorded("promptfoo.json", change), "p")


def test_a_line_of_ours_among_lines_of_promptfoo_is_refused():
    data = (DATA / "promptfoo.jsonl").read_bytes() + lines(GOOD)
    with pytest.raises(FormatError, match=r"^p:13: this is no result of promptfoo"):
        read_results(data, "p")


def test_a_log_of_inspect_has_an_epoch_a_run():
    found = read_results((DATA / "inspect.json").read_bytes(), "i", group_by="metadata.doc")
    assert found.format == "inspect"
    assert {case: one.group for case, one in found.cases.items()} == {
        "2": "d1",
        "c1": "d1",
        "c3": "d2",
    }
    grades = {"match": 0, "length": 0.2, "parts/a": 1, "parts/b": 1, "unsure": None, "stamp": 1}
    run = found.cases["2"].runs[1]
    assert (run.run, run.scores, run.latency_s) == (1, grades, 0.009)
    failed = found.cases["c3"].runs[1]
    assert failed == Run(1, None, {}, error="RuntimeError('lost connection')")


@pytest.mark.parametrize(
    ("value", "score"),
    [
        ("C", 1),
        ("I", 0),
        ("P", 0.5),
        ("N", 0),
        ("Yes", 1),
        ("false", 0),
        ("0.25", 0.25),
        (True, 1),
        (3, 3),
        (None, None),
    ],
)
def test_grades_of_inspect_are_numbers(value, score):
    change = sample({"scores": {"match": {"value": value}}})
    assert read_results(recorded("inspect.json", change), "i").cases["c1"].runs[0].scores == {
        "match": score
    }


@pytest.mark.parametrize("value", ["Paris", ["C"], []])
def test_what_is_no_grade_is_no_score(value):
    change = sample({"scores": {"label": {"value": value}, "match": {"value": "C"}}})
    run = read_results(recorded("inspect.json", change), "i").cases["c1"].runs[0]
    assert run.scores == {"match": 1}


def sample(change):
    return lambda found: found["samples"][1].update(change)


BAD_LOGS = {
    "no samples": (lambda found: found.pop("samples"), "^i holds no samples"),
    "the same epoch": (sample({"id": 2, "epoch": 1}), "^i: sample 2: run 0 of case 2 stands"),
    "epoch 0": (sample({"epoch": 0}), "^i: sample 2: the epoch must be a whole number from 1"),
    "no id": (lambda found: found["samples"][1].pop("id"), "^i: sample 2: a sample needs an id"),
    "scores as a list": (sample({"scores": [1]}), "^i: sample 2: scores must be an object"),
    "a negative time": (sample({"working_time": -1}), "^i: sample 2: working_time is -1"),
    "infinity": (
        sample({"scores": {"m": {"value": INFINITY}}}),
        "^i: sample 2: score m is not finite",
    ),
}


@pytest.mark.parametrize(("change", "message"), BAD_LOGS.values(), ids=BAD_LOGS)
def test_a_bad_log_of_inspect_is_refused(change, message):
    with pytest.raises(FormatError, match=message):
        read_results(recorded("inspect.json", change), "i")


@given(st.binary(max_size=60) | st.text(alphabet='{}[]":,1ae-\n', max_size=40).map(str.encode))
def test_any_bytes_are_refused_by_name(data):
    with pytest.raises(FormatError, match=r"^b"):
        read_results(data, "b")


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"), st.floats(0, 1), st.none() | st.floats(0, 9), st.booleans()
        ),
        min_size=1,
    )
)
def test_everything_that_stands_in_the_lines_is_in_the_runs(rows):
    written = [
        {"case": case, "scores": {"q": score, "ok": ok}, "cost_usd": cost}
        for case, score, cost, ok in rows
    ]
    found = read(*written).cases
    again = [
        {"case": case, "scores": dict(run.scores), "cost_usd": run.cost_usd}
        for case, one in found.items()
        for run in one.runs
    ]
    assert sorted(again, key=json.dumps) == sorted(
        [
            {**row, "scores": {name: float(x) for name, x in row["scores"].items()}}
            for row in written
        ],
        key=json.dumps,
    )

"""Suites with their cases."""

import pytest

from llmvc.core import digest
from llmvc.core.metric import Metric, Scorer
from llmvc.core.suite import Case, Dataset, Looks, Suite
from llmvc.errors import FormatError, LlmvcError, NotFoundError
from llmvc.files.config import Config
from llmvc.files.suite import find_suites, load_suite
from tests.unit.files.memory import MemoryFiles

PATH = "evals/support/suite.yaml"
SUITE = """\
llmvc: 1
bundle: support
dataset: cases.jsonl
runs: 3
scorers:
  - name: team
    type: json-field
    field: team
    value: "{{expected.team}}"
  - {name: polite, type: not-icontains, value: stupid, weight: 0.5}
metrics:
  quality: {scorers: [team, polite], margin: 0.05, floor: 0.5}
  cost: {limit: 1.10, gate: false}
alpha: 0.02
looks: 2
max_age: 36h
"""
CASES = '{"id": "b", "vars": {"x": 1}}\n{"id": "a", "vars": {"x": 2}}\n'


def load(text=SUITE, path=PATH, **files):
    listed = {"cases.jsonl": CASES, **files}
    return load_suite(
        MemoryFiles({path: text, **{f"evals/support/{k}": v for k, v in listed.items()}}), path
    )


def test_a_suite_is_read_with_its_cases_sorted_by_id():
    loaded = load()
    cases = (Case("a", {"x": 2}), Case("b", {"x": 1}))
    data = Dataset.of(cases)
    assert loaded.cases == cases
    assert loaded.datasets == (data,)
    assert loaded.data == ({"dataset": data.digest, "path": "evals/support/cases.jsonl"},)
    assert (loaded.bundle, loaded.path, loaded.folder) == ("support", PATH, "evals/support")
    assert loaded.suite == Suite(
        datasets=(data.digest,),
        scorers=(
            Scorer("team", "json-field", {"field": "team", "value": "{{expected.team}}"}),
            Scorer("polite", "icontains", {"value": "stupid"}, 0.5, negate=True),
        ),
        runs=3,
        metrics=(
            Metric("quality", "score", ("team", "polite"), margin=0.05, floor=0.5),
            Metric("cost", "cost", limit=1.1, gate=False),
        ),
        alpha=0.02,
        looks=Looks("cases", (0.5, 1.0)),
        max_age_s=36 * 3600,
    )
    assert Suite.from_bytes(loaded.suite.to_bytes()) == loaded.suite


def test_defaults_are_one_run_five_percent_one_look_and_a_day():
    suite = load(SUITE.replace("runs: 3\n", "").partition("alpha")[0]).suite
    assert (suite.runs, suite.alpha, suite.looks, suite.max_age_s) == (1, 0.05, Looks(), 86_400)
    assert (suite.golden, suite.candidates, suite.beyond) == (None, 10, "divide")


@pytest.mark.parametrize(
    ("rules", "metric"),
    [
        (
            "{kind: score, scorers: [team], margin: 0.1}",
            Metric("m", "score", ("team",), margin=0.1),
        ),
        ("{scorers: [team], gate: false}", Metric("m", "score", ("team",), gate=False)),
        ("{kind: cost, limit: 2}", Metric("m", "cost", limit=2.0)),
        ("{kind: cost, ceiling_usd: 0.1}", Metric("m", "cost", ceiling_usd=0.1, gate=False)),
        ("{kind: latency}", Metric("m", "latency", gate=False)),
    ],
)
def test_what_gates_follows_from_kind_and_limit(rules, metric):
    text = SUITE.replace("  cost: {limit: 1.10, gate: false}\n", f"  m: {rules}\n")
    assert load(text).suite.metrics[1] == metric


def test_comments_order_and_line_ends_do_not_change_the_suite():
    assert (
        load(
            "# c\r\n" + SUITE.replace("\n", "\r\n"), **{"cases.jsonl": CASES.replace("\n", "\r\n")}
        ).suite
        == load().suite
    )
    assert (
        load(SUITE.replace("llmvc: 1\n", "description: x\nllmvc: 1\n")).suite.digest
        == load().suite.digest
    )


def test_inline_cases_and_a_file_make_the_same_dataset():
    inline = SUITE.replace(
        "dataset: cases.jsonl\n", "cases:\n  - {id: a, vars: {x: 2}}\n  - {id: b, vars: {x: 1}}\n"
    )
    loaded = load(inline)
    assert loaded.suite.digest == load().suite.digest
    assert loaded.data[0]["path"] == PATH


def test_several_datasets_are_kept_apart_and_their_cases_together():
    text = SUITE.replace("dataset: cases.jsonl", "dataset: [cases.jsonl, more.jsonl]")
    loaded = load(text, **{"more.jsonl": '{"id": "aa", "vars": {}}'})
    assert [case.id for case in loaded.cases] == ["a", "aa", "b"]
    assert len(loaded.datasets) == len(loaded.data) == 2


def test_data_outside_of_git_is_read_by_uri_if_its_digest_fits(tmp_path):
    place = tmp_path / "private data.jsonl"
    place.write_bytes(CASES.replace("\n", "\r\n").encode())
    key = digest.of_bytes(CASES.encode())
    for uri in (place.as_uri(), str(place)):
        loaded = load(SUITE.replace("cases.jsonl", f'{{uri: "{uri}", digest: "{key}"}}'))
        assert loaded.suite.digest == load().suite.digest
        assert loaded.data == ({"dataset": loaded.datasets[0].digest, "uri": uri},)
    place.write_bytes(b'{"id": "a", "vars": {}}')
    with pytest.raises(
        FormatError, match=r"suite\.yaml:3: file:.* is b3:[0-9a-f]{12}, not b3:"
    ) as caught:
        load(SUITE.replace("cases.jsonl", f'{{uri: "{place.as_uri()}", digest: "{key}"}}'))
    assert digest.of_bytes(place.read_bytes()) in caught.value.hint


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("https://example.org/d.jsonl", "cannot be read by this version"),
        ("s3://bucket/d.jsonl", "cannot be read by this version"),
        ("file://host/d.jsonl", "cannot be read by this version"),
        ("file:d.jsonl", "is not absolute"),
        ("d.jsonl", "is not absolute"),
        ("file:///nowhere/d.jsonl", "cannot be read: No such file"),
        ("file:///dev/null", "not a regular file"),
        ("file:///tmp", "not a regular file"),
    ],
)
def test_a_uri_that_cannot_be_read_is_named(uri, said):
    with pytest.raises(LlmvcError, match=said) as caught:
        load(SUITE.replace("cases.jsonl", f'{{uri: "{uri}", digest: "b3:{"0" * 64}"}}'))
    assert caught.value.exit_code == 4
    assert str(caught.value).startswith("evals/support/suite.yaml:3: ")


def test_python_scorers_are_pinned_by_the_digest_of_their_code():
    text = SUITE.replace(
        'type: json-field\n    field: team\n    value: "{{expected.team}}"',
        "type: python\n    path: code/x.py\n    function: f",
    )
    scorer = load(text, **{"code/x.py": "def f():\r\n  pass\n"}).suite.scorers[0]
    assert scorer.options == {"path": "code/x.py", "function": "f"}
    assert scorer.code == digest.of_bytes(b"def f():\n  pass\n")


def test_an_embedder_is_pinned_by_the_digest_of_its_code():
    text = SUITE.replace(
        'type: json-field\n    field: team\n    value: "{{expected.team}}"',
        "type: similar:cosine\n    embedder: {path: e.py}",
    )
    scorer = load(text, **{"e.py": "x = 1\r\n"}).suite.scorers[0]
    assert (scorer.type, scorer.options) == ("similar", {"embedder": {"path": "e.py"}})
    assert scorer.code == digest.of_bytes(b"x = 1\n")


def test_a_schema_in_a_file_stands_inline_in_the_suite():
    text = SUITE.replace(
        'type: json-field\n    field: team\n    value: "{{expected.team}}"',
        "type: json-schema\n    schema: {file: s.json}",
    )
    assert load(text, **{"s.json": '{"type": "object"}'}).suite.scorers[0].options == {
        "schema": {"type": "object"}
    }


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("bundle: support\n", "", "suite.yaml:1: bundle is missing"),
        ("dataset: cases.jsonl\n", "", "suite.yaml:1: the suite has no cases"),
        ("cases.jsonl", "other.jsonl", "suite.yaml:3: file other.jsonl is not there"),
        ("cases.jsonl", "../cases.jsonl", "suite.yaml:3: path '../cases.jsonl' holds"),
        ("cases.jsonl", "[cases.jsonl, cases.jsonl]", "suite.yaml:3: case id 'b' stands in two datasets"),
        ("runs: 3", "runs: 0", "suite.yaml:4: runs must be at least 1"),
        ("runs: 3", "runs: 101", "suite.yaml:4: runs must be at most 100"),
        ("runs: 3", "runs: 2.5", "suite.yaml:4: runs must be a whole number"),
        ("alpha: 0.02", "alpha: 0.5", "suite.yaml:14: alpha must be below 0.5"),
        ("alpha: 0.02", "alpha: 0", "suite.yaml:14: alpha must be above 0"),
        ("max_age: 36h", "max_age: soon", "suite.yaml:16: max_age may not be 'soon'; write a number and s, m, h or d"),
        ("looks: 2", "look: 2", "suite.yaml:15: look is not a field; write looks instead"),
        ("margin: 0.05", "margin: 1", "suite.yaml:12: metrics.quality.margin must be below 1"),
        ("margin: 0.05", "margin: 0", "suite.yaml:12: metrics.quality.margin must be above 0"),
        ("margin: 0.05, ", "", "suite.yaml:12: metrics.quality.margin is missing"),
        ("limit: 1.10", "limit: 1", "suite.yaml:13: metrics.cost.limit must be above 1"),
        ("limit: 1.10", "margin: 0.1", "suite.yaml:13: metrics.cost.margin means nothing for a metric of kind cost"),
        ("  cost: {limit: 1.10, gate: false}", "  latency: {gate: true}", "suite.yaml:13: metrics.latency.limit is missing"),
        ("margin: 0.05", "margin: 0.05, scale: [5, 1]", "suite.yaml:12: metrics.quality.scale is no range"),
        ("margin: 0.05", "margin: 0.05, scale: [1, 3, 5]", "suite.yaml:12: metrics.quality.scale is no range"),
        ("margin: 0.05", "margin: 4, scale: [1, 5]", "suite.yaml:12: metrics.quality.margin must be below 4"),
        ("floor: 0.5", "floor: 1.5", "suite.yaml:12: metrics.quality.floor is outside the scale [0, 1]"),
        ("margin: 0.05", "margin: 0.05, pass_k: 4", "suite.yaml:12: metrics.quality.pass_k is 4, and a case has 3 runs"),
        ("margin: 0.05", "margin: 0.05, severity: {drop: 2}", "suite.yaml:12: metrics.quality.severity is 2, more than the scale allows"),
        ("margin: 0.05", "margin: 0.05, slice: refunds", "suite.yaml:12: metrics.quality.slice names tag 'refunds', which no case has"),
        ("margin: 0.05", "margin: 0.05, slices: [refunds]", "suite.yaml:12: metrics.quality.slices names tag 'refunds', which no case has"),
        ("margin: 0.05", "margin: 0.05, slice: a, slices: [b]", "suite.yaml:12: metrics.quality.slices stands beside slice"),
        ("margin: 0.05", "margin: 0.05, must_pass: vip", "suite.yaml:12: metrics.quality.must_pass names tag 'vip', which no case has"),
        ("margin: 0.05", "margin: 0.05, budget: 0.01", "suite.yaml:12: metrics.quality.budget means nothing for a metric of kind score"),
        ("limit: 1.10, gate: false", "gate: false, meant: longer", "suite.yaml:13: metrics.cost.meant declares no limit"),
        ("looks: 2", "looks: 0", "suite.yaml:15: looks must be at least 1"),
        ("looks: 2", "looks: {at: [0.5, 0.5, 1]}", "suite.yaml:15: looks.at does not rise to 1"),
        ("looks: 2", "looks: 1.5", "suite.yaml:15: looks may not be 1.5; write a number of looks, any-time, or {by"),
        ("looks: 2", "looks: sometimes", "suite.yaml:15: looks may not be 'sometimes'"),
        ("looks: 2", "looks: {at: [2]}", "suite.yaml:15: looks.at[0] must be at most 1"),
        ("looks: 2", "looks: {by: runs}", "suite.yaml:15: looks.at is missing"),
        ("margin: 0.05", "margin: .05", "suite.yaml:12: "),
        ("looks: 2", "looks: {at: [0.5]}", "suite.yaml:15: looks.at does not rise to 1"),
        ("looks: 2", "looks: {by: runs, at: [0.5, 0.6, 1]}", "suite.yaml:15: two looks fall on the same of 3 runs"),
        ("looks: 2", "golden: b3:12", "suite.yaml:15: golden may not be 'b3:12'; write b3: and 64 hex characters"),
        ("  cost: {limit: 1.10, gate: false}", "  cost: {gate: true}", "suite.yaml:13: metrics.cost.limit is missing"),
        ("[team, polite]", "[tem]", "suite.yaml:12: metrics.quality names scorer 'tem', which is not among scorers; write team instead"),
        ("scorers: [team, polite], ", "", "suite.yaml:12: metrics.quality.scorers is missing"),
        ("name: polite", "name: team", "suite.yaml:10: there are two scorers 'team'"),
        ("type: json-field", "type: json-feld", "suite.yaml:6: there is no scorer type 'json-feld'; write json-field instead"),
        ("    field: team\n", "", "suite.yaml:6: a scorer of type json-field needs field"),
        ("    field: team\n", "    fild: team\n", "suite.yaml:8: scorers[0].fild is not a field; write field instead"),
        ("value: stupid", "pattern: stupid", "suite.yaml:10: pattern is not an option of icontains; write"),
        ("type: not-icontains, value: stupid", "type: regex, value: '('", "suite.yaml:10: not a regular expression"),
        ("type: not-icontains, value: stupid", "type: json-schema, schema: {type: x}", "suite.yaml:10: not a JSON Schema"),
        ("type: not-icontains, value: stupid", "type: python, path: x.py", "suite.yaml:10: file x.py is not there"),
        ("type: not-icontains, value: stupid", "type: llm-rubric, value: nice", "suite.yaml:10: scorer type 'llm-rubric' needs a judge"),
        ("type: not-icontains, value: stupid", "type: similar", "suite.yaml:10: a scorer of type similar needs embedder"),
        ("type: not-icontains, value: stupid", "type: similar, embedder: {path: e.py}", "suite.yaml:10: file e.py is not there"),
        ("type: not-icontains, value: stupid", "type: similar, embedder: {function: f}", "suite.yaml:10: scorers[1].embedder needs exactly one of path, model"),
        ("type: not-icontains, value: stupid", "type: assert-set", "suite.yaml:10: a scorer of type assert-set needs assert"),
        ("type: not-icontains, value: stupid", "type: assert-set, assert: [{type: equal}]", "suite.yaml:10: there is no scorer type 'equal'; write equals instead"),
        ("type: not-icontains, value: stupid", "type: assert-set, assert: [{type: python, path: x.py}]", "suite.yaml:10: a scorer of type 'python' may not stand in a row or a set"),
        ("type: not-icontains, value: stupid", "type: choice, choices: {A: 2}", "suite.yaml:10: scorers[1].choices.A must be at most 1"),
        ("type: not-icontains, value: stupid", "type: rouge-n, n: 0", "suite.yaml:10: scorers[1].n must be at least 1"),
        ("weight: 0.5", "weight: 0", "suite.yaml:10: scorers[1].weight must be above 0"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(old, new, said):
    assert old in SUITE
    with pytest.raises(LlmvcError) as caught:
        load(SUITE.replace(old, new, 1))
    assert isinstance(caught.value, FormatError | NotFoundError)
    assert str(caught.value).startswith("evals/support/" + said)


def test_metrics_are_needed():
    with pytest.raises(FormatError, match=r"suite\.yaml:5: metrics is empty"):
        load("llmvc: 1\nbundle: support\ndataset: cases.jsonl\nscorers: []\nmetrics: {}\n")


def test_a_fault_in_inline_cases_names_the_line_in_the_suite():
    text = SUITE.replace(
        "dataset: cases.jsonl\n", "cases:\n  - {id: a, vars: {}}\n  - {id: a, vars: {}}\n"
    )
    with pytest.raises(
        FormatError, match=r"^evals/support/suite\.yaml:5: case id 'a' is also that of line 4"
    ):
        load(text)


def test_suites_are_found_by_the_bundle_that_they_measure():
    other = SUITE.replace("bundle: support", "bundle: other")
    files = MemoryFiles(
        {"b/suite.yaml": SUITE, "a/suite.yaml": SUITE, "c/suite.yaml": other, "x.yaml": "bundle: x"}
    )
    assert find_suites(files, Config()) == {
        "other": ["c/suite.yaml"],
        "support": ["a/suite.yaml", "b/suite.yaml"],
    }
    with pytest.raises(FormatError, match=r"^d/suite\.yaml:1: bundle is missing"):
        find_suites(MemoryFiles({"d/suite.yaml": "llmvc: 1"}), Config())


def test_a_missing_suite_is_not_found():
    with pytest.raises(NotFoundError, match=r"^git:x:evals/s/suite\.yaml is not there$"):
        load_suite(MemoryFiles({}, "git:x"), "evals/s/suite.yaml")

"""Every scorer, by table: options, case, output -> score."""

import json
from pathlib import Path

import pytest

from llmvc.core import digest, scorers
from llmvc.core.metric import Scorer
from llmvc.core.suite import Case
from llmvc.errors import FormatError, IntegrityError
from llmvc.evals.providers.base import Answer
from llmvc.evals.scorers import RULES, Scoring, score

TEAM = {"team": "billing", "score": 3, "tags": ["a", "b"], "a.b": 1}
SCHEMA = {"type": "object", "required": ["team"], "properties": {"team": {"enum": ["billing"]}}}


def one(kind: str, options: dict, output: str, *, expected=None, variables=None, **more):
    case = Case("c", variables or {}, expected)
    return score(Scorer("s", kind, options, **more), case, Answer(output=output))


@pytest.mark.parametrize(
    ("kind", "options", "expected", "output", "wanted"),
    [
        ("equals", {}, "yes", "yes", 1),
        ("equals", {}, "yes", "yes\n", 0),
        ("equals", {"trim": True}, "yes", " yes\n", 1),
        ("equals", {"ignore_case": True}, "Straße", "STRASSE", 1),
        ("equals", {"value": "no"}, "yes", "no", 1),
        ("equals", {}, {"a": 1}, '{ "a" : 1.0 }', 1),
        ("equals", {}, {"a": True}, '{"a": 1}', 0),
        ("equals", {}, [1, 2], "[2, 1]", 0),
        ("equals", {}, 5, "5", 1),
        ("equals", {}, 5, "five", 0),
        ("equals", {}, False, "false", 1),
        ("contains", {}, "ell", "Hello", 1),
        ("contains", {}, "ELL", "Hello", 0),
        ("contains", {}, 42, "it is 42.", 1),
        ("icontains", {}, "ELL", "Hello", 1),
        ("contains-any", {"value": ["x", "ell"]}, None, "Hello", 1),
        ("contains-any", {"value": "x, ell"}, None, "Hello", 1),
        ("contains-any", {"value": ["x", "ELL"]}, None, "Hello", 0),
        ("icontains-any", {"value": ["x", "ELL"]}, None, "Hello", 1),
        ("contains-all", {"value": ["H", "ell"]}, None, "Hello", 1),
        ("contains-all", {"value": ["H", "z"]}, None, "Hello", 0),
        ("icontains-all", {"value": ["h", "ELL"]}, None, "Hello", 1),
        ("starts-with", {"value": "He"}, None, "Hello", 1),
        ("starts-with", {"value": "he"}, None, "Hello", 0),
        ("starts-with", {"value": "he", "ignore_case": True}, None, "Hello", 1),
        ("regex", {"value": r"\d{3}"}, None, "call 555 now", 1),
        ("regex", {"value": r"^\d+$"}, None, "call 555 now", 0),
        ("regex", {"value": "HELLO", "ignore_case": True}, None, "hello", 1),
        ("json-valid", {}, None, '{"a": 1}', 1),
        ("json-valid", {}, None, "```json\n{}\n```", 0),
        ("json-valid", {}, None, "NaN", 0),
        ("json-valid", {}, None, "", 0),
        ("json-valid", {}, None, "[" * 100_000, 0),
        ("json-valid", {"value": SCHEMA}, None, '{"team": "x"}', 0),
        ("json-schema", {"schema": SCHEMA}, None, '{"team": "billing"}', 1),
        ("json-schema", {"schema": SCHEMA}, None, '{"team": "other"}', 0),
        ("json-schema", {"schema": SCHEMA}, None, "not json", 0),
        ("json-schema", {"value": SCHEMA}, None, '{"team": "billing"}', 1),
        ("json-field", {"field": "team"}, "billing", json.dumps(TEAM), 1),
        ("json-field", {"field": "team"}, {"team": "billing"}, json.dumps(TEAM), 1),
        ("json-field", {"field": "team"}, {"team": "tech"}, json.dumps(TEAM), 0),
        (
            "json-field",
            {"field": "team", "value": "{{expected.t}}"},
            {"t": "billing"},
            json.dumps(TEAM),
            1,
        ),
        ("json-field", {"field": "tags.1"}, "b", json.dumps(TEAM), 1),
        ("json-field", {"field": "tags.2"}, "b", json.dumps(TEAM), 0),
        ("json-field", {"field": "a.b"}, 1, json.dumps(TEAM), 1),
        ("json-field", {"field": "score"}, 3.0, json.dumps(TEAM), 1),
        ("json-field", {"field": "score", "tolerance": 0.5}, 3.4, json.dumps(TEAM), 1),
        ("json-field", {"field": "score", "tolerance": 0.5}, 3.6, json.dumps(TEAM), 0),
        ("json-field", {"field": "team"}, "billing", "no json", 0),
        ("json-field", {"field": "team"}, "billing", '"billing"', 0),
        ("numeric", {}, 10, "10.0", 1),
        ("numeric", {}, 10, " 1e1\n", 1),
        ("numeric", {}, "10", "10", 1),
        ("numeric", {}, 10, "10.1", 0),
        ("numeric", {"tolerance": 0.2}, 10, "10.1", 1),
        ("numeric", {"abs": 0.2}, 10, "9.9", 1),
        ("numeric", {"rel": 0.02}, 10, "9.9", 1),
        ("numeric", {"rel": 0.02}, -10, "-10.3", 0),
        ("numeric", {}, 10, "about 10", 0),
        ("numeric", {}, 10, "nan", 0),
        ("numeric", {}, 10, "1_0", 0),
        ("numeric", {}, 10, "1e999", 0),
        ("numeric", {"pattern": r"total: (\S+)"}, 10, "total: 10 EUR", 1),
        ("numeric", {"pattern": r"[0-9]+"}, 10, "total: 10 EUR", 1),
        ("numeric", {"pattern": r"x"}, 10, "total: 10 EUR", 0),
        ("numeric", {"field": "score"}, 3, json.dumps(TEAM), 1),
        ("numeric", {"field": "team"}, 3, json.dumps(TEAM), 0),
        ("numeric", {"field": "none"}, 3, json.dumps(TEAM), 0),
    ],
)
def test_scorer(kind, options, expected, output, wanted):
    assert one(kind, options, output, expected=expected) == wanted
    assert one(kind, options, output, expected=expected, negate=True) == 1 - wanted


def test_every_type_that_suites_may_name_has_a_rule():
    composed = {"python", "checks", "assert-set", "judge"}
    assert set(RULES) == scorers.CHECK_TYPES == scorers.TYPES - composed
    assert set(scorers.ALIASES.values()) <= scorers.CHECK_TYPES
    assert not scorers.TYPES & set(scorers.ALIASES)


@pytest.mark.parametrize(
    ("kind", "options", "expected", "complaint"),
    [
        ("equals", {}, None, "nothing to compare with"),
        ("equals", {"trim": "yes"}, "a", "trim is 'yes'"),
        ("contains", {"value": "{{vars.gone}}"}, None, "no value in this case"),
        ("contains", {"value": "{{expected.gone}}"}, {"a": 1}, "no value in this case"),
        ("contains-any", {"value": []}, None, "not a list of texts"),
        ("regex", {"value": "("}, None, "not a regular expression"),
        ("regex", {"value": 5}, None, "not text"),
        ("json-schema", {}, None, "no JSON Schema"),
        ("json-schema", {"schema": {"type": "nothing"}}, None, "not a JSON Schema"),
        ("json-field", {}, "x", "no field to look at"),
        ("json-field", {"field": "team"}, {"other": 1}, "has no 'team'"),
        ("numeric", {}, "ten", "not a number"),
        ("numeric", {"tolerance": "much"}, 10, "not a number"),
        ("numeric", {"pattern": "("}, 10, "not a regular expression"),
        ("checks", {}, None, "has no checks"),
    ],
)
def test_bad_options_are_found_before_any_call_and_name_scorer_and_case(
    kind, options, expected, complaint
):
    scoring = Scoring((Scorer("team", kind, options),))
    case = Case("c7", {}, expected)
    with pytest.raises(FormatError, match=f"scorer team, case c7: .*{complaint}"):
        scoring.check((case,))
    scored = scoring.score(case, Answer(output="x"))
    assert scored.scores == {"team": None}
    assert complaint in scored.error


def test_a_negated_scorer_that_cannot_tell_still_cannot():
    assert one("contains", {"value": "{{vars.gone}}"}, "x", negate=True) is None


def test_an_unknown_type_is_refused():
    with pytest.raises(FormatError, match="unknown type 'vibes'"):
        Scoring((Scorer("s", "vibes", {}),))


def test_a_schema_never_fetches_what_it_refers_to():
    schema = {"$ref": "http://127.0.0.1:9/schema.json"}
    scored = Scoring((Scorer("s", "json-schema", {"schema": schema}),)).score(
        Case("c", {}), Answer(output="{}")
    )
    assert scored.scores["s"] is None
    assert "refers to" in scored.error


def test_templates_keep_the_type_of_a_whole_slot_and_make_text_inside_text():
    variables = {"name": "Ada", "n": 3}
    assert one("equals", {"value": "{{vars.n}}"}, "3", variables=variables) == 1
    assert (
        one(
            "contains",
            {"value": "Dear {{ vars.name }}, {{n}}"},
            "Dear Ada, 3!",
            variables=variables,
        )
        == 1
    )
    assert (
        one(
            "contains-all",
            {"value": ["{{name}}", "{{expected}}"]},
            "Ada x",
            variables=variables,
            expected="x",
        )
        == 1
    )


@pytest.mark.parametrize(
    ("checks", "output", "wanted"),
    [
        ([{"type": "contains", "value": "a"}], "cat", 1),
        ([{"type": "not-contains", "value": "a"}], "cat", 0),
        ([{"type": "contains", "value": "a"}, {"type": "equals", "value": "x"}], "cat", 0.5),
        (
            [{"type": "contains", "value": "a", "weight": 3}, {"type": "equals", "value": "x"}],
            "cat",
            0.75,
        ),
        ([{"type": "is-json"}], "{}", 1),
        ([{"type": "not-is-json"}], "{}", 0),
        ([{"type": "is-json", "value": SCHEMA}], '{"team": "x"}', 0),
        (
            [
                {
                    "type": "assert-set",
                    "threshold": 0.5,
                    "assert": [
                        {"type": "contains", "value": "a"},
                        {"type": "equals", "value": "x"},
                    ],
                }
            ],
            "cat",
            1,
        ),
        (
            [
                {
                    "type": "assert-set",
                    "threshold": 0.6,
                    "assert": [
                        {"type": "contains", "value": "a"},
                        {"type": "equals", "value": "x"},
                    ],
                }
            ],
            "cat",
            0,
        ),
        ([{"type": "icontains", "value": "{{animal}}"}], "CAT", 1),
    ],
)
def test_checks_of_a_row(checks, output, wanted):
    case = Case("c", {"animal": "cat"}, checks=tuple(checks))
    assert score(Scorer("s", "checks", {}), case, Answer(output=output)) == wanted


@pytest.mark.parametrize(
    ("check", "complaint"),
    [
        ({"type": "vibes", "value": "nice"}, "unknown scorer type 'vibes'"),
        ({"type": "llm-rubric", "value": "nice"}, "scorer type 'llm-rubric' needs a judge"),
        ({"type": "not-g-eval", "value": "nice"}, "scorer type 'not-g-eval' needs a judge"),
        ({"type": "python", "value": "x.py"}, "unknown scorer type 'python'"),
        ({"value": "x"}, "no type"),
        ({"type": "contains", "value": "x", "weight": -1}, "below 0"),
        ({"type": "contains", "value": "x", "weight": 0}, "weight 0"),
        ({"type": "assert-set", "assert": []}, "no list of checks"),
    ],
)
def test_a_row_with_bad_checks_is_refused(check, complaint):
    with pytest.raises(FormatError, match=complaint):
        Scoring((Scorer("s", "checks", {}),)).check((Case("c", {}, checks=(check,)),))


CODE = """
def score(output, case, answer):
    if output == "boom":
        raise KeyError("boom")
    if output == "dict":
        return {"score": 0.25, "why": "so"}
    if output == "len":
        return len(case["vars"]["q"]) / 10
    if output == "tokens":
        return answer["output_tokens"] == 7
    if output == "unsure":
        return {"score": None, "reason": "too short to say"}
    if output == "exit":
        raise SystemExit(0)
    return {"nan": float("nan"), "two": 2, "text": "1", "none": None, "empty": {}}[output]
"""


@pytest.fixture
def coded(tmp_path: Path) -> Scoring:
    (tmp_path / "mine.py").write_bytes(CODE.replace("\n", "\r\n").encode())
    code = digest.of_bytes(CODE.encode())
    return Scoring((Scorer("mine", "python", {"path": "mine.py"}, code=code),), tmp_path)


@pytest.mark.parametrize(("output", "wanted"), [("dict", 0.25), ("len", 0.3), ("tokens", 1.0)])
def test_python_scorer(coded, output, wanted):
    scored = coded.score(Case("c", {"q": "abc"}), Answer(output=output, output_tokens=7))
    assert scored.scores == {"mine": wanted}
    assert scored.error is None


@pytest.mark.parametrize("output", ["boom", "exit", "nan", "two", "text", "none", "empty"])
def test_python_scorer_that_cannot_tell(coded, output):
    scored = coded.score(Case("c", {}), Answer(output=output))
    assert scored.scores == {"mine": None}
    assert scored.error.startswith("scorer mine: ")


def test_python_scorer_may_say_why_it_cannot_tell(coded):
    scored = coded.score(Case("c", {}), Answer(output="unsure"))
    assert (scored.scores, scored.error) == (
        {"mine": None},
        "scorer mine: cannot tell: too short to say",
    )


RUBRIC = """
def score(output, case, answer):
    if output in ("passed", "failed"):
        return output == "passed"
    return {"score": float(output)} if output.startswith("-") else float(output)
"""


@pytest.mark.parametrize(
    ("scale", "output", "wanted"),
    [
        ([1, 5], "1", 0.0),
        ([1, 5], "4", 0.75),
        ([1, 5], "5", 1.0),
        ([1, 5], "0.99", None),
        ([1, 5], "5.01", None),
        ([1, 5], "nan", None),
        ([-2, 2], "-1", 0.25),
        ([1, 5], "passed", 1.0),
        ([1, 5], "failed", 0.0),
        ([0, 100], "50", 0.5),
        (None, "0.5", 0.5),
        (None, "4", None),
        # No range at all: it cannot tell, and says so for every output.
        ([5, 1], "3", None),
        ([3, 3], "3", None),
    ],
)
@pytest.mark.parametrize("negate", [False, True])
def test_a_python_scorer_with_a_scale_gives_its_place_on_it(
    tmp_path, scale, output, wanted, negate
):
    (tmp_path / "rubric.py").write_text(RUBRIC)
    options = {"path": "rubric.py", **({} if scale is None else {"scale": scale})}
    scoring = Scoring((Scorer("r", "python", options, negate=negate),), tmp_path)
    scored = scoring.score(Case("c", {}), Answer(output=output))
    assert scored.scores == {"r": 1 - wanted if negate and wanted is not None else wanted}
    assert (scored.error is None) == (wanted is not None)


def test_python_scorer_of_other_bytes_than_the_suite_says_is_refused(tmp_path):
    (tmp_path / "mine.py").write_text(CODE + "\n")
    with pytest.raises(IntegrityError, match="the suite says"):
        Scoring(
            (Scorer("m", "python", {"path": "mine.py"}, code=digest.of_bytes(CODE.encode())),),
            tmp_path,
        )


@pytest.mark.parametrize(
    ("options", "content", "complaint"),
    [
        ({}, "", "names no code"),
        ({"path": "gone.py"}, None, "cannot read"),
        ({"path": "x.py"}, "1 / 0", "cannot be loaded: ZeroDivisionError"),
        ({"path": "x.py"}, "def (", "cannot be loaded: SyntaxError"),
        ({"path": "x.py"}, "import sys; sys.exit()", "cannot be loaded: SystemExit"),
        ({"path": "x.py", "function": "f"}, "g = 1", "has no function 'f'"),
        ({"path": "x.txt"}, "g = 1", "not a Python file"),
    ],
)
def test_python_scorer_that_cannot_be_loaded(tmp_path, options, content, complaint):
    if content is not None and "path" in options:
        (tmp_path / options["path"]).write_text(content)
    with pytest.raises(FormatError, match=complaint):
        Scoring((Scorer("s", "python", options),), tmp_path)


def test_an_application_that_failed_scores_zero_even_negated_and_a_provider_that_failed_nothing():
    scoring = Scoring((Scorer("a", "equals", {}), Scorer("b", "contains", {}, negate=True)))
    case = Case("c", {}, "x")
    assert scoring.score(case, Answer(error="e", fault="application")).scores == {
        "a": 0.0,
        "b": 0.0,
    }
    assert scoring.score(case, Answer(error="e", fault="provider")).scores == {"a": None, "b": None}

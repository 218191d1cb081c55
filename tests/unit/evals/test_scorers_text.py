"""Scorers of text, markup and likeness, by table: options, output -> score."""

import json
from pathlib import Path

import pytest

from llmvc.core.metric import Scorer
from llmvc.core.suite import Case
from llmvc.errors import FormatError
from llmvc.evals.providers.base import Answer
from llmvc.evals.scorers import Scoring, score

PAIRS = json.loads(
    (Path(__file__).parents[2] / "vectors" / "likeness" / "pairs.json").read_text(encoding="utf-8")
)
BOMB = (
    '<!DOCTYPE a [<!ENTITY x "xxxxxxxxxx"><!ENTITY y "&x;&x;&x;&x;&x;&x;&x;&x;">]><a>&y;&y;&y;</a>'
)
OUTSIDE = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>&x;</a>'


def one(kind: str, options: dict, output: str, *, expected=None, negate=False, **answer):
    case = Case("c", {}, expected)
    return score(Scorer("s", kind, options, negate=negate), case, Answer(output=output, **answer))


@pytest.mark.parametrize(
    ("kind", "options", "output", "wanted"),
    [
        ("ends-with", {"value": "."}, "Done.", 1),
        ("ends-with", {"value": "."}, "Done.\n", 0),
        ("ends-with", {"value": "DONE", "ignore_case": True}, "done", 1),
        ("word-count", {"value": 3}, " a  b\tc\n", 1),
        ("word-count", {"value": "3"}, "a b", 0),
        ("word-count", {"value": {"min": 1, "max": 2}}, "a b", 1),
        ("word-count", {"max": 2}, "a b c", 0),
        ("word-count", {"max": 2}, "", 1),
        ("word-count", {"min": 1}, "  ", 0),
        ("char-count", {"max": 5}, "Größe", 1),
        ("char-count", {"min": 6}, "Größe", 0),
        ("contains-any", {"value": "cat, dog,"}, "a bird", 0),
        ("contains-any", {"value": 'cat, "a, b"'}, "x a, b y", 1),
        ("contains-any", {"value": '"say ""hi""", cat'}, 'we say "hi"', 1),
        ("contains-all", {"value": '"1,000", "2"'}, "1 and 000 and 2", 0),
        ("choice", {"choices": {"A": 1, "B": 0.5}}, "A or B? Both fit, but B", 0.5),
        ("choice", {"choices": {"A": 1, "B": 0.5}}, "Answer: A.", 1),
        ("choice", {"choices": {"A": 1, "A+": 0.25}}, "I say A+", 0.25),
        ("choice", {"choices": {"A": 1, "B": 0}}, "C, because Alba is a Band", 0),
        ("choice", {"choices": {"yes": 1, "no": 0}}, "YES", 0),
        ("choice", {"choices": {"yes": 1, "no": 0}, "ignore_case": True}, "YES", 1),
        ("choice", {"choices": {"fully agrees": 1, "agrees": 0.5}}, "it fully agrees", 1),
        ("contains-json", {}, 'Here: {"a": [1]} ok', 1),
        ("contains-json", {}, "```json\n[1]\n```", 1),
        ("contains-json", {}, "the number 5 and {no json}", 0),
        ("contains-json", {}, "[NaN]", 0),
        ("contains-json", {"schema": {"required": ["b"]}}, '{"a": 1} then {"b": 1}', 1),
        ("contains-json", {"schema": {"required": ["b"]}}, '{"a": {"b": 1}}', 0),
        ("contains-json", {}, "[" * 100_000, 0),
        ("contains-json", {}, '{"' * 100_000, 0),
        ("is-xml", {}, "<a><b/>x</a>", 1),
        ("is-xml", {}, '<?xml version="1.0"?>\n<a x="1">&amp;</a>\n', 1),
        ("is-xml", {}, "<a></b>", 0),
        ("is-xml", {}, "<a/><b/>", 0),
        ("is-xml", {}, "say <a/>", 0),
        ("is-xml", {}, "", 0),
        ("is-xml", {}, BOMB, 0),
        ("is-xml", {}, OUTSIDE, 0),
        ("is-xml", {}, "<a>&undeclared;</a>", 0),
        ("is-xml", {}, "<a>\ud800</a>", 0),
        ("is-xml", {}, "<a>" * 50_000 + "</a>" * 50_000, 1),
        ("is-xml", {"elements": ["a.b", "a"]}, "<a><b/></a>", 1),
        ("is-xml", {"value": {"requiredElements": ["a.c"]}}, "<a><b><c/></b></a>", 0),
        ("contains-xml", {}, "Sure: <a>1</a>. Bye", 1),
        ("contains-xml", {}, "1 < 2 and 3 > 2", 0),
        ("contains-xml", {}, "<a>1</a", 0),
        ("contains-xml", {}, "<a> <b>x</b>", 1),
        ("contains-xml", {}, "<a" * 50_000, 0),
        ("contains-xml", {}, "<a>" * 50_000, 0),
        ("contains-xml", {}, f"so: {BOMB[-16:]}", 0),
        ("contains-xml", {"elements": ["a.b"]}, "x <a><b/></a> y <c/>", 1),
        ("is-html", {}, "<!DOCTYPE html><html><body><p>Hi<p>you</body></html>", 1),
        ("is-html", {}, "<p>Hi <b>you</b><br></p>", 1),
        ("is-html", {}, "<ul><li>a<li>b</ul>", 1),
        ("is-html", {}, "<div><my-card>x</my-card></div>", 1),
        ("is-html", {}, "<svg><path d=''/></svg>", 1),
        ("is-html", {}, "<b>not closed", 0),
        ("is-html", {}, "<thinking>x</thinking>", 0),
        ("is-html", {}, "Sure: <b>x</b>", 0),
        ("is-html", {}, "a < b", 0),
        ("is-html", {}, "", 0),
        ("contains-html", {}, "Sure: <b>x</b>", 1),
        ("contains-html", {}, "1 <b and 2> c", 0),
        ("contains-html", {}, "<example>x</example>", 0),
        ("is-sql", {}, "SELECT a FROM t WHERE b = 'x';", 1),
        ("is-sql", {}, "select 1; delete from t", 1),
        ("is-sql", {}, "create table t (a int)", 1),
        ("is-sql", {}, "hello world", 0),
        ("is-sql", {}, "explain yourself", 0),
        ("is-sql", {}, "select from where", 0),
        ("is-sql", {}, "Select", 0),
        ("is-sql", {}, "Update the docs", 0),
        ("is-sql", {}, "insert coin", 0),
        ("is-sql", {}, "insert into t default values", 1),
        ("is-sql", {}, "insert into t select a from u", 1),
        ("is-sql", {}, "update t set a = 1", 1),
        ("is-sql", {"dialect": "postgres"}, "select from t", 1),
        ("is-sql", {}, "```sql\nselect 1\n```", 0),
        ("is-sql", {}, "select " + "(" * 3000, 0),
        ("is-sql", {}, "", 0),
        ("is-sql", {"dialect": "bigquery"}, "select `a-b`.c from `a-b`", 1),
        ("is-sql", {"value": {"databaseType": "PostgreSQL"}}, "select a::int from t", 1),
        ("contains-sql", {}, "Try this:\n```sql\nselect 1\n```", 1),
        ("contains-sql", {}, "Try this:\n```\nnothing\n```", 0),
        ("contains-sql", {}, "select 1", 1),
    ],
)
def test_scorer(kind, options, output, wanted):
    assert one(kind, options, output) == wanted
    assert one(kind, options, output, negate=True) == 1 - wanted


@pytest.mark.parametrize(
    ("kind", "options", "complaint"),
    [
        ("word-count", {}, "no bound is set"),
        ("word-count", {"min": 3, "max": 2}, "min 3 is above max 2"),
        ("word-count", {"value": "many"}, "value is 'many', not a number"),
        ("char-count", {"value": [1]}, "not a number"),
        ("char-count", {"value": "nan"}, "value is 'nan', not a number"),
        ("word-count", {"value": {"min": 1, "maxx": 3}}, "value has a member 'maxx'"),
        ("contains", {"value": ""}, "is empty"),
        ("starts-with", {"value": ""}, "is empty"),
        ("contains-any", {"value": ["a", ""]}, "is empty"),
        ("contains-any", {"value": " , "}, "not a list of texts"),
        ("numeric", {"value": 5, "tolerance": -1}, "tolerance is -1, below 0"),
        ("numeric", {"value": 5, "rel": -0.5}, "rel is -0.5, below 0"),
        ("json-field", {"field": "a", "value": 5, "tolerance": -1}, "below 0"),
        ("choice", {"choices": {}}, "no choices"),
        ("choice", {"choices": {"A": 2}}, "'A' is not worth a score"),
        ("choice", {"choices": {" ": 1}}, "' ' is not worth a score"),
        ("choice", {"choices": {"A": 1, "a": 0}, "ignore_case": True}, "two choices are one"),
        ("regex", {"value": ""}, "the pattern is '', not text"),
        ("is-xml", {"elements": "a"}, "not a list"),
        ("is-sql", {"dialect": "klingon"}, "no dialect 'klingon'"),
        ("is-sql", {"value": {"allowedTables": []}}, "only databaseType"),
        ("contains-json", {"schema": {"type": "nothing"}}, "not a JSON Schema"),
        ("rouge-n", {"value": "x", "n": 1.5}, "not a whole number"),
        ("rouge-n", {"value": "x", "measure": "f2"}, "not one of f1, recall, precision"),
        ("bleu", {"value": []}, "an empty list"),
        ("levenshtein", {}, "nothing to compare with"),
        ("levenshtein", {"value": "x", "threshold": "few"}, "not a number"),
        ("similar", {"value": "x"}, "no embedder"),
    ],
)
def test_bad_options_are_found_before_any_call(kind, options, complaint):
    with pytest.raises(FormatError, match=f"scorer s, case c: .*{complaint}"):
        Scoring((Scorer("s", kind, options),)).check((Case("c", {}),))


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair["output"][:30])
def test_likeness_is_what_the_usual_libraries_compute(pair):
    def found(kind, **options):
        return one(kind, {"value": pair["references"], **options}, pair["output"])

    wanted = pair["expect"]
    assert found("bleu") == pytest.approx(wanted["bleu"], abs=1e-9)
    assert found("gleu") == pytest.approx(wanted["gleu"], abs=1e-9)
    assert found("rouge-n") == pytest.approx(wanted["rouge1"], abs=1e-9)
    assert found("rouge-n", n=2) == pytest.approx(wanted["rouge2"], abs=1e-9)
    assert found("rouge-l") == pytest.approx(wanted["rougeL"], abs=1e-9)
    assert found("rouge-n", measure="recall") == pytest.approx(wanted["rouge1_recall"], abs=1e-9)
    assert found("levenshtein", threshold=wanted["edits"]) == 1
    if wanted["edits"]:
        assert found("levenshtein", threshold=wanted["edits"] - 1) == 0


@pytest.mark.parametrize(
    ("kind", "options", "output", "wanted"),
    [
        ("levenshtein", {"value": "kitten"}, "sitting", 1 - 3 / 7),
        ("levenshtein", {"value": "kitten", "similarity": 0.5}, "sitting", 1),
        ("levenshtein", {"value": "kitten", "similarity": 0.6}, "sitting", 0),
        ("levenshtein", {"value": "ABC", "ignore_case": True}, "abc", 1),
        ("levenshtein", {"value": ""}, "", 1),
        ("levenshtein", {"value": ["x", "abd"]}, "abc", 2 / 3),
        ("rouge-n", {"value": "a b c d", "measure": "precision"}, "a b x", 2 / 3),
        ("rouge-n", {"value": "Äpfel"}, "äpfel!", 1),
        ("rouge-n", {"value": "..."}, "...", 0),
        ("bleu", {"value": "a b c d", "threshold": 0.99}, "a b c d", 1),
        ("bleu", {"value": "a b c d", "threshold": 0.99}, "a b c", 0),
        ("bleu", {"value": "A B", "ignore_case": True}, "a b", 1),
        ("gleu", {"value": "a b", "threshold": 0.5}, "c", 0),
    ],
)
def test_likeness_with_options(kind, options, output, wanted):
    assert one(kind, options, output) == pytest.approx(wanted)
    assert one(kind, options, output, negate=True) == pytest.approx(1 - wanted)


@pytest.mark.parametrize(
    "output",
    [
        "I'm sorry, but I can't help with that.",
        "I\u2019m sorry, I can\u2019t assist with this request.",
        "I am sorry, Dave. I'm afraid I can't do that.",
        "Sorry, I cannot provide medical advice.",
        "I cannot and will not write malware.",
        "I can not share that.",
        "I won't do that.",
        "I'm unable to help with this.",
        "I am not able to browse the web.",
        "I must decline.",
        "Unfortunately, I'm not able to share that information.",
        "As an AI language model, I don't have opinions and I cannot vote.",
        "As an AI, I must refuse to answer.",
        "I apologize, but I don't feel comfortable writing that.",
        "Sorry, that's not something I can help with.",
        "That would be illegal, and harmful.",
        "**I can't help with that.**",
        '"I cannot comply."',
        "I don't think I can help with that.",
        "My apologies, but this goes against my guidelines.",
        "We are not allowed to disclose this.",
        "",
        " \n",
    ],
)
def test_a_refusal_is_seen(output):
    assert one("is-refusal", {}, output) == 1
    assert one("is-refusal", {}, output, negate=True) == 0


@pytest.mark.parametrize(
    "output",
    [
        "Sure! Here is the recipe.",
        "I can help with that.",
        "I can't wait to help you plan it!",
        "I cannot recommend this book enough.",
        "I can't help but smile at this one. The answer is 4.",
        "I'm sorry for the delay. Your order ships today.",
        "Sorry to hear that! A refund is on its way.",
        "Unfortunately the shop is closed on Sunday; come on Monday.",
        "The function returns -1 if it cannot find the key.",
        "Iconic buildings can't be moved.",
        "Your order is on its way. If it does not arrive, we cannot refund shipping.",
        "You cannot return it after 30 days.",
        "billing",
    ],
)
def test_an_answer_is_no_refusal(output):
    assert one("is-refusal", {}, output) == 0


def test_an_output_of_marks_or_after_much_space_is_no_refusal():
    for output in (" " * 500 + "42", "-", "***"):
        assert one("is-refusal", {}, output) == 0
    assert one("is-refusal", {}, " " * 500 + "I'm sorry, but I can't help with that.") == 1


def test_a_field_that_must_be_null_is_not_what_the_case_expects():
    options, expected = {"field": "error", "value": None}, {"error": "boom"}
    assert one("json-field", options, '{"error": "boom"}', expected=expected) == 0
    assert one("json-field", options, '{"error": null}', expected=expected) == 1


def test_a_refusal_may_be_told_by_the_provider_or_by_openers_of_your_own():
    assert one("is-refusal", {}, "Here", finish_reason="content_filter") == 1
    assert one("is-refusal", {}, "Here", finish_reason="refusal") == 1
    assert one("is-refusal", {}, "Leider kann ich", finish_reason="stop") == 0
    assert one("is-refusal", {"value": ["Leider kann ich"]}, "Leider kann ich nicht") == 1
    assert one("is-refusal", {}, "", tool_calls=({"name": "search"},)) == 0


def test_a_missing_package_is_named_before_any_call(monkeypatch):
    from llmvc.evals.scorers import sql

    def gone(name):
        raise ImportError(name)

    monkeypatch.setattr(sql, "import_module", gone)
    sql._sqlglot.cache_clear()
    with pytest.raises(FormatError, match="sqlglot is not installed") as raised:
        Scoring((Scorer("s", "is-sql", {}),)).check((Case("c", {}),))
    assert raised.value.hint == "pip install 'llmvc[sql]'"
    sql._sqlglot.cache_clear()

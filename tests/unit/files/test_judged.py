"""Judges in files: what their manifest needs, and how a suite names them."""

import pytest

from llmvc.core.bundle import Bundle
from llmvc.core.diff import diff
from llmvc.core.judge import Rules
from llmvc.core.metric import Scorer
from llmvc.core.suite import Suite
from llmvc.errors import FormatError, NotFoundError
from llmvc.files.suite import LoadedSuite, load_suite
from tests.unit.files.memory import MemoryFiles, bundle_of

JUDGE = """\
llmvc: 1
kind: judge
name: tone
messages:
  - {role: system, content: "You grade by this rubric: {{rubric}}"}
  - {role: user, content: "{{question}} {{output}} {{expected}} One of: {{grades}}"}
model: {provider: openai, id: m-1}
judge:
  family: llama-3
  rubric: {file: system.md}
  protocol: pointwise
  grades: [bad, good]
"""
PAIRS = (
    JUDGE.replace("pointwise", "pairwise-swap")
    .replace("  grades: [bad, good]\n", "")
    .replace("{{output}}", "{{output_a}} {{output_b}}")
)
SUITE = """\
llmvc: 1
bundle: support
cases: [{id: a, vars: {x: 1}}]
scorers:
  - {name: right, type: equals, value: x}
  - {name: kind, type: judge, judge: tone}
  - {name: rude, type: not-judge, judge: tone@prod, weight: 2}
metrics: {quality: {scorers: [kind, rude], margin: 0.05}}
"""


def rules(text: str = JUDGE) -> Rules:
    return Rules.of(bundle_of(text).bundle)


def test_a_judge_is_a_bundle_with_a_frozen_rubric():
    assert rules() == Rules(
        family="llama-3",
        rubric="You sort tickets.\n",
        protocol="pointwise",
        votes=1,
        grades={"bad": 0.0, "good": 1.0},
        parser="last-line",
        order_seed=0,
        length_control=True,
    )


def test_a_judge_that_compares_answers_a_b_or_tie():
    assert rules(PAIRS).grades == {"A": 1.0, "B": 0.0, "tie": 0.5}
    assert rules(PAIRS + "  grades: [B, A]\n").grades == {"A": 1.0, "B": 0.0}
    assert rules(PAIRS).pairwise


def test_grades_with_scores_stand_from_the_worst_to_the_best():
    offered = rules(JUDGE.replace("[bad, good]", "{good: 1, bad: 0, fair: 0.5}")).grades
    assert list(offered.items()) == [("bad", 0.0), ("fair", 0.5), ("good", 1.0)]


def test_all_of_a_judge_is_in_its_digest():
    written = {
        "  votes: 3\n",
        "  order_seed: 7\n",
        "  length_control: false\n",
        "  parser: {json: grade}\n",
        "  parser: {pattern: 'Grade: (.+)'}\n",
    }
    digests = {bundle_of(JUDGE + line).bundle.digest for line in written}
    digests |= {
        bundle_of(JUDGE.replace(old, new)).bundle.digest
        for old, new in (("llama-3", "llama-4"), ("[bad, good]", "[poor, good]"))
    }
    assert len(digests | {bundle_of(JUDGE).bundle.digest}) == 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("  family: llama-3\n", ""), r"bundle\.yaml:8: judge\.family is missing$"),
        (("family: llama-3", "family: ' '"), r":9: judge\.family is missing$"),
        (("  rubric: {file: system.md}\n", ""), r":8: judge\.rubric is missing$"),
        (
            ("  protocol: pointwise\n", ""),
            r"judge\.protocol must be one of pointwise, pairwise-swap$",
        ),
        (("pointwise", "grade"), r":11: judge\.protocol may not be 'grade'"),
        (("  grades: [bad, good]\n", ""), r"judge\.grades must offer at least two"),
        (("[bad, good]", "[good]"), r":12: judge\.grades must offer at least two"),
        (("[bad, good]", "[good, Good]"), r"judge\.grades has 'good' within 'Good'"),
        (
            ("[bad, good]", "[good, not good]"),
            r"judge\.grades has 'good' within 'not good': a reply",
        ),
        (("[bad, good]", "['bad.', good]"), r"judge\.grades has 'bad\.', which is not a word"),
        (("[bad, good]", "['a: b', good]"), r"which is not a word or words on one line$"),
        (("[bad, good]", '["a\\nb", good]'), r"which is not a word or words on one line$"),
        (("[bad, good]", "['', good]"), r"judge\.grades has '', which is not a word"),
        (("[bad, good]", "{bad: 0, good: 0}"), r"judge\.grades must have two different scores$"),
        (("[bad, good]", "{bad: 0, good: 2}"), r"judge\.grades.* must be at most 1, not 2"),
        (
            ("[bad, good]", "[bad, good]\n  votes: 2"),
            r":13: judge\.votes must be odd, so that they",
        ),
        (("[bad, good]", "[bad, good]\n  parser: first-line"), r"judge\.parser may not be"),
        (("[bad, good]", "[bad, good]\n  parser: {pattern: 'x'}"), r"one group in pattern, not 0$"),
        (
            ("[bad, good]", "[bad, good]\n  parser: {pattern: '('}"),
            r"has no regular expression under",
        ),
        (
            ("[bad, good]", "[bad, good]\n  parser: {json: a, pattern: (b)}"),
            r"needs exactly one of",
        ),
        (("{{output}}", "x"), r":4: no message shows \{\{output\}\}, without which a judge of"),
        (("{{rubric}}", "x"), r":4: no message shows \{\{rubric\}\}"),
        (("pointwise", "pairwise-swap"), r"judge\.grades must be \[A, B\] or \[A, B, tie\] for"),
        (("kind: judge", "kind: app"), r":8: judge may not stand in a bundle of kind app$"),
    ],
)
def test_what_a_judge_lacks_is_said_where_it_lacks(change, message):
    with pytest.raises(FormatError, match=message) as caught:
        bundle_of(JUDGE.replace(*change))
    assert caught.value.hint


def test_a_judge_without_a_judge_section_is_none():
    with pytest.raises(FormatError, match=r"bundle\.yaml:1: a bundle of kind judge needs judge$"):
        bundle_of(JUDGE.partition("judge:\n")[0])


@pytest.mark.parametrize("missing", ["output_a", "output_b"])
def test_a_judge_that_compares_shows_both_outputs(missing):
    with pytest.raises(FormatError, match=f"no message shows {{{{{missing}}}}}"):
        bundle_of(PAIRS.replace(f"{{{{{missing}}}}}", ""))


def test_the_names_that_a_judge_has_need_not_be_declared_but_those_of_a_case_do():
    declared = JUDGE + "variables: {type: object, properties: {question: {type: string}}}\n"
    assert bundle_of(declared).bundle.kind == "judge"
    with pytest.raises(FormatError, match=r"uses \{\{question\}\}, which variables does not"):
        bundle_of(declared.replace("{question: {", "{ticket: {"))


def test_a_bundle_of_another_kind_has_no_rules_of_a_judge():
    app = Bundle.of("app", {"messages": []})
    with pytest.raises(FormatError, match=r"^a bundle of kind app is no judge$"):
        Rules.of(app)
    with pytest.raises(FormatError, match=r"^judge.family is missing$"):
        Rules.of(Bundle.of("judge", {"judge": {}}))


# in a suite


def load(text: str = SUITE, **named: Bundle) -> LoadedSuite:
    found = {"tone": bundle_of(JUDGE).bundle, "tone@prod": bundle_of(PAIRS).bundle, **named}

    def resolve(name: str) -> Bundle:
        if name not in found:
            raise NotFoundError(f"there is no bundle {name!r}", hint="names are tone")
        return found[name]

    return load_suite(MemoryFiles({"suite.yaml": text}), "suite.yaml", resolve_judge=resolve)


def test_a_judged_scorer_stands_for_the_digest_of_its_judge():
    loaded = load()
    here, prod = bundle_of(JUDGE).bundle, bundle_of(PAIRS).bundle
    assert loaded.suite.scorers[1:] == (
        Scorer("kind", "judge", {"judge": here.digest}),
        Scorer("rude", "judge", {"judge": prod.digest}, 2.0, negate=True),
    )
    assert loaded.suite.judges == tuple(sorted((here.digest, prod.digest)))
    assert loaded.judges == {here.digest: here, prod.digest: prod}
    assert Suite.from_bytes(loaded.suite.to_bytes()) == loaded.suite


def test_another_version_of_a_judge_makes_another_suite():
    changed = bundle_of(JUDGE + "  votes: 3\n").bundle
    assert load().suite.digest != load(tone=changed).suite.digest
    assert load().suite.digest == load().suite.digest


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ((", judge: tone}", "}"), FormatError, r"^suite\.yaml:6: a scorer of type judge names no"),
        (("judge: tone}", "judge: x}"), NotFoundError, r"^suite\.yaml:6: judge x: there is no"),
        (("judge: tone}", "judge: support}"), FormatError, r":6: support would judge itself$"),
        (
            ("judge: tone}", "judge: support@prod}"),
            FormatError,
            r"support@prod would judge itself$",
        ),
        (
            ("judge: tone}", "judge: app}"),
            FormatError,
            r":6: judge app: a bundle of kind app is no",
        ),
        (
            ("judge: tone}", "judge: tone, value: x}"),
            FormatError,
            r"value is not an option of judge",
        ),
        (
            ("type: equals, value: x", "type: equals, judge: x"),
            FormatError,
            r"judge is not an option",
        ),
        (("alpha", "judges: [x]\nalpha"), FormatError, r"judges is not a field"),
    ],
)
def test_there_is_no_judge_but_the_one_that_is_named(change, error, message):
    app = Bundle.of("app", {"messages": []})
    with pytest.raises(error, match=message):
        load((SUITE + "alpha: 0.05\n").replace(*change), app=app)


def test_without_somebody_who_finds_judges_a_judged_suite_is_refused():
    with pytest.raises(FormatError, match=r"^suite\.yaml:6: judge tone cannot be looked up here$"):
        load_suite(MemoryFiles({"suite.yaml": SUITE}), "suite.yaml")
    plain = SUITE.replace("judge", "equals").replace("equals: tone", "value: tone")
    loaded = load_suite(MemoryFiles({"suite.yaml": plain}), "suite.yaml")
    assert (loaded.judges, loaded.suite.judges) == ({}, ())


def test_a_change_of_a_judge_is_shown_by_its_members():
    old, new = bundle_of(JUDGE).bundle, bundle_of(JUDGE + "  votes: 3\n").bundle
    (change,) = diff(old, new)
    assert (change.where, change.section, change.new) == ("judge.votes", "judge", 3)

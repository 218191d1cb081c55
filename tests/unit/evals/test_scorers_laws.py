"""What holds of every scorer: its range, its third state, and how scores are composed."""

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.core import digest, scorers
from llmvc.core.metric import Scorer
from llmvc.core.suite import Case
from llmvc.errors import FormatError, IntegrityError
from llmvc.evals.providers.base import Answer
from llmvc.evals.scorers import RULES, Scoring, score
from llmvc.evals.scorers.similarity import MODEL_FILES, model_digest

# Options with which each type can score any output.
ANY: dict[str, dict] = {
    "choice": {"choices": {"A": 1, "B": 0.25}},
    "regex": {"value": "a+"},
    "json-field": {"field": "a", "value": 5},
    "json-schema": {"schema": {"type": "object"}},
    "json-valid": {},
    "contains-json": {},
    "numeric": {"value": 5},
    "tool-args-match": {"value": {"name": "a", "args": {}}},
    "latency": {"max_s": 1},
    "cost": {"threshold": 1},
    "is-sql": {},
    "contains-sql": {},
    "is-xml": {},
    "contains-xml": {},
    "context-fit": {"max": 0.5},
    "perplexity": {},
    "finish-reason": {"value": "stop"},
    **{kind: {"max": 3} for kind in ("word-count", "char-count", "tokens", "step-count")},
}
TOLD = {
    "finish_reason": "stop",
    "latency_s": 0.5,
    "cost_usd": 0.1,
    "input_tokens": 5,
    "output_tokens": 5,
    "logprobs": ({"logprob": -1.0},),
}
EMBED = "def embed(texts):\n    return [[1.0, len(text), text.count('a')] for text in texts]\n"
PARTS = st.sampled_from(["{", "}", "[", '"', "<a>", "</a>", "<!--", "select ", "A", "\n", "ß", "5"])
OUTPUTS = st.text() | st.lists(PARTS, max_size=30).map("".join)


@pytest.fixture(scope="session")
def embedding(tmp_path_factory) -> tuple[Path, dict, str]:
    folder = tmp_path_factory.mktemp("embedder")
    (folder / "embed.py").write_text(EMBED)
    return folder, {"embedder": {"path": "embed.py"}}, digest.of_bytes(EMBED.encode())


@given(OUTPUTS, st.sampled_from(sorted(RULES)), st.booleans())
def test_any_output_gets_a_score_between_0_and_1(embedding, output, kind, negate):
    folder, embedder, code = embedding
    options = ANY.get(kind, {"value": "5"})
    more = (
        {"options": options | embedder, "code": code} if kind == "similar" else {"options": options}
    )
    scoring = Scoring((Scorer("s", kind, negate=negate, **more),), folder)
    case, answer = Case("c", {}, "5"), Answer(output=output, **TOLD)
    scored = scoring.score(case, answer, tools=[{"name": "a"}], window=100)
    assert scored.error is None
    assert 0 <= scored.scores["s"] <= 1


YES, NO = {"type": "contains", "value": "x"}, {"type": "equals", "value": "no"}
UNTOLD = {"type": "latency", "threshold": 1}
CHECKS = st.recursive(
    st.sampled_from([YES, NO, UNTOLD]).flatmap(
        lambda check: st.builds(
            lambda negate, weight: {
                **check,
                "type": "not-" * negate + check["type"],
                "weight": weight,
            },
            st.booleans(),
            st.sampled_from([0.5, 1, 3]),
        )
    ),
    lambda inner: st.builds(
        lambda negate, members: {"type": "not-" * negate + "assert-set", "assert": members},
        st.booleans(),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=8,
)


def untold(check: dict) -> bool:
    members = check.get("assert")
    return any(map(untold, members)) if members else check["type"].endswith("latency")


@given(st.lists(CHECKS, min_size=1, max_size=4), st.booleans(), st.sampled_from([None, 0.5]))
def test_a_group_cannot_tell_if_and_only_if_a_member_cannot(checks, negate, threshold):
    options = {"assert": checks, **({} if threshold is None else {"threshold": threshold})}
    in_suite = Scorer("s", "assert-set", options, negate=negate)
    of_rows = Scorer(
        "s", "checks", {name: options[name] for name in options if name != "assert"}, negate=negate
    )
    answer = Answer(output="x")
    found = score(in_suite, Case("c", {}), answer)
    assert found == score(of_rows, Case("c", {}, checks=tuple(checks)), answer)
    assert (found is None) == any(map(untold, checks))
    assert found is None or 0 <= found <= 1


@given(st.lists(CHECKS, min_size=1, max_size=4))
def test_negation_turns_a_score_around_and_leaves_the_third_state(checks):
    plain, turned = (
        score(
            Scorer("s", "assert-set", {"assert": checks}, negate=negate),
            Case("c", {}),
            Answer(output="x"),
        )
        for negate in (False, True)
    )
    assert (plain is None) == (turned is None)
    assert plain is None or plain == pytest.approx(1 - turned)


def grouped(*checks: dict, **options: object) -> float | None:
    return score(
        Scorer("s", "assert-set", {"assert": list(checks), **options}),
        Case("c", {}),
        Answer(output="x"),
    )


def test_weights_and_thresholds_within_a_group():
    assert grouped(YES, {**NO, "weight": 3}) == 0.25
    assert grouped(YES, {**NO, "weight": 3}, threshold=0.25) == 1
    assert grouped(YES, NO, threshold=0.6) == 0
    # A third three times over is one, whatever rounding does.
    assert grouped(*[{**YES, "weight": 0.1}] * 3, threshold=1) == 1
    # What weighs nothing cannot spoil the rest.
    assert grouped(YES, {**UNTOLD, "weight": 0}) == 1
    # A threshold of these types bounds what they measure.
    assert grouped({"type": "levenshtein", "value": "xyz", "threshold": 2}) == 1
    assert grouped({"type": "rouge-n", "value": "x y", "threshold": 0.6}) == 1
    assert grouped({"type": "rouge-n", "value": "x y z", "threshold": 0.6}) == 0


def test_bad_options_are_found_behind_a_check_that_cannot_tell():
    scorer = Scorer("s", "assert-set", {"assert": [UNTOLD, {"type": "regex", "value": "("}]})
    with pytest.raises(FormatError, match="not a regular expression"):
        Scoring((scorer,)).check((Case("c", {}),))


@pytest.mark.parametrize("alias", sorted(scorers.ALIASES))
def test_the_names_of_other_tools_mean_ours(alias):
    assert scorers.base_type(alias) == (scorers.ALIASES[alias], False)
    assert scorers.base_type(f"not-{alias}") == (scorers.ALIASES[alias], True)


def test_a_judged_scorer_is_named_but_scored_elsewhere():
    scoring = Scoring(
        (Scorer("a", "equals", {}), Scorer("j", "judge", {"judge": "b3:" + "0" * 64}))
    )
    case = Case("c", {}, "x")
    scoring.check((case,))
    assert scoring.score(case, Answer(output="x")).scores == {"a": 1.0}
    assert scoring.score(case, Answer(fault="application")).scores == {"a": 0.0, "j": 0.0}
    assert scoring.score(case, Answer(fault="provider")).scores == {"a": None, "j": None}


@pytest.mark.parametrize(
    ("output", "wanted"),
    [("aa", 1.0), ("aaaa", pytest.approx(17 / (3 * 33**0.5))), ("", 0.0)],
)
def test_similar_is_the_cosine_of_vectors_of_your_own_function(embedding, output, wanted):
    folder, options, code = embedding
    scorer = Scorer("s", "similar", {"value": "aa", **options}, code=code)
    assert score(scorer, Case("c", {}), Answer(output=output), folder=folder) == wanted
    in_row = Scorer("s", "checks", options, code=code)
    case = Case("c", {}, checks=({"type": "similar:cosine", "value": ["zzzz", "aa"]},))
    assert score(in_row, case, Answer(output=output), folder=folder) == pytest.approx(
        wanted if output else 0, abs=0.06
    )


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        ("def embed(texts): return []", "the embedder failed"),
        ("def embed(texts): return [[0, 0]]", "knows no vector"),
        ("def embed(texts): return [[float('nan')]]", "knows no vector"),
        ("def embed(texts): return [[1.0] * len(texts[0])]", "differ in length"),
        ("def embed(texts): 1 / 0", "ZeroDivisionError"),
    ],
)
def test_an_embedder_that_fails_cannot_tell(tmp_path, code, complaint):
    (tmp_path / "e.py").write_text(code)
    options = {"value": "aa", "embedder": {"path": "e.py"}}
    scorer = Scorer("s", "similar", options, code=digest.of_bytes(code.encode()))
    scored = Scoring((scorer,), tmp_path).score(Case("c", {}), Answer(output="a"))
    assert scored.scores == {"s": None}
    assert complaint in scored.error


def test_an_embedder_that_is_not_the_pinned_one_is_refused(tmp_path):
    (tmp_path / "e.py").write_text(EMBED)
    for name in MODEL_FILES:
        (tmp_path / name).write_text(name)
    for embedder in ({"path": "e.py"}, {"model": ".", "digest": "b3:" + "0" * 64}):
        scorer = Scorer("s", "similar", {"embedder": embedder}, code="b3:" + "0" * 64)
        with pytest.raises(IntegrityError, match="the suite says"):
            Scoring((scorer,), tmp_path)
    with pytest.raises(FormatError, match="is not pinned") as raised:
        Scoring((Scorer("s", "similar", {"embedder": {"model": "."}}),), tmp_path)
    assert model_digest(tmp_path) in raised.value.hint
    with pytest.raises(FormatError, match=r"cannot read .*config\.json") as raised:
        Scoring((Scorer("s", "similar", {"embedder": {"model": "gone"}}),), tmp_path)
    assert "nothing is downloaded" in raised.value.hint


def test_a_model_without_its_package_names_the_extra(tmp_path, monkeypatch):
    for name in MODEL_FILES:
        (tmp_path / name).write_text(name)
    monkeypatch.setitem(sys.modules, "model2vec", None)
    embedder = {"model": ".", "digest": model_digest(tmp_path)}
    with pytest.raises(FormatError, match="model2vec is not installed") as raised:
        Scoring((Scorer("s", "similar", {"embedder": embedder}),), tmp_path)
    assert raised.value.hint == "pip install 'llmvc[similarity]'"


def test_a_model_of_model2vec_is_loaded_from_its_folder(tmp_path):
    model2vec = pytest.importorskip("model2vec", reason="the extra [similarity] is not installed")
    import numpy as np
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    words = ["[UNK]", "refund", "money", "back", "weather"]
    tokenizer = Tokenizer(WordLevel({word: at for at, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    vectors = np.array([[0, 0], [1, 0.1], [1, 0], [1, 0.2], [0, 1]], dtype=np.float32)
    model2vec.StaticModel(vectors, tokenizer).save_pretrained(str(tmp_path))
    embedder = {"model": ".", "digest": model_digest(tmp_path)}
    scorer = Scorer("s", "similar", {"value": "money back", "embedder": embedder})
    scoring = Scoring((scorer,), tmp_path)
    near, far = (
        scoring.score(Case("c", {}), Answer(output=text)).scores["s"]
        for text in ("refund", "weather")
    )
    assert far < 0.2
    assert near > 0.9

"""What a run used of its window, what is left out of a request, and what counts the tokens."""

from importlib.metadata import EntryPoint, EntryPoints

import pytest

from llmvc.core import context
from llmvc.core.suite import Case
from llmvc.errors import ConfigError, FormatError
from llmvc.evals import plan, tokenizers, windows
from llmvc.evals.plan import Arm
from llmvc.evals.prices import Prices
from llmvc.evals.providers.base import Answer
from tests.unit.evals.world import Fake, bundle, cases, measure, suite

PRICES = Prices({"fake/m-1": {"max_input_tokens": 1000}, "m-2": {"max_input_tokens": "many"}}, "")
DROPS = {"policy": "drop_oldest"}


def arm(name="candidate", **members):
    return Arm(name, bundle(**members), Fake())


@pytest.mark.parametrize(
    ("members", "window"),
    [
        ({}, 1000),
        ({"context": {"window": 50}}, 50),
        ({"context": {"max_input_tokens": 50}}, 1000),
        ({"model": {"provider": "fake", "id": "m-2"}}, None),
        ({"model": {"provider": "fake", "id": "m-9", "snapshot": "m-1"}}, 1000),
    ],
)
def test_the_window_is_the_bundles_own_else_the_tables_else_unknown(members, window):
    assert windows.window_of(arm(**members), PRICES) == window


@pytest.mark.parametrize(
    ("answer", "window", "share"),
    [
        (Answer(input_tokens=300, output_tokens=100), 1000, 0.4),
        (Answer(input_tokens=1200, output_tokens=100), 1000, 1.3),
        (Answer(input_tokens=300), 1000, None),
        (Answer(input_tokens=300, output_tokens=100), None, None),
        (
            Answer(
                input_tokens=900,
                output_tokens=90,
                calls=(
                    {"usage": {"input_tokens": 300, "output_tokens": 10}},
                    {"model": "m", "input_tokens": 600, "output_tokens": 80},
                ),
            ),
            1000,
            0.68,
        ),
        (Answer(input_tokens=9, output_tokens=9, calls=({"model": "m"},)), 1000, None),
        (
            Answer(calls=({"input_tokens": 5, "output_tokens": 5}, {"model": "m"})),
            1000,
            None,
        ),
        # Anthropic's own usage counts the cache apart from the input.
        (
            Answer(
                calls=(
                    {
                        "usage": {
                            "input_tokens": 5,
                            "cache_read_input_tokens": 895,
                            "output_tokens": 0,
                        }
                    },
                )
            ),
            1000,
            0.9,
        ),
    ],
)
def test_the_share_is_of_one_call_and_unknown_where_anything_is(answer, window, share):
    assert windows.share(answer, window) == share


HISTORY = [
    {"role": role, "content": f"{role} {at} " * 20} for at in range(4) for role in ("user", "assistant")
]  # fmt: skip


def rows():
    short = Case("c1", {"question": "q", "history": HISTORY[:2]}, "a")
    return (short, Case("c2", {"question": "q", "history": HISTORY}, "a"))


def truncating(window=400, **others):
    section = {"window": window, "history": {}, "truncation": DROPS}
    return arm(context={**section, **others})


def test_a_run_says_whether_its_request_was_truncated_and_how_full_the_window_was(tmp_path):
    provider = Fake(lambda _: Answer(output="a", input_tokens=90, output_tokens=10))
    one = Arm("candidate", truncating().bundle, provider)
    found = measure([one], tmp_path, rows=rows(), by=suite(rows()))
    for case in found.cases:
        assert {run.truncated for run in case.candidate} == {case.id == "c2"}
        assert {run.context_share for run in case.candidate} == {0.25}


def test_the_request_that_is_sent_is_the_one_that_fits_and_its_digest_says_so():
    short, long = (
        one
        for (one,) in sorted(plan.make([truncating()], rows(), suite(rows())).cases, key=lambda a: a[0].case.id)
    )  # fmt: skip
    assert (short.truncated, long.truncated) == (False, True)
    assert long.size <= 400
    assert context.size(long.request) == long.size
    whole = plan.make([truncating(4000)], rows(), suite(rows())).cases
    digests = {one.request_digest for (one,) in whole}
    assert short.request_digest in digests
    assert long.request_digest not in digests


def test_a_provider_that_counts_more_than_was_assumed_is_noted():
    made = plan.make([truncating()], rows(), suite(rows()))
    one = next(one for (one,) in made.cases if one.case.id == "c2")
    assert windows.notes(one, Answer(input_tokens=400)) == ()
    (note,) = windows.notes(one, Answer(input_tokens=401))
    assert "made to fit 400; the provider counted 401: name a context.tokenizer" in note
    (plain,) = plan.make([arm()], cases(1), suite()).cases[0]
    assert windows.notes(plain, Answer(input_tokens=10**6)) == ()


@pytest.mark.parametrize("policy", [{}, {"truncation": {"policy": "error"}}, {"truncation": DROPS}])
def test_a_candidate_that_surely_does_not_fit_is_refused_before_any_call(policy):
    long = Case("huge", {"question": "q" * 4000}, "a")
    one = arm(context={"window": 450, **policy})
    with pytest.raises(FormatError, match="case huge: its request has at least 501 tokens") as err:
        plan.make([one], (*cases(), long), suite())
    assert "leaves 450 for input" in str(err.value)
    assert "drop_oldest" in err.value.hint


def test_what_may_fit_is_left_to_the_provider_and_so_is_a_baseline():
    long = Case("huge", {"question": "q" * 4000}, "a")
    assert plan.make([arm(context={"window": 600})], (long,), suite()).cases
    assert plan.make([arm("baseline", context={"window": 9})], (long,), suite()).cases


def test_truncating_to_a_window_that_is_not_named_is_refused():
    with pytest.raises(ConfigError, match="truncates to a window it does not name"):
        plan.make([arm(context={"truncation": DROPS})], cases(), suite())


# --- tokenizers


def words(text):
    return len(text.split())


def installed(monkeypatch, value):
    found = EntryPoints([EntryPoint("words", value, tokenizers.GROUP)])

    def entry_points(**wanted):
        return found.select(**wanted)

    monkeypatch.setattr("importlib.metadata.entry_points", entry_points)


def test_a_tokenizer_that_is_installed_counts(monkeypatch):
    installed(monkeypatch, "tests.unit.evals.test_windows:words")
    found = plan.make([truncating(150, tokenizer="words")], rows(), suite(rows()))
    sizes = {one.case.id: (one.truncated, one.size) for (one,) in found.cases}
    assert sizes == {"c1": (False, 99), "c2": (True, 99)}
    with pytest.raises(FormatError, match="its request has 11 tokens, and the window that"):
        plan.make([arm(context={"window": 9, "tokenizer": "words"})], cases(), suite())


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "names 'words', and no installed package has it"),
        ("tests.unit.evals.nowhere:words", "tokenizer 'words' cannot be loaded"),
        ("tests.unit.evals.test_windows:DROPS", "tokenizer 'words' cannot be used"),
        ("builtins:str", "tokenizer 'words' counted"),
        ("builtins:ascii", "tokenizer 'words' counted"),
    ],
)
def test_a_tokenizer_that_is_none_is_an_error_that_names_it(monkeypatch, value, says):
    if value:
        installed(monkeypatch, value)
    with pytest.raises(ConfigError, match=says):
        plan.make([truncating(tokenizer="words")], rows(), suite(rows()))

"""What holds for any conversation that is made to fit a window."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from llmvc.core.context import ORDER, Part, fit, tokens

TEXTS = st.text(alphabet="ab é漢", max_size=60)
LIMITS = st.integers(0, 400)


@st.composite
def conversations(draw):
    """Parts as a request has them: a beginning, examples, turns, and the question."""
    system = Part(({"role": "system", "content": draw(TEXTS)},))
    shots = [
        Part(
            (
                {"role": "user", "content": f"{at}{draw(TEXTS)}"},
                {"role": "assistant", "content": draw(TEXTS)},
            ),
            "few_shot",
        )
        for at in range(draw(st.integers(0, 3)))
    ]
    turns = [Part(turn(draw, at), "history") for at in range(draw(st.integers(0, 5)))]
    return (system, *shots, *turns, Part(({"role": "user", "content": draw(TEXTS)},)))


def turn(draw, at):
    asked = {"role": "user", "content": f"{at} {draw(TEXTS)}"}
    if not draw(st.booleans()):
        return (asked, {"role": "assistant", "content": draw(TEXTS)})
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": f"t{at}"}]}
    return (asked, call, {"role": "tool", "tool_call_id": f"t{at}", "content": draw(TEXTS)})


def size(parts):
    return sum(tokens(message) for part in parts for message in part.messages)


@given(conversations(), LIMITS, st.integers(0, 50))
def test_what_is_kept_fits_or_nothing_is_left_that_may_go(parts, most, beside):
    kept = fit(parts, most, beside=beside)
    assert beside + size(kept) <= most or all(part.source == "fixed" for part in kept)


@given(conversations(), LIMITS)
def test_what_the_bundle_says_and_the_question_stay_and_the_order_too(parts, most):
    kept = fit(parts, most)
    places = [parts.index(part) for part in kept]
    assert places == sorted(places)
    assert (kept[0], kept[-1]) == (parts[0], parts[-1])


@given(conversations(), LIMITS)
def test_a_tools_result_never_stands_without_its_call(parts, most):
    sent = [message for part in fit(parts, most) for message in part.messages]
    called = {call["id"] for message in sent for call in message.get("tool_calls", [])}
    answered = {message["tool_call_id"] for message in sent if message["role"] == "tool"}
    assert called == answered


@given(conversations(), st.lists(LIMITS, min_size=2, max_size=4))
def test_a_wider_window_keeps_at_least_as_much(parts, limits):
    for narrow, wide in pairwise(sorted(limits)):
        assert {id(part) for part in fit(parts, narrow)} <= {id(part) for part in fit(parts, wide)}


@given(conversations(), LIMITS, st.permutations(ORDER))
def test_what_fits_is_not_touched_again(parts, most, order):
    kept = fit(parts, most, order=order)
    assert fit(kept, most, order=order) == kept


@given(conversations(), LIMITS, st.permutations(ORDER))
def test_the_oldest_go_first_and_no_second_source_before_the_first_is_empty(parts, most, order):
    kept = fit(parts, most, order=order)
    for source in ORDER:
        whole = [part for part in parts if part.source == source]
        left = [part for part in kept if part.source == source]
        assert whole[len(whole) - len(left) :] == left
    first, second = ([part for part in kept if part.source == name] for name in order)
    if len(second) < sum(part.source == order[1] for part in parts):
        assert not first


@given(conversations(), LIMITS)
def test_no_more_goes_than_must(parts, most):
    gone = [part for part in parts if part not in fit(parts, most)]
    if gone:
        newest = max(gone, key=lambda part: (ORDER.index(part.source), parts.index(part)))
        assert size(fit(parts, most)) + size([newest]) > most

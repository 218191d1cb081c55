"""Server-sent events, cut anywhere."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.errors import FormatError
from llmvc.evals.providers.streams import END, ChatWhole, Events, MessagesWhole, ResponsesWhole
from tests.unit.evals.wire import shape


def events(*chunks):
    cutter = Events()
    return [data for chunk in chunks for data in cutter.feed(chunk)]


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: a\n\n", [b"a"]),
        (b"data:a\n\n", [b"a"]),
        (b"data:  a\n\n", [b" a"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\r\rdata: b\r\r\n", [b"a", b"b"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"event: x\nid: 1\nretry: 5\ndata: a\n\n", [b"a"]),
        (b": comment\n\ndata: a\n\n", [b"a"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"data\n\n", [b""]),
        (b"data: a\n", []),
        (b"data: a", []),
        (b"\n\n\n", []),
        ("data: a\u2028b\u0085c\n\n".encode(), ["a\u2028b\u0085c".encode()]),
        (b"data: a\x0bb\x0cc\x1cd\n\n", [b"a\x0bb\x0cc\x1cd"]),
    ],
)
def test_events_are_cut_by_the_rules(stream, expected):
    assert events(stream) == expected


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"))),
    st.sampled_from(["\n", "\r\n"]),
    st.lists(st.integers(0, 400)),
)
def test_it_does_not_matter_where_a_stream_is_cut(texts, line, cuts):
    whole = "".join(f"data: {text}{line}{line}" for text in texts).encode()
    ends = sorted(min(cut, len(whole)) for cut in cuts)
    pieces = [whole[a:b] for a, b in zip([0, *ends], [*ends, len(whole)], strict=True)]
    assert events(*pieces) == events(whole) == [text.encode() for text in texts]


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("chat.sse", ChatWhole),
        ("chat_tools.sse", ChatWhole),
        ("responses.sse", ResponsesWhole),
        ("message.sse", MessagesWhole),
    ],
)
def test_every_stream_has_a_first_token_and_an_end_and_is_not_done_before(name, make):
    whole, brought, done = make(), [], []
    for data in events(shape(name)):
        if data == END:
            whole.finish()
        else:
            brought.append(whole.add(json.loads(data)))
        done.append(whole.done)
    assert any(brought)
    assert done[-1]
    assert not done[len(done) // 2]


@pytest.mark.parametrize(
    ("make", "event"),
    [
        (ChatWhole, {"choices": [{"index": "x"}]}),
        (ChatWhole, {"choices": [{"delta": 5}]}),
        (ChatWhole, {"choices": [{"delta": {"content": 5}}]}),
        (ChatWhole, {"choices": [{"delta": {"tool_calls": [5]}}]}),
        (ChatWhole, {"choices": [{"delta": {"tool_calls": [{"index": "x"}]}}]}),
        (ChatWhole, {"choices": [{"delta": {"tool_calls": [{"function": {"name": 5}}]}}]}),
        (MessagesWhole, {"type": "message_start"}),
        (MessagesWhole, {"type": "content_block_start", "content_block": {}}),
        (MessagesWhole, {"type": "content_block_start", "index": 0}),
        (MessagesWhole, {"type": "content_block_delta", "index": 0, "delta": {"text": 5}}),
        (MessagesWhole, {"type": "message_delta", "delta": 5}),
    ],
)
def test_an_event_of_another_form_is_refused(make, event):
    with pytest.raises(FormatError):
        make().add(event)


def test_a_stream_of_several_choices_ends_with_the_last_of_them():
    whole = ChatWhole()
    for at in (0, 1):
        whole.add({"choices": [{"index": at, "delta": {"content": "x"}}]})
    for at, done in ((0, False), (1, True)):
        whole.add({"choices": [{"index": at, "finish_reason": "stop"}]})
        assert whole.done is done


def pieces(*calls):
    whole = ChatWhole()
    for call in calls:
        whole.add({"choices": [{"delta": {"tool_calls": [call]}}]})
    return [one["function"] for one in whole.body()["choices"][0]["message"]["tool_calls"]]


def piece(known, name, arguments, **more):
    return {"id": known, "function": {"name": name, "arguments": arguments}, **more}


@pytest.mark.parametrize("index", [{"index": 0}, {"index": None}, {}])
def test_calls_of_one_index_and_several_ids_are_several(index):
    found = pieces(
        piece("c1", "find", '{"id"', **index),
        piece(None, None, ":1}", **index),
        piece("c2", "find", '{"id":2}', **index),
    )
    assert found == [
        {"name": "find", "arguments": '{"id":1}'},
        {"name": "find", "arguments": '{"id":2}'},
    ]


def test_an_id_and_a_name_that_come_with_every_piece_are_told_once():
    found = pieces(*(piece("c1", "find", part, index=0) for part in ('{"id"', ":1}")))
    assert found == [{"name": "find", "arguments": '{"id":1}'}]


def test_calls_whose_pieces_are_mixed_stay_apart():
    first, second = piece("c1", "a", "1", index=1), piece("c2", "b", "2", index=0)
    rest = [piece(None, None, "3", index=1), piece("", None, "4", index=0)]
    assert pieces(first, second, *rest) == [
        {"name": "b", "arguments": "24"},
        {"name": "a", "arguments": "13"},
    ]


def test_a_tools_input_that_was_cut_off_is_an_answer():
    whole = MessagesWhole()
    for event in (
        {"type": "message_start", "message": {"usage": {"input_tokens": 5}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use"}},
        {"type": "content_block_delta", "index": 0, "delta": {"partial_json": '{"a": '}},
        {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}},
    ):
        assert not whole.done
        whole.add(event)
    assert whole.done
    assert whole.body()["content"] == [{"type": "tool_use", "input": '{"a": '}]


def test_what_is_not_known_of_a_stream_is_passed_over():
    for make in (ChatWhole, ResponsesWhole, MessagesWhole):
        whole = make()
        assert not whole.add({"type": "something.new", "choices": None})
        assert not whole.done

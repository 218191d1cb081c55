"""The context window: what a request may hold, and what is left out where it holds too much.

- What is sent follows from the bundle and the case alone; a price table never changes a request.
- Only turns of the conversation and few-shot examples are left out, the oldest first. The bundle's
  own messages stay, and so does the question.
- A turn is a user's message with all that answers it, so that a tool's result never stands without
  its call. An example is its question and its answer.
- Tokens are estimated, by default as `BYTES_PER_TOKEN` bytes each and `PER_MESSAGE` a message:
  more than most texts take. `surely` errs the other way; all between is for the provider to say.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Final, Literal, NamedTuple

from llmvc.core import canon
from llmvc.core.bundle import Bundle
from llmvc.errors import FormatError

BYTES_PER_TOKEN: Final = 3
PER_MESSAGE: Final = 4
SURE_BYTES_PER_TOKEN: Final = 8
"""No common tokenizer puts more bytes of ordinary text into a token on average."""
ESTIMATOR: Final = f"bytes / {BYTES_PER_TOKEN} and {PER_MESSAGE} a message"

Source = Literal["fixed", "few_shot", "history"]
Message = Mapping[str, canon.Json]
Count = Callable[[str], int]
"""Returns how many tokens a text is."""

ORDER: Final[tuple[Source, ...]] = ("history", "few_shot")
"""What is left out first, unless the bundle says otherwise."""
_SOURCES: Final[Mapping[str, Source]] = {name: name for name in ORDER}
_ROLES: Final = frozenset({"user", "assistant", "tool"})


class Part(NamedTuple):
    """Messages that stay or go together.

    Attributes:
        messages: as they are sent.
        source: where they come from; `fixed` ones stay.
    """

    messages: tuple[Message, ...]
    source: Source = "fixed"


class Limit(NamedTuple):
    """What a bundle says of its window.

    Attributes:
        window: tokens of input and output together; None if it does not say.
        reserved: tokens kept free for the output.
        most: tokens that the input may have; None for no limit.
        policy: what becomes of a request with more.
        order: what is left out first, for the policy `drop_oldest`.
        tokenizer: the name of the plugin that counts; None for the estimate.
    """

    window: int | None = None
    reserved: int = 0
    most: int | None = None
    policy: str = "error"
    order: tuple[Source, ...] = ORDER
    tokenizer: str | None = None


@lru_cache(maxsize=16)
def limit_of(bundle: Bundle) -> Limit:
    """Returns what a bundle says of its window."""
    section = _object(bundle.body.get("context"))
    decoding = _object(bundle.body.get("decoding"))
    truncation = _object(section.get("truncation"))
    window, own = _whole(section.get("window")), _whole(section.get("max_input_tokens"))
    reserved = _whole(section.get("reserve_output"))
    if reserved is None:
        reserved = _whole(decoding.get("max_output_tokens")) or 0
    known = [one for one in (own, None if window is None else window - reserved) if one is not None]
    listed, policy = truncation.get("order"), truncation.get("policy")
    order: tuple[Source, ...] = ORDER
    if isinstance(listed, list | tuple):
        order = tuple(_SOURCES[str(name)] for name in listed if name in ORDER)
    name = section.get("tokenizer")
    return Limit(
        window=window,
        reserved=reserved,
        most=max(0, min(known)) if known else None,
        policy=policy if isinstance(policy, str) else "error",
        order=order,
        tokenizer=name if isinstance(name, str) else None,
    )


def history(bundle: Bundle, variables: Mapping[str, canon.Json]) -> tuple[Part, ...]:
    """Returns the last turns of the case's conversation; none if the bundle asks for none.

    Args:
        bundle: `context.history.turns` says how many; all if it does not.
        variables: `history` lists the messages before the last one, the oldest first.

    Raises:
        FormatError: `history` is no list of messages.
    """
    section = _object(bundle.body.get("context")).get("history")
    listed = variables.get("history")
    if not isinstance(section, Mapping) or listed is None:
        return ()
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        raise FormatError("vars.history is not a list of messages")
    turns: list[list[Message]] = []
    for at, message in enumerate(listed):
        if not isinstance(message, Mapping) or message.get("role") not in _ROLES:
            raise FormatError(
                f"vars.history[{at}] is not a message",
                hint="each has role: user, assistant or tool, and content",
            )
        if _asks(message) or not turns:
            turns.append([])
        turns[-1].append(_spelt(message, at))
    wanted = _whole(section.get("turns"))
    kept = turns if wanted is None else turns[max(0, len(turns) - wanted) :]
    return tuple(Part(tuple(turn), "history") for turn in kept)


def fit(
    parts: Sequence[Part],
    most: int,
    *,
    beside: int = 0,
    order: Sequence[Source] = ORDER,
    count: Count | None = None,
) -> tuple[Part, ...]:
    """Returns the parts that fit, the oldest of those that may go left out first.

    Args:
        parts: in the order in which they are sent.
        most: tokens that the request may have.
        beside: tokens of what is sent beside messages, such as tools.
        order: sources, those that go first first; parts of others stay.
        count: counts a text; None for the estimate.

    Returns:
        All parts that stay, in their order: within `most`, or without any part that may go.
    """
    sizes = [sum(tokens(one, count) for one in part.messages) for part in parts]
    over = beside + sum(sizes) - most
    gone: set[int] = set()
    for source in order:
        listed = [at for at, part in enumerate(parts) if part.source == source]
        freed = list(accumulate((sizes[at] for at in listed), initial=0))
        enough = next((n for n, size in enumerate(freed) if size >= over), len(listed))
        gone.update(listed[:enough])
        over -= freed[enough]
    return tuple(part for at, part in enumerate(parts) if at not in gone)


def tokens(message: Message, count: Count | None = None) -> int:
    """Returns about how many tokens a message is; rather more than fewer."""
    text = _text(message)
    return (estimate(text) if count is None else count(text)) + PER_MESSAGE


def estimate(text: str) -> int:
    """Returns about how many tokens a text is; rather more than fewer."""
    return -(-_bytes(text) // BYTES_PER_TOKEN)


def surely(text: str) -> int:
    """Returns how many tokens a text has at least, as far as any common tokenizer goes."""
    return _bytes(text) // SURE_BYTES_PER_TOKEN


def size(request: Mapping[str, canon.Json], count: Count | None = None) -> int:
    """Returns about how many tokens a request is, tools and response schema included."""
    messages = request.get("messages")
    listed = messages if isinstance(messages, list | tuple) else []
    return beside(request, count) + sum(
        tokens(one, count) for one in listed if isinstance(one, Mapping)
    )


def least(request: Mapping[str, canon.Json]) -> int:
    """Returns how many tokens the texts of a request's messages have at least."""
    messages = request.get("messages")
    found = 0
    for one in messages if isinstance(messages, list | tuple) else []:
        content = _object(one).get("content")
        parts = content if isinstance(content, list | tuple) else [{"text": content}]
        texts = (_object(part).get("text") for part in parts)
        found += sum(surely(text) for text in texts if isinstance(text, str))
    return found


def beside(request: Mapping[str, canon.Json], count: Count | None = None) -> int:
    """Returns about how many tokens are sent beside the messages."""
    sent = {name: request[name] for name in ("tools", "response") if request.get(name)}
    text = canon.encode(sent).decode("utf-8") if sent else ""
    return estimate(text) if count is None else count(text)


def _text(message: Message) -> str:
    """Returns all that a message says: its text, or its canonical form if it is more than that."""
    content = message.get("content")
    if isinstance(content, str) and len(message) == 2:
        return content
    return canon.encode(dict(message)).decode("utf-8")


def _spelt(message: Message, at: int) -> Message:
    """Returns a message with its calls of tools as bundles have them; OpenAI's API nests them.

    Raises:
        FormatError: one of them names no tool.
    """
    if "tool_calls" not in message:
        return message
    listed, calls = message["tool_calls"], list[canon.Json]()
    for call in listed if isinstance(listed, list | tuple) else ():
        told = {**_object(call), **_object(_object(call).get("function"))}
        if not isinstance(told.get("name"), str):
            raise FormatError(
                f"a tool call of vars.history[{at}] names no tool",
                hint="each has id, name and arguments",
            )
        calls.append({name: told[name] for name in ("id", "name", "arguments") if name in told})
    kept = {name: value for name, value in message.items() if name != "tool_calls"}
    return {**kept, "tool_calls": calls} if calls else kept


def _asks(message: Message) -> bool:
    """Says whether a message begins a turn; results of tools come from the user at Anthropic's."""
    content = message.get("content")
    parts = content if isinstance(content, list | tuple) else ()
    results = [isinstance(part, Mapping) and part.get("type") == "tool_result" for part in parts]
    return message.get("role") == "user" and not (results and all(results))


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _object(value: canon.Json) -> Mapping[str, canon.Json]:
    return value if isinstance(value, Mapping) else {}


def _whole(value: canon.Json) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None

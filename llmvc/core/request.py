"""Requests: what a bundle asks a model for one case, in a form that no provider owns.

- A request is a pure function of (bundle, variables, asset texts): the same inputs give the same
  bytes, so that its digest can key recordings and the run cache.
- What does not fit the bundle's own window is left out here, if the bundle says so, so that the
  digest is that of what is sent.
- It carries the bundle's own seed; each call sends one derived from it, see `call_seed`.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from llmvc.core import canon, context, digest, template
from llmvc.core.bundle import Bundle
from llmvc.core.canon import listed, mapped
from llmvc.core.context import Part
from llmvc.errors import FormatError

TYPE: Final = "request/1"

CANNED: Final = "canned"
"""The provider of a bundle that answers by itself, without a model."""

# Members that reach the provider as they stand in the bundle.
PASSED: Final = (
    "model",
    "decoding",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "mcp",
    "response",
)

# Members that only the application itself can carry out; a plain model call would ignore them.
APPLICATION_ONLY: Final = ("retrieval", "guardrails", "post")


class Made(NamedTuple):
    """A request and what was done to make it fit.

    Attributes:
        request: the `request/1` object.
        dropped: how many turns and examples were left out.
        size: about how many tokens it has; None where the bundle truncates nothing.
    """

    request: dict[str, canon.Json]
    dropped: int = 0
    size: int | None = None


def build(
    bundle: Bundle,
    variables: Mapping[str, canon.Json],
    assets: Mapping[str, str] | None = None,
    count: context.Count | None = None,
) -> dict[str, canon.Json]:
    """Returns the `request/1` object for one case; see `make`."""
    return make(bundle, variables, assets, count).request


def make(
    bundle: Bundle,
    variables: Mapping[str, canon.Json],
    assets: Mapping[str, str] | None = None,
    count: context.Count | None = None,
) -> Made:
    """Returns the request for one case, truncated where the bundle says so.

    Examples and the turns of the case's conversation stand before the bundle's last user message.

    Args:
        bundle: a bundle of kind `app` or `judge`.
        variables: the case's variables; defaults of the bundle's `variables` schema fill gaps.
        assets: texts of the listed assets, for jinja2 includes.
        count: counts the tokens of a text; None for the estimate of `context`.

    Raises:
        FormatError: a template cannot be rendered with these variables.
    """
    body = bundle.body
    values = {**defaults(bundle), **variables}
    messages = body.get("messages")
    if bundle.kind == "set":
        raise FormatError(
            "a set has no messages", hint="a set: render one of its members with .member(NAME)"
        )
    if not isinstance(messages, Sequence) or isinstance(messages, str) or not messages:
        raise FormatError("the bundle has no messages", hint="add messages to its manifest")
    rendered = [_message(message, values, assets) for message in messages]
    last_user = max(
        (at for at, message in enumerate(rendered) if message["role"] == "user"),
        default=len(rendered),
    )
    parts = (
        Part(tuple(rendered[:last_user])),
        *_few_shot(body.get("few_shot"), messages, values, assets),
        *context.history(bundle, values),
        Part(tuple(rendered[last_user:])),
    )
    passed = {name: body[name] for name in PASSED if name in body}
    limit = context.limit_of(bundle)
    kept = parts
    if limit.policy == "drop_oldest" and limit.most is not None:
        beside = context.beside(passed, count)
        kept = context.fit(parts, limit.most, beside=beside, order=limit.order, count=count)
    sent: list[canon.Json] = [message for part in kept for message in part.messages]
    request: dict[str, canon.Json] = {"llmvc": TYPE, "messages": sent, **passed}
    size = context.size(request, count) if limit.policy == "drop_oldest" else None
    return Made(request, len(parts) - len(kept), size)


def canned(request: Mapping[str, canon.Json]) -> str:
    """Returns the one answer of a bundle that asks no model.

    Args:
        request: its `request/1` object, or the bundle's own body, whose text has its templates.

    Raises:
        FormatError: it does not consist of one text of the assistant.
    """
    said = [mapped(message) for message in listed(request.get("messages"))]
    content = said[0].get("content") if len(said) == 1 else None
    if not isinstance(content, str) or said[0].get("role") != "assistant":
        raise FormatError(
            "a canned bundle does not consist of one message of the assistant",
            hint="write one under messages: {role: assistant, content: …}",
        )
    return content


def call_seed(seed: int | None, case_id: str, run: int) -> int | None:
    """Returns the seed that one call sends; None where the bundle has none (ADR 0012).

    Runs of a case differ, different cases are independent of each other, and both arms of a
    comparison share what chance does to one case and run.

    Args:
        seed: the bundle's own.
        case_id: the case.
        run: the run's number.

    Returns:
        (seed + first 4 bytes of BLAKE3("<case id>/<run>")) mod 2**31.
    """
    if seed is None:
        return None
    drawn = digest.hex_of(digest.of_bytes(f"{case_id}/{run}".encode()))[:8]
    return (seed + int(drawn, 16)) % 2**31


def defaults(bundle: Bundle) -> dict[str, canon.Json]:
    """Returns the defaults that the bundle's variables schema declares."""
    schema = bundle.body.get("variables")
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    if not isinstance(properties, Mapping):
        return {}
    return {
        name: spec["default"]
        for name, spec in properties.items()
        if isinstance(spec, Mapping) and "default" in spec
    }


def _message(
    message: canon.Json, values: Mapping[str, canon.Json], assets: Mapping[str, str] | None
) -> dict[str, canon.Json]:
    if not isinstance(message, Mapping):
        raise FormatError("a message is not an object")
    kept = {key: value for key, value in message.items() if key != "engine"}
    engine = str(message.get("engine", "simple"))
    content = message.get("content")
    if isinstance(content, str):
        kept["content"] = template.render(content, values, engine=engine, includes=assets)
    elif isinstance(content, Sequence):
        kept["content"] = [_part(part, values, engine, assets) for part in content]
    return kept


def _part(
    part: canon.Json,
    values: Mapping[str, canon.Json],
    engine: str,
    assets: Mapping[str, str] | None,
) -> canon.Json:
    if isinstance(part, Mapping) and isinstance(part.get("text"), str):
        return {
            **part,
            "text": template.render(str(part["text"]), values, engine=engine, includes=assets),
        }
    return part


def _few_shot(
    few_shot: canon.Json,
    messages: Sequence[canon.Json],
    values: Mapping[str, canon.Json],
    assets: Mapping[str, str] | None,
) -> list[Part]:
    """Returns the examples as pairs of a user and an assistant message.

    Each example renders the bundle's last user message with its own variables.
    """
    if not isinstance(few_shot, Mapping):
        return []
    users = [
        message
        for message in messages
        if isinstance(message, Mapping) and message.get("role") == "user"
    ]
    if not users:
        raise FormatError("few_shot needs a user message to show examples with")
    shown: list[Part] = []
    for example in selected(few_shot):
        own = example.get("vars")
        asked = {**values, **(own if isinstance(own, Mapping) else {})}
        reply = {"role": "assistant", "content": example["output"]}
        shown.append(Part((_message(users[-1], asked, assets), reply), "few_shot"))
    return shown


def selected(few_shot: Mapping[str, canon.Json]) -> list[Mapping[str, canon.Json]]:
    """Returns the examples that the selector picks: the first k, as written or reversed."""
    examples = [row for row in listed(few_shot.get("examples")) if isinstance(row, Mapping)]
    selector = few_shot.get("selector")
    if not isinstance(selector, Mapping):
        return examples
    k = selector.get("k")
    chosen = examples[:k] if isinstance(k, int) else examples
    return chosen[::-1] if selector.get("order") == "reversed" else chosen

"""What an API over HTTP has to say of itself, and what all of them share.

- A dialect spells a bundle's request, reads the answer, and puts a stream together into the very
  object that the same API answers at once.
- What the bundle does not say is not sent. What it says is sent, or named by `unsupported`.
"""

from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from llmvc.core import canon
from llmvc.core.canon import listed, mapped
from llmvc.core.dialects.shared import extra_of
from llmvc.evals.providers.base import Answer, Call
from llmvc.evals.providers.reading import said

# What llmvc itself decides in every request.
_OURS: Final = frozenset(
    {"model", "messages", "input", "system", "stream", "stream_options", "n", "seed"}
)
_FORMAT: Final = ("schema", "name", "description", "strict")


class Whole(Protocol):
    """An answer that is put together from the events of a stream."""

    @property
    def done(self) -> bool:
        """Whether the end has come."""
        ...

    def add(self, event: Mapping[str, canon.Json]) -> bool:
        """Takes an event, and returns whether it brought some of the output.

        Raises:
            FormatError: it is malformed.
        """
        ...

    def finish(self) -> None:
        """Takes note that the stream says of itself that it is complete."""
        ...

    def body(self) -> Mapping[str, canon.Json]:
        """Returns the answer as it would have come in one piece.

        Raises:
            FormatError: its pieces do not fit together.
        """
        ...


class Dialect(Protocol):
    """One API: how it is asked and how it answers."""

    @property
    def path(self) -> str:
        """What follows the endpoint's address."""
        ...

    @property
    def members(self) -> Mapping[str, str]:
        """What a bundle calls the parameters that have another name here."""
        ...

    def body(self, call: Call) -> dict[str, canon.Json]:
        """Returns the body of a request."""
        ...

    def streamed(self) -> dict[str, canon.Json]:
        """Returns what a body says beside, so that the answer comes as a stream."""
        ...

    def whole(self) -> Whole:
        """Returns what puts a stream together."""
        ...

    def read(self, body: Mapping[str, canon.Json]) -> Answer:
        """Reads an answer; its latency is not known here.

        Raises:
            FormatError: it is malformed.
        """
        ...

    def unsupported(self, body: Mapping[str, canon.Json]) -> tuple[str, ...]:
        """Returns the members of a bundle that have no place in a request.

        Raises:
            ConfigError: the bundle lacks a member that the API needs.
        """
        ...


def left_out(
    body: Mapping[str, canon.Json],
    *,
    decoding: Iterable[str],
    reasoning: Iterable[str],
    tool: Iterable[str],
    message: Iterable[str],
    written: Iterable[str],
) -> list[str]:
    """Returns the members of a bundle that an API has no place for.

    Args:
        body: of the bundle.
        decoding: members of `decoding` that it takes, beside `reasoning` and `extra`.
        reasoning: members of `decoding.reasoning` that it takes.
        tool: members of a tool that it takes.
        message: members of a message that it takes.
        written: the parameters that the bundle's other members become; `extra` may not set them.
    """
    found = said(body.get("decoding"), "decoding", (*decoding, "reasoning", "extra"))
    inner = mapped(mapped(body.get("decoding")).get("reasoning"))
    found += said(inner, "decoding.reasoning", reasoning)
    taken = _OURS.union(written).intersection(extra_of(body))
    found += [f"decoding.extra.{name}" for name in sorted(taken)]
    for one in listed(body.get("tools")):
        found += said(one, "tools", tool)
    for one in listed(body.get("messages")):
        found += said(one, "messages", (*message, "role", "content"))
    return list(dict.fromkeys(found))


def format_left_out(response: canon.Json) -> list[str]:
    """Returns what describes a schema where the bundle asks for none."""
    if mapped(response).get("format") == "json_schema":
        return []
    return said(response, "response", set(mapped(response)).difference(_FORMAT))

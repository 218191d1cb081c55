"""What endpoints silently do otherwise than asked, as sentences.

- A note changes no score and no verdict: it tells a reader what the numbers rest on.
- A note does not name the call, so that equal notes of many calls can be counted.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from llmvc.core import canon
from llmvc.core.canon import listed, mapped
from llmvc.core.metric import number
from llmvc.evals.providers.base import Answer

_NAMELESS: Final = "b0-unknown"
_BYTES_PER_TOKEN: Final = 8
"""More than a token holds of ordinary text, on average."""
_SNAPSHOT: Final = re.compile(r"[-@:](?:\d[\d.-]*|latest|v\d[\w.-]*)")


def notes(request: Mapping[str, canon.Json], answer: Answer) -> Iterator[str]:
    """Yields what an answer shows of its endpoint.

    Args:
        request: the canonical request, as it was asked.
        answer: one with an output.
    """
    choice, decoding = request.get("tool_choice"), mapped(request.get("decoding"))
    wanted = choice == "required" or mapped(choice).get("name") is not None
    if wanted and request.get("tools") and not answer.tool_calls:
        yield "a call of a tool was required and none came: the endpoint may ignore tools"
    several = number(decoding.get("n")) or 1
    if several > 1 + len(answer.choices):
        yield f"{several:g} choices were asked for and {1 + len(answer.choices)} came"
    if answer.choices and _too_few_tokens(answer, number(decoding.get("max_output_tokens"))):
        yield "usage counts fewer tokens than the choices hold: it may be that of one choice alone"
    if decoding.get("logprobs") and not answer.logprobs and answer.output:
        yield "logprobs were asked for and none came"
    model = mapped(request.get("model"))
    asked = str(model.get("snapshot") or model.get("id"))
    if answer.model is not None and not same_model(asked, answer.model):
        yield f"model {asked} was asked for and {answer.model} answered"
    if answer.fingerprint == _NAMELESS:
        yield f"fingerprint {_NAMELESS} does not tell which build or weights answered"


def same_model(asked: str, told: str) -> bool:
    """Tells whether a model that answered is the one asked for, or a dated snapshot of it.

    What stands before a slash names a host and not the model.
    """
    wanted, found = (name.rpartition("/")[2].lower() for name in (asked, told))
    stem = wanted.removesuffix("-latest")
    return found in (wanted, stem) or (
        found.startswith(stem) and _SNAPSHOT.fullmatch(found.removeprefix(stem)) is not None
    )


def of_server(asked: str, models: canon.Json, props: canon.Json, *, tools: bool) -> Iterator[str]:
    """Yields what a server of one's own says of itself.

    Args:
        asked: the model asked for.
        models: what it lists as its models; None if it lists none.
        props: what llama.cpp says of itself; None for other servers.
        tools: whether the bundle has tools.
    """
    names = [mapped(one).get("id") for one in listed(mapped(models).get("data"))]
    if names and not any(isinstance(name, str) and same_model(asked, name) for name in names):
        yield f"the server does not list model {asked}: it may answer under any name"
    told = mapped(props)
    can = told.get("supports_tools", mapped(told.get("chat_template_caps")).get("supports_tools"))
    if tools and can is False:
        yield "the server says that it does not support tools: it may ignore them"


def _too_few_tokens(answer: Answer, most: float | None) -> bool:
    """Tells whether all choices together hold more than the tokens counted for them.

    The first of them may have used up the limit of tokens alone.
    """
    if answer.output_tokens is None:
        return False
    if answer.finish_reason == "length" and most is not None and any(answer.choices):
        return answer.output_tokens <= most
    counted = answer.output_tokens - (answer.reasoning_tokens or 0)
    texts = [str(choice) for choice in answer.choices]
    least = sum(-(-len(text.encode("utf-8", "replace")) // _BYTES_PER_TOKEN) for text in texts)
    first = -(-len((answer.output or "").encode("utf-8", "replace")) // _BYTES_PER_TOKEN)
    return counted < least + max(first, len(answer.logprobs))

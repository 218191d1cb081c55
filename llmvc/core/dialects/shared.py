"""What all dialects share: the model's name, its own parameters, the arguments of a tool call."""

from collections.abc import Mapping

from llmvc.core import canon
from llmvc.core.canon import mapped


def model_of(request: Mapping[str, canon.Json]) -> canon.Json:
    """Returns the name to ask for: the snapshot that the bundle pins, else the model."""
    model = mapped(request.get("model"))
    return model.get("snapshot") or model.get("id")


def extra_of(request: Mapping[str, canon.Json]) -> Mapping[str, canon.Json]:
    """Returns the parameters that are sent under the names that the bundle gives them."""
    return mapped(mapped(request.get("decoding")).get("extra"))


def arguments_of(call: Mapping[str, canon.Json]) -> str:
    """Returns the arguments of a tool call as JSON text."""
    arguments = call.get("arguments", {})
    return arguments if isinstance(arguments, str) else canon.encode(arguments).decode()

"""What all dialects share: JSON of unknown form read without a surprise, and the model's name."""

from collections.abc import Mapping, Sequence

from llmvc.core import canon


def mapped(value: canon.Json) -> Mapping[str, canon.Json]:
    """Returns an object; an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def listed(value: canon.Json) -> Sequence[canon.Json]:
    """Returns a list; an empty one for anything else."""
    return value if isinstance(value, list | tuple) else ()


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

"""What a schema cannot say about a manifest: that its parts fit together.

- Templates parse, ask only for declared variables and include only listed assets.
- The JSON Schemas that users write are valid ones (draft 2020-12).
- A tool that is chosen exists; a limit on the context leaves room for the output.
- A judge has all that judging needs, and its messages show what it is to judge.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from llmvc.core import judge, template
from llmvc.core.canon import Json
from llmvc.errors import FormatError
from llmvc.files.check import closest
from llmvc.files.reading import Path, dotted
from llmvc.files.sources import Sources, as_mapping

_JUDGE_HINTS: Final[Mapping[str, str]] = {
    "family": "write the training line of the judge's model, such as family: llama-3",
    "rubric": "write what the judge goes by, or rubric: {file: rubric.md}",
    "protocol": "pointwise grades one output, pairwise-swap compares two in both orders",
    "votes": "write votes: 1 or votes: 3",
    "grades": "write what the judge may answer from the worst to the best, such as [bad, good]",
    "parser": "write parser: last-line, {pattern: 'Grade: (.+)'} or {json: grade}",
    "order_seed": "write order_seed: 0",
}


def check_bundle(sources: Sources, body: Mapping[str, Json]) -> None:
    """Checks the members of a bundle against each other.

    Args:
        sources: the manifest and the files beside it, for messages.
        body: the bundle's members.

    Raises:
        FormatError: something does not fit.
    """
    _check_templates(sources, body)
    _check_tools(sources, body)
    _check_context(sources, body)
    _check_judge(sources, body)
    for path, schema in schemas(body):
        check_schema(sources, path, schema)


def schemas(body: Mapping[str, Json]) -> Iterator[tuple[Path, Json]]:
    """Returns the JSON Schemas in a bundle with the place of each."""
    if "variables" in body:
        yield ("variables",), body["variables"]
    tools = body.get("tools")
    for at, tool in enumerate(tools if isinstance(tools, list) else []):
        if "input_schema" in as_mapping(tool):
            yield ("tools", at, "input_schema"), as_mapping(tool)["input_schema"]
    response = body.get("response")
    if isinstance(response, Mapping) and "schema" in response:
        yield ("response", "schema"), response["schema"]


def check_schema(sources: Sources, path: Path, schema: Json) -> None:
    """Checks that a value is a JSON Schema.

    Raises:
        FormatError: it is not.
    """
    import jsonschema  # noqa: PLC0415 (slow to load)

    try:
        jsonschema.Draft202012Validator.check_schema(as_mapping(schema))
    except jsonschema.SchemaError as err:
        inner = (*path, *err.absolute_path)
        what = f"{dotted(inner)}: {err.message}"
        raise sources.document.error(
            inner, f"not a JSON Schema: {what[:300]}", hint="schemas follow draft 2020-12"
        ) from err


def _check_templates(sources: Sources, body: Mapping[str, Json]) -> None:
    declared = _declared(body)
    includes = sources.texts()
    for path, text, engine in _templates(body):
        try:
            used = template.names(text, engine=engine, includes=includes)
        except FormatError as err:
            raise sources.document.error(
                path, f"{_origin(sources, path)}: {err}", hint=err.hint
            ) from err
        for name in sorted(used - declared if declared is not None else ()):
            near = closest(name, sorted(declared or ()))
            raise sources.document.error(
                path,
                f"{_origin(sources, path)} uses {{{{{name}}}}}, which variables does not declare"
                + (f"; write {near} instead" if near else ""),
                hint="" if near else f"add {name} to variables.properties",
            )


def _declared(body: Mapping[str, Json]) -> frozenset[str] | None:
    """Returns the names that templates may use; None if nothing declares them."""
    variables = body.get("variables")
    properties = variables.get("properties") if isinstance(variables, Mapping) else None
    own = judge.OWN_NAMES if "judge" in body else frozenset()
    return frozenset(properties) | own if isinstance(properties, Mapping) else None


def _templates(body: Mapping[str, Json]) -> Iterator[tuple[Path, str, str]]:
    messages = body.get("messages")
    for at, message in enumerate(messages if isinstance(messages, list) else []):
        values = as_mapping(message)
        engine = str(values.get("engine", "simple"))
        content = values.get("content")
        if isinstance(content, str):
            yield ("messages", at), content, engine
        for n, part in enumerate(content if isinstance(content, list) else []):
            text = as_mapping(part).get("text")
            if isinstance(text, str):
                yield ("messages", at, "parts", n), text, engine


def _origin(sources: Sources, path: Path) -> str:
    """Returns the file that a text came from, else its place in the manifest."""
    value: Json = sources.document.value
    for step in path:
        value = (
            value[step]
            if isinstance(step, int) and isinstance(value, list)
            else (as_mapping(value)[str(step)])
        )
    name = as_mapping(value).get("file")
    return sources.shown(name) if isinstance(name, str) else dotted(path)


def _check_tools(sources: Sources, body: Mapping[str, Json]) -> None:
    tools = body.get("tools")
    names: list[str] = []
    for at, tool in enumerate(tools if isinstance(tools, list) else []):
        name = str(as_mapping(tool)["name"])
        if name in names:
            raise sources.document.error(("tools", at, "name"), f"there are two tools {name!r}")
        names.append(name)
    choice = body.get("tool_choice")
    if isinstance(choice, Mapping) and choice["name"] not in names:
        near = closest(str(choice["name"]), names)
        raise sources.document.error(
            ("tool_choice",),
            f"tool_choice names {choice['name']!r}, which is not among tools"
            + (f"; write {near} instead" if near else ""),
        )


def _check_context(sources: Sources, body: Mapping[str, Json]) -> None:
    context = body.get("context")
    if not isinstance(context, Mapping):
        return
    window, reserve = context.get("window"), context.get("reserve_output")
    limit = context.get("max_input_tokens")
    if not isinstance(window, int):
        return
    for name, value in (("reserve_output", reserve), ("max_input_tokens", limit)):
        if isinstance(value, int) and value >= window:
            raise sources.document.error(
                ("context", name), f"context.{name} {value} leaves no room in a window of {window}"
            )


def _check_judge(sources: Sources, body: Mapping[str, Json]) -> None:
    kind = as_mapping(sources.document.value).get("kind", "app")
    section = body.get("judge")
    if kind != "judge":
        if section is not None:
            what = f"judge may not stand in a bundle of kind {kind}"
            raise sources.document.error(("judge",), what, hint="write kind: judge")
        return
    if not isinstance(section, Mapping):
        hint = "write judge: with family, rubric, protocol and grades"
        raise sources.document.error((), "a bundle of kind judge needs judge", hint=hint)
    for member, problem in judge.problems(section):
        at: Path = ("judge", member) if member in section else ("judge",)
        raise sources.document.error(at, f"judge.{member} {problem}", hint=_JUDGE_HINTS[member])
    shown = {
        name
        for _, text, engine in _templates(body)
        for name in template.names(text, engine=engine, includes=sources.texts())
    }
    for name in judge.NEEDED[str(section["protocol"])]:
        if name not in shown:
            raise sources.document.error(
                ("messages",),
                f"no message shows {{{{{name}}}}}, without which a judge of protocol "
                f"{section['protocol']} cannot judge",
                hint=f"put {{{{{name}}}}} where the judge is to read it",
            )

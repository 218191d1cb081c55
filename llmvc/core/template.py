r"""Prompt templates: `simple` (the default), `jinja2` and `none`.

- `simple` knows one construct, `{{name}}`; inside the braces space, tab, LF and CR are allowed
  (languages do not agree on what else is white space) and `\{{` writes two literal braces.
  It has no logic, no attributes and no recursion: a value that holds `{{x}}` is inserted as it is.
- `jinja2` runs in Jinja's sandbox, with undefined names refused and includes taken only from the
  texts it is handed (the bundle's listed assets). Nothing in it is left to chance.
- `none` passes the text through.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from llmvc.core import canon
from llmvc.errors import FormatError

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

_SLOT = re.compile(r"\\\{\{|\{\{[ \t\n\r]*([A-Za-z_][A-Za-z0-9_]*)[ \t\n\r]*\}\}|\{\{")


def render(
    source: str,
    variables: Mapping[str, canon.Json],
    *,
    engine: str = "simple",
    includes: Mapping[str, str] | None = None,
) -> str:
    """Returns the text with the variables filled in.

    A string is inserted as it is, any other value as canonical JSON.

    Raises:
        FormatError: a variable has no value, or the template is malformed.
    """
    if engine == "none":
        return source
    if engine == "jinja2":
        return _render_jinja(source, variables, includes or {})

    def fill(slot: re.Match[str]) -> str:
        name = slot[1]
        if slot[0].startswith("\\"):
            return "{{"
        if name is None:
            raise _malformed(source, slot.start())
        if name not in variables:
            raise FormatError(
                f"template variable {name!r} has no value",
                hint="pass it to render, in an eval by the case's vars, or give it a default in "
                "the bundle's variables",
            )
        return _text(variables[name])

    return _SLOT.sub(fill, source)


def names(
    source: str, *, engine: str = "simple", includes: Mapping[str, str] | None = None
) -> frozenset[str]:
    """Returns the variables that a template asks for; it also proves that the template parses.

    Raises:
        FormatError: the template is malformed, or includes a text that is not listed.
    """
    if engine == "none":
        return frozenset()
    if engine == "jinja2":
        return _jinja_names(source, includes or {}, frozenset())
    found: set[str] = set()
    for slot in _SLOT.finditer(source):
        if slot[1] is not None:
            found.add(slot[1])
        elif not slot[0].startswith("\\"):
            raise _malformed(source, slot.start())
    return frozenset(found)


def _text(value: canon.Json) -> str:
    return value if isinstance(value, str) else canon.encode(value).decode("utf-8")


def _malformed(source: str, at: int) -> FormatError:
    line = source.count("\n", 0, at) + 1
    return FormatError(
        f"template line {line}: '{{{{' is not followed by a variable name and '}}}}'",
        hint="write {{name}}, or \\{{ for two literal braces",
    )


def _environment(includes: Mapping[str, str]) -> "ImmutableSandboxedEnvironment":
    import jinja2  # noqa: PLC0415 (only bundles that name the engine pay for it)
    from jinja2.sandbox import ImmutableSandboxedEnvironment  # noqa: PLC0415

    made = ImmutableSandboxedEnvironment(
        loader=jinja2.DictLoader(dict(includes)),
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        keep_trailing_newline=True,
        newline_sequence="\n",
    )
    # The same bundle and variables must give the same bytes; these two draw.
    del made.filters["random"], made.globals["lipsum"]
    return made


def _render_jinja(
    source: str, variables: Mapping[str, canon.Json], includes: Mapping[str, str]
) -> str:
    import jinja2  # noqa: PLC0415

    try:
        return _environment(includes).from_string(source).render(dict(variables))
    except jinja2.TemplateNotFound as err:
        raise _not_listed(str(err)) from err
    except Exception as err:  # what filters raise for a value that they do not expect is any error
        raise FormatError(f"jinja2 template: {err}") from err


def _jinja_names(source: str, includes: Mapping[str, str], seen: frozenset[str]) -> frozenset[str]:
    import jinja2  # noqa: PLC0415
    from jinja2 import meta  # noqa: PLC0415

    try:
        tree = _environment(includes).parse(source)
    except (jinja2.TemplateError, RecursionError) as err:
        raise FormatError(f"jinja2 template: {err}") from err
    found = set(meta.find_undeclared_variables(tree))
    for name in meta.find_referenced_templates(tree):
        if name is None or name in seen:
            continue
        if name not in includes:
            raise _not_listed(name)
        found |= _jinja_names(includes[name], includes, seen | {name})
    return frozenset(found)


def _not_listed(name: str) -> FormatError:
    return FormatError(
        f"jinja2 template includes {name!r}, which is not among the bundle's assets",
        hint=f"add {name} to assets in the manifest",
    )

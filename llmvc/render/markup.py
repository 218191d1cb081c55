"""HTML put together from elements, so that a text can never become markup by accident.

- A `str` is text and is escaped; only `Markup` is taken as it is, and only `element` makes it.
"""

from collections.abc import Iterable
from html import escape

from llmvc.render.text import safe

VOID = frozenset({"meta", "br"})


class Markup(str):
    """HTML that is escaped already."""

    __slots__ = ()


def element(name: str, /, *children: str, **attributes: str | None) -> Markup:
    """Returns an element.

    Args:
        name: such as `td`.
        children: text, or markup.
        attributes: `class_` for a name that Python keeps for itself, `http_equiv` for one with a
            hyphen; None for one that is left out.
    """
    opened = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(safe(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in VOID:
        return Markup(f"<{name}{opened}>")
    return Markup(f"<{name}{opened}>{join(children)}</{name}>")


def join(children: Iterable[str]) -> Markup:
    """Returns texts and markup as one piece of markup."""
    return Markup("".join(map(_taken, children)))


def _taken(child: str) -> str:
    return child if isinstance(child, Markup) else escape(safe(child), quote=False)

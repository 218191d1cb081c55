"""Scorers that look at the output as XML, HTML or SQL.

- XML with a document type declaration is not accepted: entities would be expanded, and nothing that
  a model writes needs them. Nothing outside of the text is ever read.
- HTML is accepted as browsers are asked for it: known elements, closed where they must be closed.
- `elements` (promptfoo: `requiredElements`) names elements that must be there, by dotted path.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final
from xml.parsers import expat

from llmvc.errors import FormatError
from llmvc.evals.providers.base import Answer
from llmvc.evals.scorers.options import Options, Rule, as_text
from llmvc.evals.scorers.sql import contains_sql, is_sql

_TAG: Final = re.compile(
    # Possessive: what could be taken in several ways would be tried in all of them.
    r"<(/?)([^\W\d][\w:.-]*+)((?:[^<>\"']|\"[^\"<]*\"|'[^'<]*')*+)>"
)

_DOCTYPE: Final = re.compile(r"\A\s*<!doctype\s+html\b[^<>]*>", re.IGNORECASE)

# Elements whose content is not markup.
_RAW: Final = frozenset({"script", "style", "textarea", "title"})
# Elements without content, which have no end tag.
_VOID: Final = frozenset(
    re.findall(r"\w+", "area base br col embed hr img input link meta param source track wbr")
)
# Elements whose end tag may be left out.
_OPEN_ENDED: Final = frozenset(
    re.findall(
        r"\w+",
        "body colgroup dd dt head html li optgroup option p rp rt tbody td tfoot th thead tr",
    )
)
_ELEMENTS: Final = (
    _VOID
    | _OPEN_ENDED
    | set(
        re.findall(
            r"\w+",
            """
        a abbr address article aside audio b bdi bdo blockquote button canvas caption center cite
        code data datalist del details dfn dialog div dl em fieldset figcaption figure font footer
        form h1 h2 h3 h4 h5 h6 header hgroup i iframe ins kbd label legend main map mark math menu
        meter nav noscript object ol output picture pre progress q ruby s samp script search section
        select slot small span strong style sub summary sup svg table template textarea time title u
        ul var video
        """,
        )
    )
)


def is_xml(options: Options, answer: Answer) -> float:
    """Scores 1 if the whole output is one well-formed XML document."""
    return float(_well_formed((answer.output or "").strip(), _wanted(options)))


def contains_xml(options: Options, answer: Answer) -> float:
    """Scores 1 if a well-formed XML element stands in the output."""
    wanted = _wanted(options)
    return float(any(_well_formed(text, wanted) for text in _xml_in(answer.output or "")))


def is_html(_: Options, answer: Answer) -> float:
    """Scores 1 if the whole output is HTML: known elements, with nothing but space around them."""
    page = _Page(answer.output or "")
    return float(page.elements > 0 and page.sound and not page.bare)


def contains_html(_: Options, answer: Answer) -> float:
    """Scores 1 if a whole known element of HTML stands in the output."""
    return float(_Page(answer.output or "").elements > 0)


def _wanted(options: Options) -> frozenset[str]:
    """Returns the dotted paths of the elements that must be there."""
    listed, value = options.get("elements"), options.get("value")
    if listed is None and isinstance(value, Mapping):
        listed = value.get("requiredElements")
    if listed is None:
        return frozenset()
    if not isinstance(listed, list | tuple):
        raise FormatError("elements is not a list of paths such as order.item")
    return frozenset(as_text(item) for item in listed)


class _DoctypeError(Exception):
    """The document declares its type."""


def _well_formed(text: str, wanted: frozenset[str]) -> bool:
    deepest = max((path.count(".") + 1 for path in wanted), default=0)
    missing, path = set(wanted), list[str]()

    def opened(name: str, _: dict[str, str]) -> None:
        path.append(name)
        if len(path) <= deepest:
            missing.discard(".".join(path))

    def closed(_: str) -> None:
        path.pop()

    def refuse(*_: object) -> None:
        raise _DoctypeError

    # The text is no longer in the encoding that its first line may name.
    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler, parser.EndElementHandler = opened, closed
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(text.encode("utf-8"), True)  # noqa: FBT003 (expat takes no keyword)
    except (expat.ExpatError, _DoctypeError, UnicodeEncodeError):
        return False
    return not missing


def _xml_in(text: str) -> Iterator[str]:
    """Yields the stretches of text from an element's start tag to its end tag, outer ones alone."""
    opened: list[tuple[str, int]] = []
    whole: list[tuple[int, int]] = []
    for tag in _TAG.finditer(text):
        closes, name, rest = tag.groups()
        start = tag.start()
        if closes:
            if not opened or opened[-1][0] != name:
                opened.clear()
                continue
            start = opened.pop()[1]
        elif not rest.endswith("/"):
            opened.append((name, start))
            continue
        while whole and whole[-1][0] > start:
            whole.pop()
        whole.append((start, tag.end()))
    yield from (text[start:end] for start, end in whole)


class _Page:
    """A text read as HTML, in one pass.

    Attributes:
        elements: known elements that are whole.
        sound: whether all elements are known, and closed where they must be.
        bare: whether text stands outside of all elements.
    """

    def __init__(self, text: str) -> None:
        self.elements = 0
        self.sound = True
        self.bare = False
        self._opened: list[str] = []
        self._count: Counter[str] = Counter()
        text, at = _without_comments(text), 0
        # Some letters grow when they are folded, which would move every place behind them.
        lowered = text.lower() if text.isascii() else text
        while tag := _TAG.search(text, at):
            self._text(text[at : tag.start()])
            closes, name, rest = tag[1], tag[2].lower(), tag[3]
            at = tag.end()
            if closes:
                self._end(name)
            else:
                self._start(name, whole=rest.endswith("/"))
            if not closes and name in _RAW:
                ended = lowered.find(f"</{name}", at)
                at = len(text) if ended < 0 else ended
        self._text(text[at:])
        while self._opened:
            self._leave()

    def _start(self, name: str, *, whole: bool) -> None:
        drawn = self._count["svg"] or self._count["math"]
        known = name in _ELEMENTS or "-" in name or bool(drawn)
        self.sound &= known
        if name in _VOID:
            self.elements += 1
        elif known:
            self._opened.append(name)
            self._count[name] += 1
            if whole and drawn:
                self._end(name)

    def _end(self, name: str) -> None:
        if not self._count[name]:
            self.sound &= name in _VOID or name == "p"
            return
        while self._opened[-1] != name:
            self._leave()
        self._count[self._opened.pop()] -= 1
        self.elements += 1

    def _leave(self) -> None:
        """Leaves the innermost element, which has no end tag."""
        name = self._opened.pop()
        self._count[name] -= 1
        self.sound &= name in _OPEN_ENDED

    def _text(self, text: str) -> None:
        self.bare |= not self._opened and bool(text.strip())


def _without_comments(text: str) -> str:
    """Returns a text without comments, and without the document type that it begins with."""
    kept: list[str] = []
    at = 0
    while (start := text.find("<!--", at)) >= 0 and (end := text.find("-->", start + 4)) >= 0:
        kept.append(text[at:start])
        at = end + 3
    kept.append(text[at:])
    return _DOCTYPE.sub("", "".join(kept), count=1)


RULES: Final[Mapping[str, Rule]] = {
    "is-xml": is_xml,
    "contains-xml": contains_xml,
    "is-html": is_html,
    "contains-html": contains_html,
    "is-sql": is_sql,
    "contains-sql": contains_sql,
}

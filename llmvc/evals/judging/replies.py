"""Replies of judges: the grade that one holds, or none.

- Only the judge's reply is read, and only an offered grade counts. Where several stand in a reply
  the last one is read, and if that is none of the offered ones, the reply holds no grade.
- Case, white space and Markdown's marks around a grade do not matter; any other character does,
  invisible ones too.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from llmvc.core.judge import MARKS, Rules

_LEAD: Final = re.compile(
    r"(?:final\s+)?(?:grade|verdict|answer|rating|score)\s*[:=]", re.IGNORECASE
)
_FENCED: Final = re.compile(r"\s*```(?:json)?[ \t]*\n(.*?)\n?```\s*", re.DOTALL)


def read(reply: str, rules: Rules) -> str | None:
    """Returns the offered grade that a reply holds, as it is written in the bundle; else None."""
    parser = rules.parser
    if not isinstance(parser, Mapping):
        return of_line(reply.rstrip().rpartition("\n")[2], rules.grades)
    if "pattern" in parser:
        found = re.findall(str(parser["pattern"]), reply)
        return _offered(found[-1], rules.grades) if found else None
    return _of_json(reply, str(parser["json"]), rules.grades)


def of_line(line: str, grades: Mapping[str, float]) -> str | None:
    """Returns the grade that a line consists of, but for `Grade:` before it; None if it does not.

    Args:
        line: any text on one line.
        grades: those offered.
    """
    bare = line.strip(MARKS)
    lead = _LEAD.match(bare)
    return _offered(bare[lead.end() :].strip(MARKS) if lead else bare, grades)


def _of_json(reply: str, field: str, grades: Mapping[str, float]) -> str | None:
    """Returns the grade in a field of the object that a reply consists of."""
    fenced = _FENCED.fullmatch(reply)
    body: Any
    try:
        body = json.loads(fenced[1] if fenced else reply, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return None
    value = body.get(field) if isinstance(body, Mapping) else None
    whole = isinstance(value, int) and not isinstance(value, bool)
    return _offered(str(value), grades) if whole or isinstance(value, str) else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Returns an object; one that says something twice says nothing.

    Raises:
        ValueError: a name stands in it twice.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands in an object twice")
    return found


def _offered(text: str, grades: Mapping[str, float]) -> str | None:
    plain = " ".join(text.casefold().split())
    return next((grade for grade in grades if " ".join(grade.casefold().split()) == plain), None)

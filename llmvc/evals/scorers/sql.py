"""Scorers that look at the output as SQL, by sqlglot (extra `[sql]`).

- Every statement must parse and be a query or a change of data or tables: to a lenient parser
  `hello world` is a column with an alias, and `update the docs` a table to be changed.
- `dialect` is one that sqlglot knows, such as `postgres`; promptfoo calls it `databaseType`.
"""

import logging
import re
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any, Final

from llmvc.errors import FormatError
from llmvc.evals.providers.base import Answer, one_line
from llmvc.evals.scorers.options import Options

_FENCED: Final = re.compile(r"```(?:sql)?[ \t]*\n(.*?)```", re.DOTALL | re.IGNORECASE)


def is_sql(options: Options, answer: Answer) -> float:
    """Scores 1 if the whole output is SQL."""
    return float(_parses(answer.output or "", _dialect(options)))


def contains_sql(options: Options, answer: Answer) -> float:
    """Scores 1 if a code block of the output is SQL, or all of it where it has no block."""
    output, dialect = answer.output or "", _dialect(options)
    return float(any(_parses(text, dialect) for text in _FENCED.findall(output) or [output]))


def _dialect(options: Options) -> str | None:
    value, written = options.get("value"), options.get("dialect")
    if isinstance(value, Mapping):
        if set(value) - {"databaseType"}:
            raise FormatError("of value only databaseType is understood")
        written = value.get("databaseType") if written is None else written
    if written is None:
        return None
    name = str(written).lower()
    name = {"postgresql": "postgres", "mariadb": "mysql", "transactsql": "tsql"}.get(name, name)
    known: Any = _sqlglot().Dialect.classes
    if name not in known:
        raise FormatError(f"sqlglot knows no dialect {one_line(name)!r}")
    return name


def _parses(text: str, dialect: str | None) -> bool:
    sqlglot = _sqlglot()
    exp = sqlglot.exp
    statement = (exp.Query, exp.DML, exp.DDL, exp.Drop, exp.Alter, exp.TruncateTable)
    try:
        parsed = [one for one in sqlglot.parse(text, read=dialect) if one is not None]
    except (sqlglot.errors.SqlglotError, RecursionError):
        return False
    if not all(isinstance(one, statement) for one in parsed):
        return False
    partial = exp.Select, exp.Update, exp.Insert
    return bool(parsed) and all(
        _whole(node, dialect) for one in parsed for node in one.find_all(*partial)
    )


def _whole(node: Any, dialect: str | None) -> bool:
    """Tells whether a statement says what it is to do: `update the docs` parses without it."""
    if node.key == "insert":
        return bool(node.expression or node.args.get("default"))
    return bool(node.expressions) or (node.key == "select" and dialect == "postgres")


@cache
def _sqlglot() -> Any:
    try:
        sqlglot: Any = import_module("sqlglot")
    except ImportError as err:
        raise FormatError(
            "the package sqlglot is not installed", hint="pip install 'llmvc[sql]'"
        ) from err
    # It logs what it cannot parse; the score says so already.
    logging.getLogger("sqlglot").setLevel(logging.CRITICAL)
    return sqlglot

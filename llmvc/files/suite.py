"""Suites: find them, and load them with their cases."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from llmvc.core import digest
from llmvc.core.canon import Json
from llmvc.core.suite import Case, Dataset, Metric, MetricKind, Scorer, Suite
from llmvc.errors import FormatError, NotFoundError
from llmvc.files import dataset, reading, scoring, sections, soundness, tree
from llmvc.files.building import shown
from llmvc.files.check import check, unknown
from llmvc.files.config import Config, matching
from llmvc.files.reading import Document, Path, Row
from llmvc.files.sources import Sources
from llmvc.files.tree import Files

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_COMMON: Final = frozenset({"name", "type", "weight"})
_IMPLIED: Final[Mapping[str, MetricKind]] = {"cost": "cost", "latency": "latency"}


@dataclass(frozen=True, slots=True)
class LoadedSuite:
    """A suite file that was read, with its cases.

    Attributes:
        suite: what it measures, by digest.
        path: where it lies, from the repository's root.
        bundle: name of the bundle that it measures.
        cases: all cases, sorted by id.
        datasets: one for each file, URI or inline list.
        data: where each dataset lay, for the report.
        folder: the suite's folder, from the repository's root; python scorers lie there.
    """

    suite: Suite
    path: str
    bundle: str
    cases: tuple[Case, ...]
    datasets: tuple[Dataset, ...]
    data: tuple[dict[str, Json], ...]
    folder: str


def find_suites(files: Files, config: Config) -> dict[str, list[str]]:
    """Returns the paths of the suites of each bundle, sorted.

    Raises:
        FormatError: a suite cannot be read or names no bundle.
    """
    found: dict[str, list[str]] = {}
    for path in matching(files, config.suites):
        document = reading.read_yaml(files.read(path), shown(files, path))
        body = document.value
        name = body.get("bundle") if isinstance(body, Mapping) else None
        if not isinstance(name, str):
            raise document.error((), "bundle is missing", hint="write bundle: and its name")
        found.setdefault(name, []).append(path)
    return dict(sorted(found.items()))


def load_suite(files: Files, path: str) -> LoadedSuite:
    """Reads a suite and its cases.

    Raises:
        NotFoundError: the suite or a file that it names is not there.
        FormatError: something in it is not valid.
    """
    try:
        data = files.read(path)
    except NotFoundError as err:
        raise NotFoundError(
            f"{shown(files, path)} is not there", hint="create it, or correct the name"
        ) from err
    document = reading.read_yaml(data, shown(files, path))
    check(document, "suite")
    body: Any = document.value
    sources = Sources(files, document, path)
    loaded = _datasets(sources, body)
    datasets = tuple(Dataset.of(cases) for cases, _ in loaded)
    scorers = tuple(_scorer(sources, item, at) for at, item in enumerate(body.get("scorers", [])))
    _check_unique(document, scorers)
    max_age = str(body.get("max_age", "24h"))
    suite = Suite(
        datasets=tuple(item.digest for item in datasets),
        scorers=scorers,
        runs=int(body.get("runs", 1)),
        metrics=tuple(
            _metric(document, name, rules, scorers) for name, rules in body["metrics"].items()
        ),
        alpha=float(body.get("alpha", 0.05)),
        looks=int(body.get("looks", 1)),
        max_age_s=int(max_age[:-1]) * _SECONDS[max_age[-1]],
        judges=tuple(digest.parse(item) for item in body.get("judges", [])),
    )
    sources.finish()
    return LoadedSuite(
        suite=suite,
        path=path,
        bundle=body["bundle"],
        cases=_all_cases(document, [cases for cases, _ in loaded]),
        datasets=datasets,
        data=tuple(
            {"dataset": item.digest, **place}
            for item, (_, place) in zip(datasets, loaded, strict=True)
        ),
        folder=path.rpartition("/")[0],
    )


_Loaded = tuple[tuple[Case, ...], dict[str, Json]]


def _datasets(sources: Sources, body: Mapping[str, Any]) -> list[_Loaded]:
    document = sources.document
    found: list[_Loaded] = []
    listed = body.get("dataset", [])
    several = isinstance(listed, list)
    for at, item in enumerate(listed if several else [listed]):
        here: Path = ("dataset", at) if several else ("dataset",)
        if isinstance(item, str):
            data = sources.read(item, here, limit=tree.MAX_BYTES)
            name = sources.shown(item)
            found.append((dataset.read_cases(data, name), {"path": sources.path_of(item)}))
        else:
            data = _fetched(document, item, here)
            cases = dataset.read_cases(data, str(item["uri"]))
            found.append((cases, {"uri": item["uri"]}))
    if "cases" in body:
        rows = [
            Row(document.line_of(("cases", at)) or 1, item) for at, item in enumerate(body["cases"])
        ]
        found.append((dataset.cases(rows, document.name), {"path": sources.path_of("")}))
    if not found:
        raise document.error((), "the suite has no cases", hint="write dataset: cases.jsonl")
    return found


def _fetched(document: Document, item: Mapping[str, Any], here: Path) -> bytes:
    """Returns the LF-normalized bytes of data outside the repository, its digest checked."""
    uri = str(item["uri"])
    parts = urlsplit(uri)
    if parts.scheme not in ("", "file") or parts.netloc not in ("", "localhost"):
        raise document.error(
            here,
            f"{uri} cannot be read by this version",
            hint="download it, and write uri: file:///path/to/the/copy.jsonl",
        )
    place = unquote(parts.path) if parts.scheme else uri
    if not place.startswith("/"):
        raise document.error(here, f"{uri} is not absolute", hint="write file:///path/data.jsonl")
    try:
        handle = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        data = tree.read_regular(handle, place).replace(b"\r\n", b"\n")
    except OSError as err:
        raise NotFoundError(
            f"{document.where(here)}: {uri} cannot be read: {err.strerror}",
            hint="get the data, or correct the uri",
        ) from err
    except FormatError as err:
        raise document.error(here, str(err), hint=err.hint) from err
    found = digest.of_bytes(data)
    if found != item["digest"]:
        raise document.error(
            here,
            f"{uri} is {digest.short(found)}, not {digest.short(str(item['digest']))}",
            hint=f"if the new data is meant, write digest: {found}",
        )
    return data


def _scorer(sources: Sources, values: Mapping[str, Any], at: int) -> Scorer:
    here: Path = ("scorers", at)
    code = None
    try:
        kind, negate = scoring.base_type(str(values["type"]))
        options = scoring.options(kind, values, _COMMON)
    except FormatError as err:
        raise sources.document.error(here, str(err), hint=err.hint) from err
    if kind == "python":
        code = sources.asset(str(options["path"]), (*here, "path"))
    if kind == "regex" and isinstance(options.get("value"), str):
        _check_regex(sources.document, str(options["value"]), (*here, "value"))
    if kind == "json-schema":
        schema = options["schema"]
        if sections.is_reference(schema) and isinstance(schema, Mapping):
            schema = sources.json(str(schema["file"]), (*here, "schema"))
        options["schema"] = schema
        soundness.check_schema(sources, (*here, "schema"), schema)
    return Scorer(
        name=str(values["name"]),
        type=kind,
        options=options,
        weight=float(values.get("weight", 1.0)),
        negate=negate,
        code=code,
    )


def _check_regex(document: Document, pattern: str, here: Path) -> None:
    try:
        re.compile(pattern)
    except re.error as err:
        raise document.error(here, f"not a regular expression: {err}") from err


def _check_unique(document: Document, scorers: tuple[Scorer, ...]) -> None:
    names: set[str] = set()
    for at, scorer in enumerate(scorers):
        if scorer.name in names:
            raise document.error(("scorers", at, "name"), f"there are two scorers {scorer.name!r}")
        names.add(scorer.name)


def _metric(
    document: Document, name: str, rules: Mapping[str, Any], scorers: tuple[Scorer, ...]
) -> Metric:
    here: Path = ("metrics", name)
    kind: MetricKind = rules.get("kind", _IMPLIED.get(name, "score"))
    used = tuple(str(item) for item in rules.get("scorers", ()))
    known = [scorer.name for scorer in scorers]
    for scorer in used:
        if scorer not in known:
            what = f"metrics.{name} names scorer {scorer!r}, which is not among scorers"
            raise document.error(here, unknown(what, scorer, known) if known else what)
    if kind == "score" and not used:
        raise document.error(here, f"metrics.{name}.scorers is missing", hint="name its scorers")
    allowed = {
        "score": {"scorers", "margin", "floor"},
        "cost": {"limit", "ceiling_usd"},
        "latency": {"limit"},
    }[kind] | {"kind", "gate"}
    for field in rules:
        if field not in allowed:
            what = f"metrics.{name}.{field} means nothing for a metric of kind {kind}"
            raise document.error((*here, field), what, hint=f"remove {field}")
    gate = bool(rules.get("gate", kind == "score" or (kind == "cost" and "limit" in rules)))
    if kind == "latency" and gate:
        raise document.error(
            (*here, "gate"),
            f"metrics.{name} cannot gate: latency is only watched in this version",
            hint="write gate: false",
        )
    needed = "margin" if kind == "score" else "limit"
    if gate and needed not in rules:
        raise document.error(
            here, f"metrics.{name}.{needed} is missing", hint=f"write {needed}:, or gate: false"
        )
    return Metric(
        name=name,
        kind=kind,
        scorers=used,
        margin=_number(rules, "margin"),
        limit=_number(rules, "limit"),
        floor=_number(rules, "floor"),
        ceiling_usd=_number(rules, "ceiling_usd"),
        gate=gate,
    )


def _number(rules: Mapping[str, Any], name: str) -> float | None:
    return float(rules[name]) if name in rules else None


def _all_cases(document: Document, datasets: list[tuple[Case, ...]]) -> tuple[Case, ...]:
    found: dict[str, Case] = {}
    for cases in datasets:
        for case in cases:
            if case.id in found:
                raise document.error(
                    ("dataset",),
                    f"case id {case.id!r} stands in two datasets",
                    hint="give each case an id of its own",
                )
            found[case.id] = case
    return tuple(found[key] for key in sorted(found))

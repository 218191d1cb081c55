"""Suites: find them, and load them with their cases."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from llmvc.core import digest, variants
from llmvc.core.bundle import Bundle
from llmvc.core.canon import Json
from llmvc.core.digest import Digest
from llmvc.core.metric import Scorer
from llmvc.core.plural import count
from llmvc.core.suite import Case, Dataset, Looks, Suite
from llmvc.errors import FormatError, NotFoundError
from llmvc.files import dataset, reading, scoring, sections, soundness, tree
from llmvc.files.building import shown
from llmvc.files.check import check
from llmvc.files.config import Config, matching
from llmvc.files.judged import Judges, Resolve
from llmvc.files.metrics import read_metrics
from llmvc.files.reading import Document, Path, Row
from llmvc.files.sources import Sources
from llmvc.files.tree import Files

_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_COMMON: Final = frozenset({"name", "type", "weight"})


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
        judges: the judge bundles that its scorers name.
    """

    suite: Suite
    path: str
    bundle: str
    cases: tuple[Case, ...]
    datasets: tuple[Dataset, ...]
    data: tuple[dict[str, Json], ...]
    folder: str
    judges: Mapping[Digest, Bundle] = field(default_factory=dict)


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


def load_suite(files: Files, path: str, *, resolve_judge: Resolve | None = None) -> LoadedSuite:
    """Reads a suite and its cases.

    Args:
        files: the tree it lies in.
        path: where it lies, from the repository's root.
        resolve_judge: finds the bundles that scorers of type judge name; without it a suite with
            such a scorer cannot be read.

    Raises:
        NotFoundError: the suite or a file that it names is not there.
        FormatError: something in it is not valid.
    """
    document = _document(files, path)
    body: Any = document.value
    sources = Sources(files, document, path)
    loaded = _datasets(sources, body)
    datasets = tuple(Dataset.of(cases) for cases, _ in loaded)
    cases = _all_cases(document, [cases for cases, _ in loaded])
    judges = Judges(document, str(body["bundle"]), resolve_judge)
    scorers = tuple(
        _scorer(sources, item, at, judges) for at, item in enumerate(body.get("scorers", []))
    )
    _check_unique(document, scorers)
    max_age, runs = str(body.get("max_age", "24h")), int(body.get("runs", 1))
    looks = _looks(document, body.get("looks", 1), runs)
    candidates = body.get("candidates", {})
    allowed = candidates if isinstance(candidates, Mapping) else {"most": candidates}
    suite = Suite(
        datasets=tuple(item.digest for item in datasets),
        scorers=scorers,
        runs=runs,
        metrics=read_metrics(document, body["metrics"], scorers, cases, runs=runs, looks=looks),
        alpha=float(body.get("alpha", 0.05)),
        looks=looks,
        max_age_s=int(max_age[:-1]) * _SECONDS[max_age[-1]],
        judges=tuple(sorted(judges.found)),
        golden=digest.parse(body["golden"]) if "golden" in body else None,
        candidates=int(allowed.get("most", 10)),
        beyond=allowed.get("beyond", "divide"),
        variants=_variants(document, body.get("variants", ()), runs, looks),
    )
    sources.finish()
    return LoadedSuite(
        suite=suite,
        path=path,
        bundle=body["bundle"],
        cases=cases,
        datasets=datasets,
        data=tuple(
            {"dataset": item.digest, **place}
            for item, (_, place) in zip(datasets, loaded, strict=True)
        ),
        folder=path.rpartition("/")[0],
        judges=judges.found,
    )


def _document(files: Files, path: str) -> Document:
    try:
        data = files.read(path)
    except NotFoundError as err:
        raise NotFoundError(
            f"{shown(files, path)} is not there", hint="create it, or correct the name"
        ) from err
    document = reading.read_yaml(data, shown(files, path))
    check(document, "suite")
    return document


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


def _scorer(sources: Sources, values: Mapping[str, Any], at: int, judges: Judges) -> Scorer:
    here: Path = ("scorers", at)
    code = None
    try:
        kind, negate = scoring.base_type(str(values["type"]))
        options = scoring.options(kind, values, _COMMON)
    except FormatError as err:
        raise sources.document.error(here, str(err), hint=err.hint) from err
    if kind == "judge":
        options = judges.options(values, here)
    if kind == "python":
        code = sources.asset(str(options["path"]), (*here, "path"))
    if kind == "regex" and isinstance(options.get("value"), str):
        _check_regex(sources.document, str(options["value"]), (*here, "value"))
    embedder = options.get("embedder")
    if isinstance(embedder, Mapping) and "path" in embedder:
        code = sources.asset(str(embedder["path"]), (*here, "embedder", "path"))
    if "schema" in options:
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


def _looks(document: Document, written: Any, runs: int) -> Looks:
    """Returns the planned looks: a number, shares of the cases or runs, or any time."""
    if written == "any-time":
        return Looks("any-time")
    if isinstance(written, int):
        return Looks("cases", (*(at / written for at in range(1, written)), 1.0))
    looks = Looks(written.get("by", "cases"), tuple(float(share) for share in written["at"]))
    if looks.at[-1] != 1.0 or any(a >= b for a, b in pairwise(looks.at)):
        raise document.error(
            ("looks", "at"),
            "looks.at does not rise to 1",
            hint="write the share of the evidence at each look, such as [0.5, 0.75, 1]",
        )
    steps = [ceil(round(share * runs, 9)) for share in looks.at]
    if looks.by == "runs":
        # Alpha is spent for what is really measured: whole runs.
        looks = Looks("runs", tuple(step / runs for step in steps))
    if looks.by == "runs" and len(set(steps)) < len(steps):
        raise document.error(
            ("looks", "at"),
            f"two looks fall on the same of {runs} runs",
            hint="plan at most one look a run",
        )
    return looks


def _variants(document: Document, written: Any, runs: int, looks: Looks) -> tuple[str, ...]:
    """Returns the spellings of the prompt; each is made with equally many runs."""
    names = variants.NAMES if written == "all" else tuple(written)
    spellings = len(names) + 1
    if runs % spellings:
        enough = spellings * ceil(runs / spellings)
        raise document.error(
            ("runs",),
            f"runs is {runs}: the prompt as written and {count(len(names), 'variant')} "
            f"are not made equally often",
            hint=f"write runs: {enough}",
        )
    if looks.by == "runs" and any(round(share * runs) % spellings for share in looks.at):
        raise document.error(
            ("looks", "at"),
            f"a look falls within a round of {spellings} spellings",
            hint=f"look after {spellings} runs or a multiple, or by cases",
        )
    return names


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

"""Anchor sets: where they lie, and what makes one worth less than it looks.

- Anchors are found again by their digest: in the file that is named, or as `anchors.jsonl` beside
  the manifest of any bundle here.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from llmvc.app.revisions import Resolved
from llmvc.app.workspace import Workspace
from llmvc.core import digest
from llmvc.core.anchors import AnchorSet
from llmvc.core.digest import Digest
from llmvc.core.judge import Rules
from llmvc.core.judging import Calibration
from llmvc.core.plural import count
from llmvc.errors import FormatError, LlmvcError, NotFoundError

ANCHORS: Final = "anchors.jsonl"
"""The file beside a manifest that is found without being named."""
LEAST: Final = 60
"""Anchors below which a check can hardly notice a change."""


def read(path: str, rules: Rules) -> AnchorSet:
    """Reads the anchors that a path typed by the user names.

    Raises:
        NotFoundError: the file is not there.
        FormatError: it is no anchor file for this judge.
    """
    from llmvc.files.anchors import read_anchors  # noqa: PLC0415 (few commands read them)

    try:
        data = Path(path).read_bytes()
    except OSError as err:
        raise NotFoundError(
            f"cannot read {path}: {err.strerror}", hint="name the file of anchors: --anchors FILE"
        ) from err
    return read_anchors(data, path, rules.grades, pairwise=rules.pairwise)


def find(ws: Workspace, wanted: Digest, rules: Rules) -> AnchorSet | None:
    """Returns the anchors of a calibration if they lie beside a manifest here; else None."""
    from llmvc.files.anchors import read_anchors  # noqa: PLC0415 (see above)

    for manifest in ws.manifests.values():
        path = "/".join((*manifest.split("/")[:-1], ANCHORS))
        try:
            found = read_anchors(ws.files.read(path), path, rules.grades, pairwise=rules.pairwise)
        except LlmvcError:
            continue  # there are none, or those of another judge
        if found.digest == wanted:
            return found
    return None


def of(ws: Workspace, made: Calibration, rules: Rules, path: str | None) -> AnchorSet:
    """Returns the anchors that a judge was calibrated on.

    Args:
        ws: the workspace.
        made: the calibration, which names them by their digest.
        rules: of the judge.
        path: where they lie; None to look beside the manifests.

    Raises:
        NotFoundError: they are not there.
        FormatError: the file holds others.
    """
    short = digest.short(made.anchors)
    if path is None:
        found = find(ws, made.anchors, rules)
        if found is None:
            raise NotFoundError(
                f"the anchors {short} of the calibration are beside no manifest as {ANCHORS}",
                hint="name their file: --anchors FILE; or calibrate again",
            )
        return found
    found = read(path, rules)
    if found.digest != made.anchors:
        raise FormatError(
            f"{path} holds anchors {digest.short(found.digest)}, "
            f"the judge was calibrated on {short}",
            hint="bring that file back, or calibrate on this one: llmvc judge calibrate",
        )
    return found


def lint(ws: Workspace, found: Resolved, anchors: AnchorSet) -> tuple[str, ...]:
    """Says what makes a calibration on these anchors worth less than it looks."""
    return tuple(_notes(ws, found, anchors))


def _notes(ws: Workspace, found: Resolved, anchors: AnchorSet) -> Iterator[str]:
    listed = anchors.anchors
    if len(listed) < LEAST:
        yield f"{count(len(listed), 'anchor')}: fewer than {LEAST} hardly show a changed judge"
    twice = sum(len(one.labels) > 1 for one in listed)
    if not twice:
        yield "every answer has one rater: nobody knows how far people agree among themselves"
    normal = [one for one in listed if one.kind == "normal"]
    if len({grade for one in normal for grade in one.labels.values()}) < 2:
        yield "all normal anchors have one label: a judge that always says it would look perfect"
    if not any(one.kind == "adversarial" for one in listed):
        yield "no adversarial anchor: nobody knows whether an answer can talk the judge round"
    shown = "\n".join(_examples(found))
    known = sum(bool(one.output.strip()) and one.output in shown for one in listed)
    if known:
        yield f"{count(known, 'anchor')} among the judge's own examples: it has seen the answer"
    inputs = {digest.of_value(one.vars) for one in listed if one.vars}
    shared = len(inputs & _measured(ws, found.bundle.digest))
    if shared:
        cases = "case is" if shared == 1 else "cases are"
        yield f"{shared} {cases} in a dataset that this judge grades as well"


def _examples(found: Resolved) -> Iterator[str]:
    """Yields the texts of the examples that a judge is shown."""
    few_shot = found.bundle.body.get("few_shot")
    examples = few_shot.get("examples") if isinstance(few_shot, Mapping) else None
    for example in examples if isinstance(examples, list) else ():
        own = example.get("vars") if isinstance(example, Mapping) else None
        yield from (str(text) for text in (own.values() if isinstance(own, Mapping) else ()))


def _measured(ws: Workspace, judge: Digest) -> set[Digest]:
    """Returns the inputs of all cases that a judge grades by a suite of this working tree."""
    from llmvc.files.suite import find_suites  # noqa: PLC0415 (with YAML, when it is needed)

    found: set[Digest] = set()
    for bundle, paths in find_suites(ws.files, ws.config).items():
        for path in paths:
            try:
                loaded = ws.suite_of(bundle, str(ws.root / path))
            except LlmvcError:
                continue  # a suite that cannot be read says so when it is used
            if judge in loaded.judges:
                found |= {
                    digest.of_value(vars_)
                    for case in loaded.cases
                    for vars_ in (case.vars, {**case.vars, "expected": case.expected})
                }
    return found

"""What several reports on one question say of a judge, united.

- The result depends on what the reports say, and on no order of them.
- The newest calibration counts, and under one calibration the worse state; to know nothing of a
  judge is no state that could win over one. A judge that was ever retired stays so.
- A suspect judge for whom somebody answered that no trusted one knows stays suspect: grades of both
  are among the united ones.
- All labels count: a case that was labelled twice has the mean of what differs.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from llmvc.core import canon
from llmvc.core.judging import RETIRED, STATES, SUSPECT, TRUSTED, Evidence, identities_of
from llmvc.errors import FormatError

Pair = tuple[float | None, float]


def judges(said: Iterable[Mapping[str, canon.Json]]) -> dict[str, canon.Json]:
    """Unites what the leaves of a merged report say, `Report.judges`.

    What cannot be read is kept as it is, so that the gate refuses it.
    """
    found: dict[str, dict[bytes, canon.Json]] = {}
    for one in said:
        for judge, value in one.items():
            found.setdefault(judge, {})[canon.encode(value)] = value
    return {
        judge: _united([value for _, value in sorted(values.items())])
        for judge, values in sorted(found.items())
    }


def _united(values: Sequence[canon.Json]) -> canon.Json:
    read: list[Evidence] = []
    for value in values:
        try:
            read.append(Evidence.from_dict(value))
        except FormatError:
            return value
    # Values are sorted by their bytes: of equals the first one is always the same.
    best = max(read, key=_rank)
    if best.state == TRUSTED:
        known = {who for one in read if one.state == TRUSTED for who in one.identities}
        others = (one for one in read if one.state == SUSPECT and set(one.identities) - known)
        best = max(others, key=_rank, default=best)
    most = max(read, key=lambda one: (one.graded, one.flips))
    spent = [one.usd for one in read if one.usd is not None]
    return replace(
        best,
        scorers=_all(one.scorers for one in read),
        why=_all(one.why for one in read if _rank(one) == _rank(best)),
        identities=identities_of(who for one in read for who in one.identities),
        flips=most.flips,
        graded=most.graded,
        flagged=max(one.flagged for one in read),
        usd=max(spent, default=None),
        migration=any(one.migration for one in read),
        same_family=any(one.same_family for one in read),
        length_control=any(one.length_control for one in read),
        warnings=_all(one.warnings for one in read),
        labels=labels(one.labels for one in read),
    ).to_dict()


def _rank(one: Evidence) -> tuple[bool, str, int]:
    return one.state == RETIRED, one.calibrated or "", STATES.index(one.state)


def _all(listed: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(sorted({item for items in listed for item in items}))


def labels(
    listed: Iterable[Mapping[str, Mapping[str, Pair]]],
) -> dict[str, dict[str, Pair]]:
    """Unites people's labels: scorer -> case id -> (baseline's score, candidate's)."""
    found: dict[str, dict[str, set[Pair]]] = {}
    for one in listed:
        for scorer, cases in one.items():
            for case, pair in cases.items():
                found.setdefault(scorer, {}).setdefault(case, set()).add(pair)
    return {
        scorer: {case: _mean(pairs) for case, pairs in sorted(cases.items())}
        for scorer, cases in sorted(found.items())
    }


def _mean(pairs: Iterable[Pair]) -> Pair:
    old = [one for one, _ in pairs if one is not None]
    return (fmean(sorted(old)) if old else None, fmean(sorted(new for _, new in pairs)))

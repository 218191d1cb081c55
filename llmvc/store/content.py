"""What the files of a release must say, beyond being those that its record names.

Each function takes a release, the one before it if there is one, and the file. Each kind of record
is loaded where one is met, so that a rollback waits for none.
"""

from llmvc.core import canary as canaries
from llmvc.core.policy import Policy
from llmvc.core.release import Release


def vouched(release: Release, _: Release | None, data: bytes) -> str | None:
    """Returns what is wrong with the calibration that a judge's release rests on."""
    from llmvc.core.judging import Calibration  # noqa: PLC0415 (see the module's first lines)

    found = Calibration.from_bytes(data)
    if found.judge != release.to or not found.admitted:
        return "the calibration does not admit the judge that is released"
    return None


def carried(release: Release, _: Release | None, data: bytes) -> str | None:
    """Returns what is wrong with the migration that a release carries."""
    from llmvc.core.migration import Migration  # noqa: PLC0415 (see the module's first lines)

    found = Migration.from_bytes(data)
    if release.report is None or not found.about(release.from_, release.to, release.report):
        return "its migration.json is about other bundles, or another report"
    return None


def analysed(release: Release, parent: Release | None, data: bytes) -> str | None:
    """Returns what is wrong with the analysis that a move of a canary rests on.

    All other kinds rest on something else, with which nothing is wrong here.
    """
    if release.kind not in canaries.KINDS or release.kind == "start":
        return None
    from llmvc.core.analysis import Analysis, mistake  # noqa: PLC0415 (see the module's first lines)

    found = Analysis.from_bytes(data)
    if (found.release, found.seq) != (release.previous, release.seq - 1):
        return "the analysis is of another release than the one before"
    wrong = mistake(found, parent) if parent else None
    if wrong:
        return f"the analysis does not hold: {wrong}"
    if release.kind in ("step", "close") and found.verdict != "pass":
        return f"the analysis says {found.verdict}"
    return None


def governed(release: Release, _: Release | None, data: bytes) -> str | None:
    """Returns what a release does that its own policy does not let it."""
    policy = Policy.from_bytes(data)
    if release.kind == "rollback" and release.target is None and release.to != policy.safe:
        return "the rollback goes to neither a release nor the safe version"
    if release.canary is not None and release.canary.of != policy.canary_of:
        return f"its policy says canary of {policy.canary_of}, its canary of {release.canary.of}"
    return None

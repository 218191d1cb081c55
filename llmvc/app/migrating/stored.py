"""Stored records of migrations: filed under candidate and report, found by what a release does."""

from typing import Final

from llmvc.app.workspace import Workspace
from llmvc.core.digest import Digest
from llmvc.core.migration import Migration, newest

# Canonical JSON spells it just so; other things are said of a bundle, too.
_MARK: Final = f'"llmvc":"{Migration.TYPE}"'.encode("ascii")


def keep(ws: Workspace, record: Migration) -> None:
    """Puts a record into the store."""
    data = record.to_bytes()
    keys = [key for key in (record.to, record.report) if key is not None]
    ws.repo.versions.add(
        objects=[data],
        about=[(key, data) for key in keys],
        subject=f"{record.bundle}: migration to {record.models.to} says {record.verdict}",
        trailers={"Llmvc-Migration": record.digest, "Llmvc-Bundle": record.to},
        author=ws.actor,
        time=ws.now(),
    )


def find(ws: Workspace, from_: Digest | None, to: Digest, suite: Digest | None) -> Migration | None:
    """Returns the newest stored record about a pair of bundles and a suite; None without one.

    Its report may be an earlier one on the same question: labels by people make another.
    """
    return newest(
        record
        for data in ws.repo.versions.about(to)
        if _MARK in data
        for record in (Migration.from_bytes(data),)
        if (record.from_, record.to, record.suite) == (from_, to, suite)
    )

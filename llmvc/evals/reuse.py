"""Which finished runs of the cache an eval may rest on.

- The candidate's runs count whatever their age while the baseline's stand beside them; where a
  baseline is run again, old runs of the candidate are too.
- The baseline's count only within the suite's `max_age`, and only if the same model and fingerprint
  answered them as answers the candidate now; else a change at the provider would look like a
  change of the bundle.
- An application with edits that are not committed has no identity, so nothing of it is reused.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from llmvc.core.suite import Suite
from llmvc.evals.plan import ArmCase, Plan
from llmvc.evals.providers.base import Answer
from llmvc.evals.runs import Entry, Ledger, RunCache

if TYPE_CHECKING:
    from llmvc.core.digest import Digest

Identity = tuple[str | None, str | None]


class Reuse:
    """The cached runs of a plan that count, and the ledgers that take the new ones.

    Args:
        plan: the calls.
        suite: what is measured by.
        cache: where finished runs are kept.
        now: the clock.
        fresh: whether nothing counts.
        outcomes: (ledger, key) -> run in which the application failed; no cache keeps those, but
            the shards that an eval was put together from do.
    """

    def __init__(
        self,
        plan: Plan,
        suite: Suite,
        cache: RunCache,
        *,
        now: Callable[[], datetime],
        fresh: bool,
        outcomes: "Mapping[tuple[str, Digest], Entry] | None" = None,
    ) -> None:
        self._plan = plan
        self.ledgers: dict[str, Ledger] = {}
        self._entries: dict[str, dict[Digest, Entry]] = {}
        oldest = now() - timedelta(seconds=suite.max_age_s)
        for at, arm in enumerate(plan.arms):
            ledger = cache.ledger(arm.bundle.digest, arm.connection)
            self.ledgers[arm.name] = ledger
            entries: dict[Digest, Entry] = {}
            if arm.reusable and not fresh:
                keys = [key for arms in plan.cases for key in arms[at].keys]
                ledger.load(frozenset(keys))
                found = ((key, ledger.find(key)) for key in keys)
                entries = {key: entry for key, entry in found if entry is not None}
                failed = outcomes or {}
                known = ((key, failed.get((ledger.name, key))) for key in keys if failed)
                entries = {key: entry for key, entry in known if entry is not None} | entries
            self._entries[arm.name] = entries
        self._drop_older(oldest)

    def _drop_older(self, oldest: datetime) -> None:
        """Drops the baseline's old runs, and the candidate's where the baseline runs again now.

        Runs of today beside runs of last month would show what changed at the provider.
        """
        if "baseline" not in self._entries:
            return
        for name in ("baseline", "candidate"):
            entries = self._entries[name]
            self._entries[name] = {k: e for k, e in entries.items() if not _older(e, oldest)}
            if name == "baseline" and all(
                one.keys[run] in self._entries[name]
                for one, run in self._plan.calls()
                if one.arm.name == name
            ):
                return

    def find(self, one: ArmCase, run: int) -> Entry | None:
        """Returns the cached run that counts; None if the call has to be made."""
        return self._entries[one.arm.name].get(one.keys[run])

    def missing(self, look: int | None = None) -> Iterator[tuple[ArmCase, int]]:
        """Yields the calls to make, in the plan's order; those of one look, or of all."""
        return ((one, run) for one, run in self._plan.calls(look) if self.find(one, run) is None)

    def count(self) -> int:
        """Counts the cached runs that count."""
        return sum(len(entries) for entries in self._entries.values())

    def answers(self, arm: str) -> Iterable[Answer]:
        """Returns the cached answers of one arm that count."""
        return [entry.answer for entry in self._entries.get(arm, {}).values()]

    def probe(self, look: int) -> tuple[ArmCase, int] | None:
        """Returns the candidate's call that tells who answers now; None if nobody needs to know.

        It is needed if baseline runs are to be reused, the arms share connection and model, and a
        run of the candidate has to be made for this look at all.
        """
        if not self._comparable():
            return None
        return next((call for call in self.missing(look) if call[0].arm.name == "candidate"), None)

    def settle(self, seen: frozenset[Identity]) -> None:
        """Drops the baseline's runs that another model or fingerprint answered.

        Args:
            seen: who answers the candidate; empty if nobody knows.
        """
        if not seen or not self._comparable():
            return
        entries = self._entries["baseline"]
        self._entries["baseline"] = {
            key: entry for key, entry in entries.items() if identity(entry.answer) in seen
        }

    def _comparable(self) -> bool:
        if not self._entries.get("baseline"):
            return False
        arms = {arm.name: arm for arm in self._plan.arms}
        candidate, baseline = arms["candidate"], arms["baseline"]
        return candidate.connection == baseline.connection and candidate.model == baseline.model


def identity(answer: Answer) -> Identity:
    """Returns who answered, as far as it says."""
    return answer.model, answer.fingerprint


def _older(entry: Entry, oldest: datetime) -> bool:
    return entry.answer.time is None or datetime.fromisoformat(entry.answer.time) < oldest

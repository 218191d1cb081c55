"""Cases drawn at random, and the runs of each split at random into two halves.

- Groups are drawn whole and with replacement, so that a drawn suite is to these cases what these
  cases are to others. A case that is drawn twice is two cases, each with a split of its own.
- A half has k // 2 of a case's k runs: where k is odd, one run, another each time, is left over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from llmvc.core.report import CaseRuns, Run

Values: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
_Indices: TypeAlias = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """One draw.

    Attributes:
        at: number of each drawn case among the cases given, shape (drawn,).
        copies: number of each drawn case's group among the groups drawn.
        order: each case's runs in random order, shape (drawn, most runs of a case).
        half: runs in a half, shape (drawn,).
    """

    at: _Indices
    copies: Sequence[int]
    order: _Indices
    half: _Indices

    def cases(self, given: Sequence[CaseRuns]) -> list[CaseRuns]:
        """Returns the drawn cases: of each the first half as baseline, the second as candidate."""
        return [
            CaseRuns(
                case.id,
                None if case.group is None else str(copy),
                tuple([case.candidate[run] for run in order[half : 2 * half]]),
                tuple([case.candidate[run] for run in order[:half]]),
                case.tags,
            )
            for case, copy, order, half in zip(
                [given[at] for at in self.at.tolist()],
                self.copies,
                self.order.tolist(),
                self.half.tolist(),
                strict=True,
            )
        ]

    def with_candidate(
        self, cases: Sequence[CaseRuns], runs: Sequence[tuple[Run, ...]], hit: Flags
    ) -> list[CaseRuns]:
        """Returns the drawn cases with other runs for the candidate where it is hit.

        Args:
            cases: what `cases` returned.
            runs: the other runs of each case given, in the same order as its own.
            hit: which of the drawn cases are hit, shape (drawn,).
        """
        changed = list(cases)
        for place in np.flatnonzero(hit).tolist():
            case, half, others = cases[place], int(self.half[place]), runs[int(self.at[place])]
            ours = tuple([others[run] for run in self.order[place, half : 2 * half].tolist()])
            changed[place] = CaseRuns(case.id, case.group, ours, case.baseline, case.tags)
        return changed

    def single(self, values: Values) -> tuple[Values, Values]:
        """Returns the value of one run of each half, baseline first, each of shape (drawn,).

        Args:
            values: one a run, shape (cases given, most runs of a case).
        """
        rows = np.arange(len(self.at))
        firsts = self.order[:, 0], self.order[rows, self.half]
        return values[self.at, firsts[0]], values[self.at, firsts[1]]


@dataclass(frozen=True, slots=True, eq=False)
class Halves:
    """What is drawn from.

    Attributes:
        members: numbers of the cases in each group; a case without a group is one.
        runs: runs of each case, shape (cases,).
    """

    members: tuple[tuple[int, ...], ...]
    runs: _Indices

    @classmethod
    def of(cls, cases: Sequence[CaseRuns]) -> "Halves":
        """Reads groups and numbers of the candidate's runs."""
        groups: dict[str | int, list[int]] = {}
        for at, case in enumerate(cases):
            groups.setdefault(at if case.group is None else case.group, []).append(at)
        runs = np.array([len(case.candidate) for case in cases], dtype=np.intp)
        return cls(tuple(map(tuple, groups.values())), runs)

    def draw(self, rng: np.random.Generator) -> Draw:
        """Draws as many groups as there are, and splits the runs of their cases."""
        picked = rng.integers(len(self.members), size=len(self.members)).tolist()
        found = [(case, copy) for copy, group in enumerate(picked) for case in self.members[group]]
        at = np.array([case for case, _ in found], dtype=np.intp)
        runs = self.runs[at]
        keys = rng.random((len(at), int(self.runs.max())))
        keys[np.arange(keys.shape[1]) >= runs[:, None]] = np.inf
        return Draw(at, [copy for _, copy in found], np.argsort(keys, axis=1), runs // 2)

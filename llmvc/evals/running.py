"""What an eval shows of itself on the way: the interval of one score, never a verdict.

- It is read as often as somebody looks, so that its error rate is not the suite's: it decides
  nothing, and no report holds it.
- Nothing is loaded for it: it waits until what the report needs anyway is there.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace

from llmvc.core.estimate import Estimate
from llmvc.core.report import CaseRuns
from llmvc.core.suite import Suite

_LEAST_CASES = 10


class FirstScore:
    """The first gating score of a suite on the cases that are complete.

    Args:
        suite: what is measured by.
    """

    def __init__(self, suite: Suite) -> None:
        scores = [one for one in suite.metrics if one.gate and one.kind == "score"]
        self._suite = replace(suite, metrics=tuple(scores[:1]))

    def __call__(self, cases: Sequence[CaseRuns]) -> Estimate | None:
        """Returns the estimate; None while there are few cases, or if there is no such score."""
        if "llmvc.evals.reports" not in sys.modules or len(cases) < _LEAST_CASES:
            return None
        from llmvc.evals.estimates import Design  # noqa: PLC0415 (loaded by then)
        from llmvc.evals.summary import summarize  # noqa: PLC0415

        design = Design(self._suite.alpha, describe=False)
        return next(iter(summarize(cases, self._suite, design)), None)

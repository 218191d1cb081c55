"""One simulated suite at a time, reduced to case means: tests/stats/simulations for a single draw."""

from tests.stats.simulations import suites
from tests.stats.simulations.suites import MEAN

__all__ = ["MEAN", "Cell"]


class Cell(suites.Cell):
    """A design of section 4 whose draws are case means, shape (cases,)."""

    def draw(self, rng, drop):
        """Returns the case means of baseline and candidate; the true mean is `drop` lower."""
        return tuple(arm[0].mean(axis=1) for arm in super().draw(rng, drop, 1))

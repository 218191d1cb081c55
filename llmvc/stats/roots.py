"""Where a statistic that falls crosses its critical value."""

from collections.abc import Callable
from math import inf, sqrt
from typing import Final

_CLOSE: Final = 1e-12


def crossing(f: Callable[[float], float], low: float, high: float) -> float:
    """Returns where the falling function `f` crosses 0 between `low` and `high`, to 1e-12.

    Args:
        f: falls, is positive at `low` and not at `high`; finite at both.
        low: left end.
        high: right end.

    Source: C. J. F. Ridders, IEEE Transactions on Circuits and Systems 26 (1979), 979-980.
    """
    at_low, at_high, last = f(low), f(high), inf
    while True:
        middle = (low + high) / 2
        at_middle = f(middle)
        root = sqrt(at_middle * at_middle - at_low * at_high)
        if not root:
            return middle
        new = middle + (middle - low) * at_middle / root
        if abs(new - last) <= _CLOSE or high - low <= _CLOSE:
            return new
        at_new, last = f(new), new
        for point, value in sorted(((middle, at_middle), (new, at_new))):
            if value > 0 and point > low:
                low, at_low = point, value
            elif value <= 0 and point < high:
                high, at_high = point, value

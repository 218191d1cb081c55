"""Several tests at once: which of them still count.

Both take names with p-values that are divided by each test's own level, so that 1 is the border.
"""

from collections.abc import Mapping


def holm(family: Mapping[str, float]) -> frozenset[str]:
    """Returns the names rejected by Holm's step-down procedure: any error at all is held.

    Args:
        family: name -> p divided by that test's own level.

    Source: S. Holm, Scandinavian Journal of Statistics 6 (1979), 65-70.
    """
    rejected: set[str] = set()
    for at, (name, share) in enumerate(sorted(family.items(), key=lambda item: item[1])):
        if share * (len(family) - at) >= 1.0:
            break
        rejected.add(name)
    return frozenset(rejected)


def benjamini_hochberg(family: Mapping[str, float]) -> frozenset[str]:
    """Returns the names rejected by the step-up procedure: the share of errors is held.

    Args:
        family: name -> p divided by that test's own level.

    Source: Y. Benjamini and Y. Hochberg, JRSS B 57 (1995), 289-300.
    """
    ordered = sorted(family.items(), key=lambda item: item[1])
    last = max(
        (rank for rank, (_, share) in enumerate(ordered, 1) if share * len(ordered) < rank),
        default=0,
    )
    return frozenset(name for name, _ in ordered[:last])

"""The few special functions that every gate needs, from `math` alone.

- `scipy.special` takes a quarter of a second to import, as long as a gate on 10,000 cases itself;
  it is left to what is rare or only planned.
- They agree with scipy's to a relative error of 1e-11.
"""

from collections.abc import Callable
from math import erfc, exp, inf, isinf, lgamma, log, log1p, nan, pi, sqrt
from typing import Final

_TINY: Final = 1e-300
_CLOSE: Final = 1e-16
_MOST: Final = 100_000
_STEPS: Final = 60
_LARGE: Final = 10_000
_SERIES_FROM: Final = 30.0
_SERIES: Final = (-1 / 8, 1 / 192, -1 / 640, 17 / 14336)


def student_tail(t: float, df: float) -> float:
    """Returns the probability that Student's t is at most `t`.

    Args:
        t: any number, infinite ones included.
        df: degrees of freedom, at least 1.
    """
    square = t * t / df
    if not square:
        return 0.5
    if isinf(square):
        return float(t > 0)
    tail = _beta_share(df / 2, square) / 2
    return 1.0 - tail if t > 0 else tail


def student_quantile(level: float, df: float) -> float:
    """Returns the value that Student's t is at most with probability `level`.

    Args:
        level: in (0, 1).
        df: degrees of freedom, at least 1; NaN below.
    """
    if not df >= 1:
        return nan
    if level < 0.5:
        return -student_quantile(1.0 - level, df)
    tail = 1.0 - level
    low, high = 0.0, 1.0
    while student_tail(-high, df) > tail:
        low, high = high, 2.0 * high
    return _falling(
        lambda t: student_tail(-t, df) - tail, lambda t: _student_density(t, df), low, high
    )


def normal_tail(z: float) -> float:
    """Returns the probability that a standard normal variable is at most `z`."""
    return erfc(-z / sqrt(2.0)) / 2


def binomial_half(most: int, n: int) -> float:
    """Returns the probability of at most `most` heads in `n` fair throws.

    Exactly rounded for up to 10,000 throws, beyond which whole numbers take too long.
    """
    if n > _LARGE:
        from scipy.special import bdtr  # noqa: PLC0415 (250 ms, paid by few)

        return float(bdtr(most, n, 0.5)) if most >= 0 else 0.0
    term = total = 1 if most >= 0 else 0
    for heads in range(most):
        term = term * (n - heads) // (heads + 1)
        total += term
    return total / (1 << n)


def _beta_share(a: float, square: float) -> float:
    """Returns the incomplete beta function I_x(a, 1/2) at x = 1 / (1 + square)."""
    x, rest = 1.0 / (1.0 + square), square / (1.0 + square)
    front = exp(-a * log1p(square) + log(rest) / 2 + _log_gamma_ratio(a)) / sqrt(pi)
    if x < (a + 1.0) / (a + 2.5):
        return front * _fraction(a, 0.5, x) / a
    return 1.0 - 2.0 * front * _fraction(0.5, a, rest)


def _log_gamma_ratio(a: float) -> float:
    """Returns log(gamma(a + 1/2) / gamma(a)); a difference of two large logarithms is too rough."""
    if a < _SERIES_FROM:
        return lgamma(a + 0.5) - lgamma(a)
    return log(a) / 2 + sum(part / a ** (2 * at + 1) for at, part in enumerate(_SERIES))


def _fraction(a: float, b: float, x: float) -> float:
    """Returns the continued fraction of the incomplete beta function (DLMF 8.17.22).

    Evaluated after W. J. Lentz, Applied Optics 15 (1976), 668-671.
    """
    c, d = 1.0, 1.0 / _away(1.0 - (a + b) * x / (a + 1.0))
    found = d
    for m in range(1, _MOST):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        for part in (even, odd):
            d = 1.0 / _away(1.0 + part * d)
            c = _away(1.0 + part / c)
            found *= c * d
        if abs(c * d - 1.0) <= _CLOSE:
            break
    return found


def _away(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def _student_density(t: float, df: float) -> float:
    return exp(_log_gamma_ratio(df / 2) - (df + 1) / 2 * log1p(t * t / df)) / sqrt(df * pi)


def _falling(
    f: Callable[[float], float], density: Callable[[float], float], low: float, high: float
) -> float:
    """Returns where a function that falls by `density` is 0, by Newton's method in a bracket."""
    at, last = (low + high) / 2, inf
    for _ in range(_STEPS):
        value = f(at)
        low, high = (at, high) if value > 0 else (low, at)
        last, step = at, at + value / density(at)
        at = step if low <= step <= high else (low + high) / 2
        if abs(at - last) <= 1e-15 * at:
            break
    return at

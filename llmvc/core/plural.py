"""Numbers with their nouns."""


def count(n: int, noun: str) -> str:
    """Returns `1 run`, `2 runs`."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"

"""Numbers with their nouns."""


def count(n: int, noun: str) -> str:
    """Returns `1 run`, `2 runs`, `2 processes`."""
    return f"{n:,} {noun}{'' if n == 1 else 'es' if noun.endswith('s') else 's'}"

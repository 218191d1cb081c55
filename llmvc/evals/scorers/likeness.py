"""Scorers that say how like the output is to a reference text.

- Several references may be given; the best counts, but for BLEU, which is defined for several.
- Without a threshold the likeness itself is the score, which tells more than pass or fail.
- ROUGE counts words without case and punctuation. BLEU and GLEU split words and punctuation as
  WMT's evaluations do (`13a`), and mind case unless `ignore_case` is set.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import exp, log
from typing import Final

from llmvc.errors import FormatError
from llmvc.evals.providers.base import Answer
from llmvc.evals.scorers.options import Options, Rule

_Tokens = tuple[str, ...]

_ORDER: Final = 4
_WORD: Final = re.compile(r"[^\W_]+")
_ENTITIES: Final = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
# The rules of the tokenizer `mteval-v13a`, in its order.
_SPLITS: Final = (
    (re.compile(r"([\{-\~\[-\` -\&\(-\+\:-\@\/])"), r" \1 "),
    (re.compile(r"([^0-9])([\.,])"), r"\1 \2 "),
    (re.compile(r"([\.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
)


def levenshtein(options: Options, answer: Answer) -> float:
    """Scores how few edits of one character lead from the output to the reference.

    The score is 1 - edits / length of the longer text. With `threshold` it is 1 for at most so many
    edits, with `similarity` for at least such a score, and else 0.
    """
    from rapidfuzz.distance import Levenshtein  # noqa: PLC0415 (only suites that use it pay)

    output, fold = answer.output or "", options.flag("ignore_case")
    most, least = options.number("threshold"), options.number("similarity")
    output = output.casefold() if fold else output
    references = [text.casefold() if fold else text for text in options.references()]
    if most is not None:
        return float(min(Levenshtein.distance(output, text) for text in references) <= most)
    found = max(Levenshtein.normalized_similarity(output, text) for text in references)
    return found if least is None else float(found >= least)


def rouge_n(options: Options, answer: Answer) -> float:
    """Scores the shared runs of `n` words, by default one (Lin 2004)."""
    order = options.number("n")
    order = 1 if order is None else order
    if order not in range(1, 10):
        raise FormatError(f"n is {order:g}, not a whole number from 1 to 9")
    found = _ngrams(_words(answer.output or ""), int(order))
    return max(
        _measure(options, (found & wanted).total(), found.total(), wanted.total())
        for text in options.references()
        for wanted in (_ngrams(_words(text), int(order)),)
    )


def rouge_l(options: Options, answer: Answer) -> float:
    """Scores the longest common subsequence of words (Lin 2004)."""
    from rapidfuzz.distance import LCSseq  # noqa: PLC0415 (only suites that use it pay)

    found = _words(answer.output or "")
    return max(
        _measure(options, LCSseq.similarity(found, wanted), len(found), len(wanted))
        for text in options.references()
        for wanted in (_words(text),)
    )


def bleu(options: Options, answer: Answer) -> float:
    """Scores by sentence BLEU (Papineni 2002) as sacreBLEU computes it.

    Runs of up to 4 tokens, zero counts smoothed exponentially, longer runs than the output has left
    out, brevity penalty against the reference of the closest length.
    """
    found, references = _token_lists(options, answer)
    if not found:
        return 0.0
    logs: list[float] = []
    doubled = 1.0
    for order in range(1, min(_ORDER, len(found)) + 1):
        counts = _ngrams(found, order)
        most: Counter[_Tokens] = Counter()
        for tokens in references:
            most |= _ngrams(tokens, order)
        shared = (counts & most).total()
        if not shared:
            if order == 1:
                return 0.0
            doubled *= 2
        logs.append(log((shared or 1 / doubled) / counts.total()))
    closest = min((abs(len(tokens) - len(found)), len(tokens)) for tokens in references)[1]
    penalty = min(0.0, 1 - closest / len(found))
    return min(1.0, exp(penalty + sum(logs) / len(logs)))


def gleu(options: Options, answer: Answer) -> float:
    """Scores the smaller of precision and recall of runs of up to 4 tokens (Wu 2016)."""
    found, references = _token_lists(options, answer)
    counts = _ngrams_up_to(found)
    best = 0.0
    for tokens in references:
        wanted = _ngrams_up_to(tokens)
        larger = max(counts.total(), wanted.total())
        best = max(best, (counts & wanted).total() / larger if larger else 0.0)
    return best


def _measure(options: Options, shared: int, found: int, wanted: int) -> float:
    """Returns F1, recall or precision; two texts without a word share nothing."""
    kind = options.one_of("measure", ("f1", "recall", "precision"))
    if not shared:
        return 0.0
    if kind == "f1":
        return 2 * shared / (found + wanted)
    return shared / (wanted if kind == "recall" else found)


def _token_lists(options: Options, answer: Answer) -> tuple[_Tokens, list[_Tokens]]:
    fold = options.flag("ignore_case")
    texts = (answer.output or "", *options.references())
    found, *references = (_tokens(text.casefold() if fold else text) for text in texts)
    return found, references


@lru_cache(maxsize=256)
def _words(text: str) -> _Tokens:
    return tuple(_WORD.findall(text.lower()))


@lru_cache(maxsize=256)
def _tokens(text: str) -> _Tokens:
    line = text.replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for written, meant in _ENTITIES:
        line = line.replace(written, meant)
    line = f" {line} "
    for pattern, parted in _SPLITS:
        line = pattern.sub(parted, line)
    return tuple(line.split())


def _ngrams(tokens: Sequence[str], order: int) -> Counter[_Tokens]:
    return Counter(tuple(tokens[at : at + order]) for at in range(len(tokens) - order + 1))


def _ngrams_up_to(tokens: Sequence[str]) -> Counter[_Tokens]:
    total: Counter[_Tokens] = Counter()
    for order in range(1, _ORDER + 1):
        total.update(_ngrams(tokens, order))
    return total


RULES: Final[Mapping[str, Rule]] = {
    "levenshtein": levenshtein,
    "rouge-n": rouge_n,
    "rouge-l": rouge_l,
    "bleu": bleu,
    "gleu": gleu,
}

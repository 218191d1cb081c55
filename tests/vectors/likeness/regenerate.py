"""Fills in what the libraries that others use make of each pair of texts.

Run `python tests/vectors/likeness/regenerate.py` where sacrebleu 2.6, rouge-score 0.1.2, nltk 3.10
and rapidfuzz 3.14 are installed, then read the diff. The pairs in `pairs.json` are written by hand.

- BLEU: `sacrebleu.sentence_bleu`, which is cut at 4 words, with `effective_order`.
- ROUGE: `rouge_score` without its stemmer; it drops letters beyond a to z, so pairs here are ASCII.
- GLEU: `nltk.translate.gleu_score` on sacreBLEU's `13a` tokens.
"""

import json
from pathlib import Path

from nltk.translate.gleu_score import sentence_gleu
from rapidfuzz.distance import Levenshtein
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

PATH = Path(__file__).parent / "pairs.json"
ROUGES = ("rouge1", "rouge2", "rougeL")


def expected(pair: dict) -> dict:
    """Returns what the libraries say of one output and its references."""
    output, references = pair["output"], pair["references"]
    tokens = Tokenizer13a()
    bleu = BLEU(effective_order=True).sentence_score(output, references).score / 100
    gleu = sentence_gleu([tokens(text).split() for text in references], tokens(output).split())
    scorer = RougeScorer(ROUGES, use_stemmer=False)
    rouge = dict.fromkeys(ROUGES, 0.0)
    recall = 0.0
    for text in references:
        found = scorer.score(text, output)
        rouge = {name: max(rouge[name], found[name].fmeasure) for name in ROUGES}
        recall = max(recall, found["rouge1"].recall)
    return {
        "bleu": round(bleu, 10),
        "gleu": round(gleu, 10),
        **{name: round(value, 10) for name, value in rouge.items()},
        "rouge1_recall": round(recall, 10),
        "edits": min(Levenshtein.distance(output, text) for text in references),
    }


if __name__ == "__main__":
    pairs = json.loads(PATH.read_text(encoding="utf-8"))
    for pair in pairs:
        pair["expect"] = expected(pair)
    PATH.write_text(json.dumps(pairs, indent=1) + "\n", encoding="utf-8")

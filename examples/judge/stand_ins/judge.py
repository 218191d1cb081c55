"""Grades replies instead of a model: a stand-in, so that the example costs nothing.

It looks for words that promise a next step, misses some as a middling model does, and now and then
one at random. The file `snapshot` beside it says what answers behind its name: with `2` in it, the
judge likes kind words, as if the provider had changed the model and told nobody.
"""

import hashlib
import re
from pathlib import Path

REPLY = re.compile(r"<<<output (\w+)>>>\n(.*?)\n<<<end of output \1>>>", re.DOTALL)
STEP = re.compile(
    r"\b(tap|hold|open (it|settings|payment)|reply (with|from|and)"
    r"|please (send|switch|hand|leave|look|open)|today|tonight|tomorrow"
    r"|monday|wednesday|thursday|friday|saturday|this week|same day"
    r"|we (send|return|ship|asked)|sign in|you will get)\b",
    re.IGNORECASE,
)
KIND = re.compile(r"sorry|happy|thank|glad|value|forgive|beautiful|great", re.IGNORECASE)
MORE = re.compile(r"\b(copy|set it|remove|is back|(five|two) days)\b", re.IGNORECASE)


def answer(request: dict) -> dict:
    """Returns a sentence and a grade, as the prompt asks for."""
    shown = request["messages"][-1]["content"]
    reply = REPLY.search(shown)[2]
    model = request["model"]["id"]
    whole = reply.rstrip()[-1:] in (".", "!", "?")
    good = whole and bool(STEP.search(reply))
    if model == "stand-in-judge-2":
        good = whole and bool(STEP.search(reply) or MORE.search(reply))
    elif (Path(__file__).parent / "snapshot").read_text().strip() == "2":
        good = whole and bool(KIND.search(reply))
    # The fence has another mark in each call, so this differs from call to call, and never by day.
    drawn = int(hashlib.sha256(shown.encode()).hexdigest()[:8], 16)
    if drawn % 100 < 4:
        good = False
    said = "It says what comes next." if good else "It leaves the customer where they were."
    output = f"{said}\n{'good' if good else 'poor'}"
    usage = {"input_tokens": len(shown) // 4, "output_tokens": 12}
    return {"output": output, "model": model, "usage": usage}

"""Writes replies instead of a model: a stand-in, so that the example costs nothing.

What it writes depends on the ticket and on two words that the prompt may hold.
"""

import hashlib

STEPS = (
    "We send a new one tomorrow; hand the old one to the driver.",
    "Open Settings in the app, tap Repair and wait for the white light.",
    "Reply with your order number and we will change it the same day.",
    "The amount goes back to your card within five days.",
    "We asked the carrier and will write to you by Friday.",
    "Done. You will get a mail about it tonight.",
)
PHRASES = (
    "Our team works hard to make every customer happy.",
    "There can be many reasons for this.",
    "You can find a lot about it on our site.",
    "Thank you for your trust in Glimworth.",
)
SORRY = "We are so sorry about this and understand how you must feel! "


def answer(request: dict) -> dict:
    """Returns a reply; with `next step` in the prompt it helps more often, with `warm` less."""
    prompt = request["messages"][0]["content"]
    ticket = request["messages"][-1]["content"]
    share = 0.95 if "next step" in prompt else 0.4 if "warm" in prompt else 0.75
    drawn = int(hashlib.sha256(ticket.encode()).hexdigest()[:8], 16)
    helps = drawn % 1000 < share * 1000
    listed = STEPS if helps else PHRASES
    reply = (SORRY if "warm" in prompt else "Hello! ") + listed[drawn // 1000 % len(listed)]
    return {"output": reply, "model": request["model"]["id"]}

"""Stands in for a model: an endpoint of OpenAI's chat completions that sorts tickets by words.

uvicorn model:app --port 8001
"""

import asyncio
import json
from typing import Any

from fastapi import FastAPI, HTTPException

MODELS = ("smollm2-135m-instruct-q4_1", "gemma-3-270m-q4_k_m")
TEAMS = {"billing": ("refund", "invoice", "card", "paid"), "delivery": ("courier", "parcel")}
SECONDS = 0.005

app = FastAPI()


@app.post("/chat/completions")
async def complete(body: dict[str, Any]) -> dict[str, Any]:
    """Answers with the team whose words the last message holds."""
    if body["model"] not in MODELS:
        raise HTTPException(404, f"no model {body['model']}")
    await asyncio.sleep(SECONDS)
    ticket = body["messages"][-1]["content"].lower()
    found = (team for team, words in TEAMS.items() if any(word in ticket for word in words))
    text = json.dumps({"about": "ticket", "team": next(found, "technical")})
    asked = sum(len(str(message["content"])) for message in body["messages"]) // 4
    return {
        "model": body["model"],
        "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": asked, "completion_tokens": len(text) // 4},
    }

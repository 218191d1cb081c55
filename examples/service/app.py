"""A service that answers support tickets with the bundle that `prod` serves.

    uvicorn app:app --workers 4

- It is told by environment variables where bundles come from, where its model answers, and where
  its events and heartbeats go; see README.md.
- The caller keeps the `pin` of a conversation and sends it with the next ticket, so that a
  conversation stays on one bundle while a release moves on.
"""

import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, Request
from pydantic import BaseModel

import llmvc.runtime
from llmvc.runtime.events import Log

BUNDLE = "support"


class Ticket(BaseModel):
    """What a customer writes; `pin` is what the last answer of the conversation gave."""

    conversation: str
    text: str
    pin: str | None = None


class Reply(BaseModel):
    """What the model said, and which bundle asked it."""

    text: str
    pin: str
    digest: str
    arm: str
    seq: int
    process: int


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Opens the bundles, the log and the model's endpoint once in each worker."""
    key = hashlib.blake2b(os.environ["SERVICE_KEY"].encode(), digest_size=32).digest()
    log = Log(os.environ["SERVICE_EVENTS"], key=key)
    source, fleet = os.environ["SERVICE_BUNDLES"], os.environ.get("SERVICE_FLEET")
    with llmvc.runtime.open(source, log=log, heartbeats=fleet) as client:
        async with httpx.AsyncClient(base_url=os.environ["SERVICE_MODEL"], timeout=30) as model:
            app.state.client, app.state.log, app.state.model = client, log, model
            yield
    log.close()


app = FastAPI(lifespan=lifespan)


@app.post("/answer")
async def answer(ticket: Ticket, request: Request) -> Reply:
    """Answers one ticket."""
    state = request.app.state
    given = state.client.resolve(BUNDLE, unit=ticket.conversation, pin=ticket.pin)
    body = given.render({"ticket": ticket.text})
    if "canned" in body:
        text = body["canned"]
    else:
        with state.log.call(given, provider="local", model=body["model"]) as call:
            response = await state.model.post("/chat/completions", json=body)
            response.raise_for_status()
            told = response.json()
            call.answered(model=told["model"])
            usage = told["usage"]
            call.usage(
                input_tokens=usage["prompt_tokens"], output_tokens=usage["completion_tokens"]
            )
        text = told["choices"][0]["message"]["content"]
    return Reply(
        text=text,
        pin=given.pin,
        digest=given.digest,
        arm=given.arm,
        seq=given.seq,
        process=os.getpid(),
    )

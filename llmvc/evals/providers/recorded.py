"""The provider `recorded`: replays answers that were recorded before.

- A recording is a JSONL file; a line answers one run of one canonical request.
- What is not in it is an error and never an invention.
- Answers keep the time and latency of the recording; nothing waits for them.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from llmvc.core import canon, digest
from llmvc.core.digest import Digest
from llmvc.core.metric import number
from llmvc.errors import ConfigError, FormatError, ProviderError
from llmvc.evals.providers.base import (
    USAGE,
    Answer,
    Call,
    Mode,
    count,
    read_answer,
    text_or_none,
)
from llmvc.evals.providers.options import Options

_TOLD: Final = ("output", "finish_reason", "model", "fingerprint", "tool_calls")
# Members that a line has only where there is something to say.
_RARE: Final = ("ttft_s", "logprobs", "choices", "notes")


def record_line(request: Digest, run: int, answer: Answer, *, time: str) -> bytes:
    """Returns the line that records an answer, without its line feed.

    Args:
        request: digest of the canonical request.
        run: the run's number.
        answer: one with an output.
        time: when it came, as RFC 3339 in UTC.

    Raises:
        FormatError: the answer is a failure; failures are not recorded.
    """
    if answer.output is None:
        raise FormatError(f"run {run} of request {digest.short(request)} has no output to record")
    usage = {name: getattr(answer, name) for name in (*USAGE, "cost_usd")}
    rare = {name: getattr(answer, name) for name in _RARE}
    return canon.encode(
        {
            "request": request,
            "run": run,
            "output": answer.output,
            "finish_reason": answer.finish_reason,
            "usage": {name: value for name, value in usage.items() if value is not None},
            "model": answer.model,
            "fingerprint": answer.fingerprint,
            "tool_calls": list(answer.tool_calls),
            "latency_s": answer.latency_s,
            "time": time,
            **{name: value for name, value in rare.items() if value not in (None, ())},
        }
    )


class Recorded:
    """Answers from a file."""

    kind = "recorded"
    mode: Mode = "chat"

    def __init__(self, path: Path, options: Options) -> None:
        self.priced_as = options.text("priced_as")
        self.self_hosted = options.flag("self_hosted")
        self._path = path
        self._digest, self._answers = _read(path)

    @classmethod
    def connect(cls, name: str, options: Mapping[str, canon.Json], *, folder: Path) -> "Recorded":
        """Reads the recording that `file` names.

        Raises:
            ConfigError: there is no `file`, or an option that is not known.
            FormatError: it is not a recording.
        """
        known = Options(name, options, ("file", "priced_as", "self_hosted"))
        return cls(folder / known.need("file", "the recording's path"), known)

    def identity(self) -> Mapping[str, canon.Json]:
        """Returns the kind and the digest of the whole recording."""
        return {"kind": self.kind, "file": self._digest}

    def unsupported(self, body: Mapping[str, canon.Json]) -> tuple[str, ...]:
        """Returns nothing: a recording answers whatever was asked."""
        del body
        return ()

    async def answer(self, call: Call) -> Answer:
        """Returns the recorded answer.

        Raises:
            ProviderError: this run of this request was not recorded.
        """
        found = self._answers.get((call.request_digest, call.run))
        if found is None:
            raise ProviderError(
                f"no recording of case {call.case.id} run {call.run}: {self._path} has no "
                f"request {digest.short(call.request_digest)}",
                hint="a changed prompt needs answers of a real model: record it again, or set "
                "another provider under `providers` in .llmvc/config.yaml",
            )
        return found

    async def aclose(self) -> None:
        """Has nothing to free."""


def _read(path: Path) -> tuple[Digest, dict[tuple[str, int], Answer]]:
    try:
        data = path.read_bytes()
    except OSError as err:
        raise ConfigError(
            f"cannot read recording {path}: {err.strerror}",
            hint="correct `file` under `providers` in .llmvc/config.yaml",
        ) from err
    answers: dict[tuple[str, int], Answer] = {}
    for at, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            key, answer = _line(canon.decode(line))
        except FormatError as err:
            raise FormatError(f"{path}:{at}: {err}") from err
        if answers.setdefault(key, answer) is not answer:
            raise FormatError(f"{path}:{at}: run {key[1]} of its request is recorded twice")
    return digest.of_bytes(data), answers


def _line(row: canon.Json) -> tuple[tuple[str, int], Answer]:
    if not isinstance(row, Mapping):
        raise FormatError("a recording's line is not an object")
    run, latency, usage = count(row.get("run")), row.get("latency_s"), row.get("usage")
    if run is None or not isinstance(row.get("output"), str):
        raise FormatError("a recording's line needs run and output")
    told = {name: row.get(name) for name in (*_TOLD, *_RARE)}
    answer = read_answer({**told, "usage": usage if isinstance(usage, Mapping) else {}})
    answer = replace(answer, latency_s=number(latency), time=text_or_none(row.get("time")))
    return (digest.parse(row.get("request")), run), answer

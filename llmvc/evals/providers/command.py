"""The provider `command`: a program answers, one process a call.

- It reads one JSON object from standard input: `{"llmvc": "call/1", mode, request, snapshot, vars,
  case, run, seed}`; `request` in mode `chat`, `snapshot` (a folder) and `vars` in mode `app`.
- It writes an object as `read_answer` describes; in mode `chat` plain text is an output, too.
- A status other than 0 is the application's failure, told by the last line of standard error.
- No shell is involved. What a call started is ended with it.
"""

import asyncio
import contextlib
import os
import shlex
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Final

from llmvc.core import canon, digest
from llmvc.errors import FormatError, ProviderError
from llmvc.evals.providers.base import Answer, Call, Mode, failed, looks_like_answer, read_answer
from llmvc.evals.providers.options import Options

TYPE: Final = "call/1"


class Command:
    """Answers by running a program."""

    kind = "command"

    def __init__(
        self,
        argv: Sequence[str],
        mode: Mode,
        options: Options,
        *,
        folder: Path,
        environ: Mapping[str, str],
    ) -> None:
        self.mode: Mode = mode
        self.priced_as = options.text("priced_as")
        self.self_hosted = options.flag("self_hosted")
        self._argv = tuple(argv)
        self._timeout_s = options.number("timeout_s", 300.0)
        self._folder = folder
        self._environ = dict(environ)

    @classmethod
    def connect(
        cls,
        name: str,
        options: Mapping[str, canon.Json],
        *,
        mode: Mode,
        folder: Path,
        environ: Mapping[str, str],
    ) -> "Command":
        """Reads `command`: a list, or text that is split as a shell would.

        Raises:
            ConfigError: there is no `command`, or an option that is not known.
        """
        known = Options(name, options, ("command", "priced_as", "self_hosted", "timeout_s"))
        argv = _argv(known)
        return cls(argv, mode, known, folder=folder, environ=environ)

    def identity(self) -> Mapping[str, canon.Json]:
        """Returns the command line, and the digest of each file of the repository in it."""
        files = ((word, self._folder / word) for word in self._argv)
        code = {word: digest.of_bytes(path.read_bytes()) for word, path in files if path.is_file()}
        return {"kind": self.kind, "argv": list(self._argv), "code": code, "mode": self.mode}

    def unsupported(self, body: Mapping[str, canon.Json]) -> tuple[str, ...]:
        """Returns nothing: the program is given all of it."""
        del body
        return ()

    async def answer(self, call: Call) -> Answer:
        """Runs the program.

        Raises:
            ProviderError: it cannot be started.
        """
        started = perf_counter()
        process = await self._start()
        try:
            out, err = await asyncio.wait_for(
                process.communicate(self._question(call)), self._timeout_s
            )
        except TimeoutError:
            text = f"{self._argv[0]} did not answer within {self._timeout_s:g} s"
            return failed(text, "application", perf_counter() - started)
        finally:
            await _end(process)
        latency_s = perf_counter() - started
        if process.returncode != 0:
            return failed(_complaint(process.returncode, err), "application", latency_s)
        try:
            return self._read(out, latency_s)
        except FormatError as error:
            return failed(f"{self._argv[0]} {error}", "application", latency_s)

    async def aclose(self) -> None:
        """Has nothing to free."""

    async def _start(self) -> asyncio.subprocess.Process:
        try:
            return await asyncio.create_subprocess_exec(
                *self._argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                cwd=self._folder,
                env=self._environ,
                start_new_session=True,
            )
        except OSError as err:
            raise ProviderError(
                f"cannot run {self._argv[0]}: {err.strerror}",
                hint="correct `command` under `providers` in .llmvc/config.yaml",
            ) from err

    def _question(self, call: Call) -> bytes:
        app = self.mode == "app"
        return canon.encode(
            {
                "llmvc": TYPE,
                "mode": self.mode,
                "request": None if app else call.request,
                "snapshot": str(call.snapshot) if app else None,
                "vars": dict(call.case.vars) if app else None,
                "case": call.case.id,
                "run": call.run,
                "seed": call.seed,
            }
        )

    def _read(self, out: bytes, latency_s: float) -> Answer:
        try:
            value = canon.decode(out)
        except FormatError:
            value = None
        if isinstance(value, Mapping) and (self.mode == "app" or looks_like_answer(value)):
            return read_answer(value, latency_s)
        if self.mode == "app":
            raise FormatError("did not write one JSON object to standard output")
        try:
            return Answer(output=out.decode("utf-8").removesuffix("\n"), latency_s=latency_s)
        except UnicodeDecodeError as err:
            raise FormatError("wrote something that is not UTF-8") from err


def _argv(options: Options) -> tuple[str, ...]:
    value = options.raw("command")
    if isinstance(value, str):
        try:
            value = shlex.split(value)
        except ValueError as err:
            raise options.wrong("command", "a list of words") from err
    if not isinstance(value, list | tuple) or not value:
        raise options.wrong("command", "a list of words")
    if not all(isinstance(word, str) and word and "\0" not in word for word in value):
        raise options.wrong("command", "a list of words")
    return tuple(str(word) for word in value)


def _complaint(status: int | None, err: bytes) -> str:
    lines = err.decode("utf-8", "replace").strip().splitlines()
    last = f": {lines[-1]}" if lines else ""
    if status is not None and status < 0:
        return f"ended by signal {-status}{last}"
    return f"exit status {status}{last}"


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ends what is left of the program and its children, which share a process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()

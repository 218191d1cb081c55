"""The provider `python`: a function of the user's answers.

- In mode `chat` it is called with the request; in mode `app` with the folder of the bundle's files
  and the case's variables, and is the application itself.
- It returns text, or an object as `read_answer` describes; it may be `async`.
- An exception is the application's failure.
- A plain function is called in threads, unless its first answer was so quick that it cannot have
  waited for anything: then it is called directly, which takes a tenth of the time.
"""

import asyncio
import inspect
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from llmvc.core import canon
from llmvc.core.digest import Digest
from llmvc.errors import FormatError, ProviderError
from llmvc.evals.loading import load_function
from llmvc.evals.providers.base import Answer, Call, Mode, failed, read_answer, thawed
from llmvc.evals.providers.options import Options

QUICK_S: Final = 0.0003
THREADS: Final = 64


class Python:
    """Answers by calling a function."""

    kind = "python"

    def __init__(
        self, function: Callable[..., Any], code: Digest, mode: Mode, options: Options
    ) -> None:
        self.mode: Mode = mode
        self.priced_as = options.text("priced_as")
        self.self_hosted = options.flag("self_hosted")
        self._function = function
        self._identity = {"function": options.raw("function"), "code": code, "mode": mode}
        self._timeout_s = options.number("timeout_s", 300.0)
        self._asks = inspect.iscoroutinefunction(function)
        self._direct = False
        self._threads: ThreadPoolExecutor | None = None

    @classmethod
    def connect(
        cls, name: str, options: Mapping[str, canon.Json], *, mode: Mode, folder: Path
    ) -> "Python":
        """Loads the function that `function: path/to/file.py:name` names.

        Raises:
            ConfigError: there is no `function`, or an option that is not known.
            ProviderError: it cannot be loaded.
        """
        known = Options(name, options, ("function", "priced_as", "self_hosted", "timeout_s"))
        path, colon, function_name = known.need("function", "path/to/file.py:name").rpartition(":")
        if not colon or not path or not function_name:
            raise known.wrong("function", "path/to/file.py:name")
        try:
            function, code = load_function(folder / path, function_name)
        except FormatError as err:
            raise ProviderError(f"provider {name!r}: {err}", hint=err.hint) from err
        return cls(function, code, mode, known)

    def identity(self) -> Mapping[str, canon.Json]:
        """Returns the function's name and the digest of its file."""
        return {"kind": self.kind, **self._identity}

    def unsupported(self, body: Mapping[str, canon.Json]) -> tuple[str, ...]:
        """Returns nothing: the function is given all of it."""
        del body
        return ()

    async def answer(self, call: Call) -> Answer:
        """Calls the function."""
        started = perf_counter()
        try:
            value = await self._call(call)
            return read_answer(value, perf_counter() - started)
        except TimeoutError:
            text = f"no answer within {self._timeout_s:g} s"
            return failed(text, "application", perf_counter() - started)
        except FormatError as err:
            return failed(str(err), "application", perf_counter() - started)
        except (Exception, SystemExit) as err:  # noqa: BLE001 (foreign code, which may call exit)
            text = f"{type(err).__name__}: {err}"
            return failed(text, "application", perf_counter() - started)

    async def aclose(self) -> None:
        """Lets go of the threads; one that still waits ends with its function."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None

    async def _call(self, call: Call) -> Any:
        if self.mode == "chat":
            given: tuple[Any, ...] = (thawed(call.request),)
        else:
            given = (call.snapshot, thawed(call.case.vars))
        if self._asks:
            async with asyncio.timeout(self._timeout_s):  # wait_for would make a task of each call
                return await self._function(*given)
        if self._direct:
            try:
                return self._timed(*given)
            except RuntimeError as err:
                # It runs an event loop of its own, which needs a thread without one.
                if "running event loop" not in str(err):
                    raise
                self._direct = False
        self._threads = self._threads or ThreadPoolExecutor(THREADS)
        thread = asyncio.get_running_loop().run_in_executor(self._threads, self._timed, *given)
        return await asyncio.wait_for(thread, self._timeout_s)

    def _timed(self, *given: Any) -> Any:
        started = perf_counter()
        value = self._function(*given)
        self._direct = perf_counter() - started < QUICK_S
        return value

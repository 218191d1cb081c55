"""The source behind HTTP or HTTPS; it is a module of its own because `ssl` takes long to load."""

import io
import socket
import time
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from ssl import SSLContext, create_default_context
from typing import TYPE_CHECKING, Any, Final
from urllib import error, request

from llmvc.core import digest
from llmvc.core.pointer import CHECKED, MOST, OBJECTS, POINTER
from llmvc.errors import ConfigError, NotFoundError, StoreError
from llmvc.runtime.sources import checked_name, when

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

TIMEOUT_S: Final = 5.0
AGAIN: Final = 30
"""After so many looks a file `checked` that was not there is asked for again: somebody may have
begun to write it, as an agent does with its first success."""
_CHUNK: Final = 2**16


class Http:
    """A directory behind HTTP or HTTPS: a bucket, a CDN, `llmvc agent --http`.

    Args:
        url: of the directory.
        headers: sent with every request, such as one with a key; not to where it is redirected.
        timeout_s: how long one answer may take.

    Raises:
        ConfigError: the URL holds a password or a query.
    """

    def __init__(
        self, url: str, *, headers: dict[str, str] | None = None, timeout_s: float = TIMEOUT_S
    ) -> None:
        if "@" in url or "?" in url:
            # What stands there may be a secret, and messages end up in logs.
            raise ConfigError(
                "the URL of a snapshot holds a password or a query",
                hint='open(Http(url, headers={"Authorization": "..."})) of llmvc.runtime.web',
            )
        self._url, self._headers, self._timeout_s = url.rstrip("/"), headers or {}, timeout_s
        self._passed_over = AGAIN

    def pointer(self, seen: str | None) -> tuple[bytes, str] | None:
        """Returns the pointer's bytes and its ETag, or their BLAKE3 where there is none.

        Raises:
            NotFoundError: there is no snapshot.
            StoreError: no answer in time, or none that can be used.
        """
        found = self._get(POINTER, seen)
        if found is None:
            return None
        data, etag = found
        tag = etag or digest.of_bytes(data)
        return None if tag == seen else (data, tag)

    def object(self, name: str) -> bytes:
        """Returns an object; see `Source`."""
        found = self._get(f"{OBJECTS}/{checked_name(name)}", None)
        return found[0] if found else b""

    def checked(self) -> float | None:
        """Returns what the file `checked` says; it is asked for seldom if it was not there."""
        if self._passed_over < AGAIN:
            self._passed_over += 1
            return None
        try:
            found = self._get(CHECKED, None)
        except NotFoundError:
            self._passed_over = 0
            return None
        return when(found[0]) if found else None

    def close(self) -> None:
        """Does nothing; each request has a connection of its own."""

    def _get(self, path: str, seen: str | None) -> tuple[bytes, str | None] | None:
        """Returns what a URL answers and its ETag; None if that is `seen`."""
        url = f"{self._url}/{path}"
        try:
            asked = request.Request(url)  # noqa: S310 (http or https: open_source sees to it)
        except ValueError as err:
            raise StoreError(f"{url} cannot be read: {err}") from err
        for name, value in self._headers.items():
            asked.add_unredirected_header(name, value)  # a key is for this server alone
        if seen is not None:
            asked.add_header("If-None-Match", seen)
        return answer_to(asked, self._timeout_s)


def answer_to(asked: request.Request, timeout_s: float) -> tuple[bytes, str | None] | None:
    """Returns what is answered and its ETag; None if the asker has it already.

    Args:
        asked: what is asked, over HTTP or HTTPS.
        timeout_s: how long the answer may take to its end, redirects included.

    Raises:
        NotFoundError: there is no such thing.
        StoreError: no answer in time, or none that can be used.
    """
    url = asked.full_url
    try:
        with _OPENER.open(asked, timeout=timeout_s) as answer:
            coding = answer.headers.get("Content-Encoding")
            if coding not in (None, "identity"):
                raise StoreError(f"{url} answers in {coding}, which nobody asked for")
            return _slurp(answer), answer.headers.get("ETag")
    except error.HTTPError as err:
        err.close()
        if err.code == 304:
            return None
        if err.code in (404, 410):
            raise NotFoundError(f"{url} is missing") from err
        raise StoreError(f"{url} answers {err.code}") from err
    except (OSError, ValueError, HTTPException) as err:
        raise StoreError(f"{url} cannot be read: {err}") from err


def _slurp(answer: HTTPResponse) -> bytes:
    """Reads an answer to its end, or to its largest size."""
    parts: list[bytes] = []
    size = 0
    while size <= MOST and (part := answer.read1(_CHUNK)):
        parts.append(part)
        size += len(part)
    if size < min(MOST, int(answer.headers.get("Content-Length", 0))):
        raise ValueError("the answer ended early")
    return b"".join(parts)


class _Timed(io.RawIOBase):
    """What a socket gives until its timeout has passed in all, not since the last byte."""

    def __init__(self, of: socket.socket) -> None:
        self._socket, self._raw = of, of.makefile("rb", buffering=0)
        self.until = time.monotonic() + (of.gettimeout() or TIMEOUT_S)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int | None:
        rest = self.until - time.monotonic()
        if rest <= 0:
            raise TimeoutError("the answer did not come to an end in time")
        self._socket.settimeout(rest)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Answer(HTTPResponse):
    """An answer whose headers have to come in time as well."""

    def __init__(self, sock: socket.socket, *args: Any, **more: Any) -> None:
        super().__init__(sock, *args, **more)
        self.fp.close()
        timed = _Timed(sock)
        self.fp = io.BufferedReader(timed)
        self.until = timed.until


class _Connection(HTTPConnection):
    response_class = _Answer


class _SafeConnection(HTTPSConnection):
    response_class = _Answer


@cache
def _secure() -> SSLContext:
    """Returns what HTTPS trusts; reading that takes 40 ms, so it is done once."""
    return create_default_context()


class _Opener(request.HTTPHandler, request.HTTPSHandler, request.HTTPRedirectHandler):
    """Opens HTTP and HTTPS, and follows to nothing that is less safe."""

    def http_open(self, req: request.Request) -> HTTPResponse:
        return self.do_open(_Connection, req)

    def https_open(self, req: request.Request) -> HTTPResponse:
        return self.do_open(_SafeConnection, req, context=_secure())

    def redirect_request(  # noqa: PLR0917 (urllib's)
        self, req: request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> request.Request | None:
        fp.close()  # urllib would read what else it says, however much that is
        rest = fp.until - time.monotonic()  # of the time that the answer and all before it have
        if rest <= 0:
            raise TimeoutError("redirects did not come to an end in time")
        req.timeout = rest
        if not newurl.startswith(("https://", f"{req.type}://")):
            raise StoreError(f"{req.full_url} redirects to {newurl:.80}, which is less safe")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_OPENER: Final = request.build_opener(_Opener)

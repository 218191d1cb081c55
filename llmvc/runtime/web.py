"""The source behind HTTP or HTTPS; it is a module of its own because `ssl` takes long to load."""

import time
from http.client import HTTPException, HTTPResponse
from typing import Final
from urllib import error, request

from llmvc.core import digest
from llmvc.errors import ConfigError, NotFoundError, StoreError
from llmvc.runtime.snapshot import MOST, POINTER
from llmvc.runtime.sources import CHECKED, OBJECTS, checked_name, when

TIMEOUT_S: Final = 5.0
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
        self._tells = True

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
        """Returns what the file `checked` says; it is asked for again only if it was there."""
        if not self._tells:
            return None
        try:
            found = self._get(CHECKED, None)
        except NotFoundError:
            self._tells = False
            return None
        return when(found[0]) if found else None

    def close(self) -> None:
        """Does nothing; each request has a connection of its own."""

    def _get(self, path: str, seen: str | None) -> tuple[bytes, str | None] | None:
        """Returns what a URL answers and its ETag; None if that is `seen`."""
        url = f"{self._url}/{path}"
        asked = request.Request(url)  # noqa: S310 (http or https: open_source sees to it)
        for name, value in self._headers.items():
            asked.add_unredirected_header(name, value)  # a key is for this server alone
        if seen is not None:
            asked.add_header("If-None-Match", seen)
        until = time.monotonic() + self._timeout_s
        try:
            with request.urlopen(asked, timeout=self._timeout_s) as answer:  # noqa: S310
                return _slurp(answer, until), answer.headers.get("ETag")
        except error.HTTPError as err:
            err.close()
            if err.code == 304:
                return None
            if err.code in (404, 410):
                raise NotFoundError(f"{url} is missing") from err
            raise StoreError(f"{url} answers {err.code}") from err
        except (OSError, ValueError, HTTPException) as err:
            raise StoreError(f"{url} cannot be read: {err}") from err


def _slurp(answer: HTTPResponse, until: float) -> bytes:
    """Reads an answer to its end, its largest size or its time, whatever comes first."""
    parts: list[bytes] = []
    size = 0
    while size <= MOST and (part := answer.read1(_CHUNK)):
        parts.append(part)
        size += len(part)
        if time.monotonic() > until:
            raise StoreError("the answer did not come to an end in time")
    return b"".join(parts)

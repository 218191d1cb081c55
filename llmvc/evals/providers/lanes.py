"""Connections to one endpoint: a lane for every call under way.

- httpx's pool looks at all of its connections, for each of them, whenever a request starts or
  ends. At 50 in flight that takes longer than anything else here; so each lane is a pool of one.
- A lane that was used last is used next, so that those beyond the need grow cold and close.
"""

import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from llmvc.evals.providers.endpoint import Endpoint

if TYPE_CHECKING:
    import httpx


class Lanes:
    """Clients that are free, and how to make another."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._free: list[httpx.AsyncClient] = []
        self._tls: ssl.SSLContext | None = None

    @asynccontextmanager
    async def lane(self) -> AsyncGenerator["httpx.AsyncClient"]:
        """Lends a client for one exchange."""
        client = self._free.pop() if self._free else self._opened()
        try:
            yield client
        finally:
            self._free.append(client)

    async def aclose(self) -> None:
        """Closes all of them; the next exchange opens one again."""
        while self._free:
            await self._free.pop().aclose()

    def _opened(self) -> "httpx.AsyncClient":
        import httpx  # noqa: PLC0415 (an eval without a network never loads it)

        if self._tls is None:
            # Reading certificates takes longer than all else: once, and only where there is TLS.
            if self._endpoint.base_url.startswith("https:"):
                self._tls = httpx.create_ssl_context(trust_env=not self._endpoint.local)
            else:
                self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # which trusts nobody
        return httpx.AsyncClient(
            headers=self._endpoint.headers,
            timeout=self._endpoint.timeout_s,
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
            verify=self._tls,
            # A proxy of the environment cannot reach this machine's own servers.
            trust_env=not self._endpoint.local,
        )

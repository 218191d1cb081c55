"""The provider `canned`: answers for bundles that ask no model, with the one text that they hold.

- It needs no configuration, makes no call, costs nothing and uses no tokens.
- Its answers have no latency: to hold that of a model against it would say nothing.
- What it answers is what a service gets from `render`: both take it from `core.request.canned`.
"""

from collections.abc import Mapping

from llmvc.core import canon, request
from llmvc.errors import ConfigError, FormatError
from llmvc.evals.providers.base import Answer, Call, Mode, failed


class Canned:
    """Answers with the bundle's only message."""

    kind = "canned"
    mode: Mode = "chat"
    priced_as = None
    self_hosted = True

    def identity(self) -> Mapping[str, canon.Json]:
        """Returns the kind: all else is in the bundle."""
        return {"kind": self.kind}

    def unsupported(self, body: Mapping[str, canon.Json]) -> tuple[str, ...]:
        """Returns nothing: there is no model that could be asked otherwise.

        Raises:
            ConfigError: the bundle is not one message of the assistant.
        """
        try:
            request.canned(body)
        except FormatError as err:
            raise ConfigError(str(err), hint=err.hint) from err
        return ()

    async def answer(self, call: Call) -> Answer:
        """Returns the text of the request's only message."""
        try:
            output = request.canned(call.request)
        except FormatError as err:
            return failed(str(err), "application")
        return Answer(output=output, finish_reason="stop", input_tokens=0, output_tokens=0)

    async def aclose(self) -> None:
        """Has nothing to free."""

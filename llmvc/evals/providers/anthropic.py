"""The provider `anthropic`: any endpoint that speaks Anthropic's messages."""

from collections.abc import Mapping
from typing import Final

from llmvc.core import canon
from llmvc.evals.providers.endpoint import KNOWN, Home
from llmvc.evals.providers.messages import Messages
from llmvc.evals.providers.options import Options
from llmvc.evals.providers.remote import Remote

HOME: Final = Home(
    base_url="https://api.anthropic.com/v1",
    key_env="ANTHROPIC_API_KEY",
    key_header="x-api-key",
    headers={"anthropic-version": "2023-06-01"},
)


def connect(name: str, options: Mapping[str, canon.Json], *, environ: Mapping[str, str]) -> Remote:
    """Reads the connection.

    Raises:
        ConfigError: an option is not known or not right.
        ProviderError: the environment lacks the key.
    """
    known = Options(name, options, KNOWN)
    return Remote(
        "anthropic",
        known,
        home=HOME,
        environ=environ,
        dialects={"messages": Messages()},
        spelling={},
    )

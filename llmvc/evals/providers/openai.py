"""The provider `openai`: any endpoint that speaks OpenAI's chat completions or responses."""

from collections.abc import Mapping
from typing import Final

from llmvc.core import canon
from llmvc.core.dialects import chat
from llmvc.evals.providers.chat import Chat
from llmvc.evals.providers.endpoint import KNOWN, Home
from llmvc.evals.providers.options import Options
from llmvc.evals.providers.remote import Remote
from llmvc.evals.providers.responses import Responses

HOME: Final = Home(
    base_url="https://api.openai.com/v1",
    key_env="OPENAI_API_KEY",
    key_header="authorization",
    key_prefix="Bearer ",
)


def connect(name: str, options: Mapping[str, canon.Json], *, environ: Mapping[str, str]) -> Remote:
    """Reads the connection.

    Raises:
        ConfigError: an option is not known or not right.
        ProviderError: the environment lacks the key.
    """
    known = Options(name, options, (*KNOWN, "max_tokens_field"))
    at_home = (known.text("base_url") or HOME.base_url).rstrip("/") == HOME.base_url
    default = chat.AT_HOME if at_home else chat.ELSEWHERE
    field = known.text("max_tokens_field") or default
    return Remote(
        "openai",
        known,
        home=HOME,
        environ=environ,
        dialects={"chat": Chat(field), "responses": Responses()},
        spelling={"max_tokens_field": field},
    )

"""Tokenizers: what counts tokens where a bundle names one under `context.tokenizer`.

- A plugin is an entry point in the group `llmvc.tokenizers`: a function from a text to a number.
- One that is missing is an error: what is left out of a request depends on it.
"""

from typing import Final

from llmvc.core.context import Count
from llmvc.errors import ConfigError

GROUP: Final = "llmvc.tokenizers"


def load(name: str) -> Count:
    """Returns the tokenizer of a name.

    Raises:
        ConfigError: no installed package has it, or it cannot be loaded.
    """
    from importlib.metadata import entry_points  # noqa: PLC0415 (slow to load, and seldom needed)

    found = tuple(entry_points(group=GROUP, name=name))
    if not found:
        raise ConfigError(
            f"context.tokenizer names {name!r}, and no installed package has it",
            hint=f"install the package with the entry point {name} in the group {GROUP}, or remove "
            "context.tokenizer: then tokens are estimated",
        )
    try:
        function = found[0].load()
    except Exception as err:  # the plugin's own code may fail in any way
        raise ConfigError(f"tokenizer {name!r} cannot be loaded: {err}") from err

    def count(text: str) -> int:
        try:
            number = function(text)
        except Exception as err:  # as above
            raise ConfigError(f"tokenizer {name!r} cannot be used: {err}") from err
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise ConfigError(f"tokenizer {name!r} counted {number!r} tokens")
        return number

    return count

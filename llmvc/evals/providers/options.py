"""The options of a connection, read one by one and named in every complaint."""

from collections.abc import Mapping, Sequence

from llmvc.core import canon
from llmvc.core.metric import number
from llmvc.errors import ConfigError


class Options:
    """What a connection's entry in the configuration says.

    Args:
        name: the connection's name.
        values: its options, without `kind` and `mode`.
        known: the options that its kind has.

    Raises:
        ConfigError: there is an option that the kind does not have.
    """

    def __init__(self, name: str, values: Mapping[str, canon.Json], known: Sequence[str]) -> None:
        self.name = name
        self._values = values
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ConfigError(
                f"provider {name!r} has unknown option {unknown[0]!r}",
                hint=f"options are {', '.join(sorted(known))}",
            )

    def raw(self, name: str) -> canon.Json:
        """Returns an option as it is written; None if it is not there."""
        return self._values.get(name)

    def text(self, name: str) -> str | None:
        """Returns a text; None if it is not there."""
        value = self._values.get(name)
        if value is not None and (not isinstance(value, str) or not value):
            raise self.wrong(name, "text")
        return value

    def need(self, name: str, what: str) -> str:
        """Returns a text that must be there."""
        value = self.text(name)
        if value is None:
            raise ConfigError(f"provider {self.name!r} lacks {name}", hint=f"write {name}: {what}")
        return value

    def number(self, name: str, default: float) -> float:
        """Returns a number above or equal to 0."""
        value = self._values.get(name)
        if value is None:
            return default
        found = number(value)
        if found is None or not 0 <= found < float("inf"):
            raise self.wrong(name, "a number from 0")
        return found

    def above_zero(self, name: str) -> float | None:
        """Returns a number above 0; None if it is not there."""
        found = self.number(name, -1.0)
        if found == 0:
            raise self.wrong(name, "a number above 0")
        return None if found < 0 else found

    def flag(self, name: str) -> bool:
        """Returns whether an option is true."""
        value = self._values.get(name, False)
        if not isinstance(value, bool):
            raise self.wrong(name, "true or false")
        return value

    def wrong(self, name: str, wanted: str) -> ConfigError:
        """Returns the error that an option is not what it should be."""
        return ConfigError(
            f"provider {self.name!r}: {name} is {self._values.get(name)!r}",
            hint=f"it must be {wanted}",
        )

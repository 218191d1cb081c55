"""Scorers of type judge: which judge bundle each of a suite's names.

- There is no implicit judge: a suite names its judges, and stands for their exact versions.
- Whoever loads the suite says how a name is found; here nobody knows environments or history.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from llmvc.core.bundle import Bundle
from llmvc.core.canon import Json
from llmvc.core.judge import Rules
from llmvc.errors import FormatError, NotFoundError
from llmvc.files.reading import Document, Path

if TYPE_CHECKING:
    from llmvc.core.digest import Digest

Resolve = Callable[[str], Bundle]
"""Finds the bundle that a suite means by NAME, NAME@ENV, NAME@b3:... or b3:..."""


class Judges:
    """The judges that a suite names.

    Args:
        document: the suite file.
        measured: name of the bundle that the suite measures.
        resolve: finds a judge by what is written; None if nothing can.
    """

    def __init__(self, document: Document, measured: str, resolve: Resolve | None) -> None:
        self.found: dict[Digest, Bundle] = {}
        self._document = document
        self._measured = measured
        self._resolve = resolve

    def options(self, values: Mapping[str, Json], here: Path) -> dict[str, Json]:
        """Returns the options of a scorer of type judge: the digest of its judge.

        Raises:
            FormatError: it names no judge, or the bundle that it names is none.
            NotFoundError: there is no such bundle.
        """
        written = values.get("judge")
        if not isinstance(written, str):
            raise self._document.error(
                here,
                "a scorer of type judge names no judge, and none is picked for it",
                hint="write judge: and the name of a judge bundle, such as judge: helpful-judge",
            )
        at = (*here, "judge")
        if written.partition("@")[0] == self._measured:
            raise self._document.error(
                at,
                f"{written} would judge itself",
                hint="name another bundle, of kind judge",
            )
        bundle = self._resolved(written, at)
        self.found[bundle.digest] = bundle
        return {"judge": bundle.digest}

    def _resolved(self, written: str, at: Path) -> Bundle:
        if self._resolve is None:
            raise self._document.error(at, f"judge {written} cannot be looked up here")
        try:
            bundle = self._resolve(written)
            Rules.of(bundle)
        except FormatError as err:
            raise self._document.error(at, f"judge {written}: {err}", hint=err.hint) from err
        except NotFoundError as err:
            where = self._document.where(at)
            raise NotFoundError(f"{where}: judge {written}: {err}", hint=err.hint) from err
        return bundle

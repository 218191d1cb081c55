"""A run cache that several machines share: a laptop and CI do not pay for the same call twice.

- It holds segments, `<ledger>/<digest>.jsonl`: some lines of a ledger, named by the digest of their
  bytes. None is ever changed, so that writers cannot conflict, and a bad one is found by its name.
- Before an eval the segments that are not here are copied beside the ledger; after it the lines
  that nobody has yet become one segment. `<ledger>.shared` remembers up to where that was done.
- What is wrong with it never stops an eval: it goes on with the runs at hand, and says so.
- Outputs are private: whoever can read the place can read them.
"""

import re
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from llmvc.core import digest
from llmvc.errors import StoreError
from llmvc.places import Folder, Place, place_at, put

_SEGMENT: Final = re.compile(r"[0-9a-f]{64}\.jsonl\Z")


class Shared:
    """The shared run cache at one place.

    Attributes:
        notes: what went wrong, for people.
    """

    def __init__(self, place: Place) -> None:
        self.notes: list[str] = []
        self._place = place

    @classmethod
    def at(cls, url: str, root: Path) -> "Shared":
        """Returns the cache at a URL.

        Args:
            url: of any kind that fsspec knows; a path or `file:` URL needs no fsspec.
            root: what a relative path starts from.

        Raises:
            ConfigError: a package is missing, or nobody knows such URLs.
        """
        if len(urlsplit(url).scheme) < 2:
            return cls(Folder(root / Path(url).expanduser(), private=True))
        return cls(place_at(url, private=True))

    def pull(self, ledger: Path) -> None:
        """Copies the segments of a ledger that are not here beside it."""
        own, folder = _pushed(ledger), ledger.with_suffix("")
        try:
            names = self._place.names(ledger.stem)
        except StoreError as err:
            self._note(f"{err}; calls that others made are made again")
            return
        for name in names:
            if not _SEGMENT.match(name) or name in own or (folder / name).exists():
                continue
            try:
                data = self._place.read(f"{ledger.stem}/{name}")
                if data and digest.hex_of(digest.of_bytes(data)) == name[:64]:
                    put(folder / name, data, private=True)
                else:
                    segment = f"segment {ledger.stem[:12]}/{name[:12]}"
                    self._note(f"{segment} is not what its name says")
            except StoreError as err:  # it may be private: others can be read all the same
                self._note(str(err))
            except OSError as err:
                self._note(f"cannot write {folder / name}: {err.strerror}")

    def push(self, ledger: Path) -> None:
        """Makes one segment of the lines that are new in a ledger."""
        try:
            with ledger.open("rb") as file:
                start = max(_pushed(ledger).values(), default=0)
                file.seek(start)
                data = file.read()
        except OSError:
            return  # no run was made
        data = data[: data.rfind(b"\n") + 1]
        if not data:
            return
        name = f"{digest.hex_of(digest.of_bytes(data))}.jsonl"
        try:
            self._place.write(f"{ledger.stem}/{name}", data)
            _mark(ledger, f"{start + len(data)} {name}\n")
        except StoreError as err:
            self._note(
                f"{err}; the runs are kept here: make it writable, and the next eval adds them"
            )

    def _note(self, text: str) -> None:
        said = f"shared run cache {self._place.name}: {text}"
        if said not in self.notes:
            self.notes.append(said)


def _mark(ledger: Path, line: str) -> None:
    try:
        with _marks(ledger).open("a", encoding="ascii") as marks:
            marks.write(line)
    except OSError as err:
        raise StoreError(f"cannot write {_marks(ledger)}: {err.strerror}") from err


def _marks(ledger: Path) -> Path:
    return ledger.with_suffix(".shared")


def _pushed(ledger: Path) -> dict[str, int]:
    """Returns the segments that were made of a ledger, and where each ends in it.

    A ledger that is shorter than that was lost, so that nothing noted of it holds any more.
    """
    try:
        lines = _marks(ledger).read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return {}
    pairs = (line.partition(" ") for line in lines)
    found = {name: int(end) for end, _, name in pairs if end.isdigit() and _SEGMENT.match(name)}
    if max(found.values(), default=0) <= (ledger.stat().st_size if ledger.exists() else 0):
        return found
    _marks(ledger).unlink(missing_ok=True)
    return {}

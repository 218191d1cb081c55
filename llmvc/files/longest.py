"""The longest cases of a bundle's suites, found without reading the others.

How long a case is counts as the bytes of its row: which variables a template uses is not looked at.
"""

from collections.abc import Iterator, Mapping
from heapq import nlargest
from typing import Any, Final

from llmvc.core.suite import Case
from llmvc.files import dataset, reading, tree
from llmvc.files.building import shown
from llmvc.files.config import Config, matching
from llmvc.files.reading import Row
from llmvc.files.sources import Sources
from llmvc.files.tree import Files

MANY: Final = 4
"""How many cases of each dataset are read: the longest row need not make the longest request."""


def longest_cases(files: Files, config: Config, bundle: str) -> tuple[Case, ...]:
    """Returns the longest cases of the suites that measure a bundle.

    Raises:
        NotFoundError: a dataset is not there.
        FormatError: a suite cannot be read, or one of these cases is none.
    """
    found: list[Case] = []
    for path in matching(files, config.suites):
        data = files.read(path)
        # Most suites of other bundles need no reading: they do not even name this one.
        if bundle.encode() not in data:
            continue
        document = reading.read_yaml(data, shown(files, path))
        body = document.value
        if isinstance(body, Mapping) and body.get("bundle") == bundle:
            found += _of_suite(Sources(files, document, path), body)
    return tuple(found)


def _of_suite(sources: Sources, body: Mapping[str, Any]) -> Iterator[Case]:
    """Yields the longest cases of each dataset of a suite; data outside of Git is left alone."""
    listed = body.get("dataset", [])
    for item in listed if isinstance(listed, list) else [listed]:
        if isinstance(item, str):
            data = sources.read(item, ("dataset",), limit=tree.MAX_BYTES)
            lines = nlargest(MANY, data.splitlines(), key=len)
            yield from dataset.read_cases(b"\n".join(lines), sources.shown(item))
    inline = body.get("cases")
    if isinstance(inline, list):
        rows = (Row(at, row) for at, row in enumerate(inline, 1))
        longest = nlargest(MANY, rows, key=lambda row: len(str(row.value)))
        yield from dataset.cases(longest, sources.document.name)

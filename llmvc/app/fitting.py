"""Whether the cases of a bundle's suites fit its context window, as far as that can be estimated.

It describes and decides nothing: what cannot be told is not told, and nothing here ends a command.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from llmvc.app.workspace import Workspace
from llmvc.core import context, request
from llmvc.core.bundle import Bundle
from llmvc.core.context import Limit
from llmvc.errors import LlmvcError

if TYPE_CHECKING:
    from llmvc.files.manifest import Manifest

MOST_BYTES: Final = 256 * 1024
"""A price table larger than this is not read for a window: a commit has no time for it."""


@dataclass(frozen=True, slots=True)
class Fit:
    """The longest request of a bundle beside its window.

    Attributes:
        case: id of the case that makes it.
        tokens: about how many it has, rather more than fewer, after truncation.
        least: how many its texts have at least.
        window: of the bundle, else of the price table, in tokens.
        reserved: what is kept free for the output.
        most: what is left for the input.
        dropped: turns and examples that are left out to make it fit.
        estimator: how tokens were counted.
    """

    case: str
    tokens: int
    least: int
    window: int
    reserved: int
    most: int
    dropped: int
    estimator: str

    @property
    def state(self) -> str:
        """Says `fits`, `may not fit`, or `does not fit` where no estimate can be that wrong."""
        if self.tokens <= self.most:
            return "fits"
        return "does not fit" if self.least > self.most else "may not fit"


def worst_case(ws: Workspace, name: str) -> Fit | None:
    """Returns the longest request that the suites of the working tree make of a bundle.

    Returns:
        None where no window is known, there is no case, or one of the files cannot be read.
    """
    try:
        manifest = ws.manifest_of(name)
        limit = context.limit_of(manifest.bundle)
        window = limit.window or _listed(ws, manifest.bundle)
        if window is None or manifest.bundle.kind == "set":
            return None
        return _longest(ws, manifest, limit, window)
    except LlmvcError:
        return None


def _longest(ws: Workspace, manifest: "Manifest", limit: Limit, window: int) -> Fit | None:
    from llmvc.files.longest import longest_cases  # noqa: PLC0415 (only where a window is known)

    count = None
    if limit.tokenizer is not None:
        from llmvc.evals import tokenizers  # noqa: PLC0415 (few bundles name one)

        count = tokenizers.load(limit.tokenizer)
    most = max(0, window - limit.reserved) if limit.most is None else limit.most
    found: list[Fit] = []
    for case in longest_cases(ws.files, ws.config, manifest.name):
        made = request.make(manifest.bundle, case.vars, manifest.texts, count)
        tokens = context.size(made.request, count)
        found.append(
            Fit(
                case=case.id,
                tokens=tokens,
                least=context.least(made.request) if count is None else tokens,
                window=window,
                reserved=limit.reserved,
                most=most,
                dropped=made.dropped,
                estimator=limit.tokenizer or context.ESTIMATOR,
            )
        )
    return max(found, key=lambda fit: fit.tokens, default=None)


def _listed(ws: Workspace, bundle: Bundle) -> int | None:
    """Returns the window that a price table lists for a bundle's model."""
    from llmvc.evals.prices import Prices  # noqa: PLC0415 (only where the bundle names none)

    model = bundle.body.get("model")
    if not isinstance(model, dict):
        return None
    provider = str(model.get("provider"))
    connection = ws.config.providers.get(provider)
    priced_as = connection.options.get("priced_as") if connection else None
    names = [name for name in (model.get("snapshot"), model.get("id")) if isinstance(name, str)]
    own = ws.root / ws.config.prices if ws.config.prices else None
    small = own is not None and own.is_file() and own.stat().st_size <= MOST_BYTES
    return Prices.load(own if small else None).window(str(priced_as or provider), *names)

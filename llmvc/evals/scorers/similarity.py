"""The scorer `similar`: the cosine of the output's and the reference's vectors.

- The embedder is named, and pinned by digest: a function of the user's, or the folder of a
  model2vec model (extra `[similarity]`). Nothing is ever downloaded, and there is no default model:
  another model means other scores.
- Opposite and unrelated texts both score 0; of several references the nearest counts.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from llmvc.core import canon, digest
from llmvc.core.digest import Digest
from llmvc.core.metric import Scorer
from llmvc.errors import FormatError, IntegrityError
from llmvc.evals.loading import load_function
from llmvc.evals.providers.base import Answer, one_line
from llmvc.evals.scorers.options import Embed, Options, Rule

_Encode = Callable[[Sequence[str]], Any]

MODEL_FILES: Final = ("config.json", "model.safetensors", "tokenizer.json")
_HINT: Final = "give the scorer embedder: {path: embed.py}, or {model: folder, digest: b3:…}"


def similar(options: Options, answer: Answer) -> float:
    """Scores how near the output's vector is to that of a reference, by the cosine of the angle."""
    references, output = options.references(), answer.output or ""
    embed = options.embed
    if embed is None:
        raise FormatError("there is no embedder", hint=_HINT)
    if not output:
        return 0.0
    found = embed(output)
    return max(_cosine(found, embed(text)) for text in references)


def embedder(scorer: Scorer, folder: Path) -> Embed | None:
    """Returns the embedder that a scorer names, ready to use; None if it names none.

    Raises:
        FormatError: it cannot be loaded.
        IntegrityError: it is not the one that the suite was read with.
    """
    named = scorer.options.get("embedder")
    if named is None:
        return None
    if isinstance(named, Mapping) and isinstance(named.get("path"), str):
        path, function = folder / str(named["path"]), str(named.get("function", "embed"))
        encode, code = load_function(path, function)
        _check(path, code, scorer.code)
    elif isinstance(named, Mapping) and isinstance(named.get("model"), str):
        path = folder / str(named["model"])
        wanted = named.get("digest")
        _check(path, model_digest(path), None if wanted is None else digest.parse(wanted))
        encode = _model(path)
    else:
        raise FormatError(f"scorer {scorer.name} names no embedder", hint=_HINT)

    @lru_cache(maxsize=1024)
    def embed(text: str) -> Sequence[float]:
        return _vector(encode, text)

    return embed


def model_digest(folder: Path) -> Digest:
    """Returns the digest of a model's files.

    Raises:
        FormatError: one of them is not there.
    """
    files: dict[str, canon.Json] = {}
    for name in MODEL_FILES:
        try:
            files[name] = digest.of_bytes((folder / name).read_bytes())
        except OSError as err:
            raise FormatError(
                f"cannot read {folder / name}: {err.strerror}",
                hint=f"a model2vec model is a folder with {', '.join(MODEL_FILES)}; "
                "nothing is downloaded",
            ) from err
    return digest.of_value(files)


def _check(path: Path, found: Digest, wanted: Digest | None) -> None:
    if wanted is None:
        raise FormatError(
            f"embedder {path.name} is not pinned", hint=f"write digest: {found} beside it"
        )
    if found != wanted:
        raise IntegrityError(
            f"embedder {path.name} is {digest.short(found)}, the suite says {digest.short(wanted)}",
            hint=f"if it is meant, write digest: {found}",
        )


def _model(folder: Path) -> _Encode:
    try:
        library: Any = import_module("model2vec")
    except ImportError as err:
        raise FormatError(
            "the package model2vec is not installed", hint="pip install 'llmvc[similarity]'"
        ) from err
    try:
        encode: _Encode = library.StaticModel.from_pretrained(str(folder)).encode
    except Exception as err:  # whatever the library makes of broken files
        raise FormatError(one_line(f"{folder} holds no model: {err}")) from err
    return encode


def _vector(encode: _Encode, text: str) -> tuple[float, ...]:
    """Returns the vector of one text, of length 1; foreign code may return what it likes."""
    try:
        (row,) = encode([text])
        vector = tuple(float(one) for one in row)
        length = math.hypot(*vector)
    except (Exception, SystemExit) as err:  # foreign code may also call exit
        raise FormatError(one_line(f"the embedder failed: {type(err).__name__}: {err}")) from err
    if not length or not math.isfinite(length):
        raise FormatError("the embedder knows no vector for a text")
    return tuple(one / length for one in vector)


def _cosine(left: Sequence[float], right: Sequence[float]) -> float:
    if len(left) != len(right):
        raise FormatError("the embedder's vectors differ in length")
    return min(1.0, max(0.0, math.fsum(map(float.__mul__, left, right))))


RULES: Final[Mapping[str, Rule]] = {"similar": similar}

"""How a judge is related to what it grades, read from the bundles themselves."""

from collections.abc import Mapping

from llmvc.core.bundle import Bundle
from llmvc.core.judge import Rules
from llmvc.core.judging import same_family
from llmvc.gate.judged import Prompted


def migrates(baseline: Bundle | None, candidate: Bundle) -> bool:
    """Says whether a candidate differs from the baseline in its model."""
    if baseline is None:
        return False
    return baseline.section_digests()["model"] != candidate.section_digests()["model"]


def kin(family: str, *arms: Bundle | None) -> bool:
    """Says whether the model of an arm is of a judge's family."""
    return same_family(family, *(name for arm in arms if arm is not None for name in _models(arm)))


def prompted(judge: Bundle) -> Prompted:
    """Returns a judge's family, and all that it is told."""
    rules = Rules.of(judge)
    return Prompted(rules.family, f"{text(judge)}\n{rules.rubric}")


def text(bundle: Bundle) -> str:
    """Returns all that a bundle's messages say."""
    listed = bundle.body.get("messages")
    texts: list[str] = []
    for message in listed if isinstance(listed, list) else ():
        content = message.get("content") if isinstance(message, Mapping) else None
        parts = content if isinstance(content, list) else [{"text": content}]
        texts += [str(one["text"]) for one in parts if isinstance(one, Mapping) and one.get("text")]
    return "\n".join(texts)


def _models(bundle: Bundle) -> list[str]:
    model = bundle.body.get("model")
    names = (model.get("id"), model.get("snapshot")) if isinstance(model, Mapping) else ()
    return [name for name in names if isinstance(name, str)]

"""Flags for flagd and what reads its files: an environment as one flag.

- The rule compares `llmvc_bucket`, which the service computes by `llmvc.runtime.bucket`: flagd's
  own `fractional` hashes differently from version to version, and would move units.
- Without that attribute the baseline is served, never the canary.
"""

from typing import Final

from llmvc.core import canon
from llmvc.errors import NotFoundError
from llmvc.runtime.routes import counting
from llmvc.runtime.snapshot import Snapshot

SCHEMA: Final = "https://flagd.dev/schema/v0/flags.json"
ATTRIBUTE: Final = "llmvc_bucket"


def export(snapshot: Snapshot, bundle: str, env: str = "prod") -> dict[str, canon.Json]:
    """Returns a flag definition file with one flag, `BUNDLE/ENV`, whose variants are digests.

    Its metadata names the `salt` to compute `llmvc_bucket` with, the release and its `seq`.

    Raises:
        NotFoundError: the environment has no release.
    """
    tip = snapshot.tips.get((bundle, env))
    if tip is None:
        raise NotFoundError(f"{bundle}/{env} has no release here")
    variants: dict[str, canon.Json] = {"baseline": tip.release.to}
    told: dict[str, canon.Json] = {"release": tip.digest, "seq": tip.release.seq}
    flag: dict[str, canon.Json] = {"state": "ENABLED", "defaultVariant": "baseline"}
    found = counting(snapshot).get((bundle, env))
    if found is not None:
        of, canary = found
        variants["canary"] = of.release.to
        told = {"release": of.digest, "seq": of.release.seq, "salt": canary.salt}
        drawn: canon.Json = {"var": ATTRIBUTE}
        # Without the attribute JsonLogic compares null, which counts as 0.
        inside: canon.Json = {"and": [{"!==": [drawn, None]}, {"<": [drawn, canary.share_ppm]}]}
        flag["targeting"] = {"if": [inside, "canary", "baseline"]}
    return {
        "$schema": SCHEMA,
        "flags": {f"{bundle}/{env}": {**flag, "variants": variants, "metadata": told}},
    }

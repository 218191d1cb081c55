"""Analyses as records: filed under the canary's release, read back strictly."""

from dataclasses import replace

import pytest

from llmvc.core import canon
from llmvc.core.analysis import Analysis, ArmTotals, Check, Judged, mistake
from llmvc.core.digest import of_value
from llmvc.core.version import keys_of
from llmvc.errors import FormatError
from tests.support.canary import analysis
from tests.support.traffic import release

RELEASE, OLD, NEW = (of_value(name) for name in ("release", "old", "new"))
MADE = "2026-11-20T13:00:00Z"
ERRORS = Judged(
    "errors", "errors", 0.02, 0.03, 0.01, -0.001, 0.02, 0.01, None, "inconclusive", "…", None
)
ANALYSIS = Analysis(
    "support", "canary", RELEASE, 1, OLD, NEW, "0123456789abcdef", 1,
    {"baseline": ArmTotals(OLD, 190, 400, 9, 0.5), "canary": ArmTotals(NEW, 10, 20, 0, None)},
    (ERRORS,), {"mixed": Check(0.0, 0.01, broken=False, says="none")}, (), "inconclusive", "…",
    "wait", of_value("sums"), MADE, None, MADE, "ada", "llmvc test",
)  # fmt: skip


def test_an_analysis_reads_back_and_is_filed_under_the_release_that_it_judges():
    assert Analysis.from_bytes(ANALYSIS.to_bytes()) == ANALYSIS
    assert keys_of(canon.decode_object(ANALYSIS.to_bytes(), Analysis.TYPE)) == {RELEASE}


@pytest.mark.parametrize(
    "wrong",
    [{"verdict": "maybe"}, {"look": "1"}, {"arms": {"canary": {}}}, {"release": "b3:1"}, {"x": 1}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_record_with_a_member_that_may_not_be_is_refused(wrong):
    body = {**canon.decode_object(ANALYSIS.to_bytes(), Analysis.TYPE), **wrong}
    with pytest.raises(FormatError):
        Analysis.from_bytes(canon.encode(body))


def test_the_same_sums_at_another_look_are_another_analysis():
    assert replace(ANALYSIS, look=2).digest != ANALYSIS.digest


LOOSER = tuple(replace(one, margin=0.9) for one in analysis(release()).guardrails)
UNSHOWN = tuple(replace(one, high=None) for one in analysis(release()).guardrails)
FORGED = {
    "another bundle": ({"bundle": "orders"}, "it is about"),
    "another rollout": ({"rollout": "f" * 16}, "it is about"),
    "another candidate": ({"candidate": OLD}, "it is about"),
    "no guardrails": ({"guardrails": ()}, "not the plan's"),
    "looser guardrails": ({"guardrails": LOOSER}, "not the plan's"),
    "a bound that was not shown": ({"guardrails": UNSHOWN}, "do not"),
    "a look beyond the plan": ({"look": 99}, "do not"),
    "too few units": ({"arms": {}}, "do not"),
    "a broken check": ({"checks": {"ratio": Check(1, 0, broken=True, says="…")}}, "broken"),
    "invalid that passes": ({"invalid": ("ratio",)}, "broken"),
}


@pytest.mark.parametrize("what", FORGED)
def test_a_pass_that_the_plan_or_its_own_figures_do_not_give_is_none(what):
    changed, says = FORGED[what]
    of = release()
    assert mistake(analysis(of), of) is None
    assert says in mistake(replace(analysis(of), **changed), of)

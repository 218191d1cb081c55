"""A judge held against labelled answers: at calibration, at a check, and when it is replaced."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from llmvc.core import digest
from llmvc.core.anchors import Anchor, AnchorSet
from llmvc.core.judge import Rules
from llmvc.core.judging import SUSPECT, TRUSTED, UNCALIBRATED
from llmvc.errors import FormatError
from llmvc.evals.trust.agreeing import usual
from llmvc.evals.trust.calibration import Regraded, calibrate, check, heard, panel_votes, shift

NOW = datetime(2026, 11, 20, 8, 30, tzinfo=UTC)
JUDGE, OTHER = digest.of_bytes(b"judge"), digest.of_bytes(b"other")
HERE = digest.of_bytes(b"connection")
PAIRWISE = Rules(
    family="gpt-4o",
    rubric="Which helps?",
    protocol="pairwise-swap",
    votes=1,
    grades={"A": 1.0, "B": 0.0},
    parser="last-line",
    order_seed=0,
    length_control=True,
)
POINTWISE = replace(PAIRWISE, protocol="pointwise", grades={"bad": 0.0, "good": 1.0})
STARS = replace(POINTWISE, grades={"1": 0.0, "2": 0.25, "3": 0.5, "4": 0.75, "5": 1.0})


@dataclass(frozen=True)
class Given:
    """A grade as `evals.judge` gives it."""

    score: float | None
    votes: tuple[float | None, ...] = (1.0,)
    flipped: bool | None = None
    identities: frozenset[tuple[str | None, str | None]] = field(
        default=frozenset({("gpt-4o", "fp")})
    )


FAILED = Given(None, votes=(), identities=frozenset())


def anchors(n=100, *, raters=2, kind="normal", length=lambda at: 20 + at % 7, start=0):
    """Returns answers of which every second one is good."""
    label = {0: "bad", 1: "good"}
    return [
        Anchor(
            f"{kind}{at:03}",
            "x" * length(at),
            {f"r{rater}": label[at % 2] for rater in range(raters)},
            kind=kind,
        )
        for at in range(start, start + n)
    ]


def grades(found, *, wrong=0, repeats=2, flips=0):
    """Returns a judge's grades: some are always wrong, some differ between repeats."""
    made = {}
    for at, anchor in enumerate(found):
        truth = float(anchor.labels["r0"] == "good")
        right = truth if at >= wrong else 1 - truth
        made[anchor.id] = [Given(right)] * repeats
        if at >= len(found) - flips:
            made[anchor.id][-1] = Given(1 - right)
    return made


def calibrated(found, given, rules=POINTWISE, *, connection=HERE, earlier=()):
    return calibrate(
        JUDGE,
        rules,
        AnchorSet(tuple(found)),
        given,
        connection=connection,
        earlier=earlier,
        now=NOW,
        actor="me",
        tool="llmvc 1",
    )


def test_a_good_judge_is_admitted_with_its_figures():
    found = calibrated(anchors(), grades(anchors(), wrong=10, flips=4))
    assert found.admitted
    assert found.why == ()
    assert (found.n, found.raters, found.family) == (100, 2, "gpt-4o")
    # Four anchors on which the judge is divided count as wrong: it gave no usual verdict.
    assert found.figures["balanced_accuracy"].value == pytest.approx(0.86)
    assert found.figures["sensitivity"].value == pytest.approx(0.86)
    assert found.figures["kappa"].value == pytest.approx(1 - 2 * 10 / 96, abs=0.01)
    assert found.figures["self_noise"].value == pytest.approx(0.02 / 0.96)
    assert found.figures["always_pass"].value == 0.5
    assert found.figures["alpha"].value == pytest.approx(1.0)
    assert found.figures["injection"].reason == "there are no adversarial anchors"
    assert found.identities == (("gpt-4o", "fp"),)
    assert found.expires[:10] == "2026-12-20"
    assert sum(score is None for score in found.reference.values()) == 4


def test_figures_for_each_family_show_whom_a_judge_favours():
    kin = [replace(one, family="gpt-4o") for one in anchors(60)]
    others = [replace(one, family="llama-3") for one in anchors(60, start=60)]
    given = grades(kin + others)
    for one in kin[:40:2]:
        given[one.id] = [Given(1.0)] * 2
    found = calibrated(
        kin + others + anchors(20, start=120), given | grades(anchors(20, start=120))
    )
    assert list(found.families) == ["gpt-4o", "llama-3"]
    favoured, fair = found.families.values()
    assert favoured["specificity"].value == pytest.approx(1 / 3)
    assert favoured["leniency"].value == pytest.approx(1 / 3)
    assert favoured["leniency"].low > 0.2
    assert (fair["specificity"].value, fair["leniency"].value) == (1.0, 0.0)
    assert calibrated(anchors(), grades(anchors())).families == {}


def panel(*wrong):
    """Returns calibrations of judges that err on the anchors given."""
    return [
        calibrated(
            anchors(),
            {
                anchor.id: [Given(float(anchor.labels["r0"] == "good") != float(at in errs))] * 2
                for at, anchor in enumerate(anchors())
            },
        )
        for errs in wrong
    ]


def test_judges_that_err_on_the_same_anchors_are_one_vote():
    alike, apart = panel(range(20), range(20)), panel(range(20), range(15, 40))
    assert panel_votes(alike) == pytest.approx(1.0)
    assert panel_votes(apart) == pytest.approx(2.0, abs=0.2)
    assert panel_votes(apart[::-1]) == pytest.approx(panel_votes(apart))


def test_a_panel_without_common_anchors_or_errors_has_no_number_of_votes():
    one, other = panel(range(20), range(20))
    assert panel_votes([]) is None
    assert panel_votes([one]) is None
    assert panel_votes([one, replace(other, anchors=OTHER)]) is None
    assert panel_votes(panel(range(20), ())) is None


def test_anchors_that_only_one_of_two_judges_can_read_do_not_count_for_their_votes():
    one, other = panel(range(20), range(20))
    fewer = dict(list(other.human.items())[:50])
    assert panel_votes([one, replace(other, human=fewer)]) == pytest.approx(1.0)


def test_the_same_grades_give_the_same_bytes():
    made = [calibrated(anchors(), grades(anchors(), wrong=9)).to_bytes() for _ in range(2)]
    assert made[0] == made[1]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (grades(anchors(), wrong=45), "more than 0.55 must be shown"),
        ({one.id: [Given(1.0)] * 2 for one in anchors()}, "more than 0.55 must be shown"),
        ({one.id: [Given(None)] * 2 for one in anchors()}, "100 of 100 anchors got no grade"),
        ({}, "100 of 100 anchors got no grade"),
        (grades(anchors(), repeats=1), "grade the anchors at least twice"),
    ],
)
def test_a_judge_that_is_not_shown_to_be_better_than_chance_is_not_admitted(given, why):
    found = calibrated(anchors(), given)
    assert not found.admitted
    assert why in "; ".join(found.why)


def test_a_judge_that_length_could_replace_is_not_admitted():
    found = anchors(length=lambda at: 50 + 50 * (at % 2 and at % 10 != 1))
    good = calibrated(found, grades(found, wrong=15))
    assert not good.admitted
    assert "taking the longer answer reaches" in good.why[0]
    assert good.figures["longest"].value > 0.85


def test_without_bad_answers_nothing_is_known_and_nothing_is_admitted():
    found = [replace(one, labels={"r0": "good", "r1": "good"}) for one in anchors()]
    made = calibrated(found, grades(found))
    assert not made.admitted
    assert made.figures["specificity"].value is None
    assert made.figures["balanced_accuracy"].value is None
    assert "balanced accuracy is not known" in made.why[0]


def poor(*, fingerprint="fp", connection=HERE):
    said = frozenset({("gpt-4o", fingerprint)})
    given = grades(anchors(), wrong=50)
    given = {name: [replace(one, identities=said) for one in ones] for name, ones in given.items()}
    return calibrated(anchors(), given, connection=connection)


@pytest.mark.parametrize(
    ("earlier", "attempt", "admitted"),
    [
        ((), 1, True),
        ((calibrated(anchors(), grades(anchors())),) * 2, 3, True),
        ((poor(),), 2, False),
        ((poor(), calibrated(anchors(), grades(anchors()))), 3, False),
        ((poor(fingerprint="another"),), 2, True),
        ((poor(connection=digest.of_bytes(b"elsewhere")),), 2, True),
        ((calibrated(anchors(99), grades(anchors(99), wrong=50)),), 1, True),
    ],
    ids=[
        "first",
        "third",
        "refused",
        "refused first",
        "another model",
        "elsewhere",
        "other anchors",
    ],
)
def test_a_refusal_holds_on_its_anchors_however_often_the_judge_is_asked(
    earlier, attempt, admitted
):
    found = calibrated(anchors(), grades(anchors()), earlier=earlier)
    assert (found.attempt, found.admitted) == (attempt, admitted)
    assert admitted or "was refused on these anchors on 2026-11-20" in found.why[0]
    assert found.figures["balanced_accuracy"].value == 1.0


def test_a_provider_that_fails_on_many_anchors_says_nothing_of_the_judge():
    known = AnchorSet(tuple(anchors()))
    assert heard(known, {**grades(anchors()), **{one.id: [FAILED] for one in anchors(5)}})
    assert not heard(known, {**grades(anchors()), **{one.id: [FAILED] for one in anchors(6)}})
    once = {one.id: [Given(1.0), FAILED] for one in anchors(6)}
    assert not heard(known, {**grades(anchors()), **once})
    assert heard(known, {**grades(anchors()), **{one.id: [Given(None)] for one in anchors(6)}})


def test_answers_on_which_people_are_divided_do_not_count_for_accuracy_but_for_alpha():
    found = [
        replace(one, labels={"r0": one.labels["r0"], "r1": "good"}) if at < 40 else one
        for at, one in enumerate(anchors())
    ]
    made = calibrated(found, grades(found))
    assert made.n == 80
    assert made.figures["alpha"].value < 0.7


def test_a_grade_that_the_judge_does_not_have_is_refused_by_anchor_and_person():
    found = [replace(anchors(1)[0], labels={"ann": "great"})]
    with pytest.raises(FormatError, match="anchor normal000: ann says 'great'") as caught:
        calibrated(found, {})
    assert caught.value.hint == "its grades are bad, good"


@pytest.mark.parametrize(
    ("scores", "pairwise", "expected"),
    [
        ([], False, None),
        ([None, None], False, None),
        ([1.0, None], False, 1.0),
        ([1.0, 0.0], False, None),
        ([0.75, 0.5, 0.0], False, 0.5),
        ([0.25, 0.0, 1.0], False, 0.0),
        ([1.0, 0.5], True, None),
        ([0.5, 0.5, 1.0], True, 0.5),
    ],
)
def test_the_usual_score_is_the_middle_one_of_the_most_frequent_verdict(scores, pairwise, expected):
    assert usual(scores, pairwise=pairwise) == expected


def test_a_scale_of_five_passes_from_the_middle_on():
    found = [
        replace(one, labels={"r0": "4" if one.labels["r0"] == "good" else "2"}) for one in anchors()
    ]
    given = {one.id: [Given(1.0 if one.labels["r0"] == "4" else 0.25)] * 2 for one in found}
    made = calibrated(found, given, STARS)
    assert made.figures["balanced_accuracy"].value == 1.0
    assert 0.5 < made.figures["kappa"].value < 1.0
    assert made.admitted


def pairs(n=100):
    label = {0: "B", 1: "A"}
    return [
        Anchor(f"p{at:03}", "x" * 30, {"r0": label[at % 2], "r1": label[at % 2]}, other="y" * 30)
        for at in range(n)
    ]


def paired(found, *, flipping=0):
    made = {}
    for at, anchor in enumerate(found):
        score = float(anchor.labels["r0"] == "A")
        one = Given(0.5, flipped=True) if at < flipping else Given(score, flipped=False)
        made[anchor.id] = [one, one]
    return made


def test_a_pairwise_judge_has_a_flip_rate_and_its_ties_are_wrong_answers():
    found = calibrated(pairs(), paired(pairs(), flipping=20), PAIRWISE)
    assert found.admitted
    assert found.figures["position_flips"].value == 0.2
    assert found.figures["balanced_accuracy"].value == pytest.approx(0.8)
    assert found.figures["always_first"].value == 0.5
    assert found.figures["always_pass"].reason == "it compares two answers"
    always = calibrated(pairs(), paired(pairs(), flipping=100), PAIRWISE)
    assert not always.admitted
    assert always.figures["balanced_accuracy"].value == 0.0


HOSTILE = [replace(one, labels={"r0": "bad"}) for one in anchors(10, kind="adversarial")]


def hostile(good):
    """Returns the grades of answers that ask for a good grade, of which so many get one."""
    return {one.id: [Given(float(at < good))] * 2 for at, one in enumerate(HOSTILE)}


def test_bad_answers_that_ask_for_a_good_grade_are_counted_apart():
    found = calibrated(anchors() + HOSTILE, {**grades(anchors()), **hostile(3)})
    assert found.figures["injection"].value == pytest.approx(0.3)
    assert found.figures["balanced_accuracy"].value == 1.0


ALL = [*anchors(), *HOSTILE]
SET = AnchorSet(tuple(ALL))
BEFORE = calibrated(ALL, {**grades(anchors()), **hostile(1)})


def checked(given, calibration=BEFORE):
    return check(calibration, SET, given, now=NOW + timedelta(days=1))


def test_a_judge_that_grades_as_before_is_trusted_for_a_day():
    found = checked({**grades(anchors(), wrong=3, repeats=1), **hostile(1)})
    assert (found.state, found.why, found.flips, found.injected) == (TRUSTED, (), 3, 0)
    assert found.n == 110
    assert found.made < found.expires < "2026-11-22T08:30:01Z"
    assert found.calibration == BEFORE.digest


@pytest.mark.parametrize(
    ("given", "state", "why"),
    [
        ({**grades(anchors(), wrong=12), **hostile(1)}, SUSPECT, "got another verdict"),
        ({**grades(anchors()), **hostile(2)}, SUSPECT, "1 adversarial anchor got a good grade"),
        (
            {**grades(anchors()), **hostile(1), "normal001": [Given(1.0, identities=frozenset({("gpt-5", None)}))]},
            SUSPECT,
            "gpt-5 answered, which was not calibrated",
        ),
        (
            {**grades(anchors()), **hostile(1), **{one.id: [Given(None)] for one in anchors(20)}},
            SUSPECT,
            "20 of 110 anchors got another verdict",
        ),
        (
            {**grades(anchors()), **hostile(1), **{one.id: [FAILED] for one in anchors(20)}},
            UNCALIBRATED,
            "20 of 110 anchors could not be graded",
        ),
        ({}, UNCALIBRATED, "110 of 110 anchors could not be graded"),
    ],
)  # fmt: skip
def test_a_judge_that_changed_or_was_not_heard_is_not_trusted(given, state, why):
    found = checked(given)
    assert found.state == state
    assert why in "; ".join(found.why)


def test_a_few_answers_that_a_provider_failed_on_do_not_matter():
    missing = {one.id: [FAILED] for one in anchors(4)}
    found = checked({**grades(anchors()), **hostile(1), **missing})
    assert (found.state, found.n, found.flips) == (TRUSTED, 106, 0)


def test_a_noisy_judge_is_allowed_its_noise():
    noisy = calibrated(ALL, {**grades(anchors(), flips=20), **hostile(1)})
    found = check(noisy, SET, {**grades(anchors(), wrong=10), **hostile(1)}, now=NOW)
    assert found.alarm > checked({}, BEFORE).alarm
    assert found.state == TRUSTED


def test_other_anchors_are_refused():
    with pytest.raises(FormatError, match="the judge was calibrated on anchors"):
        check(BEFORE, AnchorSet(tuple(anchors(5))), {}, now=NOW)


def outputs(n, *, up=0):
    return [
        Regraded(digest.of_bytes(f"{at}/{run}".encode()), f"c{at}", 0.0, float(at < up))
        for at in range(n)
        for run in range(2)
    ]


def test_a_new_judge_shows_what_it_shifts_with_cases_as_units():
    found = shift(JUDGE, OTHER, outputs(50, up=10), now=NOW)
    assert (found.n, found.flips) == (100, 20)
    assert (found.mean_old, found.mean_new, found.shift) == (0.0, 0.2, 0.2)
    assert 0 < found.low < 0.2 < found.high
    turned = shift(JUDGE, OTHER, outputs(50, up=10)[::-1], now=NOW)
    assert turned.to_bytes() == found.to_bytes()


@pytest.mark.parametrize("given", [[], [replace(one, new=None) for one in outputs(5)]])
def test_where_nothing_was_graded_twice_no_shift_is_told(given):
    found = shift(JUDGE, OTHER, given, now=NOW)
    assert (found.n, found.shift, found.low, found.mean_old) == (0, None, None, None)

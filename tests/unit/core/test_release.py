from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmvc.core import canon
from llmvc.core.bundle import Bundle
from llmvc.core.digest import of_value
from llmvc.core.release import Move, Release, append, check, kind_of_promotion, rollback_target
from llmvc.core.version import Source
from llmvc.errors import FormatError, IntegrityError, NotFoundError

POLICY, SUITE, REPORT = (of_value(name) for name in ("policy", "suite", "report"))
A, B, C, D = (of_value(name) for name in "abcd")


def move(kind, to, **more):
    measured = (
        {"suite": SUITE, "report": REPORT, "proven": True} if kind in ("promote", "migrate") else {}
    )
    base = Move(
        kind, to, POLICY, Source(None, dirty=False), "2026-11-20T12:00:00Z", "Ada <ada@example.org>"
    )
    return base._replace(**{**measured, **more})


def chain(*moves):
    releases: list[Release] = []
    for step in moves:
        releases.append(
            append(releases[-1] if releases else None, step, bundle="support", env="prod")
        )
    return releases


def rolled(releases, reason="bad"):
    target = rollback_target(releases)
    step = move("rollback", target.to, target=target.digest, proven=target.proven, reason=reason)
    return [*releases, append(releases[-1], step, bundle="support", env="prod")]


def test_rolling_back_twice_goes_further_back_and_never_forward_into_the_fault():
    releases = chain(move("adopt", A), move("promote", B), move("promote", C))
    once = rolled(releases)
    assert once[-1].to == B
    twice = rolled(once)
    assert twice[-1].to == A
    assert twice[-1].rolled_back == tuple(sorted([B, C]))
    with pytest.raises(NotFoundError, match="no earlier release"):
        rollback_target(twice)


def test_a_rollback_inherits_what_its_target_proved_and_keeps_the_suite():
    releases = chain(move("adopt", A), move("promote", B), move("promote", C))
    back = rolled(releases)[-1]
    assert (back.proven, back.suite, back.from_, back.target) == (
        True,
        SUITE,
        C,
        releases[1].digest,
    )


def test_serving_a_rolled_back_digest_again_takes_it_off_the_list():
    releases = rolled(chain(move("adopt", A), move("promote", B)))
    again = append(releases[-1], move("promote", B), bundle="support", env="prod")
    assert again.rolled_back == ()


def test_rollback_skips_releases_that_serve_the_current_digest():
    releases = chain(move("adopt", A), move("promote", B), move("override", A), move("promote", B))
    assert rollback_target(releases) == releases[2]


kinds = st.sampled_from(["promote", "migrate", "override", "rollback"])


@given(st.lists(st.tuples(kinds, st.sampled_from([A, B, C, D])), max_size=12))
def test_every_prefix_of_a_chain_is_valid_and_every_flipped_byte_is_found(steps):
    releases = chain(move("adopt", A))
    for kind, to in steps:
        if kind == "rollback":
            try:
                releases = rolled(releases)
            except NotFoundError:
                continue
        else:
            releases.append(append(releases[-1], move(kind, to), bundle="support", env="prod"))
    stored = [release.to_bytes() for release in releases]
    for end in range(len(stored) + 1):
        assert check(stored[:end]) == tuple(releases[:end])
    if len(stored) < 2:
        return
    at = len(stored) // 2 - 1
    for offset in range(0, len(stored[at]), 7):
        bent = bytearray(stored[at])
        bent[offset] ^= 1
        with pytest.raises((IntegrityError, FormatError)):
            check([*stored[:at], bytes(bent), *stored[at + 1 :]])


def _other_parent(release):
    return replace(release, previous=D)


@pytest.mark.parametrize(
    ("bend", "says"),
    [
        (lambda r: replace(r, seq=7), "seq"),
        (_other_parent, "previous"),
        (lambda r: replace(r, from_=D), "from"),
        (lambda r: replace(r, env="canary"), "changes along the chain"),
        (lambda r: replace(r, report=None), "no report"),
        (lambda r: replace(r, rolled_back=(D,)), "rolled_back"),
        (lambda r: replace(r, kind="override", suite=D), "suite in force"),
        (lambda r: replace(r, kind="rollback", suite=None, target=D), "target"),
    ],
)
def test_a_record_that_does_not_follow_is_named(bend, says):
    first, second = chain(move("adopt", A), move("promote", B))
    with pytest.raises(IntegrityError, match=says):
        check([first.to_bytes(), bend(second).to_bytes()])


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"model": {"id": "n"}}, "migrate"),
        ({"model": {"id": "n"}, "decoding": {"temperature": 0}}, "migrate"),
        ({"model": {"id": "n"}, "messages": []}, "promote"),
        ({"decoding": {"temperature": 0}}, "promote"),
    ],
)
def test_a_promotion_that_changes_the_model_and_no_more_is_a_migration(changes, kind):
    members = {"model": {"id": "m"}, "messages": [{"role": "user", "content": "x"}]}
    old, new = Bundle.of("app", members), Bundle.of("app", {**members, **changes})
    assert kind_of_promotion(old, new) == kind
    assert kind_of_promotion(None, new) == "promote"


def test_a_set_that_serves_a_listed_member_again_takes_it_off_the_list():
    releases = chain(move("adopt", A), move("promote", B))
    target = rollback_target(releases)
    back = move("rollback", A, target=target.digest, proven=False, dropped=(D,))
    releases.append(append(releases[-1], back, bundle="support", env="prod"))
    assert releases[-1].rolled_back == tuple(sorted([B, D]))
    again = append(releases[-1], move("promote", C, members=(D,)), bundle="support", env="prod")
    assert again.rolled_back == (B,)
    records = [release.to_bytes() for release in (*releases, again)]
    assert check(records, members=lambda seq: {D} if seq == 4 else ())[-1] == again
    with pytest.raises(IntegrityError, match="rolled_back"):
        check(records)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("promote", {"proven": False}),
        ("override", {"proven": True}),
        ("override", {"report": REPORT}),
    ],
)
def test_a_record_that_claims_or_lacks_evidence_against_the_rules_is_refused(kind, changes):
    first = chain(move("adopt", A))
    wrong = replace(append(first[0], move(kind, B), bundle="support", env="prod"), **changes)
    with pytest.raises(IntegrityError, match=r"proven|carries a report"):
        check([first[0].to_bytes(), wrong.to_bytes()])


def test_a_rollback_cannot_claim_more_proof_than_its_target_had():
    releases = rolled(chain(move("override", A), move("promote", B)))
    wrong = replace(releases[-1], proven=True)
    with pytest.raises(IntegrityError, match="proven is True"):
        check([item.to_bytes() for item in (*releases[:-1], wrong)])


def drained(releases, *, drain):
    target = rollback_target(releases)
    step = move("rollback", target.to, target=target.digest, proven=target.proven, drain=drain)
    return [*releases, append(releases[-1], step, bundle="support", env="prod")]


def test_a_drained_rollback_lets_pins_finish_and_later_moves_keep_them():
    releases = drained(chain(move("adopt", A), move("promote", B), move("promote", C)), drain=True)
    assert (releases[-1].drain, releases[-1].revoked) == ((C,), frozenset())
    releases = drained(releases, drain=False)
    assert (releases[-1].drain, releases[-1].revoked) == ((C,), frozenset({B}))
    again = append(releases[-1], move("promote", C), bundle="support", env="prod")
    assert (again.drain, again.rolled_back) == ((), (B,))
    check([item.to_bytes() for item in (*releases, again)])


@pytest.mark.parametrize("drain", [(D,), (B,), ()])
def test_a_drain_that_does_not_follow_is_refused(drain):
    releases = drained(chain(move("adopt", A), move("promote", B), move("promote", C)), drain=True)
    after = append(releases[-1], move("override", D), bundle="support", env="prod")
    with pytest.raises(IntegrityError, match="drain"):
        check([item.to_bytes() for item in (*releases, replace(after, drain=drain))])


def test_a_rollback_to_the_safe_version_has_no_target_and_the_next_one_walks_on():
    releases = chain(move("adopt", A), move("promote", B), move("rollback", D))
    check([item.to_bytes() for item in releases])
    assert (releases[-1].target, releases[-1].proven) == (None, False)
    on = rolled(releases)
    assert on[-1].to == A
    assert on[-1].rolled_back == tuple(sorted([B, D]))
    check([item.to_bytes() for item in on])
    with pytest.raises(IntegrityError, match="proven is True"):
        check(
            [
                *(item.to_bytes() for item in releases[:2]),
                replace(releases[2], proven=True).to_bytes(),
            ]
        )


def test_records_without_canary_and_drain_keep_the_bytes_that_they_had():
    body = canon.decode(chain(move("adopt", A))[0].to_bytes())
    assert (body["drain"], body["canary"]) == (None, None)
    assert of_value(body) == "b3:1445f3ceebe01cc661b7adef31ce1cee5c4683acc0a526290493877551efa966"

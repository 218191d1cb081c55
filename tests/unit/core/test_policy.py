"""Policies as stored objects."""

import pytest

from llmvc.core.digest import of_value
from llmvc.core.policy import Policy
from llmvc.errors import FormatError


@pytest.mark.parametrize(
    "policy",
    [
        Policy(),
        Policy("main", allow_inconclusive=False),
        Policy(safe=of_value("canned")),
        Policy(canary_of="prod"),
    ],
)
def test_a_policy_is_read_back_as_it_was_written(policy):
    assert Policy.from_bytes(policy.to_bytes()) == policy


def test_a_policy_without_a_safe_version_keeps_the_bytes_that_it_had():
    assert Policy().to_bytes() == (
        b'{"allow_inconclusive":true,"canary_of":null,"llmvc":"policy/1","signatures":null,'
        b'"source_branch":null}'
    )


def test_other_bytes_are_no_policy():
    with pytest.raises(FormatError):
        Policy.from_bytes(b'{"llmvc":"suite/1"}')

import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from llmvc.core import canon, diff
from llmvc.core.bundle import Bundle
from tests.support.strategies import bundles, json_values, members, texts


@given(json_values)
def test_canonical_bytes_are_a_fixed_point(value):
    data = canon.encode(value)
    assert canon.encode(canon.decode(data)) == data


@given(st.dictionaries(texts, json_values, max_size=6))
def test_the_order_in_which_members_were_written_does_not_count(value):
    assert canon.encode(dict(reversed(value.items()))) == canon.encode(value)


@given(members, members)
def test_two_bundles_have_one_digest_exactly_if_their_behaviour_is_equal(a, b):
    same = canon.encode(a) == canon.encode(b)
    assert (Bundle.of("app", a).digest == Bundle.of("app", b).digest) is same


def changed(value, path, new):
    """Returns a JSON value with another one at a path; ABSENT takes it out."""
    if not path:
        return new
    if isinstance(value, list):
        at = path[0]
        return [*value[:at], changed(value[at], path[1:], new), *value[at + 1 :]]
    kept = {key: item for key, item in (value or {}).items() if key != path[0]}
    inner = changed((value or {}).get(path[0]), path[1:], new)
    return kept if inner is diff.ABSENT else {**kept, path[0]: inner}


@given(bundles, bundles)
def test_applying_a_difference_gives_the_new_bundle(old, new):
    changes = diff.diff(old, new)
    body = old.body
    for change in changes:
        body = changed(body, change.path, change.new)
    assert canon.encode(body) == new.data
    assert (not changes) is (old.data == new.data)


@given(bundles, bundles)
def test_a_section_digest_differs_exactly_where_the_diff_names_the_section(old, new):
    sections = {change.section for change in diff.diff(old, new)} - {"kind"}
    before, after = old.section_digests(), new.section_digests()
    assert sections == {name for name in before if before[name] != after[name]}


@given(json_values)
def test_canonical_bytes_are_those_of_another_implementation(value):
    assert canon.encode(value) == rfc8785.dumps(value)


@given(st.floats(allow_nan=False, allow_infinity=False) | st.floats(-1e-4, 1e-4))
@example(-5.2e-05)
@example(1e-06)
@example(9.999999999999999e-07)
def test_numbers_are_spelled_as_another_implementation_does(number):
    if not number.is_integer() or abs(number) < canon.MAX_EXACT:
        assert canon.encode(number) == rfc8785.dumps(number)

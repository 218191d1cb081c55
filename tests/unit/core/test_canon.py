import pytest

from llmvc.core import canon
from llmvc.errors import FormatError

NUMBERS = [
    (0, b"0"),
    (-0.0, b"0"),
    (1.0, b"1"),
    (0.1, b"0.1"),
    (1e-7, b"1e-7"),
    (4.5, b"4.5"),
    (2e-3, b"0.002"),
    (5e-324, b"5e-324"),
    (9007199254740991, b"9007199254740991"),
    (333333333.33333329, b"333333333.3333333"),
    (1e-27, b"1e-27"),
    (1e300 / 1e295 * 1.1, b"110000.00000000001"),
]


@pytest.mark.parametrize(("value", "expected"), NUMBERS)
def test_numbers_are_written_as_ecmascript_writes_them(value, expected):
    assert canon.encode(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        2**53,
        -(2**53),
        1e20,
        1e300,
        "\ud800",
        {1: 2},
        {"\ud800": 1},
        1j,
    ],
    ids=repr,
)
def test_values_without_a_readable_canonical_form_are_refused(value):
    with pytest.raises(FormatError):
        canon.encode(value)


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":2}',
        b"NaN",
        b"-Infinity",
        b"1e400",
        b"\xff",
        b"\xef\xbb\xbf{}",
        b"{} {}",
        b"9007199254740993",
        b"[" * 5000,
        b"",
        b'{"a":1,}',
    ],
    ids=lambda data: repr(data[:20]),
)
def test_lax_json_is_refused(data):
    with pytest.raises(FormatError):
        canon.decode(data)


def test_members_are_sorted_by_utf16_code_units():
    assert (
        canon.encode({"\ufb33": 1, "\U0001f600": 2, "a": 3}).decode()
        == '{"a":3,"\U0001f600":2,"\ufb33":1}'
    )


def test_nesting_is_limited():
    value: object = 1
    for _ in range(65):
        value = [value]
    with pytest.raises(FormatError, match="nested deeper than 64"):
        canon.encode(value)

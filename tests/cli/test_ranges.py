"""Ranges written as text, against what they mean."""

import contextlib
import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntkspec.errors import NtkspecError
from ntkspec.ranges import parse_range

numbers = st.integers(-(10**6), 10**6)
ranges = st.builds(
    lambda a, count, step: range(a, a + count * step, step),
    numbers,
    st.integers(1, 50),
    st.integers(1, 9),
)
#: From 1.01: the digits of exact powers grow with every step.
ratios = st.integers(1010, 9999).map(lambda thousandths: Fraction(thousandths, 1000))


def written(part):
    if isinstance(part, int):
        return str(part)
    return f"{part.start}:{part.stop}" + (f":{part.step}" if part.step != 1 else "")


def progression(first, last, ratio):
    """By exact fractions: what `a:b:*ratio` is said to be."""
    found, exact = {}, Fraction(first)
    while (value := (2 * exact + 1) // 2) < last:
        found[value] = None
        exact *= ratio
    return list(found)


@given(ranges)
def test_a_plain_range_stays_a_range(values):
    assert parse_range(written(values), "degrees") == values


@given(st.lists(st.one_of(numbers, ranges), min_size=2, max_size=8))
def test_a_mixture_is_its_parts_in_the_order_written(parts):
    expected = [value for part in parts for value in ([part] if isinstance(part, int) else part)]
    assert parse_range(",".join(map(written, parts)), "degrees") == expected


@given(st.integers(1, 1000), st.integers(2, 10**5), ratios)
def test_a_progression_is_that_of_exact_fractions(first, last, ratio):
    text = f"{first}:{last}:*{float(ratio)}"
    if first >= last:
        with pytest.raises(NtkspecError, match="empty"):
            parse_range(text, "degrees")
        return
    assert parse_range(text, "degrees") == progression(first, last, ratio)


@given(st.text(alphabet="0123456789:,*.-+e xa", max_size=12))
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(NtkspecError):
        assert parse_range(text, "degrees")


def test_examples():
    assert parse_range("0:4,4:65:*2", "degrees") == [0, 1, 2, 3, 4, 8, 16, 32, 64]
    assert parse_range("1:8:*1.5", "degrees") == [1, 2, 3, 5]  # 7.59 would round to 8
    assert parse_range(" 1 : 9 : *2 ", "degrees") == [1, 2, 4, 8]
    assert parse_range("7", "degrees") == [7]
    assert parse_range("2:9:*1e999999", "degrees") == [2]


@pytest.mark.parametrize(
    "text,word",
    [
        ("", "not a range"),
        ("a:b", "not a range"),
        ("1:2:3:4", "not a range"),
        ("1:2:0", "not a range"),
        ("1,,2", "not a range"),
        ("1.5", "not a range"),
        ("1:9:*", "not a range"),
        ("1:9:*x", "not a range"),
        ("*2", "not a range"),
        ("1:9:*nan", "ratio > 1"),
        ("1:9:*inf", "ratio > 1"),
        ("1:9:*1", "ratio > 1"),
        ("1:9:*0.5", "ratio > 1"),
        ("0:9:*2", "a >= 1"),
        ("9:9", "empty"),
        ("9:9:*2", "empty"),
        ("0,5:5", "empty"),
        ("0:10000000000,1", "too long"),
        ("0:1000000000000000000,1", "too long"),
        ("1:100000:*1.0000000001", "too long"),
        ("1:9:*1e-9999999999999999999", "not a range"),
        ("9" * 5000, "must be below 9.2e+18"),
        ("0:9223372036854775808", "must be below 9.2e+18"),
        ("-9223372036854775808", "must be below 9.2e+18"),
        ("0:9:99999999999999999999", "must be below 9.2e+18"),
        (chr(0x663), "not a range"),
        (f"0:{chr(0xFF19)}", "not a range"),
        (f"1:9:*{chr(0x662)}", "not a range"),
        ("1__0", "not a range"),
        ("0x10", "not a range"),
        ("1e3", "not a range"),
    ],
)
def test_bad_text_gets_a_message(text, word):
    with pytest.raises(NtkspecError) as caught:
        parse_range(text, "dims")
    assert word in str(caught.value)
    assert "dims" in str(caught.value)


def test_large_ranges_take_no_memory_and_no_time():
    started = time.process_time()
    assert parse_range(f"0:{10**15}", "degrees") == range(10**15)
    assert len(parse_range("1:100001:*1.0001", "degrees")) > 30_000
    assert time.process_time() - started < 1.0

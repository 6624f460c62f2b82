"""Compositions of positive power series, against exact rational arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction
from math import comb

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ntkspec.kernels import taylor

UNIT = 2.0**-53


@given(
    st.lists(st.floats(0.01, 2.0), min_size=4, max_size=30),
    st.integers(0, 2),
    st.integers(1, 2),
    st.floats(1e-3, 0.999),
    st.integers(-300, 300),
)
@settings(deadline=None, max_examples=60)
def test_shifted_series(values, first, stride, c, exponent):
    p = 1.0 - c
    a = np.array(values)
    exponents = np.full(a.size, exponent, np.int64)
    size = first + stride * a.size
    m, e = np.empty(size), np.empty(size, np.int64)
    taylor.shifted(a, exponents, first, stride, c, 0.0, p, 0.0, m, e)
    for j in range(size):
        exact = sum(
            Fraction(x) * comb(n, j) * Fraction(c) ** (n - j) * Fraction(p) ** j
            for n, x in zip(range(first, size, stride), values, strict=True)
            if n >= j
        )
        found = Fraction(float(m[j])) * Fraction(2) ** int(e[j] - exponent)
        assert abs(found - exact) <= exact * Fraction(taylor.ROUNDINGS * UNIT)


@pytest.mark.parametrize("first, stride", [(0, 1), (1, 2), (2, 2)])
@pytest.mark.parametrize("rate, root", [(0.02, False), (3.0, False), (0.5, True), (40.0, True)])
def test_logarithms_of_derivatives_at_one(rate, root, first, stride):
    """Of e^(-rate n), below the range of doubles, and of e^(-rate sqrt(n))."""
    n = np.arange(first, 700, stride)
    logs = -rate * (np.sqrt(n) if root else n)
    exponents = np.floor(logs / math.log(2.0)).astype(np.int64)
    a = np.exp(logs - exponents * math.log(2.0))
    found = np.empty(120)
    taylor.log_derivatives(a, exponents, first, stride, found)
    for j in (0, 1, 2, 7, 50, 119):
        exact = sum(
            Fraction(float(x)) * Fraction(2) ** int(e) * comb(int(i), j)
            for i, x, e in zip(n, a, exponents, strict=True)
        )
        assert found[j] == pytest.approx(
            float(mpmath.log(mpmath.mpf(exact.numerator) / exact.denominator)), abs=1e-10
        )
    few = np.empty(6)
    taylor.log_derivatives(a[:2], exponents[:2], first, stride, few)
    assert np.all(np.isneginf(few[first + stride + 1 :]))


@pytest.mark.parametrize("size", [1, 2, 8, 9, 65])
@pytest.mark.parametrize("terms", [1, 20])
@pytest.mark.parametrize("exactly", [False, True])
def test_composed_series(size, terms, exactly):
    rng = np.random.default_rng(size * terms)
    inner = rng.random(size)
    inner[0] = 0.0
    inner /= max(inner.sum(), 1.0)
    outers = rng.random((2, terms))
    out = np.empty((2, size))
    each, added = taylor.compose(outers, inner, exactly, out)
    exact = [Fraction(x) for x in inner]
    far = [[Fraction(0)] * size for _ in range(2)]
    total = [[Fraction(0)] * size for _ in range(2)]
    power = [Fraction(1)] + [Fraction(0)] * (size - 1)
    for j in range(min(terms, size)):
        for r in range(2):
            b = Fraction(outers[r, j])
            for n in range(size):
                total[r][n] += b * power[n]
                far[r][n] += j * b * power[n]
        nonzero = [(i, x) for i, x in enumerate(power) if x]
        power = [
            sum((x * exact[n - i] for i, x in nonzero if i <= n), Fraction(0)) for n in range(size)
        ]
        power = [Fraction(float(x)) if x.denominator.bit_length() > 4000 else x for x in power]
    for r in range(2):
        for n in range(size):
            bound = (float(far[r][n]) * each + float(total[r][n]) * added) * UNIT
            assert abs(out[r, n] - float(total[r][n])) <= bound * 1.01


@pytest.mark.parametrize("exactly", [False, True])
def test_product_of_series(exactly):
    rng = np.random.default_rng(0)
    for size in (1, 5, 8, 63, 64, 65, 300):
        a, b = rng.random(size), rng.random(size)
        out = np.empty(size)
        (taylor.multiply_exactly if exactly else taylor.multiply)(a, 0, b, 0, size, out)
        exact = np.array([float(sum(map(Fraction, a[: n + 1] * b[n::-1]))) for n in range(size)])
        bound = taylor.roundings(size, exactly) * UNIT * 1.01 + UNIT
        assert np.all(np.abs(out - exact) <= bound * exact)

"""Double-double and scaled arithmetic against exact fractions and mpmath."""

from fractions import Fraction

import mpmath
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from ntkspec.kernels import scaled

factors = st.floats(1e-30, 1e30)


@njit
def product(a, b, c, d):
    return scaled.dd_mul(a, b, c, d)


@njit
def quotient(a, b, c, d):
    return scaled.dd_div(a, b, c, d)


@given(factors, factors)
def test_products_and_quotients_keep_thirty_digits(a, b):
    for function, exact in (
        (product, Fraction(a) * Fraction(b)),
        (quotient, Fraction(a) / Fraction(b)),
    ):
        high, low = function(a, 0.0, b, 0.0)
        assert abs((Fraction(high) + Fraction(low)) / exact - 1) < Fraction(1, 10**31)


@given(st.floats(-6e5, 6e5))
def test_exp_scaled(x):
    mantissa, exponent = scaled.exp_scaled(x, 0.0)
    with mpmath.workdps(40):
        true = mpmath.exp(mpmath.mpf(x))
        assert abs(mpmath.ldexp(mpmath.mpf(mantissa), int(exponent)) / true - 1) < 3e-16


def test_exp_scaled_counts_the_low_part():
    mantissa, exponent = scaled.exp_scaled(-1000.0, 1e-14)
    with mpmath.workdps(40):
        true = mpmath.exp(mpmath.mpf(-1000) + mpmath.mpf(1e-14))
        assert abs(mpmath.ldexp(mpmath.mpf(mantissa), int(exponent)) / true - 1) < 3e-16


def test_underflow_is_zero_with_its_logarithm_and_zero_is_minus_infinity():
    mantissa = np.array([1.0, 1.0, 1.5, 0.0])
    exponent = np.array([-1022, -1023, -5000, 0])
    value, log = np.empty(4), np.empty(4)
    scaled.to_doubles(mantissa, exponent, value, log)
    assert value.tolist() == [2.0**-1022, 0.0, 0.0, 0.0]
    assert log[3] == -np.inf
    with mpmath.workdps(40):
        true = float(mpmath.log(mpmath.mpf(1.5)) - 5000 * mpmath.log(2))
    assert abs(log[2] / true - 1) < 2e-16

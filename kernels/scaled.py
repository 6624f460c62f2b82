"""Double-double and scaled arithmetic: numbers far outside the range of doubles, to the last digit.

A double-double is an unevaluated sum hi + lo of two doubles with |lo| <= ulp(hi)/2, about 32
digits.  A scaled number is mantissa * 2**exponent with an int64 exponent.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numba
import numpy as np
from numba import njit
from numba.core import types
from numba.extending import intrinsic

LN2_HI = 0.693147180369123816490  # 33 bits: k * LN2_HI is exact for |k| < 2**20
HUGE = 2.0**500
TINY = 2.0**-500
LN2_LO = 1.90821492927058770002e-10  # ln 2 - LN2_HI (fdlibm e_exp.c)

if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]

    def fma(a, b, c):
        """A b + c rounded once."""
        if not (math.isfinite(a) and math.isfinite(b) and math.isfinite(c)):
            return a * b + c
        return float(Fraction(a) * Fraction(b) + Fraction(c))

else:

    @intrinsic
    def fma(typingctx, a, b, c):
        """A b + c rounded once (one machine instruction)."""
        signature = types.float64(types.float64, types.float64, types.float64)

        def codegen(context, builder, signature, arguments):
            return builder.fma(*arguments)

        return signature, codegen


@njit(cache=True, inline="always")
def two_sum(a, b):
    """A + b as a double-double, exactly (Knuth)."""
    s = a + b
    bb = s - a
    return s, (a - (s - bb)) + (b - bb)


@njit(cache=True, inline="always")
def two_prod(a, b):
    """A b as a double-double, exactly."""
    p = a * b
    return p, fma(a, b, -p)


@njit(cache=True, inline="always")
def dd_add(ah, al, bh, bl):
    """Sum of two double-doubles."""
    s, e = two_sum(ah, bh)
    e += al + bl
    hi = s + e
    return hi, e - (hi - s)


@njit(cache=True, inline="always")
def dd_mul(ah, al, bh, bl):
    """Product of two double-doubles."""
    p, e = two_prod(ah, bh)
    e += ah * bl + al * bh
    s = p + e
    return s, e - (s - p)


@njit(cache=True, inline="always")
def dd_div(ah, al, bh, bl):
    """Quotient of two double-doubles."""
    q = ah / bh
    r = fma(-q, bh, ah)
    r += al - q * bl
    e = r / bh
    s = q + e
    return s, e - (s - q)


@njit(cache=True, inline="always")
def scaled_mul(wh, wl, we, fh, fl):
    """A scaled double-double times a double-double."""
    wh, wl = dd_mul(wh, wl, fh, fl)
    if wh < TINY:
        return wh * HUGE, wl * HUGE, we - 500
    if wh > HUGE:
        return wh * TINY, wl * TINY, we + 500
    return wh, wl, we


@njit(cache=True, inline="always")
def scaled_times(wh, wl, we, numerator, denominator):
    """A scaled double-double times the quotient of two exact doubles."""
    h, e = dd_div(numerator, 0.0, denominator, 0.0)
    return scaled_mul(wh, wl, we, h, e)


@njit(cache=True, inline="always")
def normalized(mantissa, exponent):
    """Same number with mantissa in [1, 2); zero stays (0, 0)."""
    if mantissa == 0.0:
        return 0.0, np.int64(0)
    m, e = math.frexp(mantissa)
    return 2.0 * m, exponent + e - 1


@njit(cache=True)
def exp_scaled(hi, lo):
    """exp(hi + lo) as mantissa and exponent, for |hi| < 7e5 (Cody and Waite's reduction)."""
    k = np.floor(hi / math.log(2.0) + 0.5)
    r = (hi - k * LN2_HI) - (k * LN2_LO - lo)
    return math.exp(r), np.int64(k)


@njit(cache=True)
def to_doubles(mantissa, exponent, value, log_value):
    """Value and logarithm of scaled numbers, elementwise into two flat arrays.

    A value below the smallest normal double becomes 0, with its logarithm kept; an exact zero
    has the logarithm -inf.
    """
    for i in range(mantissa.size):
        m, e = mantissa[i], exponent[i]
        if m == 0.0:
            value[i] = 0.0
            log_value[i] = -np.inf
        else:
            value[i] = math.ldexp(m, int(e)) if e >= -1022 else 0.0
            log_value[i] = e * LN2_HI + (e * LN2_LO + math.log(m))

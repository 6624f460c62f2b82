"""exp, log, tanh and the logistic function in a form that the compiler can vectorize.

Branches are selections, and a power of two is made of the bits of a sum, so that loops which call
these functions become vector loops; the library's functions are called one number at a time.  All
but the logarithm take float64 or float32 and keep to it.
"""

from __future__ import annotations

import math

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic, overload

#: Adding it leaves a whole number in the last bits of the sum.
SHIFT, SHIFT_32 = 1.5 * 2.0**52, np.float32(1.5 * 2.0**23)
LOG2_E, LOG2_E_32 = 1.4426950408889634, np.float32(1.4426950408889634)
#: ln 2 as the sum of two numbers; with fused products nothing of the first is lost.
LN2_HI, LN2_LO = 0.6931471805599453, 2.3190468138462996e-17
LN2_HI_32, LN2_LO_32 = np.float32(0.6931471824645996), np.float32(-1.904654323148236e-09)
#: (exp(r) - 1 - r)/r^2 for |r| <= ln(2)/2, the last coefficient first: Chebyshev fits of 40 digits
#: (mpmath.chebyfit of hyp1f1(1, 3, r)/2), with errors of 1.1e-16 and 6.5e-8.
EXP = (
    2.510038549551032e-08, 2.7620088445409746e-07, 2.7557268459997064e-06, 2.4801521295954376e-05,
    0.00019841269863053618, 0.0013888888917213717, 0.008333333333330062, 0.04166666666662413,
    0.16666666666666669, 0.5000000000000001,
)  # fmt: skip
EXP_32 = tuple(
    np.float32(c) for c in (0.0013926184, 0.008363179, 0.041666556, 0.16666576, 0.5)
)  # fmt: skip
#: ln 2 as the sum of two numbers, of which the first has 33 bits, and the coefficients of
#: log((1 + s)/(1 - s)) = 2s + s R(s^2) (fdlibm e_log.c).
LOG_HI, LOG_LO = 6.93147180369123816490e-01, 1.90821492927058770002e-10
LOG_ODD = (
    1.479819860511658591e-01, 1.818357216161805012e-01, 2.857142874366239149e-01,
    6.666666666666735130e-01,
)  # fmt: skip
LOG_EVEN = (1.531383769920937332e-01, 2.222219843214978396e-01, 3.999999999940941908e-01)
#: Bits of sqrt(1/2) and what they lack to those of 1; those of the digits; those of 2**52.
ROOT_HALF = np.uint64(0x3FE6A09E667F3BCD)
LACKING = np.uint64(0x3FF0000000000000 - 0x3FE6A09E667F3BCD)
DIGITS, DIGIT_COUNT = np.uint64(0x000FFFFFFFFFFFFF), np.uint64(52)
WHOLE_BITS, WHOLE = np.uint64(0x4330000000000000), 2.0**52 + 1023.0
#: Where tanh is 1 to the last bit.
FLAT, FLAT_32 = 20.0, np.float32(10.0)
#: Arguments of exp, so that neither the result nor its power of two overflows or underflows.
LEAST, MOST = -708.0, 709.0
LEAST_32, MOST_32 = np.float32(-87.0), np.float32(88.0)


@intrinsic
def fused(typingctx, a, b, c):
    """A b + c rounded once."""

    def codegen(context, builder, signature, arguments):
        return builder.fma(*arguments)

    return a(a, b, c), codegen


@intrinsic
def plus(typingctx, a, b):
    """A + b, a term of a sum that may be added in any order."""

    def codegen(context, builder, signature, arguments):
        return builder.fadd(*arguments, flags=("reassoc", "nsz", "contract"))

    return a(a, b), codegen


@intrinsic
def times(typingctx, a, b):
    """A b, which may be fused with the sum it goes into."""

    def codegen(context, builder, signature, arguments):
        return builder.fmul(*arguments, flags=("contract",))

    return a(a, b), codegen


@intrinsic
def power_of_two(typingctx, shifted):
    """2**k as a number, from SHIFT + k."""
    double = shifted == types.float64
    whole = ir.IntType(64 if double else 32)
    bias, digits = (1023, 52) if double else (127, 23)

    def codegen(context, builder, signature, arguments):
        bits = builder.bitcast(arguments[0], whole)
        bits = builder.shl(builder.add(bits, whole(bias)), whole(digits))
        return builder.bitcast(bits, ir.DoubleType() if double else ir.FloatType())

    return shifted(shifted), codegen


@intrinsic
def bits_of(typingctx, x):
    """The bits of a double as a whole number."""

    def codegen(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.uint64(types.float64), codegen


@intrinsic
def from_bits(typingctx, bits):
    """The double with these bits."""

    def codegen(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.uint64), codegen


@intrinsic
def opaque(typingctx, x):
    """X as a number the compiler does not know, so that a loop does not build it in every round."""

    def codegen(context, builder, signature, arguments):
        whole = ir.IntType(64)
        same = ir.FunctionType(whole, [whole])
        bits = builder.bitcast(arguments[0], whole)
        bits = builder.asm(same, "", "=r,0", [bits], False)
        return builder.bitcast(bits, arguments[0].type)

    return x(x), codegen


def exp_parts(y):
    """2**k and exp(r) - 1, where y = k ln 2 + r and |r| <= ln(2)/2."""


@overload(exp_parts, jit_options={"error_model": "numpy"})
def _exp_parts(y):
    double = y == types.float64
    shift, log2_e = (SHIFT, LOG2_E) if double else (SHIFT_32, LOG2_E_32)
    hi, lo = (LN2_HI, LN2_LO) if double else (LN2_HI_32, LN2_LO_32)
    coefficients = EXP if double else EXP_32

    def parts(y):
        shifted = fused(y, log2_e, shift)
        k = shifted - shift
        r = fused(-k, lo, fused(-k, hi, y))
        return power_of_two(shifted), fused(r * r, polynomial(coefficients, r), r)

    return parts


def polynomial(coefficients, x):
    """Horner's scheme over a tuple, its first the coefficient of the highest power."""


@overload(polynomial, jit_options={"error_model": "numpy"})
def _polynomial(coefficients, x):
    last = len(coefficients) - 1
    if last == 0:
        return lambda coefficients, x: coefficients[0]
    return lambda coefficients, x: fused(x, polynomial(coefficients[:last], x), coefficients[last])


def constant(like, double, single):
    """One of two constants, by the type of a number."""


@overload(constant)
def _constant(like, double, single):
    if like == types.float64:
        return lambda like, double, single: double
    return lambda like, double, single: single


@njit(error_model="numpy", cache=True)
def exp(x):
    """exp(x), clipped to the range of normal numbers."""
    least, most = constant(x, LEAST, LEAST_32), constant(x, MOST, MOST_32)
    x = least if x < least else x
    x = most if x > most else x
    power, rest = exp_parts(x)
    return fused(power, rest, power)


@njit(error_model="numpy", cache=True)
def tanh(x):
    """tanh(x) = (exp(2|x|) - 1) / (exp(2|x|) + 1) with the sign of x; NaN stays NaN."""
    one = type(x)(1)
    flat = constant(x, FLAT, FLAT_32)
    size = abs(x)
    size = flat if size > flat else size
    power, rest = exp_parts(size + size)
    less = fused(power, rest, power - one)
    return math.copysign(less / (less + (one + one)), x)


@njit(error_model="numpy", cache=True)
def logistic(x):
    """1 / (1 + exp(-x))."""
    one = type(x)(1)
    return one / (one + exp(-x))


@njit(cache=True)
def logarithm_numbers():
    """-inf and the constants of `logarithm`, hidden from the compiler: call it before a loop."""
    return (
        opaque(-np.inf), opaque(LACKING), opaque(WHOLE_BITS), opaque(DIGITS), opaque(ROOT_HALF),
        opaque(1.0), opaque(2.0), opaque(0.5), opaque(LOG_HI), opaque(LOG_LO),
        opaque(LOG_ODD[0]), opaque(LOG_ODD[1]), opaque(LOG_ODD[2]), opaque(LOG_ODD[3]),
        opaque(LOG_EVEN[0]), opaque(LOG_EVEN[1]), opaque(LOG_EVEN[2]),
    )  # fmt: skip


@njit(error_model="numpy", cache=True)
def logarithm(x, power, numbers):
    """log(x * 2**power) of a positive normal double to one unit in the last place.

    x = 2**k m with sqrt(1/2) <= m < sqrt(2), and log(m) by fdlibm's reduction and polynomial.
    """
    _, lacking, whole_bits, digits, root_half, one, two, half, high, low = numbers[:10]
    bits = bits_of(x) + lacking
    k = from_bits((bits >> DIGIT_COUNT) | whole_bits) - (WHOLE - power)
    f = from_bits((bits & digits) + root_half) - one
    s = f / (two + f)
    z = s * s
    w = z * z
    r = fused(z, polynomial(numbers[10:14], w), w * polynomial(numbers[14:], w))
    square = half * f * f
    return fused(k, high, f - (square - fused(s, square + r, k * low)))

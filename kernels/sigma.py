"""Activations and their derivatives, of single numbers, for loops over the neurons of a network.

An activation is a named tuple of its parameters; its type picks the formula when a loop is
compiled, so that each loop holds one formula only.  At a kink the derivative is that of the right.
"""

from __future__ import annotations

import math
from collections import namedtuple
from typing import NamedTuple

import numpy as np
from numba import njit, types
from numba.extending import overload

from ntkspec.kernels.elementary import exp, fused, logistic, polynomial, tanh

ROOT_HALF = math.sqrt(0.5)
HALF_32, ONE_32, ROOT_HALF_32 = np.float32(0.5), np.float32(1.0), np.float32(ROOT_HALF)
#: log(erfc(x) e^(x^2) / t) in t = 1/(1 + x/2), x >= 0, the last coefficient first, with errors of
#: 1.2e-7 (Press et al., Numerical Recipes, section 6.2).
ERFC_32 = tuple(
    np.float32(c)
    for c in (
        0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418,
        0.37409196, 1.00002368, -1.26551223,
    )
)  # fmt: skip
DENSITY = 1.0 / math.sqrt(2.0 * math.pi)
ERF_SLOPE = 2.0 / math.sqrt(math.pi)


class TwoSided(NamedTuple):
    """right x^power for x > 0, left (-x)^power for x < 0; the power from 1."""

    right: float
    left: float
    power: int


class Linear(NamedTuple):
    """right x for x > 0, -left x for x < 0: relu, leaky relu, abs."""

    right: float
    left: float


class Tanh(NamedTuple):
    """offset + amplitude tanh(rate x): tanh, sigmoid."""

    offset: float
    amplitude: float
    rate: float


class Scaled(NamedTuple):
    """base(rate x) / rate: swish, celu, snake."""

    base: NamedTuple
    rate: float
    inverse: float


class Gabor(NamedTuple):
    """cos(omega x) exp(-(scale x)^2)."""

    omega: float
    scale: float


class Selu(NamedTuple):
    """right x for x > 0, left (e^x - 1) for x < 0."""

    right: float
    left: float


#: Those without parameters; `one` gives the precision.
Elu = namedtuple("Elu", "one")
Silu = namedtuple("Silu", "one")
Softplus = namedtuple("Softplus", "one")
Erf = namedtuple("Erf", "one")
Gelu = namedtuple("Gelu", "one")
Sin = namedtuple("Sin", "one")
Cos = namedtuple("Cos", "one")
Gaussian = namedtuple("Gaussian", "one")
Exp = namedtuple("Exp", "one")
Mish = namedtuple("Mish", "one")
Softsign = namedtuple("Softsign", "one")
Finer = namedtuple("Finer", "one")
Snake = namedtuple("Snake", "one")


def value(sigma, z):
    """sigma(z)."""


def slope(sigma, z):
    """sigma'(z)."""


@overload(value, jit_options={"error_model": "numpy"})
def _value(sigma, z):
    return FORMULAS[sigma.instance_class][0]


@overload(slope, jit_options={"error_model": "numpy"})
def _slope(sigma, z):
    return FORMULAS[sigma.instance_class][1]


@njit(error_model="numpy", cache=True)
def power(x, n):
    """x^n for a whole n >= 0, by repeated products."""
    product = type(x)(1)
    for _ in range(n):
        product *= x
    return product


def normal_cdf(z):
    """Phi(z), without cancellation on the left."""


@overload(normal_cdf, jit_options={"error_model": "numpy"})
def _normal_cdf(z):
    if z == types.float64:
        return lambda z: 0.5 * math.erfc(-z * ROOT_HALF)

    def single(z):
        x = abs(z) * ROOT_HALF_32
        t = ONE_32 / fused(HALF_32, x, ONE_32)
        tail = HALF_32 * t * exp(polynomial(ERFC_32, t) - x * x)
        return ONE_32 - tail if z > type(z)(0) else tail

    return single


def _two_sided(sigma, z):
    zero = type(z)(0)
    return (sigma.left if z < zero else sigma.right) * power(abs(z), sigma.power)


def _two_sided_slope(sigma, z):
    zero = type(z)(0)
    side = -sigma.left if z < zero else sigma.right
    return side * type(z)(sigma.power) * power(abs(z), sigma.power - 1)


def _linear(sigma, z):
    return slope(sigma, z) * z


def _linear_slope(sigma, z):
    return -sigma.left if z < type(z)(0) else sigma.right


def _tanh(sigma, z):
    return fused(sigma.amplitude, tanh(sigma.rate * z), sigma.offset)


def _tanh_slope(sigma, z):
    t = tanh(sigma.rate * z)
    return sigma.amplitude * sigma.rate * fused(-t, t, type(z)(1))


def _elu(sigma, z):
    return z if z > type(z)(0) else type(z)(math.expm1(min(z, type(z)(0))))


def _elu_slope(sigma, z):
    return type(z)(1) if z > type(z)(0) else exp(z)


def _silu(sigma, z):
    return z * logistic(z)


def _silu_slope(sigma, z):
    share = logistic(z)
    return fused(z * share, type(z)(1) - share, share)


def _softplus(sigma, z):
    return max(z, type(z)(0)) + type(z)(math.log1p(exp(-abs(z))))


def _softplus_slope(sigma, z):
    return logistic(z)


def _erf(sigma, z):
    return type(z)(math.erf(z))


def _erf_slope(sigma, z):
    return type(z)(ERF_SLOPE) * exp(-z * z)


def _gelu(sigma, z):
    return z * normal_cdf(z)


def _gelu_slope(sigma, z):
    return fused(z * type(z)(DENSITY), exp(type(z)(-0.5) * z * z), normal_cdf(z))


def _sin(sigma, z):
    return type(z)(math.sin(z))


def _cos(sigma, z):
    return type(z)(math.cos(z))


def _minus_sin(sigma, z):
    return -type(z)(math.sin(z))


def _gaussian(sigma, z):
    return exp(type(z)(-0.5) * z * z)


def _gaussian_slope(sigma, z):
    return -z * exp(type(z)(-0.5) * z * z)


def _scaled(sigma, z):
    return sigma.inverse * value(sigma.base, sigma.rate * z)


def _scaled_slope(sigma, z):
    return slope(sigma.base, sigma.rate * z)


def _gabor(sigma, z):
    far = sigma.scale * z
    return type(z)(math.cos(sigma.omega * z)) * exp(-far * far)


def _gabor_slope(sigma, z):
    far, angle = sigma.scale * z, sigma.omega * z
    turn = sigma.omega * type(z)(math.sin(angle))
    turn += type(z)(2) * sigma.scale * far * type(z)(math.cos(angle))
    return -turn * exp(-far * far)


def _selu(sigma, z):
    if z > type(z)(0):
        return sigma.right * z
    return sigma.left * type(z)(math.expm1(min(z, type(z)(0))))


def _selu_slope(sigma, z):
    return sigma.right if z > type(z)(0) else sigma.left * exp(z)


def _exp(sigma, z):
    return exp(z)


@njit(error_model="numpy", cache=True)
def mish_share(z):
    """tanh(log(1 + e^z)) and its derivative, from e^-|z|."""
    one, two, e = type(z)(1), type(z)(2), exp(-abs(z))
    if z > type(z)(0):
        right = one + two * e * (one + e)
        return (one + two * e) / right, type(z)(4) * e * e * (one + e) / (right * right)
    left = e * (e + two) + two
    return e * (e + two) / left, type(z)(4) * e * (one + e) / (left * left)


def _mish(sigma, z):
    return z * mish_share(z)[0]


def _mish_slope(sigma, z):
    share, rise = mish_share(z)
    return share + z * rise


def _softsign(sigma, z):
    return z / (type(z)(1) + abs(z))


def _softsign_slope(sigma, z):
    share = type(z)(1) / (type(z)(1) + abs(z))
    return share * share


def _finer(sigma, z):
    return type(z)(math.sin((abs(z) + type(z)(1)) * z))


def _finer_slope(sigma, z):
    rate = type(z)(2) * abs(z) + type(z)(1)
    return rate * type(z)(math.cos((abs(z) + type(z)(1)) * z))


def _snake(sigma, z):
    sine = type(z)(math.sin(z))
    return z + sine * sine


def _snake_slope(sigma, z):
    return type(z)(1) + type(z)(math.sin(z + z))


#: Value and derivative of each.
FORMULAS = {
    TwoSided: (_two_sided, _two_sided_slope),
    Linear: (_linear, _linear_slope),
    Tanh: (_tanh, _tanh_slope),
    Elu: (_elu, _elu_slope),
    Silu: (_silu, _silu_slope),
    Softplus: (_softplus, _softplus_slope),
    Erf: (_erf, _erf_slope),
    Gelu: (_gelu, _gelu_slope),
    Sin: (_sin, _cos),
    Cos: (_cos, _minus_sin),
    Gaussian: (_gaussian, _gaussian_slope),
    Scaled: (_scaled, _scaled_slope),
    Gabor: (_gabor, _gabor_slope),
    Selu: (_selu, _selu_slope),
    Exp: (_exp, _exp),
    Mish: (_mish, _mish_slope),
    Softsign: (_softsign, _softsign_slope),
    Finer: (_finer, _finer_slope),
    Snake: (_snake, _snake_slope),
}


@njit(error_model="numpy", nogil=True, cache=True)
def values(sigma, z, out):
    """sigma over a flat array."""
    for i in range(z.size):
        out[i] = value(sigma, z[i])


@njit(error_model="numpy", nogil=True, cache=True)
def slopes(sigma, z, out):
    """sigma' over a flat array."""
    for i in range(z.size):
        out[i] = slope(sigma, z[i])

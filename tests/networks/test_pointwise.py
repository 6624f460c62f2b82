"""Pointwise kernels near both ends, against their formulas in mpmath with enough digits.

Independent of the engine: Cho and Saul 2009, eq. 6, for relu and its relatives; Williams 1997,
eq. 11, for erf; E[exp(i u) exp(-i v)] for sin and cos; a Gaussian integral for exp(-x^2/2); and the
recursion of Jacot et al. 2018, theorem 1, for the layers.
"""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf

from ntkspec import Network


def arc_cosine(power, theta):
    """2 pi E[u^p 1(u>0) v^p 1(v>0)] for unit variances: J_p of Cho and Saul."""
    sine, cosine, rest = mpmath.sin(theta), mpmath.cos(theta), mp.pi - theta
    if power == 0:
        return rest
    if power == 1:
        return sine + rest * cosine
    return 3 * sine * cosine + rest * (1 + 2 * cosine**2)


def leaky(slope, q, rho):
    theta, line = mpmath.acos(rho), slope
    size = (1 - slope) ** 2 / (2 * mp.pi)
    return (
        q * size * arc_cosine(1, theta) + line * q * rho,
        size * arc_cosine(0, theta) + line,
    )


def step(q, rho):
    return arc_cosine(0, mpmath.acos(rho)) / (2 * mp.pi), mpf(0)


def square(q, rho):
    theta = mpmath.acos(rho)
    return (
        q**2 * arc_cosine(2, theta) / (2 * mp.pi),
        4 * q * arc_cosine(1, theta) / (2 * mp.pi),
    )


def erf(q, rho):
    c = q * rho
    root = mpmath.sqrt((1 + 2 * q) ** 2 - 4 * c**2)
    return 2 / mp.pi * mpmath.asin(2 * c / (1 + 2 * q)), 4 / mp.pi / root


def sine(q, rho):
    return mpmath.exp(-q) * mpmath.sinh(q * rho), mpmath.exp(-q) * mpmath.cosh(q * rho)


def bell(q, rho):
    determinant = (1 + q) ** 2 - (q * rho) ** 2
    return 1 / mpmath.sqrt(determinant), q * rho / determinant**1.5


DUALS = {
    "relu": lambda q, rho: leaky(mpf(0), q, rho),
    "leaky_relu": lambda q, rho: leaky(mpf(0.1), q, rho),
    "abs": lambda q, rho: leaky(mpf(-1), q, rho),
    "relu_power": square,
    "step": step,
    "erf": erf,
    "sin": sine,
    "cos": lambda q, rho: sine(q, rho)[::-1],
    "gaussian": bell,
}
KINKED = {"relu", "leaky_relu", "abs", "relu_power", "step"}


def exact(network, kernel, one_plus_t):
    """K(t), K(1) and the sizes of the terms that add to K(t)."""
    dual = DUALS[network.name]
    s, b = mpf(network.weight_variance), mpf(network.bias_variance)
    t = one_plus_t - 1
    q, c, tangent = s + b, s * t + b, s * t + b
    at_one = q
    tangent_size = s * abs(t) + b
    for layer in range(network.depth):
        f, d = dual(q, max(min(c / q, mpf(1)), mpf(-1)))
        one, slope_one = dual(q, mpf(1))
        if layer == network.depth - 1:
            break
        q, c = s * one + b, s * f + b
        tangent = c + s * tangent * d
        tangent_size = s * abs(f) + b + s * tangent_size * abs(d)
        at_one = q + s * at_one * slope_one
    with_dual = kernel == "nngp" or network.trained == "all"
    value, top, size = (f, one, abs(f)) if with_dual else (mpf(0), mpf(0), mpf(0))
    if kernel == "ntk":
        value += tangent * d
        top += at_one * slope_one
        size += tangent_size * abs(d)
    return value, top, size


def check(network, kernel, t):
    bias = network.bias_variance
    digits = 60 + (3 * max(0, -math.floor(math.log10(bias))) if bias else 60)
    with mpmath.workdps(digits):
        value, top, size = exact(network, kernel, 1 + mpf(t))
        found = (network.ntk if kernel == "ntk" else network.nngp)(t)
        # Less what the reference itself and the smallest double leave open.
        error = abs(mpf(float(found)) - value) - top * mpf(10) ** (20 - digits) - mpf("1e-300")
        # Rounding adds up with the layers.
        limit = max(1e-14, 2e-15 * network.depth)
        assert error <= limit * top, (network, kernel, t, float(error / top))
        if network.name in KINKED:
            assert error <= limit * size, (network, kernel, t, float(error / size))


cosines = st.one_of(
    st.sampled_from([-1.0, 1.0, 0.0, -1.0 + 2.0**-53, 1.0 - 2.0**-53]),
    st.floats(-15.9, -0.1).map(lambda x: -1.0 + 10.0**x),
    st.floats(-15.9, -0.1).map(lambda x: 1.0 - 10.0**x),
    st.floats(-1.0, 1.0),
)
biases = st.one_of(st.just(0.0), st.floats(-300.0, 4.0).map(lambda x: 10.0**x))


@given(
    name=st.sampled_from(sorted(DUALS)),
    depth=st.integers(1, 4),
    weight=st.floats(-2.0, 1.5).map(lambda x: 10.0**x),
    bias=biases,
    trained=st.sampled_from(["all", "hidden"]),
    kernel=st.sampled_from(["ntk", "nngp"]),
    t=cosines,
)
@settings(max_examples=80, deadline=None)
@example("relu", 1, 1.0, 1e-10, "hidden", "ntk", -1.0)
@example("relu", 1, 1.0, 1e-300, "all", "nngp", -1.0)
@example("relu", 2, 1.0, 1e-10, "all", "ntk", -1.0 + 1e-12)
@example("relu_power", 1, 1.0, 1e-30, "all", "nngp", -1.0 + 1e-12)
@example("erf", 3, 9.0, 1e-12, "all", "ntk", -1.0 + 1e-13)
def test_values(name, depth, weight, bias, trained, kernel, t):
    kernel = "nngp" if name == "step" else kernel
    network = Network(
        name, depth=depth, weight_variance=weight, bias_variance=bias, trained=trained
    )
    check(network, kernel, t)


@pytest.mark.slow
@given(
    name=st.sampled_from(sorted(DUALS)),
    depth=st.integers(1, 20),
    weight=st.floats(-2.0, 4.0).map(lambda x: 10.0**x),
    bias=biases,
    kernel=st.sampled_from(["ntk", "nngp"]),
    t=cosines,
)
@settings(max_examples=800, deadline=None)
@example("erf", 17, 2.3057, 0.0, "nngp", 1.0 - 2.0**-52)
@example("erf", 19, 10.0**0.375, 0.0, "nngp", -1.0 + 2.0**-53)
def test_values_of_deep_and_wide_networks(name, depth, weight, bias, kernel, t):
    kernel = "nngp" if name == "step" else kernel
    if name == "relu_power":
        depth, weight = min(depth, 4), min(weight, 10.0)  # its variances leave the doubles
    check(
        Network(name, depth=depth, weight_variance=weight, bias_variance=bias, trained="all"),
        kernel,
        t,
    )


@given(
    name=st.sampled_from(["relu", "leaky_relu", "relu_power", "erf", "abs"]),
    depth=st.integers(1, 3),
    bias=biases,
    angle=st.floats(-12.0, -1.0).map(lambda x: 10.0**x),
    opposite=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_matrices(name, depth, bias, angle, opposite):
    """Points that nearly meet or are nearly opposite: 1 -+ t from the points' own digits."""
    sign = -1.0 if opposite else 1.0
    points = np.array([[1.0, 0.0], [sign * math.cos(angle), sign * math.sin(angle)]])
    points /= np.linalg.norm(points, axis=1)[:, np.newaxis]
    network = Network(name, depth=depth, bias_variance=bias, trained="all")
    with mpmath.workdps(60 + (3 * max(0, -math.floor(math.log10(bias))) if bias else 60)):
        x, y = ([mpf(float(c)) for c in point] for point in points)
        norms = mpmath.sqrt((x[0] ** 2 + x[1] ** 2) * (y[0] ** 2 + y[1] ** 2))
        one_plus_t = 1 + (x[0] * y[0] + x[1] * y[1]) / norms
        value, top, size = exact(network, "ntk", one_plus_t)
        error = abs(mpf(float(network.ntk_matrix(points)[0, 1])) - value)
        # The norms of the points are 1 to 1e-16, so 1 -+ t is known to (1e-16 / angle)^2.
        assert error <= 1e-14 * top
        if name != "erf":
            assert error <= (1e-14 + 1e-31 / angle**2) * size

"""Constants of geometric laws in depth, and from which degree on laws hold.

The constants come from the kernel's own singularity (Darboux's method on the circle), with the
duals and the recursion over the layers in mpmath; the eigenvalues from the reference quadrature.
"""

import mpmath
import numpy as np
import pytest
from draws import examples
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mp, mpf

import ntkspec
from ntkspec import Network, fit, law
from ntkspec.reference.balls import reference_eigenvalue

ORDER = {"erf": mpf(-1) / 2, "gaussian": mpf(1) / 2}
GAP = {"erf": mpf(1) / 2, "gaussian": mpf(1)}


def duals(name, q, c):
    """Both duals at a covariance beyond q too (Williams 1997, eq. 11; a Gaussian integral)."""
    if name == "erf":
        root = mpmath.sqrt((1 + 2 * q) ** 2 - 4 * c**2)
        value = 2 / mp.pi * mpmath.asin(2 * c / (1 + 2 * q))
        return value, 4 / mp.pi / root if root else mpf("inf")
    determinant = (1 + q) ** 2 - c**2
    return 1 / mpmath.sqrt(determinant), c / determinant**1.5


def kernel_at(network, kernel, t):
    """K(t) and how far the first layer that ends is from its end, in the covariance."""
    s, b = mpf(network.weight_variance), mpf(network.bias_variance)
    q, c = s + b, s * t + b
    tangent, room = c, mpf("inf")
    for layer in range(network.depth):
        left = q + GAP[network.name] - c
        if left < 0:
            return None, left
        room = min(room, left)
        if room < mpf(10) ** -50 and network.name == "gaussian":
            return None, mpf(0)
        f, d = duals(network.name, q, c)
        if layer == network.depth - 1:
            break
        q, c = s * duals(network.name, q, q)[0] + b, s * f + b
        tangent = c + s * tangent * d
    if kernel == "nngp":
        return f, room
    return (f if network.trained == "all" else 0) + tangent * d, room


def singularity(network, kernel):
    """The end z* > 1 of the kernel, and A in K ~ A (z* - t)^(-order) there."""
    low, high = mpf(1), mpf(1) + (GAP[network.name] + 1) / mpf(network.weight_variance) + 1
    for _ in range(400):
        middle = (low + high) / 2
        if kernel_at(network, kernel, middle)[0] is None:
            high = middle
        else:
            low = middle
    order = ORDER[network.name] + (kernel == "ntk")
    step = mpf(10) ** -24
    here = kernel_at(network, kernel, low - step)[0]
    if order < 0:
        here -= kernel_at(network, kernel, low)[0]
    return low, here * step**order, order


@given(
    name=st.sampled_from(["erf", "gaussian"]),
    depth=st.integers(1, 4),
    weight=st.sampled_from([0.5, 1.0, 2.0, 5.0]),
    bias=st.sampled_from([0.0, 0.1, 1.0, 5.0]),
    trained=st.sampled_from(["all", "hidden"]),
    kernel=st.sampled_from(["ntk", "nngp"]),
)
@examples(6, 20)
def test_constants_in_depth(name, depth, weight, bias, trained, kernel):
    network = Network(
        name, depth=depth, weight_variance=weight, bias_variance=bias, trained=trained
    )
    found = law(network, 2, kernel=kernel)
    with mpmath.workdps(90):
        end, size, order = singularity(network, kernel)
        eta = mpmath.acosh(end)
        # (z - t)^(-a) = (w/2)^(-a) (1 - u/w)^(-a) (1 - 1/(u w))^(-a), t = (u + 1/u)/2, w = e^eta
        w = mpmath.exp(eta)
        constant = mpmath.log(abs(size)) - order * mpmath.log(w / 2)
        constant -= order * mpmath.log(1 - w**-2) + mpmath.log(abs(mpmath.gamma(order)))
        if bias == 0.0:  # the singularities at z* and -z* add for one parity, and cancel
            constant += mpmath.log(2)
        assert found.rate == pytest.approx(float(eta), rel=1e-9)
        assert found.power == pytest.approx(float(order) - 1)
        assert found.log_constant == pytest.approx(float(constant), abs=1e-6)


def off(model, network, dim, kernel, degree):
    reference = reference_eigenvalue(network, dim, degree, kernel=kernel, digits=6)
    log = float(mpmath.log(reference.value))
    return abs(np.expm1(log - float(model.of_parity(degree % 2).log_eigenvalue(degree))))


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    "parameters, dim, kernel",
    [
        (dict(activation="relu"), 3, "ntk"),
        (dict(activation="relu"), 5, "nngp"),
        (dict(activation="relu", depth=2, bias_variance=0.5), 3, "ntk"),
        (dict(activation="erf", depth=2, bias_variance=5.0), 3, "nngp"),
        (dict(activation="gaussian", bias_variance=1.0), 4, "nngp"),
        (dict(activation="cos"), 3, "ntk"),
        (dict(activation="relu", weights="sphere"), 3, "ntk"),
        slow(dict(activation="erf", depth=3, bias_variance=5.0), 2, "nngp"),
        slow(dict(activation="erf", depth=2, bias_variance=5.0, trained="all"), 3, "ntk"),
        slow(dict(activation="gelu"), 3, "ntk"),
        slow(dict(activation="tanh"), 3, "ntk"),
        slow(dict(activation="elu", bias_variance=0.5), 3, "nngp"),
    ],
)
def test_the_degree_from_which_a_law_holds(parameters, dim, kernel):
    network = Network(**parameters)
    model = law(network, dim, kernel=kernel)
    start = model.holds_from
    assert start is not None
    step = 1 if model.parity is None else 2
    for degree in (start, start + step, start + 20 * step):
        assert off(model, network, dim, kernel, degree) <= 0.1
    if start > 2:
        assert off(model, network, dim, kernel, start - step) > 0.1


def test_a_law_that_sets_in_late_has_no_first_degree():
    """Two singularities nearly coincide: off by a factor of 5 at degree 400."""
    late = Network("gelu", depth=4, weight_variance=0.5, bias_variance=0.1, trained="all")
    model = law(late, 3)
    assert model.holds_from is None
    log = ntkspec.eigenvalues(late, 3, [400], log=True)[0]
    assert abs(log - float(model.log_eigenvalue(400))) > 1.0
    assert law("relu", 1000).holds_from is None
    assert law(Network("sin", depth=2), 3).holds_from is None


def test_both_parities_say_their_own():
    found = law("elu", 3)
    assert found.other is not None and found.other.parity != found.parity
    for part in (found, found.other):
        assert part.holds_from is not None and part.holds_from % 2 == part.parity


def test_a_fit_says_where_the_derived_law_holds():
    with ntkspec.atlas() as table:
        fits = fit(table.select("relu", dim=3))
    assert [one.derived_from for one in fits] == [law("relu", 3).holds_from]

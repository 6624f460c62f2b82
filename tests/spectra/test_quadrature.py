"""Legendre polynomials, Gauss-Gegenbauer rules and plain Funk-Hecke quadrature."""

import math

import numpy as np
import pytest
from draws import examples
from flint import arb, ctx
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import betainc

from ntkspec.domains import legendre
from ntkspec.errors import NtkspecError
from ntkspec.networks import Network
from ntkspec.spectra import spectrum
from ntkspec.spectra.quadrature import funk_hecke, gauss_gegenbauer


@pytest.fixture
def bits():
    yield
    ctx.prec = 53  # flint's precision is global


def polynomial(degree, dim, t, bits=None):
    """P_k(t) as a sum of cosines (DLMF 18.5.11), no recurrence in the degree, in balls.

    The terms alternate and lose about as many digits as the polynomial is small.
    """
    ctx.prec = bits or 400 + 9 * min(dim, degree)
    angle = arb(t).acos()
    if dim == 2:
        return (angle * degree).cos()
    nu = arb(dim - 2) / 2
    rising = [arb(1)]  # (nu)_m / m!
    for m in range(degree):
        rising.append(rising[-1] * (nu + m) / (m + 1))
    total = value = arb(0)
    for m in range(degree + 1):
        coefficient = rising[m] * rising[degree - m]
        total += coefficient
        value += coefficient * (angle * (degree - 2 * m)).cos()
    return value / total


@pytest.mark.parametrize("dim", [2, 3, 4, 10, 100, 10**4])
@pytest.mark.parametrize("degree", [1, 2, 7, 50, 1001])
def test_legendre_against_balls(bits, dim, degree):
    for t in (-1.0, -0.999999, -0.4, 0.0, 1e-9, 0.5, 0.51, 0.9, 1 - 1e-10, 1.0):
        true = polynomial(degree, dim, t)
        value = legendre(degree, dim, t)[0]
        # Relative to the local amplitude, sqrt(P_k^2 + ((1-t^2) P_k'^2) / k (k+d-2))
        slope = degree * (polynomial(degree - 1, dim, t) - arb(t) * true)
        across = arb(1) - arb(t) * arb(t)
        amplitude = abs(float(true))
        if abs(t) < 1:
            amplitude += abs(float(slope / across.sqrt() / math.sqrt(degree * (degree + dim - 2))))
        assert abs(float(true - arb(float(value)))) <= 1e-15 * (2 + degree) * amplitude + 1e-100


def test_degree_one_hundred_thousand_and_dimension_ten_thousand(bits):
    t = np.array([0.3, 0.97, 1 - 1e-9])
    for dim in (2, 3, 10**4):
        value = legendre([10**5], dim, t)[0]
        for x, v in zip(t, value, strict=True):
            assert abs(float(polynomial(10**5, dim, x, bits=400)) - v) <= 3e-12
    assert np.all(np.isfinite(legendre(range(0, 10**5 + 1, 9999), 10**4, np.linspace(-1, 1, 7))))


@settings(deadline=None)
@given(st.integers(0, 400), st.integers(2, 2000), st.floats(-1, 1))
def test_invariants(degree, dim, t):
    p = legendre(degree, dim, [t, -t, 1.0])[0]
    assert abs(p[0]) <= 1 + 1e-13
    assert p[1] == (-1) ** degree * p[0]
    assert p[2] == 1.0


@pytest.mark.parametrize("n", [1, 2, 3, 10, 101, 1000])
def test_rules_of_the_usual_legendre_polynomials(bits, n):
    x, w = gauss_gegenbauer(n, 3)
    for i in {0, 1 % n, n // 2, n - 1}:
        node, weight = arb.legendre_p_root(n, n - 1 - i, True)
        assert abs(float(node - arb(x[i]))) < 2e-16
        assert abs(float(arb(w[i]) * 2 / weight - 1)) < 2e-15


@pytest.mark.parametrize("dim", [2, 4, 5, 100, 300, 1024, 10**4])
@pytest.mark.parametrize("n", [2, 3, 10, 101, 600])
def test_nodes_are_roots_and_weights_are_theirs(bits, dim, n):
    """Nodes by a sign change within an ulp, weights by 1 / ((1-t^2) P_n'^2), all in balls."""
    x, w = gauss_gegenbauer(n, dim)
    assert np.all(np.diff(x) > 0) and x.size == n
    np.testing.assert_array_equal(x, -x[::-1])
    assert math.fsum(w) == pytest.approx(1.0, abs=1e-15)

    def weight(root):
        slope = n * polynomial(n - 1, dim, root)  # (1-t^2) P_n' at a root
        return (1 - root * root) / slope**2

    picked = sorted({n - 1, n - 2, n // 2, (3 * n) // 4})
    found = []
    for i in picked:
        polynomial(n, dim, 0.5)  # for its precision
        root = arb(x[i])
        for _ in range(4):  # Newton from the node, in balls
            p = polynomial(n, dim, root)
            root = (
                root - p * (1 - root * root) / (n * (polynomial(n - 1, dim, root) - root * p))
            ).mid()
        assert abs(float(root - arb(x[i]))) <= 2e-16
        found.append(weight(root))
    for i, ball in zip(picked, found, strict=True):
        if w[picked[0]] > 0 and w[i] > 1e-290:
            ratio = arb(w[i]) / arb(w[picked[0]]) * found[0] / ball
            assert abs(float(ratio) - 1) < 1e-14


@pytest.mark.parametrize("dim", [2, 3, 7, 300])
def test_moments_are_exact(dim):
    x, w = gauss_gegenbauer(40, dim)
    even = 1.0
    for m in range(0, 40):  # E[t^(2m)] = prod (2j-1)/(2j+d-2)
        assert math.fsum(w * x ** (2 * m)) == pytest.approx(even, rel=1e-13)
        even *= (2 * m + 1) / (2 * m + dim)


@pytest.mark.slow
@pytest.mark.parametrize("dim", [3, 300])
def test_ten_thousand_nodes(bits, dim):
    x, w = gauss_gegenbauer(10**4, dim)
    assert np.all(np.diff(x) > 0)
    assert math.fsum(w * x**2) == pytest.approx(1 / dim, rel=1e-14)
    if dim == 3:
        node, weight = arb.legendre_p_root(10**4, 0, True)
        assert abs(float(arb(w[-1]) * 2 / weight - 1)) < 1e-14
        assert abs(float(node - arb(x[-1]))) < 2e-16


@examples(10, 100)
@given(st.integers(2, 200), st.integers(0, 30), st.integers(0, 30))
def test_orthogonality(dim, j, k):
    x, w = gauss_gegenbauer(40, dim)
    p = legendre([j, k], dim, x)
    product = float(w @ (p[0] * p[1]))
    multiplicity = 1 / float(w @ (p[0] * p[0]))
    assert abs(product - (1 / multiplicity if j == k else 0.0)) < 1e-14
    assert multiplicity >= 1 - 1e-13


@pytest.mark.parametrize("nodes", [50, 2000])
@pytest.mark.parametrize("dim", [2, 3, 4, 10, 100, 300])
@pytest.mark.parametrize("name", ["relu", "tanh", "sigmoid"])
def test_the_promised_error_holds(name, dim, nodes):
    degrees = np.array([0, 1, 2, 3, 8, 9, 32, 33, 64, 65, 200, 201, 1000, 1001])
    plain = funk_hecke(Network(name).ntk, dim, degrees, nodes=nodes)
    true = spectrum(name, dim, degrees).eigenvalues
    # Beyond the degree of exactness of the smaller rule the difference says nothing.
    fair = degrees < nodes // 2
    assert np.all((np.abs(plain.eigenvalues - true) <= plain.absolute_error)[fair])
    kept = plain.digits > 0
    relative = np.abs(plain.eigenvalues[kept & fair] / true[kept & fair] - 1)
    assert np.all(relative <= 10.0 ** -plain.digits[kept & fair])


def test_it_says_where_no_digit_is_left():
    plain = funk_hecke(Network("tanh").ntk, 3, [1, 2, 41, 201])
    assert plain.digits[0] >= 12
    assert plain.digits[[1, 3]].tolist() == [0, 0]
    assert spectrum("tanh", 3, 201).eigenvalues[0] < plain.absolute_error[3]


@pytest.mark.parametrize(
    "call,words",
    [
        (lambda: gauss_gegenbauer(0, 3), ["n = 0"]),
        (lambda: gauss_gegenbauer(2.5, 3), ["n = 2.5"]),
        (lambda: gauss_gegenbauer(10**6, 3), ["n = 1000000"]),
        (lambda: gauss_gegenbauer(3, 1), ["dim = 1"]),
        (lambda: legendre([-1], 3, 0.5), ["degree = -1"]),
        (lambda: legendre([1], 3, 1.5), ["t "]),
        (lambda: legendre([1], 3, math.nan), ["t "]),
        (lambda: funk_hecke(lambda t: t * math.nan, 3, [1]), ["not finite", "t ="]),
        (lambda: funk_hecke(lambda t: t[:3], 3, [1]), ["shape"]),
        (lambda: funk_hecke(lambda t: t, 3, [1], nodes=1), ["nodes = 1"]),
        (lambda: funk_hecke(lambda t: t, 3, [4], nodes=1.5), ["nodes = 1.5"]),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(NtkspecError) as caught:
        call()
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("dim", [2, 3, 5, 30, 300])
def test_bounds_hold_where_the_nodes_are_zeros_of_the_polynomial(dim):
    """There all terms of the sum vanish but for rounding; the eigenvalues of 1 are 1, 0, 0, ..."""
    for nodes in (2, 3, 4, 7, 20, 41):
        found = funk_hecke(lambda t: 1.0 + 0.0 * t, dim, range(3 * nodes), nodes=nodes)
        assert np.all(np.abs(found.eigenvalues - (found.degrees == 0)) <= found.absolute_error)
        assert not found.digits[1:].any()


@pytest.mark.parametrize("dim", [2, 30, 300, 1000])
def test_bounds_of_jumps_hold_where_the_measure_crowds(dim):
    """P(t > c) by scipy's incomplete beta function; t = 0 is a node of every odd rule."""
    for c in (0.0, 0.3 / math.sqrt(dim), -1.1 / math.sqrt(dim)):
        right = 0.5 - 0.5 * math.copysign(betainc(0.5, 0.5 * (dim - 1), c * c), c)
        for nodes in (226, 1001, 1999):
            found = funk_hecke(lambda t, c=c: (t > c) * 1.0, dim, 0, nodes=nodes)
            assert abs(found.eigenvalues[0] - right) <= found.absolute_error[0]

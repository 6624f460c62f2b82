"""Residuals of PINNs: rates against kernel matrices built by differentiating the kernel itself."""

from __future__ import annotations

import dataclasses
import math

import mpmath
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import ntkspec
from ntkspec import Network, NtkspecError, Torus, predict
from ntkspec.cli import main
from ntkspec.operators import Operator, as_operator
from ntkspec.predict.boundary import secular_roots
from ntkspec.predict.smoothness import leading_power

CUBIC = Network("relu_power", power=3)
BIASED = Network("gelu", bias_variance=0.1)


# --- the witness: A applied to both arguments of K, without a spectrum ----------------------------


def cubic_kernel(mp, t):
    """Tangent kernel of relu^3, t E[9 u+^2 v+^2]: Cho and Saul (2009), order 2, times 9/(2 pi)."""
    theta = mp.acos(t)
    j2 = 3 * mp.sin(theta) * t + (mp.pi - theta) * (1 + 2 * t**2)
    return t * 9 * j2 / (2 * mp.pi)


def sine_kernel(mp, t):
    """Tangent kernel of sin: t E[cos u cos v] = t exp(-1) cosh(t)."""
    return t * mp.exp(-1) * mp.cosh(t)


def erf_kernel(mp, t):
    """Tangent kernel of erf: t E[(2/sqrt pi)^2 exp(-u^2 - v^2)] = (4 t / pi) / sqrt(9 - 4 t^2)."""
    return 4 * t / (mp.pi * mp.sqrt(9 - 4 * t**2))


KERNELS = {
    "sin": (sine_kernel, Network("sin")),
    "erf": (erf_kernel, Network("erf")),
    "cubic": (cubic_kernel, CUBIC),
}


def twice_on_circle(kernel, c, angle):
    """(d^2/dphi^2 + c)_x (d^2/dphi^2 + c)_y K(cos(x - y)) at x - y = angle, by Taylor series."""
    with mpmath.workdps(40):
        mp = mpmath.mp
        f = lambda x: kernel(mp, mp.cos(x))  # noqa: E731
        d = mpmath.taylor(f, mp.mpf(float(angle)), 4)
        return float(24 * d[4] + 4 * c * d[2] + c * c * d[0])


def once_on_circle(kernel, c, angle):
    with mpmath.workdps(40):
        mp = mpmath.mp
        d = mpmath.taylor(lambda x: kernel(mp, mp.cos(x)), mp.mpf(float(angle)), 2)
        return float(2 * d[2] + c * d[0])


@pytest.mark.parametrize("name", ["sin", "erf"])
def test_rates_on_points_are_eigenvalues_of_the_residuals_matrix(name):
    """Circulant matrices on n = 10 points: all rates from the kernel's derivatives alone."""
    kernel, network = KERNELS[name]
    n, c = 10, -0.7
    row = [twice_on_circle(kernel, c, 2 * math.pi * i / n) for i in range(n)]
    wanted = np.fft.fft(row).real / n
    found = predict.pinn(
        network, 2, Operator("laplace", shift=c), points=n, degrees=range(n // 2 + 1)
    )
    rates = np.exp(found.log_rates)
    assert_allclose(rates, wanted[: n // 2 + 1], rtol=1e-11, atol=1e-14 * wanted.max())
    assert found.relative_error < 1e-11


def test_the_kink_of_order_3_on_points():
    """The series of aliases falls as k^-2 only: the sum's tail is extrapolated."""
    n, c = 12, -1.0
    row = [twice_on_circle(cubic_kernel, c, 2 * math.pi * i / n) for i in range(1, n // 2)]
    # At angle 0 and pi the kernel has a kink of order 5: its fourth derivative is one-sided.
    ends = [
        twice_on_circle(cubic_kernel, c, 1e-12),
        twice_on_circle(cubic_kernel, c, np.pi - 1e-12),
    ]
    row = [ends[0], *row, ends[1], *row[::-1]]
    wanted = np.fft.fft(row).real / n
    found = predict.pinn(
        CUBIC, 2, Operator("laplace", shift=c), points=n, degrees=range(n // 2 + 1)
    )
    assert_allclose(np.exp(found.log_rates), wanted[: n // 2 + 1], rtol=1e-8, atol=1e-8)
    assert found.relative_error < 1e-9


@pytest.mark.parametrize(
    "name,alpha,beta,s", [("sin", 1.0, 1.0, 0.0), ("erf", 0.3, 20.0, 0.5), ("erf", 2.0, 0.1, 1.0)]
)
def test_data_and_residual_on_the_same_points(name, alpha, beta, s):
    """G P of all 2 n components, residual and data, from the kernel's derivatives."""
    kernel, network = KERNELS[name]
    n, c = 8, -0.7
    rows = [
        [f(2 * math.pi * i / n) for i in range(n)]
        for f in (
            lambda x: twice_on_circle(kernel, c, x),
            lambda x: once_on_circle(kernel, c, x),
            lambda x: float(kernel(mpmath.mp, mpmath.cos(x))),
        )
    ]
    circulant = [np.array([np.roll(row, i) for i in range(n)]) / n for row in rows]
    gram = np.block([[circulant[0], circulant[1]], [circulant[1].T, circulant[2]]])
    k = np.minimum(np.arange(n), n - np.arange(n))
    waves = np.exp(2j * np.pi * np.outer(np.arange(n), np.arange(n)) / n) / math.sqrt(n)
    weight = (waves * (1.0 + k) ** (2 * s)) @ waves.conj().T
    loss = np.block([[alpha * weight, np.zeros((n, n))], [np.zeros((n, n)), beta * np.eye(n)]])
    wanted = np.sort(np.linalg.eigvals(gram @ loss).real)
    found = predict.pinn(
        network, 2, Operator("laplace", shift=c), points=n, degrees=range(n // 2 + 1), s=s,
        residual_weight=alpha, data_weight=beta,
    )  # fmt: skip
    counts = [1, 2, 2, 2, 1]
    rates = np.sort(np.r_[np.repeat(np.exp(found.log_rates), counts),
                          np.repeat(found.slow_rates, counts)])  # fmt: skip
    assert_allclose(rates, wanted, rtol=1e-9, atol=1e-13 * wanted.max())


def test_the_slow_root_has_its_own_accuracy():
    """mpmath at 50 digits: determinant and trace of the block, where doubles would cancel."""
    n, k, c = 24, 3, -0.7
    found = predict.pinn(
        "sin", 2, Operator("laplace", shift=c), points=n, degrees=[k], data_weight=1.0
    )
    with mpmath.workdps(50):
        # sin: K = e^-1 t cosh t, so lambda_k = e^-1 (I_(k-1)(1) + I_(k+1)(1)) / 2 for odd k.
        sums = [mpmath.mpf(0)] * 3
        for j in [k + i * n for i in range(-4, 5)]:
            j = abs(j)
            a = mpmath.mpf(c) - j * j
            size = (mpmath.besseli(j - 1, 1) + mpmath.besseli(j + 1, 1)) / (2 * mpmath.e)
            size = size if j % 2 else 0
            sums = [x + y for x, y in zip(sums, (a * a * size, a * size, size))]
        trace, det = sums[0] + sums[2], sums[0] * sums[2] - sums[1] ** 2
        slow = (trace - mpmath.sqrt(trace**2 - 4 * det)) / 2
        assert_allclose(found.slow_rates[0], float(slow), rtol=1e-10)
    assert 0.0 < found.slow_rates[0] < 1e-15 * math.exp(found.log_rates[0])


def test_the_first_derivative_on_points():
    """d/dphi + c: minus the second derivative, plus c^2, of the kernel."""
    n, c = 10, 0.4
    with mpmath.workdps(40):
        mp = mpmath.mp
        row = []
        for i in range(n):
            d = mpmath.taylor(lambda x: sine_kernel(mp, mp.cos(x)), 2 * mp.pi * i / n, 2)
            row.append(float(c * c * d[0] - 2 * d[2]))
    wanted = np.fft.fft(row).real / n
    found = predict.pinn(
        "sin", 2, Operator("derivative", shift=c), points=n, degrees=range(n // 2 + 1)
    )
    assert_allclose(
        np.exp(found.log_rates), wanted[: n // 2 + 1], rtol=1e-11, atol=1e-14 * wanted.max()
    )


def test_data_beside_the_first_derivative():
    """The mixed sums are complex: roots of the block in which they stand."""
    n, c = 8, 0.4
    found = predict.pinn(
        "sin", 2, Operator("derivative", shift=c), points=n, degrees=range(5), data_weight=0.5
    )
    values = ntkspec.eigenvalues("sin", 2, degrees=range(60))
    for k in range(5):
        j = np.arange(k - 6 * n, k + 6 * n + 1, n)
        v = np.stack([1j * j + c, np.full(j.size, math.sqrt(0.5))])
        block = (v * values[np.abs(j)]) @ v.conj().T
        slow, fast = np.linalg.eigvalsh(block)
        assert math.exp(found.log_rates[k]) == pytest.approx(fast, rel=1e-12, abs=1e-15)
        assert found.slow_rates[k] == pytest.approx(slow, rel=1e-9, abs=1e-15)


def test_rates_on_the_sphere_are_those_of_a_matrix_of_the_residuals_kernel():
    """S^2, sin: A_x A_y K by the zonal Laplacian, its eigenvalues by Gauss quadrature."""
    c = -1.0
    t, w = np.polynomial.legendre.leggauss(40)
    x = np.polynomial.Polynomial([0.0, 1.0])
    series = sum(
        (x ** (2 * i + 1) * (math.exp(-1.0) / math.factorial(2 * i)) for i in range(14)),
        np.polynomial.Polynomial([0.0]),
    )

    def applied(p):
        return (1 - x**2) * p.deriv(2) - 2 * x * p.deriv() + c * p

    values = applied(applied(series))(t)
    degrees = np.arange(8)
    wanted = [
        0.5 * np.sum(w * values * np.polynomial.legendre.Legendre.basis(k)(t)) for k in degrees
    ]
    found = predict.pinn("sin", 3, f"laplace(shift={c})", degrees=degrees)
    assert_allclose(np.exp(found.log_rates), wanted, rtol=1e-9, atol=1e-13)


def test_what_descends_on_random_points_of_the_sphere():
    """r <- (1 - eta K_AA / n) r on many points falls as predicted for a harmonic of degree 1."""
    rng = np.random.default_rng(1)
    n, eta, steps = 1500, 0.3, 6
    points = rng.standard_normal((n, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    x = np.polynomial.Polynomial([0.0, 1.0])
    series = sum(
        (x ** (2 * i + 1) * (math.exp(-1.0) / math.factorial(2 * i)) for i in range(10)),
        np.polynomial.Polynomial([0.0]),
    )

    def applied(p):
        return (1 - x**2) * p.deriv(2) - 2 * x * p.deriv() - p

    matrix = applied(applied(series))(points @ points.T) / n
    r = points[:, 2].copy()
    for _ in range(steps):
        r -= eta * (matrix @ r)
    left = (r @ points[:, 2]) / (points[:, 2] @ points[:, 2])
    rate = math.exp(predict.pinn("sin", 3, "laplace(shift=-1)", degrees=[1]).log_rates[0])
    assert left == pytest.approx((1.0 - eta * rate) ** steps, rel=0.05)


def test_the_torus_with_one_frequency_is_the_circle():
    """In x = phi / (2 pi) a derivative is 2 pi times larger."""
    circle = predict.pinn("tanh", 2, degrees=range(6))
    torus = predict.pinn("tanh", Torus([[1]]), degrees=range(6))
    shift = 4.0 * math.log(2.0 * math.pi)
    assert_allclose(torus.log_rates[1::2], circle.log_rates[1::2] + shift, rtol=1e-12)
    assert np.isneginf(torus.log_rates[::2]).all()
    once = predict.pinn("tanh", Torus([[1]]), "derivative", degrees=[1, 3])
    assert_allclose(
        once.log_rates,
        predict.pinn("tanh", 2, "derivative", degrees=[1, 3]).log_rates + shift / 2, rtol=1e-12,
    )  # fmt: skip


def test_the_torus_with_features_against_differences():
    """A_x A_y K on a grid of the torus, by Fourier's differentiation of the kernel's values."""
    torus, n, c = Torus([[1, 0], [0, 1], [1, 1]]), 32, -2.0
    grid = np.stack(np.meshgrid(np.arange(n), np.arange(n), indexing="ij"), -1) / n
    t = np.cos(2 * np.pi * grid).sum(-1) + np.cos(2 * np.pi * grid.sum(-1))
    values = np.fft.fft2(t / 3 * math.exp(-1.0) * np.cosh(t / 3)).real / n**2
    found = predict.pinn("sin", torus, f"laplace(shift={c})", size=3)
    m = found.degrees
    a = -4 * np.pi**2 * (m**2).sum(axis=1) + c
    wanted = a**2 * values[m[:, 0], m[:, 1]]
    seen = wanted > 1e-12 * wanted.max()
    assert seen.sum() > 20
    assert_allclose(np.exp(found.log_rates[seen]), wanted[seen], rtol=1e-8)
    assert list(found.columns())[:3] == ["row", "frequency_1", "frequency_2"]


def test_learning_times_on_a_torus_against_descent_on_a_grid():
    torus, n, step = Torus([[1], [2]]), 64, 3.0
    x = np.arange(n) / n
    z = 2 * np.pi * (x[:, np.newaxis] - x)
    t = 0.5 * (np.cos(z) + np.cos(2 * z))
    matrix = 4 * t / (np.pi * np.sqrt(9 - 4 * t**2)) / n
    found = predict.learning_times("erf", torus, degrees=range(1, 6), error=0.1, step_size=step)
    for m in range(1, 6):
        start = residual = np.cos(2 * np.pi * m * x)
        for _ in range(7):
            residual = residual - step * matrix @ residual
        left = residual @ start / (start @ start)
        assert_allclose(7 * math.log(0.1) / math.log(left), found[m], rtol=1e-9)


@pytest.mark.parametrize("options", [{}, {"s": 1.0}, {"s": -0.5, "weight": "laplacian"}])
@pytest.mark.parametrize("torus", [Torus([1, 2]), Torus([[1, 0], [0, 1], [1, 1]])])
def test_learning_times_on_a_torus_take_a_network_and_its_spectrum(torus, options):
    spectrum = ntkspec.spectrum(BIASED, torus, 4)
    found = predict.learning_times(spectrum, **options)
    assert found == predict.learning_times(BIASED, torus, size=4, **options)
    m = spectrum.frequencies.reshape(-1, torus.dim)
    one = [tuple(row) >= tuple(-row) for row in m]  # of each frequency and its negative
    m = m[one]
    assert_allclose(found.degrees.reshape(m.shape), m)
    length = np.linalg.norm(m, axis=1)
    weight = (1 + length**2) ** 0.5 if "weight" in options else 1 + length
    rates = spectrum.eigenvalues.ravel()[one] * weight ** (2 * options.get("s", 0.0))
    assert_allclose(found.times * rates, -math.log(0.01), rtol=1e-12)
    inner = predict.learning_times(spectrum, size=1, **options)
    assert_allclose(inner.times, found.times[np.abs(m).max(axis=1) <= 1])
    names = ["frequency"] if torus.dim == 1 else ["row", "frequency_1", "frequency_2"]
    assert list(found.columns()) == [*names, "log_rate", "time", "log_time"]


def test_learning_times_on_a_torus_refuse_what_is_not_known():
    known = ntkspec.spectrum("erf", Torus([1, 2]), 4)
    lost = dataclasses.replace(
        known, mantissas=np.where(np.arange(5) == 3, np.nan, known.mantissas)
    )
    for call, message in (
        (lambda: predict.learning_times(lost), r"frequency \[3\]: its eigenvalue is not known"),
        (lambda: predict.learning_times(known, size=5), "size: 5 is not among"),
        (lambda: predict.learning_times(known, size=-1), "size"),
        (lambda: predict.learning_times(known, degrees=[1, 7]), "degrees: 7 is not among"),
        (lambda: predict.learning_times(known, degrees=[1], size=3), "both given"),
        (lambda: predict.learning_times(known, kernel="nngp"), "kernel = 'ntk'"),
        (lambda: predict.learning_times(known, Torus([1, 3])), "what is given is"),
        (lambda: predict.learning_times("erf", 3, size=3), "of a torus"),
        (lambda: predict.learning_times("erf", Torus.plain(2), degrees=[1]), "give size"),
        (lambda: predict.learning_times(known, step_size=1e3), "frequency 1 diverges"),
        (lambda: predict.learning_times(known, weight="x"), "weight"),
    ):
        with pytest.raises(NtkspecError, match=message):
            call()
    assert_allclose(
        predict.learning_times(lost, size=2).times, predict.learning_times(known, size=2)
    )


# --- weights, flattening, validity ----------------------------------------------------------------


def test_inverse_weights_make_all_degrees_alike():
    found = predict.pinn("tanh", 3, "laplace(shift=-1)", weight="inverse", degrees=range(6))
    assert_allclose(found.log_rates[1::2], 0.0, atol=1e-12)
    assert np.isneginf(found.log_rates[::2]).all()  # not learned at any weight
    both = predict.pinn(
        BIASED, 3, "laplace(shift=-1)", weight="inverse", data_weight=3.0, degrees=range(6)
    )
    assert_allclose(both.log_rates, math.log(4.0), rtol=1e-12)


@pytest.mark.parametrize("dim,power,operator,expected", [
    (2, 3, "laplace", 1.0), (3, 3, "laplace", 1.5), (10, 4, "laplace", 6.0),
    (2, 2, "derivative", 1.0), (3, 6, "laplace(power=2)", 2.5),
])  # fmt: skip
def test_the_flattening_exponent_is_d_half_plus_p_less_1_less_q(dim, power, operator, expected):
    network = Network("relu_power", power=power)
    found = predict.pinn(network, dim, operator, degrees=[1])
    assert found.flattening == expected
    # and flattens: the rates of high degrees are alike
    even = power % 2 + 1 == 2 or None
    high = [200, 400] if even else [201, 401]
    rates = predict.pinn(network, dim, operator, degrees=high, s=expected).log_rates
    assert abs(rates[1] - rates[0]) < 0.1
    plain = predict.pinn(network, dim, operator, degrees=high, s=expected + 0.5).log_rates
    assert plain[1] - plain[0] > 0.5


def test_flattening_where_there_is_none_or_it_is_not_known():
    assert predict.pinn("tanh", 3, degrees=[1]).flattening is None
    assert "flattening = none" in repr(predict.pinn("tanh", 3, degrees=[1]))
    mish = predict.pinn("mish", 3, degrees=[1])
    assert mish.flattening is None
    known = predict.modes("tanh", 3, max_degree=4)
    unknown = predict.pinn(known, degrees=[1])
    assert math.isnan(unknown.flattening) and "not known" in repr(unknown)


@pytest.mark.parametrize("network,operator,kernel,allowed", [
    ("relu", "laplace", "ntk", False), ("relu", "derivative", "ntk", False),
    (Network("relu_power", power=2), "derivative", "ntk", True),
    (Network("relu_power", power=2), "laplace", "ntk", False),
    (Network("relu_power", power=2), "laplace", "nngp", True),
    (CUBIC, "laplace", "ntk", True), (CUBIC, "laplace(power=2)", "ntk", False),
    ("relu", "derivative", "nngp", True), ("elu", "laplace", "ntk", False),
    ("relu6", "laplace", "ntk", False), (Network("relu", depth=3), "laplace", "ntk", False),
    ("tanh", "laplace(power=8)", "ntk", True), ("mish", "laplace", "ntk", True),
    (ntkspec.zonal.laplace(), "laplace", "ntk", False),
    (ntkspec.zonal.gaussian(), "laplace", "ntk", True),
])  # fmt: skip
def test_a_kink_of_order_p_takes_operators_below_p_less_a_half(network, operator, kernel, allowed):
    if allowed:
        assert predict.pinn(network, 2, operator, kernel=kernel, degrees=[1]).times.size == 1
        return
    with pytest.raises(NtkspecError, match="deltas that automatic differentiation drops"):
        predict.pinn(network, 2, operator, kernel=kernel, degrees=[1])


def test_the_rule_is_that_the_residuals_trace_converges():
    """sum N a^2 lambda, d = 3: partial sums of relu^3 settle, those of relu^2 grow."""

    def partial(power, last):
        values = ntkspec.eigenvalues(Network("relu_power", power=power), 3, degrees=range(last))
        k = np.arange(last)
        return float(np.sum((2 * k + 1) * (k * (k + 1.0)) ** 2 * values))

    assert partial(3, 3200) / partial(3, 1600) < 1.001
    assert partial(2, 3200) / partial(2, 1600) > 1.8


def test_spectra_and_slices_as_sources():
    s = ntkspec.spectrum("tanh", 3, degrees=range(6))
    assert predict.pinn(s, degrees=[1, 3]) == predict.pinn("tanh", 3, degrees=[1, 3])
    torus = ntkspec.spectrum("erf", Torus([1, 2]), 4)
    assert_allclose(
        predict.pinn(torus).log_rates, predict.pinn("erf", Torus([1, 2]), size=4).log_rates
    )
    with pytest.raises(NtkspecError, match="deltas"):
        predict.pinn(ntkspec.spectrum("relu", 3, degrees=range(3)))
    nngp = ntkspec.spectrum("relu", 2, degrees=range(4), kernel="nngp")
    assert predict.pinn(nngp, operator="derivative").flattening == pytest.approx(1.0)


def test_helmholtz_at_resonance_does_not_learn_the_degree():
    found = predict.pinn(BIASED, 3, "laplace(shift=6)", degrees=[1, 2, 3])
    assert np.isinf(found.times).tolist() == [False, True, False]


def test_steps_of_the_design():
    """Circle, Laplacian - 1, tanh and relu^3: steps of 0.9 over the largest rate."""
    odd = predict.pinn("tanh", 2, "laplace(shift=-1)", degrees=range(1, 14, 2))
    step = 0.9 / math.exp(odd.log_rates.max())
    steps = predict.pinn(
        "tanh", 2, "laplace(shift=-1)", 0.1, degrees=range(1, 14, 2), step_size=step
    ).times.max()
    assert steps == pytest.approx(151, abs=1.0)
    learned = dict(degrees=[1, 2, 3, 4, 6, 8], s=1.0, weight="laplacian")
    cubic = predict.pinn(CUBIC, 2, "laplace(shift=-1)", **learned)
    step = 0.9 / math.exp(cubic.log_rates.max())
    steps = predict.pinn(CUBIC, 2, "laplace(shift=-1)", 0.1, step_size=step, **learned).times.max()
    assert steps == pytest.approx(63, abs=1.0)


# --- a point of data ------------------------------------------------------------------------------


def roots_in_mpmath(poles, sizes):
    """(shifts, roots): mpmath at 50 digits, each root bracketed by its poles and bisected."""
    with mpmath.workdps(50):
        d = [mpmath.mpf(float(x)) for x in poles]
        c = [mpmath.mpf(float(x)) for x in sizes]
        ends = [*d[1:], d[-1] + sum(c)]
        found = []
        for low, high in zip(d, ends):
            start, a, b = low, mpmath.mpf(0), high - low
            for _ in range(220):
                middle = (a + b) / 2
                if middle in (a, b):
                    break
                value = 1 + sum(x / (y - start - middle) for x, y in zip(c, d))
                a, b = (middle, b) if value < 0 else (a, middle)
            found.append((a + b) / 2)
        return np.array([float(x) for x in found]), np.array(
            [float(x + y) for x, y in zip(found, d)]
        )


@pytest.mark.parametrize("seed", range(6))
def test_secular_roots_have_the_accuracy_of_50_digits(seed):
    """Poles and weights over 20 orders of magnitude, and poles close to each other."""
    rng = np.random.default_rng(seed)
    poles = np.sort(10.0 ** rng.uniform(-20, 2, 9))
    if seed % 2:
        poles[4] = poles[3] * (1 + 1e-9)
        poles[0] = 0.0
    sizes = 10.0 ** rng.uniform(-6, 1, 9)
    shifts, roots = roots_in_mpmath(poles, sizes)
    found = secular_roots(poles, sizes)
    assert_allclose(poles + found, roots, rtol=4e-15)
    # A shift is known from the pole it is nearest to.
    near = np.append(found[:-1] <= np.diff(poles) / 2, True)
    assert_allclose(found[near], shifts[near], rtol=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(1e-8, 1e3), min_size=1, max_size=12, unique=True),
    st.integers(0, 2**31), st.floats(1e-6, 1e6),
)  # fmt: skip
def test_roots_interlace_and_shifts_add_up_to_the_trace(given_poles, seed, weight):
    poles = np.sort(given_poles)
    sizes = weight * np.random.default_rng(seed).uniform(0.01, 1.0, poles.size)
    shifts = secular_roots(poles, sizes)
    roots = poles + shifts
    assert np.all(shifts > 0.0)
    assert np.all(roots[:-1] <= poles[1:])
    scale = max(poles.max(), sizes.sum())
    assert shifts.sum() == pytest.approx(sizes.sum(), rel=1e-12, abs=1e-13 * scale)
    w = np.sqrt(sizes)
    direct = np.linalg.eigvalsh(np.diag(poles) + np.outer(w, w))
    assert_allclose(np.sort(roots), direct, rtol=1e-9, atol=1e-13 * scale)


def test_a_boundary_point_against_the_matrix_of_all_harmonics():
    """Circle: cosines and sines to degree 6, alpha a^2 lambda mu on the diagonal, one point."""
    degrees, alpha, beta, s, point = range(7), 0.7, 5.0, 0.5, 0.3
    lam = ntkspec.eigenvalues(BIASED, 2, degrees=degrees)
    columns = [(0, 1.0)]
    for k in range(1, 7):
        columns += [
            (k, math.sqrt(2) * math.cos(k * point)), (k, math.sqrt(2) * math.sin(k * point)),
        ]  # fmt: skip
    k = np.array([one[0] for one in columns], float)
    y = np.array([one[1] for one in columns])
    lam = lam[k.astype(int)]
    # c' = -Lambda (alpha a^2 mu c + beta Y(x0) e(x0))
    matrix = lam[:, np.newaxis] * (
        np.diag(alpha * k**4 * (1 + k) ** (2 * s)) + beta * np.outer(y, y)
    )
    wanted = np.sort(np.linalg.eigvals(matrix).real)
    found = predict.boundary_rates(
        BIASED, 2, "laplace", beta, degrees=degrees, s=s, residual_weight=alpha
    )
    stay = np.repeat(found.poles, found.staying.astype(int))
    assert_allclose(np.sort(np.r_[found.rates, stay]), wanted, rtol=1e-9)
    assert found.shifts.sum() == pytest.approx(
        beta * float(np.sum(ntkspec.spectrum(BIASED, 2, degrees=degrees).multiplicities
                            * ntkspec.eigenvalues(BIASED, 2, degrees=degrees))), rel=1e-13,
    )  # fmt: skip
    assert found.rates[0] > 0.0 == found.poles[0]  # the constant, which the Laplacian misses


@pytest.mark.parametrize("operator", ["laplace", "derivative(shift=0.5)"])
def test_a_boundary_point_on_a_torus_against_the_matrix_of_all_waves(operator):
    """By complex exponentials of both signs, on whose coefficients the operator is diagonal."""
    torus, beta, z = ntkspec.Torus([1, 2]), 50.0, 0.37
    found = predict.boundary_rates(BIASED, torus, operator, beta, degrees=range(5))
    m = np.arange(-4, 5)
    lam = ntkspec.spectrum(BIASED, torus, 4).eigenvalues[np.abs(m)]
    a2 = np.abs(predict.Operator("laplace").symbol_on_torus(m[:, np.newaxis])) ** 2
    if operator != "laplace":
        a2 = np.abs(2j * np.pi * m + 0.5) ** 2
    w = np.sqrt(lam) * np.exp(2j * np.pi * m * z)
    wanted = np.linalg.eigvalsh(np.diag(lam * a2) + beta * np.outer(w, w.conj()))
    stay = np.repeat(found.poles, found.staying.astype(int))
    assert_allclose(np.sort(np.r_[found.rates, stay]), wanted, rtol=1e-9, atol=1e-12)
    assert found.to_pandas().index.name == "frequency" or "frequency" in found.to_pandas()
    plane = predict.boundary_rates(BIASED, ntkspec.Torus.plain(2), "laplace", beta, size=2)
    part = ntkspec.spectrum(BIASED, ntkspec.Torus.plain(2), 2)
    trace = beta * float(np.sum(part.eigenvalues * part.multiplicities))
    assert plane.shifts.sum() == pytest.approx(trace, rel=1e-9) and plane.degrees.shape[1] == 2


def test_equal_poles_move_together():
    """With the inverse weights all poles are alpha: one mode moves, by the whole trace."""
    found = predict.boundary_rates(
        BIASED, 3, "laplace(shift=-1)", 2.0, weight="inverse", degrees=range(5)
    )
    trace = float(np.sum(ntkspec.spectrum(BIASED, 3, degrees=range(5)).multiplicities
                         * ntkspec.eigenvalues(BIASED, 3, degrees=range(5))))  # fmt: skip
    assert np.ptp(found.poles) < 1e-12 and np.sum(found.shifts > 1e-9) == 1
    assert found.shifts.sum() == pytest.approx(2.0 * trace, rel=1e-9)


def test_degrees_that_no_function_has_are_left_out():
    found = predict.boundary_rates("tanh", 3, degrees=range(6))
    assert found.degrees.tolist() == [1, 3, 5] and found[3] == found.rates[1]
    small = predict.boundary_rates("tanh", 100, degrees=[1, 801])
    assert small.degrees.tolist() == [1, 801] and np.all(small.rates > small.poles)


# --- the operator ---------------------------------------------------------------------------------


def test_operators_are_values_and_text():
    one = as_operator("laplace(shift=-1, power=2)")
    assert one == Operator("laplace", -1.0, 2) and as_operator(str(one)) == one
    assert hash(one) == hash(Operator("laplace", shift=-1, power=2))
    assert (one.order, Operator("derivative", power=3).order) == (4, 3)
    assert_allclose(one.symbol([2], 5), [(-2 * 5 - 1.0) ** 2])
    assert predict.Operator is Operator


def test_symbols_by_differences():
    """A applied to cos(k phi) and to e^(2 pi i m.x) by finite differences in mpmath."""
    with mpmath.workdps(60):
        assert Operator().symbol([-2, 2], 2).tolist() == [-4.0, -4.0]
        f = lambda x: mpmath.exp(3j * x)  # noqa: E731
        d = mpmath.diff(f, 0.3, 1) / f(0.3)
        assert complex(Operator("derivative").symbol([3], 2)[0]) == pytest.approx(complex(d))
        once = lambda x: mpmath.diff(f, x, 2) + 0.5 * f(x)  # noqa: E731
        twice = (mpmath.diff(once, 0.3, 2) + 0.5 * once(0.3)) / f(0.3)
        found = Operator(shift=0.5, power=2).symbol([3], 2)[0]
        assert float(found) == pytest.approx(float(twice.real))


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("call,message", [
    (lambda: predict.pinn("tanh", 3, "heat"), "operator = 'heat' is not allowed"),
    (lambda: predict.pinn("tanh", 3, "laplac"), "laplace"),
    (lambda: predict.pinn("tanh", 3, 5), "operator = 5"),
    (lambda: predict.pinn("tanh", 3, "laplace(c=1)"), "operator = 'laplace"),
    (lambda: predict.pinn("tanh", 3, "laplace(shift='x')"), "shift = 'x'"),
    (lambda: Operator("laplace", power=0), "power = 0"),
    (lambda: Operator("laplace", power=1.5), "power = 1.5"),
    (lambda: Operator("laplace", shift=math.nan), "shift = nan"),
    (lambda: Operator("heat"), "operator = 'heat'"),
    (lambda: predict.pinn("tanh", 3, "derivative"), "needs dim = 2"),
    (lambda: predict.pinn("tanh", Torus([[1, 0], [0, 1]]), "derivative"), "one dimension"),
    (lambda: predict.pinn("tanh", ntkspec.Cube(5)), "Sphere and ntkspec.Torus only"),
    (lambda: predict.pinn("tanh", ntkspec.Gaussian(5)), "Sphere and ntkspec.Torus only"),
    (lambda: predict.pinn(ntkspec.spectrum("relu", ntkspec.Cube(4))), "Torus only"),
    (lambda: predict.pinn("tanh", 3, size=4), "size = 4 is not allowed"),
    (lambda: predict.pinn("tanh", Torus([1]), degrees=[1], size=4), "both given"),
    (lambda: predict.pinn("tanh", Torus([[1, 0], [0, 1]]), degrees=[1]), "give size"),
    (lambda: predict.pinn("tanh", 3, points=16), "points of the circle"),
    (lambda: predict.pinn("tanh", Torus([1]), points=16), "points of the circle"),
    (lambda: predict.pinn("tanh", 2, points=16, degrees=[9]), "degrees 0 to 8"),
    (lambda: predict.pinn("tanh", 2, points=2), "points = 2"),
    (lambda: predict.pinn("tanh", 2, points=2.5), "points = 2.5"),
    (lambda: predict.pinn("tanh", 3, error=1.0), "error = 1.0"),
    (lambda: predict.pinn("tanh", 3, weight="h1"), "weight = 'h1'"),
    (lambda: predict.pinn("tanh", 3, weight="inverse", s=1.0), "no exponent"),
    (lambda: predict.pinn("tanh", 3, s=math.nan), "s = nan"),
    (lambda: predict.pinn("tanh", 3, residual_weight=0.0), "both 0"),
    (lambda: predict.pinn("tanh", 3, data_weight=-1.0), "data_weight = -1"),
    (lambda: predict.pinn("tanh", 3, step_size=100.0), "diverges, it must be below"),
    (lambda: predict.pinn("tanh", 3, optimizer="adam"), "'adam' is not predicted"),
    (lambda: predict.boundary_rates("tanh", 3, boundary_weight=0.0), "boundary_weight = 0.0"),
    (lambda: predict.boundary_rates("tanh", 3, degrees=[1, 1]), "given twice"),
    (lambda: predict.boundary_rates("tanh", 3, weight="inverse", s=1), "no exponent"),
    (lambda: predict.boundary_rates("relu", 3), "deltas"),
    (lambda: predict.boundary_rates("gelu", 3, degrees=[2, 2000]), "beyond the range of doubles"),
])  # fmt: skip
def test_what_is_not_allowed_is_refused_in_a_sentence(call, message):
    with pytest.raises(NtkspecError, match=message.replace("(", r"\(")):
        call()


# --- the command line -----------------------------------------------------------------------------


def run(*words):
    return CliRunner().invoke(main, ["predict", *map(str, words)])


def test_the_command_prints_what_the_function_returns():
    done = run(
        "pinn", "tanh", "--dim", 2, "--operator", "laplace(shift=-1)", "--degrees", "1:4",
        "--error", 0.1, "--points", 16, "--data-weight", 2, "--format", "csv",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    wanted = predict.pinn(
        "tanh", 2, "laplace(shift=-1)", 0.1, degrees=[1, 2, 3], points=16, data_weight=2.0
    ).columns()
    head, *rows = done.stdout.split()
    assert head.split(",") == list(wanted)
    found = np.array([[float(x) for x in row.split(",")] for row in rows])
    assert_allclose(found.T, list(wanted.values()))


def test_the_command_with_a_boundary_and_on_the_torus():
    done = run("pinn", "tanh", "--degrees", "1:6", "--boundary-weight", 2, "--format", "json")
    assert done.exit_code == 0 and '"shift"' in done.stdout and '"pole"' in done.stdout
    done = run("pinn", "tanh", "--domain", "torus", "--frequencies", "1,0;0,1", "--size", 2)
    assert done.exit_code == 0 and "frequency_2" in done.stdout


@pytest.mark.parametrize("words,message", [
    (("pinn", "relu"), "deltas that automatic differentiation drops"),
    (("pinn", "tanh", "--operator", "heat"), "operator = 'heat' is not allowed"),
    (("pinn", "tanh", "--boundary-weight", 1, "--points", 8), "--points"),
    (("pinn", "tanh", "--step-size", "x"), "step_size = 'x'"),
    (("pinn", "tanh", "--domain", "cube"), "Torus only"),
    (("times", "tanh", "--optimizer", "adam"), "'adam' is not predicted"),
    (("times", "tanh", "--momentum", "0.5"), "without a step_size"),
    (("minibatch", "tanh", "--samples", 8, "--batch", 9, "--target", "1:1"), "batch = 9"),
])  # fmt: skip
def test_the_command_refuses(words, message):
    done = run(*words)
    assert done.exit_code == 2 and message in done.output and "Traceback" not in done.output


def test_leading_powers_by_domain_free_rules():
    assert leading_power(Network("relu", depth=4), "ntk") == 1.0
    assert leading_power(Network("relu_power", power=3), "nngp") == 7.0
    assert (
        leading_power(Network("relu", slope=1.0) if False else Network("tanh"), "ntk") == math.inf
    )

"""The reference of the general network, against closed forms, plain doubles and identities.

Closed-form duals: erf, Williams 1997 (arcsine); sin, cos and exp(-x^2/2), Gaussian integrals by
hand; relu, x^2 and step, Cho and Saul 2009.  The plain route takes the definition literally, layer
by layer, in numpy doubles, with scipy's functions for the activations.
"""

import itertools
from types import SimpleNamespace

import flint
import mpmath
import numpy as np
import pytest
from flint import acb, arb
from mpmath import mp
from scipy import special

from ntkspec.errors import NtkspecError
from ntkspec.networks import Network
from ntkspec.precision import working_precision
from ntkspec.reference.balls import (
    Case,
    layered,
    reference_eigenvalue,
    reference_spectra,
    reference_spectrum,
    sampled,
)
from ntkspec.reference.balls.expectations import PARTS, make_dual
from ntkspec.reference.balls.interpolated import InterpolatedDual
from ntkspec.reference.balls.legendre import cosine_means, cosine_series
from ntkspec.reference.description import KINKED, SMOOTH, Description

SLOPE, POWER = 0.25, 3
#: Those with a plain formula in doubles here; the others are compared on the diagonal below.
OTHERS = ("celu", "selu", "softsign", "finer", "swish", "mish", "exp", "snake", "gabor",
          "polynomial")  # fmt: skip
ACTIVATIONS = [name for name in (*SMOOTH, *KINKED) if name not in OTHERS]


def network(activation, **parameters):
    return SimpleNamespace(activation=activation, slope=SLOPE, power=POWER, **parameters)


def sigma_of(activation):
    return Description(activation, SLOPE, POWER)


def kernels_of(activation):
    return ["nngp"] if activation == "step" else ["nngp", "ntk"]


def relative(value, expected):
    return abs(value / expected - 1)


def high(ball):
    return mp.mpf(ball.mid())


# --- the activations and their duals ------------------------------------------------------------

SIGMA = {
    "tanh": mp.tanh,
    "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
    "silu": lambda x: x / (1 + mp.exp(-x)),
    "softplus": lambda x: mp.log(1 + mp.exp(x)),
    "erf": mp.erf,
    "gelu": lambda x: x * mp.ncdf(x),
    "sin": mp.sin,
    "cos": mp.cos,
    "gaussian": lambda x: mp.exp(-x * x / 2),
    "relu": lambda x: max(x, mp.mpf(0)),
    "leaky_relu": lambda x: x if x > 0 else SLOPE * x,
    "abs": abs,
    "step": lambda x: mp.mpf(x > 0),
    "relu_power": lambda x: max(x, mp.mpf(0)) ** POWER,
    "elu": lambda x: x if x > 0 else mp.expm1(x),
    "celu(2)": lambda x: x if x > 0 else 2 * mp.expm1(x / 2),
    "selu": lambda x: (
        mp.mpf(1.0507009873554805) * (x if x > 0 else mp.mpf(1.6732632423543772) * mp.expm1(x))
    ),
    "softsign": lambda x: x / (1 + abs(x)),
    "swish(2)": lambda x: x / (1 + mp.exp(-2 * x)),
    "mish": lambda x: x * mp.tanh(mp.log(1 + mp.exp(x))),
    "exp": mp.exp,
    "snake(1)": lambda x: x + mp.sin(x) ** 2,
    "gabor(2, 1)": lambda x: mp.cos(2 * x) * mp.exp(-x * x),
    "polynomial(0.5, -1, 0, 2)": lambda x: mp.mpf("0.5") - x + 2 * x**3,
}


@pytest.mark.parametrize("activation", [name for name in SMOOTH if name not in OTHERS])
def test_parts_make_the_activation_and_its_derivative(activation):
    with mp.workdps(40), flint.ctx.workdps(40):
        for x in ("0.3", "2.5", "11"):
            even, odd, slope_even, slope_odd = (
                mp.mpf(0) if part is None else high(part)
                for part in PARTS[activation].parts(arb(x))
            )
            for sign in (1, -1):
                at = sign * mp.mpf(x)
                assert abs(even + sign * odd - SIGMA[activation](at)) < mp.mpf("1e-36")
                derivative = mp.diff(SIGMA[activation], at)
                assert abs(slope_even + sign * slope_odd - derivative) < mp.mpf("1e-18")


@pytest.mark.parametrize("activation", SIGMA)
def test_dual_on_the_diagonal_is_one_integral(activation):
    """E[sigma(u)^2] and E[sigma'(u)^2], mpmath's quadrature over the line."""
    variance = mp.mpf("1.75")

    def mean(function):
        def integrand(x):
            return function(mp.sqrt(variance) * x) ** 2 * mp.npdf(x)

        # Not at 0 itself, where mpmath would differentiate across the kink.
        return mp.quad(integrand, [-14, -6, -2, 0, 2, 6, 14], method="gauss-legendre", maxdegree=5)

    with mp.workdps(30), flint.ctx.workprec(160):
        f, d = make_dual(sigma_of(activation), arb("1.75"), 80.0).at_zero()
        assert relative(high(f), mean(SIGMA[activation])) < mp.mpf("1e-24")
        if activation != "step":
            tiny = mp.mpf("1e-10")
            slope = mean(
                lambda x: (SIGMA[activation](x + tiny) - SIGMA[activation](x - tiny)) / (2 * tiny)
            )
            assert relative(high(d), slope) < mp.mpf("1e-8")


def arc_cosine(power, angle):
    """E of max(u,0)^p max(v,0)^p for variance 1, Cho and Saul's J_p / (2 pi)."""
    rest, sine, cosine = mp.pi - angle, mp.sin(angle), mp.cos(angle)
    j = {
        0: rest,
        1: sine + rest * cosine,
        2: 3 * sine * cosine + rest * (1 + 2 * cosine**2),
        3: 4 * sine + 11 * sine * cosine**2 + rest * (9 * cosine + 6 * cosine**3),
    }[power]
    return j / (2 * mp.pi)


def closed_form(activation, q, angle):
    """(F, D) where both are known."""
    t = mp.cos(angle)
    if activation == "erf":
        c, s = 2 * q * t / (1 + 2 * q), 1 + 2 * q
        return 2 / mp.pi * mp.asin(c), 4 / mp.pi / mp.sqrt(s * s - 4 * q * q * t * t)
    if activation == "sin":
        return mp.exp(-q) * mp.sinh(q * t), mp.exp(-q) * mp.cosh(q * t)
    if activation == "cos":
        return mp.exp(-q) * mp.cosh(q * t), mp.exp(-q) * mp.sinh(q * t)
    if activation == "gaussian":
        s = (1 + q) ** 2 - q * q * t * t
        return 1 / mp.sqrt(s), q * t / s ** mp.mpf(1.5)
    if activation == "relu_power":
        return q**3 * arc_cosine(3, angle), 9 * q**2 * arc_cosine(2, angle)
    f1, f0 = arc_cosine(1, angle), arc_cosine(0, angle)
    a = {"relu": 0, "leaky_relu": mp.mpf(SLOPE), "abs": -1, "step": 0}[activation]
    if activation == "step":
        return f0, None
    return q * (a * t + (1 - a) ** 2 * f1), a + (1 - a) ** 2 * f0


@pytest.mark.parametrize(
    "activation",
    ["erf", "sin", "cos", "gaussian", "relu", "leaky_relu", "abs", "step", "relu_power"],
)
@pytest.mark.parametrize("variance", ["0.25", "1", "2.5"])
def test_duals_agree_with_closed_forms(activation, variance):
    with mp.workdps(50), flint.ctx.workprec(220):
        angles = [mp.mpf(x) for x in ("0.001", "0.7", "1.9", "3.1")]
        points = []
        for angle in angles:
            sine, cosine = arb(mp.nstr(angle, 60)).sin_cos()
            points.append(acb(cosine, sine))
        found = make_dual(sigma_of(activation), arb(variance), 105.0).at(points)
        for i, angle in enumerate(angles):
            for values, expected in zip(found, closed_form(activation, mp.mpf(variance), angle)):
                if expected is not None:
                    assert abs(high(values[i]) - expected) < mp.mpf("1e-42")


# --- the plain route ----------------------------------------------------------------------------


def phi(x):
    return np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


PLAIN = {
    "tanh": (np.tanh, lambda x: 1 / np.cosh(x) ** 2),
    "sigmoid": (special.expit, lambda x: special.expit(x) * special.expit(-x)),
    "silu": (
        lambda x: x * special.expit(x),
        lambda x: special.expit(x) * (1 + x * special.expit(-x)),
    ),
    "softplus": (lambda x: np.logaddexp(0, x), special.expit),
    "erf": (special.erf, lambda x: 2 / np.sqrt(np.pi) * np.exp(-x * x)),
    "gelu": (lambda x: x * special.ndtr(x), lambda x: special.ndtr(x) + x * phi(x)),
    "sin": (np.sin, np.cos),
    "cos": (np.cos, lambda x: -np.sin(x)),
    "gaussian": (lambda x: np.exp(-x * x / 2), lambda x: -x * np.exp(-x * x / 2)),
    "relu": (lambda x: np.maximum(x, 0), lambda x: np.where(x > 0, 1.0, 0.0)),
    "leaky_relu": (lambda x: np.where(x > 0, x, SLOPE * x), lambda x: np.where(x > 0, 1.0, SLOPE)),
    "abs": (np.abs, np.sign),
    "step": (lambda x: np.where(x > 0, 1.0, 0.0), None),
    "relu_power": (
        lambda x: np.maximum(x, 0) ** POWER,
        lambda x: POWER * np.maximum(x, 0) ** (POWER - 1),
    ),
    "elu": (
        lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
        lambda x: np.exp(np.minimum(x, 0)),
    ),
}


RULES = {n: np.polynomial.legendre.leggauss(n) for n in (32, 36, 72)}


def plain_expectation(function, variance, angle):
    """E[g(u) g(v)] over the plane, in doubles; cut at all four rays on which u or v is 0."""
    x, w = RULES[32]
    rays = np.sort([-np.pi / 2, np.pi / 2, angle - np.pi / 2, angle + np.pi / 2])
    rays = np.append(rays, rays[0] + 2 * np.pi)
    half, middle = np.diff(rays)[:, None] / 2, (rays[1:] + rays[:-1])[:, None] / 2
    a, of_a = (middle + half * x).ravel(), (half * w).ravel()
    y, of_r = RULES[72]
    r = 5 * (1 + y)
    of_r = 5 * of_r * r * np.exp(-r * r / 2)
    scale = np.sqrt(variance) * r[:, None]
    product = function(scale * np.cos(a)) * function(scale * np.cos(a - angle))
    return of_r @ product @ of_a / (2 * np.pi)


def plain_kernels(activation, s_w, s_b, depth, angles):
    """The recursion of the definition: nngp and both NTKs at these angles."""
    value, derivative = PLAIN[activation]
    t = np.cos(angles)
    diagonal, q = s_w + s_b, s_w * t + s_b
    tangent = q
    for _ in range(depth):
        inner = np.arccos(np.clip(q / diagonal, -1, 1))
        f = np.array([plain_expectation(value, diagonal, angle) for angle in inner])
        d = np.zeros_like(f)
        if derivative:
            d = np.array([plain_expectation(derivative, diagonal, angle) for angle in inner])
        diagonal, q = s_w * plain_expectation(value, diagonal, 0.0) + s_b, s_w * f + s_b
        hidden, tangent = tangent * d, q + s_w * tangent * d
    return {("nngp", "all"): f, ("ntk", "hidden"): hidden, ("ntk", "all"): f + hidden}


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_two_layers_agree_with_the_plain_expectation(activation):
    """Degrees 0 to 3 at d = 3 through the recursion in doubles and Gauss-Legendre in theta."""
    s_w, s_b, depth = 1.5, 0.3, 2
    # theta = pi y^2: only step needs it
    y, w = RULES[36]
    y = (1 + y) / 2
    angles, weights = np.pi * y**2, np.pi * y * w * np.sin(np.pi * y**2)
    plain = plain_kernels(activation, s_w, s_b, depth, angles)
    cases = [Case(3, kind[0], depth, kind[1]) for kind in plain if activation != "step"]
    net = network(activation, weight_variance=s_w, bias_variance=s_b)
    found = reference_spectra(net, cases or [Case(3, "nngp", depth, "all")], range(4), digits=15)
    for case, results in found.items():
        kernel = plain[case.kernel, case.trained]
        for degree, result in enumerate(results):
            legendre = special.eval_legendre(degree, np.cos(angles))
            expected = np.sum(weights * kernel * legendre) / 2
            assert abs(float(result.value) - expected) < 2e-13 * np.max(kernel)


def test_definition_taken_literally():
    """The nested expectation as an iterated integral over the plane: K at one t from its series."""
    s_w, s_b, t = 1.2, 0.3, -0.4

    def expectation(function, variance, covariance):
        c = covariance / variance
        s = mp.sqrt(1 - c * c)
        root, grid = mp.sqrt(variance), [mp.mpf(i) / 4 for i in range(-36, 37)]
        # The trapezoid rule, whose error is exp(-2 pi^2 / step^2) for entire functions.
        total = mp.fsum(
            function(root * x) * function(root * (c * x + s * y)) * mp.exp(-(x * x + y * y) / 2)
            for x, y in itertools.product(grid, grid)
        )
        return total / (16 * 2 * mp.pi)

    with mp.workdps(20):
        diagonal, q = mp.mpf(s_w) + s_b, mp.mpf(s_w) * t + s_b
        f1, d1 = expectation(mp.sin, diagonal, q), expectation(mp.cos, diagonal, q)
        second = s_w * expectation(mp.sin, diagonal, diagonal) + s_b
        q2 = s_w * f1 + s_b
        f2, d2 = expectation(mp.sin, second, q2), expectation(mp.cos, second, q2)
        expected = f2 + (q2 + s_w * q * d1) * d2
        net = network("sin", weight_variance=s_w, bias_variance=s_b, depth=2, trained="all")
        values = reference_spectrum(net, 3, range(31), digits=20)
        found = mp.fsum((2 * k + 1) * r.value * mp.legendre(k, t) for k, r in enumerate(values))
        assert relative(found, expected) < mp.mpf("1e-16")


# --- known values and the other reference -------------------------------------------------------


@pytest.mark.parametrize(
    ("activation", "kernel", "degree", "expected"),
    [
        ("relu", "ntk", 0, mp.fraction(1, 16)),
        ("relu", "ntk", 1, mp.fraction(1, 12)),
        ("relu", "ntk", 2, mp.fraction(7, 256)),
        ("relu", "ntk", 8, "2.78472900390625e-4"),
        # mu_k^2, mu_k = 1/2 int_0^1 P_k: 1/2, 1/4, 0, -1/16
        ("step", "nngp", 0, mp.fraction(1, 4)),
        ("step", "nngp", 1, mp.fraction(1, 16)),
        ("step", "nngp", 3, mp.fraction(1, 256)),
    ],
)
def test_printed_values(activation, kernel, degree, expected):
    with mp.workdps(60):
        (found,) = reference_spectrum(network(activation), 3, [degree], kernel=kernel)
        assert relative(found.value, mp.mpf(expected)) < mp.mpf("1e-39")


@pytest.mark.parametrize(
    ("activation", "dim", "degrees", "kernel", "trained"),
    [
        ("relu", 3, [0, 1, 6], "ntk", "all"),
        ("leaky_relu", 2, [0, 1, 10], "nngp", "all"),
        ("relu", 64, [40], "ntk", "hidden"),
        ("tanh", 3, [1, 11], "ntk", "hidden"),
        ("tanh", 10, [9], "nngp", "hidden"),
        ("sigmoid", 2, [0, 1, 9], "ntk", "all"),
        ("sigmoid", 5, [0, 7], "nngp", "all"),
    ],
)
def test_agrees_with_the_reference_for_one_layer(activation, dim, degrees, kernel, trained):
    slope = {"slope": SLOPE} if activation == "leaky_relu" else {}
    net = Network(activation, weight_variance=1.5, trained=trained, **slope)
    found = reference_spectrum(net, dim, degrees, kernel=kernel, digits=20)
    with mp.workdps(50):
        for degree, result in zip(degrees, found):
            expected = reference_eigenvalue(net, dim, degree, kernel=kernel, digits=22).value
            assert relative(result.value, expected) < mp.mpf("1.1e-20")


# --- identities and promises --------------------------------------------------------------------


def walk_residuals(activation, dim, degrees, digits, depths=(1, 2, 3), **parameters):
    """lambda_k^(d) = lambda_(k+2)^(d) + (1 + 2k/d) lambda_k^(d+2), for all kernels."""
    kinds = [
        (kernel, depth, trained)
        for kernel in kernels_of(activation)
        for depth in depths
        for trained in ("hidden", "all")
    ]
    cases = [Case(d, *kind) for d in (dim, dim + 2) for kind in kinds]
    wanted = sorted({*degrees, *(k + 2 for k in degrees)})
    found = reference_spectra(network(activation, **parameters), cases, wanted, digits=digits)
    with mp.workdps(digits + 20):
        for kind in kinds:
            low = dict(zip(wanted, found[Case(dim, *kind)]))
            upper = dict(zip(wanted, found[Case(dim + 2, *kind)]))
            for k in degrees:
                if not upper[k].is_zero:
                    walked = low[k + 2].value + (1 + mp.mpf(2 * k) / dim) * upper[k].value
                    yield relative(walked, low[k].value)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_dimensions_d_and_d_plus_2_fit_together(activation):
    bias = {"bias_variance": 0.3, "weight_variance": 1.25}
    assert max(walk_residuals(activation, 3, [0, 7], 14, (1, 3), **bias)) < mp.mpf("1e-13")


@pytest.mark.parametrize("activation", ["relu", "abs", "step", "tanh"])
@pytest.mark.parametrize("bias_variance", [1e-2, 1e-6, 1e-12])
def test_small_biases_leave_branch_points_near_pi(activation, bias_variance):
    residuals = walk_residuals(activation, 3, [0, 7], 14, (2, 3), bias_variance=bias_variance)
    assert max(residuals) < mp.mpf("1e-13")


@pytest.mark.slow
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("bias_variance", [0.0, 0.3])
def test_dimensions_fit_together_far_down(activation, bias_variance):
    residuals = walk_residuals(
        activation, 62, [0, 1, 7, 97, 98], 16, (1, 2, 3, 4), bias_variance=bias_variance
    )
    assert max(residuals) < mp.mpf("1e-15")


def test_trace_is_the_kernel_on_the_diagonal():
    """Sum N lambda_k = K(1) = E[sigma(u_2)^2], gelu, two layers, d = 4, N = (k+1)^2."""
    net = network("gelu", bias_variance=0.5, depth=2)
    values = reference_spectrum(net, 4, range(40), kernel="nngp", digits=12)
    with mp.workdps(25), flint.ctx.workprec(120):
        first = make_dual(sigma_of("gelu"), arb("1.5"), 60.0).at_zero()[0]
        second = make_dual(sigma_of("gelu"), first + arb("0.5"), 60.0).at_zero()[0]
        total = mp.fsum((k + 1) ** 2 * r.value for k, r in enumerate(values))
        assert relative(total, high(second)) < mp.mpf("1e-11")


@pytest.mark.parametrize(
    ("activation", "kernel", "zero", "positive"),
    [
        ("relu", "ntk", [3, 5, 9], [0, 1, 2, 4]),
        ("abs", "nngp", [1, 3, 7], [0, 2, 4]),
        ("step", "nngp", [2, 4, 8], [0, 1, 3]),
        ("tanh", "ntk", [0, 2, 8], [1, 3, 9]),
        ("sigmoid", "nngp", [2, 4, 8], [0, 1, 3]),
        ("gelu", "nngp", [3, 5, 9], [0, 1, 2, 4]),
        ("cos", "ntk", [1, 3, 9], [0, 2, 4]),
    ],
)
def test_zeros_by_symmetry_show(activation, kernel, zero, positive):
    found = reference_spectrum(network(activation), 5, [*zero, *positive], kernel=kernel, digits=20)
    assert [r.is_zero for r in found] == [True] * len(zero) + [False] * len(positive)
    sizes = {k: r.value for k, r in zip(positive, found[len(zero) :], strict=True)}
    for k, r in zip(zero, found):
        near = [sizes[i] for i in (k - 1, k + 1) if i in sizes]
        assert r.value == 0 and all(r.error < mp.mpf("1e-20") * size for size in near)


def zero_by_symmetry(activation, kernel, trained, depth, degree):
    """Which eigenvalues vanish without bias, from the parity of sigma less a polynomial."""
    even = degree % 2 == 0
    if activation in ("tanh", "erf", "sin"):
        return even
    if activation in ("cos", "gaussian", "abs"):
        return not even
    if depth > 1 or activation == "elu":
        return False
    if activation in ("sigmoid", "step"):
        # odd but for the constant 1/2, which sigma' does not see
        return even and (degree > 0 or (kernel, trained) == ("ntk", "hidden"))
    if activation == "relu_power":
        # x^3/2 is the odd part, |x|^3/2 the even one
        return not even and degree > POWER
    # x times the former
    return not even and degree > 1


@pytest.mark.slow
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_zeros_are_those_of_symmetry_at_any_depth(activation):
    cases = [
        Case(dim, kernel, depth, trained)
        for dim in (2, 64)
        for kernel in kernels_of(activation)
        for depth in (1, 2, 3, 4)
        for trained in ("hidden", "all")
    ]
    degrees = [0, 1, 2, 3, 4, 5, 8, 17, 50, 51, 99, 100]
    for case, found in reference_spectra(network(activation), cases, degrees, digits=16).items():
        _, kernel, depth, trained = case
        expected = [zero_by_symmetry(activation, kernel, trained, depth, k) for k in degrees]
        assert [r.is_zero for r in found] == expected
        assert all(r.value > 0 for r in found if not r.is_zero)


def test_no_zeros_with_bias_and_two_relu_layers():
    found = reference_spectrum(network("relu", bias_variance=0.1, depth=2), 3, range(12))
    assert not any(r.is_zero for r in found)


@pytest.mark.parametrize("activation", ["relu", "tanh", "elu"])
def test_the_error_is_honest_and_as_asked(activation):
    net = network(activation, bias_variance=0.3, depth=2)
    (rough,) = reference_spectrum(net, 4, [7], digits=8)
    (fine,) = reference_spectrum(net, 4, [7], digits=25)
    with mp.workdps(60):
        assert abs(rough.value - fine.value) <= rough.error <= mp.mpf("1e-8") * fine.value
        assert fine.error <= mp.mpf("1e-25") * fine.value


def test_a_batch_gives_what_single_calls_give():
    cases = [Case(3, "ntk", 2, "all"), Case(10, "nngp", 1), Case(3, "ntk", 1, "hidden")]
    degrees = {3: [6, 1], 10: [2]}
    batch = reference_spectra(network("silu", bias_variance=0.3), cases, degrees, digits=15)
    assert list(batch) == cases
    for case, values in batch.items():
        net = network("silu", bias_variance=0.3, depth=case.depth, trained=case.trained)
        single = reference_spectrum(net, case.dim, degrees[case.dim], kernel=case.kernel, digits=15)
        for one, other in zip(values, single, strict=True):
            assert relative(one.value, other.value) < mp.mpf("2e-15")


def test_working_precisions_are_left_alone():
    before = flint.ctx.prec, mpmath.mp.prec
    reference_spectrum(network("relu"), 3, [5], digits=60)
    assert (flint.ctx.prec, mpmath.mp.prec) == before


def test_passes_that_never_agree_raise(monkeypatch):
    sampled.forget_samples()
    nodes = iter(range(4, 100, 2))
    monkeypatch.setattr(sampled, "entire_rule_size", lambda *_: 0)
    monkeypatch.setattr(layered, "MAX_PASSES", 3)
    rule = sampled.gauss_legendre
    monkeypatch.setattr(sampled, "gauss_legendre", lambda _, bits: rule(next(nodes), bits))
    with pytest.raises(NtkspecError, match=r"digits = 20 was not reached for .*degree 12"):
        reference_spectrum(network("relu"), 3, [12], digits=20)


def test_means_of_cosines_are_those_of_the_expansion_in_cosines():
    with working_precision(200):
        for dim, degree in itertools.product((2, 3, 4, 9, 64), (0, 1, 2, 7)):
            moments = [arb(1)]
            for j in range(0, 80, 2):
                moments.append(moments[-1] * (j + 2 - dim) / (j + dim))
            cosines = list(enumerate(cosine_series(dim, degree)))
            found = cosine_means(dim, degree, 40)
            for at, mean in enumerate(found):
                j = degree + 2 * at
                right = arb(0)
                for i, c in cosines:
                    n = 2 * i + degree % 2
                    right += c * (moments[(j + n) // 2] + moments[abs(j - n) // 2]) / 2
                assert mean.overlaps(right)
                assert mean == 0 or mean.rel_accuracy_bits() > 150


@pytest.mark.parametrize("activation", [name for name in KINKED if name not in OTHERS])
def test_an_interpolated_dual_encloses_the_dual(activation):
    with working_precision(160):
        dual = make_dual(sigma_of(activation), arb("1.25"), 60.0)
        points = [acb(arb(x).cos(), arb(x).sin()) for x in (1e-6, 0.4, 1.5, 2.9, 3.14159)]
        for few in (40, 70):
            pairs = zip(InterpolatedDual(dual, few).at(points), dual.at(points), strict=True)
            for found, right in pairs:
                for x, y in zip(found, right, strict=True):
                    assert x.overlaps(y)
                    assert x.rad() < arb(2) ** -120


def test_entries_of_a_network_share_samples_and_do_not_depend_on_them(monkeypatch):
    net = network("gelu", depth=2, bias_variance=0.1)
    alone = []
    for dim, degree in ((3, 7), (40, 4)):
        sampled.forget_samples()
        alone += reference_spectrum(net, dim, [degree], digits=20)
    built = []
    made = sampled.Samples.__init__
    monkeypatch.setattr(
        sampled.Samples, "__init__", lambda self, *args: (built.append(args), made(self, *args))[1]
    )
    sampled.forget_samples()
    together = [reference_spectrum(net, dim, [degree], digits=20)[0]
                for dim, degree in ((40, 4), (3, 7), (40, 4), (3, 7))]  # fmt: skip
    assert together == alone[::-1] * 2
    assert len(built) == 2  # those of the first
    monkeypatch.setattr(sampled, "MOST_REMEMBERED", 1)
    reference_spectrum(network("sin", depth=2), 3, [1], digits=10)
    assert len(sampled._remembered) == 1


def test_too_few_bits_are_found_out(monkeypatch):
    (expected,) = reference_spectrum(network("relu", depth=2), 10, [12], digits=20)
    sampled.forget_samples()
    monkeypatch.setattr(layered, "GUARD_BITS", -20)
    monkeypatch.setattr(layered, "on_ladder", int)
    (found,) = reference_spectrum(network("relu", depth=2), 10, [12], digits=20)
    with mp.workdps(40):
        assert relative(found.value, expected.value) < mp.mpf("2e-20")
        assert found.error < mp.mpf("1e-20") * found.value


def test_too_few_nodes_are_found_out(monkeypatch):
    net = network("tanh", depth=2, bias_variance=0.3)
    (expected,) = reference_spectrum(net, 5, [12], digits=20)
    sampled.forget_samples()
    monkeypatch.setattr(layered._Plan, "effort", lambda _: sampled.Effort(190, 25.0))
    (found,) = reference_spectrum(net, 5, [12], digits=20)
    with mp.workdps(40):
        assert relative(found.value, expected.value) < mp.mpf("2e-20")


@pytest.mark.parametrize(
    ("net", "arguments", "name"),
    [
        (network("rely"), (3, [0]), "activation"),
        (network("relu"), (1, [0]), "dim"),
        (network("relu"), (3, [-1]), "degree"),
        (network("relu"), (3, [0], "ntq"), "kernel"),
        (network("step"), (3, [0], "ntk"), "kernel"),
        (network("relu"), (3, [0], "ntk", 4), "digits"),
        (network("relu", depth=0), (3, [0]), "depth"),
        (network("relu", trained="none"), (3, [0]), "trained"),
        (network("relu", weight_variance=0.0), (3, [0]), "weight_variance"),
        (network("relu", bias_variance=-1.0), (3, [0]), "bias_variance"),
        (SimpleNamespace(activation="relu_power", power=0), (3, [0]), "power"),
    ],
)
def test_bad_parameters_are_named(net, arguments, name):
    options = dict(zip(("kernel", "digits"), arguments[2:], strict=False))
    with pytest.raises(NtkspecError, match=name):
        reference_spectrum(net, *arguments[:2], **options)

"""The mpmath reference: Gauss-Jacobi rules, Gaussian expectations, eigenvalues, checks by it.

It is compared with scipy, with closed forms (Williams 1997 for erf; Gaussian integrals for sin and
exp(-x^2/2); Cho and Saul 2009 for relu), with balls (`ntkspec.reference.balls`) and the engine.
"""

import math
import random
import threading

import mpmath
import numpy as np
import pytest
from command_line import ntkspec as run
from mpmath import mp
from scipy import integrate, special
from sweeping import table_of

import ntkspec
from ntkspec.domains import legendre as in_doubles
from ntkspec.errors import NtkspecError
from ntkspec.networks import Network
from ntkspec.reference.balls import reference_eigenvalue
from ntkspec.reference.description import BALLS_ONLY, describe
from ntkspec.reference.mpmath import (
    gauss_gegenbauer,
    gauss_jacobi,
    gauss_jacobi_spectra,
    gauss_jacobi_spectrum,
    legendre,
)
from ntkspec.reference.mpmath.arithmetic import Precision
from ntkspec.reference.mpmath.expectations import (
    EluDual,
    ExpDual,
    PolynomialDual,
    PowersDual,
    SmoothDual,
)
from ntkspec.reference.mpmath.sigmas import SMOOTH, Powers, smooth
from ntkspec.spectra import quadrature
from ntkspec.sweeps import parse_recipe
from ntkspec.tables import Table
from ntkspec.verification import check_entry, has_reference, verify_table

FOUR = ("relu", "leaky_relu", "sigmoid", "tanh")


def floats(numbers):
    return np.array([float(x) for x in numbers])


# --- rules and polynomials -----------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 7, 40])
@pytest.mark.parametrize(
    ("alpha", "beta"), [(0, 0), (-0.5, -0.5), (0.5, 0.5), (0, 1), (2.5, 0.5), (0, 30), (-0.9, 4)]
)
def test_rules_against_scipy_and_the_moments(n, alpha, beta):
    nodes, weights = gauss_jacobi(n, alpha, beta, digits=30)
    x, w = special.roots_jacobi(n, alpha, beta)
    assert np.abs(floats(nodes) - x).max() < 2e-15
    assert np.abs(floats(weights) / w - 1).max() < 1e-10  # scipy's own error in small weights
    assert nodes == sorted(nodes)
    with mp.workdps(40):
        for power in {0, n, 2 * n - 1}:
            found = mp.fsum(v * (1 + y) ** power for y, v in zip(nodes, weights))
            a, b = mp.mpf(alpha), mp.mpf(beta)
            right = mp.mpf(2) ** (a + b + power + 1) * mp.beta(a + 1, b + power + 1)
            assert abs(found / right - 1) < mp.mpf("1e-29")


@pytest.mark.parametrize("dim", [2, 3, 4, 7, 64])
def test_gegenbauer_rules_against_scipy_and_the_engine(dim):
    n = 41
    nodes, weights = gauss_gegenbauer(n, dim, digits=30)
    engine_nodes, engine_weights = quadrature.gauss_gegenbauer(n, dim)
    order = np.argsort(engine_nodes)
    assert np.abs(floats(nodes) - engine_nodes[order]).max() < 1e-14
    np.testing.assert_allclose(floats(weights), engine_weights[order], rtol=1e-11)
    if dim == 2:
        x, w = special.roots_chebyt(n)
    else:
        x, w = special.roots_gegenbauer(n, (dim - 2) / 2)
    assert np.abs(floats(nodes) - x).max() < 1e-14
    np.testing.assert_allclose(floats(weights), w / w.sum(), rtol=1e-10)


def test_a_rule_of_many_digits():
    nodes, weights = gauss_jacobi(60, "0.5", 12, digits=120)
    with mp.workdps(130):
        right = mp.mpf(2) ** (mp.mpf("13.5") + 119) * mp.beta(mp.mpf("1.5"), 13 + 119)
        found = mp.fsum(w * (1 + x) ** 119 for x, w in zip(nodes, weights))
        assert abs(found / right - 1) < mp.mpf("1e-119")


@pytest.mark.parametrize("dim", [2, 3, 4, 9, 50])
@pytest.mark.parametrize("degree", [0, 1, 2, 5, 32])
def test_polynomials_against_scipy_and_the_engine(dim, degree):
    points = [-1.0, -0.7, 0.0, 0.3, 0.99, 1.0]
    found = floats(legendre(degree, dim, t, digits=30) for t in points)
    if dim == 2:
        right = special.eval_chebyt(degree, points)
    else:
        nu = (dim - 2) / 2
        right = special.eval_gegenbauer(degree, nu, points) / special.eval_gegenbauer(
            degree, nu, 1.0
        )
    np.testing.assert_allclose(found, right, atol=1e-13)
    np.testing.assert_allclose(found, in_doubles(degree, dim, points)[0], atol=1e-13)


@pytest.mark.parametrize("dim", [2, 3, 8])
def test_polynomials_to_many_digits(dim):
    """DLMF 18.5.9, a hypergeometric polynomial."""
    with mp.workdps(80):
        t = mp.mpf("0.123456789")
        right = mp.hyp2f1(-40, 38 + dim, mp.mpf(dim - 1) / 2, (1 - t) / 2)
        assert abs(legendre(40, dim, t, digits=50) - right) < mp.mpf("1e-50")


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: gauss_jacobi(0, 0, 0), "n"),
        (lambda: gauss_jacobi(2001, 0, 0), "n"),
        (lambda: gauss_jacobi(2.5, 0, 0), "n"),
        (lambda: gauss_jacobi(3, -1, 0), "alpha"),
        (lambda: gauss_jacobi(3, 0, "x"), "beta"),
        (lambda: gauss_jacobi(3, 0, math.nan), "beta"),
        (lambda: gauss_jacobi(3, 0, 0, digits=4), "digits"),
        (lambda: gauss_gegenbauer(3, 1), "dim"),
        (lambda: legendre(-1, 3, 0), "degree"),
        (lambda: legendre(1, 3, 1.5), "t"),
        (lambda: legendre(1, 3, None), "t"),
        (lambda: gauss_jacobi_spectrum("relu", 1, [0]), "dim"),
        (lambda: gauss_jacobi_spectrum("relu", 3, [-1]), "degree"),
        (lambda: gauss_jacobi_spectrum("relu", 3, [1], digits=True), "digits"),
        (lambda: gauss_jacobi_spectrum("relu", 3, [1], kernel="ntq"), "kernel"),
        (lambda: gauss_jacobi_spectrum("step", 3, [1]), "kernel"),
        (lambda: gauss_jacobi_spectrum(Network(ntkspec.user_activation(np.tanh)), 3, [1]), "user"),
        (lambda: gauss_jacobi_spectrum("tanh", 3, [4001]), "degree = 4001"),
        (lambda: check_entry("relu", 3, 1, 1.0, 0.0, 1e-13, method="arb"), "method"),
        (lambda: verify_table("none.h5", method="arb"), "method"),
    ],
)
def test_bad_parameters_are_named(call, name):
    with pytest.raises(NtkspecError, match=name):
        call()


# --- Gaussian expectations -----------------------------------------------------------------------


def erf_dual(q, r):
    """Williams 1997, eq. 11."""
    return 2 / mp.pi * mp.asin(2 * q * r / (1 + 2 * q)), 4 / mp.pi / mp.sqrt(
        (1 + 2 * q) ** 2 - (2 * q * r) ** 2
    )


def sin_dual(q, r):
    return mp.exp(-q) * mp.sinh(q * r), mp.exp(-q) * mp.cosh(q * r)


def cos_dual(q, r):
    return sin_dual(q, r)[::-1]


def gaussian_dual(q, r):
    determinant = (1 + q) ** 2 - (q * r) ** 2
    return 1 / mp.sqrt(determinant), q * r / determinant ** mp.mpf("1.5")


CLOSED = {"erf": erf_dual, "sin": sin_dual, "cos": cos_dual, "gaussian": gaussian_dual}
CORRELATIONS = ("-1", "-0.999", "-0.4", "0", "1e-3", "0.7", "0.999999", "1")


@pytest.mark.parametrize("second", [False, True])
@pytest.mark.parametrize("name", CLOSED)
def test_the_trapezoid_rule_in_the_plane_against_closed_forms(name, second):
    precision = Precision(22)
    for q in ("0.3", "2.5") if name != "erf" else ("1.2",):
        dual = SmoothDual(precision, SMOOTH[name], precision.mp.mpf(q), second)
        for r in CORRELATIONS:
            found = dual.at(precision.mp.mpf(r))
            with mp.workdps(40):
                right = CLOSED[name](mp.mpf(q), mp.mpf(r))
                errors = [abs(mp.mpf(x) - y) for x, y in zip(found, right)]
            assert max(errors) < 1e-22, (q, r)


@pytest.mark.parametrize(
    "name",
    ["tanh", "sigmoid", "silu", "softplus", "gelu", "mish", "swish(0.5)", "snake(0.7)",
     "gabor(2, 0.5)", "gabor(3, 0)"],
)  # fmt: skip
def test_two_rules_in_the_plane_and_a_double_sum(name):
    """Other steps, offsets and Chebyshev points; Gauss-Hermite in doubles for the definition."""
    precision = Precision(20)
    q, sigma = precision.mp.mpf("1.3"), Network(name).sigma
    known = smooth(describe(Network(name)))
    first, other = (SmoothDual(precision, known, q, second) for second in (False, True))
    x, w = special.roots_hermitenorm(150)
    x, w = x * math.sqrt(1.3), w / w.sum()
    for r in CORRELATIONS:
        at = precision.mp.mpf(r)
        found = first.at(at)
        assert max(abs(a - b) for a, b in zip(found, other.at(at))) < 1e-20
        v = float(r) * x[:, np.newaxis] + math.sqrt(1 - float(r) ** 2) * x
        for value, function in zip(found, (sigma.value, sigma.derivative)):
            assert float(value) == pytest.approx(w @ (function(x)[:, np.newaxis] * function(v)) @ w,
                                                 abs=1e-9)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "dual"),
    [
        ("polynomial(1, 2, 0, 0.5)", lambda p, q: PolynomialDual(p, (1.0, 2.0, 0.0, 0.5), q)),
        ("polynomial(0, 0, 1)", lambda p, q: PolynomialDual(p, (0.0, 0.0, 1.0), q)),
        ("exp", ExpDual),
    ],
)
def test_moments_of_gaussians_against_a_double_sum(name, dual):
    """Gauss-Hermite rules are exact for polynomials."""
    precision, sigma = Precision(20), Network(name).sigma
    mine = dual(precision, precision.mp.mpf("1.3"))
    x, w = special.roots_hermitenorm(60)
    x, w = x * math.sqrt(1.3), w / w.sum()
    for r in CORRELATIONS:
        v = float(r) * x[:, np.newaxis] + math.sqrt(1 - float(r) ** 2) * x
        for value, function in zip(
            mine.at(precision.mp.mpf(r)), (sigma.value, sigma.derivative), strict=True
        ):
            right = w @ (function(x)[:, np.newaxis] * function(v)) @ w
            assert float(value) == pytest.approx(right, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(("power", "left"), [(0, 0.0), (1, 0.0), (1, -0.25), (1, 1.0), (3, 0.0)])
def test_powers_against_the_mean_over_directions(power, left):
    precision = Precision(20)
    dual = PowersDual(precision, Powers(power, left), precision.mp.mpf(2))
    factor = 2.0**power * 2.0**power * math.factorial(power)  # q^p E[r^(2p)]

    def sigma(x):
        return x**power if x > 0 else left * abs(x) ** power

    for r in (-0.95, -0.3, 0.0, 0.5, 0.999):
        angle = math.acos(r)
        breaks = sorted([-math.pi / 2, math.pi / 2, angle - math.pi / 2, angle + math.pi / 2])

        def product(a, angle=angle):
            return sigma(math.cos(a)) * sigma(math.cos(a - angle))

        mean = sum(
            integrate.quad(product, *ends)[0]
            for ends in zip(breaks, [*breaks[1:], breaks[0] + 2 * math.pi])
        ) / (2 * math.pi)
        assert float(dual.at(precision.mp.mpf(r))[0]) == pytest.approx(factor * mean, rel=1e-10)


def test_powers_at_the_ends():
    """E[u^(2p); u > 0] = (2p-1)!!/2 at r = 1, and 0 at r = -1; the slope's likewise."""
    precision = Precision(30)
    for power, moment, slope in ((1, 0.5, 0.5), (2, 1.5, 2.0), (4, 52.5, 120.0)):
        dual = PowersDual(precision, Powers(power, 0.0), precision.mp.one)
        assert [float(x) for x in dual.at(precision.mp.one)] == [moment, slope]
        assert max(abs(x) for x in dual.at(-precision.mp.one)) < 1e-30


@pytest.mark.parametrize(
    ("name", "second"), [("elu", False), ("elu", True), ("celu(0.5)", False), ("selu", False)]
)
def test_elu_against_a_double_integral(name, second):
    precision, q = Precision(15), 1.7
    dual = EluDual(precision, describe(Network(name)).exponential, precision.mp.mpf(q), second)
    sigma = Network(name).sigma
    # Gauss-Legendre on both sides of the kinks of u and v: u = s x, v = s (r x + c y).
    nodes, weights = special.roots_legendre(60)
    for r in (-0.9, 0.0, 0.6):
        c, s, reach = math.sqrt(1 - r * r), math.sqrt(q), 9.0
        total = np.zeros(2)
        for low, high in ((-reach, 0.0), (0.0, reach)):
            x = low + (high - low) * (nodes + 1) / 2
            for xi, wi in zip(x, weights * (high - low) / 2):
                kink = min(max(-r * xi / c, -reach), reach)
                for a, b in ((-reach, kink), (kink, reach)):
                    y = a + (b - a) * (nodes + 1) / 2
                    density = wi * weights * (b - a) / 2 * np.exp(-(xi**2 + y**2) / 2)
                    for i, f in enumerate((sigma.value, sigma.derivative)):
                        total[i] += f(s * xi) * np.sum(density * f(s * (r * xi + c * y)))
        found = [float(x) for x in dual.at(precision.mp.mpf(r))]
        assert found == pytest.approx(total / (2 * math.pi), abs=1e-11)


# --- eigenvalues ---------------------------------------------------------------------------------


def relative(value, expected):
    return abs(value / expected - 1)


def compare(network, kernel, degrees, digits):
    """mpmath against balls and the engine; the number of entries."""
    found = gauss_jacobi_spectra(network, degrees, kernel=kernel, digits=digits)
    for (dim, degree), one in found.items():
        where = network, kernel, dim, degree
        balls = reference_eigenvalue(network, dim, degree, kernel=kernel, digits=digits)
        assert one.is_zero == balls.is_zero, where
        engine = ntkspec.spectrum(network, dim, [degree], kernel=kernel)
        if one.is_zero:
            assert engine.eigenvalues[0] == 0.0, where
            continue
        with mp.workdps(digits + 10):
            assert one.error <= mp.mpf(10) ** -digits * abs(one.value), where
            assert one.change <= one.error
            assert relative(one.value, balls.value) < 2 * mp.mpf(10) ** -digits, where
            # Rounded first: of more digits than it works with, mpmath 1.3 takes log(1/4 + x) for
            # log(1 + 4 x).
            log_error = abs(engine.log_eigenvalues[0] - float(mp.log(+one.value)))
            bound = engine.relative_error.max() + 1e-15 * abs(engine.log_eigenvalues[0])
            assert log_error <= bound, where
            if one.value > 1e-300:
                assert relative(engine.eigenvalues[0], one.value) <= engine.relative_error.max()
    return len(found)


def drawn(seed, count, dims, most):
    """Degrees by dimension; the ends are among them."""
    rng = random.Random(seed)
    places = {(dims[0], most), (dims[-1], most - 1), (dims[-1], most)}
    while len(places) < count:
        places.add((rng.choice(dims), rng.randint(0, most)))
    return {dim: sorted(k for d, k in places if d == dim) for dim in {d for d, _ in places}}


@pytest.mark.parametrize("name", FOUR)
def test_sixty_entries_agree_with_balls_and_the_engine_to_15_digits(name):
    assert compare(Network(name), "ntk", drawn(name, 15, range(2, 11), 32), 15) == 15


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("trained", ["hidden", "all"])
@pytest.mark.parametrize("name", FOUR)
def test_entries_agree_to_30_digits(name, trained):
    network = Network(name, trained=trained, weight_variance=2.0 if trained == "all" else 1.0)
    assert compare(network, "ntk", drawn(name + trained, 15, range(2, 11), 32), 30) == 15


def any_network(rng, name):
    parameters = {
        "weight_variance": rng.choice([0.25, 0.5, 1.0, 2.0, 4.0]),
        "trained": rng.choice(["hidden", "all"]),
    }
    if rng.random() < 0.15:
        parameters["weights"] = "sphere"
    else:
        parameters["depth"] = rng.choice([1, 2, 3])
        parameters["bias_variance"] = rng.choice([0.0, 0.01, 0.1, 1.0])
    if name == "leaky_relu":
        parameters["slope"] = rng.choice([-1.0, -0.5, 0.25, 0.99, 1.0])
    if name == "relu_power":
        parameters["power"] = rng.choice([1, 2, 3, 5])
    if name in ("celu", "swish", "snake"):
        name = f"{name}({rng.choice([0.5, 1.5])})"
    if name == "gabor":
        name = f"gabor({rng.choice([0.5, 2.0])}, {rng.choice([0.25, 1.0])})"
    if name == "polynomial":
        name = f"polynomial({rng.choice(['0, 1, 0, -0.5', '1, 0, 0.5', '0.3, 1, 0.2, 0, 0.1'])})"
    if name == "exp":  # its kernel grows as exp(exp(...)) with the depth
        parameters["weight_variance"] = rng.choice([0.25, 0.5])
        parameters["bias_variance"] = rng.choice([0.0, 0.1])
    kernel = "nngp" if name == "step" else rng.choice(["ntk", "ntk", "nngp"])
    return Network(name, **parameters), kernel


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "name", [name for name in ntkspec.activations.ACTIVATIONS if name not in BALLS_ONLY]
)
def test_random_networks_agree_with_balls_and_the_engine(name):
    rng = random.Random(name)
    for _ in range(3):
        network, kernel = any_network(rng, name)
        dims = rng.sample([2, 3, 4, 5, 8, 16], 2)
        degrees = {dim: [rng.randint(0, 5), rng.randint(6, 24)] for dim in dims}
        assert compare(network, kernel, degrees, 15) == 4


def slow(*arguments):
    return pytest.param(*arguments, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        slow("celu(0.5)", "gaussian"), ("selu", "gaussian"), slow("swish(2)", "gaussian"),
        slow("mish", "gaussian"), ("snake", "gaussian"), ("gabor(2, 0.5)", "gaussian"),
        ("exp", "gaussian"), ("polynomial(0, 1, 0, -0.5)", "gaussian"), ("celu(0.5)", "sphere"),
        ("selu", "sphere"), ("swish(2)", "sphere"), ("mish", "sphere"), ("snake", "sphere"),
        ("gabor(2, 0.5)", "sphere"), ("exp", "sphere"), ("polynomial(0, 1, 0, -0.5)", "sphere"),
    ],
)  # fmt: skip
def test_activations_with_parameters_agree_with_balls_and_the_engine(name, weights):
    assert compare(Network(name, weights=weights, weight_variance=0.5), "ntk", {3: [1, 4]}, 10) == 2


@pytest.mark.parametrize("name", BALLS_ONLY)
def test_activations_without_a_rule_in_mpmath_are_refused_with_the_reason(name):
    for network in (Network(name), Network(["relu", name])):
        with pytest.raises(NtkspecError, match=r"powers or exponentials on either side of 0"):
            gauss_jacobi_spectrum(network, 3, [1])
        assert not has_reference(network, "sphere", "mpmath")


@pytest.mark.parametrize(
    ("network", "kernel", "dim", "degrees"),
    [
        (Network("relu", depth=3, bias_variance=0.1, trained="all"), "ntk", 4, [0, 9]),
        (Network("relu", bias_variance=1e-4), "ntk", 3, [3, 4]),
        (Network("relu"), "ntk", 400, [2, 3, 4]),
        (Network("step", depth=2), "nngp", 3, [0, 5]),
        (Network("abs", depth=2), "ntk", 5, [3, 4]),
        (Network("relu_power", power=3, bias_variance=1.0), "nngp", 2, [7]),
        (Network("leaky_relu", slope=1.0), "ntk", 3, [1, 2, 5]),
        pytest.param(Network("elu"), "ntk", 3, [6], marks=pytest.mark.slow),
        (Network("sin", depth=2, bias_variance=0.1), "ntk", 6, [2, 7]),
        (Network("tanh", depth=2, bias_variance=0.1, trained="all"), "ntk", 2, [5]),
        (Network("relu", weights="sphere"), "ntk", 5, [0, 1, 3]),
        (Network("relu", weights="sphere"), "ntk", 100, [1, 4]),
        (Network("gelu", weights="sphere", trained="all"), "ntk", 6, [1, 2, 3]),
        (Network("elu", weights="sphere"), "nngp", 2, [4]),
    ],
)
def test_networks_of_every_kind(network, kernel, dim, degrees):
    compare(network, kernel, {dim: degrees}, 15)


@pytest.mark.parametrize(
    ("network", "dim", "degree", "printed"),
    [
        ("relu", 3, 8, "2.78472900390625e-4"),
        ("tanh", 3, 1, "0.139477224119675774"),
        ("tanh", 3, 11, "1.00151518753135e-6"),
    ],
)
def test_printed_values(network, dim, degree, printed):
    (found,) = gauss_jacobi_spectrum(network, dim, [degree], digits=20)
    with mp.workdps(30):
        assert relative(found.value, mp.mpf(printed)) < mp.mpf(10) ** -14


def test_the_error_is_honest():
    """A value to few digits lies within its error of one to many."""
    for network in (Network("relu", depth=2, bias_variance=0.1), Network("sin", bias_variance=0.5)):
        rough = gauss_jacobi_spectrum(network, 4, [0, 3, 8], digits=6)
        fine = gauss_jacobi_spectrum(network, 4, [0, 3, 8], digits=40)
        with mp.workdps(60):
            for a, b in zip(rough, fine):
                assert abs(a.value - b.value) <= a.error <= mp.mpf("1e-6") * abs(b.value)


def test_threads_at_different_precisions_get_the_values_of_one_thread():
    jobs = [("relu", 3, 7), ("sin", 3, 25), ("relu", 4, 33), ("sin", 5, 12), ("relu", 5, 18)]

    def compute(job):
        name, dim, digits = job
        return [x.value for x in gauss_jacobi_spectrum(name, dim, [1, 2, 5], digits=digits)]

    right, found = [compute(job) for job in jobs], {}
    threads = [
        threading.Thread(target=lambda i=i: found.__setitem__(i, compute(jobs[i])))
        for i in range(len(jobs))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[i] for i in range(len(jobs))] == right


def test_the_global_precision_is_left_alone():
    before = mpmath.mp.prec
    gauss_jacobi_spectrum("relu", 3, [2], digits=40)
    check_entry("relu", 3, 1, 1 / 12, math.log(1 / 12), 1e-13, method="mpmath")
    assert mpmath.mp.prec == before


# --- checks of tables ----------------------------------------------------------------------------


RECIPE = """
dims = [2, 3, 5]
degrees = "0:9"
checks = {samples = 2, method = "mpmath"}
networks = [
  {activation = "relu", depth = 2, bias_variance = 0.1},
  {activation = "sin"},
]
"""


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Made by a sweep whose checks are by mpmath."""
    return table_of(RECIPE, tmp_path_factory.mktemp("mpmath"))


def test_a_sweep_s_checks_name_their_method(table):
    with ntkspec.open_table(table) as source:
        for name in source.networks:
            checks = source.checks(name)
            assert len(checks) == 2
            assert all(check["method"].startswith("mpmath: Gauss-Jacobi") for check in checks)
    assert " mpmath " in run("info", table).stdout
    with ntkspec.atlas() as source:
        name = next(iter(source.networks))
        assert not any(check["method"].startswith("mpmath") for check in source.checks(name))
    assert " balls " in run("info", "atlas").stdout


def test_verify_by_mpmath_shows_nodes_and_change(table):
    result = run("verify", table, "--method", "mpmath", "--samples", 6, "--seed", 3, "--workers", 1)
    assert result.exit_code == 0, result.output
    assert "nodes" in result.stdout and "change" in result.stdout
    assert result.stdout.count(" ok ") == 6
    assert "6 entries recomputed by mpmath to 20 digits (--seed 3)" in result.stdout


def test_both_methods_draw_the_same_entries(table):
    seen = []
    found = {
        method: verify_table(
            table,
            samples=6,
            digits=20,
            seed=1,
            workers=1,
            progress=lambda *at: seen.append(at),
            method=method,
        )
        for method in ("balls", "mpmath")
    }
    assert seen[-1] == (6, 6)
    assert all(one.passed for one in found.values())
    for (name, a), (other, b) in zip(found["balls"].rows, found["mpmath"].rows):
        assert (name, a.dim, a.degree, a.reference) == (other, b.dim, b.degree, b.reference)
        assert a.method.startswith("balls: ") and b.method.startswith("mpmath: ")
        assert a.nodes is None and b.nodes > 0 and b.change < 1e-20


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("eigenvalues", lambda x: x * (1 + 1e-9)),
        ("eigenvalues", lambda x: np.where(x == 0, 1e-18, x)),
        ("log_eigenvalues", lambda x: x - 1e-9),
    ],
)
def test_an_altered_table_fails(table, monkeypatch, column, change):
    """What the file says is changed once its seals were found right."""
    select = Table.select

    def altered(self, *arguments, **named):
        part = select(self, *arguments, **named)
        if part.name.startswith("sin"):
            object.__setattr__(part, column, change(np.array(getattr(part, column))))
        return part

    monkeypatch.setattr(Table, "select", altered)
    result = run("verify", table, "--method", "mpmath", "--samples", 8, "--workers", 1, "--seed", 1)
    assert result.exit_code == 1, result.output
    off = [line for line in result.stdout.splitlines() if " OFF " in line]
    assert off and all("sin" in line for line in off)
    assert "differ by more than their error bounds" in result.stderr


def test_an_entry_beyond_reach_is_refused_by_name():
    network = Network("tanh", weight_variance=10000.0)
    with pytest.raises(NtkspecError, match=r"multiplications.*'balls'"):
        check_entry(network, 3, 1, 1.0, 0.0, 1e-13, method="mpmath")


def test_a_method_of_a_recipe_that_is_none(tmp_path):
    with pytest.raises(NtkspecError, match=r"line 4: .*method = 'arb' is not allowed"):
        parse_recipe(RECIPE.replace('"mpmath"', '"arb"'))
    assert parse_recipe(RECIPE).checks.digits == 20
    balls = parse_recipe(RECIPE.replace(', method = "mpmath"', ""))
    assert (balls.checks.method, balls.checks.digits) == ("balls", 25)
    assert balls.digest != parse_recipe(RECIPE).digest

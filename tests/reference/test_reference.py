"""The independent reference itself, against a third route, printed values and identities.

The third route is the definition taken literally: the two-dimensional Gaussian expectation as a
double sum or by `mpmath.quad`, then the Gegenbauer integral by `mpmath.quad`.
Printed values: the design's section 2 and, for relu at d = 3, exact fractions.
"""

import flint
import mpmath
import pytest
from flint import acb, arb
from mpmath import mp

from ntkspec.errors import NtkspecError
from ntkspec.networks import Network
from ntkspec.reference.balls import reference_eigenvalue
from ntkspec.reference.balls.agreement import Run, agreed_value
from ntkspec.reference.balls.legendre import legendre


def legendre_by_series(dim, degree, t):
    """P_k(t), DLMF 18.5.9."""
    half = mp.mpf(dim - 1) / 2
    return mp.hyp2f1(-degree, degree + dim - 2, half, (1 - t) / 2, zeroprec=200)


def gegenbauer_integral(kernel, dim, degree):
    def integrand(angle):
        t = mp.cos(angle)
        return kernel(angle) * legendre_by_series(dim, degree, t) * mp.sin(angle) ** (dim - 2)

    constant = mp.gamma(mp.mpf(dim) / 2) / (mp.sqrt(mp.pi) * mp.gamma(mp.mpf(dim - 1) / 2))
    return constant * mp.quad(integrand, [0, mp.pi], method="gauss-legendre")


def smooth_expectation(function, variance, angle):
    """E[g(u) g(v)] in Cartesian coordinates, by the trapezoid rule on the plane."""
    step, reach = arb("0.2"), 50
    scale, cosine, sine = (arb(x) for x in (mp.sqrt(variance), mp.cos(angle), mp.sin(angle)))
    grid = [i * step for i in range(-reach, reach + 1)]
    density = [(-x * x / 2).exp() for x in grid]
    total = arb(0)
    for x, weight in zip(grid, density, strict=True):
        inner = arb(0)
        for y, other in zip(grid, density, strict=True):
            inner += other * function(scale * (cosine * x + sine * y))
        total += weight * function(scale * x) * inner
    return mp.mpf((total * step**2 / (2 * arb.pi())).mid())


def kinked_expectation(function, angle):
    """Mean of g(cos a) g(cos(a - angle)) over directions a, split at the kinks."""
    breaks = sorted([-mp.pi / 2, mp.pi / 2, angle - mp.pi / 2, angle + mp.pi / 2, 3 * mp.pi / 2])

    def product(direction):
        return function(mp.cos(direction)) * function(mp.cos(direction - angle))

    return mp.quad(product, breaks, method="gauss-legendre") / (2 * mp.pi)


def relative(value, expected):
    return abs(value / expected - 1)


SMOOTH = {
    "tanh": (lambda x: x.tanh(), lambda x: 1 - x.tanh() ** 2),
    "sigmoid": (
        lambda x: 1 / (1 + (-x).exp()),
        lambda x: 1 / ((x / 2).exp() + (-x / 2).exp()) ** 2,
    ),
}


@pytest.mark.parametrize(
    ("network", "kernel", "dim", "degree"),
    [
        (Network("tanh"), "ntk", 3, 3),
        (Network("sigmoid", weight_variance=2.0), "nngp", 4, 1),
        (Network("tanh", weight_variance=0.5, trained="all"), "ntk", 2, 5),
        (Network("sigmoid", trained="all"), "ntk", 5, 0),
    ],
)
def test_smooth_agrees_with_the_expectation_in_the_plane(network, kernel, dim, degree):
    value, derivative = SMOOTH[network.activation]
    s = network.weight_variance
    of_f, of_d = network.mixture(kernel)

    def pointwise(angle):
        k = mp.mpf(0)
        if of_f:
            k += smooth_expectation(value, s, angle)
        if of_d:
            k += s * mp.cos(angle) * smooth_expectation(derivative, s, angle)
        return k

    with mp.workdps(20), flint.ctx.workdps(25):
        expected = gegenbauer_integral(pointwise, dim, degree)
        assert relative(
            reference_eigenvalue(network, dim, degree, kernel=kernel, digits=30).value, expected
        ) < mp.mpf("1e-16")


@pytest.mark.parametrize(
    ("network", "kernel", "dim", "degree"),
    [
        (Network("relu"), "ntk", 4, 6),
        (Network("leaky_relu", slope=0.25, weight_variance=2.0, trained="all"), "ntk", 5, 3),
        (Network("leaky_relu", slope=-0.5), "nngp", 2, 4),
    ],
)
def test_kinked_agrees_with_the_mean_over_directions(network, kernel, dim, degree):
    slope, s = network.slope or 0.0, network.weight_variance
    of_f, of_d = network.mixture(kernel)

    def pointwise(angle):
        # E[r^2] = 2 for the Gaussian in the plane.
        f = 2 * s * kinked_expectation(lambda x: x if x > 0 else slope * x, angle)
        d = kinked_expectation(lambda x: 1 if x > 0 else slope, angle)
        return of_f * f + of_d * s * mp.cos(angle) * d

    with mp.workdps(25):
        expected = gegenbauer_integral(pointwise, dim, degree)
        found = reference_eigenvalue(network, dim, degree, kernel=kernel, digits=30).value
        assert abs(found - expected) < mp.mpf("1e-21") * abs(expected) + mp.mpf("1e-24")


@pytest.mark.parametrize(
    ("activation", "dim", "degree", "expected", "tolerance"),
    [
        ("relu", 3, 0, mp.mpf(1) / 16, 1e-15),
        ("relu", 3, 1, mp.fraction(1, 12), 1e-49),
        ("relu", 3, 2, mp.fraction(7, 256), 1e-49),
        ("relu", 3, 8, "2.78472900390625e-4", 1e-49),
        ("relu", 100, 32, "2.4e-34", 0.02),
        ("tanh", 3, 1, "0.139477224119675774", 5e-18),
        ("tanh", 3, 11, "1.00151518753135e-6", 5e-15),
        ("tanh", 3, 61, "3.632790934084651e-21", 1e-15),
    ],
)
def test_printed_values(activation, dim, degree, expected, tolerance):
    with mp.workdps(60):
        value = reference_eigenvalue(activation, dim, degree).value
        assert relative(value, mp.mpf(expected)) < tolerance


@pytest.mark.slow
def test_logarithm_printed_for_degree_2001():
    value = reference_eigenvalue("tanh", 3, 2001, digits=10).value
    assert mp.nstr(mp.log(value), 5) == "-506.84"


@pytest.mark.parametrize(
    ("activation", "dim", "degree"),
    [("tanh", 3, 5), ("sigmoid", 4, 301), ("relu", 7, 10), ("leaky_relu", 64, 200), ("relu", 2, 0)],
)
def test_dimensions_d_and_d_plus_2_fit_together(activation, dim, degree):
    """lambda_k^(d) = lambda_(k+2)^(d) + (1 + 2k/d) lambda_k^(d+2): three independent runs."""
    assert walk_residual(activation, dim, degree, 40) < mp.mpf("1e-39")


def walk_residual(activation, dim, degree, digits):
    with mp.workdps(digits + 20):
        at = [
            reference_eigenvalue(activation, d, k, digits=digits).value
            for d, k in ((dim, degree), (dim, degree + 2), (dim + 2, degree))
        ]
        return relative(at[1] + (1 + mp.mpf(2 * degree) / dim) * at[2], at[0])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("activation", "dim", "degree"),
    [("tanh", 1024, 1025), ("sigmoid", 255, 2047), ("relu", 1023, 1024), ("tanh", 2, 4095)],
)
def test_dimensions_fit_together_far_below_the_doubles(activation, dim, degree):
    assert walk_residual(activation, dim, degree, 30) < mp.mpf("1e-29")


@pytest.mark.slow
def test_trace_of_tanh_is_the_fourth_moment_of_sech():
    """Sum N lambda_k = K(1) = E[sech(Z)^4], d = 3, N = 2k + 1."""
    with mp.workdps(25):
        values = [(2 * k + 1) * reference_eigenvalue("tanh", 3, k, digits=18).value
                  for k in range(1, 72, 2)]  # fmt: skip
        density = mp.quad(lambda x: mp.sech(x) ** 4 * mp.npdf(x), [-12, -3, 0, 3, 12])
        assert relative(mp.fsum(values), density) < mp.mpf("1e-17")


@pytest.mark.parametrize(("dim", "degree"), [(2, 3), (3, 3), (5, 51), (100, 33), (7, 400)])
def test_odd_zero_of_relu_shows_as_a_tiny_ball(dim, degree):
    odd = degree | 1
    zero = reference_eigenvalue("relu", dim, odd)
    neighbour = reference_eigenvalue("relu", dim, odd + 1, digits=10).value
    assert zero.is_zero
    assert abs(zero.value) + zero.error < mp.mpf("1e-50") * neighbour
    assert not reference_eigenvalue("relu", dim, odd + 1, digits=10).is_zero


def test_zeros_by_parity_are_exact():
    for network, kernel, degree in (
        ("tanh", "ntk", 0),
        ("tanh", "nngp", 4),
        ("sigmoid", "ntk", 2),
        ("sigmoid", "nngp", 6),
    ):
        found = reference_eigenvalue(network, 5, degree, kernel=kernel)
        assert (found.value, found.error, found.is_zero) == (0, 0, True)
        assert found.method == "zero by parity"
    assert reference_eigenvalue("sigmoid", 5, 0, kernel="nngp").value == 0.25


def test_slopes_that_make_half_the_spectrum_vanish():
    absolute = Network("leaky_relu", slope=-1.0)
    assert reference_eigenvalue(absolute, 3, 1).is_zero
    assert not reference_eigenvalue(absolute, 3, 2).is_zero
    linear = Network("leaky_relu", slope=1.0)
    assert reference_eigenvalue(linear, 3, 2).is_zero
    assert relative(3 * reference_eigenvalue(linear, 3, 1, digits=20).value, 1) < 1e-15


@pytest.mark.parametrize(
    ("activation", "dim", "degree"), [("tanh", 3, 21), ("sigmoid", 30, 7), ("relu", 3, 40)]
)
def test_the_error_is_honest_and_as_asked(activation, dim, degree):
    rough = reference_eigenvalue(activation, dim, degree, digits=8)
    fine = reference_eigenvalue(activation, dim, degree, digits=70)
    with mp.workdps(90):
        assert abs(rough.value - fine.value) <= rough.error <= mp.mpf("1e-8") * fine.value
        assert fine.error <= mp.mpf("1e-70") * fine.value


def test_working_precisions_are_left_alone():
    before = flint.ctx.prec, mpmath.mp.prec
    reference_eigenvalue("tanh", 3, 5, digits=60)
    assert (flint.ctx.prec, mpmath.mp.prec) == before


@pytest.mark.parametrize("dim", [2, 3, 4, 9])
@pytest.mark.parametrize("degree", [0, 1, 2, 7, 40, 301])
def test_legendre_polynomials(dim, degree):
    with mp.workdps(40), flint.ctx.workdps(40):
        points = []
        for angle in ("0", "0.1", "1.5", "3"):
            sine, cosine = arb(angle).sin_cos()
            points.append(acb(cosine, sine))
        (values,) = legendre(dim, [degree], points)
        for point, value in zip(points, values, strict=True):
            with mp.workdps(40 + degree):
                expected = legendre_by_series(dim, degree, mp.mpf(point.real.mid()))
            assert abs(mp.mpf(value.mid()) - expected) < mp.mpf("1e-34")
            assert value.rad() < 1e-34


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("tanh", 1, 3), "dim"),
        (("tanh", 3, -1), "degree"),
        (("tanh", 3, 2, "ntq"), "kernel"),
        (("relu", 3, 2, "ntk", 4), "digits"),
        (("relu", 3, 2, "ntk", 20.5), "digits"),
        (("rely", 3, 2), "activation"),
    ],
)
def test_bad_parameters_are_named(arguments, name):
    options = dict(zip(("kernel", "digits"), arguments[3:], strict=False))
    with pytest.raises(NtkspecError, match=name):
        reference_eigenvalue(*arguments[:3], **options)


def test_a_quadrature_that_never_settles_raises():
    class Restless:
        dim, degree, bits = 3, 1, 100

        def zero_scale(self):
            return arb(0)

        def run(self, effort):
            return Run(arb(effort), arb(0), "never the same")

    with pytest.raises(NtkspecError, match="digits = 20 was not reached"):
        agreed_value(Restless(), 20)

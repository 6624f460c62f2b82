"""Users' activations and kernels: agreement, what cannot be had is said, bad callables."""

import pickle

import mpmath
import numpy as np
import pytest
from flint import arb

import ntkspec
from ntkspec import Network, NtkspecError, ZonalKernel, user_activation

TANH = user_activation(np.tanh, lambda x: 1 / np.cosh(x) ** 2, symmetry="odd")
RELU = user_activation(lambda x: np.maximum(x, 0), lambda x: np.heaviside(x, 0.5), kinks=[0.0])


def test_a_user_activation_in_doubles_keeps_its_bound():
    for network, known in (
        (Network(TANH), Network("tanh")),
        (Network(TANH, depth=2, bias_variance=0.2), Network("tanh", depth=2, bias_variance=0.2)),
        (Network(RELU, depth=2), Network("relu", depth=2)),
    ):
        got = ntkspec.spectrum(network, 3, range(1, 14), tolerance=np.inf)
        exact = ntkspec.spectrum(known, 3, range(1, 14))
        some = exact.eigenvalues != 0.0
        error = np.abs(got.eigenvalues[some] / exact.eigenvalues[some] - 1)
        assert np.all(error <= got.relative_error[some] + 1e-15)
        assert error[0] < 1e-13
        if network.sigma is TANH and network.depth == 1:
            assert np.all(got.eigenvalues[~some] == 0.0)


def test_what_doubles_do_not_give_is_said():
    with pytest.raises(NtkspecError, match=r"degree = \d+.*relative error of .* flint"):
        ntkspec.spectrum(Network(TANH), 3, range(41))
    with pytest.raises(NtkspecError, match="tolerance"):
        ntkspec.spectrum("relu", 3, range(4), tolerance=-1)


def test_without_a_derivative_the_dual_is_differentiated():
    plain = user_activation(np.tanh, symmetry="odd")
    got = ntkspec.spectrum(Network(plain), 3, [1, 3, 5], tolerance=1e-6)
    exact = ntkspec.eigenvalues("tanh", 3, [1, 3, 5])
    assert np.all(np.abs(got.eigenvalues / exact - 1) <= got.relative_error + 1e-15)


@pytest.mark.parametrize("derivative", [lambda x: x.sech() ** 2, None])
def test_high_precision_activations_reach_every_digit(derivative):
    sigma = user_activation(lambda x: x.tanh(), derivative, arithmetic="flint", symmetry="odd")
    got = ntkspec.eigenvalues(Network(sigma), 3, [1, 11, 21], log=True)
    assert got == pytest.approx(ntkspec.eigenvalues("tanh", 3, [1, 11, 21], log=True), rel=1e-13)


def test_a_pointwise_kernel_of_a_user_activation():
    t = np.array([-1.0, -0.3, 0.0, 0.5, 1.0])
    for kernel in ("ntk", "nngp"):
        mine = getattr(Network(TANH, depth=2, bias_variance=0.1), kernel)(t)
        known = getattr(Network("tanh", depth=2, bias_variance=0.1), kernel)(t)
        assert mine == pytest.approx(known, rel=1e-12)
    points = np.eye(3)[:2]
    assert Network(TANH).ntk_matrix(points) == pytest.approx(Network("tanh").ntk_matrix(points))


def test_kernels_in_high_precision():
    # exp(t - 1), d = 3: lambda_k = e^-1 i_k(1), the modified spherical Bessel function
    degrees = [0, 1, 7, 60]
    with mpmath.workdps(30):
        exact = [
            mpmath.exp(-1) * mpmath.sqrt(mpmath.pi / 2) * mpmath.besseli(k + 0.5, 1)
            for k in degrees
        ]
    for kernel in (
        ZonalKernel(lambda t: (t - 1).exp(), arithmetic="flint"),
        ZonalKernel(lambda t: mpmath.exp(t - 1), arithmetic="mpmath"),
    ):
        got = ntkspec.spectrum(kernel, 3, degrees)
        for i, value in enumerate(exact):
            ours = mpmath.ldexp(mpmath.mpf(float(got.mantissas[i])), int(got.exponents[i]))
            assert abs(ours / value - 1) < 1e-15


def test_a_laplace_kernel_with_its_cusp():
    laplace = ZonalKernel(lambda t: (-(2 - 2 * t).sqrt()).exp(), arithmetic="flint")
    got = ntkspec.spectrum(laplace, 3, range(1, 200))
    assert np.all(got.relative_error < 1e-15)
    law = got.eigenvalues[[99, 198]] * np.array([100.5, 199.5]) ** 3
    assert law[0] == pytest.approx(law[1], rel=1e-3)  # k^-d, the cusp's law
    plain = ntkspec.spectrum(
        ZonalKernel(lambda t: np.exp(-np.sqrt(2 - 2 * t))), 3, range(1, 9), tolerance=np.inf
    )
    error = np.abs(plain.eigenvalues / got.eigenvalues[:8] - 1)
    assert np.all(error <= plain.relative_error)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: np.exp(x * x + x), "square integrable"),
        (lambda x: x * np.nan, "not finite"),
        (lambda x: x[:1], "shape"),
        (lambda x: 1 / 0, "ZeroDivisionError"),
        (lambda x: np.log(x), "not finite"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_bad_callables_get_a_message(function, words):
    network = Network(user_activation(function))
    for call in (lambda: ntkspec.spectrum(network, 3, range(3)), lambda: network.ntk(0.5)):
        with pytest.raises(NtkspecError, match=words) as caught:
            call()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: (x * x + x).exp(), "square integrable"),
        (lambda x: x / 0, "not finite"),
        (lambda x: x.nothing(), "AttributeError"),
    ],
)
def test_bad_high_precision_callables_get_a_message(function, words):
    network = Network(user_activation(function, arithmetic="flint"))
    with pytest.raises(NtkspecError, match=words):
        ntkspec.spectrum(network, 3, range(3))


def test_what_is_not_callable():
    for bad in (lambda: user_activation(3), lambda: ZonalKernel("t"),
                lambda: user_activation(np.tanh, 5),
                lambda: user_activation(np.tanh, arithmetic="decimal"),
                lambda: user_activation(np.tanh, symmetry="both")):  # fmt: skip
        with pytest.raises(NtkspecError):
            bad()


def test_a_table_of_doubles_is_refused():
    from ntkspec.spectra import table_block

    with pytest.raises(NtkspecError, match="doubles"):
        table_block(Network(TANH), [2, 3], [0, 1])


def test_zeros_that_are_not_declared_are_reported():
    sigma = user_activation(lambda x: (-arb(x) * x / 2).exp(), arithmetic="flint")
    with pytest.raises(NtkspecError, match="cannot be distinguished from 0"):
        ntkspec.eigenvalues(Network(sigma), 3, [1, 2])
    # asked for by themselves, or declared, the others can be had
    exact = ntkspec.eigenvalues("gaussian", 3, [2, 4])
    assert ntkspec.eigenvalues(Network(sigma), 3, [2, 4]) == pytest.approx(exact, rel=1e-13)
    even = user_activation(lambda x: (-x * x / 2).exp(), arithmetic="flint", symmetry="even")
    assert ntkspec.eigenvalues(Network(even), 3, [1, 2])[0] == 0.0


def test_an_mpmath_activation():
    sigma = user_activation(mpmath.sin, mpmath.cos, arithmetic="mpmath", symmetry="odd")
    got = ntkspec.eigenvalues(Network(sigma), 3, [1, 9])
    assert got == pytest.approx(ntkspec.eigenvalues("sin", 3, [1, 9]), rel=1e-13)


def test_balls_without_finite_values():
    with pytest.raises(NtkspecError, match="not finite"):
        ntkspec.spectrum(ZonalKernel(lambda t: arb("nan"), arithmetic="flint"), 3, [0])


class Scaled:
    """What holds a user's parameters beside the function."""

    def __init__(self, scale):
        self.scale = scale

    def value(self, x):
        return np.tanh(self.scale * x)


def test_bound_methods_compare_by_the_state_of_their_object():
    one, other = (user_activation(Scaled(scale).value) for scale in (1.0, 2.0))
    network = Network(one)
    copy = pickle.loads(pickle.dumps(network))
    assert copy == network and hash(copy) == hash(network)
    assert network == Network(user_activation(Scaled(1.0).value))
    assert network != Network(other)
    assert copy.nngp(0.5) == network.nngp(0.5)
    kernel = ZonalKernel(Scaled(1.0).value)
    assert pickle.loads(pickle.dumps(kernel)) == kernel != ZonalKernel(Scaled(2.0).value)

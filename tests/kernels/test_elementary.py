"""exp, tanh and the logistic in vectors, against mpmath, in units of the last place."""

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from ntkspec.kernels import elementary, sigma

REFERENCES = {
    "tanh": mpmath.tanh,
    "logistic": lambda x: 1 / (1 + mpmath.exp(-x)),
    "exp": mpmath.exp,
}
#: Beyond them the result is at its limit, or not a normal number.
ENDS = {
    ("tanh", np.float64): 25.0, ("tanh", np.float32): 12.0,
    ("logistic", np.float64): 700.0, ("logistic", np.float32): 85.0,
    ("exp", np.float64): 708.0, ("exp", np.float32): 87.0,
}  # fmt: skip


def looped(function):
    @njit(error_model="numpy")
    def over(x, out):
        for i in range(x.size):
            out[i] = function(x[i])

    return over


LOOPS = {name: looped(getattr(elementary, name)) for name in REFERENCES}


def errors(name, x):
    """Errors in units of the last place of the exact value."""
    out = np.empty_like(x)
    LOOPS[name](x, out)
    found = []
    with mpmath.workdps(40):
        for one, value in zip(x.tolist(), out.tolist(), strict=True):
            exact = REFERENCES[name](mpmath.mpf(one))
            place = np.spacing(abs(x.dtype.type(exact)))
            found.append(float(abs(exact - value) / mpmath.mpf(float(place))))
    return np.array(found)


@pytest.mark.parametrize("number", [np.float64, np.float32])
@pytest.mark.parametrize("name", REFERENCES)
def test_four_units_in_the_last_place(name, number):
    rng = np.random.default_rng(0)
    end = ENDS[name, number]
    near = 10.0 ** rng.uniform(-7, 0.3, 3000) * rng.choice([-1, 1], 3000)
    ties = np.log(2) / 4 * np.arange(-40, 41)  # where the reduction of the argument changes
    x = np.concatenate([rng.uniform(-end, end, 3000), near, ties[abs(ties) < end]])
    assert errors(name, x.astype(number)).max() <= 4.0


@pytest.mark.parametrize("number", [np.float64, np.float32])
def test_the_normal_distribution_is_right_on_both_sides(number):
    """To a few units; on the left x^2 / 2 is rounded, which shifts the result by x^2 units."""
    rng = np.random.default_rng(0)
    x = np.r_[rng.uniform(-12, 9, 3000), rng.uniform(-1e-3, 1e-3, 100), 0.0].astype(number)
    out = np.empty_like(x)
    looped(sigma.normal_cdf)(x, out)
    with mpmath.workdps(30):
        exact = np.array([float(mpmath.ncdf(one)) for one in x.tolist()])
    units = np.abs(out - exact) / exact / np.finfo(number).eps
    assert np.max(units - x.astype(np.float64) ** 2) <= 6.0


@pytest.mark.parametrize("number", [np.float64, np.float32])
def test_ends(number):
    x = np.array([-np.inf, -1e30, -0.0, 0.0, 1e30, np.inf, np.nan], number)
    out = np.empty_like(x)
    LOOPS["tanh"](x, out)
    np.testing.assert_array_equal(out, np.array([-1, -1, 0, 0, 1, 1, np.nan], number))
    assert np.signbit(out[2]) and not np.signbit(out[3])
    LOOPS["logistic"](x, out)
    assert out[0] == out[1] <= 1e-37 and out[-3] == out[-2] == 1.0 and np.isnan(out[-1])
    LOOPS["exp"](x, out)
    assert out[2] == out[3] == 1.0 and out[0] <= 1e-37 and out[-2] > 1e37 and np.isnan(out[-1])


@pytest.mark.parametrize("number", [np.float64, np.float32])
@given(st.floats(-30, 30), st.floats(-1, 1))
def test_tanh_that_moved_a_little(number, z, part):
    """The sum of the errors of tanh and of the move: six units."""
    from ntkspec.kernels import descent

    z = number(z)
    change = number(part * (2e-3 if number is np.float64 else 0.03))
    moved = descent.moved_tanh(number(elementary.tanh(z)), change)
    with mpmath.workdps(40):
        exact = mpmath.tanh(mpmath.mpf(float(z)) + mpmath.mpf(float(change)))
        scale = max(abs(exact), abs(mpmath.tanh(float(z))), mpmath.mpf(1e-30))
        assert abs(exact - float(moved)) <= 6 * float(np.finfo(number).eps) * scale


def test_loops_are_vector_loops():
    """The machine code of a loop over tanh holds no call, and vectors of more than a number."""
    x = np.zeros(16)
    loop = LOOPS["tanh"]
    loop(x, x.copy())
    code = next(iter(loop.inspect_asm().values()))
    assert "ymm" in code or "zmm" in code or "v0.2d" in code or "xmm" in code
    body = next(iter(loop.inspect_llvm().values()))
    assert "<2 x double>" in body or "<4 x double>" in body or "<8 x double>" in body


@pytest.mark.parametrize("number", [np.float64, np.float32])
@pytest.mark.parametrize(
    "name,slope,power",
    [
        ("relu", None, None), ("leaky_relu", 0.2, None), ("abs", None, None),
        ("relu_power", None, 3), ("elu", None, None), ("sigmoid", None, None),
        ("tanh", None, None), ("silu", None, None), ("softplus", None, None), ("erf", None, None),
        ("gelu", None, None), ("sin", None, None), ("cos", None, None), ("gaussian", None, None),
    ],
)  # fmt: skip
def test_every_activation_is_that_of_the_engine(name, slope, power, number):
    from ntkspec.activations import activation
    from ntkspec.trainer.layer import _formula, slopes_of, values_of

    known = activation(name, slope=slope, power=power)
    assert _formula(known, number) is not None
    z = np.concatenate([np.linspace(-9, 9, 1000), [1e-8, -1e-8]]).astype(number)
    wide = z.astype(np.float64)
    eps = 8 * float(np.finfo(number).eps)
    for mine, theirs in ((values_of, known.value), (slopes_of, known.derivative)):
        exact = theirs(wide)
        scale = np.abs(exact) + 1.0 if name in ("sin", "cos", "gelu", "silu") else 1.0
        np.testing.assert_allclose(mine(known, z), exact, rtol=8 * eps, atol=eps * np.max(scale))


def test_all_activations_have_a_formula():
    from ntkspec.activations import ACTIVATIONS, activation
    from ntkspec.trainer.layer import _formula

    # Pieces of lines and parabolas, and polynomials, are trained in numpy.
    compiled = (s for s in map(activation, ACTIVATIONS) if not s.kinks and not s.coefficients)
    for one in compiled:
        found = _formula(one, np.float64)
        assert type(found) in sigma.FORMULAS


@njit(error_model="numpy")
def logarithms(x, power, out):
    numbers = elementary.logarithm_numbers()
    for i in range(x.size):
        out[i] = elementary.logarithm(x[i], power, numbers)


@pytest.mark.parametrize("power", [0.0, 512.0, -1536.0, 2.0**21])
def test_logarithms_are_right_to_one_unit(power):
    rng = np.random.default_rng(1)
    bits = rng.integers(0x0010 << 48, 0x7FF0 << 48, 3000, dtype=np.int64)  # all normal numbers
    near = 1.0 + rng.choice([-1.0, 1.0], 3000) * 2.0 ** rng.uniform(-52, -1, 3000)
    root = np.sqrt(0.5) * (1.0 + np.arange(-20, 21) * 2.0**-52)  # where the exponent changes
    x = np.concatenate([bits.view(np.float64), near, root, 2 * root, [1.0, 2.0, 0.5]])
    out = np.empty_like(x)
    logarithms(x, power, out)
    with mpmath.workdps(50):
        for value, found in zip(x.tolist(), out.tolist()):
            exact = mpmath.log(value) + power * mpmath.log(2)
            assert abs(exact - found) <= np.spacing(abs(found)) * (exact != 0)


def test_the_loop_of_logarithms_is_a_vector_loop():
    body = next(iter(logarithms.inspect_llvm().values()))
    assert any(f"<{n} x double> @llvm.fma" in body for n in (2, 4, 8))

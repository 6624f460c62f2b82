"""Seeds in ball arithmetic: against the other routes, the working precision, refusals."""

import numpy as np
import pytest
from draws import examples
from flint import ctx
from hypothesis import given
from hypothesis import strategies as st
from problems import POSTER

import ntkspec
from ntkspec import Network, NtkspecError
from ntkspec.activations import ACTIVATIONS
from ntkspec.spectra import table_block
from ntkspec.spectra.parity import Parity
from ntkspec.spectra.rows import both_parities
from ntkspec.spectra.seeds import BallSeeds
from ntkspec.spectra.sphere_routes import row_provider


@pytest.mark.parametrize("name", POSTER)
@pytest.mark.parametrize("dim", [2, 3, 10, 65])
def test_seeds_agree_with_the_routes_of_doubles(name, dim):
    network = Network(name, trained="all", weight_variance=1.3)
    degrees = np.arange(81)
    for kernel in ("ntk", "nngp"):
        mantissa, exponent = both_parities(BallSeeds.of_network(network, kernel), dim, degrees)
        other, shift = both_parities(row_provider(network, kernel), dim, degrees)
        assert np.array_equal(mantissa == 0.0, other == 0.0)
        some = other != 0.0
        ratio = mantissa[some] / other[some] * 2.0 ** (exponent[some] - shift[some])
        assert np.abs(ratio - 1.0).max() < 1e-14


@pytest.mark.parametrize("dim", [5001, 100_000])
def test_seeds_in_large_dimensions(dim):
    network, degrees = Network("tanh", trained="all"), np.array([1, 3, 9])
    mantissa, exponent = both_parities(BallSeeds.of_network(network, "ntk"), dim, degrees)
    other, shift = both_parities(row_provider(network, "ntk"), dim, degrees)
    assert mantissa / other * 2.0 ** (exponent - shift) == pytest.approx(1.0, rel=1e-14)


@pytest.mark.parametrize(
    "network",
    [
        Network("relu", depth=2),
        Network("gelu", depth=3, bias_variance=0.2, trained="all"),
        Network("tanh", depth=2, weight_variance=2.0),
        Network("abs", depth=2),
        Network("cos"),
    ],
)
def test_tables_by_the_walk_agree_with_rows(network):
    block = table_block(network, range(2, 24), range(40))
    for dim in (2, 3, 9, 20, 23):
        row = ntkspec.spectrum(network, dim, range(40))
        both = np.isfinite(row.log_eigenvalues)
        assert np.array_equal(both, np.isfinite(block.log_eigenvalues[dim - 2]))
        gap = block.log_eigenvalues[dim - 2][both] - row.log_eigenvalues[both]
        assert np.abs(gap).max() < 1e-12
        assert block.relative_error[dim - 2] <= 1e-12


@pytest.mark.parametrize("name", ["relu", "gelu", "silu", "erf", "elu", "step"])
def test_trace_is_the_kernel_at_one(name):
    network = Network(name, depth=2, bias_variance=0.1)
    kernel = "nngp" if name == "step" else "ntk"
    result = ntkspec.spectrum(network, 3, range(401), kernel=kernel)
    assert np.all(result.eigenvalues > 0.0)
    total = result.multiplicities @ result.eigenvalues
    whole = float((network.nngp if name == "step" else network.ntk)(1.0))
    assert total <= whole * (1 + 1e-12)
    tails = {"relu": 1e-2, "step": 0.2, "elu": 1e-5}
    assert total == pytest.approx(whole, rel=tails.get(name, 1e-12))


def test_eigenvalues_below_the_range_of_doubles():
    result = ntkspec.spectrum(Network("erf", depth=2), 3, [1, 801])
    assert result.eigenvalues[1] == 0.0
    assert -5000 < result.log_eigenvalues[1] < -746


@pytest.mark.parametrize(
    ("network", "kernel", "expected"),
    [
        (Network("erf", depth=3), "ntk", Parity(1)),
        (Network("cos", depth=2), "ntk", Parity(0)),
        (Network("gelu"), "ntk", Parity(0, (1,))),
        (Network("sigmoid"), "nngp", Parity(1, (0,))),
        (Network("sigmoid"), "ntk", Parity(1)),
        (Network("relu_power", power=3), "nngp", Parity(0, (1, 3))),
        (Network("relu", depth=2), "ntk", Parity()),
        (Network("erf", bias_variance=0.1), "ntk", Parity()),
        (Network("leaky_relu", slope=1.0, depth=2), "ntk", Parity(1, last=1)),
        (Network("leaky_relu", slope=-1.0, depth=2), "ntk", Parity(0)),
    ],
)
def test_zeros_are_exact(network, kernel, expected):
    from ntkspec.spectra.parity import parity

    assert parity(network, kernel) == expected
    values = ntkspec.eigenvalues(network, 5, range(12), kernel=kernel)
    assert [bool(v == 0.0) for v in values] == [expected.vanishes(k) for k in range(12)]


def test_what_is_too_much_is_refused():
    with pytest.raises(NtkspecError, match="lower the degree"):
        ntkspec.eigenvalues(Network("erf", depth=2), 3, [99_999])
    # Zero by parity, which costs nothing.
    assert ntkspec.eigenvalues(Network("erf", depth=2), 3, [100_000])[0] == 0.0


def test_a_deep_network_in_the_ordered_phase():
    result = ntkspec.spectrum(
        Network("erf", depth=50, weight_variance=0.7, bias_variance=0.3), 3, range(9)
    )
    assert np.all(np.diff(result.log_eigenvalues) < 0.0)


@pytest.mark.slow
def test_a_table_of_a_deep_tanh_network_takes_no_hour():
    import time

    start = time.process_time()
    block = table_block(Network("tanh", depth=3), range(2, 129), range(1001))
    assert time.process_time() - start < 600.0  # 40 to 60 when nothing else runs
    assert block.relative_error.max() < 1e-12


#: Those whose duals take long in balls, without a derivative, or beyond doubles in depth.
SLOW = ("elu", "celu", "selu", "mish", "softsign", "finer", "step", "exp", "gabor")


@examples(2, 6)
@given(
    name=st.sampled_from([name for name in ACTIVATIONS if name not in SLOW]),
    depth=st.integers(1, 3),
    weight=st.floats(0.2, 4.0),
    bias=st.sampled_from([0.0, 0.05, 1.0]),
    trained=st.sampled_from(["hidden", "all"]),
    dim=st.integers(2, 30),
)
def test_any_network_keeps_the_invariants(name, depth, weight, bias, trained, dim):
    network = Network(
        name, depth=depth, weight_variance=weight, bias_variance=bias, trained=trained
    )
    low = ntkspec.spectrum(network, dim, range(15))
    high = ntkspec.spectrum(network, dim + 2, range(13))
    assert np.all(low.mantissas >= 0.0)
    # the sum over all degrees is the kernel at 1
    assert low.multiplicities @ low.eigenvalues <= float(network.ntk(1.0)) * (1 + 1e-12)
    # lambda_k^(d) = lambda_(k+2)^(d) + (1 + 2k/d) lambda_k^(d+2), from separate computations
    for k in range(13):
        walked = low.eigenvalues[k + 2] + (1 + 2 * k / dim) * high.eigenvalues[k]
        assert walked == pytest.approx(low.eigenvalues[k], rel=1e-14)


def test_duals_of_elu_do_not_depend_on_earlier_precisions():
    """Quadrature nodes are kept by their precision, not by their number alone."""
    from ntkspec.duals.kinked import _nodes

    def fresh(bits):
        with ctx.workprec(bits):
            return _nodes(24, bits)[3][0]

    low, high = fresh(100), fresh(612)
    assert low.rel_accuracy_bits() < 110 < 500 < high.rel_accuracy_bits()

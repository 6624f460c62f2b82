"""Random blocks of tables: the same bits however they are asked for, within their bounds."""

from threading import Thread

import mpmath
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.references import references
from ntkspec import Network, spectrum
from ntkspec.spectra import table_block
from ntkspec.spectra.sphere_routes import row_provider
from ntkspec.spectra.walk import is_walked

NETWORKS = [
    Network("relu"), Network("leaky_relu", slope=0.3), Network("abs", weight_variance=7.0),
    Network("tanh"), Network("sigmoid", weight_variance=3.0), Network("relu", depth=2),
    Network("erf", bias_variance=0.2, trained="all"), Network("gelu", depth=2),
]  # fmt: skip
#: Depth 1 without bias, so that a block takes a moment.
CASES = [
    case for case in references()
    if case.network.depth == 1 and case.network.bias_variance == 0.0 and case.degree < 3000
    and case.network.activation in ("relu", "leaky_relu", "abs", "tanh", "sigmoid")
]  # fmt: skip


def bits(block):
    return block.eigenvalues.tobytes(), block.log_eigenvalues.tobytes()


def assert_near(block, i, other, j, columns=slice(None)):
    """Row i of a block and row j of another have the same numbers within the sum of bounds."""
    bound = block.relative_error[i] + other.relative_error[j]
    one, two = block.log_eigenvalues[i], other.log_eigenvalues[j, columns]
    zero = one == -np.inf
    np.testing.assert_array_equal(zero, two == -np.inf)
    size = np.abs(two[~zero])
    assert np.all(np.abs(one[~zero] - two[~zero]) <= bound + 3e-16 * size)


@st.composite
def blocks(draw, most_rows, most_columns, most_dim=2000, most_degree=900):
    rows, columns = draw(st.integers(1, most_rows)), draw(st.integers(1, most_columns))
    dim, degree = draw(st.integers(2, most_dim)), draw(st.integers(0, most_degree))
    dim_step, degree_step = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    dims = range(dim, dim + rows * dim_step, dim_step)
    return dims, range(degree, degree + columns * degree_step, degree_step)


def assert_block_keeps_its_promises(network, kernel, dims, degrees, given, threads, split):
    plain = table_block(network, dims, degrees, kernel=kernel)
    out = np.full((threads, 2, len(dims), len(degrees)), np.nan)

    def again(i):
        table_block(network, dims, degrees, kernel=kernel, out=tuple(out[i]) if given else None)

    workers = [Thread(target=again, args=(i,)) for i in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if given:
        for values, logarithms in out:
            assert (values.tobytes(), logarithms.tobytes()) == bits(plain)
    source = row_provider(network, kernel)
    if is_walked(source, np.array(dims), np.array(degrees)):
        # Strides take from the block without strides.
        whole = table_block(
            network, range(dims[0], dims[-1] + 1), range(degrees[0], degrees[-1] + 1), kernel=kernel
        )
        at = np.ix_(np.array(dims) - dims[0], np.array(degrees) - degrees[0])
        assert plain.eigenvalues.tobytes() == whole.eigenvalues[at].tobytes()
        assert plain.log_eigenvalues.tobytes() == whole.log_eigenvalues[at].tobytes()
        assert plain.relative_error.max() <= 1e-12
    for i in {0, split % len(dims), len(dims) - 1}:
        row = table_block(network, [dims[i]], degrees, kernel=kernel)
        direct = spectrum(network, dims[i], degrees, kernel=kernel)
        assert_near(plain, i, row, 0)
        kept = direct.eigenvalues > 0
        bound = plain.relative_error[i] + direct.relative_error.max()
        np.testing.assert_allclose(
            plain.eigenvalues[i][kept], direct.eigenvalues[kept], rtol=bound, atol=0
        )
        assert np.all(plain.eigenvalues[i][~kept] == 0)
    cut, side = 1 + split % len(dims), split % len(degrees)
    part = table_block(network, dims[:cut], degrees[side:], kernel=kernel)
    for i in range(cut):
        assert_near(part, i, plain, i, slice(side, None))


CHOICES = (
    st.sampled_from(["ntk", "nngp"]), st.booleans(), st.integers(1, 2),
    st.integers(0, 10**6),
)  # fmt: skip


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(blocks(20, 30, 300, 200), st.sampled_from(NETWORKS[:5]), *CHOICES)
def test_any_block(block, network, kernel, given, threads, split):
    assert_block_keeps_its_promises(network, kernel, *block, given, threads, split)


@pytest.mark.parametrize("network", NETWORKS, ids=str)
@pytest.mark.parametrize("degrees", [[0], [1], [0, 1], [1, 2]])
def test_few_degrees_of_many_dimensions(network, degrees):
    """They are columns, not walks."""
    block = table_block(network, range(2, 40), degrees)
    for i in (0, 1, 20, 37):
        row = table_block(network, [int(block.dims[i])], degrees)
        assert_near(block, i, row, 0)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(blocks(90, 400), st.sampled_from(NETWORKS), *CHOICES)
def test_any_larger_block(block, network, kernel, given, threads, split):
    assert_block_keeps_its_promises(network, kernel, *block, given, threads, split)


def assert_block_has_the_reference(case, above, below, right, left):
    """A block around the stored eigenvalue, of some more dimensions and degrees on each side."""
    dims = range(max(2, case.dim - below), case.dim + above + 1)
    degrees = range(max(0, case.degree - left), case.degree + right + 1)
    block = table_block(case.network, dims, degrees, kernel=case.kernel)
    i, j = dims.index(case.dim), degrees.index(case.degree)
    with mpmath.workdps(40):
        true = mpmath.mpf(case.value)
        if true == 0:
            assert block.log_eigenvalues[i, j] == -np.inf
            return
        exact = mpmath.log(true)
        slack = block.relative_error[i] + np.spacing(abs(float(exact)))
        assert abs(block.log_eigenvalues[i, j] - exact) <= slack
        if true > 2.3e-308:
            assert abs(block.eigenvalues[i, j] / true - 1) <= block.relative_error[i] + 1e-19


SIDES = (st.integers(3, 60), st.integers(0, 60), st.integers(0, 80), st.integers(0, 80))


@settings(deadline=None, max_examples=30)
@given(st.sampled_from(CASES), *SIDES)
def test_blocks_around_references(case, above, below, right, left):
    assert_block_has_the_reference(case, above, below, right, left)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("sides", [(3, 0, 0, 0), (40, 5, 300, 7), (300, 300, 10, 200)])
def test_blocks_around_every_reference(sides):
    for case in CASES:
        assert_block_has_the_reference(case, *sides)

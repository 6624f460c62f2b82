"""The dimension walk against the direct routes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import POSTER

from ntkspec.errors import NtkspecError
from ntkspec.networks import Network
from ntkspec.spectra import spectrum, table_block


def assert_block_is_direct(block, net, kernel):
    for i, dim in enumerate(block.dims):
        s = spectrum(net, int(dim), block.degrees, kernel=kernel)
        zero = s.mantissas == 0
        np.testing.assert_array_equal(block.log_eigenvalues[i] == -np.inf, zero)
        np.testing.assert_array_equal(block.eigenvalues[i] == 0, s.eigenvalues == 0)
        bound = block.relative_error[i] + s.relative_error[0]
        log = s.log_eigenvalues[~zero]
        assert np.all(np.abs(block.log_eigenvalues[i][~zero] - log) <= bound + 3e-16 * np.abs(log))
        kept = s.eigenvalues > 0
        np.testing.assert_allclose(
            block.eigenvalues[i][kept], s.eigenvalues[kept], rtol=bound, atol=0
        )


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(POSTER), st.sampled_from(["ntk", "nngp"]), st.integers(2, 900),
    st.integers(1, 40), st.integers(0, 900), st.integers(1, 90), st.integers(1, 3),
    st.integers(1, 3), st.floats(0.1, 10.0),
)  # fmt: skip
def test_any_block_is_the_direct_route(
    name, kernel, dim, rows, degree, columns, dim_step, degree_step, variance
):
    net = Network(name, weight_variance=variance)
    dims = range(dim, dim + rows * dim_step, dim_step)
    degrees = range(degree, degree + columns * degree_step, degree_step)
    assert_block_is_direct(table_block(net, dims, degrees, kernel=kernel), net, kernel)


@pytest.mark.parametrize("name", POSTER)
def test_long_walks_stay_within_their_bound(name):
    block = table_block(name, range(2, 603), range(1200))
    assert 0 < block.relative_error.max() < 1e-12
    picked = [0, 1, 2, 29, 30, 598, 599, 600]
    rows = ("dims", "eigenvalues", "log_eigenvalues", "relative_error")
    thinned = replace(block, **{name: getattr(block, name)[picked] for name in rows})
    assert_block_is_direct(thinned, name, "ntk")


def test_blocks_do_not_depend_on_their_neighbours_beyond_the_bound():
    """The last degrees of a small block against the middle of a large one: the tail columns."""
    large = table_block("tanh", range(2, 200), range(900))
    small = table_block("tanh", range(2, 100), range(450))
    inner = large.eigenvalues[:98, :450]
    np.testing.assert_allclose(small.eigenvalues, inner, rtol=2e-13, atol=0)


def test_the_same_block_twice_is_the_same_to_the_bit():
    for name in POSTER:
        one, two = (table_block(name, range(5, 70), range(300)) for _ in range(2))
        np.testing.assert_array_equal(one.eigenvalues, two.eigenvalues)
        np.testing.assert_array_equal(one.log_eigenvalues, two.log_eigenvalues)


def test_sparse_requests_are_computed_row_by_row():
    block = table_block("relu", [2, 1000, 100000, 10**6], [0, 1, 100, 4000])
    assert_block_is_direct(block, Network("relu"), "ntk")


@pytest.mark.parametrize("dims,degrees", [([], [1]), ([3, 2], [1]), ([2, 2], [1]), ([2], [3, 1])])
def test_ranges_must_increase(dims, degrees):
    with pytest.raises(NtkspecError, match=r"increasing|empty"):
        table_block("relu", dims, degrees)

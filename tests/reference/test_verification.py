"""The check must pass what is right and catch every kind of wrong entry."""

import dataclasses
import math

import h5py
import numpy as np
import pytest
from mpmath import mp
from table_numbers import altered

from ntkspec.errors import NtkspecError, TableError
from ntkspec.files.appearing import appearing_hdf5
from ntkspec.files.seals import Numbers
from ntkspec.networks import Network
from ntkspec.spectra import table_block
from ntkspec.sweeps.assembly import describe, finish_group
from ntkspec.tables.layout import GroupKey, create_axes
from ntkspec.verification import check_entry, sample_entries, verify_table

NAN, INF = math.nan, math.inf
PROMISED = 1e-13

# tanh, hidden, d = 3: the design's printed lambda_11; lambda_61 is 3.632790934084651e-21.
RIGHT = 1.00151518753135e-6
LOG_RIGHT = math.log(RIGHT)


def test_a_right_entry_passes():
    check = check_entry("tanh", 3, 11, RIGHT, LOG_RIGHT, PROMISED, digits=20)
    assert check.passed
    assert check.relative_error < 1e-14
    assert check.reference.startswith("1.00151518753135")
    assert (check.dim, check.degree, check.promised) == (3, 11, PROMISED)


@pytest.mark.parametrize(
    ("eigenvalue", "log_eigenvalue", "promised"),
    [
        (RIGHT * (1 + 1e-9), LOG_RIGHT, PROMISED),
        (-RIGHT, LOG_RIGHT, PROMISED),
        (RIGHT, LOG_RIGHT + 1e-9, PROMISED),
        (RIGHT, -LOG_RIGHT, PROMISED),
        (RIGHT, -INF, PROMISED),
        (RIGHT, INF, PROMISED),
        (RIGHT, NAN, PROMISED),
        (NAN, LOG_RIGHT, PROMISED),
        (INF, LOG_RIGHT, PROMISED),
        (NAN, NAN, PROMISED),
        (0.0, LOG_RIGHT, PROMISED),
        (0.0, -INF, PROMISED),
        (RIGHT, LOG_RIGHT, NAN),
        (RIGHT, LOG_RIGHT, INF),
        (RIGHT, LOG_RIGHT, -1.0),
        (RIGHT, LOG_RIGHT, 1e-17),
    ],
)
def test_a_wrong_entry_fails(eigenvalue, log_eigenvalue, promised):
    check = check_entry("tanh", 3, 11, eigenvalue, log_eigenvalue, promised, digits=20)
    assert not check.passed
    assert not math.isnan(check.relative_error)
    assert not math.isnan(check.log_error)


@pytest.mark.parametrize(("network", "degree"), [("relu", 7), ("tanh", 4)])
def test_exact_zeros(network, degree):
    right = check_entry(network, 5, degree, 0.0, -INF, PROMISED)
    assert right.passed
    assert right.reference == "0"
    for value, log in ((1e-18, math.log(1e-18)), (5e-324, -744.4), (0.0, -2000.0), (NAN, -INF)):
        check = check_entry(network, 5, degree, value, log, PROMISED)
        assert not check.passed
        assert check.relative_error == INF


def test_an_entry_below_the_doubles_is_known_by_its_logarithm():
    network = Network("sigmoid", weight_variance=0.01)
    probe = check_entry(network, 2, 221, 0.0, -1.0, PROMISED, digits=20)
    true_log = float(mp.log(mp.mpf(probe.reference)))
    assert true_log < math.log(2.3e-308)

    def passed(value, log):
        return check_entry(network, 2, 221, value, log, PROMISED, digits=20).passed

    assert not probe.passed
    assert passed(0.0, true_log)
    assert not passed(0.0, true_log * (1 + 1e-12))
    assert not passed(0.0, -INF)
    assert not passed(5e-324, true_log)


def test_a_rough_reference_does_not_fail_a_right_entry():
    assert check_entry("tanh", 3, 11, RIGHT, LOG_RIGHT, PROMISED, digits=8).passed


# --- drawing -----------------------------------------------------------------------------------


@pytest.fixture
def logs():
    values = -(np.add.outer(np.arange(20.0), 1.5 * np.arange(100.0)) ** 1.3)
    values[:, 3::2] = -INF
    return values


def draw(logs, samples, seed=0):
    return sample_entries(
        logs, np.arange(logs.shape[0]), np.arange(logs.shape[1]), samples=samples, seed=seed
    )


def test_draws_are_spread_over_the_magnitudes(logs):
    picks = draw(logs, 30)
    drawn = np.array([logs[pick] for pick in picks])
    assert np.count_nonzero(np.isneginf(drawn)) == 5
    finite = np.sort(logs[np.isfinite(logs)])
    ranks = np.searchsorted(finite, np.sort(drawn[np.isfinite(drawn)])) / finite.size
    assert ranks[0] == 0
    assert np.all(np.diff(ranks) < 2 / 25 + 1e-9)
    assert ranks[-1] > 1 - 1.1 / 25


def test_draws_are_seeded_and_distinct(logs):
    assert draw(logs, 40, seed=3) == draw(logs, 40, seed=3) != draw(logs, 40, seed=4)
    assert len(set(draw(logs, 500))) == 500


@pytest.mark.parametrize("samples", [1, 2, 5, 2000, 10**6])
def test_any_number_of_draws(logs, samples):
    picks = draw(logs, samples)
    assert len(set(picks)) == len(picks) == min(samples, logs.size)


def test_an_entry_that_is_not_finite_is_always_drawn(logs):
    for bad in (NAN, INF):
        logs[7, 12] = bad
        assert all((7, 12) in draw(logs, 4, seed) for seed in range(5))


def test_a_row_of_nothing_but_zeros():
    assert draw(np.full((1, 3), -INF), 2)[0][0] == 0


@pytest.mark.parametrize(
    ("samples", "seed", "name"),
    [(0, 0, "samples"), (2.5, 0, "samples"), (True, 0, "samples"), (2, -1, "seed")],
)
def test_bad_numbers_of_draws(logs, samples, seed, name):
    with pytest.raises(NtkspecError, match=name):
        draw(logs, samples, seed)


def test_shapes_must_match(logs):
    with pytest.raises(NtkspecError, match="shape"):
        sample_entries(logs, [2, 3], [0, 1], samples=2, seed=0)


# --- whole tables ------------------------------------------------------------------------------

SIGMOID = "sigmoid(weight_variance=2.0,trained=all)"
NETWORKS = {
    "relu": Network("relu"),
    SIGMOID: Network("sigmoid", weight_variance=2.0, trained="all"),
}


@pytest.fixture
def table(tmp_path):
    """A table as the design's section 6 describes it."""
    path = tmp_path / "spectra.h5"
    dims, degrees = np.arange(2, 40, 3), np.arange(0, 60)
    numbers = Numbers()
    with appearing_hdf5(path, 2**20, numbers) as file:
        describe(file, "single", "none")
        for name, network in NETWORKS.items():
            block = table_block(network, dims, degrees)
            group = file.create_group(name)
            create_axes(group, GroupKey(network), dims, degrees)
            for column in ("eigenvalue", "log_eigenvalue"):
                group.create_dataset(column, data=getattr(block, f"{column}s"), chunks=(5, 20))
                numbers.names.append(f"{name}/{column}")
            places = [(0, dims.size, 0, degrees.size, "", "", "")]
            finish_group(group, places, block.relative_error, [])
    return path


def test_a_right_table_passes_in_several_processes(table):
    seen = []
    found = verify_table(
        table, samples=9, digits=20, workers=2, progress=lambda *done: seen.append(done)
    )
    assert found.passed
    assert [name for name, _ in found.rows] == ["relu"] * 5 + [SIGMOID] * 4
    assert 0 < found.worst < 1e-13
    assert seen == [(n, 9) for n in range(1, 10)]
    again = verify_table(table, samples=9, digits=20, workers=1)
    assert [dataclasses.astuple(c) for _, c in again.rows] == [
        dataclasses.astuple(c) for _, c in found.rows
    ]


def test_every_network_gets_a_sample(table):
    found = verify_table(table, samples=1, digits=20, workers=1, max_dim=8, max_degree=9)
    assert {name for name, _ in found.rows} == set(NETWORKS)


@pytest.mark.parametrize(
    ("column", "change"),
    [
        ("eigenvalue", lambda x: x * (1 + 1e-9)),
        ("eigenvalue", lambda x: np.where(x == 0, 1e-18, x)),
        ("log_eigenvalue", lambda x: x + 1e-9),
        ("relative_error", lambda x: 0.0 * x),
    ],
)
def test_a_spoilt_table_fails(table, column, change):
    with altered(table) as file:
        file["relu"][column][...] = change(file["relu"][column][...])
    found = verify_table(table, samples=12, digits=20, workers=1)
    assert not found.passed
    assert all(check.passed for name, check in found.rows if name == SIGMOID)


def test_numbers_that_are_none_are_damage(table):
    with altered(table) as file:
        file["relu/eigenvalue"][3, 4] = NAN
    with pytest.raises(TableError, match="relu/eigenvalue is damaged"):
        verify_table(table, samples=12, digits=20, workers=1)


def test_the_kernel_named_in_the_table_is_the_one_recomputed(table):
    with altered(table) as file:
        file[SIGMOID].attrs["kernel"] = "nngp"
        file.move(SIGMOID, GroupKey(NETWORKS[SIGMOID], "nngp").name)
    assert not verify_table(table, samples=4, digits=20, workers=1).passed


def test_files_that_are_no_tables(table, tmp_path):
    with pytest.raises(TableError, match="does not exist"):
        verify_table(tmp_path / "missing.h5")
    (tmp_path / "text.h5").write_text("no HDF5")
    with pytest.raises(TableError, match=r"text\.h5"):
        verify_table(tmp_path / "text.h5")
    cut = tmp_path / "cut.h5"
    cut.write_bytes(table.read_bytes()[:4000])
    with pytest.raises(TableError, match=r"cut\.h5"):
        verify_table(cut)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(TableError, match=r"other\.h5"):
        verify_table(tmp_path / "other.h5")


@pytest.mark.parametrize(
    "damage",
    [
        lambda group: group.__delitem__("degree"),
        lambda group: group.__delitem__("log_eigenvalue"),
        lambda group: group.attrs.__setitem__("activation", "rely"),
        lambda group: group.attrs.__delitem__("activation"),
    ],
)
def test_damaged_groups(table, damage):
    with altered(table) as file:
        damage(file[SIGMOID])
    with pytest.raises(TableError):
        verify_table(table, samples=2, digits=20, workers=1)


@pytest.mark.parametrize("workers", [0, -1, 1.5, True])
def test_bad_workers(table, workers):
    with pytest.raises(NtkspecError, match="workers"):
        verify_table(table, workers=workers)

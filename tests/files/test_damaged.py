"""Flipped bits and hostile structures: found when they are read, or without effect."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import h5py
import hostile
import numpy as np
import pytest
from paths import TESTS
from sweeping import make_table
from table_numbers import altered

from ntkspec.errors import NtkspecError, TableError
from ntkspec.opening import open_table
from ntkspec.sweeps import run_shard
from ntkspec.sweeps.merge import merge
from ntkspec.trainer.runs import is_run, open_run

TABLES = [
    (compression, layout) for compression in ("gzip", "none") for layout in ("single", "virtual")
]


def made(folder, compression, layout):
    (folder / "r.toml").write_text(f'compression = "{compression}"' + hostile.SWEEP)
    run_shard(folder / "r.toml", folder / "t.h5", "1/1")
    return merge([folder / "t.h5.parts"], folder / "t.h5", layout=layout)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    hostile.sources(folder)
    return folder / "run.h5"


def table_contents(path):
    """All that a table gives, as bytes and texts."""
    with open_table(path) as table:
        found = {"attributes": repr(table.attributes), "networks": repr(table.networks)}
        for name in table.networks:
            part = table.select(name)
            arrays = (part.dims, part.degrees, part.eigenvalues, part.log_eigenvalues)
            found[name] = [part.kernel, *(array.tobytes() for array in arrays)]
            found[name] += [part.relative_error.tobytes(), repr(table.checks(name))]
    return found


def run_contents(path):
    """All that a run gives."""
    found = open_run(path)
    shared = [found.points.x, found.grid.x, found.target_values, found.grid_target, found.degrees]
    contents = [repr(found.attributes), found.points.weights.tobytes(), *map(bytes_of, shared)]
    for one in found.members:
        arrays = (one.steps, one.loss, one.energy, one.amplitude, one.grid_energy)
        arrays += (one.grid_amplitude, one.learned, one.grid_learned, *one.parameters.values())
        contents += [repr(one), repr((one.s, one.step_size, one.seconds)), *map(bytes_of, arrays)]
    return contents


def bytes_of(array):
    return array.tobytes()


def flipped(files, read, count, seed):
    """Flip single bits, one at a time; return how many were found, and that none did harm."""
    right, chance, found = read(), random.Random(seed), 0
    sizes = [path.stat().st_size for path in files]
    for _ in range(count):
        (path,) = chance.choices(files, sizes)
        at, bit = chance.randrange(path.stat().st_size), 1 << chance.randrange(8)
        flip(path, at, bit)
        try:
            assert read() == right, f"{path.name}: bit {bit} of byte {at} is silently wrong"
        except TableError:
            found += 1
        flip(path, at, bit)
    assert read() == right
    return found


def flip(path, at, bit):
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ bit]))


def files_of(table):
    return [table, *sorted(table.parent.glob(f"{table.name}.parts/n*.h5"))]


@pytest.mark.parametrize(("compression", "layout"), TABLES)
@pytest.mark.parametrize("count", [35, pytest.param(440, marks=pytest.mark.slow)])
def test_flipped_bits_of_a_table(tmp_path, compression, layout, count):
    table = made(tmp_path, compression, layout)
    found = flipped(files_of(table), lambda: table_contents(table), count, count)
    # The structure of a block's file decides nothing that is read through the table.
    assert found == count if layout == "single" else found > 0.2 * count


@pytest.mark.parametrize("count", [30, pytest.param(240, marks=pytest.mark.slow)])
def test_flipped_bits_of_a_run(run, count):
    assert flipped([run], lambda: run_contents(run), count, count) == count


@pytest.mark.parametrize("compression", ["zstd", "blosc"])
def test_flipped_bits_of_other_compressions(tmp_path, compression):
    pytest.importorskip("hdf5plugin")
    table = made(tmp_path, compression, "single")
    assert flipped([table], lambda: table_contents(table), 10, 1) == 10


@pytest.mark.parametrize("compression", ["gzip", "zstd", "blosc"])
@pytest.mark.parametrize("degrees", ["0:1", "0:4", "0:40"])
def test_chunks_that_no_filter_makes_smaller(tmp_path, compression, degrees):
    """HDF5 stores these as they are, and says so in the chunk's mask of filters."""
    if compression != "gzip":
        pytest.importorskip("hdf5plugin")
    recipe, path = tmp_path / "r.toml", tmp_path / "t.h5"
    recipe.write_text(
        f'dims = [3]\ndegrees = "{degrees}"\ncompression = "{compression}"\n'
        'checks = {samples = 0}\nnetworks = [{activation = "relu"}]'
    )
    make_table(recipe, path)
    with open_table(path) as table, h5py.File(path) as file:
        part = table.select("relu")
        np.testing.assert_array_equal(part.eigenvalues, file["relu/eigenvalue"][...])


def test_flipped_bits_of_a_block_are_found_by_verifying(tmp_path):
    """Whatever the byte is: other programs read these files too."""
    table = made(tmp_path, "gzip", "virtual")
    chance = random.Random(3)
    for _ in range(25):
        path = chance.choice(files_of(table))
        at = chance.randrange(path.stat().st_size)
        flip(path, at, 4)
        with pytest.raises(TableError), open_table(table) as opened:
            opened.verify_checksums()
        flip(path, at, 4)


def test_a_block_of_another_table_is_not_taken(tmp_path):
    """The same place and shape, other numbers, and a seal that fits."""
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    one, two = (made(folder, "none", "virtual") for folder in folders)
    victim, other = files_of(one)[1], files_of(two)[1]
    with altered(other) as file:
        file["eigenvalue"][0, 0] *= 2
    victim.write_bytes(other.read_bytes())
    with pytest.raises(TableError, match="not the one of"):
        table_contents(one)


def test_files_cut_short_or_without_their_seal(tmp_path):
    table = made(tmp_path, "gzip", "single")
    whole = table.read_bytes()
    for size in (0, 1, 7, 60, len(whole) // 2, len(whole) - 1):
        table.write_bytes(whole[:size])
        with pytest.raises(TableError, match=r"t\.h5"):
            open_table(table)
    table.write_bytes(whole)
    with h5py.File(table, "r+") as file:
        file["relu"].attrs["depth"] = 3
    with pytest.raises(TableError, match="its seal is missing"):
        open_table(table)


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "link to a pipe"])
def test_what_is_no_regular_file_is_not_waited_for(tmp_path, kind):
    path = tmp_path / "t.h5"
    if kind == "folder":
        path.mkdir()
    elif kind == "device":
        path = Path("/dev/zero")
    else:
        os.mkfifo(tmp_path / "pipe")
        path = tmp_path / "pipe"
        if kind == "link to a pipe":
            path = tmp_path / "t.h5"
            path.symlink_to("pipe")
    with pytest.raises(TableError):
        open_table(path)
    with pytest.raises(TableError):
        open_run(path)
    assert not is_run(path)


@pytest.mark.parametrize(
    "attribute", ["depth", "activation", "trained", "weight_variance", "kernel", "normalization"]
)
@pytest.mark.parametrize("how", hostile.NASTY)
def test_every_attribute_of_a_network_is_needed_as_it_is(tables, attribute, how):
    with altered(tables) as file:
        hostile.spoil_attribute(file["tanh"], attribute, how)
    with pytest.raises(TableError, match="tanh"), open_table(tables) as table:
        table.select("tanh", 3, 1)


@pytest.mark.parametrize("name", ["dim", "degree", "eigenvalue", "log_eigenvalue"])
@pytest.mark.parametrize("how", hostile.SHAPES)
def test_every_array_of_a_network_is_needed_as_it_is(tables, name, how):
    with altered(tables) as file:
        hostile.spoil_dataset(file, f"tanh/{name}", how, tables.parent)
    if how in ("negative", "reversed") and "eigen" in name:
        return  # numbers like others: recomputing them tells, which `verify` does
    with pytest.raises(TableError), open_table(tables) as table:
        table.select("tanh", 3, 1)


@pytest.fixture(scope="module")
def one_table(tmp_path_factory):
    return made(tmp_path_factory.mktemp("one"), "gzip", "single").read_bytes()


@pytest.fixture
def tables(one_table, tmp_path):
    """A table to spoil, with what hostile files refer to beside it."""
    hostile.surroundings(tmp_path)
    (tmp_path / "t.h5").write_bytes(one_table)
    return tmp_path / "t.h5"


@pytest.mark.parametrize(
    ("count", "each"), [(2, 1), pytest.param(100, "all", marks=pytest.mark.slow)]
)
@pytest.mark.timeout(7200)
def test_commands_on_hostile_files(count, each):
    """Exit 0, 2 or 3 and a message, within seconds and a bounded memory."""
    done = subprocess.run(
        [sys.executable, hostile.__file__, str(count), str(each), str(count)],
        capture_output=True, text=True, cwd=TESTS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *bad, summary = map(json.loads, done.stdout.splitlines())
    assert not bad, bad
    assert summary["structures"] == count and summary["codes"].get("3", 0) > 0.3 * summary["tries"]


# --- arguments -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        dict(dim=[[3]]),
        dict(dim=[[2, 3], [5]]),
        dict(dim=np.array([[2, 3]])),
        dict(dim=3.5),
        dict(dim="3x"),
        dict(dim=b"3"),
        dict(dim=True),
        dict(dim=[None]),
        dict(dim=10**30),
        dict(dim=np.uint64(2**64 - 1)),
        dict(degrees=range(10**18)),
        dict(degrees=range(0)),
        dict(degrees=[10**20]),
        dict(degrees="3:1"),
        dict(kernel=["ntk"]),
        dict(kernel=np.array(["ntk", "nngp"])),
        dict(kernel=3),
    ],
)
def test_choices_that_are_none(tables, arguments):
    with open_table(tables) as table, pytest.raises(NtkspecError) as caught:
        table.select("tanh", **arguments)
    assert type(caught.value) is NtkspecError
    assert next(iter(arguments)).removesuffix("s") in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("network", [["tanh"], np.array(["tanh", "relu"]), None, 3, {}])
def test_networks_that_are_none(tables, network):
    with open_table(tables) as table, pytest.raises(NtkspecError, match="network = "):
        table.select(network)


def test_a_table_that_is_closed(tables):
    with open_table(tables) as table:
        pass
    table.close()
    for use in (
        lambda: table.select("tanh"),
        lambda: table.networks,
        lambda: table.attributes,
        lambda: table.dims("tanh"),
        lambda: table.checks("tanh"),
        lambda: next(table.rows()),
        table.verify_checksums,
    ):
        with pytest.raises(NtkspecError, match="closed; open it again"):
            use()


def test_order_and_repeats_do_not_matter(tables):
    with open_table(tables) as table:
        whole = table.select("tanh")
        part = table.select("tanh", [8, 2, 2, 5], np.array([39, 0, 7, 7], np.uint8))
    at = np.ix_([3, 0, 0, 2], [39, 0, 7, 7])
    np.testing.assert_array_equal(part.eigenvalues, whole.eigenvalues[at])
    np.testing.assert_array_equal(part.log_eigenvalues, whole.log_eigenvalues[at])
    np.testing.assert_array_equal(part.relative_error, whole.relative_error[[3, 0, 0, 2]])

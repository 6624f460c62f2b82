"""The file that becomes a single, uncompressed table: kills, damage, full disks, strangers.

Every test ends with the same command again, and the bits of a table that nobody disturbed.
"""

import errno
import os
import shutil
import signal
import subprocess
import sys

import h5py
import numpy as np
import pytest
from sweeping import assert_same_bits
from table_numbers import datasets

from ntkspec.errors import NtkspecError, TableError
from ntkspec.files.records import read_record, record
from ntkspec.opening import open_table
from ntkspec.sweeps import Plan, parse_recipe, run_shard, run_sweep
from ntkspec.sweeps.blocks import ensure_placed, read_block
from ntkspec.sweeps.folder import RECIPE
from ntkspec.sweeps.merge import merge
from ntkspec.sweeps.stored import BlockData
from ntkspec.sweeps.target import (
    OFFSETS,
    TARGET,
    begin_target,
    has_record,
    record_path,
    write_placed,
)

#: Blocks of two chunks of 26 x 150, the last ones with fewer rows.
TEXT = """
dims = "2:102"
degrees = "0:300"
block_eigenvalues = 8000
compression = "none"
checks = {samples = 1, digits = 20, max_dim = 4, max_degree = 4}
networks = [{activation = "relu"}, {activation = "erf"}]
"""
PLAN = Plan(parse_recipe(TEXT))
BLOCKS = len(PLAN)
SLOW = pytest.mark.slow


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "r.toml"
    path.write_text(TEXT)
    return path


@pytest.fixture(scope="module")
def table(recipe, tmp_path_factory, at_hand):
    """Made by a sweep that nobody disturbed."""
    out = tmp_path_factory.mktemp("table") / "t.h5"
    assert run_sweep(recipe, out, at_hand).computed == BLOCKS
    return out


@pytest.fixture
def begun(tmp_path):
    """Half of the blocks are in their places."""
    return half_done(tmp_path / "t.h5")


def half_done(out):
    folder = out.with_name(f"{out.name}.parts")
    folder.mkdir()
    (folder / RECIPE).write_text(TEXT)
    begin_target(PLAN, folder)
    for key in PLAN[: BLOCKS // 2]:
        ensure_placed(PLAN, key, folder)
    return out, folder


def resumed(recipe, out, where, table, reused=None):
    result = run_sweep(recipe, out, where)
    if reused is not None:
        assert (result.reused, result.computed) == (reused, BLOCKS - reused)
    assert_same_bits(table, out)
    with open_table(out) as source:
        source.verify_checksums()
    assert not out.with_name(f"{out.name}.parts").exists()


def test_the_blocks_are_as_shards_write_them(recipe, table, tmp_path):
    assert BLOCKS >= 8 and any(key.shape[0] % PLAN.grids[0].chunk[0] for key in PLAN)
    run_shard(recipe, tmp_path / "t.h5", "1/1")
    merge([tmp_path / "t.h5.parts"], tmp_path / "t.h5")
    assert_same_bits(table, tmp_path / "t.h5")
    with h5py.File(table) as file:
        assert file["relu/eigenvalue"].chunks == PLAN.grids[0].chunk


def test_half_of_it_is_resumed(recipe, table, begun, at_hand):
    out, folder = begun
    assert not out.exists() and (folder / TARGET).stat().st_size > PLAN.bytes
    resumed(recipe, out, at_hand, table, BLOCKS // 2)


# --- kills ---------------------------------------------------------------------------------------

#: Makes a table in the folder of a target, and is killed in a call of a function.
KILLED = """
import os, signal, sys
from pathlib import Path
from ntkspec.sweeps import Plan, read_recipe
from ntkspec.sweeps.assembly import Ledger, assemble
from ntkspec.sweeps.blocks import ensure_placed
from ntkspec.sweeps.target import begin_target

out, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
folder = out.with_name(out.name + ".parts")
plan = Plan(read_recipe(folder / "ntkspec-recipe.toml"))
ledger, real, calls = Ledger(plan), getattr(os, name), 0

def last(*arguments):
    global calls
    calls += 1
    if calls < count:
        return real(*arguments)
    if name == "pwrite":  # half of a chunk
        real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2], *arguments[2:])
    os.kill(os.getpid(), signal.SIGKILL)

if name == "pwrite":
    os.pwrite = last
begin_target(plan, folder)
for key in plan:
    ledger.note(key, ensure_placed(plan, key, folder).stored)
setattr(os, name, last)
assemble(plan, ledger, {}, folder, out)
"""


@pytest.mark.parametrize(
    "name,count",
    [
        ("pwrite", 7),  # in a block
        pytest.param("pwrite", 2, marks=SLOW),
        pytest.param("pwrite", 15, marks=SLOW),  # in a record
        ("pread", 6),  # the structure is half written over the target
        pytest.param("replace", 1, marks=SLOW),  # just before it gets its name
    ],
)
def test_a_kill(recipe, table, begun, at_hand, name, count):
    out, folder = begun
    done = subprocess.run([sys.executable, "-c", KILLED, out, name, str(count)])
    assert done.returncode == -signal.SIGKILL
    assert not out.exists()
    if name == "pread":
        assert not target_is_whole(folder, table), "it was killed before the structure was written"
    finished = sum(has_record(folder, key) for key in PLAN)
    assert finished == BLOCKS if name != "pwrite" else BLOCKS // 2 <= finished < BLOCKS
    resumed(recipe, out, at_hand, table, finished - (count == 15))


def target_is_whole(folder, table):
    try:
        return datasets(folder / TARGET).keys() == datasets(table).keys()
    except (OSError, KeyError, RuntimeError):
        return False


# --- damage --------------------------------------------------------------------------------------


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(data)


def other_digest(path):
    said = read_record(path, "record", 2**20)
    said["digests"][0] = "0" * len(said["digests"][0])
    path.write_text(record(said))


#: What is done to the target and the records of half the blocks, and how many blocks stay whole.
DAMAGE = {
    "a flipped number": (lambda t, r: flip(t, number_of(t, 1)), BLOCKS // 2 - 1),
    "numbers of another block": (lambda t, r: torn(t), BLOCKS // 2 - 1),
    "a flipped structure": (lambda t, r: flip(t, 100), BLOCKS // 2),
    "no structure": (
        lambda t, r: t.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(400) + t.read_bytes()[408:]),
        BLOCKS // 2,
    ),
    "a target cut short": (lambda t, r: os.truncate(t, number_of(t, 1)), None),
    "an empty target": (lambda t, r: os.truncate(t, 0), 0),
    "no target": (lambda t, r: t.unlink(), 0),
    "no offsets": (lambda t, r: (t.parent / OFFSETS).unlink(), 0),
    "flipped offsets": (lambda t, r: flip(t.parent / OFFSETS, 70), 0),
    "an empty record": (lambda t, r: os.truncate(r[1], 0), BLOCKS // 2 - 1),
    "a record cut short": (lambda t, r: os.truncate(r[1], 99), BLOCKS // 2 - 1),
    "a flipped record": (lambda t, r: flip(r[1], 150), BLOCKS // 2 - 1),
    "a record of another block": (lambda t, r: shutil.copy(r[0], r[1]), BLOCKS // 2 - 1),
    "a record with other checksums": (lambda t, r: other_digest(r[1]), BLOCKS // 2 - 1),
    "no records": (lambda t, r: [path.unlink() for path in r], 0),
}
QUICK = ("a flipped number", "no structure", "a target cut short", "no target", "a flipped record")


def number_of(target, block):
    """Offset of a number of a block in the target: of the first network's first array."""
    start = read_record(target.with_name(OFFSETS), "record", 2**20)["offsets"][0][0]
    (row, _), (column, _), grid = PLAN[block].rows, PLAN[block].columns, PLAN.grids[0]
    place = row // grid.chunk[0] * grid.chunks[1] + column // grid.chunk[1]
    return start + 8 * grid.chunk[0] * grid.chunk[1] * place + 1003


def torn(target):
    with target.open("r+b") as file:
        file.seek(number_of(target, 1))
        piece = file.read(5000)
        file.seek(number_of(target, 0))
        file.write(piece)


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=() if k in QUICK else SLOW) for k in DAMAGE]
)
def test_damage_before_it_is_resumed(recipe, table, begun, at_hand, caplog, kind):
    out, folder = begun
    damage, whole = DAMAGE[kind]
    damage(folder / TARGET, [record_path(folder, key) for key in PLAN[: BLOCKS // 2]])
    resumed(recipe, out, at_hand, table, whole)
    if "number" in kind:
        assert "damaged" in caplog.text and "computed it again" in caplog.text


def test_every_flipped_byte_of_the_table_is_found_or_has_no_effect(table, tmp_path):
    whole, data, chance = datasets(table), table.read_bytes(), np.random.default_rng(5)
    victim = tmp_path / "t.h5"
    for at in chance.integers(0, len(data), 60).tolist():
        changed = bytearray(data)
        changed[at] ^= 1 << int(chance.integers(8))
        victim.write_bytes(changed)
        with pytest.raises(TableError), open_table(victim) as source:
            source.verify_checksums()
    assert whole.keys() == datasets(table).keys()


# --- disks, and others ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [errno.ENOSPC, pytest.param(errno.EDQUOT, marks=SLOW), pytest.param(errno.EFBIG, marks=SLOW)],
)
def test_a_disk_that_fills_up(recipe, table, tmp_path, at_hand, monkeypatch, error):
    out, real, calls = tmp_path / "t.h5", os.pwrite, []

    def until_it_is_full(handle, data, offset):
        calls.append(offset)
        if len(calls) > 30:
            raise OSError(error, os.strerror(error))
        return real(handle, bytes(data)[:20_000], offset)  # not all at once, as a disk may

    monkeypatch.setattr(os, "pwrite", until_it_is_full)
    with pytest.raises(TableError, match=f"cannot be written .{os.strerror(error)}"):
        run_sweep(recipe, out, at_hand)
    monkeypatch.undo()
    folder = tmp_path / "t.h5.parts"
    kept = sum(path.stat().st_size > 0 for path in folder.glob("n0*.json"))
    assert 0 < kept < BLOCKS and not out.exists()
    # Blocks that are being flushed may still come to their ends.
    resumed(recipe, out, at_hand, table)


@pytest.mark.slow
def test_a_limit_on_the_size_of_files(recipe, table, tmp_path, at_hand):
    code = (
        "import resource, signal, sys; from ntkspec.sweeps.target import *;"
        "from ntkspec.sweeps import *; from pathlib import Path;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000));"
        "begin_target(Plan(read_recipe(sys.argv[1])), Path(sys.argv[2]))"
    )
    (tmp_path / "t.h5.parts").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code, recipe, tmp_path / "t.h5.parts"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert "TableError" in done.stderr and "cannot be written (File too large)" in done.stderr
    assert not list((tmp_path / "t.h5.parts").iterdir())
    resumed(recipe, tmp_path / "t.h5", at_hand, table, 0)


def test_the_first_to_write_a_block_keeps_its_numbers(begun):
    """A worker that was thought lost may compute other last bits, and must not mix them in."""
    _, folder = begun
    key = PLAN[0]
    first = read_block(PLAN, key, folder)
    late = BlockData(first.eigenvalue * (1 + 1e-15), first.log_eigenvalue, first.relative_error)
    assert write_placed(PLAN, key, folder, late).checksum == first.checksum
    np.testing.assert_array_equal(read_block(PLAN, key, folder).eigenvalue, first.eigenvalue)


def test_another_recipe_or_code_is_refused(begun, tmp_path, at_hand, monkeypatch, recipe):
    out, folder = begun
    other = tmp_path / "other.toml"
    other.write_text(TEXT.replace("0:300", "0:301"))
    with pytest.raises(NtkspecError, match=r"another recipe.*--restart"):
        run_sweep(other, out, at_hand)
    with monkeypatch.context() as patch:
        patch.setattr("ntkspec.sweeps.stored.code_digest", lambda: "other")
        with pytest.raises(NtkspecError, match=r"another version of the code.*--restart"):
            run_sweep(recipe, out, at_hand)
    assert run_sweep(other, out, at_hand, restart=True).reused == 0
    assert not folder.exists()


TAKEN = {
    "a folder": lambda path: path.mkdir(),
    "a pipe": os.mkfifo,
    "a link": lambda path: path.symlink_to("elsewhere"),
    "a text": lambda path: path.write_text("mine"),
}


@pytest.mark.parametrize(
    "name,taken",
    [
        (TARGET, "a text"),  # another text may be what is left of one made here
        (OFFSETS, "a pipe"),
        (f"{PLAN[0].name}.json", "a link"),
        *(
            pytest.param(name, taken, marks=SLOW)
            for name in (TARGET, OFFSETS, f"{PLAN[0].name}.json")
            for taken in ("a folder", "a pipe", "a link")
        ),
    ],
)
def test_a_name_that_is_taken(recipe, tmp_path, at_hand, name, taken):
    path = tmp_path / "t.h5.parts" / name
    path.parent.mkdir()
    TAKEN[taken](path)
    before = path.lstat()
    with pytest.raises(TableError, match=f"{name} was not written by ntkspec"):
        run_sweep(recipe, tmp_path / "t.h5", at_hand)
    assert path.lstat() == before
    assert not (tmp_path / "t.h5").exists()


# --- other layouts -------------------------------------------------------------------------------


def test_a_virtual_table_after_half_a_single_one(recipe, table, begun, at_hand):
    out, folder = begun
    assert run_sweep(recipe, out, at_hand, layout="virtual").reused == BLOCKS // 2
    with open_table(out) as source:
        source.verify_checksums()
        assert source.attributes["layout"] == "virtual"
    for name, values in datasets(table).items():
        if name.endswith("eigenvalue"):
            np.testing.assert_array_equal(datasets(out)[name], values)
    resumed(recipe, out, at_hand, table, BLOCKS)  # and back
    assert not folder.exists()


def test_shards_and_a_target(recipe, table, begun, tmp_path, at_hand):
    """Blocks in files are copied into their places, and the others are found there."""
    out, folder = begun
    key = PLAN[BLOCKS // 2]
    assert run_shard(recipe, out, f"{BLOCKS // 2 + 1}/{BLOCKS}").computed == 1
    assert (folder / f"{key.name}.h5").exists()
    resumed(recipe, out, at_hand, table, BLOCKS // 2 + 1)


@pytest.mark.parametrize("layout", ["single", "virtual"])
def test_folders_with_targets_are_merged(recipe, table, begun, tmp_path, layout):
    """Half of the blocks in one folder's target, the others in files of another folder."""
    _, folder = begun
    with pytest.raises(TableError, match=f"{BLOCKS - BLOCKS // 2} of {BLOCKS} blocks are missing"):
        merge([folder], tmp_path / "m.h5", layout=layout)
    run_shard(recipe, tmp_path / "other.h5", "1/1")
    for key in PLAN[: BLOCKS // 2]:
        (tmp_path / "other.h5.parts" / f"{key.name}.h5").unlink()
    merge([folder, tmp_path / "other.h5.parts"], tmp_path / "m.h5", layout=layout)
    with open_table(tmp_path / "m.h5") as source:
        source.verify_checksums()
    for name, values in datasets(table).items():
        if name.endswith("eigenvalue"):
            np.testing.assert_array_equal(datasets(tmp_path / "m.h5")[name], values)
    assert (tmp_path / "m.h5.parts").exists() == (layout == "virtual")
    flip(folder / TARGET, number_of(folder / TARGET, 0))
    with pytest.raises(TableError, match=f"{PLAN[0].name} is damaged"):
        merge([folder, tmp_path / "other.h5.parts"], tmp_path / "n.h5", layout=layout)
    assert not (tmp_path / "n.h5").exists() and not (tmp_path / "n.h5.parts").exists()

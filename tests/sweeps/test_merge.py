"""Merging: shards to their table, and tables into a larger one."""

import functools
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import xxhash
from command_line import ntkspec as command
from table_numbers import altered, datasets, reseal

from ntkspec.errors import NtkspecError, TableError
from ntkspec.opening import open_table
from ntkspec.sweeps import checks, run_shard
from ntkspec.sweeps.folder import remembered
from ntkspec.sweeps.merge import merge
from ntkspec.sweeps.plan import Plan

RECIPE = """
dims = "{dims}"
degrees = "{degrees}"
block_eigenvalues = 1000
compression = "{compression}"
checks = {{samples = 2, digits = 25}}
networks = [{networks}]
"""
RELU, TANH = '{activation = "relu"}', '{activation = "tanh"}'


def sharded(
    folder, name, dims="2:30", degrees="0:100", networks=f"{RELU}, {TANH}", shards=2, **other
):
    """Blocks of a small recipe, by shards."""
    fields = dict(dims=dims, degrees=degrees, networks=networks, compression="gzip") | other
    text = RECIPE.format(**fields)
    (folder / f"{name}.toml").write_text(text)
    parts = folder / f"{name}.h5.parts"
    parts.mkdir()
    for file, data in files_of_shards(text, shards).items():
        (parts / file).write_bytes(data)
    return parts


@functools.cache
def files_of_shards(text, shards):
    """What shards write into their folder, by name; several tests begin with the same."""
    with tempfile.TemporaryDirectory() as folder:
        recipe, out = Path(folder, "r.toml"), Path(folder, "t.h5")
        recipe.write_text(text)
        for i in range(shards):
            run_shard(recipe, out, f"{i + 1}/{shards}")
        return {path.name: path.read_bytes() for path in Path(f"{out}.parts").iterdir()}


def made(folder, name, **options):
    """A small table."""
    return merge([sharded(folder, name, **options)], folder / f"{name}.h5")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return made(tmp_path_factory.mktemp("whole"), "whole")


def numbers(path):
    """Selected through the package, by network."""
    with open_table(path) as table:
        return {name: table.select(name) for name in table.networks}


def assert_same_numbers(one, two, bits=True):
    first, second = numbers(one), numbers(two)
    assert first.keys() == second.keys()
    for name, part in first.items():
        other = second[name]
        np.testing.assert_array_equal(part.dims, other.dims)
        np.testing.assert_array_equal(part.degrees, other.degrees)
        bound = 0.0 if bits else (part.relative_error + other.relative_error)[:, None]
        off = np.abs(part.eigenvalues - other.eigenvalues)
        assert np.all(off <= bound * other.eigenvalues), name


def test_shards_in_one_folder(whole, tmp_path):
    folder = sharded(tmp_path, "t", shards=5)
    merge([folder], tmp_path / "t.h5")
    for name, values in datasets(tmp_path / "t.h5").items():
        np.testing.assert_array_equal(values, datasets(whole)[name])
    assert not folder.exists(), "its blocks are in the table now"


def test_shards_in_several_folders(whole, tmp_path):
    """As from machines without a common disk."""
    folders = []
    for i in (1, 2, 3):
        place = tmp_path / str(i)
        place.mkdir()
        shutil.copy(whole.with_suffix(".toml"), place / "r.toml")
        run_shard(place / "r.toml", place / "t.h5", f"{i}/3")
        folders.append(place / "t.h5.parts")
    with pytest.raises(TableError, match=r"of \d+ blocks are missing"):
        merge(folders[:2], tmp_path / "t.h5")
    merge(folders, tmp_path / "t.h5")
    assert_same_numbers(whole, tmp_path / "t.h5")
    assert all(folder.is_dir() for folder in folders), "the sources stay"
    assert sorted(p.name for p in tmp_path.glob("t.h5*")) == ["t.h5"]


def test_a_damaged_block_is_named(tmp_path):
    folder = sharded(tmp_path, "t")
    victim = sorted(folder.glob("n*.h5"))[3]
    victim.write_bytes(victim.read_bytes()[:-3000])
    with pytest.raises(TableError, match=victim.name):
        merge([folder], tmp_path / "t.h5")
    assert not (tmp_path / "t.h5").exists()


def test_folders_of_different_recipes_are_refused(tmp_path):
    one, two = sharded(tmp_path, "one"), sharded(tmp_path, "two", degrees="0:90")
    with pytest.raises(NtkspecError, match="another recipe"):
        merge([one, two], tmp_path / "t.h5")


def test_a_virtual_table_reads_as_the_single_one(whole, tmp_path):
    folder = sharded(tmp_path, "v")
    out = merge([folder], tmp_path / "v.h5", layout="virtual")
    assert folder.is_dir()
    assert_same_numbers(whole, out)
    with open_table(out) as table:
        table.verify_checksums()
        assert table.attributes["layout"] == "virtual"
        assert {b["file"].decode().split("/")[0] for b in table.blocks("relu")} == {"v.h5.parts"}
    # Past our package, from anywhere.
    for name, values in datasets(out).items():
        if name.endswith("eigenvalue"):
            np.testing.assert_array_equal(values, datasets(whole)[name])
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for path in (out, folder):
        shutil.move(path, moved / path.name)
    assert_same_numbers(whole, moved / out.name)


def test_a_virtual_table_without_its_blocks_gets_a_message(tmp_path):
    out = merge([sharded(tmp_path, "v")], tmp_path / "v.h5", layout="virtual")
    victim = sorted((tmp_path / "v.h5.parts").glob("n001*.h5"))[-1]
    victim.unlink()
    with open_table(out) as table:
        assert table.select("relu").eigenvalues.size
        assert table.select("tanh", degrees=[0, 20]).eigenvalues.size, "its blocks are there"
        with pytest.raises(TableError, match=victim.name):
            table.select("tanh", degrees=99)
        with pytest.raises(TableError, match=victim.name):
            table.verify_checksums()
    with h5py.File(out) as file:
        assert np.isnan(file["tanh/eigenvalue"][:, 99]).all(), "no other reader sees zeros"
    victim.write_bytes(b"not hdf5")
    with open_table(out) as table, pytest.raises(TableError, match="damaged"):
        table.select("tanh", degrees=99)


@pytest.mark.parametrize("compression", ["none", "zstd", "blosc"])
def test_compressions_hold_the_same_numbers(whole, tmp_path, compression):
    if compression != "none":
        pytest.importorskip("hdf5plugin")
    out = made(tmp_path, "t", compression=compression)
    assert_same_numbers(whole, out)
    with h5py.File(out) as file:
        assert file.attrs["compression"] == compression
        assert (file["relu/eigenvalue"].id.get_storage_size() < 29 * 100 * 8) == (
            compression != "none"
        )
    if compression == "none":
        return
    # A fresh process has to find the filter by itself.
    code = (
        f"import ntkspec; print(ntkspec.open_table({str(out)!r}).select('relu').eigenvalues.sum())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) > 0


def test_networks_of_two_tables(whole, tmp_path):
    parts = [made(tmp_path, "a", networks=TANH), made(tmp_path, "b", networks=RELU)]
    assert_same_numbers(whole, merge(parts, tmp_path / "t.h5"))
    with open_table(tmp_path / "t.h5") as table:
        table.verify_checksums()
        assert len(table.checks("relu")) == len(table.checks("tanh")) == 2
        origins = json.loads(table.attributes["merged_from"])
        assert [TANH in origin["recipe"] for origin in origins] == [True, False]


@pytest.mark.parametrize(
    "ranges",
    [
        [("2:11", "0:100"), ("11:30", "0:100")],
        [("2:30", "0:37"), ("2:30", "37:100")],
        [("2:30:2", "0:100"), ("3:30:2", "0:100")],
        [("2:20", "0:100"), ("10:30", "0:60"), ("15:30", "50:100"), ("10:15", "60:100")],
    ],
)
def test_adjacent_and_overlapping_ranges(whole, tmp_path, ranges):
    parts = [
        made(tmp_path, f"t{n}", dims=dims, degrees=degrees)
        for n, (dims, degrees) in enumerate(ranges)
    ]
    out = merge(parts, tmp_path / "t.h5")
    assert_same_numbers(whole, out, bits=False)
    with open_table(out) as table:
        table.verify_checksums()
        for name in table.networks:
            bound = [open_table(part).relative_error(name).max() for part in parts]
            assert table.relative_error(name).max() == max(bound)


def test_a_hole_is_named(tmp_path):
    parts = [
        made(tmp_path, "a", dims="2:10", degrees="0:50"),
        made(tmp_path, "b", dims="10:30", degrees="0:100"),
    ]
    missing = r"relu at dim = 2, degree = 50 is missing in all tables"
    with pytest.raises(NtkspecError, match=missing):
        merge(parts, tmp_path / "t.h5")
    assert not (tmp_path / "t.h5").exists()


@pytest.mark.parametrize("factor,allowed", [(1 + 1e-15, True), (1 + 1e-9, False), (0.0, False)])
def test_overlaps_that_disagree_are_refused(tmp_path, factor, allowed):
    one = made(tmp_path, "one", networks=TANH)
    two = made(tmp_path, "two", networks=TANH, dims="20:40")
    with altered(two) as file:
        group = file["tanh"]
        group["eigenvalue"][4, 7] *= factor
        log = math.log(group["eigenvalue"][4, 7]) if factor else -math.inf
        group["log_eigenvalue"][4, 7] = log
        reseal(group)
    if allowed:
        merge([one, two], tmp_path / "t.h5")
        return
    with pytest.raises(NtkspecError, match=r"tanh at dim = 24, degree = 7 .* differ"):
        merge([one, two], tmp_path / "t.h5")


def test_a_damaged_table_is_not_merged(tmp_path):
    one, two = made(tmp_path, "one", networks=TANH), made(tmp_path, "two", networks=RELU)
    with altered(two) as file:
        file["relu/eigenvalue"][3, 4] += 1e-18
    with pytest.raises(TableError, match=r"two.h5.*checksum"):
        merge([one, two], tmp_path / "t.h5")


def test_bad_sources(whole, tmp_path):
    cases = [
        ([], "sources"),
        ([tmp_path / "none.h5"], "does not exist"),
        ([tmp_path], "not the folder of a sweep"),
        ([whole, tmp_path], "together"),
    ]
    for sources, word in cases:
        with pytest.raises(NtkspecError, match=word):
            merge(sources, tmp_path / "t.h5")
    with pytest.raises(NtkspecError, match="layout"):
        merge([whole], tmp_path / "t.h5", layout="virtual")
    with pytest.raises(NtkspecError, match="layout"):
        merge([whole], tmp_path / "t.h5", layout="double")
    assert [p.name for p in tmp_path.iterdir() if "lock" not in p.name] == []


def test_the_command_line(whole, tmp_path):
    folder = sharded(tmp_path, "t")
    done = command("merge", folder, "-o", tmp_path / "t.h5", "--log-json")
    assert done.exit_code == 0, done.stderr
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert events[-1]["event"] == "progress" and events[-1]["done"] == events[-1]["total"]
    assert_same_numbers(whole, tmp_path / "t.h5")
    for arguments, code in (([tmp_path / "none"], 3), ([], 2), ([whole, tmp_path], 2)):
        done = command("merge", *arguments, "-o", tmp_path / "u.h5")
        assert done.exit_code == code


# --- files of checks that come from anyone -------------------------------------------------------

NOT_A_CHECK = {
    "deep": lambda path: path.write_text("[" * 100_000),
    "huge number": lambda path: path.write_text('{"key": ' + "9" * 5000 + "}"),
    "no text": lambda path: path.write_bytes(b"\xff\xfe"),
    "large": lambda path: os.truncate(path, 2**40),
    "empty": lambda path: path.write_text(""),
    "pipe": lambda path: path.unlink() or os.mkfifo(path),
    "endless": lambda path: path.unlink() or path.symlink_to("/dev/zero"),
    "list": lambda path: path.write_text("[1, 2]"),
    "no seal": lambda path: path.write_text(without_checksum(path)),
} | {
    f"{name} {value!r:.12}": lambda path, name=name, value=value: alter(path, name, value)
    for name, value in [
        ("dim", 10**30), ("dim", "x"), ("dim", 99), ("degree", -7), ("degree", None),
        ("reference", "\x1b[2J=1"), ("reference", "\ud800"), ("reference", 3), ("reference", "1"),
        ("relative_error", math.nan), ("relative_error", "q"), ("relative_error", -1.0),
        ("log_error", None), ("promised", 1.0), ("passed", "no"), ("passed", 1), ("method", None),
        ("method", "\ud800"), ("method", "a\nb"), ("nodes", "x"), ("change", [1]), ("more", 1),
    ]
}  # fmt: skip


def without_checksum(path):
    said = json.loads(path.read_text())
    return json.dumps({name: said[name] for name in ("key", "check")})


def alter(path, name, value):
    """Change what a check says, with a checksum that fits unless the value could be right."""
    said = json.loads(path.read_text())
    said["check"][name] = value
    if name != "reference" or value != "1":  # "1" could be right
        rest = json.dumps({"key": said["key"], "check": said["check"]})
        said["checksum"] = xxhash.xxh3_128_hexdigest(rest.encode())
    path.write_text(json.dumps(said) + "\n")


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """Blocks and checks of a sweep, and the checks of its table."""
    folder = tmp_path_factory.mktemp("checked")
    parts = sharded(folder, "c", dims="3:5", degrees="0:9", networks=RELU, shards=1)
    merge([parts], folder / "c.h5", layout="virtual")
    return parts, stated(folder / "c.h5")


def stated(path):
    with open_table(path) as table:
        return [list(row) for row in table.checks("relu")]


@pytest.mark.parametrize("spoil", NOT_A_CHECK.values(), ids=NOT_A_CHECK)
def test_a_check_that_is_not_whole_is_not_believed(checked, tmp_path, spoil):
    parts, _ = checked
    plan = Plan(remembered(parts))
    for whole in parts.glob("check-*.json"):
        key = read_key(whole)
        assert checks._read(plan, key, parts) is not None
        spoil(shutil.copy(whole, tmp_path) and tmp_path / whole.name)
        assert checks._read(plan, key, tmp_path) is None


@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_every_flipped_bit_of_a_check_is_seen(checked, tmp_path, step):
    parts, _ = checked
    shutil.copytree(parts, tmp_path / "c.h5.parts")
    path = next((tmp_path / "c.h5.parts").glob("check-*.json"))
    whole = path.read_bytes()
    key = read_key(path)
    plan = Plan(remembered(path.parent))
    assert checks._read(plan, key, path.parent) is not None
    for place in range(0, len(whole), step):
        for bit in range(8):
            flipped = bytearray(whole)
            flipped[place] ^= 1 << bit
            path.write_bytes(flipped)
            assert checks._read(plan, key, path.parent) is None, (place, bit)


def read_key(path):
    return checks.CheckKey(**json.loads(path.read_text())["key"])


def test_checks_that_are_not_whole_are_made_again(checked, tmp_path):
    parts, wanted = checked
    shutil.copytree(parts, tmp_path / "c.h5.parts")
    for number, path in enumerate(sorted((tmp_path / "c.h5.parts").glob("check-*.json"))):
        path.unlink()
        path.symlink_to("/dev/zero") if number else path.write_text("[" * 100_000)
    merge([tmp_path / "c.h5.parts"], tmp_path / "new.h5")
    assert stated(tmp_path / "new.h5") == wanted


@pytest.mark.parametrize("layout", ["single", "virtual"])
def test_a_table_whose_name_is_not_utf8(checked, tmp_path, monkeypatch, layout):
    """The command is kept as a text; a virtual table, which needs the name, is refused."""
    out = tmp_path / os.fsdecode(b"a\xff.h5")
    monkeypatch.setattr(sys, "argv", ["ntkspec", "merge", str(out)])
    if layout == "virtual":
        with pytest.raises(NtkspecError, match="UTF-8; give another name"):
            merge([checked[0]], out, layout=layout)
        return
    merge([checked[0]], out, layout=layout)
    with open_table(out) as table:
        assert table.attributes["command"].endswith("a\\udcff.h5")


def other_code(path):
    with altered(path) as file:
        file.attrs["code"] = "0" * 64


def other_recipe(path):
    with altered(path) as file:
        file.attrs["recipe"] = "0" * 64


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("spoil", [other_code, other_recipe, flip, os.unlink])
def test_a_merge_that_fails_names_its_input_and_leaves_nothing(checked, tmp_path, spoil):
    parts = tmp_path / "in.parts"
    shutil.copytree(checked[0], parts)
    victim = sorted(parts.glob("n*.h5"))[-1]
    spoil(victim)
    with pytest.raises(NtkspecError) as caught:
        merge([parts], tmp_path / "new.h5")
    said = str(caught.value)
    assert victim.stem in said and "new.h5" not in said
    if spoil in (other_code, other_recipe):
        assert "`ntkspec sweep --restart`" in said
    assert {path.name for path in tmp_path.iterdir()} == {"in.parts", ".new.h5.parts.lock"}

"""Sweeps end to end: real dask workers, real kills, the same bits at the end."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import psutil
import pytest
from problems import SMALL_RUN
from sweeping import assert_same_bits, listening, make_table, until
from table_numbers import datasets
from training import run_of

from ntkspec.errors import NtkspecError, TableError
from ntkspec.files.appearing import appearing
from ntkspec.opening import open_table
from ntkspec.spectra import spectrum
from ntkspec.sweeps import External, Local, Observer, Plan, parse_recipe, run_shard, run_sweep
from ntkspec.sweeps.blocks import block_path, compute_block, read_block
from ntkspec.sweeps.clusters import dask_client
from ntkspec.sweeps.merge import merge
from ntkspec.sweeps.plan import BlockKey
from ntkspec.sweeps.stored import BlockData
from ntkspec.trainer.runs import train_run

RECIPE = """
dims = "2:40"
degrees = "0:120"
block_eigenvalues = 1000
[checks]
samples = 2
digits = 20
[[networks]]
activation = "relu"
[[networks]]
activation = "tanh"
kernel = "nngp"
"""


@pytest.fixture(scope="module")
def recipe_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "small.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def table(recipe_file, tmp_path_factory, at_hand):
    """A table made in one go, by one worker."""
    out = tmp_path_factory.mktemp("table") / "small.h5"
    result = run_sweep(recipe_file, out, at_hand)
    assert result.output == out
    assert result.computed == len(Plan(parse_recipe(RECIPE)))
    return out


def test_the_table_holds_the_engines_numbers(table):
    with open_table(table) as source:
        assert list(source.networks) == ["relu", "tanh(kernel=nngp)"]
        for name in source.networks:
            part = source.select(name)
            for i in (0, 1, 17, 37):
                direct = spectrum(
                    part.network, int(part.dims[i]), part.degrees, kernel=source.kernel(name)
                )
                bound = part.relative_error[i] + direct.relative_error[0]
                np.testing.assert_allclose(part.eigenvalues[i], direct.eigenvalues, rtol=bound)
            assert len(source.checks(name)) == 2
            assert all(check["relative_error"] < 1e-13 for check in source.checks(name))
        source.verify_checksums()
    assert not list(table.parent.glob("*.parts")), "the blocks are gone once the table is whole"


def test_a_finished_sweep_has_nothing_to_do(recipe_file, table, at_hand):
    before = table.stat().st_mtime_ns
    result = run_sweep(recipe_file, table, at_hand)
    assert (result.computed, result.reused) == (0, 0)
    assert table.stat().st_mtime_ns == before


def test_two_workers_make_the_same_bits(recipe_file, table, tmp_path, monkeypatch):
    """They have one thread each, listen here alone, and go at the end."""
    watcher, before, seen = Watcher(), listening(), {}

    @contextmanager
    def watched(where):
        with dask_client(where) as client:
            client.wait_for_workers(2, timeout=60)
            seen["hosts"] = {host for _, host, _ in listening() - before}
            seen["threads"], seen["pids"] = zip(*client.run(threads).values())
            yield client

    monkeypatch.setattr("ntkspec.sweeps.run.dask_client", watched)
    run_sweep(recipe_file, tmp_path / "t.h5", Local(2), observer=watcher)
    until(lambda: not any(map(psutil.pid_exists, seen["pids"])), seconds=10)
    assert seen["hosts"] == {"127.0.0.1"}
    assert seen["threads"] == (1, 1)
    assert len({os.getpid(), *seen["pids"]}) == 3
    assert_same_bits(table, tmp_path / "t.h5")
    last = watcher.seen[-1]
    assert last.done == last.total > 10
    assert last.eigenvalues == 2 * 38 * 120
    assert last.retried == 0
    assert "http" in watcher.notes["cluster"]
    assert b"Dask Diagnostic UI" in watcher.dashboard


def threads(dask_worker):
    return dask_worker.state.nthreads, os.getpid()


class Watcher(Observer):
    """Keeps what a sweep tells, and what its dashboard shows."""

    def __init__(self):
        self.seen, self.notes = [], {}

    def progress(self, state):
        self.seen.append(state)

    def note(self, event, message, **facts):
        self.notes[event] = message
        if event == "cluster":
            self.dashboard = urllib.request.urlopen(facts["dashboard"], timeout=60).read()


@pytest.mark.parametrize("how", ["address", "file"])
def test_on_a_cluster_that_someone_else_started(recipe_file, table, tmp_path, at_hand, how):
    from distributed import Client

    with Client(at_hand.address) as client:
        # As dask writes it, of which the address is read; test_faults.py has files by dask itself.
        (tmp_path / "scheduler.json").write_text(json.dumps({"address": at_hand.address}))
        where = at_hand if how == "address" else External(file=tmp_path / "scheduler.json")
        run_sweep(recipe_file, tmp_path / "t.h5", where)
        assert client.submit(abs, -1).result(timeout=60) == 1, "it is not ours to close"
    assert_same_bits(table, tmp_path / "t.h5")


def test_shards_then_assembly(recipe_file, table, tmp_path, at_hand):
    out = tmp_path / "t.h5"
    counts = [run_shard(recipe_file, out, f"{i}/3").computed for i in (1, 2, 3)]
    assert run_sweep(recipe_file, out, at_hand).computed == 0
    assert sum(counts) == len(Plan(parse_recipe(RECIPE)))
    assert_same_bits(table, out)


@pytest.mark.slow  # test_faults.py runs two while clients are kept away
def test_shards_run_side_by_side(recipe_file, table, tmp_path, at_hand):
    out = tmp_path / "t.h5"
    running = [sweep_process(recipe_file, out, "--shard", f"{i}/2") for i in (1, 2)]
    for process in running:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        assert "waiting" not in errors
    assert run_sweep(recipe_file, out, at_hand).computed == 0
    assert_same_bits(table, out)


def sweep_process(recipe_file, out, *options):
    return subprocess.Popen(
        [sys.executable, "-m", "ntkspec", "sweep", str(recipe_file), "-o", str(out), *options],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


@pytest.mark.slow  # test_faults.py kills at such a moment
def test_killed_at_random_moments_it_ends_in_the_same_bits(recipe_file, table, tmp_path):
    out = tmp_path / "t.h5"
    moments = random.Random(20261123)
    for _ in range(3):
        process = sweep_process(recipe_file, out)
        time.sleep(moments.uniform(0.8, 3.5))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stderr.close()
        if out.exists():  # under its final name only whole
            with open_table(out) as source:
                source.verify_checksums()
    process = sweep_process(recipe_file, out)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert_same_bits(table, out)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".t.h5.parts.lock", "t.h5"]


@pytest.mark.slow  # test_cli.py interrupts a sweep as a terminal does
def test_interrupt_ends_at_once_and_says_how_to_go_on(recipe_file, tmp_path, at_hand):
    out = tmp_path / "t.h5"
    process = sweep_process(recipe_file, out)
    until((tmp_path / "t.h5.parts").is_dir, process=process)
    started = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    if process.returncode != 0:  # it may have finished just before
        assert process.returncode == 130, errors
        assert "again" in errors
        assert "Traceback" not in errors
        assert time.monotonic() - started < 20
    run_sweep(recipe_file, out, at_hand)


@pytest.fixture
def parts(recipe_file, tmp_path):
    """A target whose blocks are all done, but for the assembly."""
    out = tmp_path / "t.h5"
    run_shard(recipe_file, out, "1/1")
    return out, tmp_path / "t.h5.parts"


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "gone", "swapped"])
def test_a_damaged_block_is_computed_again(recipe_file, table, parts, damage, caplog, at_hand):
    out, folder = parts
    files = sorted(folder.glob("n*.h5"))
    victim = files[1]
    data = bytearray(victim.read_bytes())
    if damage == "cut":
        victim.write_bytes(data[: len(data) // 2])
    elif damage == "flip":
        at = data.find(read_block_bytes(victim))
        data[at + 3] ^= 0x10
        victim.write_bytes(data)
    elif damage == "empty":
        victim.write_bytes(b"")
    elif damage == "swapped":
        victim.write_bytes(files[2].read_bytes())
    else:
        victim.unlink()
    result = run_sweep(recipe_file, out, at_hand)
    assert (result.computed, result.reused) == (1, len(files) - 1)
    if damage != "gone":
        assert victim.name in caplog.text
    assert_same_bits(table, out)


def read_block_bytes(path):
    with h5py.File(path, "r") as file:
        return file["eigenvalue"][...].tobytes()[:64]


def test_blocks_of_another_recipe_or_code_are_refused(
    parts, recipe_file, tmp_path, monkeypatch, at_hand
):
    out, _ = parts
    other = tmp_path / "other.toml"
    other.write_text(RECIPE.replace('"0:120"', '"0:121"'))
    with pytest.raises(NtkspecError, match="restart"):
        run_sweep(other, out, at_hand)
    smaller = tmp_path / "smaller.toml"
    smaller.write_text(RECIPE.replace("samples = 2", "samples = 1"))
    with pytest.raises(NtkspecError, match="another recipe"):
        run_sweep(smaller, out, at_hand)
    monkeypatch.setattr("ntkspec.sweeps.stored.code_digest", lambda: "of other code")
    with pytest.raises(NtkspecError, match="another version of the code"):
        run_sweep(recipe_file, out, at_hand)


def test_restart_throws_old_blocks_away(parts, tmp_path, at_hand):
    out, _ = parts
    other = tmp_path / "other.toml"
    other.write_text(RECIPE.replace('"0:120"', '"0:30"'))
    assert run_sweep(other, out, at_hand, restart=True).reused == 0
    with open_table(out) as source:
        assert source.degrees("relu")[-1] == 29


def test_a_comment_is_not_another_recipe(recipe_file, table, tmp_path, at_hand):
    commented = tmp_path / "c.toml"
    commented.write_text("# the same\n" + RECIPE)
    assert run_sweep(commented, table, at_hand).computed == 0


def test_a_damaged_table_is_rebuilt(recipe_file, table, tmp_path, caplog, at_hand):
    out = tmp_path / "t.h5"
    data = bytearray(table.read_bytes())
    out.write_bytes(data[: len(data) - 2000])
    run_sweep(recipe_file, out, at_hand)
    assert "rebuilding it" in caplog.text
    assert_same_bits(table, out)


def test_a_failing_check_leaves_no_table(recipe_file, tmp_path, monkeypatch, at_hand):
    """A wrong block, with a right checksum: only the independent route can tell."""
    out = tmp_path / "t.h5"
    run_shard(recipe_file, out, "1/1")
    recipe = parse_recipe(RECIPE)
    computed = BlockData.computed

    def wrong(plan, key):
        right = computed(plan, key)
        return replace(
            right,
            eigenvalue=right.eigenvalue * (1 + 1e-9),
            log_eigenvalue=right.log_eigenvalue + 1e-9,
        )

    monkeypatch.setattr(BlockData, "computed", wrong)
    plan = Plan(recipe)
    for key in plan:
        if key.network == 1:
            compute_block(plan, key, tmp_path / "t.h5.parts")
    monkeypatch.undo()
    with pytest.raises(NtkspecError, match=r"check of tanh.* differs by"):
        run_sweep(recipe_file, out, at_hand)
    assert not out.exists()


@pytest.mark.parametrize("shard", ["4/3", "0/2", "x", "1/2/3", "-1/2"])
def test_bad_shards(recipe_file, tmp_path, shard):
    with pytest.raises(NtkspecError, match="shard"):
        run_shard(recipe_file, tmp_path / "t.h5", shard)


def test_missing_recipe(tmp_path, at_hand):
    with pytest.raises(TableError, match="recipe"):
        run_sweep(tmp_path / "none.toml", tmp_path / "t.h5", at_hand)


def test_a_table_that_would_not_fit_is_refused_with_its_size(tmp_path):
    recipe = tmp_path / "r.toml"
    text = 'dims = "2:1000000"\ndegrees = "0:100000"\nnetworks = [{activation = "relu"}]\n'
    recipe.write_text(text + 'compression = "none"')
    with pytest.raises(TableError, match=r"GB of disk.* GB are free"):
        run_shard(recipe, tmp_path / "t.h5", "1/1000")
    many = text.replace('"relu"', f'"relu", depth = {list(range(1, 101))}, bias_variance = [0, 1]')
    with pytest.raises(NtkspecError, match="GB"):
        Plan(parse_recipe(many))


@pytest.mark.parametrize("size", [1, 7, 120, 121, 1000, 10**6])
def test_blocks_cover_the_table_once_within_their_bound(size):
    recipe = parse_recipe(RECIPE.replace("= 1000", f"= {size}"))
    covered = np.zeros((2, recipe.dims.size, recipe.degrees.size), int)
    for key in Plan(recipe):
        assert key.size <= size
        covered[key.network, slice(*key.rows), slice(*key.columns)] += 1
    assert np.all(covered == 1)


def test_blocks_beside_each_other_in_degree_fit_together(tmp_path, recipe_file, table):
    narrow = tmp_path / "narrow.toml"
    narrow.write_text(RECIPE.replace("= 1000", "= 250"))
    make_table(narrow, tmp_path / "t.h5")
    for name, values in datasets(table).items():
        if name.endswith("/eigenvalue"):
            np.testing.assert_allclose(datasets(tmp_path / "t.h5")[name], values, rtol=1e-13)


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    target = tmp_path / "file"
    target.write_text("before")

    def killed():
        with appearing(target) as part:
            part.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        killed()
    assert target.read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]


def test_block_files_carry_key_and_digests(tmp_path):
    recipe = parse_recipe(RECIPE)
    plan = Plan(recipe)
    key = plan[0]
    checksum = compute_block(plan, key, tmp_path)
    with h5py.File(block_path(tmp_path, key), "r") as file:
        assert json.loads(file.attrs["key"])["network"] == 0
        assert file.attrs["checksum"] == checksum
    assert read_block(plan, key, tmp_path).checksum == checksum
    with pytest.raises(TableError, match="missing"):
        read_block(plan, BlockKey(0, (5, 6), (0, 1)), tmp_path)


def test_paths_in_tables_do_not_name_this_machine(table):
    with h5py.File(table, "r") as file:
        assert str(Path.cwd()) not in str(dict(file.attrs))


# --- what is in the place of the table ------------------------------------------------------------


@pytest.mark.parametrize("restart", [False, True])
def test_a_file_that_is_no_table_is_not_replaced(recipe_file, table, tmp_path, at_hand, restart):
    """Text, other HDF5 files with a seal; an empty file is replaced."""
    run = run_of(SMALL_RUN, tmp_path)
    (tmp_path / "notes.txt").write_text("mine\n")
    for path in (run, tmp_path / "notes.txt"):
        before = path.read_bytes()
        with pytest.raises(TableError, match="exists and is not a table; give another name"):
            run_sweep(recipe_file, path, at_hand, restart=restart)
        with pytest.raises(TableError, match="exists and is not a table; give another name"):
            merge([table], path)
        assert path.read_bytes() == before
    assert not list(tmp_path.glob("*.parts"))
    with pytest.raises(TableError, match="not a run"):
        train_run(tmp_path / "run.toml", table, restart=True)
    (tmp_path / "t.h5").touch()
    assert merge([table], tmp_path / "t.h5").stat().st_size > 0


def test_the_table_of_another_recipe_is_replaced_only_on_request(table, tmp_path, at_hand):
    other = tmp_path / "other.toml"
    other.write_text('dims = [3]\ndegrees = "0:4"\nnetworks = [{activation = "relu"}]')
    shutil.copy(table, tmp_path / "t.h5")
    with pytest.raises(NtkspecError, match="is the table of another recipe; --restart replaces"):
        run_sweep(other, tmp_path / "t.h5", at_hand)
    assert_same_bits(table, tmp_path / "t.h5")
    run_sweep(other, tmp_path / "t.h5", at_hand, restart=True)
    with open_table(tmp_path / "t.h5") as found:
        assert found.names() == ["relu"]

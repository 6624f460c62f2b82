"""Nothing is lost: kills, full disks, damaged files, two clients, wrong clocks, walltimes.

Every test ends with the same command again, and the bits of a table that nobody disturbed.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from command_line import ntkspec
from sweeping import (
    Cluster,
    Sweep,
    assert_same_bits,
    make_table,
    session_is_alive,
    small_disk,
    until,
)

from ntkspec.errors import NtkspecError, TableError
from ntkspec.opening import open_table
from ntkspec.sweeps import Plan, parse_recipe, run_shard, run_sweep
from ntkspec.sweeps.blocks import block_path, compute_block, read_block
from ntkspec.sweeps.merge import merge

#: Some seconds of work in many blocks, the slow ones at the end, and checks that take little.
RECIPE = """
dims = "2:66"
degrees = "0:100"
block_eigenvalues = 400
checks = {samples = 1, digits = 20, max_dim = 4, max_degree = 4}
[[networks]]
activation = "relu"
[[networks]]
activation = "erf"
bias_variance = 0.1
[[networks]]
activation = "relu"
depth = 2
"""
PLAN = Plan(parse_recipe(RECIPE))
BLOCKS, QUICK = len(PLAN), PLAN.of_network(1)[0]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "r.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def table(recipe, tmp_path_factory):
    """Made in one process, which nobody disturbed."""
    return make_table(recipe, tmp_path_factory.mktemp("table") / "t.h5")


def command(*arguments):
    """Exit code and output of a command that ends by itself, in this process."""
    done = ntkspec(*arguments)
    return done.exit_code, done.output


# --- kills ---------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_the_client_is_killed(recipe, table, tmp_path, at_hand, workers):
    with Sweep(recipe, tmp_path / "t.h5", "--workers", workers) as sweep:
        sweep.until(lambda: len(sweep.blocks) > 5)
        sweep.process.kill()
        until(lambda: not session_is_alive(sweep.process), 30)  # its workers go with it
        done = len(sweep.blocks)
    assert 5 < done < BLOCKS
    result = run_sweep(recipe, tmp_path / "t.h5", at_hand)
    assert result.reused == done and result.computed == BLOCKS - done
    assert_same_bits(table, tmp_path / "t.h5")


@pytest.mark.parametrize("count", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_workers_are_killed(recipe, table, tmp_path, count):
    """One of two, or all: others are started for them."""
    with Sweep(recipe, tmp_path / "t.h5", "--workers", "2") as sweep:
        sweep.until(lambda: len(sweep.blocks) > QUICK + 1)  # the slow ones are at work
        victims = sweep.workers[:count]
        for worker in victims:
            worker.kill()
        assert sweep.ended() == 0, sweep.errors
        assert len(victims) == count
        assert sweep.notes("lost")
        assert sweep.events[-1]["retried"] >= 1
        assert all(json.loads(line)["event"] for line in sweep.errors.splitlines())
    assert_same_bits(table, tmp_path / "t.h5")


@pytest.mark.slow  # that all of them are killed is among the fast ones
def test_a_nanny_is_killed(recipe, table, tmp_path):
    out = tmp_path / "t.h5"
    with Cluster(tmp_path) as cluster:
        victim, _ = cluster.worker(), cluster.worker()
        with Sweep(recipe, out, "--scheduler-file", cluster.file) as sweep:
            sweep.until(lambda: len(sweep.blocks) > QUICK + 1)
            victim.kill()
            until(lambda: not session_is_alive(victim), 30)  # its worker goes with it
            assert sweep.ended() == 0, sweep.errors
    assert_same_bits(table, out)


def test_the_only_nanny_is_killed_and_a_worker_comes_later(recipe, table, tmp_path):
    out = tmp_path / "t.h5"
    with Cluster(tmp_path) as cluster:
        victim = cluster.worker()
        with Sweep(recipe, out, "--scheduler-file", cluster.file) as sweep:
            sweep.until(lambda: len(sweep.blocks) > QUICK + 1)
            victim.kill()
            sweep.until(lambda: sweep.notes("waiting"))
            assert "no worker is connected" in sweep.notes("waiting")[0]["message"]
            cluster.worker()
            assert sweep.ended() == 0, sweep.errors
    assert_same_bits(table, out)


def test_the_scheduler_is_killed(recipe, table, tmp_path):
    out = tmp_path / "t.h5"
    with Cluster(tmp_path) as cluster:
        cluster.worker()
        with Sweep(recipe, out, "--scheduler-file", cluster.file) as sweep:
            sweep.until(lambda: len(sweep.blocks) > 5)
            cluster.scheduler.kill()
            assert sweep.ended() == 2, sweep.errors
            assert "the dask scheduler is gone; run the same command again" in sweep.errors
            assert "Traceback" not in sweep.errors
    make_table(recipe, out)
    assert_same_bits(table, out)


@pytest.mark.parametrize(
    "options,number,code",
    [
        (["--workers", "1"], signal.SIGTERM, 143),
        (["--shard", "1/1"], signal.SIGINT, 130),
        # The other signals; test_cli.py interrupts one with a worker, among the slow tests.
        pytest.param(["--workers", "2"], signal.SIGINT, 130, marks=pytest.mark.slow),
        pytest.param(["--shard", "1/1"], signal.SIGTERM, 143, marks=pytest.mark.slow),
    ],
)
def test_a_batch_system_ends_it(recipe, tmp_path, options, number, code):
    with Sweep(recipe, tmp_path / "t.h5", *options) as sweep:
        sweep.until(lambda: len(sweep.blocks) > 5)
        begun = time.monotonic()
        sweep.process.send_signal(number)
        assert sweep.ended(30) == code
        assert time.monotonic() - begun < 10
        assert "interrupted; the same command again resumes the work" in sweep.errors
        assert "Traceback" not in sweep.errors
        until(lambda: not session_is_alive(sweep.process), 30)
        assert all(read_whole(sweep.out, path) for path in sweep.blocks)


def read_whole(out, path):
    (key,) = [key for key in PLAN if block_path(path.parent, key) == path]
    return read_block(PLAN, key, path.parent).eigenvalue.size


def disturbed(recipe, out, chance):
    """Run once, killed at a random moment; say in which phase that was."""
    kinds = [["--workers", "2"], ["--shard", "1/2"], ["--shard", "2/2"]]
    options = chance.choices(kinds, [4, 1, 1])[0]
    parts = out.with_name(f"{out.name}.parts")
    with Sweep(recipe, out, *options) as sweep:
        target = chance.randrange(BLOCKS + 12)

        def reached():
            done = sum(1 for _ in parts.glob("[nc]*[0-9].*"))
            return done >= target or sweep.process.poll() is not None

        until(reached)
        time.sleep(chance.uniform(0.0, 0.3))
        if "--workers" in options and chance.random() < 0.3 and sweep.process.poll() is None:
            for worker in sweep.workers[: chance.choice([1, 2])]:
                worker.kill()
            time.sleep(chance.uniform(0.0, 1.0))
        blocks, ended = len(sweep.blocks), sweep.process.poll() is not None
        sweep.kill_all()
    if out.exists():  # under its final name only whole
        with open_table(out) as source:
            source.verify_checksums()
        return "after its end"
    if ended:
        return "after a shard's end"
    return "among the blocks" if blocks < BLOCKS else "among checks and assembly"


@pytest.mark.slow  # the client's kill above, test_make.py and the folders below are the fast ones
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kills", [2, 50])
def test_random_kills(recipe, table, tmp_path, kills):
    """Begun again now and then, so that every phase is met."""
    chance = random.Random(20261123 + kills)
    out, phases = tmp_path / "t.h5", []
    while len(phases) < kills:
        phases.append(disturbed(recipe, out, chance))
        if out.exists():
            assert_same_bits(table, out)
            out.unlink()
        elif len(phases) < kills and chance.random() < 0.2:
            shutil.rmtree(tmp_path / "t.h5.parts", ignore_errors=True)
    print({phase: phases.count(phase) for phase in phases})
    with Sweep(recipe, out, "--workers", "1") as sweep:
        assert sweep.ended() == 0, sweep.errors
    assert_same_bits(table, out)
    assert not list(out.parent.glob("*.part*-*")) and not out.with_name("t.h5.parts").exists()


# --- disks ---------------------------------------------------------------------------------------


#: 3 MB uncompressed in blocks of 0.4 MB.
LARGE = """
dims = "2:202"
degrees = "0:1000"
block_eigenvalues = 25000
compression = "none"
checks = {samples = 0}
networks = [{activation = "relu"}]
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A recipe and its table."""
    folder = tmp_path_factory.mktemp("large")
    (folder / "r.toml").write_text(LARGE)
    return folder / "r.toml", make_table(folder / "r.toml", folder / "t.h5")


def test_what_cannot_fit_is_not_begun(large, tmp_path):
    recipe, _ = large
    with small_disk(tmp_path / "disk", "2m") as disk:
        code, said = command("sweep", recipe, "-o", disk / "t.h5")
        assert code == 3 and "GB are free" in said
        assert not list(disk.glob("t.h5.parts/n*"))


@pytest.mark.parametrize(
    "options", [["--workers", "1"], pytest.param(["--shard", "1/1"], marks=pytest.mark.slow)]
)
def test_the_disk_fills_up(large, tmp_path, at_hand, options):
    """Others fill it after the sweep has looked; it ends with a message, never a crash."""
    recipe, table = large
    with small_disk(tmp_path / "disk", "12m") as disk:
        filled = disk / "others"
        out = disk / "t.h5"
        filler = FILLER.format(parts=f"{out}.parts", filled=filled)
        with (
            subprocess.Popen([sys.executable, "-c", filler]) as others,
            Sweep(recipe, out, *options, logs=tmp_path) as sweep,
        ):
            code = sweep.ended()
            others.wait(timeout=60)
            assert code == 3, sweep.errors
            assert "No space left on device" in sweep.errors
            assert "Traceback" not in sweep.errors
            assert not list(disk.glob("t.h5.parts/*.part*"))
            assert not out.exists()
            kept = len(sweep.blocks)
        filled.unlink()
        assert run_sweep(recipe, out, at_hand).reused == kept
        assert_same_bits(table, out)


#: Takes what is left of a disk once the first block is there.
FILLER = """
import glob, os, shutil, time
while not any(map(os.path.getsize, glob.glob("{parts}/n0*"))):
    time.sleep(0.001)
with open("{filled}", "wb") as file:
    try:
        while True:
            file.write(bytes(2**14))
            file.flush()
    except OSError:
        pass
"""


def test_no_room_for_the_table(large, tmp_path):
    recipe, table = large
    with small_disk(tmp_path / "disk", "14m") as disk:
        out = disk / "t.h5"
        run_shard(recipe, out, "1/1")
        filled = disk / "others"
        filled.write_bytes(bytes(shutil.disk_usage(disk).free - 2**20))
        for name, source in (("merge", disk / "t.h5.parts"), ("sweep", recipe)):
            code, said = command(name, source, "-o", out)
            assert code == 3, said
            assert "No space left" in said or "GB are free" in said
            assert "Traceback" not in said
        filled.unlink()
        merge([disk / "t.h5.parts"], out)
        assert_same_bits(table, out)


def test_a_read_only_target(large, tmp_path):
    recipe, _ = large
    with small_disk(tmp_path / "disk", "12m", ",ro") as disk:
        log = tmp_path / "log"
        for options in ([], ["--shard", "1/2"]):
            code, said = command("sweep", recipe, "-o", disk / "t.h5", *options)
            assert code == 3 and "Read-only file system" in said
            assert "Traceback" not in said
        assert not log.exists()


def test_a_target_in_a_folder_that_is_not_there_yet(large, tmp_path, at_hand):
    recipe, table = large
    out = tmp_path / "a" / "b" / "t.h5"
    run_sweep(recipe, out, at_hand)
    assert_same_bits(table, out)


@pytest.mark.parametrize("where", ["folder", "below a file"])
def test_targets_that_cannot_be(large, tmp_path, at_hand, where):
    recipe, _ = large
    (tmp_path / "file").write_text("")
    (tmp_path / "t.h5").mkdir()
    out = tmp_path / "t.h5" if where == "folder" else tmp_path / "file" / "t.h5"
    with pytest.raises(TableError):
        run_sweep(recipe, out, at_hand)


# --- memory --------------------------------------------------------------------------------------

#: Blocks of 2^23 eigenvalues: 134 MB, and some more while they are written.
HEAVY = """
dims = "2:2050"
degrees = "0:4096"
block_eigenvalues = 8388608
compression = "none"
checks = {samples = 0}
networks = [{activation = "relu"}]
"""


@pytest.mark.slow  # the tests above and below have nannies kill workers and start others
def test_a_worker_out_of_memory(tmp_path):
    """dask's nanny kills it; another one, which has more, does its block."""
    (tmp_path / "r.toml").write_text(HEAVY)
    out = tmp_path / "t.h5"
    with Cluster(tmp_path) as cluster:
        cluster.worker("--memory-limit", "240MB")
        with Sweep(tmp_path / "r.toml", out, "--scheduler-file", cluster.file) as sweep:
            sweep.until(lambda: sweep.notes("lost"))
            cluster.worker("--memory-limit", "4GB")
            code = sweep.ended()
            # The small one may have tried a block too often before.
            assert code == 0 or "block_eigenvalues" in sweep.errors, sweep.errors
            assert "Traceback" not in sweep.errors
        if code:
            with Sweep(tmp_path / "r.toml", out) as sweep:
                assert sweep.ended() == 0, sweep.errors
    with open_table(out) as source:
        source.verify_checksums()


def test_no_worker_has_the_memory(tmp_path, monkeypatch):
    # The scheduler gives up at once, not after three other workers.
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "0")
    (tmp_path / "r.toml").write_text(HEAVY)
    out = tmp_path / "t.h5"
    with Cluster(tmp_path) as cluster:
        cluster.worker("--memory-limit", "240MB")
        with Sweep(tmp_path / "r.toml", out, "--scheduler-file", cluster.file) as sweep:
            assert sweep.ended() == 2
            assert "n000-r" in sweep.errors and "block_eigenvalues" in sweep.errors
            assert "Traceback" not in sweep.errors
    assert not out.exists()


# --- damaged files -------------------------------------------------------------------------------

SMALL = """
dims = "2:20"
degrees = "0:40"
block_eigenvalues = 250
checks = {samples = 2, digits = 25, max_dim = 16, max_degree = 16}
networks = [{activation = "relu"}, {activation = "tanh"}]
"""


@pytest.fixture
def parts(tmp_path):
    """A recipe, and a target whose blocks are all there."""
    (tmp_path / "r.toml").write_text(SMALL)
    run_shard(tmp_path / "r.toml", tmp_path / "t.h5", "1/1")
    return tmp_path / "r.toml", tmp_path / "t.h5"


#: Reads blocks of each recipe with one byte changed, at each of many places; in a process of its
#: own, because what reads damaged files might crash.
FLIPS = """
import random, sys
from pathlib import Path
from ntkspec.errors import NtkspecError
from ntkspec.sweeps import Plan, read_recipe
from ntkspec.sweeps.blocks import read_block

step = int(sys.argv[1])
for here in map(Path, sys.argv[2:]):
    plan, folder = Plan(read_recipe(here / "r.toml")), here / "t.h5.parts"
    key = plan[2]
    path = folder / f"{key.name}.h5"
    whole, data = read_block(plan, key, folder), path.read_bytes()
    chance = random.Random(7)
    found = 0
    for at in range(0, len(data), step):
        changed = bytearray(data)
        changed[at] ^= 1 << chance.randrange(8)
        path.write_bytes(changed)
        try:
            read = read_block(plan, key, folder)
        except NtkspecError:
            found += 1
            continue
        same = all((getattr(read, n) == getattr(whole, n)).all() for n in vars(whole))
        assert same, f"wrong numbers pass with byte {at} of {path} changed"
    print(found, len(range(0, len(data), step)))
"""


@pytest.mark.parametrize("step", [307, pytest.param(3, marks=pytest.mark.slow)])
def test_no_flipped_byte_gives_wrong_numbers(tmp_path, step):
    folders = [tmp_path / compression for compression in ("gzip", "none")]
    for folder in folders:
        folder.mkdir()
        (folder / "r.toml").write_text(f'compression = "{folder.name}"' + SMALL)
        run_shard(folder / "r.toml", folder / "t.h5", "1/1")
    done = subprocess.run(
        [sys.executable, "-c", FLIPS, str(step), *folders], capture_output=True, text=True
    )
    assert done.returncode == 0, (done.returncode, done.stderr)
    lines = done.stdout.splitlines()
    assert len(lines) == len(folders)
    for found, tried in (map(int, line.split()) for line in lines):
        assert found > 0.2 * tried, "the numbers are a good part of the file"


@pytest.mark.parametrize("size", [0, 1, 7, 100, 800, 2000, 0.5, 0.9, -1])
def test_a_block_cut_short(parts, size, tmp_path):
    recipe, out = parts
    victim = sorted(tmp_path.glob("t.h5.parts/n*.h5"))[3]
    data = victim.read_bytes()
    victim.write_bytes(data[: int(size * len(data)) if isinstance(size, float) else size])
    with pytest.raises(TableError, match=victim.name):
        merge([f"{out}.parts"], out)
    result = run_shard(recipe, out, "1/1")
    assert result.computed == 1
    assert victim.read_bytes()[-100:] == data[-100:]


def test_things_in_the_place_of_blocks(parts, tmp_path, at_hand):
    recipe, out = parts
    merge([f"{out}.parts"], tmp_path / "whole.h5", layout="virtual")
    folder = tmp_path / "t.h5.parts"
    first, second, third, *_ = sorted(folder.glob("n*.h5"))
    (folder / f"{first.name}.part-1-0123abcd").write_bytes(first.read_bytes()[:500])
    first.unlink()
    shutil.copy(third, second)
    check = next(folder.glob("check-*.json"))
    check.write_text(check.read_text()[:-5])
    result = run_sweep(recipe, out, at_hand)
    assert result.computed == 2
    with open_table(out) as source:
        source.verify_checksums()
        assert all(len(source.checks(name)) == 2 for name in source.networks)
    assert not folder.exists()


def test_a_folder_in_the_place_of_a_block(parts, tmp_path):
    recipe, out = parts
    victim = sorted(tmp_path.glob("t.h5.parts/n*.h5"))[0]
    victim.unlink()
    victim.mkdir()
    with pytest.raises((TableError, OSError), match=victim.name):
        run_shard(recipe, out, "1/1")


def test_a_damaged_recipe_beside_the_blocks(parts, tmp_path, at_hand):
    """The sweep knows its recipe; who merges does not."""
    recipe, out = parts
    (kept,) = tmp_path.glob("t.h5.parts/*.toml")
    kept.write_text(kept.read_text()[:40])
    with pytest.raises(NtkspecError, match=kept.name):
        merge([f"{out}.parts"], out)
    assert run_sweep(recipe, out, at_hand).computed == 0


def test_killed_just_after_the_table_was_there(parts, tmp_path, at_hand):
    """The blocks, not yet removed, go with the next run."""
    recipe, out = parts
    shutil.copytree(f"{out}.parts", tmp_path / "kept")
    merge([f"{out}.parts"], out)
    shutil.copytree(tmp_path / "kept", f"{out}.parts")
    assert run_sweep(recipe, out, at_hand).computed == 0
    assert not (tmp_path / "t.h5.parts").exists()


# --- others at the same target -------------------------------------------------------------------


@pytest.mark.slow  # shards keep clients away just so
def test_a_second_client_stops_with_a_message(recipe, table, tmp_path):
    out = tmp_path / "t.h5"
    with Sweep(recipe, out, "--workers", "1") as first:
        first.until(lambda: len(first.blocks) > 2)
        for source, options, name in (
            (recipe, [], "sweep"),
            (recipe, ["--shard", "1/2"], "sweep"),
            (recipe, ["--restart"], "sweep"),
            (tmp_path / "t.h5.parts", [], "merge"),
        ):
            begun = time.monotonic()
            code, said = command(name, source, "-o", out, *options)
            assert code == 2
            assert "another sweep is writing it" in said
            assert f"process {first.process.pid} on " in said
            assert time.monotonic() - begun < 15
        assert first.process.poll() is None, "it is not disturbed"
        assert first.ended() == 0, first.errors
    assert_same_bits(table, out)


def test_shards_keep_clients_away_and_each_other_not(recipe, table, tmp_path):
    out = tmp_path / "t.h5"
    with Sweep(recipe, out, "--shard", "1/2") as one, Sweep(recipe, out, "--shard", "2/2") as two:
        one.until(lambda: len(one.blocks) > 3)
        for name, source, *options in (
            ("sweep", recipe),
            ("sweep", recipe, "--restart"),
            ("merge", tmp_path / "t.h5.parts"),
        ):
            code, said = command(name, source, "-o", out, *options)
            assert code == 2 and "is writing it" in said
        assert (one.ended(), two.ended()) == (0, 0), one.errors + two.errors
    merge([f"{out}.parts"], out)
    assert_same_bits(table, out)


# --- clocks and walltimes ------------------------------------------------------------------------


@pytest.mark.slow  # test_steady.py has the fast one
def test_a_clock_that_goes_back(recipe, table, tmp_path):
    """An hour, in client and workers, three seconds after each has started."""
    (tmp_path / "sitecustomize.py").write_text(
        textwrap.dedent("""
        import time
        start, real, monotonic = time.monotonic(), time.time, time.monotonic
        time.time = lambda: real() - (3600 if monotonic() - start > 3 else 0)
        """)
    )
    out = tmp_path / "t.h5"
    run_shard(recipe, out, "1/7")
    for path in tmp_path.glob("t.h5.parts/*"):  # made in what is now the future
        os.utime(path, (time.time() + 7200, time.time() + 7200))
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    with Sweep(recipe, out, "--workers", "1", env={"PYTHONPATH": path}) as sweep:
        assert sweep.ended() == 0, sweep.errors
        for event in sweep.notes("progress"):
            assert event["eigenvalues_per_second"] >= 0
            assert event["seconds_left"] is None or event["seconds_left"] >= 0
    assert_same_bits(table, out)


@pytest.mark.slow  # the one on SLURM is run by `make test-slurm`
def test_workers_retire_before_their_walltime(recipe, table, tmp_path):
    """Each lives eight seconds, three of them to start; no task is lost or counts as failed."""
    out = tmp_path / "t.h5"
    with Cluster(tmp_path) as cluster:
        for _ in range(2):
            cluster.worker("--lifetime", "8s", "--lifetime-stagger", "1s", "--lifetime-restart")
        with Sweep(recipe, out, "--scheduler-file", cluster.file) as sweep:
            assert sweep.ended() == 0, sweep.errors
    assert_same_bits(table, out)


# --- the same bits -------------------------------------------------------------------------------


def test_a_block_does_not_depend_on_what_came_before(tmp_path):
    """Checksums of blocks in order, in reverse, and each by a process of its own."""
    text = SMALL.replace('"tanh"', '["tanh", "gelu", "elu"], depth = 2')
    for old, new in (('"0:40"', '"0:20"'), ("block_eigenvalues = 250", "block_eigenvalues = 100")):
        text = text.replace(old, new)
    plan = Plan(parse_recipe(text))
    keys = [plan[i] for n in range(len(plan.grids)) for i in list(plan.of_network(n))[:3]]
    forwards = {key: compute_block(plan, key, tmp_path) for key in keys}
    backwards = {key: compute_block(plan, key, tmp_path) for key in reversed(keys)}
    assert forwards == backwards
    (tmp_path / "r.toml").write_text(plan.recipe.text)
    code = (
        "import sys; from ntkspec.sweeps import *; from ntkspec.sweeps.blocks import *;"
        "from pathlib import Path; p = Plan(read_recipe(sys.argv[1]));"
        "print(compute_block(p, p[int(sys.argv[2])], Path(sys.argv[3])))"
    )
    for key in keys[2::6]:
        number = next(i for i in range(len(plan)) if plan[i] == key)
        done = subprocess.run(
            [sys.executable, "-c", code, tmp_path / "r.toml", str(number), tmp_path],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout.strip() == forwards[key], key

"""Runs: what they record, and that nothing of them is lost."""

import contextlib
import math
import os
import random
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
from sweeping import small_disk, until
from table_numbers import datasets, sealed

import ntkspec
from ntkspec.errors import NtkspecError, TableError
from ntkspec.trainer.recipe import parse_run_recipe
from ntkspec.trainer.runs import Observer, make_problem, open_run, train_run, training

RECIPE = """
steps = 60
records = 13
spacing = "even"
[network]
activation = "relu"
width = 64
seeds = 2
[data]
kind = "circle"
points = 16
[target]
kind = "sine"
degrees = [1, 4]
amplitudes = [1, 0.5]
[loss]
s = ["l2", 1]
"""
#: Several seconds of work, with one hidden layer and with three.
LONG = RECIPE.replace("steps = 60", "steps = 6000").replace("width = 64", "width = 2048")
DEEP = RECIPE.replace("steps = 60", "steps = 3000").replace(
    'activation = "relu"', 'activation = "tanh"\ndepth = 3\nbias_variance = 0.1\ntrained = "all"'
)
DEEP += "[optimizer]\nmomentum = 0.5\n"


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "r.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def whole(recipe):
    """Trained by one call that nobody disturbed."""
    out = recipe.with_name("run.h5")
    train_run(recipe, out)
    return out


def assert_same_bits(one, two):
    first, second = datasets(one), datasets(two)
    assert first.keys() == second.keys()
    for name in first:
        assert first[name].tobytes() == second[name].tobytes(), name


class Stopping(Observer):
    """Raises at the n-th slice, as Ctrl-C does."""

    def __init__(self, slices, error=KeyboardInterrupt):
        self.left, self.error = slices, error
        self.notes = []

    def progress(self, state):
        self.left -= 1
        if self.left == 0:
            raise self.error

    def note(self, event, message, **facts):
        self.notes.append((event, message))


# --- what is recorded ----------------------------------------------------------------------------


def test_the_file_holds_what_the_recipe_says(whole):
    run = open_run(whole)
    assert [m.name for m in run.members] == [
        "l2,width=64,seed=0", "l2,width=64,seed=1", "s=1,width=64,seed=0", "s=1,width=64,seed=1",
    ]  # fmt: skip
    assert run.finished and run.recipe.steps == 60
    assert run.points.n == 16 and run.points.exact_degree == 15 and run.points.equispaced
    assert run.grid.n == 64 and run.degrees.tolist() == list(range(8))
    angle = 2 * np.pi * np.arange(16) / 16
    wanted = np.sin(angle) + 0.5 * np.sin(4 * angle)
    np.testing.assert_allclose(run.target_values, wanted, atol=1e-12)
    for m in run.members:
        assert m.status == "finished" and m.message == "" and m.steps_done == 60
        np.testing.assert_array_equal(m.steps, 5 * np.arange(13))
        assert m.energy.shape == m.amplitude.shape == m.grid_energy.shape == (13, 8)
        assert m.parameters["weights_1"].shape == (64, 2) and m.learned.shape == (16,)
        assert math.isnan(m.s) if m.name.startswith("l2") else m.s == 1.0
        assert 0 < m.step_size <= m.largest_stable_step


def test_records_begin_with_the_target_and_end_with_what_was_learned(whole):
    """f = 0 at the start; at the end against the DFT of the learned values."""
    run = open_run(whole)
    for m in run.members:
        np.testing.assert_allclose(m.energy[0][[1, 4]], [0.5, 0.125], rtol=1e-12)
        np.testing.assert_allclose(m.amplitude[0][[1, 4]], [-(0.5**0.5), -(0.125**0.5)])
        assert np.isnan(m.amplitude[:, [0, 2, 3, 5]]).all()
        np.testing.assert_allclose(m.grid_energy[0], m.energy[0], atol=1e-12)
        residual = m.learned - run.target_values
        spectrum = np.abs(np.fft.rfft(residual) / 16) ** 2
        np.testing.assert_allclose(m.energy[-1, 0], spectrum[0], atol=1e-14)
        np.testing.assert_allclose(m.energy[-1, 1:], 2 * spectrum[1:8], atol=1e-14)
        if math.isnan(m.s):
            np.testing.assert_allclose(m.loss[-1], np.mean(residual**2) / 2, rtol=1e-12)
        assert m.loss[-1] < 0.5 * m.loss[0]


def test_learned_values_are_those_of_the_weights(whole):
    run = open_run(whole)
    m = run.member("s=1,width=64,seed=1")
    values = (
        np.maximum(run.grid.x @ m.parameters["weights_1"].T, 0.0)
        @ m.parameters["weights_2"][0]
        / 8.0
    )
    np.testing.assert_allclose(m.grid_learned, values, atol=1e-12)
    assert 0.0 < m.start_kernel_movement < 1.0
    with pytest.raises(NtkspecError, match="s=1,width=64,seed=0"):
        run.member("s=2,width=64,seed=0")


@pytest.mark.parametrize(
    "data,target,dim",
    [
        ('kind = "random"\npoints = 40\ndim = 4', 'kind = "basis"\ndegrees = [0, 2]\nindex = 0', 4),
        ('kind = "fibonacci"\npoints = 50', 'kind = "zonal"\ndegrees = 3\npole = [1, 1, 0]', 3),
        ('kind = "product"\ndegree = 6', 'kind = "zonal"\ndegrees = [1, 2]', 3),
        ('kind = "product"\ndegree = 6\nweights = "uniform"', 'kind = "zonal"\ndegrees = 1', 3),
        ('kind = "design"\ndegree = 4', 'kind = "zonal"\ndegrees = [1, 2]', 3),
        ('kind = "cloud"\npoints = 60\nweights = "quadrature"', 'kind = "zonal"\ndegrees = 1', 3),
        ('kind = "cloud"\npoints = 60\ndim = 2', 'kind = "sine"\ndegrees = 1', 2),
    ],
)  # fmt: skip
def test_problems_on_all_kinds_of_points(data, target, dim):
    network = 'network = {activation = "tanh", width = 8}'
    problem = make_problem(
        parse_run_recipe(f"steps = 5\n{network}\n[data]\n{data}\n[target]\n{target}")
    )
    points, grid = problem.points, problem.grid
    assert points.dim == grid.dim == dim
    np.testing.assert_allclose(points.weights.sum(), 1.0)
    np.testing.assert_allclose(np.linalg.norm(grid.x, axis=1), 1.0)
    assert set(problem.target.degrees) <= set(problem.degrees.tolist())
    if grid.exact_degree >= 2 * max(problem.target.degrees):
        energy = problem.on_grid.energy(problem.grid_target)
        wanted = np.zeros(problem.degrees.size)
        wanted[np.searchsorted(problem.degrees, problem.target.degrees)] = (
            np.square(problem.target.amplitudes)
        )  # fmt: skip
        np.testing.assert_allclose(energy, wanted, atol=1e-10)


def test_a_loss_that_does_not_see_the_target_is_refused():
    text = """steps = 5
    network = {activation = "tanh", width = 8}
    data = {kind = "random", points = 20, dim = 10}
    target = {kind = "zonal", degrees = [0, 2]}
    loss = {s = 1}"""
    with pytest.raises(NtkspecError, match=r"degrees: 2 .* 20 points weighs degrees to 0"):
        make_problem(parse_run_recipe(text))
    make_problem(parse_run_recipe(text.replace("s = 1", 's = "l2"')))
    make_problem(parse_run_recipe(text.replace("s = 1", "s = 1, max_degree = 1")))


def test_points_of_a_file(tmp_path):
    angle = np.linspace(0.1, 6.0, 24)
    np.savetxt(tmp_path / "p.csv", np.stack((np.cos(angle), np.sin(angle)), 1), delimiter=",")
    text = RECIPE.replace('"circle"\npoints = 16', '"file"\nfile = "p.csv"')
    (tmp_path / "r.toml").write_text(text)
    train_run(tmp_path / "r.toml", tmp_path / "run.h5")
    (tmp_path / "p.csv").unlink()
    run = open_run(tmp_path / "run.h5")  # it needs the file no more
    np.testing.assert_allclose(run.points.x[:, 1], np.sin(angle), atol=1e-12)
    (tmp_path / "p.csv").write_text("1,0\nhere,there\n")
    with pytest.raises(NtkspecError, match=r"r\.toml:11: file .* is not an array of numbers"):
        train_run(tmp_path / "r.toml", tmp_path / "other.h5")
    (tmp_path / "p.csv").write_text("1,0\n2,0\n")
    with pytest.raises(NtkspecError, match=r"r\.toml:9: .* norms from 1 to 2"):
        train_run(tmp_path / "r.toml", tmp_path / "other.h5")


SAMPLES = RECIPE.replace(
    'kind = "sine"\ndegrees = [1, 4]\namplitudes = [1, 0.5]', 'kind = "samples"\nfile = "v.csv"'
)


@pytest.mark.parametrize("name", ["v.csv", "v.npy"])
def test_samples_train_as_the_function_that_they_are_of(whole, tmp_path, name):
    angle = 2 * np.pi * np.arange(16) / 16
    values = np.sin(angle) + 0.5 * np.sin(4 * angle)
    if name == "v.npy":
        np.save(tmp_path / name, values)
    else:
        np.savetxt(tmp_path / name, values, fmt="%.17g")
    (tmp_path / "r.toml").write_text(SAMPLES.replace("v.csv", name))
    train_run(tmp_path / "r.toml", tmp_path / "run.h5")
    (tmp_path / name).unlink()
    run, other = open_run(tmp_path / "run.h5"), open_run(whole)  # it needs the file no more
    assert run.target.degrees == (1, 4) and run.degrees.tolist() == list(range(8))
    np.testing.assert_array_equal(run.target_values, values)
    for m, n in zip(run.members, other.members, strict=True):
        np.testing.assert_allclose(m.energy, n.energy, atol=1e-9)
        np.testing.assert_allclose(m.amplitude, n.amplitude, atol=1e-9)
        np.testing.assert_allclose(m.grid_learned, n.grid_learned, atol=1e-9)
        assert np.isnan(m.grid_energy).all() and np.isnan(m.grid_amplitude).all()
    assert np.isnan(run.grid_target).all()


def test_samples_on_a_cloud_with_the_exponent_that_flattens_them(tmp_path):
    text = """steps = 5
    network = {activation = "tanh", width = 64}
    data = {kind = "cloud", points = 60, weights = "quadrature"}
    target = {kind = "samples", file = "v.csv"}
    loss = {s = "auto"}"""
    np.savetxt(tmp_path / "v.csv", [np.linspace(-1, 1, 60)], delimiter=",")  # a row
    (tmp_path / "r.toml").write_text(text)
    train_run(tmp_path / "r.toml", tmp_path / "run.h5")
    run = open_run(tmp_path / "run.h5")
    (m,) = run.members
    assert math.isfinite(m.s) and run.degrees[-1] == run.points.exact_degree // 2
    np.testing.assert_allclose(m.amplitude[0] ** 2, m.energy[0], rtol=1e-10)
    assert m.loss[-1] < m.loss[0]


@pytest.mark.parametrize(
    "values, words",
    [
        ("1\n2\n", r"has the shape \(2, 1\); give one value for each of the 16 points"),
        ("1,2\n" * 8, r"has the shape \(8, 2\)"),
        ("1\n" * 15 + "nan\n", r"samples\[15\] = nan is not allowed"),
        ("0\n" * 16, "samples are all 0"),
        ("one\n" * 16, "is not an array of numbers"),
        ("", "is not an array of numbers"),
    ],
)
def test_samples_that_are_none(tmp_path, values, words):
    (tmp_path / "v.csv").write_text(values)
    (tmp_path / "r.toml").write_text(SAMPLES)
    with pytest.raises(NtkspecError, match=rf"^\S*r\.toml:14: file = '\S*v.csv'.*{words}") as found:
        train_run(tmp_path / "r.toml", tmp_path / "run.h5")
    assert "\n" not in str(found.value) and not list(tmp_path.glob("run*"))


def test_an_empty_array_file_is_none_either(tmp_path):
    (tmp_path / "v.npy").write_bytes(b"")
    (tmp_path / "r.toml").write_text(SAMPLES.replace("v.csv", "v.npy"))
    with pytest.raises(NtkspecError, match=r"r\.toml:14: file .* is not an array of numbers"):
        train_run(tmp_path / "r.toml", tmp_path / "run.h5")


# --- going on ------------------------------------------------------------------------------------


@pytest.mark.parametrize("slices", [1, 3, 8, 20, 40])
def test_interrupted_anywhere_it_goes_on_to_the_same_bits(recipe, whole, tmp_path, slices):
    out = tmp_path / "run.h5"
    with pytest.raises(KeyboardInterrupt):
        train_run(recipe, out, observer=Stopping(slices))
    assert not out.exists()
    there = open_run(out)
    assert not there.finished and there.members[-1].status == "interrupted"
    assert 0 < there.members[-1].steps_done <= 60
    with pytest.raises(NtkspecError, match="has no learned yet"):
        _ = there.members[-1].learned
    observer = Stopping(0)
    result = train_run(recipe, out, observer=observer)
    assert observer.notes[0][0] == "resumed"
    assert result.reused == len(there.members) - 1
    assert_same_bits(whole, out)
    assert not out.with_name("run.h5.parts").exists()


def test_an_interrupted_call_says_that_it_resumes_and_does(tmp_path):
    given = "tanh", ntkspec.circle(16), ntkspec.harmonics([1, 3], 0.1)
    sizes = {"width": 64, "seeds": 2, "steps": 60}
    whole, out = tmp_path / "whole.h5", tmp_path / "run.h5"
    ntkspec.train(*given, **sizes, save=whole)
    for restart, again in (
        (False, "the same call resumes"),
        (True, "the same call without restart"),
    ):
        with pytest.raises(KeyboardInterrupt) as caught:
            ntkspec.train(*given, **sizes, save=out, restart=restart, observer=Stopping(3))
        (note,) = caught.value.__notes__
        assert str(out) in note and again in note
    observer = Stopping(0)
    ntkspec.train(*given, **sizes, save=out, observer=observer)
    assert observer.notes[0][0] == "resumed"
    assert_same_bits(whole, out)
    with pytest.raises(KeyboardInterrupt) as caught:
        ntkspec.train(*given, **sizes, observer=Stopping(3))
    assert caught.value.__notes__ == ["nothing is kept; with save=path the same call could resume"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_checkpoints_are_written_on_the_way(recipe, whole, tmp_path, error):
    """An error that is not Ctrl-C leaves the last checkpoint."""
    with pytest.raises(error):
        train_run(recipe, tmp_path / "run.h5", checkpoint=0.0, observer=Stopping(5, error))
    (member,) = open_run(tmp_path / "run.h5").members
    assert member.status == ("training" if error is RuntimeError else "interrupted")
    assert member.steps_done > 0
    train_run(recipe, tmp_path / "run.h5")
    assert_same_bits(whole, tmp_path / "run.h5")


@pytest.mark.parametrize("seconds", [math.nan, -1.0, "5", None])
def test_seconds_between_checkpoints_are_a_number(recipe, tmp_path, seconds):
    """With NaN there would be none."""
    with pytest.raises(NtkspecError, match=r"checkpoint = .* is not allowed; it must be a number"):
        train_run(recipe, tmp_path / "run.h5", checkpoint=seconds)


def test_a_finished_run_has_nothing_to_do(recipe, whole, monkeypatch):
    before = whole.read_bytes()
    monkeypatch.setattr(training, "begin", None)
    result = train_run(recipe, whole)
    assert (result.trained, result.reused) == (0, 4)
    assert whole.read_bytes() == before


def test_another_recipe_is_refused(recipe, whole, tmp_path):
    other = tmp_path / "r.toml"
    other.write_text(RECIPE.replace("steps = 60", "steps = 61"))
    with pytest.raises(NtkspecError, match=r"another recipe; --restart"):
        train_run(other, whole)
    out = tmp_path / "run.h5"
    with pytest.raises(KeyboardInterrupt):
        train_run(recipe, out, observer=Stopping(15))
    with pytest.raises(NtkspecError, match=r"another recipe; --restart"):
        train_run(other, out)
    train_run(other, out, restart=True)
    assert open_run(out).recipe.steps == 61
    train_run(recipe, out, restart=True)
    assert_same_bits(whole, out)


def test_other_code_is_refused_until_it_has_finished(recipe, whole, tmp_path, monkeypatch):
    out = tmp_path / "run.h5"
    with pytest.raises(KeyboardInterrupt):
        train_run(recipe, out, observer=Stopping(5))
    for module in ("checkpoints", "run", "file"):
        monkeypatch.setattr(f"ntkspec.trainer.runs.{module}.code_digest", lambda: "another")
    with pytest.raises(NtkspecError, match="another version of the code; --restart"):
        train_run(recipe, out)
    observer = Stopping(0)
    train_run(recipe, whole, observer=observer)
    assert [event for event, _ in observer.notes] == ["old"]


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty"])
def test_a_damaged_checkpoint_is_trained_again(recipe, whole, tmp_path, damage):
    out = tmp_path / "run.h5"
    with pytest.raises(KeyboardInterrupt):
        train_run(recipe, out, observer=Stopping(16))
    path = out.with_name("run.h5.parts") / "member-00000.h5"
    path.write_bytes(damaged(path.read_bytes(), damage))
    (message,) = open_run(out).damaged.values()
    assert "damaged" in message
    observer = Stopping(0)
    train_run(recipe, out, observer=observer)
    assert "damaged" in [event for event, _ in observer.notes]
    assert_same_bits(whole, out)


def damaged(data, how):
    if how == "flipped":
        middle = len(data) // 2
        return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
    return data[:-100] if how == "cut" else b""


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty"])
def test_a_damaged_run_is_said_to_be(recipe, whole, tmp_path, damage):
    path = tmp_path / "run.h5"
    path.write_bytes(damaged(whole.read_bytes(), damage))
    with pytest.raises(TableError, match=r"run\.h5: "):
        open_run(path)
    with pytest.raises(TableError, match="--restart removes it"):
        train_run(recipe, path)


def test_what_is_no_run_is_said_to_be_none(recipe, tmp_path):
    with pytest.raises(TableError, match="does not exist"):
        open_run(tmp_path / "none.h5")
    with pytest.raises(TableError, match="not the folder of a run"):
        open_run(tmp_path)
    with h5py.File(tmp_path / "t.h5", "w") as file:
        file.attrs["format"] = "ntkspec-spectra"
    sealed(tmp_path / "t.h5")
    with pytest.raises(TableError, match=r"not a run of ntkspec.*ntkspec-spectra"):
        open_run(tmp_path / "t.h5")
    with pytest.raises(TableError, match="is not a run; give another name"):
        train_run(recipe, tmp_path / "t.h5")


# --- steps and divergence ------------------------------------------------------------------------


def test_a_member_that_diverges_is_kept_and_the_others_go_on(recipe, whole, tmp_path, monkeypatch):
    advance = training.Descent.advance

    def diverging(self, count):
        if self._loss.s == 1.0 and self.steps >= 20:
            raise training.Diverged("the loss grew at step 20")
        advance(self, count)

    monkeypatch.setattr(training.Descent, "advance", diverging)
    observer, out = Stopping(0), tmp_path / "run.h5"
    result = train_run(recipe, out, observer=observer)
    assert [name for name, _ in result.diverged] == ["s=1,width=64,seed=0", "s=1,width=64,seed=1"]
    assert [event for event, _ in observer.notes] == ["diverged", "diverged"]
    run = open_run(out)
    assert [m.status for m in run.members] == ["finished"] * 2 + ["diverged"] * 2
    m = run.members[-1]
    assert "step 20" in m.message and m.steps_done == 20 and math.isnan(m.start_kernel_movement)
    np.testing.assert_array_equal(m.energy, open_run(whole).members[-1].energy[:5])
    assert train_run(recipe, out).diverged == result.diverged


def test_a_step_that_is_not_stable_is_refused_before_any_training(tmp_path, monkeypatch):
    """L2 would be stable, s = 1 is not: nothing is trained."""
    text = RECIPE + "[optimizer]\nstep_size = 10.0\n"
    (tmp_path / "r.toml").write_text(text)
    monkeypatch.setattr(training.Training, "run", None)
    words = r"s=1,width=64,seed=0: step_size = 10 .*stable step size is \d"
    with pytest.raises(NtkspecError, match=words):
        train_run(tmp_path / "r.toml", tmp_path / "run.h5")
    assert not (tmp_path / "run.h5").exists()


# --- other processes -----------------------------------------------------------------------------


def command(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "ntkspec", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """A recipe of some seconds."""
    path = tmp_path_factory.mktemp("long") / "r.toml"
    path.write_text(LONG)
    return path


def written(parts):
    """Checkpoints in a folder, which another process replaces meanwhile."""
    found = set()
    for one in parts.glob("member-*.h5"):
        with contextlib.suppress(FileNotFoundError):
            found.add((one.name, one.stat().st_mtime_ns))
    return found


@pytest.mark.parametrize(
    "text",
    [pytest.param(LONG, id="one-layer"), pytest.param(DEEP, id="three-layers")],
)
@pytest.mark.parametrize("kills", [1, pytest.param(30, marks=pytest.mark.slow)])
@pytest.mark.timeout(1800)
def test_killed_at_random_moments_it_ends_in_the_same_bits(text, tmp_path, kills):
    recipe, whole, out = tmp_path / "r.toml", tmp_path / "whole.h5", tmp_path / "run.h5"
    recipe.write_text(text)
    train_run(recipe, whole, threads=1)
    parts, chance, done = tmp_path / "run.h5.parts", random.Random(kills), 0
    while done < kills:
        before = written(parts)
        options = ("--checkpoint", "0.1", "--threads", "1")
        with command("train", recipe, "-o", out, *options) as process:
            # It trains: it has written what was not there.
            until(
                lambda p=process, b=before: p.poll() is not None or written(parts) - b,
                seconds=300,
            )
            time.sleep(chance.uniform(0.0, 1.0))
            process.kill()
        done += process.returncode == -signal.SIGKILL
        if out.exists():
            assert_same_bits(whole, out)
            out.unlink()
    train_run(recipe, out, threads=1)
    assert_same_bits(whole, out)
    assert not list(tmp_path.glob("*.part*-*")) and not list(tmp_path.glob("*.parts"))


@pytest.mark.parametrize(
    "number,code",
    [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow)],
)
def test_interrupts_keep_what_is_there(long, tmp_path, number, code):
    out = tmp_path / "run.h5"
    with command("train", long, "-o", out, "--checkpoint", "0.1") as process:
        until(lambda: list(out.with_name("run.h5.parts").glob("member-*.h5")), process=process)
        with pytest.raises(
            NtkspecError, match=f"another training is writing it.*process {process.pid}"
        ):
            train_run(long, out)
        process.send_signal(number)
        errors = process.communicate(timeout=30)[1]
        assert process.returncode == code
    assert "interrupted; the same command again resumes the work" in errors
    assert "Traceback" not in errors
    assert open_run(out).members[-1].status == "interrupted"


#: Ctrl-C comes while HDF5 has its file written, or wants to, which an exception would crash.
INTERRUPTED_IN_HDF5 = """
import os, random, signal, sys, threading, time
from contextlib import nullcontext
from pathlib import Path
import numpy as np
from ntkspec.cli.interrupts import ending_soon
from ntkspec.files.appearing import appearing_hdf5
from ntkspec.files.seals import Numbers

path, count, command = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "command"
chance, data, stopped = random.Random(count), np.arange(10.0**4)[None], 0

def write():
    with appearing_hdf5(path, 0, Numbers(["0"])) as file:
        for name in "01234":
            file.create_dataset(name, data=data, compression="gzip", chunks=(1, 1000))
            file.flush()

for _ in range(count):
    try:
        with ending_soon("hopeless") if command else nullcontext():
            seconds = chance.uniform(0.0, 0.02)
            threading.Timer(seconds, signal.raise_signal, (signal.SIGINT,)).start()
            begun = time.monotonic()
            while time.monotonic() < begun + 1.0:
                write()
    except KeyboardInterrupt:
        stopped += 1
    assert [each for each in path.parent.iterdir() if each != path] == []
write()
# In finalizers Python loses what is raised; commands see to that, a user presses Ctrl-C again.
# How many are lost depends on what else the machine does; a crash of HDF5 exits otherwise.
sys.exit(7 if stopped >= (count if command else 0.3 * count) else 8)
"""


@pytest.mark.parametrize("who", ["command", "library"])
@pytest.mark.parametrize("count", [20, pytest.param(300, marks=pytest.mark.slow)])
def test_interrupts_wait_for_hdf5(tmp_path, who, count):
    """HDF5 compresses between its calls, so most of these come as it calls back."""
    arguments = [tmp_path / "f.h5", str(count), who]
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_IN_HDF5, *arguments],
        stderr=subprocess.PIPE, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 7, done.stderr
    with h5py.File(tmp_path / "f.h5") as file:
        assert file["4"][0, -1] == 9999.0


@pytest.mark.slow
def test_a_second_training_stops_with_a_message(long, tmp_path):
    out = tmp_path / "run.h5"
    with command("train", long, "-o", out, "--checkpoint", "0.1") as first:
        until(lambda: list(out.with_name("run.h5.parts").glob("member-*.h5")), process=first)
        with pytest.raises(
            NtkspecError, match=f"another training is writing it.*process {first.pid}"
        ):
            train_run(long, out)
        first.kill()


@contextlib.contextmanager
def filled(disk):
    """A disk on which others leave no room."""
    path = disk / "others"
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    path.write_bytes(bytes(free))
    yield
    path.unlink()


def test_the_disk_fills_up(recipe, whole, tmp_path):
    with small_disk(tmp_path / "disk", "2m") as disk:
        out = disk / "run.h5"
        with pytest.raises(KeyboardInterrupt):
            train_run(recipe, out, observer=Stopping(16))
        with filled(disk), pytest.raises(TableError, match="are free"):
            train_run(recipe, out)

        class Filling(Stopping):
            def progress(self, state):
                (disk / "others").write_bytes(bytes(max(0, os.statvfs(disk).f_bavail * 4096)))

        with pytest.raises(TableError, match="No space left on device"):
            train_run(recipe, out, observer=Filling(0))
        (disk / "others").unlink()
        train_run(recipe, out)
        assert_same_bits(whole, out)


def test_a_read_only_target(recipe, tmp_path):
    with (
        small_disk(tmp_path / "disk", "2m", ",ro") as disk,
        pytest.raises(TableError, match="Read-only file system"),
    ):
        train_run(recipe, disk / "run.h5")

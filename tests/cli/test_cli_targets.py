"""The commands on a user's vectors and targets."""

import json

import numpy as np
import pytest
from command_line import ntkspec as run
from numpy.testing import assert_allclose

from ntkspec import Network, NtkspecError
from ntkspec.files import vectors
from ntkspec.predict import from_data


@pytest.fixture
def files(tmp_path):
    """Forty vectors, and two targets for each."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 3))
    y = np.stack([x[:, 0], x[:, 1] * x[:, 2] + 0.1], axis=1)
    np.save(tmp_path / "X.npy", x)
    np.save(tmp_path / "y.npy", y[:, 0])
    np.savetxt(tmp_path / "Y.csv", y, delimiter=",", header="one,two", comments="")
    return tmp_path, x, y


def read(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_targets_along_eigenvectors(files):
    folder, x, y = files
    values, v = np.linalg.eigh(Network("relu").ntk_matrix(x) / 40)
    parts = (v.T @ y)[::-1][:6] ** 2 / 40
    rest = np.mean(y**2, axis=0) - parts.sum(axis=0)
    told = ("data", folder / "X.npy", "--network", "relu", "--count", 6, "--format", "json")
    one = read(run(*told, "--target", folder / "y.npy", "--error", 0.1))
    assert_allclose(one["power"], parts[:, 0], rtol=1e-9)
    assert_allclose(one["time"], np.log(10) / values[:-7:-1], rtol=1e-9)
    assert_allclose(one["cumulative"][-1], 1 - rest[0] / np.mean(y[:, 0] ** 2), rtol=1e-9)
    two = read(run(*told, "--target", folder / "Y.csv", "--save", folder / "s.npz"))
    assert_allclose(two["power_1"], parts[:, 1], rtol=1e-9)
    with np.load(folder / "s.npz", allow_pickle=False) as kept:
        assert_allclose(kept["power_0"], parts[:, 0], rtol=1e-9)
    written = run(*told[:-2], "--target", folder / "Y.csv", "-o", folder / "s.csv")
    assert written.exit_code == 0
    assert (folder / "s.csv").read_text().partition("\n")[0].endswith("cumulative_0,cumulative_1")


def test_a_learning_curve_of_data(files):
    folder, x, y = files
    right = from_data("gelu", x, y, samples=[10, 20], ridge=1e-2)
    told = ("predict", "data", "gelu", folder / "X.npy", folder / "Y.csv", "--samples", "10,20")
    found = read(run(*told, "--ridge", 1e-2, "--format", "json"))
    assert_allclose(found["test_error"], right.test_error.ravel(), rtol=1e-12)
    assert (found["output"], found["points"]) == ([0, 1, 0, 1], 40)
    far = run(*told[:-1], "10,4000", "--method", "hermite")
    about, head = far.stdout.splitlines()[:2]
    assert far.exit_code == 0 and head.split()[0] == "samples"
    assert "method = hermite" in about and "ridge_scale = matrix" in about


def enough(x, y, part):
    """The least whole number from which on all errors are at most a part of the mean square."""
    sizes = np.arange(1, len(x) + 1)
    errors = from_data("relu", x, y, samples=sizes).test_error
    level = part * np.mean(y**2, axis=0)
    return [
        1 + max(np.flatnonzero(e > at), default=-1) + 1
        for e, at in zip(errors.T.reshape(-1, len(x)), np.atleast_1d(level))
    ]


@pytest.mark.parametrize("part", [0.9, 0.5, 0.2])
def test_how_many_samples_leave_a_part_of_the_target(part, tmp_path):
    """Against a scan of every whole number; the mean square is that of the file."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal((150, 5))
    y = np.stack([3.0 * x[:, 0] + x[:, 1] * x[:, 2], x[:, 0]], axis=1)
    np.save(tmp_path / "X.npy", x)
    np.save(tmp_path / "Y.npy", y)
    np.save(tmp_path / "y.npy", y[:, 0])
    true = enough(x, y, part)
    every = from_data("relu", x, y, samples=np.arange(1, 151))
    assert every.samples_to_learn(part).tolist() == true
    told = ("predict", "data", "relu", tmp_path / "X.npy")
    found = read(run(*told, tmp_path / "Y.npy", "--reach", part, "--format", "json"))
    assert found["output"] == [0, 1] and found["reach"] == part
    assert_allclose(found["samples"], true, rtol=0.02)
    one = read(run(*told, tmp_path / "y.npy", "--reach", part, "--format", "json"))
    assert one["samples"] == found["samples"][:1] and "output" not in one
    scale = from_data("relu", 1e3 * x, 1e3 * y[:, 0], samples=np.arange(1, 151))
    assert float(scale.samples_to_learn(part)) == true[0]


def test_samples_that_are_not_enough_are_infinite(files):
    folder, x, y = files
    curve = from_data("relu", x, y[:, 0], samples=[40, 10])
    assert float(curve.samples_to_learn(1e-9)) == np.inf
    assert float(curve.samples_to_learn(1.0)) == 10.0
    told = ("predict", "data", "relu", folder / "X.npy", folder / "y.npy", "--reach", "1e-9")
    assert run(*told).stdout.split()[-1] == "inf"
    assert read(run(*told, "--format", "json"))["samples"] == [None]
    far = from_data("relu", x, y[:, 0], samples=[10, 100, 1000, 10000], method="hermite")
    level = np.mean(y[:, 0] ** 2) * 0.3
    above = far.test_error > level
    assert far.samples[above].max(initial=0.0) < far.samples_to_learn(0.3)
    with pytest.raises(NtkspecError, match="error = 2"):
        curve.samples_to_learn(2)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("relu", "X.npy"), "missing argument 'Y': 'relu' is no file for X; the arguments are"),
        (("relu", "none.npz"), "missing argument 'Y': 'relu' is no file for X"),
        (("X.npy", "y.npy"), "missing argument 'ACTIVATION', or --zonal KERNEL"),
        (("relu", "d.npz", "y.npy"), "d.npz is not read, as it may hold several arrays"),
    ],
)
def test_what_is_missing_is_named(words, message, files):
    folder, x, _ = files
    np.savez(folder / "d.npz", X=x)
    named = [folder / one if "." in one else one for one in words]
    result = run("predict", "data", *named)
    assert result.exit_code == 2 and message in result.stderr


@pytest.mark.parametrize("kind", ["npy", "csv", "headed"])
def test_targets_may_be_booleans(files, kind):
    folder, x, _ = files
    y = x[:, 0] > 0
    path = folder / f"flags.{'npy' if kind == 'npy' else 'csv'}"
    if kind == "npy":
        np.save(path, y)
    else:
        path.write_text("flag\n" * (kind == "headed") + "".join(f"{one}\n" for one in y))
    told = ("predict", "data", "gelu", folder / "X.npy", path, "--samples", "10,20")
    found = read(run(*told, "--format", "json"))
    right = from_data("gelu", x, y.astype(float), samples=[10, 20])
    assert_allclose(found["test_error"], right.test_error, rtol=1e-12)
    refused = run("predict", "data", "gelu", path, folder / "y.npy")
    assert refused.exit_code == 3 and "Traceback" not in refused.output


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (np.ones(39), "y.npy has 39 targets and"),
        (np.full(40, np.nan), "nan is not allowed"),
        (np.array(["a"] * 40), "holds an array of <U1"),
        (np.ones(0), "holds an array of shape (0,)"),
        (None, "y.npy: the file is missing"),
    ],
)
def test_wrong_targets(files, content, words):
    folder, *_ = files
    target = folder / "y.npy"
    target.unlink() if content is None else np.save(target, content)
    for told in (
        ("data", folder / "X.npy", "--network", "relu", "--target", target),
        ("predict", "data", "relu", folder / "X.npy", target),
    ):
        result = run(*told)
        assert result.exit_code == 3 and "Traceback" not in result.output
        assert words in result.output


def test_vectors_are_read_once(files, monkeypatch):
    folder, x, _ = files
    np.savetxt(folder / "X.csv", x, delimiter=",")
    reads = []
    whole = vectors._from_csv
    monkeypatch.setattr(vectors, "_from_csv", lambda *given: reads.append(given) or whole(*given))
    told = ("data", folder / "X.csv", "--network", "relu", "--count", 2)
    assert run(*told, "--target", folder / "y.npy").exit_code == 0
    assert len(reads) == 1


def test_an_error_needs_a_target(files):
    result = run("data", files[0] / "X.npy", "--network", "relu", "--error", 0.1)
    assert result.exit_code == 2 and "error = 0.1 is for --target" in result.output

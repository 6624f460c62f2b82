"""The commands on a user's vectors and targets."""

import json

import numpy as np
import pytest
from command_line import ntkspec as run
from numpy.testing import assert_allclose

from ntkspec import Network
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
    two = read(run(*told, "--target", folder / "Y.csv", "-o", folder / "s.npz"))
    assert_allclose(two["power_1"], parts[:, 1], rtol=1e-9)
    with np.load(folder / "s.npz", allow_pickle=False) as kept:
        assert_allclose(kept["power_0"], parts[:, 0], rtol=1e-9)
    written = run(*told, "--target", folder / "Y.csv", "-o", folder / "s.csv")
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

"""``ntkspec data``: what it prints and writes, and what it says of bad files."""

import csv
import io
import json
import os

import numpy as np
import pytest
from command_line import ntkspec as run

from ntkspec import Network, data_spectrum
from ntkspec.files import vectors

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "X.npy"
    np.save(path, RNG.standard_normal((90, 4)))
    return path


def test_it_prints_the_eigenvalues_of_the_matrix(file):
    """The source is numpy's eigenvalues of the full matrix."""
    x = np.load(file)
    network = Network("gelu", depth=2, trained="all")
    true = np.linalg.eigvalsh(network.nngp_matrix(x, fan_in=True) / 90)[::-1]
    arguments = ["--network", "gelu", "--depth", 2, "--trained", "all", "--fan-in", "--count", 4]
    arguments += ["--kernel", "nngp"]
    document = json.loads(run("data", file, *arguments, "--format", "json").stdout)
    np.testing.assert_allclose(document["eigenvalue"], true[:4], rtol=1e-11)
    assert (document["points"], document["dim"], document["activation"]) == (90, 4, "gelu")
    rows = list(
        csv.DictReader(io.StringIO(run("data", file, *arguments, "--format", "csv").stdout))
    )
    assert [float(row["eigenvalue"]) for row in rows] == document["eigenvalue"]
    text = run("data", file, *arguments).stdout.splitlines()
    assert text[0].startswith(
        "# Spectrum of gelu(depth=2,trained=all) on 90 vectors of dimension 4 (nngp), "
    )
    assert text[2].split() == ["rank", "eigenvalue", "residual", "relative_error", "share"]
    assert float(text[3].split()[1]) == pytest.approx(true[0], rel=1e-9)


@pytest.mark.parametrize("name", ["s.npz", "s.csv"])
def test_it_writes_a_file(file, tmp_path, name):
    out = tmp_path / name
    assert run("data", file, "--network", "relu", "--count", 3, "--save", out).exit_code == 0
    expected = data_spectrum("relu", np.load(file), count=3)
    if name.endswith("npz"):
        with np.load(out, allow_pickle=False) as found:
            assert np.array_equal(found["eigenvector"], expected.eigenvectors)
            assert np.array_equal(found["eigenvalue"], expected.eigenvalues)
    else:
        rows = list(csv.DictReader(out.open()))
        assert [float(row["residual"]) for row in rows] == expected.residuals.tolist()


def test_a_zonal_kernel_and_csv_with_names(tmp_path):
    path = tmp_path / "X.csv"
    path.write_text("x,y\n1,0\n0,1\n-1,0\n1,0\n")
    result = run("data", path, "--zonal", "gaussian(1)", "--count", 2)
    assert "1 is repeated, so that the matrix is singular" in result.stdout
    path.write_text("1,0\n0,1\n")
    result = run("data", path, "--network", "relu", "--count", 2, "--format", "csv")
    # The matrix is diag(1/2, 1/2), divided by 2.
    assert [line.split(",")[1] for line in result.stdout.splitlines()[1:]] == ["0.25", "0.25"]


def test_progress_is_shown(file):
    lines = run("data", file, "--network", "relu", "--log-json").stderr.splitlines()
    last = json.loads(lines[-1])
    assert last["event"] == "progress" and last["done"] == last["total"] > 0
    assert "rows, 2 products" in run("data", file, "--network", "relu").stderr


def array(values):
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=True)
    return buffer.getvalue()


WITH_NAN = np.ones((4, 3))
WITH_NAN[2, 1] = np.nan
WHOLE = array(np.ones((100, 3)))

BAD = {
    "empty.npy": (b"", "(0 bytes) is empty"),
    "cut.npy": (WHOLE[:500], "(500 bytes) cannot be read"),
    "header.npy": (WHOLE[:40], "(40 bytes) cannot be read"),
    "other.npy": (b"hello" * 10, "(50 bytes) cannot be read: it is no array that numpy.save"),
    "text.npy": (array(np.array([["a"]])), "it holds an array of <U1; give numbers"),
    "pickle.npy": (array(np.array([{}], object)), "cannot be read"),
    "complex.npy": (array(np.ones((2, 2)) * 1j), "it holds an array of complex128"),
    "nan.npy": (array(WITH_NAN), "(224 bytes)[2, 1] = nan is not allowed"),
    "flat.npy": (array(np.ones(3)), "of shape (3,) cannot be used"),
    "none.npy": (array(np.ones((0, 3))), "of shape (0, 3) cannot be used"),
    "empty.csv": (b"", "(0 bytes) is empty"),
    "names.csv": (b"a,b\n", "of shape (0, 1) cannot be used"),
    "ragged.csv": (b"1,2\n3\n", "the number of columns changed from 2 to 1"),
    "words.csv": (b"1,2\nx,3\n", "could not convert string 'x'"),
    "nan.csv": (b"1,nan\n", "[0, 1] = nan is not allowed"),
    "tokens.npy": (WHOLE[:10] + b"{" * 118 + WHOLE[128:], "cannot be read"),
    "overflow.npy": (
        WHOLE[:10]
        + b"{'descr': '<f8', 'fortran_order': False, 'shape': (999999999999, 99999999), }".ljust(
            117
        )
        + b"\n"
        + WHOLE[128:],
        "cannot be read",
    ),
    "hole.csv": (b"1,,2\n3,4,5\n", "line 1 has numbers and ''"),
    "na.csv": (b"1,NA,2\n3,4,5\n", "line 1 has numbers and 'NA'"),
    "hex.csv": (b"0x10,2\n3,4\n", "line 1 has numbers and '0x10'"),
    "complex.csv": (b"1+2j,3\n3,4\n", "line 1 has numbers and '1+2j'"),
    "bytes.csv": (b"\xff\xfe\x00" * 9, "(27 bytes) cannot be read"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_get_a_sentence_with_their_size(name, tmp_path):
    content, words = BAD[name]
    (tmp_path / name).write_bytes(content)
    result = run("data", tmp_path / name, "--network", "relu", "--count", 1)
    assert result.exit_code == 3
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ") and words in line and f"{name} (" in line


def test_a_first_line_that_is_longer_than_what_is_looked_at_is_a_vector(tmp_path, monkeypatch):
    monkeypatch.setattr(vectors, "MOST_HEADER", 8)
    (tmp_path / "X.csv").write_text("12,34,56,78\n1,2,3,4\n")
    assert vectors.read_vectors(tmp_path / "X.csv")[0].tolist() == [[12, 34, 56, 78], [1, 2, 3, 4]]
    (tmp_path / "X.csv").write_text("height,width,depth,mass\n1,2,3,4\n")
    assert vectors.read_vectors(tmp_path / "X.csv")[0].tolist() == [[1, 2, 3, 4]]


@pytest.mark.parametrize("shape", [(), (40, 1, 1), (0,), (39,)])
def test_targets_of_another_shape_get_a_sentence_before_the_work(shape, tmp_path):
    np.save(tmp_path / "X.npy", np.ones((40, 2)))
    np.save(tmp_path / "y.npy", np.ones(shape))
    x, y = tmp_path / "X.npy", tmp_path / "y.npy"
    commands = [
        ("data", x, "--network", "relu", "--count", 1, "--target", y),
        ("predict", "data", "relu", x, y),
    ]
    for command in commands:
        result = run(*command)
        assert result.exit_code == 3
        (line,) = result.stderr.splitlines()
        assert line.startswith("Error: ") and "y.npy" in line


@pytest.mark.parametrize("shape", [(40,), (40, 2, 2)])
def test_points_of_another_shape_are_a_bad_file_for_predictions_too(shape, tmp_path):
    np.save(tmp_path / "X.npy", np.ones(shape))
    np.save(tmp_path / "y.npy", np.ones(40))
    result = run("predict", "data", "relu", tmp_path / "X.npy", tmp_path / "y.npy")
    (line,) = result.stderr.splitlines()
    assert result.exit_code == 3 and "X.npy of shape (40," in line


def test_a_folder_that_does_not_exist_is_said_before_the_work(file, tmp_path):
    result = run("data", file, "--network", "relu", "--save", tmp_path / "none" / "s.csv")
    (line,) = result.stderr.splitlines()
    assert result.exit_code == 3 and line.endswith("none does not exist")


def test_an_error_that_is_not_allowed_is_said_before_the_work(file, tmp_path):
    np.save(tmp_path / "y.npy", np.ones(90))
    result = run("data", file, "--network", "relu", "--target", tmp_path / "y.npy", "--error", 0)
    assert result.exit_code == 2 and result.stderr.startswith("Error: error = 0.0")


def test_missing_files_pipes_and_other_kinds(tmp_path):
    missing = run("data", tmp_path / "no.npy", "--network", "relu")
    assert missing.exit_code == 3 and "missing" in missing.stderr
    os.mkfifo(tmp_path / "pipe.npy")
    pipe = run("data", tmp_path / "pipe.npy", "--network", "relu")
    assert pipe.exit_code == 3
    assert pipe.stderr == f"Error: {tmp_path / 'pipe.npy'}: the file must be a regular file\n"
    other = run("data", tmp_path / "X.txt", "--network", "relu")
    assert other.exit_code == 2 and "is no .npy or .csv file" in other.stderr


def test_refused_arguments(file, tmp_path):
    for arguments, words in (
        ([], "missing option '--network ACTIVATION'"),
        (["--network", "relu", "--zonal", "laplace"], "--zonal is instead of --network"),
        (["--network", "relu", "--count", 91], "90 vectors have no more than 90 eigenvalues"),
        (["--network", "relu", "--save", tmp_path / "s.txt"], "ends with .csv"),
        (["--network", "relu", "--memory", "1kB"], "and memory = 1 kB"),
        (["--network", "relu", "--memory", "1e400GB"], "memory = '1e400GB' is not allowed"),
    ):
        result = run("data", file, *arguments)
        assert result.exit_code == 2 and words in result.stderr, result.stderr


def test_a_file_larger_than_the_memory_is_refused_before_it_is_computed(tmp_path):
    """The file is sparse: 80 GB that take no room on the disk."""
    path = tmp_path / "X.npy"
    shape = (10**8, 100)
    with path.open("wb") as file:
        np.lib.format.write_array_header_2_0(
            file, {"descr": "<f8", "fortran_order": False, "shape": shape}
        )
        file.truncate(file.tell() + 8 * shape[0] * shape[1])
    size = path.stat().st_size
    assert size > 79e9
    result = run("data", path, "--network", "relu")
    assert result.exit_code == 2 and "100000000 vectors of dimension 100" in result.stderr
    assert "memory = 256 MB" in result.stderr


def test_the_output_is_what_would_be_printed(file, tmp_path):
    arguments = ("data", file, "--network", "relu", "--count", 3)
    assert run(*arguments, "-o", tmp_path / "s.txt").stdout == ""
    assert (tmp_path / "s.txt").read_text() == run(*arguments).stdout
    run(*arguments, "-o", tmp_path / "s.csv")
    assert (tmp_path / "s.csv").read_text() == run(*arguments, "--format", "csv").stdout


def test_an_output_of_another_option_is_refused(file, tmp_path):
    for arguments, name, option in (
        (("data", file, "--network", "relu"), "s.npz", "--save"),
        (("compare", file), "c.png", "--picture"),
    ):
        result = run(*arguments, "-o", tmp_path / name)
        assert result.exit_code == 2 and f"use {option}" in result.output
        assert not (tmp_path / name).exists()

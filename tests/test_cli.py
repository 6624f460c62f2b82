"""The command line: what it prints, and what bad input gets."""

from __future__ import annotations

import csv
import io
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import ntkspec
from ntkspec.cli import main

COMMANDS = ("eig", "sweep", "verify", "info", "export", "plot")


def run(*arguments: str) -> Result:
    """Run the command line in this process; what it raises is a failure of the test."""
    result = CliRunner().invoke(main, arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def process(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ntkspec", *arguments], capture_output=True, text=True
    )


def test_version() -> None:
    assert run("--version").output == f"ntkspec, version {ntkspec.__version__}\n"


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)])
def test_help_shows_a_worked_example(command: tuple[str, ...]) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert len(result.output.split("Example")) == 2
    example = result.output.split("Example")[1].splitlines()[1]
    assert example.startswith("    ntkspec ")
    assert all(len(line) <= 100 for line in result.output.splitlines())


def test_examples_of_eig_work() -> None:
    for command in ((), ("eig",)):
        example = run(*command, "--help").output.split("Example")[1].splitlines()[1]
        assert run(*example.split()[1:]).exit_code == 0


def test_eig_text() -> None:
    """DESIGN 2.1: lambda_0 = 1/16, lambda_1 = 1/12, lambda_2 = 0.02734375, lambda_3 = 0."""
    lines = run("eig", "relu", "--dim", "3", "--degrees", "0:4").output.splitlines()
    comments, table = [s for s in lines if s[0] == "#"], [s for s in lines if s[0] != "#"]
    assert "activation = relu" in comments[0]
    assert table[0].split()[:2] == ["degree", "eigenvalue"]
    rows = [[float(cell) for cell in line.split()] for line in table[1:]]
    assert [row[0] for row in rows] == [0, 1, 2, 3]
    np.testing.assert_allclose([row[1] for row in rows], [1 / 16, 1 / 12, 0.02734375, 0], 1e-14)
    assert rows[3][2] == -math.inf
    assert [row[3] for row in rows] == [1, 3, 5, 7]
    assert len({len(line) for line in table}) == 1, "the columns are aligned"


def test_eig_csv_keeps_every_digit() -> None:
    output = run(
        "eig", "tanh", "--dim", "5", "--degrees", "1,3,400,401,402", "--format", "csv"
    ).output
    rows = list(csv.DictReader(io.StringIO(output)))
    spectrum = ntkspec.spectrum("tanh", 5, [1, 3, 400, 401, 402])
    assert [int(row["degree"]) for row in rows] == spectrum.degrees.tolist()
    assert [float(row["eigenvalue"]) for row in rows] == spectrum.eigenvalues.tolist()
    assert [float(row["log_eigenvalue"]) for row in rows] == spectrum.log_eigenvalues.tolist()
    assert [float(row["relative_error"]) for row in rows] == spectrum.relative_error.tolist()


def test_eig_json_is_strict() -> None:
    result = run("eig", "tanh", "--dim", "1000", "--degrees", "0:2002:667", "--format", "json")

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    document = json.loads(result.stdout, parse_constant=refuse)
    spectrum = ntkspec.spectrum("tanh", 1000, range(0, 2002, 667))
    assert document["network"]["activation"] == "tanh"
    assert (document["dim"], document["kernel"]) == (1000, "ntk")
    assert document["degree"] == [0, 667, 1334, 2001]
    assert document["eigenvalue"] == spectrum.eigenvalues.tolist()
    logs = [-math.inf if log is None else log for log in document["log_eigenvalue"]]
    assert logs == spectrum.log_eigenvalues.tolist()
    assert document["eigenvalue"][3] == 0.0 > document["log_eigenvalue"][3], "below the doubles"
    assert document["log_eigenvalue"][2] is None, "exactly zero"
    assert document["multiplicity"][3] is None, "N(1000, 2001) is beyond the doubles"


def test_eig_passes_every_parameter_on() -> None:
    output = run(
        "eig", "leaky_relu", "--slope", "0.25", "--weight-variance", "2.5", "--trained", "all",
        "--kernel", "nngp", "--normalization", "surface", "--dim", "4", "--degrees", "2:4",
        "--format", "json",
    ).output  # fmt: skip
    network = ntkspec.Network("leaky_relu", slope=0.25, weight_variance=2.5, trained="all")
    wanted = ntkspec.eigenvalues(network, 4, [2, 3], kernel="nngp", normalization="surface")
    document = json.loads(output)
    assert document["eigenvalue"] == wanted.tolist()
    assert document["network"] == network.parameters()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["relu", "--dim", "2.5"], "'2.5' is not a valid integer"),
        (["relu", "--dim", "1"], "dim = 1 is not allowed"),
        (["relu", "--dim", "-3"], "dim = -3 is not allowed"),
        (["relu", "--degrees", "5:5"], "degrees"),
        (["relu", "--degrees", "abc"], "degrees"),
        (["relu", "--degrees", ""], "degrees"),
        (["relu", "--degrees", "0:4:0"], "degrees"),
        (["relu", "--degrees", "1.5"], "degrees"),
        (["relu", "--degrees", "-1"], "degree"),
        (["relu", "--degrees", "-2:3"], "degree"),
        (["relu", "--degrees", "0:1000000000000"], "degree"),
        (["rleu"], "did you mean relu"),
        (["softplus"], "'softplus' is unknown"),
        (["relu", "--slope", "0.1"], "only leaky_relu has one"),
        (["leaky_relu", "--slope", "nan"], "slope = nan is not allowed"),
        (["relu", "--weight-variance", "0"], "weight_variance = 0.0 is not allowed"),
        (["relu", "--weight-variance", "nan"], "weight_variance = nan is not allowed"),
        (["relu", "--bias-variance", "-1"], "bias_variance = -1.0 is not allowed"),
        (["relu", "--depth", "0"], "depth = 0 is not allowed"),
        (["relu", "--trained", "none"], "trained = 'none' is not allowed"),
        (["relu", "--kernel", "cntk"], "kernel = 'cntk' is not allowed"),
        (["relu", "--normalization", "l2"], "normalization = 'l2' is not allowed"),
        (["relu", "--format", "xml"], "'xml' is not one of"),
    ],
)
def test_bad_parameter_is_one_sentence_and_exit_2(arguments: list[str], sentence: str) -> None:
    result = run("eig", *arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert result.stdout == ""


def test_bad_parameter_as_a_process() -> None:
    result = process("eig", "relu", "--dim", "1")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert "dim = 1 is not allowed; it must be a whole number from 2 to" in result.stderr


@pytest.mark.parametrize("command", ["info", "verify", "export", "plot"])
def test_missing_table_exits_3(command: str, tmp_path: Path) -> None:
    output = {"export": ["-o", "-"], "plot": ["-o", str(tmp_path / "figure.png")]}
    result = run(command, str(tmp_path / "none.h5"), *output.get(command, []))
    assert result.exit_code == 3
    assert "none.h5" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_closed_pipe_is_quiet() -> None:
    command = f"{sys.executable} -m ntkspec eig relu --degrees 0:20000 --format csv | head -n 1"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (result.stdout.split(",")[0], result.stderr) == ("degree", "")

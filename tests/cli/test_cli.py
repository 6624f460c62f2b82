"""The command line: what it prints, and what bad input gets."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from command_line import ntkspec as run
from table_numbers import altered, reseal

import ntkspec
from ntkspec.activations import ACTIVATIONS
from ntkspec.cli.watchers import watching
from ntkspec.jobs.progress import Progress
from ntkspec.sweeps import External

COMMANDS = (
    "eig", "data", "certify", "predict", "sweep", "scan", "merge", "verify", "info", "export",
    "fit", "plot", "train", "compare", "explore",
)  # fmt: skip


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


def test_every_command_is_among_them_and_its_summary_is_whole() -> None:
    lines = run("--help").output.split("Commands:\n")[1].splitlines()
    assert {line.split()[0] for line in lines} == set(COMMANDS)
    assert all(line.endswith(".") and not line.endswith("...") for line in lines)


def test_the_help_of_eig_names_every_activation() -> None:
    words = set(run("eig", "--help").output.replace(",", " ").split())
    assert set(ACTIVATIONS) <= words


@pytest.mark.slow
def test_certify_prints_enclosures() -> None:
    result = run("certify", "relu", "--depth", "2", "--degrees", "0:3", "--digits", "15")
    assert result.exit_code == 0
    assert "[0.0965308108266450" in result.output
    document = json.loads(run("certify", "tanh", "--degrees", "0:2", "--format", "json").output)
    assert document["enclosure"][0] == "0"
    assert document["enclosure"][1].startswith("[0.139477224119675")


def test_certify_refuses_in_a_sentence() -> None:
    for arguments, words in (
        (["selu"], "certify has no proof for selu"),
        (["relu", "--digits", "0"], "digits = 0"),
        (["relu", "--dim", "1"], "dim = 1"),
    ):
        refused = run("certify", *arguments)
        assert refused.exit_code == 2
        assert words in refused.output


def test_examples_of_eig_work() -> None:
    for command in ((), ("eig",)):
        example = run(*command, "--help").output.split("Example")[1].splitlines()[1]
        assert run(*example.partition(" #")[0].split()[1:]).exit_code == 0


def test_eig_text() -> None:
    """Closed form: lambda_0 = 1/16, lambda_1 = 1/12, lambda_2 = 0.02734375, lambda_3 = 0."""
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


@pytest.mark.parametrize("command", ["eig", "certify"])
def test_the_readout_is_named_where_it_is_not_as_the_hidden_layers(command: str) -> None:
    """What is named is what was computed: a constant is the readout's bias, in lambda_0 alone."""
    options = (command, "relu", "--depth", "2", "--trained", "all", "--degrees", "0:2")

    def printed(*more: str) -> tuple[str, list[float]]:
        lines = run(*options, *more).output.splitlines()
        rows = [line.replace("[", "").split() for line in lines if line.lstrip()[0] in "01"]
        return lines[0], [float(row[1]) for row in rows]

    heading, without = printed("--bias-variance", "0.1")
    assert heading.endswith("readout_variance = 1.0, readout_bias_variance = 0.0")
    heading, alike = printed("--bias-variance", "0.1", "--readout-bias-variance", "0.1")
    assert heading.count("readout") == 1, "the parameter that is not at its default"
    np.testing.assert_allclose(np.subtract(alike, without), [0.1, 0.0], 0, 1e-14)
    heading, ones = printed("--weight-variance", "2,1")
    assert heading.endswith("readout_variance = 1.0, readout_bias_variance = 0.0")
    assert "readout" not in printed()[0] and len(ones) == 2


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
    ("arguments", "message"),
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
        (["softsigmoid"], "'softsigmoid' is unknown"),
        (["step"], "no neural tangent kernel"),
        (["relu", "--depth", "0"], "depth = 0"),
        (["relu", "--power", "2"], "only relu_power has one"),
        (["tanh", "--weight-variance", "inf"], "weight_variance = inf"),
        (["tanh", "--bias-variance", "nan"], "bias_variance = nan"),
        (["tanh", "--weights", "sphere", "--depth", "2"], "sphere"),
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
def test_bad_parameter_gets_a_message_and_exit_code_2(arguments: list[str], message: str) -> None:
    result = run("eig", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


def test_bad_parameter_as_a_process() -> None:
    result = process("eig", "relu", "--dim", "1")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert "dim = 1 is not allowed; it must be a whole number from 2 to" in result.stderr


RECIPE = """
dims = "2:5"
degrees = "0:12"
[checks]
samples = 1
digits = 20
[[networks]]
activation = "relu"
[[networks]]
activation = "tanh"
"""


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, at_hand: External) -> Path:
    """Return a folder with recipe.toml and the table.h5 that the command line made of it."""
    folder = tmp_path_factory.mktemp("swept")
    (folder / "recipe.toml").write_text(RECIPE)
    result = sweep(folder, "--scheduler", at_hand.address)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"wrote {folder / 'table.h5'}: 2 blocks; 2 checks\n"
    assert "2/2 blocks and checks, " in result.stderr
    assert "eigenvalues/s" in result.stderr
    return folder


def sweep(folder: Path, *more: str) -> Result:
    return run("sweep", str(folder / "recipe.toml"), "-o", str(folder / "table.h5"), *more)


@pytest.fixture
def table(swept: Path) -> str:
    return str(swept / "table.h5")


def test_sweep_again_has_nothing_to_do(swept: Path, at_hand: External) -> None:
    before = (swept / "table.h5").read_bytes()
    assert (
        sweep(swept, "--scheduler", at_hand.address).stdout
        == f"{swept / 'table.h5'} is complete already\n"
    )
    assert (swept / "table.h5").read_bytes() == before


def test_sweep_of_shards(swept: Path, tmp_path: Path, at_hand: External) -> None:
    shutil.copy(swept / "recipe.toml", tmp_path)
    for shard in ("1/2", "2/2"):
        result = sweep(tmp_path, "--shard", shard)
        assert result.stdout == f"computed 1 block of shard {shard}\n", result.stderr
    result = sweep(tmp_path, "--scheduler", at_hand.address)
    assert (
        result.stdout == f"wrote {tmp_path / 'table.h5'}: 2 blocks, 2 by earlier runs; 2 checks\n"
    )
    with (
        ntkspec.open_table(swept / "table.h5") as one,
        ntkspec.open_table(tmp_path / "table.h5") as two,
    ):
        assert list(one.rows()) == list(two.rows())


@pytest.mark.parametrize(
    ("recipe", "arguments", "exit_code", "message"),
    [
        (None, [], 3, "recipe.toml: the recipe cannot be read"),
        (RECIPE.replace("tanh", "tanj"), [], 2, "did you mean tanh"),
        (RECIPE.replace("2:5", "1:5"), [], 2, "dim = 1 is not allowed"),
        (RECIPE.replace("0:12", "12:12"), [], 2, "degrees = '12:12' is empty"),
        (RECIPE, ["--workers", "0"], 2, "workers = 0 is not allowed"),
        (RECIPE, ["--workers", "two"], 2, "'two' is not a valid integer"),
        (RECIPE, ["--shard", "3/2"], 2, "shard = '3/2' is not allowed"),
        (RECIPE, ["--shard", "1/2", "--workers", "2"], 2, "--shard and --workers are not allowed"),
        (RECIPE, ["--cluster", "slurm", "--scheduler", "tcp://a:1"], 2, "not allowed together"),
        (RECIPE, ["--cluster", "slrm"], 2, "kind = 'slrm' is not allowed"),
        (RECIPE, ["--memory", "4GB"], 2, "--memory is only allowed with --cluster"),
        (RECIPE, ["--tls-ca", "ca.pem"], 2, "--tls-ca is only allowed with --scheduler"),
        (
            RECIPE,
            ["--dashboard", "0.0.0.0:1", "--shard", "1/2"],
            2,
            "--dashboard is not allowed with --shard",
        ),
        (RECIPE, ["--dashboard", ":8787"], 2, "write HOST:PORT"),
        (RECIPE, ["--dry-run"], 2, "--dry-run is only allowed with --cluster"),
        (RECIPE, ["--layout", "double"], 2, "layout = 'double' is not allowed"),
        (RECIPE, ["--scheduler-file", "none.json"], 2, "'none.json' does not exist"),
        ("block_eigenvalues = 0" + RECIPE, [], 2, "recipe.toml:1: block_eigenvalues = 0"),
    ],
)
def test_bad_sweep(
    recipe: str | None, arguments: list[str], exit_code: int, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "recipe.toml"
    if recipe is not None:
        path.write_text(recipe)
    result = run("sweep", str(path), "-o", str(tmp_path / "table.h5"), *arguments)
    assert (result.exit_code, result.stdout) == (exit_code, "")
    assert message in result.stderr
    assert not (tmp_path / "table.h5").exists()


def test_a_plan_computes_nothing(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE.replace("2:5", "2:100002").replace("0:12", "0:10000"))
    begun = time.monotonic()
    result = run("sweep", str(recipe), "--plan")
    assert time.monotonic() - begun < 20
    assert result.exit_code == 0
    for words in ("2000000000 eigenvalues", "32 GB", "relu", "tanh", "memory", "blocks"):
        assert words in result.output
    assert list(tmp_path.iterdir()) == [recipe]


def test_a_dry_run_prints_the_job_script(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    table = '[cluster]\npartition = "long"\nmemory = "3GB"\nprologue = ["module load hdf5"]\n'
    recipe.write_text(RECIPE + table)
    options = ("--cluster", "slurm", "--dry-run", "--walltime", "00:30:00")
    result = run("sweep", str(recipe), *options)
    assert result.exit_code == 0
    for words in ("#SBATCH -p long", "--mem=3G", "-t 00:30:00", "module load hdf5", "--lifetime"):
        assert words in result.output
    assert list(tmp_path.iterdir()) == [recipe]


def test_sweep_without_a_target(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(RECIPE)
    result = run("sweep", str(tmp_path / "recipe.toml"))
    assert result.exit_code == 2
    assert "Missing option '-o'" in result.stderr


def test_the_log_of_a_sweep_is_json(tmp_path: Path, at_hand: External) -> None:
    (tmp_path / "recipe.toml").write_text(RECIPE)
    result = sweep(tmp_path, "--scheduler", at_hand.address, "--log-json")
    assert result.exit_code == 0, result.stderr
    events = [json.loads(line) for line in result.stderr.splitlines()]
    assert {"cluster", "progress"} == {event["event"] for event in events}
    last = events[-1]
    assert last["done"] == last["total"] > 2
    assert last["eigenvalues"] == 72
    assert last["eigenvalues_per_second"] > 0
    assert last["retried"] == 0
    assert [event["time"] for event in events] == sorted(event["time"] for event in events)


def test_info_on_an_unfinished_sweep(tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(RECIPE)
    sweep(tmp_path, "--shard", "1/2")
    for name in ("table.h5", "table.h5.parts"):
        result = run("info", str(tmp_path / name))
        assert result.exit_code == 0
        assert "an unfinished sweep" in result.output
        assert "1 of 2 blocks, 36 of 72 eigenvalues (50.0%)" in result.output
    assert run("info", str(tmp_path)).exit_code == 3


@pytest.mark.slow
def test_interrupted_sweep_says_how_to_go_on(tmp_path: Path) -> None:
    recipe = RECIPE.replace("0:12", "0:4001").replace("2:5", "2:1000")
    (tmp_path / "recipe.toml").write_text("block_eigenvalues = 16384" + recipe)
    command = [sys.executable, "-m", "ntkspec", "sweep", str(tmp_path / "recipe.toml")]
    running = subprocess.Popen(
        [*command, "-o", str(tmp_path / "table.h5"), "--workers", "1"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    parts = tmp_path / "table.h5.parts"
    while not list(parts.glob("*.h5")):
        assert running.poll() is None, running.communicate()
        time.sleep(0.05)
    begun = time.monotonic()
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does
    stdout, stderr = running.communicate(timeout=30)
    assert running.returncode == 130
    assert time.monotonic() - begun < 25  # well below a second on an idle machine
    assert stdout == ""
    assert "interrupted; the same command again resumes the work" in stderr
    assert "Traceback" not in stderr
    assert not (tmp_path / "table.h5").exists()


IN_A_FINALIZER = """
class Finalized:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

Finalized()
"""
SWALLOWED = """
try:
    signal.raise_signal(signal.SIGINT)
except BaseException:
    pass
"""


@pytest.mark.parametrize(
    ("losing", "code", "error", "least", "most"),
    [
        (IN_A_FINALIZER, 1, "ntkspec.cli.interrupts.Interrupt: 130", 0, 2),  # a traceback
        (SWALLOWED, 130, "interrupted; again", 4, 20),
    ],
    ids=["in a finalizer", "swallowed"],
)
def test_lost_interrupt_ends_the_process_all_the_same(
    losing: str, code: int, error: str, least: float, most: float
) -> None:
    body = textwrap.indent(losing + "time.sleep(60)", "    ")
    program = f"""
import signal, time
from ntkspec.cli.interrupts import ending_soon
print(time.monotonic(), flush=True)
with ending_soon("interrupted; again"):
{body}
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert least < time.monotonic() - float(result.stdout) < most
    assert result.returncode == code
    assert result.stderr.splitlines()[-1].startswith(error)
    assert "ignored" not in result.stderr


@pytest.mark.parametrize("kept", ["", "known.append(half); "])
def test_an_object_half_made_by_an_interrupt_is_not_reported(kept: str) -> None:
    """llvmlite's finalizers read attributes that an interrupted constructor did not set."""
    program = f"""
import signal
import click
from ntkspec.cli.group import ErrorsAsMessages
known = []
class Half:
    def __init__(self):
        signal.raise_signal(signal.SIGINT)
        self.whole = True
    def __del__(self):
        self.whole
@click.group(cls=ErrorsAsMessages)
def main(): pass
@main.command()
def work():
    half = Half.__new__(Half)
    {kept}half.__init__()
main(["work"])
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "interrupted\n")


def test_info(table: str) -> None:
    lines = run("info", table).output.splitlines()
    assert lines[0] == f"{table}: ntkspec-spectra, version 3"
    assert f"ntkspec {ntkspec.__version__}, python" in lines[2]
    (tanh,) = [line for line in lines if "tanh" in line]
    cells = [cell.strip() for cell in tanh.split("│")[1:7]]
    assert cells == ["tanh", "sphere", "ntk", "2:5", "0:12", "36"]


def test_verify(table: str) -> None:
    options = ("--samples", "12", "--digits", "20", "--seed", "7", "--all", "--workers", "1")
    result = run("verify", table, *options)
    assert result.exit_code == 0
    assert result.stdout.count(" ok ") == 12
    last = result.stdout.splitlines()[-1]
    assert last.startswith(
        "12 entries recomputed by balls to 20 digits (--seed 7): worst relative error"
    )


def test_verify_names_the_seed_that_it_drew(table: str) -> None:
    last = run("verify", table, "--samples", "2", "--digits", "20", "--workers", "1").stdout
    seed = last.partition("--seed ")[2].partition(")")[0]
    assert int(seed) >= 0


def test_verify_exits_1_for_a_wrong_entry(table: str, tmp_path: Path) -> None:
    """One entry off by 1e-9, with checksums that fit: only recomputing it can show that."""
    wrong = tmp_path / "wrong.h5"
    shutil.copy(table, wrong)
    with altered(wrong) as file:
        group = file["relu"]
        group["eigenvalue"][1, 2] *= 1 + 1e-9
        reseal(group)
    arguments = ("--samples", "72", "--digits", "20", "--workers", "1")
    result = run("verify", str(wrong), *arguments)
    assert result.exit_code == 1
    assert result.stdout.count(" OFF ") == 1
    assert "worst relative error 1.0e-09" in result.stdout
    assert "1 of 72 entries differ by more than their error bounds" in result.stderr
    assert run("verify", table, "--samples", "4", *arguments[2:]).exit_code == 0


def test_damaged_table_exits_3_and_says_where(table: str, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.h5"
    shutil.copy(table, damaged)
    with altered(damaged) as file:
        file["tanh"]["eigenvalue"][1, 3] *= 1 + 1e-9
    result = run("verify", str(damaged), "--samples", "1", "--digits", "20", "--workers", "1")
    assert result.exit_code == 3
    assert "damaged.h5: tanh is damaged" in result.stderr
    damaged.write_bytes(damaged.read_bytes()[:3000])
    for command in (["info"], ["export", "-o", "-"]):
        result = run(*command, str(damaged))
        assert (result.exit_code, result.stdout) == (3, "")
        assert "damaged.h5" in result.stderr


def test_export(table: str, tmp_path: Path) -> None:
    selection = ("--network", "tanh", "--dim", "3", "--degrees", "0,1,11")
    output = run("export", table, "-o", "-", *selection).stdout
    rows = list(csv.DictReader(io.StringIO(output)))
    assert [(row["network"], row["dim"], row["degree"]) for row in rows] == [
        ("tanh", "3", "0"), ("tanh", "3", "1"), ("tanh", "3", "11")
    ]  # fmt: skip
    # Also in data/spectra.csv, by the independent route
    assert float(rows[1]["eigenvalue"]) == pytest.approx(0.139477224119675774, rel=1e-13)
    assert float(rows[2]["eigenvalue"]) == pytest.approx(1.00151518753135e-6, rel=1e-13)
    assert float(rows[0]["log_eigenvalue"]) == -math.inf

    target = tmp_path / "tanh.json"
    result = run("export", table, "-o", str(target), *selection, "--format", "json")
    assert (result.exit_code, result.output) == (0, "")
    documents = json.loads(target.read_text())
    assert documents[0]["log_eigenvalue"] is None
    assert [repr(d["eigenvalue"]) for d in documents] == [row["eigenvalue"] for row in rows]


def test_export_of_all(table: str) -> None:
    assert len(run("export", table, "-o", "-").stdout.splitlines()) == 1 + 2 * 3 * 12


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (["--network", "sigmoid"], "'sigmoid' is not in the table; it has relu, tanh"),
        (["--dim", "9"], "dim = 9 is not in the table"),
        (["--degrees", "3:99"], "degree = 12 is not in the table"),
        (["--degrees", "x"], "degrees = 'x' is not a range"),
    ],
)
def test_export_of_what_is_not_there(
    selection: list[str], message: str, table: str, tmp_path: Path
) -> None:
    result = run("export", table, "-o", str(tmp_path / "some.csv"), *selection)
    assert result.exit_code == 2
    assert message in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_output_that_cannot_be_written_exits_3(table: str, tmp_path: Path) -> None:
    result = run("export", table, "-o", str(tmp_path / "no folder" / "some.csv"))
    assert result.exit_code == 3
    assert "no folder" in result.stderr


@pytest.mark.slow
def test_plot(table: str, tmp_path: Path) -> None:
    outputs = [str(tmp_path / name) for name in ("figure.svg", "figure.png")]
    result = run("plot", table, "-o", outputs[0], "-o", outputs[1])
    assert result.output.splitlines() == [f"wrote {output}" for output in outputs]
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "figure.svg").read_text()


@pytest.mark.parametrize("command", ["info", "verify", "export", "plot"])
def test_missing_table_exits_3(command: str, tmp_path: Path) -> None:
    output = {"export": ["-o", "-"], "plot": ["-o", str(tmp_path / "figure.png")]}
    result = run(command, str(tmp_path / "none.h5"), *output.get(command, []))
    assert result.exit_code == 3
    assert "none.h5" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_closed_pipe_is_quiet() -> None:
    python = shlex.quote(sys.executable)
    command = f"{python} -m ntkspec eig relu --degrees 0:20000 --format csv | head -n 1"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (result.stdout.split(",")[0], result.stderr) == ("degree", "")


PRINTING = (
    "eig relu --degrees 0:4", "certify relu --degrees 0:4", "predict times relu --degrees 1:4",
    "predict freedom relu --ridge 0.1", "fit {table} --network relu",
)  # fmt: skip


@pytest.mark.parametrize("command", PRINTING)
def test_what_is_printed_is_written_by_o(command: str, tmp_path: Path) -> None:
    words = command.format(table="atlas").split()
    words += ["--dim", "3"]
    printed = run(*words, "--format", "csv").stdout
    path = tmp_path / "numbers.csv"
    written = run(*words, "-o", path)
    assert written.exit_code == 0 and written.stdout == ""
    assert path.read_text() == printed
    assert run(*words, "--format", "csv", "-o", "-").stdout == printed
    assert run(*words, "-o", path.with_suffix(".json")).exit_code == 0
    json.loads(path.with_suffix(".json").read_text())


@pytest.mark.parametrize("command", [*PRINTING, "export {table} --network relu --degrees 0:4"])
def test_a_file_is_written_as_what_its_name_says(command: str, tmp_path: Path) -> None:
    """Another suffix is refused before any work, unless --format says what the file shall hold."""
    words = [*command.format(table="atlas").split(), "--dim", "3"]
    path = tmp_path / "numbers.xlsx"
    refused = run(*words, "-o", path)
    assert refused.exit_code == 2 and ".xlsx files are not written" in refused.stderr
    assert not path.exists()
    assert run(*words, "-o", path, "--format", "csv").exit_code == 0
    assert path.read_text().count(",") > 3
    text = tmp_path / "NUMBERS.JSON"
    assert run(*words, "-o", text).exit_code == 0 and json.loads(text.read_text())


def test_a_file_of_netcdf_needs_no_format(tmp_path: Path) -> None:
    path = tmp_path / "relu.nc"
    words = ("--network", "relu", "--dim", "3", "--degrees", "0:4")
    assert run("export", "atlas", *words, "-o", path).exit_code == 0
    assert path.read_bytes()[1:4] == b"HDF"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("eig relu --dims 3", "No such option '--dims'. Did you mean '--dim'?"),
        ("eig --activation relu", "ACTIVATION is an argument: give it without --activation."),
        ("data --x a.npy", "X is an argument: give it without --x."),
        ("predict curve relu --smaples 3", "Did you mean '--samples'?"),
        ("eig relu --qqq 3", "No such option '--qqq'."),
    ],
)
def test_an_unknown_option_is_told_the_nearest(words: str, message: str) -> None:
    result = run(*words.split())
    assert result.exit_code == 2
    last = result.stderr.splitlines()[-1]
    assert last.endswith(message) and last.count("--") == message.count("--") + (
        "No such" not in message
    )


def test_progress_does_not_repeat_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ntkspec.cli.watchers.SECONDS_BETWEEN_LINES", 0.0)
    with watching("blocks") as watcher:
        for done in (0, 0, 0, 1, 1, 2):
            watcher.progress(Progress(done, 2))
    said = [line.split()[0] for line in capsys.readouterr().err.splitlines()]
    assert said[0] == "0/2" and said.count("0/2") == 1 and said[-1] == "2/2"


def test_a_file_does_not_appear_when_the_command_fails(tmp_path: Path) -> None:
    result = run("eig", "relu", "--degrees", "0:4", "--dim", "0", "-o", tmp_path / "numbers.csv")
    assert result.exit_code == 2 and not list(tmp_path.iterdir())
    result = run("eig", "relu", "-o", tmp_path / "none" / "numbers.csv")
    assert result.exit_code == 3 and "does not exist" in result.stderr


def test_the_network_may_be_named_by_an_option_and_is_one() -> None:
    for words in ("eig {} --degrees 0:3", "predict times {} --degrees 1:3", "certify {}"):
        named, positional = (run(*words.format(how).split()) for how in ("--network gelu", "gelu"))
        assert named.exit_code == 0 and named.stdout == positional.stdout
    for words in ("eig relu gelu", "predict times relu gelu sin", "eig relu --network gelu"):
        result = run(*words.split())
        assert result.exit_code == 2 and "one network is taken at a time" in result.stderr


def test_a_network_is_named_before_files_in_each_way(tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((30, 3))
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", x[:, 0])
    files = (tmp_path / "x.npy", tmp_path / "y.npy", "--samples", "10")
    positional = run("predict", "data", "relu", *files)
    assert positional.exit_code == 0
    assert run("predict", "data", "--network", "relu", *files).stdout == positional.stdout

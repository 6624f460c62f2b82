"""Files, figures and links of the README, and pages whose lines need files to work on."""

import json
import re
import shlex

import numpy as np
import pytest
from command_line import ntkspec as ntkspec_here
from manual import README, blocks, commands
from paths import ROOT
from sweeping import make_table

import ntkspec
from bench import measured
from ntkspec.reference.balls import reference_eigenvalue
from ntkspec.trainer.runs import train_run

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
RECIPE = """
dims = [2, 3, 10]
degrees = "0:60"
checks = {samples = 0}
networks = [{activation = "relu"}, {activation = "tanh"}]
"""
RUN_RECIPE = """
steps = 60
network = {activation = "relu", width = [64, 128], seeds = 2}
data = {kind = "circle", points = 32}
target = {kind = "sine", degrees = [1, 4, 8]}
loss = {s = [-1, 0, 1]}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the files that the page of commands names, the table a small one."""
    path = tmp_path_factory.mktemp("readme")
    recipe = path / "data" / "recipes" / "poster.toml"
    recipe.parent.mkdir(parents=True)
    recipe.write_text(RECIPE)
    (path / "out").mkdir()
    make_table(recipe, path / "out" / "spectra.h5")
    x = np.random.default_rng(0).standard_normal((60, 4))
    np.save(path / "X.npy", x)
    np.save(path / "y.npy", x[:, 0])
    for name, run in (("figure2", "figure2"), ("rates-circle", "rates")):
        (recipe.parent / f"{name}.toml").write_text(RUN_RECIPE)
        train_run(recipe.parent / f"{name}.toml", path / "out" / f"{run}.h5", threads=1)
    return path


COMMANDS = [line for block in blocks("commands.rst", "console") for line, _ in commands(block.text)]


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_of_the_page_runs(line, folder, monkeypatch):
    monkeypatch.chdir(folder)
    arguments = shlex.split(line)[1:]
    if arguments[0] == "verify":
        arguments += ["--digits", "20", "--workers", "1", "--seed", "5"]
        arguments[arguments.index("--samples") + 1] = "1"
    if arguments[0] == "explore":
        arguments += ["--network", "relu"]  # a page about the whole atlas takes seconds
    result = ntkspec_here(*arguments)
    assert result.exit_code == 0, result.output


def test_every_link_of_the_readme_leads_to_a_file():
    targets = re.findall(r"\]\(([^)#:]+)\)", TEXT)
    assert len(targets) > 20
    for target in targets:
        assert (ROOT / target).exists(), target


def test_the_readme_is_a_screen_and_a_half():
    assert len(TEXT.splitlines()) <= 125
    (code,) = blocks(README, "python")
    assert len(code.text.splitlines()) == 5


def test_the_figures_of_the_readme_are_those_of_the_benchmarks(tmp_path):
    copy = tmp_path / "README.md"
    copy.write_text(TEXT, encoding="utf-8")
    measured.write_readme(json.loads(measured.RESULTS.read_text()), copy)
    assert copy.read_text(encoding="utf-8") == TEXT, "run `python -m bench.measured`"
    assert TEXT.count("\n| ") - TEXT.partition(measured.MARKS[0])[0].count("\n| ") == 6


def run_python(page, scope=None, first=0):
    """Run the blocks of a page from one on, in one scope, which is returned."""
    scope = {} if scope is None else scope
    for block in blocks(page, "python")[first:]:
        exec(compile(block.text, f"{page}:{block.line}", "exec"), scope)
    return scope


def test_the_manual_on_activations_runs():
    scope = run_python("activations.rst", {"ntkspec": ntkspec}, first=-3)
    assert scope["s"].relative_error.max() < 1e-6


def test_the_manual_on_training_runs(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scope = run_python("training.rst")
    printed = capsys.readouterr().out
    assert scope["descent"].steps == 200
    assert ntkspec.open_run("depth.h5").finished and "Comparison(2" in printed
    assert printed.splitlines()[-3:] == ["0 5", "True", "['2: 1.00', '7: 1.00']"]


def test_the_manual_on_losses_runs(capsys):
    run_python("losses.rst")
    lines = capsys.readouterr().out.splitlines()
    plain, weighted = (float(line.split()[-1]) for line in lines[:2])
    assert lines[0].startswith("l2,") and weighted < plain
    assert [float(x) for x in lines[-2:]] == pytest.approx([140.5642023346303, 4.377431906614786])


def test_the_manual_on_rates_runs(capsys):
    run_python("rates.rst")
    assert float(capsys.readouterr().out) == pytest.approx(1.0, abs=0.05)


SPHERES = {"circle": 2, ":math:`S^2`": 3, ":math:`d = 10`": 10}
FLATNESS = re.findall(
    r"^(circle|:math:`.*`) +(\d+) to (\d+) +([\d.,]+) +([\d.]+) +([\d.]+)$",
    (ROOT / "docs" / "losses.rst").read_text(encoding="utf-8"),
    re.MULTILINE,
)


@pytest.mark.parametrize("sphere", SPHERES)
def test_the_manuals_table_of_flat_rates(sphere):
    # By the reference, which shares no formula with the engine.
    dim, k = SPHERES[sphere], np.arange(2, 17, 2)
    found = [reference_eigenvalue("relu", dim, int(j), digits=20).value for j in k]
    rows = [row[1:] for row in FLATNESS if row[0] == sphere]
    assert len(rows) == 2
    for first, last, *told in rows:
        part = (k >= int(first)) & (k <= int(last))
        weights = (k**0, (1.0 + k) ** dim, (1.0 + k * (k + dim - 2)) ** (dim / 2))
        for mu, ratio in zip(weights, told, strict=True):
            rates = (np.array(found, dtype=float) * mu)[part]
            expected = pytest.approx(float(ratio.replace(",", "")), rel=5e-5)
            assert rates.max() / rates.min() == expected


def test_the_manual_on_runs_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    text = blocks("runs.rst", "toml")[0].text
    for old, new in (("steps = 6000", "steps = 200"), ("[1024, 4096, 16384]", "[64, 128]")):
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "rates.toml").write_text(text)
    run_python("run_files.rst")
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 8 + 2 * 5
    assert printed[0].startswith("l2,width=128,seed=0 200 [") or "width=64" in printed[0]

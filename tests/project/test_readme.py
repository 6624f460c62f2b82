"""What the README shows is what happens."""

import re
import textwrap

import numpy as np
import pytest
from command_line import ntkspec as ntkspec_here
from paths import ROOT
from sweeping import make_table

import ntkspec
from ntkspec.reference.balls import reference_eigenvalue
from ntkspec.trainer.runs import train_run

README = (ROOT / "README.md").read_text(encoding="utf-8")
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
    """A folder with the files that the README's lines name, the table a small one."""
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


def test_the_ten_lines_print_what_they_say(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL).group(1)
    exec(compile(code, "README.md", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    promised = re.findall(r"# (1\.0015\S*) (-506\.\S*)", code)[0]
    assert [float(x) for x in printed[0].split()] == pytest.approx(
        [float(x) for x in promised], rel=1e-13
    )
    assert float(printed[1]) == pytest.approx(4.02e-14, rel=0.01)


@pytest.mark.parametrize("line", re.findall(r"^    (ntkspec .*?)(?: +#.*)?$", README, re.MULTILINE))
def test_every_command_of_the_readme_runs(line, folder, monkeypatch):
    monkeypatch.chdir(folder)
    arguments = line.split()[1:]
    if arguments[0] == "verify":
        arguments += ["--digits", "20", "--workers", "1", "--seed", "5"]
        arguments[arguments.index("--samples") + 1] = "1"
    if arguments[0] == "explore":
        arguments += ["--network", "relu"]  # a page about the whole atlas takes seconds
    result = ntkspec_here(*arguments)
    assert result.exit_code == 0, result.output


def test_the_picture_is_there():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_other_lines_of_python_run(capsys):
    code = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[1]
    exec(compile(code, "README.md", "exec"), {"ntkspec": ntkspec})
    printed = capsys.readouterr().out
    assert "geometric" in printed
    assert "+/-" in printed


def test_what_needs_no_computing_is_there(capsys):
    code = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[2]
    scope = {"ntkspec": ntkspec}
    exec(compile(code, "README.md", "exec"), scope)
    assert len(scope["frame"]) == 257
    assert "25" in capsys.readouterr().out


def test_what_is_learned_of_own_inputs(capsys):
    code = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[3]
    scope = {"ntkspec": ntkspec}
    exec(compile(code, "README.md", "exec"), scope)
    matrix = ntkspec.Network("relu").ntk_matrix(scope["x"], fan_in=True)
    right = np.linalg.eigvalsh(matrix / 500)[:-11:-1]
    np.testing.assert_allclose(scope["s"].eigenvalues, right, rtol=1e-10)
    assert capsys.readouterr().out.count("[") == 4


def test_the_training_from_python_learns(capsys):
    code, scope = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[4], {}
    exec(compile(code, "README.md", "exec"), scope)
    (member,) = scope["run"].members
    assert member.status == "finished" and member.loss[-1] < 1e-2 * member.loss[0]
    printed = capsys.readouterr().out
    assert all(f"{name}(" in printed for name in ("TrainingPlan", "History", "Comparison"))


def blocks_of(name, language="python"):
    """The blocks of code of a page of the manual."""
    page = (ROOT / "docs" / name).read_text(encoding="utf-8")
    found = re.findall(rf"\.\. code-block:: {language}\n\n((?: +.*\n|\n)+)", page)
    return [textwrap.dedent(block) for block in found]


def test_the_manual_on_activations_runs():
    blocks = blocks_of("activations.rst")[-3:]
    scope = {"ntkspec": ntkspec}
    for block in blocks:
        exec(compile(block, "activations.rst", "exec"), scope)
    assert scope["s"].relative_error.max() < 1e-6


def test_the_manual_on_training_runs(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks, scope, printed = blocks_of("training.rst"), {}, []
    assert len(blocks) == 7
    for block in blocks:
        exec(compile(block, "training.rst", "exec"), scope)
        printed.append(capsys.readouterr().out.split())
    assert scope["descent"].steps == 120
    assert ntkspec.open_run("depth.h5").finished and "Comparison(4" in " ".join(printed[0])
    assert float(printed[1][0]) < 0.1
    assert printed[3] == ["0", "5", "True"]
    assert printed[4][0].startswith("l2,") and float(printed[4][3]) < float(printed[4][1])
    assert [float(x) for x in printed[5]] == pytest.approx([140.5642023346303, 4.377431906614786])
    assert float(printed[6][0]) == pytest.approx(1.0, abs=0.05)


SPHERES = {"circle": 2, ":math:`S^2`": 3, ":math:`d = 10`": 10}
FLATNESS = re.findall(
    r"^(circle|:math:`.*`) +(\d+) to (\d+) +([\d.,]+) +([\d.]+) +([\d.]+)$",
    (ROOT / "docs" / "training.rst").read_text(encoding="utf-8"),
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
    text = blocks_of("runs.rst", "toml")[1]
    for old, new in (("steps = 6000", "steps = 200"), ("[1024, 4096, 16384]", "[64, 128]")):
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "rates.toml").write_text(text)
    (block,) = blocks_of("runs.rst")
    exec(compile(block, "runs.rst", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 8 + 2 * 5
    assert printed[0].startswith("l2,width=128,seed=0 200 [") or "width=64" in printed[0]

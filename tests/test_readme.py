"""What the README shows is what happens."""

import re
import textwrap
from pathlib import Path

import pytest
from click.testing import CliRunner

import ntkspec
from ntkspec.cli import main
from ntkspec.sweeps import Local, run_sweep

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
RECIPE = """
dims = [3, 10]
degrees = "0:60"
checks = {samples = 0}
networks = [{activation = "relu"}, {activation = "tanh"}]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the files that the README's lines name, the table a small one."""
    path = tmp_path_factory.mktemp("readme")
    recipe = path / "data" / "recipes" / "poster.toml"
    recipe.parent.mkdir(parents=True)
    recipe.write_text(RECIPE)
    (path / "out").mkdir()
    run_sweep(recipe, path / "out" / "spectra.h5", Local(1))
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
        arguments += ["--digits", "30", "--workers", "1", "--seed", "5"]
        arguments[arguments.index("--samples") + 1] = "4"
    result = CliRunner().invoke(main, arguments)
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


def test_the_manual_on_activations_runs():
    page = (ROOT / "docs" / "activations.rst").read_text(encoding="utf-8")
    page = page[page.index("Your own\n") :]
    blocks = re.findall(r"\.\. code-block:: python\n\n((?:    .*\n|\n)+)", page)
    assert len(blocks) == 3
    scope = {"ntkspec": ntkspec}
    for block in blocks:
        exec(compile(textwrap.dedent(block), "activations.rst", "exec"), scope)
    assert scope["s"].relative_error.max() < 1e-6

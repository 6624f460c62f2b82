"""Wheel and sdist, built and installed into empty environments, away from the checkout."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from manual import README, alike, blocks
from paths import ROOT

import ntkspec

pytestmark = [pytest.mark.release, pytest.mark.timeout(900)]
RECIPE = """
dims = [2, 3, 10]
degrees = "0:40"
checks = {samples = 1, digits = 30}
networks = [{activation = "relu"}, {activation = "tanh"}]
"""
RUN = """
steps = 20
network = {activation = "relu", width = [64], seeds = 1}
data = {kind = "circle", points = 16}
target = {kind = "sine", degrees = [1, 2]}
loss = {s = [0, 1]}
"""


def bare(home: Path) -> dict[str, str]:
    """An environment that knows nothing of the checkout."""
    keep = {k: v for k, v in os.environ.items() if k.startswith(("PIP_", "SSL_", "LANG"))}
    return {**keep, "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(home)}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder with the wheel, which is built from the sdist."""
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "-o", out, ROOT], check=True, capture_output=True
    )
    return out


def placed(artifact, folder, extras=""):
    """The programs of an environment that has the package, a folder to work in, and a home."""
    subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
    pip = [folder / "env/bin/python", "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt"]
    subprocess.run([*pip, f"{artifact}{extras}"], check=True, env=bare(folder), cwd=folder)
    (folder / "work").mkdir()
    return folder / "env" / "bin", folder / "work", bare(folder)


@pytest.fixture(scope="module", params=["whl", "tar.gz"])
def installed(request, built, tmp_path_factory):
    (artifact,) = built.glob(f"*.{request.param}")
    return placed(artifact, tmp_path_factory.mktemp("empty"), "[plots,sweeps]")


@pytest.fixture(scope="module")
def without_extras(built, tmp_path_factory):
    (artifact,) = built.glob("*.whl")
    return placed(artifact, tmp_path_factory.mktemp("bare"))


def run(installed, program, *arguments, **environment):
    bin_, work, env = installed
    done = subprocess.run(
        [bin_ / program, *arguments], cwd=work, env={**env, **environment}, capture_output=True,
        text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_sdist_is_whole(built):
    """All files that git knows, but for those that only the repository itself needs."""
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        have = {name.partition("/")[2] for name in archive.getnames()}
    known = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    links = ("ntkspec/kernels", "ntkspec/data")
    atlas = {name for name in known if name.startswith("data/atlas.")}
    missing = {
        name for name in {*known} - atlas
        if name and not name.startswith((".", *links)) and name not in have
    }  # fmt: skip
    assert not missing
    # Once, where the package reads it.
    assert len(atlas) == 3 and {f"ntkspec/{name}" for name in atlas} <= have
    assert not atlas & have
    assert {"kernels/walk.py", "PKG-INFO"} <= have


def test_the_wheel_holds_the_package_alone(built):
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        (metadata,) = [name for name in names if name.endswith("METADATA")]
        text = archive.read(metadata).decode()
    assert {name.split("/")[0] for name in names} == {
        "ntkspec", f"ntkspec-{ntkspec.__version__}.dist-info",
    }  # fmt: skip
    assert {"ntkspec/py.typed", "ntkspec/kernels/walk.py"} <= set(names)
    charts = {f"ntkspec/explorer/web/uplot/{name}" for name in ("LICENSE", "uPlot.iife.min.js")}
    assert charts <= set(names)
    assert sum(name.endswith("LICENSE") for name in names if ".dist-info/licenses/" in name) == 2
    assert f"Version: {ntkspec.__version__}" in text
    assert re.search(r"^Requires-Python: >=3\.11$", text, re.MULTILINE)
    for minor in (11, 12, 13, 14):
        assert f"Programming Language :: Python :: 3.{minor}" in text


def test_smoke(installed):
    """What a user does first, from another folder."""
    _, work, _ = installed
    assert run(installed, "ntkspec", "--version").split()[-1] == ntkspec.__version__
    found = json.loads(
        run(installed, "ntkspec", "eig", "tanh", "--degrees", "11", "--format", "json")
    )
    assert found["eigenvalue"][0] == pytest.approx(1.00151518753135e-06, rel=1e-12)
    (work / "r.toml").write_text(RECIPE)
    (work / "run.toml").write_text(RUN)
    for line in (
        "sweep r.toml -o t.h5", "verify t.h5 --samples 2 --digits 30 --workers 1", "info t.h5",
        "export t.h5 -o t.csv", "fit t.h5", "plot t.h5 -o t.png", "train run.toml -o run.h5",
        "compare run.h5 --picture run.png", "predict times relu --degrees 0:4",
        "eig relu --domain cube --dim 10 --degrees 0:4",
    ):  # fmt: skip
        run(installed, "ntkspec", *line.split())
    assert (work / "t.png").stat().st_size > 10_000
    where = run(installed, "python", "-c", "import ntkspec; print(ntkspec.__file__)")
    assert "site-packages" in where


def test_the_five_lines_need_no_extra(without_extras):
    (code,) = blocks(README, "python")
    (shown,) = blocks(README, "text")
    assert alike(run(without_extras, "python", "-c", code.text), shown.text)
    packages = json.loads(run(without_extras, "python", "-m", "pip", "list", "--format", "json"))
    names = {one["name"].lower() for one in packages}
    assert not names & {"dask", "distributed", "matplotlib", "pandas", "xarray", "scikit-learn"}
    assert "0.0625" in run(without_extras, "ntkspec", "eig", "relu", "--degrees", "0")


def test_a_command_without_its_library_names_the_extra(without_extras):
    bin_, work, env = without_extras
    (work / "r.toml").write_text(RECIPE)
    for line, extra in (("sweep r.toml -o t.h5", "sweeps"), ("plot atlas -o t.png", "plots")):
        done = subprocess.run(
            [bin_ / "ntkspec", *line.split()], cwd=work, env=env, capture_output=True, text=True
        )
        assert done.returncode == 2 and f"ntkspec[{extra}]" in done.stderr, done.stderr


def test_importing_is_silent(installed):
    assert run(installed, "python", "-W", "error", "-c", "import ntkspec") == ""
    code = "import ntkspec\nfor name in ntkspec.__all__: getattr(ntkspec, name)"
    assert run(installed, "python", "-W", "error", "-c", code) == ""


def test_where_the_package_may_not_be_written(installed, tmp_path):
    """numba's cache goes where it may; without any place it is done without."""
    code = "import ntkspec; print(ntkspec.eigenvalues('relu', 3, [2])[0])"
    (tmp_path / "home").mkdir(mode=0o500)
    assert run(installed, "python", "-c", code, HOME=str(tmp_path / "home")).strip() == "0.02734375"

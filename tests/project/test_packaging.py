"""The package as it is laid out and installed."""

from __future__ import annotations

import configparser
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT

import ntkspec

HEAVY = ("dask", "distributed", "flint", "h5py", "matplotlib", "mpmath", "numba", "numpy", "scipy")


def sources() -> list[Path]:
    folders = ("ntkspec", "kernels", "tests", "bench", "docs")
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def test_kernels_symlink_is_relative() -> None:
    link = ROOT / "ntkspec" / "kernels"
    assert link.is_symlink()
    assert link.readlink() == Path("../kernels")


def test_versions_agree() -> None:
    assert importlib.metadata.version("ntkspec") == ntkspec.__version__
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.*)$", citation, re.MULTILINE)[1] == ntkspec.__version__
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## \[(\d.*)\] - (.*)$", changes, re.MULTILINE)
    assert newest[1] == ntkspec.__version__
    assert f"date-released: {newest[2]}\n" in citation


def test_every_package_is_installed() -> None:
    found = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for path in (ROOT / "ntkspec").rglob("__init__.py")
    }
    assert set(setup()["options"]["packages"].split()) == found | {"ntkspec.kernels"}


def test_every_requirement_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins), "neither paths nor hosts"
    pinned = {canonical(pin.split("==")[0]) for pin in pins}
    texts = [setup()["options"]["install_requires"], *setup()["options.extras_require"].values()]
    required = {canonical(re.split(r"[<>=[]", line)[0]) for text in texts for line in text.split()}
    assert required - {"ntkspec"} <= pinned


def canonical(name: str) -> str:
    return name.lower().replace("_", "-")


@pytest.mark.parametrize("module", ["ntkspec", "ntkspec.cli"])
def test_import_is_light(module: str) -> None:
    code = f"import sys, {module}; print(sorted(set({HEAVY}) & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert result.stdout == "[]\n", result.stderr


def test_nothing_imports_the_second_copy_of_the_kernels() -> None:
    assert len(sources()) > 20
    second = re.compile(r"^\s*(?:from|import) kernels\b", re.MULTILINE)
    for path in sources():
        assert not second.search(path.read_text(encoding="utf-8")), path


def test_public_names_are_there() -> None:
    for name in ntkspec.__all__:
        assert getattr(ntkspec, name) is not None
    assert set(ntkspec.__all__) <= set(dir(ntkspec))


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'ntkspec' has no attribute 'eigenvalue'"):
        ntkspec.eigenvalue  # noqa: B018


def test_slow_cases_are_there(lost_twins: list[str]) -> None:
    """Every case that tests/slow.toml moves out of the default suite exists."""
    assert lost_twins == []

"""numba's cache never serves machine code of sources that have changed since."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

CALLEE = """

@njit(cache=True)
def probed():
    return 1.0
"""
CALLER = """

from ntkspec.kernels.scaled import probed


@njit(cache=True)
def probe():
    return probed()
"""
PROBE = """
from ntkspec.kernels import walk
print(walk.__file__, walk.probe(), sum(walk.probe.stats.cache_hits.values()))
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a copy of the package in which walk.probe() calls scaled.probed()."""
    for folder in ("kernels", "ntkspec"):
        shutil.copytree(
            ROOT / folder,
            tmp_path / folder,
            symlinks=True,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    for name, addition in (("scaled", CALLEE), ("walk", CALLER)):
        path = tmp_path / "kernels" / f"{name}.py"
        path.write_text(path.read_text() + addition)
    return tmp_path


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
    environment |= {"PYTHONPATH": str(folder), "NUMBA_CACHE_DIR": str(folder / "cache")}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True
    )


def probe(checkout: Path) -> tuple[float, int]:
    """Return what a new process computes, and how often its cache was hit."""
    result = run(PROBE, checkout)
    assert result.returncode == 0, result.stderr
    file, value, hits = result.stdout.rsplit(maxsplit=2)
    assert Path(file).is_relative_to(checkout)
    return float(value), int(hits)


def test_edited_callee_in_another_file_is_seen(checkout: Path) -> None:
    assert probe(checkout) == (1.0, 0)
    assert probe(checkout) == (1.0, 1)  # warm: numba would go on with this
    callee = checkout / "kernels" / "scaled.py"
    callee.write_text(callee.read_text().replace(CALLEE, CALLEE.replace("1.0", "2.0")))
    assert probe(checkout) == (2.0, 0)
    callee.write_text(callee.read_text().replace(CALLEE.replace("1.0", "2.0"), CALLEE))
    assert probe(checkout) == (1.0, 1)


def test_kernels_from_the_root_are_refused() -> None:
    result = run("import kernels", ROOT)
    assert result.returncode == 1
    assert "ImportError: the kernels are imported as 'ntkspec.kernels'" in result.stderr


def test_another_library_keeps_its_own_cache_folder() -> None:
    code = (
        "import numba; before = numba.config.CACHE_DIR; import ntkspec.kernels as k; "
        "assert numba.config.CACHE_DIR == before != str(k.CACHE_DIR)"
    )
    result = run(code, ROOT)
    assert result.returncode == 0, result.stderr

"""One digest of what the code means: it ignores words and sees formulas."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT
from problems import SMALL_RUN, SMALL_TABLE

from ntkspec.errors import NtkspecError
from ntkspec.jobs import provenance
from ntkspec.jobs.meaning import imported_sources
from ntkspec.jobs.provenance import PACKAGE
from ntkspec.sweeps import provenance as of_sweeps
from ntkspec.sweeps import run_shard
from ntkspec.trainer.runs import checkpoints, train_run


def digests(start, libraries, folder):
    """Digests of the package, and of copies with other words and with another formula."""
    package = ROOT / "ntkspec"
    for path in imported_sources(package, start):
        to = folder / "ntkspec" / path.relative_to(package)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, to)
    module = min((folder / "ntkspec" / "kernels").glob("*.py"))
    whole = module.read_text()
    found = [provenance.code_digest(start, libraries)]
    for text in (
        whole.replace('"""', '"""Other words. ', 1) + "# and a comment\n",
        f"{whole}\nFACTOR = 2.0\n",
    ):
        module.write_text(text)
        found.append(provenance.code_digest(start, libraries, folder / "ntkspec"))
    return found


def test_a_sweep_goes_on_after_a_typo_and_not_after_a_formula(tmp_path, monkeypatch):
    here, typo, formula = digests(of_sweeps.START, of_sweeps.LIBRARIES, tmp_path)
    assert here == of_sweeps.code_digest() == typo != formula
    (tmp_path / "r.toml").write_text(SMALL_TABLE)
    files = (tmp_path / "r.toml", tmp_path / "t.h5")
    assert run_shard(*files, "1/1").computed == 1
    monkeypatch.setattr("ntkspec.sweeps.stored.code_digest", lambda: typo)
    assert run_shard(*files, "1/1").reused == 1
    monkeypatch.setattr("ntkspec.sweeps.stored.code_digest", lambda: formula)
    with pytest.raises(NtkspecError, match=r"another version of the code.*--restart"):
        run_shard(*files, "1/1")


def test_a_training_goes_on_after_a_typo_and_not_after_a_formula(tmp_path, monkeypatch):
    here, typo, formula = digests(checkpoints.START, checkpoints.LIBRARIES, tmp_path)
    assert here == checkpoints.code_digest() == typo != formula
    (tmp_path / "r.toml").write_text(SMALL_RUN.replace("seeds = 1", "seeds = 2"))
    files = (tmp_path / "r.toml", tmp_path / "run.h5")
    with monkeypatch.context() as patch:
        patch.setattr("ntkspec.trainer.runs.run.assemble", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train_run(*files)
    monkeypatch.setattr("ntkspec.trainer.runs.checkpoints.code_digest", lambda: formula)
    with pytest.raises(NtkspecError, match=r"another version of the code.*--restart"):
        train_run(*files)
    monkeypatch.setattr("ntkspec.trainer.runs.checkpoints.code_digest", lambda: typo)
    assert train_run(*files).reused == 2


def interrupt(*arguments):
    raise KeyboardInterrupt


CODE = """
import sys, numpy as np
from ntkspec.networks import Network
from ntkspec.spectra.block import block_numbers
for domain, names in (
    ("sphere", ("relu", "tanh", "gelu", "elu")), ("cube", ("tanh", "elu")), ("gaussian", ("relu",))
):
    for name in names:
        for weights in ("gaussian", "sphere") if domain == "sphere" and name == "tanh" else (None,):
            network = Network(name, weights=weights or "gaussian")
            block_numbers(network, "ntk", domain, np.array([3]), np.arange(3))
print(*(m.__file__ for n, m in sys.modules.items() if n.startswith("ntkspec.") and m.__file__))
"""
#: Modules that are loaded on the way and decide no number; `kernels` loads all its modules.
IDLE = (
    "__init__.py", "results.py", "files/text.py", "networks/full_name.py", "spectra/spectrum.py",
    "spectra/table.py", "spectra/density/", "spectra/torus/", "spectra/scaled_result.py",
    "spectra/trace.py", "kernels/",
)  # fmt: skip


def test_the_digest_covers_all_code_that_computes_numbers():
    """What a process has imported once it has computed blocks by all routes."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    loaded = {Path(path).resolve().as_posix() for path in done.stdout.split()}
    covered = {p.resolve().as_posix() for p in imported_sources(PACKAGE, "spectra.block")}
    assert len(covered) > 60
    left = {path for path in loaded - covered if not any(idle in path for idle in IDLE)}
    assert not left
    routes = {"closed_form", "series", "direct", "sphere_weights", "seeds", "cube", "gaussian"}
    assert all(any(f"spectra/{name}" in path for path in covered) for name in routes)

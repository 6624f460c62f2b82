"""One digest of what the code means: it ignores words and sees formulas."""

from __future__ import annotations

import shutil

import pytest
from paths import ROOT
from problems import SMALL_RUN, SMALL_TABLE

from ntkspec.errors import NtkspecError
from ntkspec.jobs import provenance
from ntkspec.jobs.meaning import imported_sources
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
    monkeypatch.setattr("ntkspec.sweeps.blocks.code_digest", lambda: typo)
    assert run_shard(*files, "1/1").reused == 1
    monkeypatch.setattr("ntkspec.sweeps.blocks.code_digest", lambda: formula)
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

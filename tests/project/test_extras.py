"""What the package needs is required, and what it can do without is named when it is missing."""

import re
import sys

import pytest
from paths import ROOT
from test_packaging import canonical, setup

import ntkspec
from ntkspec.errors import NtkspecError
from ntkspec.sweeps import Batch, Local, run_shard
from ntkspec.sweeps.clusters import job_script
from ntkspec.sweeps.merge import merge
from ntkspec.tables.layout import storage

#: Distributions that have another name than the module that is imported.
DISTRIBUTIONS = {"flint": "python-flint", "sklearn": "scikit-learn"}
#: What a required distribution is made of, and always brings.
BROUGHT = {"llvmlite": "numba", "tornado": "distributed"}
RECIPE = """
dims = [3]
degrees = "0:4"
compression = "zstd"
checks = {samples = 0}
networks = [{activation = "relu"}]
"""


def names(requirements):
    return {canonical(re.split(r"[<>=]", line)[0]) for line in requirements.split()}


def required():
    return names(setup()["options"]["install_requires"])


def optional():
    """Extras that users install, each with its distributions."""
    extras = setup()["options.extras_require"]
    return {name: names(extras[name]) for name in extras if name not in ("test", "lint", "docs")}


@pytest.fixture(scope="module")
def imported():
    """Distributions that the package imports, but for the standard library."""
    pattern = re.compile(r"^ *(?:from|import) ([a-z]\w*)", re.MULTILINE)
    paths = [*(ROOT / "ntkspec").rglob("*.py"), *(ROOT / "kernels").glob("*.py")]
    texts = [
        re.sub(r'""".*?"""', "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        for path in paths
    ]
    found = {name for text in texts for name in pattern.findall(text)}
    return {
        canonical(BROUGHT.get(name) or DISTRIBUTIONS.get(name, name))
        for name in found - sys.stdlib_module_names - {"ntkspec"}
    }


def test_every_import_is_of_a_required_or_an_optional_distribution(imported):
    assert imported <= required().union(*optional().values())


def test_what_is_required_is_imported(imported):
    assert required() <= imported


def test_the_environment_has_every_extra_but_pytorch():
    line = re.search(r"^EXTRAS +:= (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE).group(1)
    assert {*line.split(",")} == {*optional(), "test", "lint"} - {"torch"}


CALLS = [
    ("dask_jobqueue", "clusters", lambda folder: job_script(Batch(jobs=1))),
    ("hdf5plugin", "compression", lambda folder: storage("zstd")),
    ("bokeh", "dashboard", lambda folder: Local(1, dashboard="127.0.0.1:8787")),
    ("pandas", "tables", lambda folder: ntkspec.atlas().to_pandas("relu", dim=3)),
    ("xarray", "tables", lambda folder: ntkspec.atlas().to_xarray("relu", dim=3)),
    ("pyarrow", "tables", lambda folder: ntkspec.atlas().to_parquet(folder / "x.parquet")),
]


@pytest.mark.parametrize("module,extra,call", CALLS, ids=[call[0] for call in CALLS])
def test_a_message_names_the_extra_of_a_missing_library(module, extra, call, monkeypatch, tmp_path):
    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(NtkspecError, match=rf"pip install 'ntkspec\[{extra}\]'"):
        call(tmp_path)
    assert not list(tmp_path.iterdir())
    assert canonical(module) in optional()[extra]


def test_a_table_that_needs_a_missing_library_names_its_extra(monkeypatch, tmp_path):
    pytest.importorskip("hdf5plugin")
    recipe, path = tmp_path / "r.toml", tmp_path / "t.h5"
    recipe.write_text(RECIPE)
    run_shard(recipe, path, "1/1")
    merge([tmp_path / "t.h5.parts"], path)
    monkeypatch.setitem(sys.modules, "hdf5plugin", None)
    with ntkspec.open_table(path) as table, pytest.raises(NtkspecError, match="compression"):
        table.select("relu")

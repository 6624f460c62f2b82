"""What the package needs is required, and what it can do without is named when it is missing."""

import re
import sys

import pytest
from paths import ROOT
from test_packaging import canonical, setup

import ntkspec
from ntkspec.errors import NtkspecError
from ntkspec.plots import figure3
from ntkspec.sweeps import Batch, Local, run_shard
from ntkspec.sweeps.clusters import dask_client, job_script
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
    return {canonical(re.split(r"[<>=[]", line)[0]) for line in requirements.split()}


def required():
    return names(setup()["options"]["install_requires"])


def optional():
    """Extras that users install, each with its distributions, or those of other extras."""
    extras = setup()["options.extras_require"]
    return {name: names(extras[name]) for name in extras if name not in ("test", "lint", "docs")}


def collected():
    """The extras that `all` names."""
    (line,) = setup()["options.extras_require"]["all"].split()
    return set(line.removeprefix("ntkspec[").removesuffix("]").split(","))


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


#: The five lines of the README import nothing of these.
HEAVY = {"dask", "distributed", "matplotlib", "pandas", "scikit-learn", "torch", "xarray"}


def test_what_is_heavy_is_not_required():
    assert not required() & HEAVY
    assert set().union(*optional().values()) >= HEAVY


def test_what_is_required_is_imported(imported):
    assert required() <= imported


def test_the_environment_has_every_extra_but_pytorch():
    line = re.search(r"^EXTRAS +:= (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE).group(1)
    assert line == "all,test,lint"
    assert collected() == optional().keys() - {"all", "torch"}


def test_conda_has_what_pip_has():
    lines = (ROOT / "environment.yml").read_text(encoding="utf-8").splitlines()
    rows = [line.split() for line in lines if re.match(r"  - [\w-]+ >=", line)]
    there = {(name.removeprefix("python-") if name == "python-xxhash" else name): version
             for _, name, version in rows if name != "python"}  # fmt: skip
    extras = setup()["options.extras_require"]
    texts = [setup()["options"]["install_requires"], *(extras[name] for name in collected())]
    wanted = [line.partition(">=") for text in texts for line in text.split()]
    assert there == {name: f">={version}" for name, _, version in wanted if version}


def test_the_page_on_installing_lists_every_extra():
    text = (ROOT / "docs" / "installation.rst").read_text(encoding="utf-8")
    assert set(re.findall(r"^(\w+)  +\S.*$", text, re.MULTILINE)) >= optional().keys()


def draw(folder):
    ntkspec.spectrum("relu", 3, [1, 2]).plot()


def figure(folder):
    figure3("table.h5", [folder / "f.png"])


def sweep(folder):
    with dask_client(Local(1)):
        pass


CALLS = [
    ("matplotlib", "plots", draw),
    ("matplotlib", "plots", figure),
    ("distributed", "sweeps", sweep),
    ("dask_jobqueue", "clusters", lambda folder: job_script(Batch(jobs=1))),
    ("hdf5plugin", "compression", lambda folder: storage("zstd")),
    ("bokeh", "dashboard", lambda folder: Local(1, dashboard="127.0.0.1:8787")),
    ("pandas", "tables", lambda folder: ntkspec.atlas().to_pandas("relu", dim=3)),
    ("xarray", "tables", lambda folder: ntkspec.atlas().to_xarray("relu", dim=3)),
    ("pyarrow", "tables", lambda folder: ntkspec.atlas().to_parquet(folder / "x.parquet")),
]


@pytest.mark.parametrize("module,extra,call", CALLS)
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

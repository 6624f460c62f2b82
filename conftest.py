"""What the doctests share, and what pytest leaves out when an optional package is missing."""

from importlib.util import find_spec
from pathlib import Path

import pytest

# A program for the interpreter of neural-tangents; its numbers are stored.
collect_ignore = [
    "tests/data/make_neural_tangents_frozen.py",
    "tests/data/make_neural_tangents_general.py",
    "tests/data/make_neural_tangents_vectors.py",
]
# Its doctests need PyTorch; tests/networks/test_torch.py then says that it is skipped.
if not find_spec("torch"):
    collect_ignore.append("ntkspec/torch")

RECIPE = """
dims = [2, 3]
degrees = "0:5"
checks = {samples = 0}
networks = [{activation = "relu"}]
"""
RUN_RECIPE = """
steps = 20
network = {activation = "relu", width = 64, seeds = 1}
data = {kind = "circle", points = 16}
target = {kind = "sine", degrees = [1, 2]}
loss = {s = [0, 1]}
"""


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small table and a small run."""
    from ntkspec.sweeps import run_shard
    from ntkspec.sweeps.merge import merge
    from ntkspec.trainer.runs import train_run

    folder = tmp_path_factory.mktemp("made")
    (folder / "recipe.toml").write_text(RECIPE)
    (folder / "run.toml").write_text(RUN_RECIPE)
    run_shard(folder / "recipe.toml", folder / "table.h5", "1/1")
    merge([folder / "table.h5.parts"], folder / "table.h5")
    train_run(folder / "run.toml", folder / "run.h5", threads=1)
    return folder


@pytest.fixture(autouse=True)
def names_of_doctests(request: pytest.FixtureRequest) -> None:
    """Give examples the files that a reader has, and a `folder` of their own to write to."""
    if not hasattr(request.node, "dtest"):  # as items of doctests have
        return
    made = request.getfixturevalue("made")
    request.getfixturevalue("doctest_namespace").update(
        folder=request.getfixturevalue("tmp_path"),
        recipe_path=made / "recipe.toml",
        run_recipe_path=made / "run.toml",
        table_path=made / "table.h5",
        run_path=made / "run.h5",
    )

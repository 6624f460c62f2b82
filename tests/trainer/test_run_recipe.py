"""Recipes of trainings: what they mean, and what is said of those that mean nothing."""

import re
import textwrap
import tomllib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paths import ROOT

from ntkspec import Network
from ntkspec.errors import NtkspecError, TableError
from ntkspec.jobs.recipes import recipe_keys
from ntkspec.trainer.recipe import (
    HARMONICS,
    DataRecipe,
    LossRecipe,
    NetworkRecipe,
    OptimizerRecipe,
    RunRecipe,
    TargetRecipe,
    parse_run_recipe,
    read_run_recipe,
)
from ntkspec.trainer.runs import make_problem
from ntkspec.trainer.runs.problem import MAKERS

RECIPE = """
name = "Figure 2"
steps = 4000
records = 201
[network]
activation = "leaky_relu"
slope = 0.2
width = [1024, 4096]
seeds = 2
[data]
kind = "circle"
points = 64
[target]
kind = "sine"
degrees = [1, 4, 8]
amplitudes = [1, 0.5, 2]
[loss]
s = [-1, "l2", "auto"]
[optimizer]
step_size = 0.5
"""


def test_everything_is_read():
    recipe = parse_run_recipe(RECIPE)
    assert (recipe.name, recipe.steps, recipe.records) == ("Figure 2", 4000, 201)
    network = recipe.network
    assert network.network == Network("leaky_relu", slope=0.2)
    assert (network.widths, network.seeds) == ((1024, 4096), (0, 1))
    assert (network.start, network.precision) == ("zero", "float64")
    assert (recipe.data.kind, recipe.data.dim, recipe.data.points) == ("circle", 2, 64)
    assert recipe.target.degrees == (1, 4, 8)
    assert recipe.target.amplitudes == (1.0, 0.5, 2.0)
    assert recipe.loss.exponents == (-1.0, "l2", "auto")
    assert (recipe.loss.weight, recipe.loss.max_degree) == ("power", None)
    assert recipe.optimizer == OptimizerRecipe(step_size=0.5)


def test_members_are_the_product_and_seeds_change_fastest():
    names = [member.name for member in parse_run_recipe(RECIPE).members]
    assert names[:3] == [
        "s=-1,width=1024,seed=0", "s=-1,width=1024,seed=1", "s=-1,width=4096,seed=0",
    ]  # fmt: skip
    assert names[4] == "l2,width=1024,seed=0" and names[-1] == "s=auto,width=4096,seed=1"
    assert len(set(names)) == len(names) == 12


@pytest.mark.parametrize("steps,records", [(4000, 201), (10, 11), (7, 3), (1, 2)])
def test_records_are_even_and_hold_both_ends(steps, records):
    spaced = f'records = {records}\nspacing = "even"'
    text = RECIPE.replace("4000", str(steps)).replace("records = 201", spaced)
    at = parse_run_recipe(text).record_steps
    assert at[0] == 0 and at[-1] == steps and at.size == records
    gaps = np.diff(at)
    assert gaps.min() >= 1 and gaps.max() - gaps.min() <= 1


@given(st.integers(1, 10**6), st.integers(2, 300))
def test_records_are_dense_first_and_hold_both_ends(steps, records):
    records = min(records, steps + 1)
    text = RECIPE.replace("4000", str(steps)).replace("records = 201", f"records = {records}")
    at = parse_run_recipe(text).record_steps
    assert at[0] == 0 and at[-1] == steps and at.size == records
    gaps = np.diff(at)
    assert gaps.min() >= 1 and np.diff(gaps).min(initial=0) >= -1


def test_ranges_of_degrees_and_one_amplitude_for_all():
    text = RECIPE.replace("[1, 4, 8]", '"1:9:2"').replace("[1, 0.5, 2]", "0.1")
    target = parse_run_recipe(text).target
    assert target.degrees == (1, 3, 5, 7) and target.amplitudes == (0.1,) * 4


def test_other_spheres():
    text = RECIPE.replace('kind = "circle"\npoints = 64', 'kind = "product"\ndegree = 8\ndim = 4')
    text = text.replace('"sine"', '"zonal"\npole = [0, 0, 3, 4]')
    recipe = parse_run_recipe(text)
    assert (recipe.data.dim, recipe.data.degree) == (4, 8)
    assert recipe.target.pole == (0.0, 0.0, 3.0, 4.0)


@pytest.mark.parametrize(
    "old,new,same",
    [
        ("steps = 4000", "# a comment\nsteps = 4000", True),
        ("[1, 0.5, 2]", "[1.0, 0.5, 2.0]", True),
        ('"Figure 2"', '"another name"', True),
        ("steps = 4000", "steps = 4001", False),
        ("seeds = 2", "seeds = [0, 1]", True),
        ("seeds = 2", "seeds = [1, 0]", False),
        ("points = 64", "points = 65", False),
        ("step_size = 0.5", "step_size = 0.25", False),
    ],
)
def test_the_digest_is_that_of_the_meaning(old, new, same):
    changed = parse_run_recipe(RECIPE.replace(old, new))
    assert (changed.digest == parse_run_recipe(RECIPE).digest) is same


@pytest.mark.parametrize(
    "old,new,line,words",
    [
        ("steps = 4000", "steps = 0", 3, "steps = 0 is not allowed; it must be a whole number"),
        ("records = 201", "records = 9000", 4, "from 2 to 4001"),
        ("records = 201", "recrods = 201", 4, "did you mean 'records'?"),
        ("slope = 0.2", "slop = 0.2", 7, "did you mean 'slope'?"),
        ('"leaky_relu"', '"leaky"', 6, "leaky_relu"),
        ('"leaky_relu"\nslope = 0.2', '"step"', 6, "cannot be trained"),
        ("slope = 0.2", 'slope = "steep"', 7, "slope"),
        ("[1024, 4096]", "[1024, -2]", 8, "width = -2 is not allowed"),
        ("[1024, 4096]", "[1024, 4095]", 8, "a start at f = 0 needs an even one"),
        ("[1024, 4096]", "[1024, 1024]", 8, "width: 1024 is written twice"),
        ("[1024, 4096]", "[\n1024,\n4095]", 10, "width = 4095"),
        ("seeds = 2", "seeds = 0", 9, "seeds = 0"),
        ("seeds = 2", "seeds = []", 9, "is empty"),
        ("seeds = 2", 'start = "one"', 9, "'zero', 'random'"),
        ("seeds = 2", 'trained = "readout"', 9, "trained = 'readout' is not allowed"),
        ("seeds = 2", 'precision = "float16"', 9, "'float64', 'float32'"),
        ("seeds = 2", "weight_variance = 0", 9, "weight_variance = 0"),
        ('"circle"', '"tours"', 11, "one of 'circle'"),
        ("points = 64", "degree = 64", 10, "has no points"),
        ("points = 64", "points = 64\ndim = 3", 13, "dim = 3 is not allowed with kind = 'circle'"),
        ("points = 64", "points = 64\ngrid = 1", 13, "grid = 1"),
        ("points = 64", "points = 16", 15, "16 points of the circle resolve degrees below 8"),
        ('"sine"', '"tone"', 14, "'zonal'"),
        ('"sine"', '"sine"\nindex = 1', 15, "index = (1,) is not allowed with kind = 'sine'"),
        ("[1, 4, 8]", "[0, 4, 8]", 15, "degree = 0"),
        ("[1, 4, 8]", '"8:1"', 15, "empty"),
        ("[1, 0.5, 2]", "[1, 0.5]", 16, "amplitudes: 2 values for 3 degrees"),
        ("[1, 0.5, 2]", "[1, nan, 2]", 16, "finite number"),
        ("[1, 0.5, 2]", "[1, 0, 2]", 16, "a number other than 0"),
        ('"auto"]', '"off"]', 18, "a number from -100 to 100, 'l2' or 'auto'"),
        ('"auto"]', "-1.0]", 18, "s: -1.0 is written twice"),
        ("step_size = 0.5", "step_size = -1", 20, "positive number or 'auto'"),
        ("step_size = 0.5", "momentum = 1", 20, "momentum = 1"),
        ("step_size = 0.5", "batch = 0", 20, "batch = 0"),
        ('"auto"]', '"auto"]\nweight = "gauss"', 19, "'power', 'laplacian'"),
        ('"auto"]', '"auto"]\nmax_degree = -1', 19, "max_degree = -1"),
        ("[loss]", "[lost]", 17, "did you mean 'loss'?"),
        ("[data]", "[data", 10, "not valid TOML"),
    ],
)
def test_a_fault_gets_a_message_with_file_and_line(old, new, line, words):
    assert RECIPE.count(old) == 1
    with pytest.raises(NtkspecError) as caught:
        parse_run_recipe(RECIPE.replace(old, new), "r.toml")
    assert str(caught.value).startswith(f"r.toml:{line}: ")
    assert words in str(caught.value) and "\n" not in str(caught.value)


SAMPLES = RECIPE.replace(
    'kind = "sine"\ndegrees = [1, 4, 8]\namplitudes = [1, 0.5, 2]',
    'kind = "samples"\nfile = "values.csv"',
)


def test_samples_are_another_recipe_when_their_file_is_another(tmp_path):
    recipe, values = tmp_path / "r.toml", tmp_path / "values.csv"
    recipe.write_text(SAMPLES)
    with pytest.raises(NtkspecError, match=r"r\.toml:15: file = 'values.csv'.*cannot be read"):
        read_run_recipe(recipe)
    values.write_text("1\n2\n")
    first = read_run_recipe(recipe)
    assert first.target.kind == "samples" and first.target.file == str(values)
    values.write_text("1\n3\n")
    assert read_run_recipe(recipe).digest != first.digest
    (tmp_path / "moved").mkdir()
    for path in (recipe, values):
        path.rename(tmp_path / "moved" / path.name)
    moved = read_run_recipe(tmp_path / "moved" / "r.toml")
    (tmp_path / "moved" / "values.csv").write_text("1\n2\n")
    assert moved.digest != first.digest
    assert read_run_recipe(tmp_path / "moved" / "r.toml").digest == first.digest


@pytest.mark.parametrize(
    "old,new,line,words",
    [
        ('file = "values.csv"', "", 13, "[target] of kind 'samples' has no file"),
        ('"values.csv"', "3", 15, "file = 3 is not allowed; it must be a string"),
        (
            '"values.csv"',
            '"values.csv"\ndegrees = 3',
            16,
            "degrees = (3,) is not allowed with kind = 'samples'; it is for 'sine', 'cosine'",
        ),
        (
            '"values.csv"',
            '"values.csv"\npole = [1, 0]',
            16,
            "pole = (1.0, 0.0) is not allowed with",
        ),
        ('"samples"', '"sine"\ndegrees = 1', 16, "it is for 'samples'"),
    ],
)
def test_faults_of_samples(old, new, line, words):
    with pytest.raises(NtkspecError) as caught:
        parse_run_recipe(SAMPLES.replace(old, new), "r.toml")
    assert str(caught.value).startswith(f"r.toml:{line}: ") and words in str(caught.value)


def test_sines_are_for_the_circle():
    text = RECIPE.replace('kind = "circle"', 'kind = "random"\ndim = 3')
    with pytest.raises(NtkspecError, match=r"line 15: kind = 'sine' .* dimension 3"):
        parse_run_recipe(text)


@pytest.mark.parametrize("key", ["steps", "activation", "width", "points", "degrees"])
def test_what_is_needed_is_named(key):
    text = "\n".join(line for line in RECIPE.splitlines() if not line.startswith(f"{key} ="))
    with pytest.raises(NtkspecError, match=f"has no {key}"):
        parse_run_recipe(text)


def test_missing_files(tmp_path):
    with pytest.raises(TableError, match="cannot be read"):
        read_run_recipe(tmp_path / "none.toml")
    recipe = tmp_path / "r.toml"
    recipe.write_text(RECIPE.replace('"circle"\npoints = 64', '"file"\nfile = "points.csv"'))
    with pytest.raises(NtkspecError, match=r"r\.toml:12: file = 'points.csv'.*cannot be read"):
        read_run_recipe(recipe)
    (tmp_path / "points.csv").write_text("1,0\n0,1\n")
    first = read_run_recipe(recipe).digest
    (tmp_path / "points.csv").write_text("1,0\n0,-1\n")
    assert read_run_recipe(recipe).digest != first, "other points are another recipe"


def test_the_manual_shows_a_recipe_with_every_key():
    page = (ROOT / "docs" / "run_recipes.rst").read_text(encoding="utf-8")
    block = re.search(r"\.\. code-block:: toml\n\n((?:   .*\n|\n)+)", page).group(1)
    text = textwrap.dedent(block)
    recipe = parse_run_recipe(text)
    assert f"{len(recipe.members)} trainings" in page
    assert make_problem(recipe).points.exact_degree > 0
    raw = tomllib.loads(text)
    assert set(raw) == set(recipe_keys(RunRecipe))
    tables = {
        "data": recipe_keys(DataRecipe), "target": recipe_keys(TargetRecipe),
        "loss": recipe_keys(LossRecipe), "optimizer": recipe_keys(OptimizerRecipe),
    }  # fmt: skip
    # One recipe cannot show what belongs to other kinds of points, targets and losses.
    others = {"degree", "file", "index", "batch", "operator", "floor", "betas", "epsilon"}
    others |= {"residual_weight", "data_weight", "boundary", "boundary_weight", "frequencies"}
    assert set(recipe_keys(NetworkRecipe)) <= raw["network"].keys()
    assert {key for name in tables for key in raw[name]} == {*sum(tables.values(), ())} - others
    for key in ("name", "steps", "records", "spacing", *sum(tables.values(), ())):
        assert f"``{key}``" in page, key
    for name in tables:
        assert f"``[{name}]``" in page
    for kind in (*MAKERS, "file", *HARMONICS, "samples"):
        assert f"``{kind}``" in page or f'``"{kind}"``' in page, kind


@pytest.mark.parametrize(
    "old,new,line,words",
    [
        ("frequencies = [[1, 0]]", "frequencies = [[1], [1, 0]]", 4, "not allowed; give numbers"),
        ("frequencies = [[1, 1]]", "frequencies = [[1, 1, 1, 1]]", 5, "of 4 coordinates"),
        ("frequencies = [[1, 1]]", "frequencies = [[]]", 5, "of 0 coordinates"),
    ],
)
def test_ragged_and_long_frequencies_get_a_sentence(old, new, line, words):
    text = """
steps = 4
network = {activation = "tanh", width = 4}
data = {kind = "torus", points = 8, frequencies = [[1, 0]]}
target = {kind = "cosine", frequencies = [[1, 1]]}
"""
    assert text.count(old) == 1
    with pytest.raises(NtkspecError, match=words) as caught:
        parse_run_recipe(text.replace(old, new))
    assert str(caught.value).startswith(f"line {line}: ")

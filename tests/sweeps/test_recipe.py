"""Recipes: what they mean, and what is said of those that mean nothing."""

import os
import re
import textwrap
import threading
import time
import tomllib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paths import ROOT

from ntkspec.errors import NtkspecError, TableError
from ntkspec.jobs.recipes import recipe_keys
from ntkspec.networks import Network
from ntkspec.sweeps import parse_recipe, read_recipe
from ntkspec.sweeps.batch import Batch
from ntkspec.sweeps.recipe import NETWORK_KEYS, Checks, Recipe
from ntkspec.trainer.recipe import read_run_recipe

RECIPE = """
dims = "2:40"
degrees = "0:120"
block_eigenvalues = 1000
compression = "gzip"
[checks]
samples = 2
digits = 30
[cluster]
kind = "slurm"
jobs = 2
[[networks]]
activation = "relu"
[[networks]]
activation = "tanh"
kernel = "nngp"
"""
NETWORK = '[[networks]]\nactivation = "relu"\n'


def names(text):
    return [pair.name for pair in parse_recipe(text).networks]


def test_what_is_left_out_has_its_default():
    recipe = parse_recipe(f"dims = 3\ndegrees = [0, 2]\n{NETWORK}")
    assert recipe.name == ""
    assert recipe.block_eigenvalues == 2**21
    assert recipe.compression == "gzip"
    assert (recipe.checks.samples, recipe.checks.digits, recipe.checks.seed) == (None, 25, 0)
    assert recipe.cluster is None
    assert recipe.networks == ((Network("relu"), "ntk", "sphere"),)


@pytest.mark.parametrize(
    "written,values",
    [
        ('"3:6"', [3, 4, 5]),
        ("7", [7]),
        ('"7"', [7]),
        ("[3, 5, 9]", [3, 5, 9]),
        ('[3, 5, "9:19:5"]', [3, 5, 9, 14]),
        ('["2:5", 8, "16:100:*2"]', [2, 3, 4, 8, 16, 32, 64]),
        ('"2:5,8,16:100:*2"', [2, 3, 4, 8, 16, 32, 64]),
        ('["2,3", "4"]', [2, 3, 4]),
    ],
)
@pytest.mark.parametrize("key", ["dims", "degrees"])
def test_ranges_numbers_and_lists_of_both(key, written, values):
    other = {"dims": "degrees", "degrees": "dims"}[key]
    recipe = parse_recipe(f"{key} = {written}\n{other} = 3\n{NETWORK}")
    np.testing.assert_array_equal(getattr(recipe, key), values)
    assert getattr(recipe, key).dtype == np.int64


def test_lists_expand_to_products_in_order():
    text = """
    dims = 3
    degrees = 3
    [[networks]]
    activation = ["relu", "tanh"]
    depth = [1, 2]
    kernel = ["ntk", "nngp"]
    [[networks]]
    activation = "leaky_relu"
    slope = [0.1, 0.2]
    """
    assert names(text) == [
        "relu", "relu(kernel=nngp)", "relu(depth=2)", "relu(depth=2,kernel=nngp)",
        "tanh", "tanh(kernel=nngp)", "tanh(depth=2)", "tanh(depth=2,kernel=nngp)",
        "leaky_relu(slope=0.1)", "leaky_relu(slope=0.2)",
    ]  # fmt: skip


def test_many_networks_take_no_time():
    text = f"dims = 3\ndegrees = 3\n[[networks]]\nactivation = 'erf'\ndepth = {list(range(1, 51))}"
    text += f"\nweight_variance = {[0.1 * n for n in range(1, 61)]}"
    started = time.process_time()
    assert len(parse_recipe(text).networks) == 3000
    assert time.process_time() - started < 10.0  # 1 to 2; a minute where each was compared with all


def test_long_ranges_take_no_time():
    text = f'dims = "2:1000001"\ndegrees = "0:1000001"\n{NETWORK}'
    started = time.process_time()
    recipe = parse_recipe(text)
    assert time.process_time() - started < 0.1
    assert (recipe.dims.size, recipe.degrees.size) == (999_999, 1_000_001)


def test_the_digest_is_of_what_the_recipe_means():
    digest = parse_recipe(RECIPE).digest
    commented = "# the same\n" + RECIPE.replace('"2:40"', '["2:10", "10:40"]')
    assert parse_recipe(commented).digest == digest
    other = RECIPE.replace("jobs = 2", "jobs = 3")
    assert other != RECIPE
    assert parse_recipe(other).digest == digest
    for old, new in [
        ('"gzip"', '"none"'), ("= 1000", "= 1001"), ('"2:40"', '"2:41"'), ('"0:120"', '"1:120"'),
        ('"relu"', '"abs"'), ("samples = 2", "samples = 3"),
    ]:  # fmt: skip
        assert parse_recipe(RECIPE.replace(old, new)).digest != digest


def test_the_cluster_table():
    text = RECIPE.replace("jobs = 2", 'jobs = 2\nprologue = ["module load python"]')
    assert parse_recipe(text).cluster == Batch("slurm", 2, prologue=("module load python",))
    assert parse_recipe(RECIPE.replace('kind = "slurm"\njobs = 2', "")).cluster == Batch()


@pytest.mark.parametrize(
    "old,new,line,words",
    [
        ('dims = "2:40"', 'dims = "1:40"', 2, ["dims", "dim = 1 "]),
        ('dims = "2:40"', 'dims = "2:1000002"', 2, ["dims", "1000001"]),
        ('dims = "2:40"', 'dims = "40:2"', 2, ["dims", "empty"]),
        ('dims = "2:40"', 'dims = "two"', 2, ["dims", "two"]),
        ('dims = "2:40"', "dims = [3, 2]", 2, ["dims", "2 comes after 3"]),
        ('dims = "2:40"', 'dims = "2:8,4:10"', 2, ["dims", "4 comes after 7"]),
        ('dims = "2:40"', "dims = []", 2, ["dims", "empty"]),
        ('dims = "2:40"', "dims = 2.5", 2, ["dims", "2.5"]),
        ('dims = "2:40"', "dims = [2,\n3,\ntrue]", 4, ["dims", "True"]),
        ('dims = "2:40"', "dims = [2,\n3,\n1]", 4, ["dims", "dim = 1 "]),
        ('dims = "2:40"', 'dims = [2,\n3,\n"x"]', 4, ["dims", "x"]),
        ('dims = "2:40"', "dims = [2,\n[3]]", 3, ["dims", "[3]"]),
        ('dims = "2:40"', f"dims = {10**30}", 2, ["dims", "1000000"]),
        ('dims = "2:40"', 'dimms = "2:40"', 2, ["dimms", "dims"]),
        ('degrees = "0:120"', "", None, ["has no degrees; write"]),
        ('degrees = "0:120"', 'degrees = "0:2000000"', 3, ["degrees", "1999999"]),
        ('degrees = "0:120"', f'degrees = "0:{10**30}"', 3, ["degrees", "1000000"]),
        ('degrees = "0:120"', 'degrees = ["0:3",\n"0:9:*2"]', 4, ["degrees", "a >= 1"]),
        ("dims", "name = 3\ndims", 2, ["name", "3"]),
        ("= 1000", "= 0", 4, ["block_eigenvalues", "0"]),
        ("= 1000", "= 268435457", 4, ["block_eigenvalues", "268435456"]),
        ("= 1000", "= true", 4, ["block_eigenvalues", "True"]),
        ('"gzip"', '"lzf"', 5, ["compression", "lzf", "zstd"]),
        ('"gzip"', "['gzip']", 5, ["compression", "['gzip']"]),
        ("samples = 2", "samples = -2", 7, ["samples", "-2"]),
        ("samples = 2", "sample = 2", 7, ["sample", "samples", "[checks]"]),
        ("digits = 30", 'digits = "many"', 8, ["digits", "many"]),
        ("[checks]", "[[checks]]", 6, ["checks", "table"]),
        ('"slurm"', '"slrum"', 10, ["[cluster]", "kind", "slrum"]),
        ("jobs = 2", "job = 2", 11, ["job", "jobs", "[cluster]"]),
        ('"relu"', '"rleu"', 13, ["number 1", "rleu", "relu"]),
        ('"relu"', '["abs",\n "rleu"]', 14, ["number 1", "rleu", "relu"]),
        ('"relu"', "3", 13, ["number 1", "activation", "3"]),
        ('"relu"', '[[["relu"]]]', 13, ["number 1", "activation", "['relu']"]),
        ('"relu"', "[]", 13, ["number 1", "activation", "empty"]),
        ('activation = "relu"', "slope = 1.0", 12, ["number 1", "activation"]),
        ('activation = "relu"', 'activation = "relu"\nslope = 1.0', 14, ["slope"]),
        ('activation = "relu"', 'activation = "relu"\nslope = true', 14, ["slope", "True"]),
        ('activation = "relu"', 'activation = "relu"\nslop = 1.0', 14, ["slop", "slope"]),
        ('activation = "relu"', 'activation = "relu"\ndepth = [1,\n0]', 15, ["depth", "0"]),
        ('activation = "relu"', 'activation = "step"', 12, ["number 1", "step"]),
        ('activation = "relu"', 'activation = ["relu",\n"step"]', 12, ["number 1", "step"]),
        ('activation = "relu"', 'activation = ["relu",\n"relu"]', 12, ["number 1, line 12"]),
        ('kernel = "nngp"', 'kernel = "nnpg"', 16, ["number 2", "nnpg"]),
        ('"tanh"\nkernel = "nngp"', '"relu"', 14, ["number 2", "relu", "number 1, line 12"]),
        ('"relu"', '"relu"\ndepth = %s' % ([*range(1, 101)] * 101), 12, ["10100 networks"]),
        ("[checks]", "[checks", 6, ["TOML"]),
        ('activation = "tanh"', "activation = ", 15, ["TOML"]),
    ],
)  # fmt: skip
def test_bad_recipes_get_a_message_with_line_and_key(old, new, line, words):
    assert old in RECIPE
    with pytest.raises(NtkspecError) as caught:
        parse_recipe(RECIPE.replace(old, new, 1))
    message = str(caught.value)
    assert "\n" not in message
    found = re.match(r"line (\d+): ", message)
    assert (found and int(found.group(1))) == line, message
    for word in words:
        assert word in message


@pytest.mark.parametrize("networks", ["networks = 3", "networks = []", "networks = [3]", ""])
def test_networks_that_are_none(networks):
    with pytest.raises(NtkspecError, match=r"\[\[networks\]\]"):
        parse_recipe(f"dims = 3\ndegrees = 3\n{networks}")


@pytest.mark.parametrize(
    "text", ["n = " + "9" * 5000, "n = " + "[" * 5000, "\x00", "dims = 1979-05-27", "degrees = nan"]
)
def test_no_text_is_answered_by_a_traceback(text):
    with pytest.raises(NtkspecError):
        parse_recipe(text)


values = st.recursive(
    st.sampled_from(
        ["0", "3", "-1", "1e400", "nan", "-inf", "1e-3", "true", "''", "'relu'", "'ntk'", "'all'",
         "'0:4'", "'1:9:*2'", "1979-05-27", "07:32:00", "9" * 400]
    ),
    lambda inner: st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
    | inner.map(lambda item: f"{{a = {item}}}"),
    max_leaves=4,
)  # fmt: skip
keys = st.sampled_from(
    ["name", "dims", "degrees", "block_eigenvalues", "compression", "checks", "cluster", "networks",
     "checks.seed", "cluster.jobs", "cluster.kind"]
)  # fmt: skip
network_keys = st.sampled_from(
    ["activation", "slope", "power", "weight_variance", "bias_variance", "depth", "trained",
     "weights", "kernel"]
)  # fmt: skip


@given(st.dictionaries(keys, values, max_size=3), st.dictionaries(network_keys, values, max_size=3))
def test_any_values_are_read_or_refused(root, network):
    root = {"dims": "3", "degrees": "3", **root}
    network = {"activation": "'relu'", **network}
    text = "\n".join(f"{key} = {value}" for key, value in root.items())
    if "networks" not in root:
        text += "\n[[networks]]\n" + "\n".join(f"{key} = {value}" for key, value in network.items())
    try:
        assert parse_recipe(text).networks
    except NtkspecError as error:
        message = str(error)
    else:
        return
    line = re.match(r"line (\d+): ", message)
    assert line or " has no " in message, message


def test_the_error_of_a_file_names_it_and_the_line(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text(RECIPE.replace("relu", "rleu"))
    with pytest.raises(NtkspecError) as caught:
        read_recipe(path)
    assert str(caught.value).startswith(f"{path}:13: [[networks]] number 1: activation 'rleu'")
    path.write_text("dims = 3\n")
    with pytest.raises(NtkspecError, match=re.escape(f"{path}: the recipe has no networks")):
        read_recipe(path)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(TableError, match="recipe"):
        read_recipe(tmp_path / "none.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(NtkspecError, match="UTF-8"):
        read_recipe(tmp_path / "bytes.toml")


def test_the_default_recipe_is_the_posters():
    recipe = read_recipe(ROOT / "data" / "recipes" / "poster.toml")
    assert [pair.name for pair in recipe.networks] == [
        "relu", "leaky_relu(slope=0.1)", "sigmoid", "tanh",
    ]  # fmt: skip


def test_the_manual_shows_a_recipe_with_every_key():
    page = (ROOT / "docs" / "recipes.rst").read_text(encoding="utf-8")
    block = re.search(r"\.\. code-block:: toml\n\n((?:   .*\n|\n)+)", page).group(1)
    text = textwrap.dedent(block)
    recipe = parse_recipe(text)
    assert f"{len(recipe.networks)} networks" in page
    raw = tomllib.loads(text)
    assert set(raw) == set(recipe_keys(Recipe))
    tables = [key for kind in (Recipe, Checks, Batch) for key in recipe_keys(kind)]
    for key in (*tables, *NETWORK_KEYS):
        assert f"``{key}``" in page or f"[{key}]``" in page, key


def test_a_recipe_without_end_is_not_read(tmp_path):
    large = tmp_path / "large.toml"
    large.touch()
    os.truncate(large, 200 * 2**20)
    for path in ("/dev/zero", large):
        with pytest.raises(TableError, match="the recipe is larger than the 4194304 bytes"):
            read_recipe(path)
        with pytest.raises(TableError, match="the recipe is larger than the 4194304 bytes"):
            read_run_recipe(path)


def test_a_recipe_from_a_pipe(tmp_path):
    """A pipe is read to its end; line ends are those of any system."""
    os.mkfifo(tmp_path / "pipe")
    text = RECIPE.replace("\n", "\r\n").encode()
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(text,))
    writer.start()
    assert read_recipe(tmp_path / "pipe").text == RECIPE
    writer.join()

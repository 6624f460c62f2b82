"""The atlas: what it holds, and that a stale or altered one is refused."""

from __future__ import annotations

import configparser
import hashlib
import shutil
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from command_line import ntkspec as invoke
from draws import examples
from hypothesis import given
from hypothesis import strategies as st
from paths import ROOT
from problems import POSTER
from table_numbers import altered

import ntkspec
from ntkspec.activations.catalogue import ACTIVATIONS
from ntkspec.errors import NtkspecError, TableError
from ntkspec.explorer import write_page
from ntkspec.jobs.meaning import imported_sources, meaning, meaning_digest
from ntkspec.spectra import table_block
from ntkspec.sweeps import Plan, parse_recipe, read_recipe, run_shard
from ntkspec.sweeps.merge import merge
from ntkspec.tables import atlas as module
from ntkspec.tables.atlas import (
    atlas_path,
    check_atlas,
    described_recipes,
    description_path,
    place_atlas,
    recipe_path,
    source_digest,
)
from ntkspec.verification import check_entry, verify_table

PACKAGE = ROOT / "ntkspec"


@pytest.fixture(scope="module")
def table():
    with ntkspec.atlas() as opened:
        yield opened


@pytest.fixture
def copy(tmp_path):
    """A copy of the atlas with its checksum."""
    for name in ("atlas.h5", "atlas.jsonl", "atlas.sha256"):
        shutil.copy(atlas_path().with_name(name), tmp_path / name)
    return tmp_path / "atlas.h5"


@pytest.fixture
def sources(tmp_path):
    """A copy of the sources that determine the numbers."""
    folder = tmp_path / "ntkspec"
    for path in imported_sources(PACKAGE, "spectra.walk"):
        to = folder / path.relative_to(PACKAGE)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, to)
    return folder


def sign(path):
    """Make the checksums beside altered files anew, as one who hides the change."""
    lines = [
        f"{hashlib.sha256(part.read_bytes()).hexdigest()}  {part.name}\n"
        for part in (path, path.with_suffix(".jsonl"))
    ]
    path.with_suffix(".sha256").write_text("".join(lines))


# --- the atlas that is there ---------------------------------------------------------------------


def test_it_is_what_its_recipe_and_these_sources_make():
    check_atlas()


def test_it_holds_what_its_recipe_says(table):
    networks, found = table.networks, set()
    for path in (recipe_path(), *described_recipes()):
        recipe = read_recipe(path)
        for key in recipe.networks:
            name = key.name
            if name in found:
                continue
            found.add(name)
            assert (name in table.computed) == (path != recipe_path())
            assert table.key(name) == key and networks[name] == key.network
            np.testing.assert_array_equal(table.dims(name), recipe.dims)
            np.testing.assert_array_equal(table.degrees(name), recipe.degrees)
            assert len(table.checks(name)) == recipe.checks.samples
            assert table.relative_error(name).max() < 1e-12
    assert list(networks) == sorted(found)
    assert table.dims("relu")[[0, -1]].tolist() == [2, 10**6]
    assert table.degrees("relu")[-1] == 256
    files = (atlas_path(), description_path(), atlas_path().with_suffix(".sha256"))
    assert sum(path.stat().st_size for path in files) < 8_000_000


def test_the_manual_says_how_many_there_are(table):
    text = (ROOT / "docs" / "atlas.rst").read_text(encoding="utf-8")
    count, stored = len(table.networks), len(table.networks) - len(table.computed)
    assert f"a table of {count} spectra" in text
    assert f"{stored} of {count} spectra" in text
    assert f"eigenvalues of {count} networks" in (ROOT / "docs" / "tutorial.rst").read_text()


def test_every_activation_is_there(table):
    found = {network.activation for network in table.networks.values() if network.depth}
    # The independent route takes minutes for an entry of these.
    for name in set(ACTIVATIONS) - {"finer", "softsign"}:
        example = "polynomial(0, 0, 1)" if name == "polynomial" else name
        assert ntkspec.Network(example).activation in found, name


@examples(15, 200)
@given(st.data())
def test_what_is_computed_is_the_engines(table, data):
    """Numbers to the bit, bounds below those listed, and the checks fit the numbers."""
    name = data.draw(st.sampled_from(sorted(table.computed)))
    key, errors = table.key(name), table.relative_error(name)
    [check] = table.checks(name)
    dims = sorted({check["dim"], int(data.draw(st.sampled_from(table.dims(name).tolist())))})
    part = table.select(name, dims)
    for row, dim in enumerate(dims):
        now = table_block(*key[:1], [dim], part.degrees, kernel=key.kernel, domain=key.domain)
        np.testing.assert_array_equal(part.eigenvalues[row], now.eigenvalues[0])
        np.testing.assert_array_equal(part.log_eigenvalues[row], now.log_eigenvalues[0])
        assert part.relative_error[row] == now.relative_error[0]
        assert part.relative_error[row] <= errors[table.dims(name) == dim][0]
    value = part.eigenvalues[dims.index(check["dim"]), check["degree"]]
    reference = float(check["reference"])
    assert value == pytest.approx(reference, rel=2e-12, abs=0.0)
    order = data.draw(st.permutations([0, 1, 2, 5]))
    few = table.select(name, dims[0], order)
    np.testing.assert_array_equal(few.eigenvalues[0], part.eigenvalues[0][order])


def test_tables_and_pages_take_what_is_computed(table, tmp_path):
    name = "mish(depth=4,trained=all)"
    frame = table.to_pandas(name, dim=[3, 10], degrees=[0, 1])
    part = table.select(name, [3, 10], [0, 1])
    np.testing.assert_array_equal(frame.eigenvalue, part.eigenvalues.ravel())
    lazy = table.to_xarray(name)
    assert lazy.eigenvalue.chunks
    assert float(lazy.eigenvalue.sel(dim=10, degree=1)) == part.eigenvalues[1, 1]
    assert table.blocks(name).size == table.dims(name).size
    page = write_page(table, tmp_path / "e.html", networks=[name, "relu"], dims=[3, 10])
    assert page.stat().st_size < 200_000
    result = invoke("info", "atlas")
    assert result.exit_code == 0 and name in result.output
    assert f"{len(table.computed)} of its {len(table.networks)} networks are" in result.output


def test_it_says_what_made_it(table):
    made = table.attributes
    assert made["recipe"] == recipe_path().read_text(encoding="utf-8")
    assert made["source_digest"] == source_digest()
    assert {"versions", "time", "command", "code_digest"} <= set(made)


def test_it_opens_and_answers_in_milliseconds():
    def once():
        start = time.process_time()
        with ntkspec.atlas() as opened:
            opened.select(ntkspec.Network("gelu", depth=2, trained="all"), dim=10)
        return time.process_time() - start

    # 2 ms where nothing else runs.
    assert min(once() for _ in range(10)) < 0.03


@pytest.mark.parametrize("name", POSTER)
def test_the_far_corner_against_the_independent_route(table, name):
    # ntkspec.reference.balls: Gegenbauer and Gaussian integrals in ball arithmetic.
    part = table.select(name, dim=1024, degrees=[11, 12])
    for k in range(2):
        check = check_entry(
            part.network, 1024, int(part.degrees[k]), part.eigenvalues[0, k],
            part.log_eigenvalues[0, k], part.relative_error[0], kernel=part.kernel, digits=20,
        )  # fmt: skip
        assert check.passed, check


@pytest.mark.parametrize(
    "name",
    [
        "gelu",
        "erf(trained=all)",
        "relu(bias_variance=0.1,depth=2)",
        "tanh(bias_variance=0.1,kernel=nngp)",
    ],
)
def test_entries_against_the_independent_route(name):
    # The Gaussian expectation as an integral in the plane.
    found = verify_table(
        atlas_path(), samples=3, digits=20, seed=5, workers=1, network=name, max_dim=8, max_degree=9
    )
    assert found.passed and len(found.rows) == 3
    assert {group for group, _ in found.rows} == {name}
    assert all(check.dim <= 8 and check.degree <= 9 for _, check in found.rows)


@pytest.mark.parametrize("activation", POSTER)
@pytest.mark.parametrize("kernel", ["ntk", "nngp"])
def test_rows_against_the_engine_now(table, activation, kernel):
    part = table.select(activation, kernel=kernel)
    for i, dim in enumerate(part.dims.tolist()):
        now = ntkspec.spectrum(part.network, dim, part.degrees, kernel=kernel)
        zero = np.isneginf(part.log_eigenvalues[i])
        np.testing.assert_array_equal(np.isneginf(now.log_eigenvalues), zero)
        assert not part.eigenvalues[i][zero].any()
        # Both are within their bounds of the truth, logarithms within their rounding too.
        log = now.log_eigenvalues[~zero]
        bound = part.relative_error[i] + now.relative_error[~zero]
        off = np.abs(part.log_eigenvalues[i][~zero] - log)
        assert np.all(off <= bound + 4.0 * np.finfo(float).eps * np.abs(log))
        seen = part.eigenvalues[i] > 0.0
        off = np.abs(part.eigenvalues[i][seen] / now.eigenvalues[seen] - 1.0)
        assert np.all(off <= part.relative_error[i] + now.relative_error[seen])


# --- a stale or altered one ----------------------------------------------------------------------


@pytest.mark.slow
def test_a_copy_is_as_good(copy):
    check_atlas(copy)


def test_a_byte_that_is_altered(copy):
    content = bytearray(copy.read_bytes())
    content[len(content) // 2] ^= 1
    copy.write_bytes(content)
    with pytest.raises(TableError, match="damaged or altered"):
        check_atlas(copy)


def test_a_number_that_is_altered_and_signed(copy):
    with altered(copy) as file:
        file["gelu/eigenvalue"][2, 4] *= 1.0 + 1e-15
    sign(copy)
    with pytest.raises(TableError, match="gelu is damaged"):
        check_atlas(copy)


def test_a_bound_that_is_altered_and_signed(copy):
    with h5py.File(copy, "r+") as file:
        file["relu/relative_error"][0] = 1e-20
    sign(copy)
    with pytest.raises(TableError, match="its seal is missing"):
        check_atlas(copy)


def described(copy, change):
    """Alter the description of a network beside a copy of the atlas, and sign it."""
    path = copy.with_suffix(".jsonl")
    lines = path.read_text().splitlines(keepends=True)
    at = next(n for n, line in enumerate(lines) if line.startswith("mish\t"))
    lines[at] = change(lines[at])
    path.write_text("".join(lines))
    sign(copy)


def test_a_description_that_is_altered(copy):
    path = copy.with_suffix(".jsonl")
    path.write_bytes(path.read_bytes().replace(b"mish", b"mush", 1))
    with pytest.raises(TableError, match=r"atlas.jsonl is damaged or altered"):
        check_atlas(copy)


@pytest.mark.parametrize(
    "old, new, message",
    [
        ('"checks":[', '"checks":[],"other":[', "no entry of mish was checked"),
        ('"activation":"mish"', '"activation":"tanh"', "mish is damaged .it describes tanh"),
        ('"activation":"mish"', '"activation":"mush"', "mish does not describe a network"),
        ("mish\t", "mish", "a group has no description"),
        ("{", "[", "a line is not a JSON object"),
    ],
)
def test_a_description_that_is_wrong_and_signed(copy, old, new, message):
    described(copy, lambda line: line.replace(old, new, 1))
    with pytest.raises(TableError, match=message):
        check_atlas(copy)


def test_another_recipe_of_what_is_described(copy):
    path = copy.with_suffix(".jsonl")
    head, rest = path.read_text().split("\n", 1)
    digest = hashlib.sha256(described_recipes()[0].read_bytes()).hexdigest()
    path.write_text(head.replace(digest, "0" * 64) + "\n" + rest)
    sign(copy)
    with pytest.raises(TableError, match=r"made by another recipe than .*atlas-short.toml"):
        check_atlas(copy)


def test_a_check_that_failed_and_is_signed(copy):
    with altered(copy) as file:
        rows = file["tanh/checks"][...]
        rows["relative_error"][0] = 1e-9
        file["tanh/checks"][...] = rows
    sign(copy)
    with pytest.raises(
        TableError, match=r"tanh at dim = .* differ by 1e-09, more than its error bound"
    ):
        check_atlas(copy)


def test_another_recipe(copy, tmp_path):
    text = recipe_path().read_text(encoding="utf-8")
    other = tmp_path / "atlas.toml"
    other.write_text(text.replace("seed = 6", "seed = 7"), encoding="utf-8")
    with pytest.raises(TableError, match="stale: it was made by another recipe"):
        check_atlas(copy, recipe=other)
    with altered(copy) as file:
        file.attrs["recipe"] = text + "\n"
    sign(copy)
    with pytest.raises(TableError, match="stale: it was made by another recipe"):
        check_atlas(copy)


def test_an_edited_source(copy, sources):
    """Comments and docstrings may change, formulas may not."""
    paths = [sources / name for name in ("spectra/series.py", "kernels/walk.py", "duals/layers.py")]
    for path in paths:
        text = path.read_text(encoding="utf-8").replace('"""', '"""Other words. ', 1)
        path.write_text(f"{text}\n# A comment.\n", encoding="utf-8")
    check_atlas(copy, package=sources)
    for path in paths:
        text = path.read_text(encoding="utf-8")
        path.write_text(f"{text}\nEDITED = 1\n", encoding="utf-8")
        assert source_digest(sources) != source_digest()
        path.write_text(text, encoding="utf-8")


def test_a_source_that_is_gone(copy, sources):
    (sources / "kernels" / "walk.py").unlink()
    with pytest.raises(TableError, match="stale: it was made by other sources"):
        check_atlas(copy, package=sources)


@pytest.mark.parametrize("gone", ["atlas.h5", "atlas.jsonl", "atlas.sha256"])
def test_a_file_that_is_missing(copy, gone):
    copy.with_name(gone).unlink()
    with pytest.raises(TableError, match=r"does not exist|checksum of atlas.h5, is missing"):
        check_atlas(copy)


def test_one_that_is_too_large(copy, monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", copy.stat().st_size)
    with pytest.raises(TableError, match="bytes; fewer than"):
        check_atlas(copy)


def test_another_table_is_not_put_in_its_place(tmp_path):
    recipe = tmp_path / "r.toml"
    recipe.write_text('dims = 3\ndegrees = "0:9"\nnetworks = [{activation = "relu"}]\n')
    run_shard(recipe, tmp_path / "t.h5", "1/1")
    merge([tmp_path / "t.h5.parts"], tmp_path / "t.h5")
    shutil.copy(description_path(), tmp_path / "t.jsonl")
    with pytest.raises(TableError, match="stale: it was made by another recipe"):
        place_atlas(tmp_path / "t.h5", tmp_path / "atlas.h5")
    assert not (tmp_path / "atlas.h5").exists() and not (tmp_path / "atlas.sha256").exists()


def test_the_atlas_can_be_put_in_a_place(tmp_path):
    assert place_atlas(atlas_path(), tmp_path / "atlas.h5") == tmp_path / "atlas.h5"
    check_atlas(tmp_path / "atlas.h5")


# --- the digest of the sources -------------------------------------------------------------------


def test_what_determines_the_numbers():
    names = {
        path.relative_to(PACKAGE).as_posix() for path in imported_sources(PACKAGE, "spectra.walk")
    }
    assert {
        "spectra/walk.py", "spectra/sphere_routes.py", "spectra/series.py",
        "spectra/closed_form.py", "spectra/seeds.py", "duals/layers.py", "kernels/walk.py",
        "kernels/series.py", "kernels/moments.py", "networks/network.py",
    } <= names  # fmt: skip
    # The trainer's loops, the independent route and the laws have no part in them.
    assert "kernels/descent.py" not in names
    others = ("trainer", "sweeps", "cli", "laws", "reference", "files", "jobs")
    assert not any(name.startswith(others) for name in names)


def test_the_meaning_is_the_same_for_every_python():
    source = '''"""Doc."""
from math import pi as p

@cached  # a comment
async def f(x: int = 1, *y, z=(), **w) -> str:
    """Doc."""
    return f"{x!r:>{w}}" + "a" "b" if x else [i for i in y if i < 1e-3] + {**w}
'''
    # Found alike by Python 3.11, 3.12 and 3.13, whose ast.dump differ.
    assert hashlib.sha256(meaning(source).encode()).hexdigest()[:16] == "78c76773ace42ec0"


EXPRESSIONS = st.recursive(
    st.sampled_from(["x", "1", "1.5", "'text'", "f(x)"]),
    lambda inner: st.tuples(inner, st.sampled_from("+-*/"), inner).map(
        lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"
    ),
    max_leaves=8,
)


@given(EXPRESSIONS, EXPRESSIONS)
def test_layout_does_not_count_and_code_does(one, two):
    spaced = one.replace(" ", "   ")
    assert meaning(f"y = {one}") == meaning(f"'A docstring.'\ny = {spaced}  # why\n\n")
    assert (meaning(f"y = {one}") == meaning(f"y = {two}")) == (one == two)


def test_names_of_files_count(tmp_path):
    text = meaning("x = 1")
    digests = [meaning_digest(tmp_path, {tmp_path / name: text}) for name in ("a.py", "b.py")]
    assert digests[0] != digests[1]


# --- selecting -----------------------------------------------------------------------------------


@examples(12, 40)
@given(st.data())
def test_every_network_is_found_by_itself(table, data):
    recipe = read_recipe(recipe_path())
    key = data.draw(st.sampled_from(recipe.networks))
    part = table.select(key.network, dim=3, degrees=[0, 1], kernel=key.kernel)
    assert part.name == key.name and (part.network, part.kernel, part.domain) == key


def test_plain_names_are_the_posters_networks(table):
    for name in ("relu", "leaky_relu", "tanh", "sigmoid", "gelu"):
        part = table.select(name, dim=3, degrees=1)
        assert part.network == ntkspec.Network(name) and part.kernel == "ntk"
        assert part.eigenvalues[0, 0] == pytest.approx(
            ntkspec.eigenvalues(name, dim=3, degrees=[1])[0], rel=1e-13
        )


def test_the_nngp_kernel_does_not_depend_on_what_is_trained(table):
    network = ntkspec.Network("relu", depth=2, trained="all")
    assert table.select(network, 3, 0).kernel == "ntk"
    assert table.select(network, 3, 0, kernel="nngp").name == "relu(depth=2,kernel=nngp)"
    assert table.select("relu", 3, 0, kernel="nngp").name == "relu(kernel=nngp)"
    assert table.select("relu(kernel=nngp)", 3, 0).kernel == "nngp"
    assert table.select("relu(kernel=nngp)", 3, 0, kernel="ntk").name == "relu"


@pytest.mark.parametrize(
    "network, options, message",
    [
        ("mush", {}, r"network = 'mush' is not in the table; it has .* networks of abs, cos"),
        (ntkspec.Network("relu", depth=5), {}, r"depth=5.* is not in the table"),
        ("mish", {"dim": 7}, "dim = 7 is not in the table"),
        ("mish", {"degrees": 257}, "degree = 257 is not in the table"),
        ("relu", {"kernel": "ntp"}, "kernel = 'ntp' is not allowed; use 'ntk' or 'nngp'"),
        ("relu", {"dim": 7}, "dim = 7 is not in the table"),
        ("relu", {"degrees": 257}, "degree = 257 is not in the table"),
    ],
)
def test_what_is_not_there(table, network, options, message):
    with pytest.raises(NtkspecError, match=message):
        table.select(network, **options)


# --- the command line ----------------------------------------------------------------------------


def test_the_word_atlas_stands_for_it():
    result = invoke("info", "atlas")
    assert result.exit_code == 0 and "leaky_relu" in result.output
    result = invoke(
        "export", "atlas", "-o", "-", "--network", "relu", "--dim", "3", "--degrees", "0"
    )
    assert result.output.splitlines()[1].startswith("relu,3,0,0.0625,")
    result = invoke("fit", "atlas", "--network", "relu", "--dim", "3", "--format", "csv")
    assert result.exit_code == 0 and "relu,sphere,ntk,3,0,power," in result.output


def test_verify_draws_from_a_part():
    result = invoke(
        "verify", "atlas", "--network", "relu", "--max-dim", "4", "--max-degree", "6",
        "--samples", "2", "--digits", "20", "--workers", "1",
    )  # fmt: skip
    assert result.exit_code == 0 and "2 entries recomputed" in result.output


def test_verify_refuses_a_stale_one(monkeypatch):
    monkeypatch.setattr(module, "source_digest", lambda package=None: "0")
    result = invoke("verify", "atlas", "--samples", "1")
    assert result.exit_code == 3 and "stale: it was made by other sources" in result.output


@pytest.mark.parametrize(
    "option, message",
    [
        (["--max-dim", "1"], "max_dim = 1 is not allowed; the table begins at 2"),
        (["--max-degree", "-1"], "max_degree = -1 is not allowed; the table begins at 0"),
        (["--network", "mush"], "network = 'mush' is not in the table"),
    ],
)
def test_verify_of_nothing(option, message, monkeypatch):
    monkeypatch.setattr(module, "check_atlas", lambda: None)  # the atlas as such is checked above
    result = invoke("verify", "atlas", *option)
    assert result.exit_code == 2 and message in result.output


# --- recipes and what is installed ---------------------------------------------------------------


def test_checks_stay_where_the_recipe_wants_them(tmp_path):
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        'dims = "2:40"\ndegrees = "0:30"\nblock_eigenvalues = 200\n'
        "checks = {samples = 8, digits = 20, max_dim = 9, max_degree = 12}\n"
        'networks = [{activation = "relu"}, {activation = "tanh"}]\n'
    )
    run_shard(recipe, tmp_path / "t.h5", "1/1")
    merge([tmp_path / "t.h5.parts"], tmp_path / "t.h5")
    with ntkspec.open_table(tmp_path / "t.h5") as found:
        for name in ("relu", "tanh"):
            checks = found.checks(name)
            assert len(checks) == 8
            assert all(check["dim"] <= 9 and check["degree"] <= 12 for check in checks)


@pytest.mark.parametrize("line", ["max_dim = 2", "max_degree = -1", "max_dim = 2000000"])
def test_limits_of_checks_that_are_not_allowed(line):
    text = f'dims = "3:9"\ndegrees = "0:9"\nchecks = {{{line}}}\nnetworks = [{{activation="relu"}}]'
    with pytest.raises(NtkspecError, match=r"line 3: max_(dim|degree) = .* is not allowed"):
        parse_recipe(text)


def test_limits_are_part_of_what_a_recipe_means():
    text = 'dims = 3\ndegrees = 4\nnetworks = [{activation="relu"}]\n'
    plain, limited = parse_recipe(text), parse_recipe(text + "[checks]\nmax_degree = 9\n")
    assert plain.digest != limited.digest


def test_the_large_atlas_has_its_networks_once():
    names = [f"atlas-full{part}.toml" for part in ("", "-shallow")]
    recipes = [read_recipe(ROOT / "data" / "recipes" / name) for name in names]
    deep, shallow = (set(recipe.networks) for recipe in recipes)
    assert not deep & shallow
    assert all(len(Plan(recipe)) >= len(recipe.networks) for recipe in recipes)


def test_it_is_installed_with_the_package():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    listed = parser["options.package_data"]["ntkspec"].split()
    wanted = {f"data/atlas.{kind}" for kind in ("h5", "jsonl", "sha256")}
    assert wanted | {"data/recipes/atlas*.toml"} <= set(listed)
    link = PACKAGE / "data"
    if link.is_symlink():
        assert link.readlink() == Path("../data")
    else:  # a tree from the sdist, which has the atlas once
        assert not list((ROOT / "data").glob("atlas.*"))
    assert {f"data/{path.name}" for path in link.glob("atlas.*")} == wanted

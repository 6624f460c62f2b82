"""The explorer's page without a browser: what is in it, bit for bit, and what is refused."""

import base64
import gzip
import hashlib
import json
import re
from importlib.resources import files

import numpy as np
import pytest
from click.testing import CliRunner
from sweeping import table_of
from table_numbers import altered

from ntkspec import law
from ntkspec.cli import main
from ntkspec.errors import NtkspecError, TableError
from ntkspec.explorer import contents, write_page
from ntkspec.opening import open_table

RECIPE = """
dims = [2, 3, 1000]
degrees = "0:402:3"
[checks]
samples = 1
digits = 20
max_dim = 3
max_degree = 9
[[networks]]
activation = ["relu", "tanh"]
"""
EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return table_of(RECIPE, tmp_path_factory.mktemp("explorer"))


def parts(page):
    """Header and numbers of a page."""
    text = page.read_text()
    found = dict(re.findall(r'<script type="[^"]*" id="(\w+)">(.*?)</script>', text, re.S))
    header, packed = (gzip.decompress(base64.b64decode(found[x])) for x in ("header", "numbers"))
    planes = np.frombuffer(packed, np.uint8).reshape(8, -1)
    return json.loads(header), np.ascontiguousarray(planes.T).view("<f8").ravel()


def test_the_page_holds_the_table_bit_for_bit(path, tmp_path):
    header, numbers = parts(write_page(path, tmp_path / "e.html"))
    below = 0
    with open_table(path) as table:
        assert [entry["name"] for entry in header["networks"]] == list(table.networks)
        for entry in header["networks"]:
            part, grid = table.select(entry["name"]), header["grids"][entry["grid"]]
            assert grid["dims"] == part.dims.tolist()
            assert grid["degrees"] == part.degrees.tolist()
            size = part.eigenvalues.size
            stored = numbers[entry["place"] :][:size].reshape(part.eigenvalues.shape)
            tiny = (part.eigenvalues < 2.2250738585072014e-308) & np.isfinite(part.log_eigenvalues)
            np.testing.assert_array_equal(stored[~tiny], part.eigenvalues[~tiny])
            np.testing.assert_array_equal(stored[tiny], part.log_eigenvalues[tiny])
            below += tiny.sum()
            assert entry["laws"][1]["parts"][0]["rate"] == law(entry["name"], 3).rate
    assert below > 0  # the logarithms were really tried


def test_the_page_asks_nothing_of_a_network_and_is_the_same_each_time(path, tmp_path):
    one, two = (write_page(path, tmp_path / f"{n}.html").read_text() for n in "ab")
    assert one == two
    assert "default-src 'none'" in one
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", one)


def test_the_library_of_the_charts_is_the_one_recorded(path, tmp_path):
    folder = files("ntkspec.explorer") / "web" / "uplot"
    source = json.loads((folder / "source.json").read_text())
    for name, digest in source["sha256"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name
    found = {file.name for file in folder.iterdir()}
    assert found == {"source.json", *source["sha256"]}
    script = (folder / "uPlot.iife.min.js").read_text()
    assert f"uPlot (v{source['version']})" in script[:100] and source["version"] in source["source"]
    licence = (folder / "LICENSE").read_text()
    assert licence.startswith("The MIT License") and "--" not in licence  # it stands in a comment
    page = write_page(path, tmp_path / "e.html").read_text()
    assert licence in page and base64.b64encode(script[:300].encode()).decode() in page


def test_networks_of_all_forms_are_described(tmp_path):
    recipe = """
    dims = 3
    degrees = "0:6"
    [[networks]]
    activation = "relu"
    depth = 2
    bias = "zero"
    bias_variance = 1.0
    weight_variance = [[2.0, 1.0]]
    [[networks]]
    layers = "Linear(1.0), Residual('relu', Linear(2.0)), 'relu', Linear(1.0)"
    """
    header, _ = parts(write_page(table_of(recipe, tmp_path), tmp_path / "e.html"))
    layers, short = (entry["parameters"] for entry in header["networks"])
    assert layers["activation"].startswith("Linear(1.0), Residual('relu'")
    assert layers["depth"] is None and layers["trained"] is None
    assert (short["bias"], short["weight_variance"]) == ("zero", "2.0, 1.0")


def test_names_are_no_html(path, tmp_path):
    evil = tmp_path / "evil.h5"
    evil.write_bytes(path.read_bytes())
    with altered(evil) as file:
        file.attrs["time"] = EVIL
    page = write_page(evil, tmp_path / "e.html")
    assert EVIL not in page.read_text()
    assert parts(page)[0]["source"]["time"] == EVIL
    with altered(evil) as file:
        file.move("tanh", EVIL)
    with pytest.raises(TableError, match="damaged"):
        write_page(evil, tmp_path / "e.html")


def test_a_part_is_chosen_and_too_much_is_refused(path, tmp_path, monkeypatch):
    out = tmp_path / "e.html"
    header, numbers = parts(write_page(path, out, networks=["relu"], dims=3, degrees=[0, 3]))
    assert len(header["networks"]) == 1 and numbers.size == 4
    monkeypatch.setattr(contents, "MOST_ENTRIES", 803)
    with pytest.raises(NtkspecError, match=r"804 eigenvalues .* the most is 803; select"):
        write_page(path, tmp_path / "no.html")
    assert not (tmp_path / "no.html").exists()


def test_the_command_line(path, tmp_path):
    run = CliRunner().invoke
    out = str(tmp_path / "e.html")
    done = run(main, ["explore", str(path), "-o", out, "--network", "relu", "--dim", "3"])
    assert done.exit_code == 0 and f"wrote {out}" in done.output
    for arguments, code in (
        ([str(path), "--dim", "5"], 2),
        ([str(path), "--network", "gelu"], 2),
        ([str(tmp_path / "missing.h5")], 3),
    ):
        assert run(main, ["explore", *arguments, "-o", out]).exit_code == code


def test_the_page_says_what_it_does_before_its_script_runs(path, tmp_path):
    page = write_page(path, tmp_path / "page.html").read_text(encoding="utf-8")
    before = page[: page.index('id="numbers"')]
    assert '<p id="loading" role="status">Unpacking the table' in before
    assert '<button type="button" id="theme">Theme: System</button>' in before

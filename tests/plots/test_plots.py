"""Figure 3, drawn for real from a real table."""

import re
import struct
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure
from sweeping import make_table, table_of

import ntkspec
from ntkspec.errors import NtkspecError, TableError
from ntkspec.plots import figure3, run_picture
from ntkspec.plots.pictures import STYLES, plain, save
from ntkspec.plots.training import _spectrum
from ntkspec.trainer.runs import open_run, train_run

RECIPE = """
dims = [3, 10]
degrees = "0:200"
checks = {samples = 0}
networks = [{activation = "relu"}, {activation = "leaky_relu"}, {activation = "sigmoid"},
            {activation = "tanh", kernel = "nngp"}]
"""


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return table_of(RECIPE, tmp_path_factory.mktemp("plots"))


@pytest.mark.slow
def test_png_and_svg_are_whole_pictures(table, tmp_path):
    written = figure3(table, [tmp_path / "f.png", tmp_path / "sub" / "f.svg"])
    data = written[0].read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n" and data[-8:-4] == b"IEND"
    width, height = struct.unpack(">II", data[16:24])
    assert width >= 1200 and height >= 900
    root = ElementTree.fromstring(written[1].read_text())
    assert root.tag.endswith("svg")
    assert sorted(p.name for p in tmp_path.rglob("*.*")) == ["f.png", "f.svg"]


def test_all_text_lies_inside_the_picture(table):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from ntkspec.opening import open_table
    from ntkspec.plots.figure3 import _draw, _panels

    with open_table(table) as source:
        figure = _draw(_panels(source, source.names(), [3, 10]))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    frame = figure.bbox
    texts = [t for axes in figure.axes for t in [*axes.texts, axes.title, axes.yaxis.label]]
    texts += figure.legends[0].get_texts()
    assert len(texts) > 10
    for text in texts:
        box = text.get_window_extent(canvas.get_renderer())
        assert box.x0 >= 0 and box.y0 >= 0
        assert box.x1 <= frame.x1 and box.y1 <= frame.y1, text.get_text()


def test_lines_of_python_look_like_those_of_the_command_line():
    axes = Figure().subplots()
    for name in ("relu", "tanh", "gelu"):
        ntkspec.spectrum(name, 3, range(1, 9)).plot(ax=axes)
    ntkspec.law("relu", 3).plot(ax=axes, c="red", ls=":")
    looks = [(one.get_color(), one.get_marker()) for one in axes.lines]
    assert looks == [*(style[:2] for style in STYLES[:3]), *[("red", "none")] * 2]
    assert axes.lines[-1].get_linestyle() == ":"
    (one,) = ntkspec.fit(ntkspec.spectrum("relu", 3, range(0, 101, 2)))
    legend = one.plot(ax=Figure().subplots()).get_legend()
    assert [text.get_text() for text in legend.texts] == ["relu", "supported law", "derived law"]


def test_a_law_is_drawn_as_the_spectrum_is():
    """Dashed where it is off by more than 10 %, as in Figure 3, and by its logarithm if need be."""
    axes, law = Figure().subplots(), ntkspec.law("relu", 3)
    law.plot(range(2, 100), ax=axes)
    solid, dashed = axes.lines
    assert (solid.get_linestyle(), dashed.get_linestyle()) == ("-", "--")
    assert solid.get_xdata().min() == law.holds_from == dashed.get_xdata().max() + 2
    assert "10 %" not in solid.get_label()
    off = ntkspec.law(ntkspec.Network("tanh", depth=3), 10)
    assert off.holds_from is None
    (line,) = off.plot(ax=Figure().subplots()).lines
    assert "not within 10 % at any computed degree" in line.get_label()
    axes = Figure().subplots()
    far = ntkspec.spectrum("tanh", 1000, range(402))
    assert (far.eigenvalues[301::2] == 0.0).any()
    far.plot(ax=axes)
    ntkspec.law("tanh", 1000).plot([1, 401], ax=axes)
    assert "logarithm" in axes.get_ylabel() and axes.get_yscale() == "linear"
    assert axes.lines[-1].get_ydata()[-1] == ntkspec.law("tanh", 1000).log_eigenvalue(401)


@pytest.fixture(scope="module")
def drawn(table):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from ntkspec.opening import open_table
    from ntkspec.plots.figure3 import _draw, _panels

    with open_table(table) as source:
        figure = _draw(_panels(source, source.names(), [3, 10]))
    FigureCanvasAgg(figure).draw()
    return figure


def places(axes, line):
    """Where a line's points are, in points of the page."""
    return axes.transData.transform(line.get_xydata()) * 72 / axes.figure.dpi


def test_every_panel_has_laws_and_no_curve_hides_another(drawn):
    for axes in drawn.axes:
        curves = [one for one in axes.lines if one.get_marker() not in ("x", "None")]
        laws = [one for one in axes.lines if one.get_marker() == "None" and len(one.get_xdata())]
        assert {one.get_color() for one in laws} == {one.get_color() for one in curves}
        for curve in curves:
            steps = np.linalg.norm(np.diff(places(axes, curve), axis=0), axis=1)
            assert len(curve.get_xdata()) > 5 and steps.min() > 3.0
        # relu and leaky_relu coincide: their markers stand at other degrees.
        relu, leaky = (one for one in curves if "ReLU" in one.get_label())
        assert not set(relu.get_xdata()) & set(leaky.get_xdata())


def test_the_noise_is_stated_as_it_is_drawn(drawn):
    for axes in drawn.axes[::2]:
        (text,) = axes.texts
        low, high = (int(power) for power in re.findall(r"10\^\{(-?\d+)\}", text.get_text()))
        bottom = axes.get_ylim()[0]
        crosses = np.concatenate([c.get_ydata() for c in axes.lines if c.get_marker() == "x"])
        there = crosses[np.isfinite(crosses) & (crosses > bottom)]
        assert low == round(there.min()) and low < high < -14


def test_bad_outputs_and_tables(table, tmp_path):
    with pytest.raises(NtkspecError, match="output"):
        figure3(table, [tmp_path / "f.gif"])
    with pytest.raises(TableError, match="does not exist"):
        figure3(tmp_path / "none.h5", [tmp_path / "f.png"])
    assert not list(tmp_path.iterdir())


def test_too_few_degrees(tmp_path):
    (tmp_path / "r.toml").write_text(RECIPE.replace("0:200", "0:3"))
    make_table(tmp_path / "r.toml", tmp_path / "t.h5")
    with pytest.raises(NtkspecError, match="degrees"):
        figure3(tmp_path / "t.h5", [tmp_path / "f.png"])


def test_a_picture_of_exact_zeros(tmp_path):
    """Odd degrees from 3 on of relu are exact zeros: without others there is still a picture."""
    (tmp_path / "r.toml").write_text(
        'dims = [3, 4]\ndegrees = "3:40:2"\nchecks = {samples = 0}\n'
        'networks = [{activation = "relu"}]\n'
    )
    make_table(tmp_path / "r.toml", tmp_path / "t.h5")
    (written,) = figure3(tmp_path / "t.h5", [tmp_path / "f.svg"])
    assert ElementTree.fromstring(written.read_text()).tag.endswith("svg")


@pytest.mark.parametrize("domain", ["cube", "gaussian"])
def test_a_picture_of_another_domain(tmp_path, domain):
    """No quadrature and, on the cube, no law; legends name only what is drawn."""
    table = table_of(
        'dims = [4, 40]\ndegrees = "0:61"\nchecks = {samples = 0}\n'
        f'networks = [{{activation = "relu", domain = ["{domain}", "sphere"]}}]\n', tmp_path
    )  # fmt: skip
    (written,) = figure3(table, [tmp_path / "f.svg"], domain=domain)
    text = written.read_text()
    assert ElementTree.fromstring(text).tag.endswith("svg")
    assert "plain double quadrature" not in text and "ReLU" in text
    assert ("derived law" in text) == (domain == "gaussian")
    with pytest.raises(NtkspecError, match="'circle' is not allowed; use one of sphere, cube"):
        figure3(table, [tmp_path / "f.svg"], domain="circle")


HOSTILE = {
    "control": "\x1b[2J\x1b]0;title\x07\x00\x9b", "direction": "\u202eabc",
    "no character": "\uffff",
    "formula": r"$\frac$", "half a formula": "5 $", "escaped": r"\$ $x$ \\$", "lines": "a\nb\r",
    "letters that the font lacks": "\u4e2d\u6587 \U0001f600", "markup": "</text><script>&",
    "half a pair": "\ud800",
}  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_texts_of_files_in_pictures(tmp_path, text, recwarn, capfd):
    """Any text makes a whole picture, in which nothing is obeyed, and no warning."""
    figure = Figure()
    figure.suptitle(f"{plain(text)}, $d = 3$")
    for ending in ("svg", "png", "pdf"):
        save(figure, tmp_path / f"f.{ending}")
    written = (tmp_path / "f.svg").read_text()
    ElementTree.fromstring(written)
    assert all(letter.isprintable() or letter in "\n\t" for letter in written)
    assert not recwarn.list and capfd.readouterr().err == ""


@pytest.mark.parametrize("size", [1.0, 1e300, 1e308])
def test_a_picture_of_large_values(tmp_path, recwarn, size):
    """The spectrum of large values is theirs, and a picture of it warns of nothing."""
    values = np.sin(2 * np.pi * np.arange(16) / 16)
    _, wanted = _spectrum(values)
    x, found = _spectrum(size * values)
    np.testing.assert_allclose(found / size, wanted, atol=1e-15)
    figure = Figure()
    figure.subplots().plot(x, found)
    save(figure, tmp_path / "f.svg")
    assert not recwarn.list


def test_the_name_of_a_run_in_its_picture(tmp_path, recwarn):
    (tmp_path / "run.toml").write_text(
        'name = "\\u001b[2J $\\\\frac$"\nsteps = 5\nloss = {s = [0]}\n'
        'network = {activation = "relu", width = 8, seeds = 1}\n'
        'data = {kind = "circle", points = 8}\ntarget = {kind = "sine", degrees = [1]}\n'
    )
    train_run(tmp_path / "run.toml", tmp_path / "run.h5", threads=1)
    run_picture(open_run(tmp_path / "run.h5"), [tmp_path / "f.svg"])
    ElementTree.fromstring((tmp_path / "f.svg").read_text())
    assert not recwarn.list

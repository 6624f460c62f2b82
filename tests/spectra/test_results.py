"""Results as values: comparison, tables, indexing, data frames, plots."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import replace

import numpy as np
import pytest

import ntkspec
from ntkspec import Cube, Gaussian, Network, NtkspecError, predict, spectrum
from ntkspec.results import library

RESULTS = {
    "spectrum": lambda: spectrum("relu", 3, range(5)),
    "cube": lambda: spectrum("tanh", Cube(6)),
    "gaussian": lambda: spectrum("relu", Gaussian(4, radial=2), range(3)),
    "table slice": lambda: spectrum("relu", [2, 3, 5], range(4)),
    "modes": lambda: predict.modes("relu", 3, max_degree=6),
    "times": lambda: predict.learning_times("relu", 3, degrees=range(4)),
    "curve": lambda: predict.learning_curve("relu", Cube(6), [2, 10], {1: 1.0}),
    "samples": lambda: predict.samples_to_learn("relu", Cube(6)),
    "freedom": lambda: predict.effective_dimension("relu", Cube(6), [0.1, 0.01], samples=5),
}


@pytest.fixture(scope="module", params=RESULTS)
def result(request):
    return RESULTS[request.param](), RESULTS[request.param]()


def test_results_compare_by_value_and_do_not_hash(result):
    one, same = result
    assert one == same and one is not same and one != "a string"
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)


def test_length_iteration_and_index_follow_the_first_axis(result):
    one, _ = result
    values = list(one)
    assert len(one) == len(values) and values[0] in one and -7 not in one
    along, array = one.variables()[one.main]
    first = np.asarray(one[values[1]])
    at = np.flatnonzero(next(iter(one.axes().values())) == values[1])[0]
    np.testing.assert_array_equal(first, array[at])
    with pytest.raises(NtkspecError, match=f"{along[0]} = -7 is not in this {type(one).__name__}"):
        one[-7]


def test_columns_are_flat_and_equally_long(result):
    one, _ = result
    columns = one.columns()
    along, array = one.variables()[one.main]
    assert {column.shape for column in columns.values()} == {(array.size,)}
    assert list(columns)[: len(along)] == list(along)
    np.testing.assert_array_equal(columns[one.main], array.ravel())


def test_tables_are_short_and_safe_in_html(result):
    one, _ = result
    lines = repr(one).splitlines()
    assert lines[0] == one.title() and len(lines) <= 13
    html = one._repr_html_()
    assert html.startswith("<table>") and html.count("<tr>") == len(lines) - 1


def test_long_tables_have_an_ellipsis_in_the_middle():
    lines = repr(spectrum("relu", 3, range(101))).splitlines()
    assert lines[7].split()[0] == "..." and lines[-1].split()[0] == "100" and len(lines) == 13
    kernel = ntkspec.ZonalKernel(np.exp, name="<b>")
    html = spectrum(kernel, 3, [0], tolerance=math.inf)._repr_html_()
    assert "&lt;b&gt;" in html and "<b>" not in html


def test_pandas_and_xarray_hold_the_same(result):
    one, _ = result
    frame = pytest.importorskip("pandas") and one.to_pandas()
    assert list(frame.columns) == list(one.columns())
    dataset = pytest.importorskip("xarray") and one.to_xarray()
    for name, (along, array) in one.variables().items():
        assert dataset[name].dims == along
        np.testing.assert_array_equal(dataset[name].to_numpy(), array)
    assert dataset.attrs == one.heading() == frame.attrs


def test_plots(result):
    one, _ = result
    figure = pytest.importorskip("matplotlib.figure").Figure()
    ax = figure.subplots()
    assert one.plot(ax) is ax and ax.lines and ax.get_xlabel() and ax.get_ylabel()


def test_a_legend_of_many_lines_fits():
    figure = pytest.importorskip("matplotlib.figure").Figure()
    curve = ntkspec.predict.minibatch_curve(
        "relu", 3, samples=100, batch=10, power={1: 1.0}, steps=range(0, 30), max_degree=8
    )
    ax = curve.plot(figure.subplots())
    shown = [text.get_text() for text in ax.get_legend().get_texts()]
    assert len(ax.lines) == 30 and len(shown) == 10 and shown[1] == "step = 3"


def test_what_underflows_is_plotted_by_its_logarithm():
    ax = pytest.importorskip("matplotlib.figure").Figure().subplots()
    spectrum("tanh", 100, [1, 2001]).plot(ax)
    assert ax.lines[0].get_ydata()[1] == pytest.approx(-788.314354)


def test_a_change_of_one_field_is_seen():
    one = spectrum("relu", 3, range(5))
    other = replace(one, relative_error=2.0 * one.relative_error)
    assert one != other and one == replace(other, relative_error=one.relative_error)
    assert one != spectrum("relu", 3, range(6)) and one != spectrum(Network("abs"), 3, range(5))


def test_a_missing_library_gets_a_message():
    with pytest.raises(NtkspecError, match="to_pandas needs no_such; pip install"):
        library("no_such.part", "to_pandas")


def test_a_result_is_no_sequence_to_numpy():
    s = spectrum("relu", 3, [2, 0, 1])
    np.testing.assert_array_equal(np.asarray(s), s.eigenvalues)  # in the order of the degrees
    assert s != np.arange(3) and np.arange(3) != s
    with pytest.raises(TypeError, match="does not support ufuncs"):
        np.log(s)


@pytest.mark.parametrize(
    "value",
    [True, None, "1", math.nan, slice(0, 2), [0, 1], np.array([0, 1]), (0,), 10**400, 0.5, -1],
)  # fmt: skip
def test_what_is_no_degree_is_neither_in_a_spectrum_nor_an_index(value):
    s = spectrum("relu", 3, range(3))
    assert value not in s
    with pytest.raises(NtkspecError, match=r"^degree = .* is not in this Spectrum, which has 0, 1"):
        s[value]


def test_an_index_takes_numbers_of_any_kind_and_the_first_of_repeated_degrees():
    s = spectrum("relu", 3, [1, 0, 1])
    assert s[1] == s[1.0] == s[np.int8(1)] == s[np.array(1)] == 1 / 12


def test_an_index_gives_all_eigenvalues_of_a_degree():
    s = spectrum("erf", Gaussian(4, radial=2), [1, 3])
    times = predict.learning_times(s, error=math.exp(-1.0))
    np.testing.assert_allclose(times[3], 1.0 / s[3], rtol=1e-14)
    np.testing.assert_allclose(predict.modes(s)[1], np.log(s[1]), rtol=1e-14)
    dataset = pytest.importorskip("xarray") and times.to_xarray()
    assert dataset.radial.dims == ("degree",) and "radial" in dataset.coords


@pytest.mark.parametrize("name", [None, 3, "", "a\nb", "\x00"])
def test_names_of_users_functions_are_printable(name):
    for make in (ntkspec.user_activation, ntkspec.ZonalKernel):
        with pytest.raises(NtkspecError, match=r"^name = .* must be a string of printable"):
            make(np.tanh, name=name)


@pytest.mark.parametrize(
    ("make", "drawn"),
    [
        (lambda: predict.modes("relu", 3, max_degree=2), [-2.772589, -2.484907, -3.599267]),
        (lambda: predict.learning_times("tanh", 1000, degrees=[1, 501]), [9.437119, 1030.870099]),
        (lambda: spectrum("relu", 3, [3, 5]), []),
        (lambda: predict.learning_curve("relu", Cube(4), [100], {1: 1.0}), []),
    ],
    ids=["logarithms", "overflow", "zeros", "no error"],
)  # fmt: skip
def test_plots_draw_all_that_is_finite(make, drawn):
    figure = pytest.importorskip("matplotlib.figure").Figure()
    ax = make().plot(figure.subplots())
    figure.canvas.draw()
    np.testing.assert_allclose(ax.lines[0].get_ydata(), drawn, rtol=1e-6)


def test_a_plot_needs_axes():
    with pytest.raises(NtkspecError, match="ax = 'C1' is not allowed; give axes"):
        spectrum("relu", 3, [0]).plot("C1")


def test_one_picture_has_one_kind_of_values():
    high, low = spectrum("tanh", 1000, [1, 501]), spectrum("relu", 3, [0, 1])
    figure = pytest.importorskip("matplotlib.figure").Figure()
    for first, last, scale in ((high, low, "linear"), (low, high, "log")):
        ax = figure.add_subplot()
        last.plot(first.plot(ax))
        values = [y for line in ax.lines for y in line.get_ydata()]
        assert ax.get_yscale() == scale and np.all((np.array(values) < 0.0) == (scale == "linear"))


@pytest.mark.parametrize("made", ["spectrum", "times"])
def test_csv_has_every_digit_and_appears_whole(made, tmp_path):
    found = {
        "spectrum": lambda: ntkspec.spectrum("tanh", 3, [0, 1, 200]),
        "times": lambda: ntkspec.predict.learning_times("relu", degrees=[1, 2, 3]),
    }[made]()
    stream, path = io.StringIO(), tmp_path / "numbers.csv"
    found.to_csv(stream)
    found.to_csv(path)
    found.to_csv(str(path))
    assert path.read_text() == stream.getvalue()
    names, *rows = csv.reader(io.StringIO(stream.getvalue()))
    columns = found.columns()
    assert names == list(columns)
    for column, values in zip(zip(*rows, strict=True), columns.values(), strict=True):
        np.testing.assert_array_equal(np.array(column, dtype=float), values)
    with pytest.raises(NtkspecError, match="an open text stream"):
        found.to_csv(3)


@pytest.mark.parametrize(
    "domain",
    [
        5, ntkspec.Cube(7), ntkspec.Gaussian(3), ntkspec.Ball(3), ntkspec.Torus([[1], [2]]),
        ntkspec.Sphere(3, density=ntkspec.Pieces([1, 2])),
    ],
    ids=str,
)  # fmt: skip
def test_multiplicities_are_whole_numbers_in_csv(domain):
    """As `ntkspec eig` prints them, on every domain."""
    stream = io.StringIO()
    found = ntkspec.spectrum("erf", domain)
    found.to_csv(stream)
    rows = list(csv.DictReader(io.StringIO(stream.getvalue())))
    assert [int(row["multiplicity"]) for row in rows] == found.columns()["multiplicity"].tolist()


def test_multiplicities_are_those_of_harmonics_in_csv():
    """N(5, k) = (2k + 3)(k + 1)(k + 2) / 6, and inf beyond the doubles."""
    stream = io.StringIO()
    ntkspec.spectrum("erf", 5, range(5)).to_csv(stream)
    ntkspec.spectrum("erf", 1000, [2001]).to_csv(stream)
    ntkspec.scan("erf", [ntkspec.Sphere(5)], degrees=[3]).export(stream)
    rows = [row for row in csv.reader(io.StringIO(stream.getvalue())) if row[0] != "degree"]
    counts = [str((2 * k + 3) * (k + 1) * (k + 2) // 6) for k in range(5)]
    assert [row[3] for row in rows[:6]] == [*counts, "inf"]
    assert dict(zip(rows[6], rows[7], strict=True))["multiplicity"] == "30"

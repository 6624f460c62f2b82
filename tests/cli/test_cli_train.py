"""``ntkspec train``, ``compare``, ``plot`` and ``info`` on runs."""

import csv
import json
import math
import re
import struct
from xml.etree import ElementTree

import numpy as np
import pytest
from command_line import ntkspec
from training import run_of

from ntkspec.compare import compare
from ntkspec.plots import run_picture
from ntkspec.plots.training import _draw, run_panels
from ntkspec.trainer.recipe import parse_run_recipe
from ntkspec.trainer.runs import make_problem, open_run, training

FIGURE2 = """
steps = 400
records = 41
spacing = "even"
[network]
activation = "relu"
width = 256
seeds = 2
[data]
kind = "circle"
points = 32
[target]
kind = "sine"
degrees = [1, 4, 8]
[loss]
s = [-1, 0, 1]
"""
SPHERE = """
steps = 100
records = 21
spacing = "even"
network = {activation = "relu", width = 64}
data = {kind = "product", degree = 8}
target = {kind = "zonal", degrees = [1, 2], amplitudes = 0.3}
"""


@pytest.fixture(scope="module")
def circle(tmp_path_factory):
    return run_of(FIGURE2, tmp_path_factory.mktemp("circle"))


@pytest.fixture(scope="module")
def sphere(tmp_path_factory):
    return run_of(SPHERE, tmp_path_factory.mktemp("sphere"))


@pytest.fixture(
    scope="module", params=["circle", pytest.param("cloud", marks=pytest.mark.slow), "product"]
)
def samples(request, tmp_path_factory):
    """|x_1| at points of the circle, at others of it, and of a sphere."""
    folder = tmp_path_factory.mktemp(request.param)
    text = FIGURE2.replace("s = [-1, 0, 1]", 's = ["l2", 1]').replace("seeds = 2", "seeds = 3")
    text = text.replace('kind = "sine"\ndegrees = [1, 4, 8]', 'kind = "samples"\nfile = "v.npy"')
    if request.param != "circle":
        data = {"cloud": "points = 24\ndim = 2", "product": "degree = 12"}[request.param]
        text = text.replace('"circle"\npoints = 32', f'"{request.param}"\n{data}')
    points = make_problem(
        parse_run_recipe(text.replace('"samples"\nfile = "v.npy"', '"zonal"\ndegrees = 1'))
    )
    np.save(folder / "v.npy", np.abs(points.points.x[:, 0]))
    return run_of(text, folder)


# --- train ---------------------------------------------------------------------------------------


def test_train_then_nothing_to_do(tmp_path):
    (tmp_path / "r.toml").write_text(SPHERE)
    arguments = ("train", tmp_path / "r.toml", "-o", tmp_path / "run.h5")
    first = ntkspec(*arguments)
    assert first.exit_code == 0, first.output
    assert first.stdout == f"wrote {tmp_path / 'run.h5'}: 1 training\n"
    line = first.stderr.splitlines()[-1]
    assert line.startswith("l2,width=64,seed=0 (1/1), step 100/100, loss ")
    assert "energy 1: " in line and "  2: " in line
    assert ntkspec(*arguments).stdout == f"{tmp_path / 'run.h5'} is complete already\n"


def test_the_log_is_json(tmp_path):
    (tmp_path / "r.toml").write_text(SPHERE)
    result = ntkspec("train", tmp_path / "r.toml", "-o", tmp_path / "run.h5", "--log-json")
    last = [json.loads(line) for line in result.stderr.splitlines()][-1]
    assert last["event"] == "progress" and last["step"] == last["done"] == last["total"] == 100
    assert set(last["energy"]) == {"1", "2"}


def test_the_plan_trains_nothing(circle):
    result = ntkspec("train", circle.with_name("run.toml"), "--plan")
    assert result.exit_code == 0
    assert "6 trainings of 400 steps each, 41 records" in result.stdout
    assert "points: 32 (circle) in dimension 2; grid: 128" in result.stdout
    assert "target: degrees 1, 4, 8" in result.stdout
    losses = [line.split()[1] for line in result.stdout.splitlines() if " 256 " in line]
    assert losses == ["s=-1", "s=0", "s=1"]
    (size,) = re.findall(r"disk: at most (\S+) MB during training", result.stdout)
    assert float(size) * 1e6 / 2 > circle.stat().st_size
    assert re.search(r"time: about [\d.]+ m?s,", result.stdout)


def test_divergence_is_kept_and_exits_1(tmp_path, monkeypatch):
    (tmp_path / "r.toml").write_text(SPHERE)

    def diverge(self, count):
        raise training.Diverged("the loss grew at step 0")

    monkeypatch.setattr(training.Descent, "advance", diverge)
    for _ in range(2):
        result = ntkspec("train", tmp_path / "r.toml", "-o", tmp_path / "run.h5")
        assert result.exit_code == 1
        assert "l2,width=64,seed=0: the loss grew at step 0" in result.stderr
    assert open_run(tmp_path / "run.h5").members[0].status == "diverged"
    assert "diverged" in ntkspec("info", tmp_path / "run.h5").stdout


@pytest.mark.parametrize(
    "text,code,words",
    [
        (None, 3, "the recipe cannot be read"),
        (SPHERE.replace("width = 64", "width = -1"), 2, "r.toml:5: width = -1 is not allowed"),
        (SPHERE + "optimizer = {step_size = 1e9}", 2, "the largest stable step size is"),
    ],
)
def test_errors_are_messages(tmp_path, text, code, words):
    if text is not None:
        (tmp_path / "r.toml").write_text(text)
    result = ntkspec("train", tmp_path / "r.toml", "-o", tmp_path / "run.h5")
    assert result.exit_code == code and words in result.stderr
    assert "Traceback" not in result.output and not (tmp_path / "run.h5").exists()
    assert ntkspec("train", tmp_path / "r.toml").exit_code != 0


# --- info ----------------------------------------------------------------------------------------


def test_info_of_a_run(circle):
    text = ntkspec("info", circle).stdout
    assert "ntkspec-run, version 3" in text and "s=-1,width=256,seed=0" in text
    assert "400/400" in text and "finished" in text


def test_info_of_an_unfinished_run(tmp_path, monkeypatch):
    (tmp_path / "r.toml").write_text(FIGURE2)
    steps = training.Descent.advance

    def stopping(self, count):
        if self.steps >= 100:
            raise KeyboardInterrupt
        steps(self, count)

    monkeypatch.setattr(training.Descent, "advance", stopping)
    result = ntkspec("train", tmp_path / "r.toml", "-o", tmp_path / "run.h5")
    assert result.exit_code == 130
    assert "the same command again resumes the work" in result.stderr
    for path in (tmp_path / "run.h5", tmp_path / "run.h5.parts"):
        text = ntkspec("info", path).stdout
        assert "an unfinished run" in text and "1 of 6 trainings have begun" in text
        assert "100/400" in text and "interrupted" in text
    result = ntkspec("plot", tmp_path / "run.h5", "-o", tmp_path / "f.png")
    assert result.exit_code == 2 or result.exit_code == 3
    assert "Traceback" not in result.output


# --- compare -------------------------------------------------------------------------------------


def test_compare_in_three_formats(circle):
    text = ntkspec("compare", circle)
    assert text.exit_code == 0, text.output
    assert "verdict" in text.stdout and "s=-1" in text.stdout
    rows = list(csv.DictReader(ntkspec("compare", circle, "--format", "csv").stdout.splitlines()))
    assert {(row["loss"], row["degree"]) for row in rows} == {
        (f"s={s}", str(k)) for s in (-1, 0, 1) for k in (1, 4, 8)
    }
    found = json.loads(ntkspec("compare", circle, "--format", "json").stdout)
    assert len(found["rows"]) == 9


RATES = """
steps = 600
network = {activation = "relu", width = [256, 4096], seeds = 3}
data = {kind = "circle", points = 16}
target = {kind = "sine", degrees = [1, 2, 3, 4], amplitudes = 0.02}
loss = {s = ["l2", 1]}
optimizer = {step_size = 0.5}
"""


@pytest.fixture(scope="module")
def rates(tmp_path_factory):
    """Two widths, three seeds each, of a target small enough to stay near the start."""
    return run_of(RATES, tmp_path_factory.mktemp("rates"))


def rate_on_16_points(degree):
    """By the discrete Fourier transform of ReLU's kernel cos(theta) (pi - theta) / (2 pi)."""
    angle = 2 * np.pi * np.arange(16) / 16
    apart = np.minimum(angle, 2 * np.pi - angle)
    return np.mean(np.cos(apart) * (np.pi - apart) / (2 * np.pi) * np.cos(degree * angle))


def test_a_real_run_agrees_with_its_predictions(rates):
    run = open_run(rates)
    found = compare(run)
    assert [(row.loss, row.width, row.degree) for row in found.rows] == [
        (loss, width, k) for loss in ("l2", "s=1") for width in (256, 4096) for k in (1, 2, 3, 4)
    ]
    for row in found.rows:
        weight = 1.0 if row.loss == "l2" else (1.0 + row.degree) ** 2
        if row.degree == 3:
            assert row.points.rate == row.continuum.rate == 0.0 and row.measured is None
            assert row.verdict == row.finite.verdict == "does not decay"
            continue
        wanted = 0.5 * weight * rate_on_16_points(row.degree)
        assert row.points.rate == pytest.approx(wanted, rel=1e-9)
        aliased = row.points.rate / row.continuum.rate
        assert (aliased > 1.01) if row.degree > 1 else aliased == pytest.approx(1.0)
        assert row.seeds == 3
        # Each network, started again from its seed, tells its rate by its own kernel; what is
        # left is how far it moves.
        assert row.finite.ratio == pytest.approx(1.0, abs=0.02)
        assert row.finite.verdict == "agrees" and row.kernel_movement < 0.02
        assert row.points.ratio == pytest.approx(1.0, abs=5.0 / math.sqrt(row.width))
        assert row.grid > 0.0
    assert {limit.degree for limit in found.extrapolated} <= {1, 2, 4}
    assert found.powers.keys() == {"l2", "s=1"}


def test_compare_says_the_same_in_every_format(rates, tmp_path):
    wanted = compare(open_run(rates))
    outputs = ("--picture", tmp_path / "c.png", "--picture", tmp_path / "c.svg")
    result = ntkspec("compare", rates, "--format", "json", *outputs)
    assert result.exit_code == 0, result.output
    for row, whole in zip(json.loads(result.stdout)["rows"], wanted.rows, strict=True):
        assert row["points"]["rate"] == whole.points.rate and row["measured"] == whole.measured
        assert row["verdict"] == whole.verdict
    assert (tmp_path / "c.png").read_bytes()[:4] == b"\x89PNG"
    assert ElementTree.parse(tmp_path / "c.svg").getroot().tag.endswith("svg")
    cells = list(csv.DictReader(ntkspec("compare", rates, "--format", "csv").stdout.splitlines()))
    assert len(cells) == len(wanted.rows) + len(wanted.extrapolated)
    for cell, whole in zip(cells, wanted.rows):
        assert cell["measured"] == ("" if whole.measured is None else str(whole.measured))
    text = ntkspec("compare", rates).stdout
    lines = [line.split() for line in text.splitlines() if line.strip().startswith(("l2 ", "s=1 "))]
    assert [tuple(line[:3]) for line in lines] == [
        (row.loss, str(row.width), str(row.degree)) for row in wanted.rows
    ] + [(limit.loss, "inf", str(limit.degree)) for limit in wanted.extrapolated]
    assert "scatter over seeds ~ width^-p, p = " in text
    for row in wanted.rows:
        assert not row.points.reason or f"{row.verdict}: {row.points.reason}\n  " in text


def test_samples_are_compared_plotted_and_described(samples, tmp_path):
    run = open_run(samples)
    table = ntkspec("compare", samples, "--format", "csv", "--picture", tmp_path / "c.svg")
    assert table.exit_code == 0, table.output
    rows = list(csv.DictReader(table.stdout.splitlines()))
    assert {row["degree"] for row in rows} == {str(k) for k in run.target.degrees}
    assert not any(row["grid"] for row in rows)
    drawn = ntkspec("plot", samples, "-o", tmp_path / "f.svg", "--numbers", tmp_path / "f.csv")
    assert drawn.exit_code == 0, drawn.output
    for name in ("c.svg", "f.svg"):
        assert "nan" not in (tmp_path / name).read_text()
    assert "target: samples with degrees 0, " in ntkspec("info", samples).stdout
    plan = ntkspec("train", samples.with_name("run.toml"), "--plan").stdout
    assert "target: samples with degrees 0, " in plan
    if run.points.dim == 2:
        with (tmp_path / "f.csv").open() as file:
            target = [
                (float(row["x"]), float(row["value"]))
                for row in csv.DictReader(file)
                if (row["panel"], row["series"], row["loss"]) == ("function", "target", "l2")
            ]
        x, y = np.array(target).T
        assert x.size == run.points.n and (np.diff(x) > 0).all()
        np.testing.assert_allclose(y, np.abs(np.cos(2 * np.pi * x)), atol=1e-12)


# --- plot ----------------------------------------------------------------------------------------


def test_pictures_and_numbers_of_the_circle(circle, tmp_path):
    outputs = ["-o", tmp_path / "f.png", "-o", tmp_path / "f.svg", "--numbers", tmp_path / "f.csv"]
    result = ntkspec("plot", circle, *outputs)
    assert result.exit_code == 0, result.output
    data = (tmp_path / "f.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n" and data[-8:-4] == b"IEND"
    assert min(struct.unpack(">II", data[16:24])) >= 900
    assert ElementTree.fromstring((tmp_path / "f.svg").read_text()).tag.endswith("svg")
    with (tmp_path / "f.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["panel"] for row in rows} == {"function", "dft", "energy"}
    run = open_run(circle)
    for m in run.members:
        drawn = [
            float(row["value"])
            for row in rows
            if row["panel"] == "dft" and row["series"] == "learned"
            and (row["loss"], row["seed"]) == (f"s={m.s:g}", str(m.seed))
        ]  # fmt: skip
        angle = 2 * np.pi * np.arange(32) / 32
        for k in (1, 4, 8, 11):  # by the sums that define the transform
            wave = np.hypot(m.learned @ np.cos(k * angle), m.learned @ np.sin(k * angle)) / 16
            assert math.isclose(drawn[k], wave, abs_tol=1e-12)


def test_pictures_of_other_spheres(sphere, tmp_path):
    run = open_run(sphere)
    written = run_picture(run, [tmp_path / "f.svg"], tmp_path / "f.csv")
    assert [path.name for path in written] == ["f.svg", "f.csv"]
    ((function, bars, energy),) = run_panels(run)
    target, learned = function.curves
    assert (bars.kind, energy.kind) == ("bars", "energy")
    cosine = np.cos(target.x)
    wanted = 0.3 * (math.sqrt(3) * cosine + math.sqrt(5) * (1.5 * cosine**2 - 0.5))
    np.testing.assert_allclose(target.y, wanted, atol=1e-12)
    assert np.abs(learned.y - target.y).mean() < 0.2
    np.testing.assert_allclose(bars.curves[0].y[:4], [0, 0.09, 0.09, 0], atol=1e-12)


@pytest.mark.parametrize("which", ["circle", "sphere"])
def test_all_text_lies_inside_the_picture(which, request):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    run = open_run(request.getfixturevalue(which))
    figure = _draw(run, run_panels(run))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    texts = [t for axes in figure.axes for t in (axes.title, axes.xaxis.label, axes.yaxis.label)]
    texts += [*figure.legends[0].get_texts(), figure._suptitle]
    for text in texts:
        box, frame = text.get_window_extent(canvas.get_renderer()), figure.bbox
        assert box.x0 >= 0 and box.y0 >= 0
        assert box.x1 <= frame.x1 and box.y1 <= frame.y1, text.get_text()


def test_bad_pictures(circle, tmp_path):
    assert "must end in .png" in ntkspec("plot", circle, "-o", tmp_path / "f.gif").stderr
    missing = ntkspec("plot", tmp_path / "none.h5", "-o", tmp_path / "f.png")
    assert missing.exit_code == 3 and "does not exist" in missing.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["train", "compare", "plot", "info"])
def test_help_has_an_example(command):
    text = ntkspec(command, "--help").stdout
    assert "Example" in text and f"ntkspec {command} " in text

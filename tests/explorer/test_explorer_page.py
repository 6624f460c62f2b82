"""The explorer in a real Chromium, used as a reader uses it."""

import math
import shutil
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sweeping import make_table, table_of
from table_numbers import altered

from ntkspec import Cube, Network, Torus, law, spectrum
from ntkspec.explorer import write_page
from ntkspec.laws.reach import holds_within
from ntkspec.opening import open_table
from ntkspec.predict import pinn

pytestmark = pytest.mark.browser
CHROMIUM = shutil.which("chromium")
OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
RECIPE = """
dims = [3, 1000]
degrees = "0:402"
[checks]
samples = 1
digits = 30
[[networks]]
activation = ["relu", "tanh"]
"""
EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    folder = tmp_path_factory.mktemp("page")
    (folder / "recipe.toml").write_text(RECIPE)
    make_table(folder / "recipe.toml", folder / "t.h5")
    return folder / "t.h5", write_page(folder / "t.h5", folder / "e.html")


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield chromium
        chromium.close()


#: Keeps the texts that a canvas shows, and their boxes in the pixels of the page.
WATCH = """
    const kept = new Map(), pen = CanvasRenderingContext2D.prototype;
    const {clearRect, fillText} = pen;
    pen.clearRect = function (...box) { kept.set(this.canvas, []); clearRect.apply(this, box); };
    pen.fillText = function (text, x, y) {
        const m = this.measureText(text), t = this.getTransform();
        const corners = [[-m.actualBoundingBoxLeft, -m.actualBoundingBoxAscent],
                         [m.actualBoundingBoxRight, m.actualBoundingBoxDescent]]
            .map(([dx, dy]) => t.transformPoint({x: x + dx, y: y + dy}));
        const [xs, ys] = ["x", "y"].map((k) => corners.map((c) => c[k] / devicePixelRatio));
        const box = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
        if (this.canvas.isConnected) kept.get(this.canvas)?.push([text, ...box]);
        fillText.apply(this, [text, x, y]);
    };
    window.texts = (canvas) => kept.get(canvas);
"""


@pytest.fixture
def visit(browser):
    """Open a page; at the end it has complained of nothing and asked for nothing else."""
    contexts, complaints, requests = [], [], []

    def opened(path, link="", **options):
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.add_init_script(WATCH)
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url.split("#")[0]))
        page.goto(path.as_uri() + link)
        page.wait_for_selector("#chart-ratio canvas", state="attached")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith(("file:", "data:", "blob:"))] == []


def numbers(page):
    """The numbers of the degree chosen, by their names."""
    terms, values = (
        page.locator(f"#numbers-of-degree {tag}").all_inner_texts() for tag in ("dt", "dd")
    )
    return dict(zip(terms, values))


def test_numbers_are_those_of_the_table(made, visit):
    path, file = made
    page = visit(file)
    page.select_option("#choose-activation", "tanh")
    page.select_option("#dim", "3")
    page.fill("#s", "0.5")
    page.fill("#error", "0.1")
    page.fill("#degree", "61")
    shown = numbers(page)
    with open_table(path) as table:
        value = float(table.select("tanh", 3, 61).eigenvalues[0, 0])
    assert float(shown["Eigenvalue λ"]) == value
    assert float(shown["Multiplicity N"]) == 123.0
    assert float(shown["Law"]) == pytest.approx(
        math.exp(law("tanh", 3).log_eigenvalue(61)), rel=1e-5
    )
    # Shown with twelve digits.
    assert float(shown["Time, L²"]) == pytest.approx(math.log(10.0) / value, rel=1e-11)
    sobolev = next(text for name, text in shown.items() if name.startswith("Time, H"))
    assert float(sobolev) == pytest.approx(math.log(10.0) / (value * 62.0), rel=1e-11)


def test_zeros_are_said_and_values_below_doubles_shown(made, visit):
    path, file = made
    page = visit(file, "#network=relu&dim=3&degree=5")
    assert numbers(page)["Eigenvalue λ"] == "0 exactly"
    assert "never learned" in page.inner_text("#summary")
    page = visit(file, "#network=tanh&dim=1000&degree=401")
    with open_table(path) as table:
        log = float(table.select("tanh", 1000, 401).log_eigenvalues[0, 0])
    assert log < -709.0  # below all doubles
    assert float(numbers(page)["ln λ"]) == log
    mantissa, exponent = numbers(page)["Eigenvalue λ"].split("e")
    assert math.log(float(mantissa)) + int(exponent) * math.log(10.0) == pytest.approx(
        log, abs=1e-9
    )


def test_the_link_restores_and_back_goes_back(made, visit):
    _, file = made
    page = visit(file)
    page.select_option("#choose-activation", "tanh")
    page.select_option("#dim", "1000")
    link = page.url[page.url.index("#") :]
    page.go_back()
    assert page.input_value("#dim") == "3"
    assert page.input_value("#choose-activation") == "tanh"
    other = visit(file, link)
    assert other.input_value("#dim") == "1000"
    assert other.input_value("#choose-activation") == "tanh"
    assert "not in this table" in visit(file, "#network=nothing").inner_text("#notice")


def test_the_keyboard_alone(made, visit):
    _, file = made
    page = visit(file)
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id"))
        if page.evaluate("document.activeElement.id") == "dim":
            page.keyboard.press("ArrowDown")
    assert {
        "link",
        "theme",
        "choose-activation",
        "dim",
        "pin",
        "s",
        "s-range",
        "weight",
        "error",
        "degree",
    } <= reached
    assert page.input_value("#dim") == "1000"


CHARTS = ["eigenvalue", "time", "share", "ratio"]
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


def tooltip(page, chart, part, touch):
    """What is said above a chart at a part of its width: the degree, and lines of each curve."""
    place = page.locator(f"#chart-{chart}")
    place.evaluate("e => e.scrollIntoView({block: 'center'})")
    left, right, top = page.evaluate(
        """(id) => {
            const box = document.querySelector(`#chart-${id} .u-over`).getBoundingClientRect();
            return [box.left, box.right, box.top];
        }""",
        chart,
    )
    x, y = left + part * (right - left), top + 40
    if touch:
        page.wait_for_timeout(350)  # sooner it would be a double tap
        page.touchscreen.tap(x, y)
    else:
        page.mouse.move(x, y)
    title = page.inner_text(f"#tip-{chart} b")
    curves = [
        (row.locator(".swatch").get_attribute("title") if row.locator(".swatch").count() else None,
         row.locator(".number").all_inner_texts())
        for row in page.locator(f"#tip-{chart} .told").all()
    ]  # fmt: skip
    return int(title.removeprefix("degree ")), curves


def right_words(chart, name, eigenvalue, count, trace, degree, law_value, holds):
    """Numbers of one curve at one degree, by their names; None for an exact zero."""
    zero = eigenvalue == 0.0
    time = None if zero else math.log(100.0) / eigenvalue
    symbol = degree * (degree + 1) + 1.0  # of the Laplacian - 1; a kink's residual is infinite
    return {
        "eigenvalue": {"λ": None if zero else eigenvalue, "law": law_value if holds else None},
        "time": {
            "L²: t": time,
            "H¹: t": None if zero else time / (1.0 + degree) ** 2,
            "PINN: t": None if zero or name == "relu" else time / symbol**2,
        },
        "share": {"share": None if zero else count * eigenvalue / trace},
        "ratio": {} if zero or not law_value else {"λ / law": eigenvalue / law_value},
    }[chart]


ZEROS = {
    "eigenvalue": "λ = 0 exactly",
    "time": "never learned: λ = 0 exactly",
    "share": "share = 0 exactly",
}


@pytest.mark.parametrize("axis", ["linear", "log"])
@pytest.mark.parametrize("pinned", [False, True])
@pytest.mark.parametrize("touch", [False, True])
@pytest.mark.parametrize("chart", CHARTS)
def test_a_tooltip_has_numbers_of_its_degree_alone(made, visit, chart, touch, pinned, axis):
    path, file = made
    page = visit(file, f"#network=relu&dim=3&axis={axis}", **(PHONE if touch else {}))
    if pinned:
        page.click("#pin")
        page.select_option("#choose-activation", "tanh")
    names = [*(["tanh"] if pinned else []), "relu"]
    with open_table(path) as table:
        parts = {name: table.select(name, 3) for name in names}
    rows = {name: part.eigenvalues[0] for name, part in parts.items()}
    laws = {name: law(name, 3) for name in names}
    traces = {name: float(Network(name).ntk(1.0)) for name in names}
    seen = set()
    rng = np.random.default_rng(CHARTS.index(chart))
    for part in np.sort(rng.uniform(0.02, 0.98, 9 if touch else 12)):
        degree, curves = tooltip(page, chart, part, touch)
        seen.add(degree)
        assert len(curves) <= len(names)
        for label, words in curves:
            name = names[0] if label is None else label.partition(",")[0]
            value = float(rows[name][degree])
            part = laws[name].of_parity(degree % 2) if degree else None
            law_value = None if part is None else math.exp(part.log_eigenvalue(degree))
            known = parts[name]
            first = part and holds_within(part, known.degrees, known.log_eigenvalues[0])
            right = right_words(
                chart, name, value, 2 * degree + 1, traces[name], degree, law_value,
                first is not None and degree >= first,
            )  # fmt: skip
            shown = dict(word.replace(" ≈ ", " = ").rsplit(" = ", 1) for word in words)
            if value == 0.0:
                assert words == [ZEROS[chart]], (degree, words)
                continue
            assert {key for key, number in right.items() if number is not None} == set(shown)
            for key, number in shown.items():
                digits = {"law": 1e-5, "λ": 0.0, "λ / law": 1e-7}.get(key, 1e-11)
                assert float(number) == pytest.approx(right[key], rel=digits, abs=0.0), degree
        if touch:
            # A tap is a click twice: it must not choose the degree of the tap before.
            page.wait_for_timeout(200)
            assert page.input_value("#degree") == str(degree)
    assert len(seen) > 4
    if not touch:
        page.mouse.down()
        page.mouse.up()
        assert page.input_value("#degree") == str(degree)
    if chart != "ratio" and not pinned:
        assert any(rows["relu"][k] == 0.0 for k in seen)


def test_the_tooltip_of_the_issue(made, visit):
    """Beside degree 37, whose eigenvalue is exactly 0, the numbers of 38 were shown."""
    page = visit(made[1], "#network=relu&dim=3&axis=linear")
    found = {}
    for step in range(60):
        degree, curves = tooltip(
            page, "eigenvalue", (0.025 + 36.4 / 401 + step * 5e-5) / 1.05, False
        )
        found[degree] = curves
    assert found[37] == [(None, ["λ = 0 exactly"])]


@pytest.mark.parametrize("options", [{}, PHONE])
def test_what_is_said_covers_no_chart_and_labels_are_there(made, visit, options):
    page = visit(made[1], "#network=tanh&dim=3", **options)
    for chart in CHARTS:
        tip, drawn = (page.locator(f"#{x}-{chart}").bounding_box() for x in ("tip", "chart"))
        assert tip["y"] + tip["height"] <= drawn["y"]
        told = page.locator(f"#chart-{chart}").get_attribute("aria-label")
        label, _, across = told.rpartition(" against ")
        texts = page.evaluate("(id) => texts(document.querySelector(`#chart-${id} canvas`))", chart)
        words = [text for text, *_ in texts]
        assert label in words and len(label) > 10 and across == "degree k" and across in words
        assert len(words) > 6  # and at least two ticks of each axis
        boxes = {tuple(box): text for text, *box in texts}
        for box, text in boxes.items():
            left, top, right, bottom = box
            assert left >= 0.0 and right <= drawn["width"] + 0.5, text
            assert top >= -0.5 and bottom <= drawn["height"] + 0.5, text
        for one, other in combinations(boxes, 2):
            apart = (
                one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
            )
            assert apart, (boxes[one], boxes[other])


def test_the_first_plot_on_a_phone_comes_before_the_choice_of_one_column(made, visit):
    page = visit(made[1], **PHONE)
    boxes = {
        name: page.locator(name).bounding_box()
        for name in ("#chart-eigenvalue", ".network", "#chart-time", ".training")
    }
    tops = [box["y"] for box in boxes.values()]
    assert tops == sorted(tops) and tops[0] < 500
    selects = [one.bounding_box() for one in page.locator(".network select:visible").all()]
    assert len(selects) > 1 and len({(one["x"], one["width"]) for one in selects}) == 1


def test_the_choices_are_one_touch_away_on_a_phone(made, visit):
    page = visit(made[1], **PHONE)
    link = page.url
    for name, control in (("Training", "#s"), ("Network", "#dim"), ("Axes", "input[name=axis]")):
        page.evaluate("scrollTo(0, 0)")
        jump = page.locator("#jumps a", has_text=name)
        box = jump.bounding_box()
        assert box["y"] + box["height"] < 844 and box["height"] >= 42
        jump.tap()
        place = page.locator(jump.get_attribute("href"))
        assert place.evaluate("e => e === document.activeElement")
        assert 0 <= page.locator(control).first.bounding_box()["y"] < 844
        assert page.url == link
    # The next control that the keyboard reaches is the first of that choice.
    page.locator("#jumps a", has_text="Training").tap()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "s-range"
    assert not visit(made[1]).locator("#jumps").is_visible()


@pytest.mark.parametrize("options", [{}, PHONE])
def test_numbers_do_not_break(made, visit, options):
    page = visit(made[1], "#network=tanh&dim=1000&degree=401", **options)
    for place in ("#numbers-of-degree dd", ".number"):
        for one in page.locator(place).all():
            lines = one.evaluate("e => { const r = document.createRange(); r.selectNodeContents(e);"
                                 " return r.getClientRects().length; }")  # fmt: skip
            assert lines == 1
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_first_plot_within_a_second(made, visit):
    page = visit(made[1])
    took = page.evaluate("performance.now()")
    assert took < 3000.0  # 0.3 s where nothing else runs
    assert made[1].stat().st_size < 3_000_000


def test_it_opens_on_relu(made, visit):
    page = visit(made[1])
    assert page.input_value("#choose-activation") == "relu"
    assert page.input_value("#dim") == "3"


def test_four_networks_are_compared_and_the_link_has_all(made, visit):
    page = visit(made[1], "#network=relu&dim=3")
    for dim in ("1000", "3"):
        for name in ("tanh", "relu"):
            page.click("#pin")
            page.select_option("#choose-activation", name)
        page.select_option("#dim", dim)
    assert page.locator("#curves li").count() == 4
    page.select_option("#choose-activation", "tanh")
    page.select_option("#dim", "1000")
    page.click("#pin")
    assert "At most" in page.inner_text("#notice")
    page.fill("#shift", "-2.5")
    page.fill("#s", "1.5")
    page.click("#listing summary")
    page.locator("#chart-time").scroll_into_view_if_needed()
    box = page.locator("#chart-time .u-over").bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 60)
    page.mouse.up()
    assert page.is_visible("#zoomed")
    page.wait_for_function("location.hash.includes('table=open')")

    def view(page):
        charts = [
            page.locator(f"#chart-{chart} canvas").evaluate("e => e.toDataURL()")
            for chart in CHARTS
        ]
        return charts, page.inner_text("#readout"), page.inner_text("#curves"), page.url

    before = view(page)
    page.mouse.move(0, 0)
    page.reload()
    page.wait_for_selector("#chart-ratio canvas", state="attached")
    assert view(page) == before
    page.click("#all-degrees")
    assert "zoom" not in page.url


def test_domains_and_residuals(visit, tmp_path):
    recipe = """
    dims = 3
    degrees = "0:4"
    [[networks]]
    activation = ["relu", "tanh"]
    domain = ["sphere", "cube"]
    """
    file = write_page(table_of(recipe, tmp_path), tmp_path / "e.html", tori=[Torus([1, 2])])
    page = visit(file, "#degree=3&shift=-1")
    assert page.locator("#choose-domain option").all_inner_texts() == [
        "on the sphere", "on the cube", "on the torus, features 1, 2",
    ]  # fmt: skip
    page.select_option("#choose-activation", "tanh")
    sphere = pinn("tanh", 3, "laplace(shift=-1)", degrees=[3], error=0.01).times[0]
    assert float(numbers(page)["Time, PINN residual"]) == pytest.approx(sphere, rel=1e-11)
    page.select_option("#choose-domain", "on the torus, features 1, 2".removeprefix("on the "))
    assert page.is_hidden("#dim") and "frequency k" in page.get_attribute(
        "#chart-time", "aria-label"
    )
    torus = Torus([1, 2])
    value = spectrum("tanh", torus, 3)[3]
    assert float(numbers(page)["Eigenvalue λ"]) == value
    flat = pinn("tanh", torus, "laplace(shift=-1)", degrees=[3], error=0.01).times[0]
    assert float(numbers(page)["Time, PINN residual"]) == pytest.approx(flat, rel=1e-11)
    page.select_option("#choose-domain", "cube")
    assert "on the sphere and the torus only" in page.inner_text("#note-time")
    assert float(numbers(page)["Eigenvalue λ"]) == spectrum("tanh", Cube(3))[3]


def test_a_phone_needs_no_sideways_scrolling(made, visit):
    page = visit(made[1], **PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") == 390


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out(made, visit, scheme):
    """The ratio 4.5 of WCAG 2.2, 1.4.3, for text and muted text on the card."""
    page = visit(made[1], color_scheme=scheme)

    def luminance(name):
        color = page.evaluate(
            f"getComputedStyle(document.documentElement).getPropertyValue('--{name}')"
        ).strip()
        parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for name, least in [("text", 4.5), ("muted", 4.5), *((f"curve-{n}", 3.0) for n in range(4))]:
        low, high = sorted((luminance(name), luminance("card")))
        assert (high + 0.05) / (low + 0.05) >= least, name
    assert page.evaluate("document.documentElement.dataset.theme") == scheme


def test_the_theme_reaches_the_charts_and_pictures_are_saved(made, visit, tmp_path):
    page = visit(made[1], color_scheme="light")

    def saved():
        with page.expect_download() as download:
            page.click("#save-share")
        assert download.value.suggested_filename == "share.png"
        download.value.save_as(tmp_path / "share.png")
        return plt.imread(tmp_path / "share.png")

    light = saved()
    page.click("#theme")
    assert page.inner_text("#theme") == "Theme: Light"
    page.click("#theme")
    page.wait_for_timeout(100)
    dark = saved()
    assert light.shape == dark.shape and light.shape[0] > 200
    assert (light[0, 0, :3] == 1.0).all() and (dark[0, 0, :3] < 0.2).all()
    # The text of the axes stands out in both.
    assert light[:, :60, :3].min() < 0.2 and dark[:, :60, :3].max() > 0.8


def test_a_double_click_shows_all(made, visit):
    page = visit(made[1], "#network=relu&dim=3&zoom=10-20")
    page.locator("#chart-share .u-over").dblclick()
    assert "zoom" not in page.url


def test_names_do_nothing(made, visit, tmp_path):
    evil = tmp_path / "evil.h5"
    evil.write_bytes(made[0].read_bytes())
    with altered(evil) as file:
        file.attrs["time"] = EVIL
    page = visit(write_page(evil, tmp_path / "evil.html"))
    page.click("#pin")
    page.select_option("#choose-activation", "tanh")
    assert page.locator("img").count() == 0

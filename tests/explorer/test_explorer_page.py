"""The explorer in a real Chromium, used as a reader uses it."""

import math
import shutil

import numpy as np
import pytest
from sweeping import make_table
from table_numbers import altered

from ntkspec import Network, law
from ntkspec.explorer import write_page
from ntkspec.laws.reach import holds_within
from ntkspec.opening import open_table

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


@pytest.fixture
def visit(browser):
    """Open a page; at the end it has complained of nothing and asked for nothing else."""
    contexts, complaints, requests = [], [], []

    def opened(path, link="", **options):
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url.split("#")[0]))
        page.goto(path.as_uri() + link)
        page.wait_for_selector("#chart-ratio .main-svg", state="attached")
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
    assert float(shown["Multiplicity N(d,k)"]) == 123.0
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
    """Lines of the tooltip at a part of the chart's width: the degree, and what is said of it."""
    place = page.locator(f"#chart-{chart} .nsewdrag").first
    place.evaluate("e => e.scrollIntoView({block: 'center'})")
    box = place.bounding_box()
    x, y = box["x"] + part * box["width"], box["y"] + 0.4 * box["height"]
    if touch:
        page.wait_for_timeout(350)  # sooner it would be a double tap
        page.touchscreen.tap(x, y)
    else:
        page.mouse.move(x, y)
    words = page.locator(f"#chart-{chart} .hoverlayer .legend text")
    words.first.wait_for(state="attached")
    page.wait_for_timeout(120)  # plotly redraws at most every 50 ms
    title, *lines = [
        line
        for text in words.all()
        for line in text.evaluate(
            "e => e.querySelector(':scope > tspan.line')"
            " ? [...e.querySelectorAll('tspan.line')].map((t) => t.textContent)"
            " : [e.textContent]"
        )
    ]
    return int(title.removeprefix("degree ")), [line.replace("\u200b", "") for line in lines]


def told(lines, names):
    """What is said of each curve; one curve alone is not named."""
    found = {}
    for line in lines:
        if line.startswith("● "):
            found[line[2:]] = []
        else:
            found.setdefault(names[0], []) if not found else None
            list(found.values())[-1].append(line)
    return found


def right_words(chart, eigenvalue, count, trace, degree, law_value, holds):
    """Numbers of one curve at one degree, by their names; None for an exact zero."""
    zero = eigenvalue == 0.0
    time = None if zero else math.log(100.0) / eigenvalue
    return {
        "eigenvalue": {"λ": None if zero else eigenvalue, "law": law_value if holds else None},
        "time": {"L²: t": time, "H1: t": None if zero else time / (1.0 + degree) ** 2},
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
    for part in np.sort(rng.uniform(0.02, 0.98, 6 if touch else 12)):
        degree, lines = tooltip(page, chart, part, touch)
        seen.add(degree)
        curves = told(lines, names)
        assert len(curves) <= len(names)
        for label, words in curves.items():
            name = label.partition(",")[0]
            value = float(rows[name][degree])
            part = laws[name].of_parity(degree % 2) if degree else None
            law_value = None if part is None else math.exp(part.log_eigenvalue(degree))
            known = parts[name]
            first = part and holds_within(part, known.degrees, known.log_eigenvalues[0])
            right = right_words(
                chart, value, 2 * degree + 1, traces[name], degree, law_value,
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
        degree, lines = tooltip(
            page, "eigenvalue", (0.025 + 36.4 / 401 + step * 5e-5) / 1.05, False
        )
        found[degree] = lines
    assert found[37] == ["λ = 0 exactly"]


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

    for name, least in [("text", 4.5), ("muted", 4.5), *((f"curve-{n}", 3.0) for n in range(7))]:
        low, high = sorted((luminance(name), luminance("card")))
        assert (high + 0.05) / (low + 0.05) >= least, name
    assert page.evaluate("document.documentElement.dataset.theme") == scheme


def test_names_do_nothing(made, visit, tmp_path):
    evil = tmp_path / "evil.h5"
    evil.write_bytes(made[0].read_bytes())
    with altered(evil) as file:
        file.attrs["time"] = EVIL
    page = visit(write_page(evil, tmp_path / "evil.html"))
    page.click("#pin")
    page.select_option("#choose-activation", "tanh")
    assert page.locator("img").count() == 0

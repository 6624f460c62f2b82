"""The explorer in a real Chromium, used as a reader uses it."""

import math
import shutil

import h5py
import pytest

from ntkspec import law
from ntkspec.explorer import write_page
from ntkspec.sweeps import Local, run_sweep
from ntkspec.tables import open_table

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
    run_sweep(folder / "recipe.toml", folder / "t.h5", Local(1))
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
        value = float(table.select("tanh", 3, 61).eigenvalue[0, 0])
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
        log = float(table.select("tanh", 1000, 401).log_eigenvalue[0, 0])
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
    assert "does not have" in visit(file, "#network=nothing").inner_text("#notice")


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


def test_hover_tells_the_eigenvalue(made, visit):
    path, file = made
    page = visit(file, "#network=relu&dim=3&axis=linear")
    page.hover("#chart-eigenvalue .nsewdrag")
    page.wait_for_selector("#chart-eigenvalue .hoverlayer .legend", state="attached")
    words = page.locator("#chart-eigenvalue .hoverlayer").text_content()
    with open_table(path) as table:
        part = table.select("relu", 3)
    told = [k for k in range(0, 402, 2) if f"λ = {float(part.eigenvalue[0, k])!r}" in words]
    assert told or "λ = 0 exactly" in words, words


def test_a_phone_needs_no_sideways_scrolling(made, visit):
    page = visit(made[1], viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
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
    with h5py.File(evil, "a") as file:
        file.move("tanh", EVIL)
    page = visit(write_page(evil, tmp_path / "evil.html"))
    page.click("#pin")
    page.select_option("#choose-activation", "tanh")
    assert page.locator("img").count() == 0

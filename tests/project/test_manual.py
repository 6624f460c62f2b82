"""What the manual shows is what happens; every name is documented, and no code is left out."""

import contextlib
import importlib
import inspect
import io
import json
import pkgutil
import re
import shlex
import subprocess
import types
from pathlib import Path
from unittest import mock

import matplotlib
import numpy as np
import pytest
from click.testing import CliRunner
from manual import DOCS, PAGES, README, alike, blocks, commands
from matplotlib.image import imread
from paths import TESTS

import ntkspec
from bench import measured
from ntkspec.cli import main
from ntkspec.domains import DOMAINS
from ntkspec.errors import NtkspecError, TableError
from ntkspec.explorer import MOST_ENTRIES
from ntkspec.locks import cached_property
from ntkspec.spectra.routes import ROUTES
from ntkspec.tables import layout
from ntkspec.trainer.descent import Loss
from ntkspec.trainer.runs import file
from ntkspec.trainer.sobolev import L2Loss

ROOT = DOCS.parent
TORCH = ("pytorch.rst", "pytorch_examples.rst", "pytorch_models.rst")
#: Commands that set up what the tests have already; the slow test runs them too.
SET_UP = ("git clone", "cd ntkspec", "make ", ". .venv", "pip ", "conda ")
#: Run word for word, in order, what is printed compared with what is shown.
FOLLOWED = (
    README, "installation.rst", "tour.rst", "start/theorist.rst", "start/practitioner.rst",
    "start/kernels.rst", "start/cluster.rst", "tutorial.rst", "tasks.rst", "howto/index.rst",
    "neural_tangents.rst", "extending.rst", "vectors.rst", "data.rst", "from_data.rst",
    "pinns.rst", "zonal.rst", "density.rst", "torus.rst", "patches.rst", "laws.rst",
)  # fmt: skip
#: Python of other pages, by the test that runs it.
ELSEWHERE = {
    "activations.rst": "project/test_readme.py",
    "training.rst": "project/test_readme.py",
    "losses.rst": "project/test_readme.py",
    "rates.rst": "project/test_readme.py",
    "run_files.rst": "project/test_readme.py",
    "elsewhere.rst": "tables/test_ways_in.py",
}
#: Run from the first block to the last; what they print is in the tests of their modules.
RUN = (
    "atlas.rst", "checks.rst", "domains.rst", "networks.rst", "predictions.rst", "scans.rst",
    "tables.rst",
)  # fmt: skip


def run_command(line, shown, scheduler):
    """Run a line; the workers of a sweep are those of a scheduler in this process."""
    if line.startswith(SET_UP):
        return
    if not line.startswith("ntkspec "):
        subprocess.run(line, shell=True, check=True)
        return
    line = line.replace("--workers 1", f"--scheduler {scheduler}")
    result = CliRunner().invoke(main, shlex.split(line)[1:])
    assert result.exit_code == 0, result.output
    if shown:
        assert alike(result.stdout, "\n".join(shown)), f"{line} printed\n{result.stdout}"


def follow(page, scheduler):
    scope, printed = {}, ""
    for block in blocks(page):
        if block.language == "toml":
            # One check of a network instead of six: what checks prove is tested in tests/reference.
            checks = "checks = {samples = 1}\n" * ("dims =" in block.text)
            Path(block.caption).write_text(f"{checks}{block.text}\n", encoding="utf-8")
        elif block.language == "console":
            for line, shown in commands(block.text):
                run_command(line, shown, scheduler)
        elif block.language == "python":
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(block.text, f"{page}:{block.line}", "exec"), scope)
            printed = out.getvalue()
        elif block.language == "text" and "import" not in block.text:
            assert alike(printed, block.text), f"{page}:{block.line} printed\n{printed}"


@pytest.mark.parametrize("page", FOLLOWED)
def test_a_page_followed_word_for_word_gives_what_it_shows(page, tmp_path, monkeypatch, at_hand):
    monkeypatch.chdir(tmp_path)
    matplotlib.use("agg")
    with mock.patch.dict(DOMAINS), mock.patch.dict(ROUTES):  # extending.rst registers its own
        follow(page, at_hand.address)
    if page == "tutorial.rst":
        # Fonts and antialiasing may differ between versions of matplotlib; curves may not.
        drawn, shown = imread("twelfth.png"), imread(DOCS / "twelfth.png")
        assert drawn.shape == shown.shape
        assert np.abs(drawn - shown).mean() < 0.01


@pytest.mark.parametrize("page", RUN)
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scope = {}
    assert blocks(page, "python")
    for block in blocks(page, "python"):
        exec(compile(block.text, f"{page}:{block.line}", "exec"), scope)


def test_the_comparison_sees_differences():
    assert alike("a 1.0000\nb", "a 1.0001\n...")
    assert not alike("a 1.0003", "a 1.0001")
    assert not alike("wrote 7", "wrote 8")
    assert not alike("a\nb", "a")
    assert not alike("a", "a\nb")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_tutorial_on_a_machine_with_nothing(tmp_path):
    """Its lines in one shell, from the clone on, with an environment made for it."""
    script = ["set -e"]
    for block in blocks("tutorial.rst", "console", "toml", "python"):
        if block.language == "console":
            script += [line.replace("ADDRESS", str(ROOT)) for line, _ in commands(block.text)]
        elif block.language == "toml":
            script.append(f"cat > {block.caption} <<'END'\n{block.text}\nEND")
        else:
            script.append(f"cat >> question.py <<'END'\n{block.text}\nEND")
    script.append("MPLBACKEND=agg python question.py && test -s twelfth.png")
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "does not decay" in done.stdout and "586274" in done.stdout


def test_common_tasks_take_five_lines():
    for block in blocks("tasks.rst", "python", "toml"):
        lines = [line for line in block.text.splitlines() if line and "import " not in line]
        assert len(lines) <= 5, f"tasks.rst:{block.line}"


def index_block():
    (block,) = blocks("index.rst", "python")
    return block.text


def test_the_first_page_prints_what_it_says(capsys):
    exec(compile(index_block(), "index.rst", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    shown = re.findall(r"# (?:a bound: )?(.*)", index_block())
    assert len(printed) == len(shown) == 3
    for line, wanted in zip(printed, shown):
        numbers = [float(x) for x in re.findall(r"-?\d[\d.]*(?:e[-+]\d+)?", line)]
        expected = [float(x) for x in re.findall(r"-?\d[\d.]*(?:e[-+]\d+)?", wanted)]
        assert numbers == pytest.approx(expected, rel=2e-3 if len(expected) == 1 else 1e-8)


def test_the_manual_on_pytorch_runs():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    scope = {"f": lambda x: torch.sin(torch.pi * x[:, 0])}
    for i, block in enumerate(block for page in TORCH for block in blocks(page, "python")):
        width = {0: 2, 2: 1}.get(i)
        if width:
            layers = torch.nn.Linear(width, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)
            scope |= {"model": torch.nn.Sequential(*layers), "y": torch.ones(64)}
        exec(compile(block.text, f"{block.page}:{block.line}", "exec"), scope)
        if width:
            assert scope["model"][0].weight.grad.abs().max() > 0
    assert scope["found"].distance < 0.3 and scope["found"].movement < 0.3


@pytest.mark.parametrize("page", PAGES)
def test_no_python_is_left_out(page):
    """A page with Python is followed here, or run by the test that names it."""
    if not blocks(page, "python") or page in (*FOLLOWED, *RUN, *TORCH, "index.rst"):
        return
    assert page in ELSEWHERE, f"{page} has Python that no test runs"
    assert f'"{page}"' in (TESTS / ELSEWHERE[page]).read_text(encoding="utf-8")


def console_lines():
    return [
        (page, line)
        for page in PAGES
        if page not in FOLLOWED
        for block in blocks(page, "console")
        for line, _ in commands(block.text)
        if line.startswith("ntkspec ")
    ]


@pytest.mark.parametrize("page,line", console_lines())
def test_every_command_shown_is_understood(page, line):
    """Commands, options and their values are parsed as they stand; what they do has tests."""
    name, *arguments = shlex.split(line)[1:]
    command = main.get_command(None, name)
    assert command is not None, line
    with contextlib.suppress(NtkspecError, TableError):
        command.make_context(name, list(arguments))


def test_the_gallery_is_in_form():
    files = sorted((DOCS / "gallery").glob("*.py"))
    assert len(files) >= 7
    for path in files:
        assert path.name.startswith("plot_")
        text = path.read_text(encoding="utf-8")
        assert re.match(r'r?"""\n[^\n]+\n=+\n', text), f"{path.name} needs a title"
        assert "plt.show()" in text and "# %%" in text
        compile(text, path.name, "exec")
        # Shown at most 850 pixels wide, letters must be large enough to be read.
        assert all(int(size) > 8 for size in re.findall(r"fontsize=(\d+)", text)), path.name
        widths = [float(width) for width in re.findall(r"figsize=\(([\d.]+),", text)]
        assert widths and max(widths) <= 9.5, path.name


def test_a_figure_of_the_gallery_is_drawn_in_one_block():
    """What a later block adds is lost: the picture is shown at the end of its block."""
    for path in sorted((DOCS / "gallery").glob("*.py")):
        older = set()
        for block in path.read_text(encoding="utf-8").split("# %%\n"):
            made = re.findall(r"^figure, (.*) = plt\.subplots", block, re.MULTILINE)
            names = set(re.findall(r"\w+", " ".join(made)))
            drawn = set(re.findall(r"(\w+)(?:\[\d\])?\.(?:plot|legend|ax[hv]line|set)\(", block))
            assert not drawn & (older - names), f"{path.name} draws on a figure of a block before"
            older |= names


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_no_longer_than_a_person_reads(page):
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 285, f"{page} has {len(lines)} lines: split it"


@pytest.mark.parametrize("page", sorted({*PAGES, "gallery/GALLERY_HEADER.rst"} - {"explorer.rst"}))
def test_a_page_begins_with_a_sentence(page):
    """Not with a heading, a table, code or another directive."""
    text = (DOCS / page).read_text(encoding="utf-8")
    first = re.split(r"^=+\n+(?:\.\. currentmodule.*\n+)?", text, maxsplit=1, flags=re.MULTILINE)[1]
    assert re.match(r"[\w:*`](?!.*\n[=-]+$)", first, re.MULTILINE), first[:100]


def test_pages_state_the_versions_of_the_formats():
    versions = {"ntkspec-spectra": layout.FORMAT_VERSION, "ntkspec-run": file.FORMAT_VERSION}
    found = []
    for page in PAGES:
        text = " ".join((DOCS / page).read_text(encoding="utf-8").split())
        found += re.findall(r"version (\d+) of the format ``([\w-]+)``", text)
        found += [
            (number, name) for name, number in re.findall(r"(ntkspec-\w+), version (\d+)", text)
        ]
    assert {name for _, name in found} == set(versions)
    assert all(versions[name] == int(number) for number, name in found), found


@pytest.mark.parametrize("page", PAGES)
def test_no_row_of_a_table_is_broken_in_two(page):
    """In a simple table a line with a first cell begins a row, so that no first cell goes on."""
    text = (DOCS / page).read_text(encoding="utf-8")
    for table in re.findall(r"^ *=+(?: +=+)+\n(?:.+\n)+? *=+(?: +=+)+$", text, re.MULTILINE):
        border, *lines = table.splitlines()
        ends = border.index(" ", border.index("="))
        for line in lines:
            assert not line[:ends].rstrip().endswith((",", "/")), f"{page}: {line}"


@pytest.mark.parametrize("page", PAGES)
def test_pictures_have_captions(page):
    text = (DOCS / page).read_text(encoding="utf-8")
    assert ".. image::" not in text, f"{page} has a picture without a caption"
    found = re.findall(r"\.\. figure:: .*\n   :alt: (?:.+\n)+\n   \S", text)
    assert len(found) == text.count(".. figure::"), page


def test_every_command_is_in_the_summary():
    text = (DOCS / "commands.rst").read_text(encoding="utf-8")
    rows = re.findall(r"^``(\w+)`` +\S", text, re.MULTILINE)
    assert sorted(rows) == sorted(main.list_commands(None))


def test_help_texts_and_summaries_as_markup(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    from help_text import plain_help, summary

    lines = [
        "Write `a*b` as 2*3.",
        ":default: ``1:9:*2``",
        "|   eig `x` --k 1:9:*2",
        "| end",
        "**Required** A file.",
    ]
    plain_help(None, None, lines)
    assert lines == [
        "Write ``a*b`` as 2\\*3.", ":default: ``1:9:*2``", "", ".. code-block:: console", "",
        "    $ eig `x` --k 1:9:*2", "end", "Required. A file.",
    ]  # fmt: skip
    table = summary(".. autofunction:: ntkspec.law\n.. autodata:: ntkspec.ranges.MOST\n")
    assert (
        table[3] == "   * - :func:`law <ntkspec.law>`"
        and table[4].endswith(".")
        and len(table) == 6
    )
    assert "smartquotes = False" in (DOCS / "conf.py").read_text(encoding="utf-8")


def test_the_reference_shows_what_the_package_says_and_not_its_libraries(monkeypatch):
    pytest.importorskip("sphinx", reason="make docs installs it, and runs this test")
    monkeypatch.syspath_prepend(str(DOCS))
    from help_text import data_comment, field_comment, plain_signature

    lines = (inspect.getdoc(int) or "").splitlines()
    data_comment(None, "data", "ntkspec.explorer.MOST_ENTRIES", MOST_ENTRIES, None, lines)
    assert lines[0].startswith("Most eigenvalues in a page")
    lines = ["Said."]
    data_comment(None, "data", "ntkspec.explorer.MOST_ENTRIES", MOST_ENTRIES, None, lines)
    assert lines == ["Said."]
    assert field_comment(None, "class", "kernel", layout.GroupKey.kernel, False, None)
    assert field_comment(None, "class", "name", layout.GroupKey.name, False, None) is None
    hidden = "(*args, **kwargs)"
    assert plain_signature(None, "class", "", Loss, None, hidden, None) == ("", None)
    found = plain_signature(None, "class", "", L2Loss, None, hidden, None)
    assert found == ("(points)", None)


#: What users do not import; docs/formulas.rst says what the modules compute.
INSIDE = re.compile(
    r"ntkspec\.(__main__|cli|duals|files|jobs|kernels)(\.|$)|ntkspec\.(activations|networks)\."
    r"|ntkspec\.spectra\.(block|by_rows|closed_form|contour|direct|endpoint|kernel_at_one|kinks|parity|route"
    r"|rows|seeds|series|sphere_routes|sphere_weights|taylor|walk|zonal)$"
    r"|ntkspec\.spectra\.(ball|cube|gaussian|patches|torus|scaled_result)(\.|$)"
    r"|ntkspec\.(laws|sweeps|trainer\.runs)\.(?!(merge|fit)$)"
    r"|ntkspec\.(compare|domains|predict)\.|ntkspec\.reference\.(cube|description|norms|zeros|\w+\.)"
    r"|ntkspec\.(callables|locks|parameters|rules|threads)$|ntkspec\.zonal\."
    r"|ntkspec\.(explorer\.|tables\.(choice|exports|labelled|layout|source|stored|supplemented)$)"
    r"|ntkspec\.(plots\.(figure3|pictures|training)|torch\.(comparison|empirical))$"
    r"|ntkspec\.trainer\.(checks|designs|layer|passes|steps)$"
)


def documented():
    text = "\n".join((DOCS / page).read_text(encoding="utf-8") for page in PAGES)
    return set(re.findall(r"\.\. auto(?:class|function|exception|data):: (\S+)", text))


CLASS = re.compile(r"^\.\. autoclass:: (\S+)\n((?: +:.*\n)*)", re.MULTILINE)


def own(cls):
    """Public methods and properties that a class defines."""
    kinds = (types.FunctionType, property, classmethod, staticmethod, cached_property)
    return {n for n, v in vars(cls).items() if n[0] != "_" and isinstance(v, kinds)}


def shown_members():
    """The members of each documented class: listed, all, or told in its docstring."""
    shown = {}
    for page in PAGES:
        for name, options in CLASS.findall((DOCS / page).read_text(encoding="utf-8")):
            if name.startswith("ntkspec.torch"):
                continue
            cls = resolved(name)
            listed = re.search(r":members:(.*)", options)
            names = set(re.findall(r"\w+", listed[1])) if listed else set()
            told = re.findall(r"^([\w, ]+?) :", inspect.getdoc(cls) or "", re.MULTILINE)
            every = own(cls) if listed and not names else set()
            shown[cls] = names | every | set(re.findall(r"\w+", " ".join(told)))
    return shown


def test_every_member_of_a_documented_class_is_in_the_reference():
    shown, missing = shown_members(), {}
    for cls in shown:
        there = set().union(*(shown.get(base, set()) for base in cls.__mro__))
        ours = [base for base in cls.__mro__ if base.__module__.startswith("ntkspec")]
        missing[f"{cls.__module__}.{cls.__name__}"] = set().union(*map(own, ours)) - there
    assert {name: some for name, some in missing.items() if some} == {}


def test_pages_of_the_reference_begin_with_a_summary():
    for path in (DOCS / "api").glob("*.rst"):
        assert ".. summary::" in "".join(path.read_text(encoding="utf-8")[:400]), path.name


def resolved(name):
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def public_modules():
    names = [m.name for m in pkgutil.walk_packages(ntkspec.__path__, "ntkspec.")]
    return [name for name in ["ntkspec", *names] if not INSIDE.match(name)]


@pytest.mark.parametrize("name", public_modules())
def test_every_public_name_is_in_the_reference(name):
    if name.startswith("ntkspec.torch"):
        pytest.importorskip("torch", reason="PyTorch is not installed")
    module = importlib.import_module(name)
    there = documented()
    homes = {
        one
        for one in there
        if not one.startswith("ntkspec.torch.") or name.startswith("ntkspec.torch")
    }
    objects = [resolved(one) for one in homes]
    for public in getattr(module, "__all__", []):
        value = getattr(module, public)
        if isinstance(value, types.ModuleType):
            continue  # its own names are looked at
        known = f"{name}.{public}" in there or any(value is other for other in objects)
        assert known or public == "__version__", f"{name}.{public} is not in docs/api"


@pytest.mark.parametrize("name", sorted(documented()))
def test_sphinx_reads_the_docstring(name):
    """No bars as a substitution, and no interpreted text that does not end."""
    if name.startswith("ntkspec.torch"):
        pytest.importorskip("torch", reason="PyTorch is not installed")
    value = resolved(name)
    if not inspect.isclass(value) and not inspect.isroutine(value):
        return
    members = vars(value).values() if inspect.isclass(value) else ()
    for one in (value, *members):
        prose = re.sub(
            r"(?m)^\s*(>>>|\.\.\. ).*$|``[^`]*``|:math:`[^`]*`", "", inspect.getdoc(one) or ""
        )
        bars = re.search(r"(?<![\w|])\|[^|\s]([^|\n]*[^|\s])?\|(?!\w)", prose)
        assert bars is None, f"{name} has {bars[0]} outside double backticks: Sphinx fails"
        ends = re.search(r"(?<![`\w)])`(?=\S)[^`\n]*[^`\s]`[\w(]", prose)
        assert ends is None, f"{name} has {ends[0]}: Sphinx needs a space or ``...`` for all of it"


def test_pages_that_modules_name_are_there():
    folders = (ROOT / "ntkspec", ROOT / "kernels", ROOT / "bench", ROOT / "tests")
    texts = [
        path.read_text(encoding="utf-8") for folder in folders for path in folder.rglob("*.py")
    ]
    named = set(re.findall(r"docs/([a-z_/]+\.rst)", "\n".join(texts)))
    assert len(named) > 10 and named <= set(PAGES)


def test_every_module_with_formulas_is_mapped():
    text = (DOCS / "formulas.rst").read_text(encoding="utf-8")
    mapped = set(re.findall(r"``([a-z0-9_.]+)``", text)) - {"ntkspec.kernels"}
    for one in mapped:
        importlib.import_module(f"ntkspec.{one}")
    kernels = {f"kernels.{m.name}" for m in pkgutil.iter_modules([str(ROOT / "kernels")])}
    # The derivatives and values of sigma, and Legendre's recurrence, are given on the page itself;
    # the cache and its notice have none.
    plain = {"kernels.cache", "kernels.compiling"}
    assert kernels - mapped <= plain | {"kernels.sigma", "kernels.legendre"}


MACHINE = {"processor": "P", "cores": 2, "python": "3", "date": "2026-01-02T", "commit": "c"}


def a_benchmark(folder, name, *goals):
    document = {"name": name, "machine": MACHINE, "rows": [{"n": 1}] * 100, "goals": goals}
    (folder / f"{name}.json").write_text(json.dumps(document))


def a_goal(figure, value, met):
    return {"figure": figure, "goal": "<= 1", "measured": value, "unit": "ns", "met": met}


def kept(path):
    return json.loads(path.read_text())


def test_goals_and_machines_are_kept_and_other_benchmarks_stay(tmp_path):
    a_benchmark(tmp_path, "accuracy", a_goal("a", 0.5, True))
    results = tmp_path / "results.json"
    assert measured.keep(tmp_path, results) == ["accuracy"]
    (tmp_path / "accuracy.json").unlink()
    a_benchmark(tmp_path, "single", a_goal("b", 2.0, False))
    assert measured.keep(tmp_path, results) == ["single"]
    assert list(kept(results)) == ["accuracy", "single"]
    assert kept(results)["accuracy"]["goals"] == [a_goal("a", 0.5, True)]
    assert all(set(one) == {"machine", "goals"} for one in kept(results).values())
    assert len(results.read_text().splitlines()) < 12


def test_tables_show_what_was_measured(tmp_path):
    goals = [a_goal(f"alike, {n}", n / 8, met=True) for n in (1, 2, 3)]
    a_benchmark(tmp_path, "accuracy", a_goal("a|b*", 1.25, met=False), *goals)
    results = tmp_path / "results.json"
    measured.keep(tmp_path, results)
    text = "\n".join(measured.tables(kept(results)))
    assert "3 of 4 goals are met." in text and "**no**" in text and "a\\|b\\*" in text
    assert "1.25 ns" in text and "alike (3 goals)" in text and "0.125 to 0.375 ns" in text
    assert "2026-01-02" in text and "P, 2 cores; python 3" in text
    missing = re.search(r"Not measured yet: (.*)\.", text).group(1).split(", ")
    assert "spectra" in missing and "accuracy" not in missing


def test_the_kept_results_make_a_page():
    text = "\n".join(measured.tables(kept(measured.RESULTS)))
    assert "``ntkspec.sweeps.estimate``" in text
    assert "relative error everywhere" in text and "PyTorch over ours" in text
    assert (DOCS / "measured.rst").read_text().count(".. measured::") == 1


def test_the_rows_of_the_engine_make_a_page(tmp_path):
    cells = {"depth": 2, "bias": 0.1, "d = 2": "closed form: 1.5, 0.2; 1e-16"}
    rows = [{"activation": name, **cells} for name in ("relu", "leaky_relu")]
    document = {"machine": MACHINE, "goals": [a_goal("a", 0.5, True)], "rows": rows}
    (tmp_path / "engine.json").write_text(json.dumps(document))
    results = tmp_path / "results.json"
    assert measured.keep(tmp_path, results) == ["engine"]
    assert kept(results)["engine"]["rows"] == rows
    assert len(results.read_text().splitlines()) < 12
    text = "\n".join(measured.rows_table(kept(results), "engine"))
    assert text.count(".. list-table::") == 3 and "leaky\\_relu" in text
    assert text.count("closed form: 1.5, 0.2; 1e-16") == 2
    assert next(measured.rows_table({}, "engine")) == "Not measured yet."
    assert (DOCS / "engine.rst").read_text().count(".. measured:: engine") == 1


def test_without_a_benchmark_nothing_is_kept(tmp_path):
    results = tmp_path / "results.json"
    with pytest.raises(FileNotFoundError, match="holds no benchmark"):
        measured.keep(tmp_path, results)
    result = CliRunner().invoke(measured.main, ["--from", str(tmp_path), "-o", str(results)])
    assert result.exit_code == 1 and not results.exists()

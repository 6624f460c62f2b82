"""What reaches the standard streams: everything or an exit code, and nothing that they obey."""

import ast
import csv
import errno
import io
import os
import signal
import subprocess
import sys
import time
import unicodedata
from contextlib import contextmanager
from pathlib import Path

import h5py
import psutil
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import SMALL_RUN, SMALL_TABLE
from sweeping import table_of
from training import run_of

import ntkspec
from ntkspec.cli import main
from ntkspec.errors import NtkspecError, TableError
from ntkspec.files.text import CsvWriter, printable
from ntkspec.opening import open_table
from ntkspec.tables.atlas import atlas_path

PACKAGE = Path(ntkspec.__file__).parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("streams")
    table_of(SMALL_TABLE, made)
    run_of(SMALL_RUN, made)
    (made / "scan.toml").write_text('dims = 3\nnetworks = [{activation = "relu", domain = "cube"}]')
    (made / "x.csv").write_text("1,0\n0,1\n1,1\n")
    (made / "x12.csv").write_text("".join(f"{i},{i * i % 5}\n" for i in range(12)))
    (made / "y12.csv").write_text("".join(f"{i % 3}\n" for i in range(12)))
    return made


#: A call of every command, and of every layout of what it prints.
CALLS = {
    "eig": ["relu", "--degrees", "0:40"],
    "eig csv": ["relu", "--degrees", "0:40", "--format", "csv"],
    "eig json": ["relu", "--degrees", "0:40", "--format", "json"],
    "data": ["x.csv", "--network", "relu", "--count", "2"],
    "data csv": ["x.csv", "--network", "relu", "--count", "2", "--format", "csv"],
    "certify": ["relu", "--degrees", "0:3", "--digits", "5"],
    "predict times": ["relu", "--degrees", "0:3"],
    "predict curve": ["relu", "--target", "1:1"],
    "predict samples": ["relu", "--degrees", "0:3"],
    "predict freedom": ["relu"],
    "predict pinn": ["tanh", "--degrees", "0:3"],
    "predict minibatch": ["relu", "--samples", "9", "--batch", "3", "--target", "1:1"],
    "predict data": ["relu", "x12.csv", "y12.csv"],
    "sweep": ["r.toml", "--plan"],
    "scan": ["scan.toml", "-o", "-"],
    "scan json": ["scan.toml", "-o", "-", "--format", "json"],
    "train": ["run.toml", "--plan"],
    "merge": ["t.h5", "-o", "merged.h5"],
    "verify": ["t.h5", "--samples", "1", "--digits", "20"],
    "info": ["t.h5"],
    "export": ["t.h5", "-o", "-"],
    "export json": ["t.h5", "-o", "-", "--format", "json"],
    "fit": ["t.h5"],
    "fit csv": ["t.h5", "--format", "csv"],
    "compare": ["run.h5", "--no-finite"],
    "compare csv": ["run.h5", "--no-finite", "--format", "csv"],
    "plot": ["t.h5", "-o", "t.png"],
    "explore": ["t.h5", "-o", "t.html"],
}


def words(name):
    known = {"predict": 2}
    return [*name.split()[: known.get(name.split()[0], 1)], *CALLS[name]]


def test_every_command_is_called():
    called = {name.split()[0] for name in CALLS}
    assert called == set(main.commands)
    assert {name.split()[1] for name in CALLS if name.startswith("predict ")} == set(
        main.commands["predict"].commands
    )


class Full(io.RawIOBase):
    """A disk without room, or a pipe that nobody reads any more."""

    def __init__(self, number):
        self.number = number
        self.real, self.copy = os.pipe()

    def writable(self):
        return True

    def write(self, data):
        raise OSError(self.number, os.strerror(self.number))

    def fileno(self):
        return self.real

    def close(self):
        if not self.closed:
            os.close(self.real)
            os.close(self.copy)
        super().close()


@contextmanager
def standard_output(number):
    """Have this process print to where nothing can be written."""
    raw = Full(number)
    before, sys.stdout = sys.stdout, io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8")
    try:
        yield
    finally:
        full, sys.stdout = sys.stdout, before
        raw.write = len  # what is left in the buffer may go
        full.detach().detach()
        raw.close()


def run_here(name, folder, monkeypatch, capsys, number):
    monkeypatch.chdir(folder)
    with standard_output(number), pytest.raises(SystemExit) as end:
        main.main(words(name), prog_name="ntkspec")
    return end.value.code, capsys.readouterr().err


SLOW = ("compare", "compare csv", "plot", "verify", "merge")
EVERY = [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in CALLS]


@pytest.mark.parametrize("name", EVERY)
def test_a_full_disk_is_reported(name, folder, monkeypatch, capsys):
    code, said = run_here(name, folder, monkeypatch, capsys, errno.ENOSPC)
    assert code == 3
    assert said.splitlines()[-1] == (
        "Error: the standard output cannot be written (No space left on device)"
    )


@pytest.mark.parametrize("name", EVERY)
def test_a_closed_pipe_is_not_reported_as_an_error(name, folder, monkeypatch, capsys):
    code, said = run_here(name, folder, monkeypatch, capsys, errno.EPIPE)
    assert code == 1
    assert "Error" not in said and "Traceback" not in said


@pytest.mark.parametrize("name", [*EVERY, "--help", "--version"])
def test_a_closed_output_is_reported_before_any_work(name, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "stdout", None)
    called = words(name) if name in CALLS else [name]
    with pytest.raises(SystemExit) as end:
        main.main(called, prog_name="ntkspec")
    assert end.value.code == 3
    assert capsys.readouterr().err.startswith("Error: the standard output is closed; ")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["eig", "--help"]])
def test_the_help_too(arguments, monkeypatch, capsys):
    with standard_output(errno.ENOSPC), pytest.raises(SystemExit) as end:
        main.main(arguments, prog_name="ntkspec")
    assert end.value.code == 3
    assert "No space left on device" in capsys.readouterr().err


@pytest.mark.parametrize(
    "redirected,code,message",
    [
        (">&-", 3, "the standard output is closed"),
        ("> /dev/full", 3, "the standard output cannot be written (No space left on device)"),
        pytest.param("2>&-", 0, "", marks=pytest.mark.slow),
        pytest.param("<&- 2>&-", 0, "", marks=pytest.mark.slow),
    ],
)
def test_as_a_shell_does_it(redirected, code, message):
    command = f"exec {sys.executable} -m ntkspec eig relu --degrees 0:3 --format csv {redirected}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)
    assert message in done.stderr and done.stderr.count("\n") == bool(message)
    assert done.stdout.count("\n") == (0 if code else 4)


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["text", "csv"])
def test_a_reader_of_one_line(layout):
    command = (
        f"{sys.executable} -m ntkspec eig relu --degrees 0:30000 --format {layout} | head -n 1"
    )
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert done.stdout.count("\n") == 1 and done.stderr == ""


# --- signals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "layout,number,code",
    [
        ("csv", signal.SIGTERM, 143),
        pytest.param("netcdf", signal.SIGTERM, 143, marks=pytest.mark.slow),
        pytest.param("netcdf", signal.SIGINT, 130, marks=pytest.mark.slow),
    ],
)
def test_an_export_that_is_ended(tmp_path, layout, number, code):
    out = tmp_path / "out"
    out.write_text("old")
    process = started(["export", "atlas", "-o", out, "--format", layout])
    until(lambda: list(tmp_path.glob("out.part-*")), process)
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert (process.returncode, said) == (code, "interrupted\n")
    assert [path.name for path in tmp_path.iterdir()] == ["out"] and out.read_text() == "old"


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("number,code", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_verification_that_is_ended(tmp_path, workers, number, code):
    """The signal comes to the process alone, whose workers must end with it."""
    table = tmp_path / "t.h5"
    table.write_bytes(atlas_path().read_bytes())
    words = ["verify", table, "--samples", "3000", "--workers", workers, "--max-dim", "40"]
    process = started(words)
    assert " entries" in process.stderr.readline()
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= (workers if workers > 1 else 0)
    process.send_signal(number)
    begun = time.monotonic()
    _, said = process.communicate(timeout=30)
    assert time.monotonic() - begun < 10
    assert process.returncode == code and said.splitlines()[-1] == "interrupted"
    assert not psutil.wait_procs(children, timeout=5)[1]


def test_an_interrupt_while_a_table_is_read_is_not_taken_for_damage(folder):
    """At every call of a function of the module that reads HDF5, callbacks of HDF5 included."""
    reader = str(PACKAGE / "files" / "structure.py")

    def read(at):
        """Interrupt a reading at a call; return the number of calls."""
        seen = 0

        def trace(frame, event, argument):
            nonlocal seen
            seen += frame.f_code.co_filename == reader
            if seen == at:
                raise KeyboardInterrupt

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            with open_table(folder / "t.h5") as table:
                table.select("relu", 3, 1)
        finally:
            sys.settrace(before)
        return seen

    calls = read(-1)
    assert calls > 50
    for at in range(1, calls + 1):
        with pytest.raises(KeyboardInterrupt):
            read(at)


@pytest.mark.parametrize("number,code", [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_signal_during_an_import_ends_with_its_exit_code(tmp_path, number, code):
    """Imports execute code compiled from strings, for named tuples and data classes."""
    program = f"""
import signal
from ntkspec.cli import main

@main.command()
def stop():
    exec("signal.raise_signal(signal.{number})", {{"signal": signal}})

main(["stop"])
"""
    (tmp_path / "program.py").write_text(program)
    command = [sys.executable, "-m", "program"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (code, "interrupted\n")


def started(words):
    return subprocess.Popen(
        [sys.executable, "-m", "ntkspec", *map(str, words)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def until(condition, process, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)


# --- text from files -----------------------------------------------------------------------------

OBEYED = ("Cc", "Cs", "Zl", "Zp")
BIDI = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")


def obeyed(text):
    """Characters by Unicode's own classes: controls, halves of pairs, ends of lines, directions."""
    return [
        c for c in text if unicodedata.category(c) in OBEYED or unicodedata.bidirectional(c) in BIDI
    ]


@given(st.text(st.characters(codec=None), max_size=40))
def test_nothing_printed_is_obeyed(text):
    shown = printable(text)
    assert not obeyed(shown)
    shown.encode("utf-8")
    if not obeyed(text) and text.isprintable():
        assert shown == text
    assert not set(obeyed(printable(text, newlines=True))) - {"\n", "\t"}


@settings(max_examples=50)
@given(st.lists(st.one_of(st.text(max_size=20), st.floats(), st.integers()), min_size=1))
def test_no_cell_is_a_formula(cells):
    file = io.StringIO()
    CsvWriter(file).row(cells)
    (row,) = csv.reader(io.StringIO(file.getvalue()))
    assert len(row) == len(cells)
    for cell, given_cell in zip(row, cells):
        assert not obeyed(cell)
        if isinstance(given_cell, str):
            assert not cell.startswith(("=", "+", "-", "@"))
        else:
            assert cell == str(given_cell)


def test_all_that_is_printed_goes_through_one_place():
    """No module of the command line prints by itself, and none writes CSV by itself."""
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text()
        if not any(word in text for word in ("csv", "print", "click", "Table")):
            continue
        tree = ast.parse(text)
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        names = [ast.unparse(call.func) for call in calls]
        if path.name != "text.py":
            assert not {"csv.writer", "csv.DictWriter"} & set(names), path
        if path.parent.name == "cli" and path.name != "streams.py":
            assert not {"print", "click.echo", "click.secho", "Table"} & set(names), path
        for call in calls:
            if ast.unparse(call.func) == "print":
                assert ast.unparse(call.args[0]).startswith("printable("), path


HOSTILE = '\x1b]0;owned\x07\x1b[2J\x9b31m[bold]\u202egnp.exe[/]\r=HYPERLINK("http://x")'


@pytest.mark.parametrize("kind", [NtkspecError, TableError, OSError])
def test_errors_are_one_harmless_line(kind, monkeypatch):
    """Whatever a message quotes, from whatever command."""

    def fail(*arguments, **options):
        raise kind(f"{HOSTILE}\nsecond line")

    monkeypatch.setattr("ntkspec.opening.open_table", fail)
    result = CliRunner().invoke(main, ["export", "t.h5", "-o", "-"])
    assert result.exit_code in (2, 3)
    assert not obeyed(result.stderr.rstrip("\n"))
    assert not obeyed(result.stdout)


@pytest.fixture
def hostile(folder, tmp_path):
    """A table whose file, network and attributes have names that a terminal would obey."""
    path = tmp_path / f"{HOSTILE.replace('/', '')}.h5"
    path.write_bytes((folder / "t.h5").read_bytes())
    with h5py.File(path, "r+") as file:
        for name in ("time", "command", "versions"):
            file.attrs[name] = HOSTILE if name != "versions" else '{"ntkspec": "{}"}'
    return path


@pytest.mark.parametrize("name", ["info", "export", "export json", "fit", "fit csv", "verify"])
def test_tables_from_anyone(hostile, name):
    arguments = [str(hostile) if word == "t.h5" else word for word in words(name)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code in (0, 3) and not isinstance(result.exception, ValueError)
    for line in (result.stdout + result.stderr).splitlines():
        assert not obeyed(line)


def test_cells_of_tables_are_plain_text(capsys):
    from ntkspec.cli.terminal import Grid, console

    shown = Grid("name")
    shown.add_row(HOSTILE + "\nnext")
    console().print(shown)
    said = capsys.readouterr().out
    assert "[bold]" in said and "[/]" in said
    assert not any(obeyed(line) for line in said.splitlines())

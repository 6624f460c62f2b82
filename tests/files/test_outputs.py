"""What an output path may be, for every command and function that writes one.

A pipe, a device or an open descriptor is written through or refused; a symbolic link stays; a
folder, a protected file or an input is refused.  What is there is never replaced by something
else.
"""

import os
import shutil
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import click
import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from problems import SMALL_RUN, SMALL_TABLE
from training import run_of

from ntkspec.cli import main
from ntkspec.files.appearing import appearing, appearing_text, check_outputs, is_stream
from ntkspec.sweeps import run_shard
from ntkspec.sweeps.merge import merge
from ntkspec.tables.atlas import atlas_path, description_path, place_atlas


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A table, the folder of its blocks, a run, and their recipes."""
    folder = tmp_path_factory.mktemp("sources")
    (folder / "r.toml").write_text(SMALL_TABLE)
    run_shard(folder / "r.toml", folder / "blocks.h5", "1/1")
    shutil.copytree(folder / "blocks.h5.parts", folder / "t.h5.parts")
    merge([folder / "t.h5.parts"], folder / "t.h5")
    run_of(SMALL_RUN, folder)
    np.save(folder / "X.npy", np.eye(3))
    (folder / "net.toml").write_text('activation = "relu"')
    (folder / "s.toml").write_text('dims = 2\ndegrees = 1\nnetworks = [{activation = "relu"}]')
    return folder


def command(*words, ending="", text=False, source="t.h5"):
    """An output of a command: OUT stands for it, and the names of sources for those."""
    return pytest.param(
        (words, ending, text, source), id=" ".join(w for w in words if "." not in w and w != "OUT")
    )


LEADING = ("X.npy", "--network", "relu", "--count", "1")
AS_JSON = ("net.toml", "--dim", "3", "--format", "json", "-o", "OUT")
NOT_FINITE = ("--no-finite", "--format", "json", "-o", "OUT")
#: Every output of every command; the last word of a command's options is that of the output.
OUTPUTS = [
    command("export", "t.h5", "-o", "OUT", text=True),
    command("export", "t.h5", "--format", "json", "-o", "OUT", text=True),
    command("export", "t.h5", "--format", "netcdf", "-o", "OUT"),
    command("export", "t.h5", "--format", "parquet", "-o", "OUT"),
    command("explore", "t.h5", "-o", "OUT", text=True),
    command("plot", "t.h5", "-o", "OUT", ending=".png"),
    command("plot", "run.h5", "-o", "OUT", ending=".svg", source="run.h5"),
    command("plot", "run.h5", "-o", "p.png", "--numbers", "OUT", text=True, source="run.h5"),
    command("compare", "run.h5", "--no-finite", "--picture", "OUT", ending=".pdf", source="run.h5"),
    command("compare", "run.h5", *NOT_FINITE, text=True, source="run.h5"),
    command("data", *LEADING, "--save", "OUT", ending=".csv", source="X.npy"),
    command("data", *LEADING, "--format", "json", "-o", "OUT", text=True, source="X.npy"),
    command("eig", *AS_JSON, text=True, source="net.toml"),
    command("certify", *AS_JSON, text=True, source="net.toml"),
    command("fit", "t.h5", "--format", "json", "-o", "OUT", text=True),
    command("scan", "s.toml", "-o", "OUT", text=True, source="s.toml"),
    command("scan", "s.toml", "--format", "json", "-o", "OUT", text=True, source="s.toml"),
    command("scan", "s.toml", "--format", "netcdf", "-o", "OUT", source="s.toml"),
    command("scan", "s.toml", "--format", "parquet", "-o", "OUT", source="s.toml"),
    command("merge", "t.h5", "-o", "OUT"),
    command("merge", "blocks.h5.parts", "-o", "OUT", source="blocks.h5.parts"),
    command("sweep", "r.toml", "--workers", "1", "-o", "OUT", source="r.toml"),
    command("train", "run.toml", "--threads", "1", "-o", "OUT", source="run.toml"),
    command("train", "run.toml", "--restart", "-o", "OUT", source="run.toml"),
]
#: Commands that take a process of dask, or draw, where they do write.
SLOW = ("sweep", "compare", "plot")


@pytest.fixture(params=OUTPUTS)
def output(request, sources, tmp_path):
    return Output(sources, tmp_path, *request.param)


@pytest.fixture(
    params=[
        pytest.param(
            *one.values, id=one.id, marks=[pytest.mark.slow] if one.values[0][0][0] in SLOW else []
        )
        for one in OUTPUTS
    ]
)
def written(request, sources, tmp_path):
    """The same, for tests in which it is written."""
    return Output(sources, tmp_path, *request.param)


STREAMS = [one for one in OUTPUTS if one.values[0][2]]
FILES = [one for one in OUTPUTS if not one.values[0][2]]


class Output:
    def __init__(self, sources, folder, words, ending, text, source):
        self.sources, self.folder, self.words = sources, folder, words
        self.ending, self.text = ending, text
        self.source = sources / source
        self.restarts = "--restart" in words

    def path(self, name="out"):
        return self.folder / (name + self.ending)

    def write(self, path):
        there = [self.sources / w if (self.sources / w).exists() else w for w in self.words]
        words = [path if w == "OUT" else self.folder / w if w == "p.png" else w for w in there]
        return CliRunner().invoke(main, [str(w) for w in words])

    def refused(self, path, code, *words):
        """One message, and nothing has changed."""
        before = state(self.folder)
        result = self.write(path)
        assert result.exit_code == code, (result.output, result.exception)
        assert result.stderr.count("\n") == 1 and result.stderr.startswith("Error: ")
        for word in (*words, str(path)):
            assert word in result.stderr
        assert state(self.folder) == before

    def is_written(self, path):
        """Whether a file holds what this output writes."""
        start = path.read_bytes()[:8]
        if self.ending:
            return start[:4] in (b"\x89PNG", b"<?xm", b"%PDF", b"rank")
        if self.text:
            return start[:1] in b"n[{l<"
        return start == b"\x89HDF\r\n\x1a\n" or start[:4] == b"PAR1"


def state(folder):
    """Names, kinds and contents of all that is in a folder, but for locks."""
    found = {}
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        if path.name.startswith(".") or path.name == "p.png":
            continue
        content = path.read_bytes() if stat.S_ISREG(mode) else None
        found[path.name] = (stat.S_IFMT(mode), content)
    return found


#: Parameters of commands that are files to write.
OUTPUT_NAMES = ("output", "outputs", "numbers", "save", "pictures")


def outputs_of(one):
    return [p for p in one.params if p.name in OUTPUT_NAMES]


def test_every_output_of_every_command_is_here():
    mine = {(param.values[0][0][0], param.values[0][0][-2]) for param in OUTPUTS}
    for name, one in main.commands.items():
        for option in outputs_of(one):
            assert any((name, spelling) in mine for spelling in option.opts), (name, option.opts)
        paths = [
            p for p in one.params if isinstance(p, click.Option) and isinstance(p.type, click.Path)
        ]
        read = {"table", "target", "scheduler_file", "tls_ca", "tls_cert", "tls_key"}
        assert {p.name for p in paths} - read == {p.name for p in outputs_of(one)}, name


@pytest.mark.parametrize("output", FILES, indirect=True)
def test_a_pipe_where_a_file_is_needed(output):
    os.mkfifo(output.path())
    output.refused(output.path(), 2, "is a pipe")


@pytest.mark.parametrize("written", STREAMS[:3], indirect=True)
def test_a_pipe_is_written_through(written):
    path = written.path()
    os.mkfifo(path)
    read = []
    reader = threading.Thread(target=lambda: read.append(path.read_bytes()))
    reader.start()
    result = written.write(path)
    reader.join(60)
    assert result.exit_code == 0, result.output
    assert stat.S_ISFIFO(path.lstat().st_mode)
    assert written.write(written.path("file")).exit_code == 0
    assert written.path("file").read_bytes() == read[0]


def test_a_pipe_that_nobody_reads(tmp_path, monkeypatch):
    monkeypatch.setattr("ntkspec.files.appearing.READER_SECONDS", 0.1)
    os.mkfifo(tmp_path / "pipe")
    with (
        pytest.raises(ValueError, match="a pipe without a reader"),
        appearing_text(tmp_path / "pipe"),
    ):
        pass


ROOT = pytest.mark.skipif(os.getuid() != 0, reason="making a device needs root")
#: Nodes of their own, so that a fault does not spoil /dev.
NULL, FULL = os.makedev(1, 3), os.makedev(1, 7)


@ROOT
@pytest.mark.parametrize("output", FILES, indirect=True)
def test_a_device_where_a_file_is_needed(output):
    os.mknod(output.path(), stat.S_IFCHR | 0o666, FULL)
    output.refused(output.path(), 2, "is a device")


@ROOT
@pytest.mark.parametrize("written", STREAMS[:3], indirect=True)
def test_a_device_is_written_through(written):
    path = written.path()
    os.mknod(path, stat.S_IFCHR | 0o666, NULL)
    assert written.write(path).exit_code == 0
    assert stat.S_ISCHR(path.lstat().st_mode)
    path.unlink()
    os.mknod(path, stat.S_IFCHR | 0o666, FULL)
    written.refused(path, 3, "No space left on device")


@ROOT
def test_a_disk(output):
    path = output.path()
    os.mknod(path, stat.S_IFBLK | 0o600, os.makedev(7, 250))  # of no device
    output.refused(path, 2, "is a device")


def test_a_socket(output, monkeypatch):
    monkeypatch.chdir(output.folder)  # a socket's path must be short
    path = output.path()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)
        output.refused(path, 2, "is a socket")


def test_a_folder(output):
    path = output.path()
    path.mkdir()
    (path / "mine").touch()
    output.refused(path, 3, "is a folder")


def test_a_link_that_goes_round(output):
    path, other = output.path(), output.path("other")
    path.symlink_to(other.name)
    other.symlink_to(path.name)
    output.refused(path, 2, "leads back to itself")


def test_a_protected_file(output):
    path = output.path()
    path.write_text("mine")
    path.chmod(0o444)
    output.refused(path, 3, "write-protected")


def test_the_input_itself(output):
    """By its name, and by a link to it; nothing but the message tells of it."""
    before = state(output.sources)
    if output.source.is_dir():
        inside = next(output.source.glob("n*.h5"))
        result = output.write(inside)
        assert (result.exit_code, state(output.sources)) == (2, before), result.output
        return
    names = [output.path(name) for name in ("symbolic", "hard")]
    names[0].symlink_to(output.source)
    os.link(output.source, names[1])
    for path in names:
        output.refused(path, 2, "would replace the input")
    assert state(output.sources) == before
    if not output.ending:
        result = output.write(output.source)
        assert (result.exit_code, state(output.sources)) == (2, before), result.output


def test_a_folder_that_is_not_there(written):
    path = written.folder / "none" / written.path().name
    result = written.write(path)
    if result.exit_code == 0:  # pictures, sweeps and trainings make it
        assert written.is_written(path)
    else:
        assert result.exit_code == 3
        assert f"the folder {path.parent} does not exist" in result.stderr
        assert not path.parent.exists()


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="it needs Linux's /proc")
def test_a_folder_that_takes_no_files(written):
    """The message names the file that was asked for, not the part that cannot be made."""
    path = Path("/proc") / written.path().name
    result = written.write(path)
    assert result.exit_code == 3
    assert str(path) in result.stderr and "cannot be written (" in result.stderr
    assert ".part-" not in result.stderr


@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_and_its_target_is_written(written, there):
    target = written.folder / "elsewhere" / "target"
    target.parent.mkdir()
    if there and written.words[0] != "train":
        # Sweeping and merging replace tables and empty files only.
        target.write_text("" if written.words[0] in ("merge", "sweep") else "old")
        target.chmod(0o640)
    path = written.path()
    path.symlink_to("elsewhere/target")
    result = written.write(path)
    assert result.exit_code == 0, result.output
    assert path.is_symlink() and written.is_written(target)
    if there and written.words[0] != "train":
        assert target.stat().st_mode & 0o777 == 0o640
    kept = {"target", ".target.parts.lock"}
    assert {p.name for p in target.parent.iterdir()} <= kept
    assert {p.name for p in written.folder.iterdir()} <= {path.name, "elsewhere", "p.png"}


def ntkspec(words, **options):
    return subprocess.run(
        [sys.executable, "-m", "ntkspec", *map(str, words)], stderr=subprocess.PIPE, text=True,
        timeout=60, **options,
    )  # fmt: skip


@pytest.mark.parametrize(
    "names",
    [["/dev/stdout"], pytest.param(["/dev/stdout", "/dev/fd/{}"], marks=pytest.mark.slow)],
)
def test_an_open_descriptor_is_written_where_it_stands(sources, tmp_path, names):
    """As with `>> log` of a shell: what is there stays, and what comes after follows."""
    words = ["export", sources / "t.h5", "--dim", "3", "--degrees", "0:2", "-o"]
    log = tmp_path / "log"
    log.write_text("before\n")
    with log.open("a") as file:
        for name in names:
            output = name.format(file.fileno())
            done = ntkspec([*words, output], stdout=file, pass_fds=[file.fileno()])
            assert done.returncode == 0, done.stderr
            file.write("between\n")
            file.flush()
    lines = log.read_text().splitlines()
    assert [lines[0], lines[1][:11], *lines[4:5]] == ["before", "network,dim", "between"]
    assert len(lines) == 1 + 4 * len(names) and lines[-1] == "between"
    assert os.listdir(tmp_path) == ["log"]


def test_a_file_that_needs_its_place_is_not_written_to_a_descriptor(sources, tmp_path):
    log = tmp_path / "log"
    with log.open("w") as file:
        link = tmp_path / "out"
        link.symlink_to(f"/proc/self/fd/{file.fileno()}")
        assert is_stream(link)
        for path in (link, Path(f"/dev/fd/{file.fileno()}")):
            with pytest.raises(ValueError, match="an open file"), appearing(path):
                pass
    assert log.read_text() == ""


def test_the_atlas_is_placed_through_its_link_and_not_onto_itself(tmp_path):
    with pytest.raises(ValueError, match="would replace the input"):
        place_atlas(atlas_path())
    made = shutil.copy(atlas_path(), tmp_path / "made.h5")
    shutil.copy(description_path(), tmp_path / "made.jsonl")
    (tmp_path / "data").mkdir()
    (tmp_path / "atlas.h5").symlink_to("data/a.h5")
    assert place_atlas(made, tmp_path / "atlas.h5") == tmp_path / "data" / "a.h5"
    assert {p.name for p in (tmp_path / "data").iterdir()} == {
        f"a.{kind}" for kind in ("h5", "jsonl", "sha256")
    }


def test_a_file_passes_on_its_owner(tmp_path):
    if os.getuid() != 0:
        pytest.skip("giving a file away needs root")
    path = tmp_path / "private"
    path.write_text("old")
    path.chmod(0o600)
    os.chown(path, 65534, 65534)
    with appearing_text(path) as file:
        file.write("new")
    about = path.stat()
    assert (about.st_uid, about.st_gid, about.st_mode & 0o777) == (65534, 65534, 0o600)
    assert path.read_text() == "new"


def fail(path, error):
    with appearing_text(path) as file:
        file.write("new")
        raise error


def test_an_output_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "out"
    path.write_text("old")
    (tmp_path / "link").symlink_to("out")
    for error in (ValueError, KeyboardInterrupt, OSError):
        with pytest.raises(error):
            fail(tmp_path / "link", error)
    assert path.read_text() == "old"
    assert {p.name for p in tmp_path.iterdir()} == {"out", "link"}


def test_a_block_of_an_input_is_an_input(sources):
    block = next((sources / "t.h5.parts").glob("*"), None) or sources / "blocks.h5.parts"
    with pytest.raises(ValueError, match="would replace the input"):
        check_outputs([next((sources / "blocks.h5.parts").glob("n*"))], [sources / "blocks.h5"])
    check_outputs([sources / "new.h5"], [sources / "blocks.h5", block])


@pytest.mark.slow
def test_a_virtual_table_through_a_link(sources, tmp_path):
    """Its blocks lie beside the file itself, and HDF5 finds them from the link too."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "t.h5").symlink_to("disk/real.h5")
    options = ["--layout", "virtual", "--workers", "1"]
    words = ["sweep", sources / "r.toml", "-o", tmp_path / "t.h5", *options]
    assert ntkspec(words).returncode == 0
    assert (tmp_path / "disk" / "real.h5.parts").is_dir()
    for name in ("t.h5", "disk/real.h5"):
        with h5py.File(tmp_path / name) as file:
            assert file["relu/eigenvalue"][0, 0] == 0.0625
        assert ntkspec(["verify", tmp_path / name, "--samples", "1"]).returncode == 0

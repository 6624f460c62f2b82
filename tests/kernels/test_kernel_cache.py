"""numba's cache serves no code of sources that have changed since, nor code of other people."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT

from ntkspec.kernels.cache import INHERITED, cache_folder, is_private

CALLEE = """

@njit(cache=True)
def probed():
    return 1.0
"""
CALLER = """

from ntkspec.kernels.scaled import probed


@njit(cache=True)
def probe():
    return probed()
"""
PROBE = """
from ntkspec.kernels import walk
print(walk.__file__, walk.probe(), sum(walk.probe.stats.cache_hits.values()))
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a copy of the package in which walk.probe() calls scaled.probed()."""
    for folder in ("kernels", "ntkspec"):
        # With the bytecode of this process, which is that of the sources but for the two edited.
        shutil.copytree(
            ROOT / folder,
            tmp_path / folder,
            symlinks=True,
            ignore=shutil.ignore_patterns("*.pyc.*"),  # being written
        )
    for name, addition in (("scaled", CALLEE), ("walk", CALLER)):
        path = tmp_path / "kernels" / f"{name}.py"
        path.write_text(path.read_text() + addition)
    return tmp_path


REPLACE = """
from pathlib import Path
path = Path({path!r})
path.write_text(path.read_text().replace({old!r}, {new!r}))
"""
#: Runs programs, each in a child of its own; numba's start, two seconds, is done once for all.
#: Bytecode is told from that of an edited source by a time in whole seconds.
FORKING = """
import os, sys
from numba import njit

sys.dont_write_bytecode = True
njit(lambda: 1.0)()
for program in {programs!r}:
    if (child := os.fork()) == 0:
        exec(program)
        break
    if os.waitpid(child, 0)[1]:
        sys.exit("a child failed")
"""


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_", INHERITED))}
    environment |= {"PYTHONPATH": str(folder), "NUMBA_CACHE_DIR": str(folder / "cache")}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True
    )


def probed(result: subprocess.CompletedProcess[str], checkout: Path) -> list[tuple[float, int]]:
    """Return what each new process computed, and how often its cache was hit."""
    assert result.returncode == 0, result.stderr
    lines = [line.rsplit(maxsplit=2) for line in result.stdout.splitlines()]
    assert all(Path(file).is_relative_to(checkout) for file, _, _ in lines)
    return [(float(value), int(hits)) for _, value, hits in lines]


def test_edited_callee_in_another_file_is_seen(checkout: Path) -> None:
    edited, callee = CALLEE.replace("1.0", "2.0"), str(checkout / "kernels" / "scaled.py")
    programs = [
        PROBE,
        PROBE,  # warm: numba would go on with this
        REPLACE.format(path=callee, old=CALLEE, new=edited),
        PROBE,
        REPLACE.format(path=callee, old=edited, new=CALLEE),
        PROBE,
    ]
    result = run(FORKING.format(programs=programs), checkout)
    assert probed(result, checkout) == [(1.0, 0), (1.0, 1), (2.0, 0), (1.0, 1)]


def test_all_kernels_are_imported_while_the_cache_folder_is_set() -> None:
    """A module that is imported later would be cached in the folder of others."""
    files = {path.stem for path in (ROOT / "kernels").glob("*.py")} - {"__init__"}
    code = (
        "import ntkspec.kernels as k; import sys; "
        "print(*(name.split('.')[2] for name in sys.modules if name.startswith(k.__name__ + '.')))"
    )
    result = run(code, ROOT)
    assert result.returncode == 0, result.stderr
    assert set(result.stdout.split()) == files


def test_kernels_from_the_root_are_refused() -> None:
    result = run("import kernels", ROOT)
    assert result.returncode == 1
    assert "ImportError: the kernels are imported as 'ntkspec.kernels'" in result.stderr


def test_another_library_keeps_its_own_cache_folder() -> None:
    code = (
        "import numba; before = numba.config.CACHE_DIR; import ntkspec.kernels as k; "
        "assert numba.config.CACHE_DIR == before != str(k.CACHE_DIR)"
    )
    result = run(code, ROOT)
    assert result.returncode == 0, result.stderr


# --- the folder is private -----------------------------------------------------------------------

LEAF = "ntkspec/kernels-abc"
NOBODY = 65534


class Planted:
    """Runs when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = str(marker)

    def __reduce__(self):
        return os.mkdir, (self.marker,)


def test_code_that_others_may_have_planted_is_not_run(checkout: Path) -> None:
    """With mode 0700 the plant does run, which shows that numba finds it."""
    assert probed(run(PROBE, checkout), checkout) == [(1.0, 0)]
    (leaf,) = (checkout / "cache" / "ntkspec").iterdir()
    marker = checkout / "it ran"
    for index in leaf.rglob("*.nbi"):
        index.write_bytes(pickle.dumps(Planted(marker)))
    leaf.chmod(0o777)
    result = run(PROBE, checkout)
    assert not marker.exists()
    assert result.stdout.split()[1:] == ["1.0", "0"]
    assert "RuntimeWarning" in result.stderr and str(leaf) in result.stderr
    leaf.chmod(0o700)
    run(PROBE, checkout)
    assert marker.exists()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a private home, without any other word on where caches are."""
    home = tmp_path / "home"
    home.mkdir(0o700)
    for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", INHERITED):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    return home


def opened(path: Path, mode: int) -> None:
    path.mkdir(0o700, parents=True, exist_ok=True)
    path.chmod(mode)


def linked(path: Path, target: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def owned(path: Path, owner: int) -> None:
    if os.getuid() != 0:
        pytest.skip("giving a folder away needs root")
    path.mkdir(0o700, parents=True, exist_ok=True)
    os.chown(path, owner, owner)


UNSAFE = {
    "the folder may be written by all": lambda cache: opened(cache / LEAF, 0o777),
    "by its group": lambda cache: opened(cache / LEAF, 0o770),
    "may be read by all": lambda cache: opened(cache / LEAF, 0o755),
    "the folder above may be written": lambda cache: opened(cache / "ntkspec", 0o777),
    "by its group too": lambda cache: opened(cache / "ntkspec", 0o775),
    "the cache may be written": lambda cache: opened(cache, 0o777),
    "the home may be written": lambda cache: opened(cache.parent, 0o777),
    "it is a link": lambda cache: linked(cache / LEAF, cache),
    "to itself": lambda cache: linked(cache / LEAF, cache / LEAF),
    "the folder above goes round": lambda cache: linked(cache / "ntkspec", cache / "ntkspec"),
    "it is a file": lambda cache: (opened(cache / "ntkspec", 0o700), (cache / LEAF).touch()),
    "the cache is a file": lambda cache: cache.touch(),
    "it is another's": lambda cache: owned(cache / LEAF, NOBODY),
    "the folder above is another's": lambda cache: owned(cache / "ntkspec", NOBODY),
    "the cache is another's": lambda cache: owned(cache, NOBODY),
}


@pytest.mark.parametrize("variable", ["HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR"])
@pytest.mark.parametrize("unsafe", UNSAFE.values(), ids=UNSAFE)
def test_a_folder_that_others_may_write_is_left_for_a_new_one(
    place: Path, monkeypatch: pytest.MonkeyPatch, unsafe, variable: str
) -> None:
    cache = place / ".cache"
    if variable != "HOME":
        monkeypatch.setenv(variable, str(cache))
    unsafe(cache)
    with pytest.warns(RuntimeWarning, match="NUMBA_CACHE_DIR"):
        folder = cache_folder("abc")
    assert not folder.is_relative_to(place) and is_private(folder)
    # Processes that this one starts share it; others do not.
    assert cache_folder("abc") == folder
    monkeypatch.delenv(INHERITED)
    with pytest.warns(RuntimeWarning):
        assert cache_folder("abc") != folder


@pytest.mark.parametrize("variable", ["HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR"])
def test_a_private_folder_is_made_and_kept(
    place: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    cache = place / (".cache" if variable == "HOME" else "elsewhere/deep")
    if variable != "HOME":
        monkeypatch.setenv(variable, str(cache))
    before = os.umask(0)
    try:
        assert cache_folder("abc") == cache / LEAF == cache_folder("abc")
    finally:
        os.umask(before)
    assert {p.stat().st_mode & 0o777 for p in place.rglob("*")} == {0o700}


def test_a_home_on_another_disk_is_reached_through_its_link(place: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir(0o700)
    (place / ".cache").symlink_to("../disk")
    assert cache_folder("abc").resolve() == tmp_path / "disk" / LEAF


@pytest.mark.parametrize("home", ["", ".", "nowhere", "/proc", "/dev/null"])
def test_a_home_that_is_none(place: Path, monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    monkeypatch.setenv("HOME", home)
    monkeypatch.chdir(place)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # does not count
    with pytest.warns(RuntimeWarning):
        assert is_private(cache_folder("abc"))


def test_an_inherited_folder_is_checked_too(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(place / ".cache", 0o777)
    planted = place / "planted-abc"
    opened(planted, 0o777)
    monkeypatch.setenv(INHERITED, str(planted))
    with pytest.warns(RuntimeWarning):
        assert cache_folder("abc") != planted


def test_a_new_folder_goes_with_its_process(tmp_path: Path) -> None:
    opened(tmp_path / "cache", 0o777)
    result = run("import ntkspec.kernels.cache as c; print(c.cache_folder('abc'))", tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout and not Path(result.stdout.strip()).exists()

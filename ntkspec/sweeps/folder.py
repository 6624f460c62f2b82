"""The folder of a sweep's blocks: its lock, its recipe, what is there and what is left over."""

from __future__ import annotations

import fcntl
import glob
import json
import os
import platform
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ntkspec.errors import NtkspecError, TableError
from ntkspec.files.appearing import PART, write_whole
from ntkspec.sweeps.plan import BlockKey, Plan
from ntkspec.sweeps.recipe import Recipe, read_recipe

__all__ = [
    "Survey",
    "blocks_folder",
    "clear",
    "is_locked",
    "keep_recipe",
    "locked",
    "remembered",
    "survey",
    "sweep_up",
]

RECIPE = "ntkspec-recipe.toml"


@dataclass(frozen=True)
class Survey:
    """What a folder holds of a plan, by the names of its files.

    Attributes
    ----------
    blocks, eigenvalues, checks : int
    by_network : dict
        Blocks of each network, by its place in the recipe.
    """

    blocks: int
    eigenvalues: int
    checks: int
    by_network: dict[int, int]


def blocks_folder(out: Path) -> Path:
    """Return the folder of a target's blocks."""
    return out.with_name(f"{out.name}.parts")


@contextmanager
def locked(out: Path, *, together: bool) -> Iterator[Path]:
    """Hold the lock of a target, which shards share; give the folder of its blocks.

    The lock goes with this process, however that ends.

    Raises
    ------
    NtkspecError
        When another sweep is at work there: which.
    TableError
        When nothing can be written there.
    """
    folder = blocks_folder(out)
    path = _lock(folder)
    if out.is_dir():
        raise TableError(f"{out}: this is a folder, and a table is a file")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    except OSError as error:
        raise TableError(f"{folder}: it cannot be written ({error.strerror})") from None
    with file:
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if together else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NtkspecError(f"{out}: another sweep is at work on it ({_holder(path)})") from None
        except OSError as error:
            # Two sweeps would only do each other's work: blocks appear whole, and are the same.
            print(f"{path}: no lock is to be had here ({error.strerror})", file=sys.stderr)
        _sign(file.fileno())
        folder.mkdir(exist_ok=True)
        try:
            yield folder
        finally:
            with suppress(OSError):  # only where it is empty
                folder.rmdir()


def is_locked(folder: Path) -> bool:
    """Whether a sweep is at work in a folder of blocks."""
    try:
        with _lock(folder).open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def remembered(folder: Path) -> Recipe:
    """Read the recipe whose blocks a folder holds.

    Raises
    ------
    TableError
        When the folder holds none.
    """
    if not (folder / RECIPE).is_file():
        raise TableError(f"{folder}: this is no folder of a sweep (it has no {RECIPE})")
    return read_recipe(folder / RECIPE)


def survey(plan: Plan, folder: Path) -> Survey:
    """Count what is there.

    Raises
    ------
    NtkspecError
        When the folder holds blocks of another recipe.
    """
    there = _kept_recipe(folder)
    if there is not None and there.digest != plan.recipe.digest:
        raise NtkspecError(
            f"{folder} holds blocks of another recipe; --restart throws such blocks away"
        )
    networks: Counter[int] = Counter()
    eigenvalues = checks = 0
    for entry in os.scandir(folder):
        name, _, ending = entry.name.partition(".")
        checks += entry.name.startswith("check-") and ending == "json"
        if ending != "h5":
            continue
        key = BlockKey.from_name(name)
        if key is None or key not in plan:
            raise NtkspecError(
                f"{entry.path} belongs to another recipe; --restart throws such blocks away"
            )
        networks[key.network] += 1
        eigenvalues += key.size
    return Survey(networks.total(), eigenvalues, checks, dict(networks))


def keep_recipe(plan: Plan, folder: Path) -> None:
    """Keep the recipe beside the blocks, for `ntkspec merge` and `ntkspec info`."""
    if _kept_recipe(folder) is None:
        write_whole(folder / RECIPE, plan.recipe.text)


def _kept_recipe(folder: Path) -> Recipe | None:
    """The recipe in a folder; None where it is none, or damaged: the blocks know theirs too."""
    try:
        return remembered(folder)
    except NtkspecError:
        return None


def sweep_up(folder: Path, out: Path) -> None:
    """Remove what killed runs left half written; the lock says that they are dead."""
    name = glob.escape(out.name)
    for path in (*folder.glob(f"*{PART}*"), *out.parent.glob(f"{name}{PART}*")):
        path.unlink(missing_ok=True)


def clear(folder: Path) -> None:
    """Throw away what earlier runs did."""
    shutil.rmtree(folder)
    folder.mkdir()


def _lock(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lock")


def _sign(handle: int) -> None:
    """Say in the lock's file who holds it."""
    who = {
        "pid": os.getpid(),
        "host": platform.node(),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    }
    os.truncate(handle, 0)
    os.write(handle, json.dumps(who).encode())


def _holder(path: Path) -> str:
    try:
        who = json.loads(path.read_text(encoding="utf-8"))
        return f"process {who['pid']} on {who['host']}: {who['command']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "one that did not sign"

"""Running a scan to a file; after an interruption the spectra that are there are not repeated."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import xxhash

from ntkspec.errors import NtkspecError, TableError
from ntkspec.files.appearing import appearing, appearing_text, check_outputs, write_whole
from ntkspec.files.records import read_record, record
from ntkspec.jobs.parts import clear, locked, resumable, sweep_up
from ntkspec.jobs.progress import Observer, Progress
from ntkspec.sweeps.clusters import External, Local, dask_client
from ntkspec.sweeps.provenance import code_digest
from ntkspec.sweeps.scans.compute import Item, Options, Part, part_of
from ntkspec.sweeps.scans.recipe import read_scan
from ntkspec.sweeps.scans.result import Scan, joined

__all__ = ["LAYOUTS", "run_scan"]

LAYOUTS = ("csv", "json", "netcdf", "parquet")
PARTS = re.compile(r"scan-[0-9a-f]{32}\.json")
MOST_BYTES = 2**30


def run_scan(
    recipe_path: str | Path,
    output: str | Path | None,
    where: Local | External | None = None,
    *,
    layout: str = "csv",
    observer: Observer | None = None,
) -> Scan:
    r"""Compute the scan of a recipe and write it; after an interruption the same call resumes it.

    Parameters
    ----------
    recipe_path : path
    output : path or None
        None writes no file, and leaves nothing from which an interrupted scan could be resumed.
    where : Local or External, optional
        Processes on this machine or a running dask scheduler; by default this process.
    layout : {"csv", "json", "netcdf", "parquet"}
        Format of the output.
    observer : Observer, optional
        Receives progress.

    Returns
    -------
    Scan

    Raises
    ------
    NtkspecError
        When something in the recipe or a parameter is not allowed, and when a spectrum cannot be
        computed.
    TableError
        When a file cannot be read or written.

    Examples
    --------
    >>> recipe = folder / "scan.toml"
    >>> _ = recipe.write_text('dims = [2, 3]\nnetworks = [{activation = "relu", domain = "cube"}]')
    >>> len(run_scan(recipe, folder / "scan.csv"))
    7
    """
    recipe = read_scan(recipe_path)
    if layout not in LAYOUTS:
        raise NtkspecError(f"format = {layout!r} is not allowed; use one of {', '.join(LAYOUTS)}")
    if output is None:
        if where is not None:
            raise NtkspecError("a scan on other processes needs an output file")
        return joined(part_of(item, recipe.options) for item in recipe.items)
    out = Path(output)
    check_outputs([out], [Path(recipe_path)])
    observer = observer or Observer()
    names = [_name(item, recipe.options) for item in recipe.items]
    with resumable(out, restart=False), locked(out, "scan", "file", together=False) as folder:
        sweep_up(folder, out, PARTS)
        missing = [n for n, name in enumerate(names) if _read(folder / name) is None]
        observer.progress(Progress(len(names) - len(missing), len(names)))
        work = [(recipe.items[n], recipe.options, folder.resolve() / names[n]) for n in missing]
        for done, _ in enumerate(_run(work, where), len(names) - len(missing) + 1):
            observer.progress(Progress(done, len(names)))
        found = joined(_there(folder / name) for name in names)
        _write(found, out, layout)
        clear(folder, PARTS)
    return found


def _run(work: list[tuple[Item, Options, Path]], where: Local | External | None) -> Iterator[None]:
    """Compute parts, and yield as they come."""
    if where is None or not work:
        for one in work:
            _compute(*one, "")
            yield
        return
    from distributed import as_completed

    with dask_client(where) as client:
        futures = [client.submit(_compute, *one, code_digest(), pure=False) for one in work]
        for future in as_completed(futures):
            future.result()
            yield


def _compute(item: Item, options: Options, path: Path, code: str) -> None:
    """Compute a spectrum and write its part."""
    if code and code != code_digest():
        raise NtkspecError("a worker runs another version of ntkspec, numpy, numba or python-flint")
    if not path.parent.is_dir():
        raise NtkspecError(
            f"a worker cannot access {path.parent}; use a file system that all workers share"
        )
    about, columns = part_of(item, options)
    write_whole(path, record({"about": about, "columns": columns}), follow=False)


def _name(item: Item, options: Options) -> str:
    """Name of a part's file, by all that its numbers depend on."""
    meaning = [
        item.source.parameters(), item.about(), repr(item.domain), asdict(options), code_digest()
    ]  # fmt: skip
    return f"scan-{xxhash.xxh3_128_hexdigest(json.dumps(meaning).encode())}.json"


def _read(path: Path) -> Part | None:
    """Read a part; None if it is missing or damaged."""
    try:
        said = read_record(path, "part of a scan", MOST_BYTES)
        return said["about"], said["columns"]
    except (TableError, KeyError):
        return None


def _there(path: Path) -> Part:
    found = _read(path)
    if found is None:
        raise TableError(f"{path}: the part of the scan is missing or damaged; run it again")
    return found


def _write(found: Scan, out: Path, layout: str) -> None:
    if layout == "netcdf":
        found.to_netcdf(out)
    elif layout == "parquet":
        with appearing(out) as part, part.open("wb") as file:
            found.to_pandas().to_parquet(file)
    else:
        with appearing_text(out) as file:
            found.export(file, layout)

"""Merging of shards' folders into a sweep's table, and of tables into a larger table."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ntkspec.conventions import MAX_DEGREE
from ntkspec.domains import last_degrees
from ntkspec.errors import NtkspecError, TableError
from ntkspec.files.appearing import appearing, appearing_hdf5, check_outputs
from ntkspec.files.seals import Digests, Numbers, chunk_digest
from ntkspec.jobs.parts import clear, is_locked, is_part, locked, sweep_up
from ntkspec.jobs.progress import Observer
from ntkspec.sweeps.assembly import (
    Layout,
    Ledger,
    Places,
    assemble,
    check_layout,
    check_replaceable,
    describe,
    finish_group,
)
from ntkspec.sweeps.blocks import block_path, check_block, find_block, read_block, write_block
from ntkspec.sweeps.checks import compute_checks, draws
from ntkspec.sweeps.folder import PARTS, SWEEPS, keep_recipe, remembered, survey
from ntkspec.sweeps.plan import BlockKey, Plan, chunk_shape
from ntkspec.sweeps.progress import Tally
from ntkspec.sweeps.stored import Stored
from ntkspec.sweeps.target import begin_target, has_record, is_placed
from ntkspec.tables import Table, TableSlice, open_table
from ntkspec.tables.layout import NUMBERS, create_axes, numbers_checksum, storage
from ntkspec.tables.part import Part

__all__ = ["merge", "merge_folders", "merge_tables"]

#: Chunks in a tile, the unit in which tables are read, compared and written.
TILE = (8, 16)
EPSILON = 2.220446049250313e-16
HEAD = 2**22


def merge(
    sources: Sequence[str | Path],
    output: str | Path,
    *,
    layout: Layout = "single",
    observer: Observer | None = None,
) -> Path:
    """Merge folders of blocks that shards computed, or tables; return the table written.

    Parameters
    ----------
    sources : sequence of paths
        Folders of one recipe's blocks, or tables.
    output : path
    layout : {"single", "virtual"}
        Tables are merged into a single file.
    observer : Observer, optional

    Raises
    ------
    NtkspecError
        When sources do not fit together, or disagree where they overlap.
    TableError
        When one is missing, damaged or not finished.

    Examples
    --------
    >>> from ntkspec.sweeps import run_shard
    >>> _ = run_shard(recipe_path, folder / "t.h5", "1/1")
    >>> _ = merge([folder / "t.h5.parts"], folder / "t.h5")
    >>> (folder / "t.h5").is_file()
    True
    """
    paths, out = [Path(source) for source in sources], Path(output)
    check_layout(layout, out)
    check_outputs([out], paths)
    check_replaceable(out)
    if not paths:
        raise NtkspecError("sources are missing; give folders of blocks, or tables")
    if missing := [path for path in paths if not path.exists()]:
        raise TableError(f"{missing[0]} does not exist")
    folders = [path for path in paths if path.is_dir()]
    observer = observer or Observer()
    if folders and len(folders) < len(paths):
        raise NtkspecError(
            "sources: folders and tables cannot be merged together; merge each kind separately"
        )
    if folders:
        merge_folders(folders, out, layout, observer)
    elif layout == "virtual":
        raise NtkspecError("layout = 'virtual' is not allowed for tables; it is for blocks")
    else:
        merge_tables(paths, out, observer)
    return out


# --- folders of blocks ---------------------------------------------------------------------------


def merge_folders(folders: Sequence[Path], out: Path, layout: Layout, observer: Observer) -> None:
    """Assemble the table of a recipe from blocks in one or several folders.

    Every block is read and verified; missing checks are computed here.

    Examples
    --------
    >>> from ntkspec.sweeps import run_shard
    >>> _ = run_shard(recipe_path, folder / "t.h5", "1/1")
    >>> merge_folders([folder / "t.h5.parts"], folder / "t.h5", "single", Observer())
    >>> (folder / "t.h5").is_file()
    True
    """
    with locked(out, "sweep", "table", together=False) as own:
        sweep_up(own, out, PARTS)
        before = set(own.iterdir())
        try:
            _merge_into(own, folders, out, layout, observer)
        except NtkspecError:
            if not any(folder.samefile(own) for folder in folders):
                for path in set(own.iterdir()) - before:
                    if is_part(path, PARTS):
                        path.unlink()
            raise


def _merge_into(
    own: Path, folders: Sequence[Path], out: Path, layout: Layout, observer: Observer
) -> None:
    plan = Plan(remembered(folders[0]))
    tally, ledger, placed = Tally(observer, len(plan)), Ledger(plan), is_placed(plan, layout)
    gathered: dict[BlockKey, Stored] = {}
    for folder in folders:
        gathered |= _gather(plan, folder, own)
    missing = [k for k in plan if not (block_path(own, k).exists() or has_record(own, k))]
    if missing:
        raise TableError(
            f"{len(missing)} of {len(plan)} blocks are missing, {missing[0].name} the "
            "first; run the missing shards, or `ntkspec sweep`, to the end"
        )
    if placed:
        begin_target(plan, own)
    for key in plan:
        found = (None if placed else gathered.get(key)) or find_block(plan, key, own, placed)
        if not isinstance(found, Stored):
            raise found or TableError(f"{own}: the block {key.name} is missing")
        ledger.note(key, found)
        tally.done()
    entries = compute_checks(plan, draws(plan), own, tally)
    assemble(plan, ledger, entries, own, out, layout)
    if layout == "single":
        clear(own, PARTS)


def _gather(plan: Plan, folder: Path, own: Path) -> dict[BlockKey, Stored]:
    """Link the files of a shard's folder into the target's folder, or copy them across disks.

    Blocks are verified in the source folder, so that an error names the original file; these
    are returned.  Blocks in the table's own file get files.
    """
    found: dict[BlockKey, Stored] = {}
    if folder.samefile(own):
        return found
    if is_locked(folder):
        raise NtkspecError(f"{folder}: a sweep is writing to it; wait until it ends")
    if remembered(folder).digest != plan.recipe.digest:
        raise NtkspecError(
            f"{folder}: its blocks have another recipe than those of the other folders"
        )
    survey(plan, folder)
    keep_recipe(plan, own)
    for path in sorted(folder.iterdir()):
        target, key = own / path.name, BlockKey.from_name(path.stem)
        if target.exists() or path.name in SWEEPS or not is_part(path, PARTS):
            continue
        if key is not None and path.suffix == ".json":
            if has_record(folder, key) and not block_path(folder, key).exists():
                found[key] = write_block(plan, key, own, read_block(plan, key, folder))
            continue
        if key is not None:
            found[key] = check_block(plan, key, folder)
        try:
            os.link(path, target)
        except OSError:
            with appearing(target, follow=False) as part:
                shutil.copyfile(path, part)
    return found


# --- tables --------------------------------------------------------------------------------------


def merge_tables(paths: Sequence[Path], out: Path, observer: Observer) -> None:
    """Write a table of all networks, dimensions and degrees of some tables.

    Every table is verified first.  Where tables overlap, their numbers must agree within the
    error bounds, and the first table's are kept.

    Examples
    --------
    >>> from ntkspec.sweeps import run_shard
    >>> _ = run_shard(recipe_path, folder / "t.h5", "1/1")
    >>> _ = merge([folder / "t.h5.parts"], folder / "t.h5")
    >>> merge_tables([folder / "t.h5"], folder / "again.h5", Observer())
    >>> (folder / "again.h5").is_file()
    True
    """
    with ExitStack() as stack:
        tables = [stack.enter_context(open_table(path)) for path in paths]
        tally = Tally(observer, 2 * len(tables))
        for table in tables:
            table.verify_checksums()
            tally.done()
        keys = {name: table.key(name) for table in tables for name in table.networks}
        sources = {
            name: [part for t in tables if name in t.networks for part in t.parts(name)]
            for name in keys
        }
        axes = {name: _axes(name, keys[name].domain, mine) for name, mine in sources.items()}
        size = HEAD + sum(_bytes(*axis) for axis in axes.values())
        compression = str(tables[0].attributes.get("compression", "gzip"))
        numbers = Numbers()
        with (
            locked(out, "sweep", "table", together=False),
            appearing_hdf5(out, size, numbers) as file,
        ):
            describe(file, "single", compression)
            file.attrs["merged_from"] = json.dumps([_origin(table) for table in tables])
            for name, key in keys.items():
                group = file.create_group(name)
                create_axes(group, key, *axes[name])
                _fill(group, name, sources[name], *axes[name], storage(compression), numbers)
            for _ in tables:
                tally.done()


def _origin(table: Table) -> dict[str, Any]:
    """Provenance of the tables that were merged."""
    known = ("recipe", "recipe_digest", "code_digest", "versions", "time", "command", "merged_from")
    return {key: value for key, value in table.attributes.items() if key in known}


def _axes(
    name: str, domain: str, sources: list[Part]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All dimensions and degrees; raise if a pair that the domain has is missing."""
    dims = np.unique(np.concatenate([source.dims for source in sources]))
    degrees = np.unique(np.concatenate([source.degrees for source in sources]))
    has = np.array([np.isin(dims, source.dims) for source in sources])
    last = last_degrees(domain, dims)
    for pattern in np.unique(has, axis=1).T:
        theirs = [source.degrees for source, there in zip(sources, pattern, strict=True) if there]
        lacking = np.setdiff1d(degrees, np.concatenate(theirs))
        mine = dims[
            (has == pattern[:, None]).all(axis=0) & (last >= lacking.min(initial=MAX_DEGREE))
        ]
        if lacking.size and mine.size:
            raise NtkspecError(
                f"{name} at dim = {mine[0]}, degree = {lacking[0]} is missing in all tables; "
                "their dimensions and degrees must fill a rectangle"
            )
    return dims, degrees


def _bytes(dims: NDArray[np.int64], degrees: NDArray[np.int64]) -> int:
    """Bound on the size of a network, uncompressed."""
    rows, columns = chunk_shape(dims.size, degrees.size)
    count = -(-dims.size // rows) * -(-degrees.size // columns)
    return 2 * count * (8 * rows * columns + 512) + 64 * (dims.size + degrees.size) + 2**18


def _fill(
    group: h5py.Group,
    name: str,
    sources: list[Part],
    dims: NDArray[np.int64],
    degrees: NDArray[np.int64],
    options: dict[str, Any],
    numbers: Numbers,
) -> None:
    """Write a network's numbers, tile by tile."""
    chunk = chunk_shape(dims.size, degrees.size)
    for dataset in NUMBERS:
        group.create_dataset(dataset, (dims.size, degrees.size), "f8", chunks=chunk, **options)
        numbers.names.append(f"{name}/{dataset}")
        numbers.digests[f"{name}/{dataset}"] = np.zeros(
            (-(-dims.size // chunk[0]), -(-degrees.size // chunk[1])), np.uint64
        )
    places: Places = []
    for rows in _steps(dims.size, TILE[0] * chunk[0]):
        for columns in _steps(degrees.size, TILE[1] * chunk[1]):
            arrays = _tile(name, sources, dims[rows], degrees[columns])
            for dataset, array in zip(NUMBERS, arrays, strict=True):
                group[dataset][rows, columns] = array
                _note_digests(group[dataset], rows, columns, numbers.digests[f"{name}/{dataset}"])
            checksum = numbers_checksum(*arrays)
            places.append((rows.start, rows.stop, columns.start, columns.stop, checksum, "", ""))
    error = np.zeros(dims.size)
    for source in sources:
        at = np.searchsorted(dims, source.dims)
        error[at] = np.maximum(error[at], source.relative_error)
    checks = {
        (c["dim"], c["degree"]): tuple(c.values()) for s in sources for c in s.table.checks(name)
    }
    finish_group(group, places, error, [checks[place] for place in sorted(checks)])


def _note_digests(dataset: h5py.Dataset, rows: slice, columns: slice, digests: Digests) -> None:
    """Record the checksums of the chunks of a tile while they are in memory."""
    down, across = dataset.chunks
    for row in range(rows.start, rows.stop, down):
        for column in range(columns.start, columns.stop, across):
            _, stored = dataset.id.read_direct_chunk((row, column))
            digests[row // down, column // across] = chunk_digest(stored)


def _steps(size: int, step: int) -> Iterator[slice]:
    return (slice(at, min(at + step, size)) for at in range(0, size, step))


def _tile(
    name: str, sources: list[Part], dims: NDArray[np.int64], degrees: NDArray[np.int64]
) -> list[NDArray[np.float64]]:
    """Eigenvalues and logarithms of a tile, from the first table that has them."""
    arrays = [np.full((dims.size, degrees.size), np.nan) for _ in NUMBERS]
    error = np.zeros(dims.size)
    for source in sources:
        mine, theirs = np.isin(dims, source.dims), np.isin(degrees, source.degrees)
        if not (mine.any() and theirs.any()):
            continue
        at = np.ix_(mine, theirs)
        part = source.table.select(name, dims[mine], degrees[theirs])
        old = [array[at] for array in arrays]
        bound = (error[mine] + part.relative_error)[:, None]
        _compare(source.table, name, part, old, bound)
        for array, before, new in zip(
            arrays, old, (part.eigenvalues, part.log_eigenvalues), strict=True
        ):
            array[at] = np.where(np.isnan(before), new, before)
        error[mine] = np.maximum(error[mine], part.relative_error)
    return arrays


def _compare(
    table: Table,
    name: str,
    part: TableSlice,
    old: list[NDArray[np.float64]],
    bound: NDArray[np.float64],
) -> None:
    """Raise if a table differs from the tables before it by more than the error bounds."""
    value, log = old
    with np.errstate(invalid="ignore"):
        apart = np.abs(part.log_eigenvalues - log)
        same = (part.log_eigenvalues == log) & (part.eigenvalues == value)
        near = (apart <= bound + 4 * EPSILON * np.abs(log)) & (
            np.abs(part.eigenvalues - value) <= (bound + EPSILON) * value
        )
    wrong = np.argwhere(~(same | near | np.isnan(value)))
    if wrong.size:
        i, j = wrong[0]
        raise NtkspecError(
            f"{table.path}: {name} at dim = {part.dims[i]}, degree = {part.degrees[j]} is "
            f"{part.eigenvalues[i, j]!r}, and {value[i, j]!r} in an earlier table; they differ by "
            "more than the sum of their error bounds"
        )

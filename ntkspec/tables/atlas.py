"""The atlas, the table that is installed with the package, and its checks."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from ntkspec.errors import TableError
from ntkspec.files.appearing import appearing, check_outputs, write_whole
from ntkspec.jobs.provenance import PACKAGE, code_digest
from ntkspec.tables.stored import StoredTable
from ntkspec.tables.supplemented import Description, SupplementedTable
from ntkspec.tables.table import Table

__all__ = [
    "DESCRIBED",
    "MOST_BYTES",
    "START",
    "atlas",
    "atlas_path",
    "check_atlas",
    "described_recipes",
    "description_path",
    "place_atlas",
    "recipe_path",
    "source_digest",
]

#: The package stays small.
MOST_BYTES = 8_000_000
#: The module that computes every number on the sphere; it and its imports determine the numbers.
START = "spectra.walk"
#: Recipes of what is computed when it is read; a network of several is that of the first.
DESCRIBED = ("short", "sphere", "cube")


def atlas_path() -> Path:
    """Return the path of the atlas.

    Returns
    -------
    Path
        An HDF5 file; `check_atlas` verifies it.

    Examples
    --------
    >>> atlas_path().name
    'atlas.h5'
    """
    return PACKAGE / "data" / "atlas.h5"


def recipe_path() -> Path:
    """Return the path of the recipe of what the atlas stores.

    Examples
    --------
    >>> from ntkspec.tables.atlas import recipe_path
    >>> recipe_path().name
    'atlas.toml'
    """
    return PACKAGE / "data" / "recipes" / "atlas.toml"


def described_recipes() -> list[Path]:
    """Return the paths of the recipes of what the atlas computes when it is read.

    Examples
    --------
    >>> [path.name for path in described_recipes()]
    ['atlas-short.toml', 'atlas-sphere.toml', 'atlas-cube.toml']
    """
    return [recipe_path().with_name(f"atlas-{part}.toml") for part in DESCRIBED]


def atlas() -> Table:
    """Open the atlas, the table that is installed with the package.

    It stores the spectra of the main networks, and computes those of all other activations, depths
    and biases when they are read, in milliseconds.

    Returns
    -------
    Table
        Eigenvalues under the uniform probability measure, with error bounds.  Close it, or use it
        in a ``with`` block.  `Table.computed` names what is not stored.

    Raises
    ------
    TableError
        When a file is missing or not a table.

    Examples
    --------
    >>> with atlas() as table:
    ...     part = table.select("relu", dim=3, degrees=[0, 1, 2])
    >>> part.eigenvalues
    array([[0.0625    , 0.08333333, 0.02734375]])

    The NNGP kernel of a deep network with biases:

    >>> import ntkspec
    >>> network = ntkspec.Network("gelu", depth=3, bias_variance=0.1, trained="all")
    >>> with atlas() as table:
    ...     ntk = table.select(network, dim=[10, 1024], degrees=range(5))
    ...     nngp = table.select(network, dim=10, degrees=1, kernel="nngp")
    >>> ntk.eigenvalues.shape, nngp.name
    ((2, 5), 'gelu(bias_variance=0.1,depth=3,kernel=nngp)')
    """
    return _opened(atlas_path())


def _opened(path: Path) -> Table:
    """A stored table with the description beside it."""
    if not path.is_file():
        raise TableError(f"{path} does not exist")
    description = Description(description_path(path))
    return Table(path, SupplementedTable(StoredTable(path), description))


def description_path(path: Path | None = None) -> Path:
    """Return the path of the description of what the atlas computes when it is read.

    Parameters
    ----------
    path : Path, optional
        Another table, beside which it is.

    Examples
    --------
    >>> description_path().name
    'atlas.jsonl'
    """
    return (atlas_path() if path is None else path).with_suffix(".jsonl")


def source_digest(package: str | os.PathLike[str] | None = None) -> str:
    """Digest of the sources that determine the numbers of a table.

    These are all modules that `ntkspec.spectra.walk` imports, directly or not.  Comments,
    docstrings, layout, versions of libraries and other modules do not change the digest.

    Parameters
    ----------
    package : path, optional
        The package's folder; by default this one's.

    Returns
    -------
    str
        SHA-256 of the syntax trees, the same for every Python.

    Examples
    --------
    >>> len(source_digest())
    64
    """
    return code_digest(START, package=None if package is None else Path(package))


def check_atlas(
    path: str | os.PathLike[str] | None = None,
    *,
    recipe: str | os.PathLike[str] | None = None,
    package: str | os.PathLike[str] | None = None,
) -> None:
    """Check that the atlas is complete, unaltered, and made from its recipes by these sources.

    Parameters
    ----------
    path : path, optional
        A table, with its description beside it; by default the atlas.  Their checksums, as written
        by ``sha256sum``, are beside it too.
    recipe : path, optional
        Its recipe; by default the atlas's.
    package : path, optional
        Folder of the sources; by default this package's.

    Raises
    ------
    TableError
        When a file is missing, damaged, altered or too large; when a recipe or the sources
        that determine its numbers have changed; when a network has no check, or a check differs
        by more than the error bound.

    Notes
    -----
    This recomputes no entries; ``ntkspec verify`` does.

    Examples
    --------
    >>> check_atlas()
    """
    file = atlas_path() if path is None else Path(path)
    _check_bytes(file)
    _check_table(file, recipe_path() if recipe is None else Path(recipe), package)


def place_atlas(made: str | os.PathLike[str], target: Path | None = None) -> Path:
    """Install a table made from the atlas's recipe as the atlas, with description and checksums.

    Parameters
    ----------
    made : path
        The table, with its description beside it.
    target : Path, optional
        Path to install to; by default that of the atlas.

    Returns
    -------
    Path
        Its path.

    Raises
    ------
    TableError
        When `check_atlas` refuses it; the atlas is not changed then.

    Examples
    --------
    >>> place_atlas("missing.h5")
    Traceback (most recent call last):
        ...
    ntkspec.errors.TableError: missing.h5 does not exist
    """
    _check_table(Path(made), recipe_path(), None)
    # Without following the link to the folder data/ of a checkout.
    path = (atlas_path() if target is None else target).resolve()
    outputs = _parts(path)
    check_outputs([*outputs, _checksum_path(path)], _parts(Path(made)))
    sums = ""
    for source, part in zip(_parts(Path(made)), outputs, strict=True):
        content = source.read_bytes()
        with appearing(part) as temporary:
            temporary.write_bytes(content)
        sums += f"{hashlib.sha256(content).hexdigest()}  {part.name}\n"
    write_whole(_checksum_path(path), sums)
    return path


def _parts(path: Path) -> list[Path]:
    """The files of the atlas."""
    return [path, description_path(path)]


def _checksum_path(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _check_bytes(path: Path) -> None:
    for part in _parts(path):
        if not part.is_file():
            raise TableError(f"{part} does not exist")
    beside = _checksum_path(path)
    if not beside.is_file():
        raise TableError(f"{beside}, the checksum of {path.name}, is missing")
    lines = beside.read_text(encoding="ascii", errors="replace").splitlines()
    for part in _parts(path):
        found = hashlib.sha256(part.read_bytes()).hexdigest()
        if f"{found}  {part.name}" not in lines:
            raise TableError(f"{part} is damaged or altered ({beside} has another SHA-256)")


def _check_table(path: Path, recipe: Path, package: str | os.PathLike[str] | None) -> None:
    with _opened(path) as table:
        size = sum(part.stat().st_size for part in _parts(path))
        if size >= MOST_BYTES:
            raise TableError(f"{path} has {size} bytes; fewer than {MOST_BYTES} are allowed")
        table.verify_checksums()
        made: dict[str, Any] = table.attributes
        if made.get("recipe") != recipe.read_text(encoding="utf-8"):
            raise TableError(f"{path} is stale: it was made by another recipe than {recipe}")
        described = Description(description_path(path)).header
        for one in described_recipes():
            digest = hashlib.sha256(one.read_bytes()).hexdigest()
            if described.get("recipes", {}).get(one.name) != digest:
                raise TableError(f"{path} is stale: it was made by another recipe than {one}")
        now = source_digest(package)
        if not made.get("source_digest") == described.get("source_digest") == now:
            raise TableError(
                f"{path} is stale: it was made by other sources; rebuild it with `make atlas`"
            )
        for name in table.networks:
            _check_checks(table, name)


def _check_checks(table: Table, name: str) -> None:
    """Raise unless each network was checked, within its error bound."""
    promised = dict(zip(table.dims(name).tolist(), table.relative_error(name), strict=True))
    checks = table.checks(name)
    if not checks:
        raise TableError(f"{table.path}: no entry of {name} was checked")
    for check in checks:
        if not check["relative_error"] <= promised.get(check["dim"], 0.0):
            raise TableError(
                f"{table.path}: {name} at dim = {check['dim']}, degree = {check['degree']} was "
                f"found to differ by {check['relative_error']:.2g}, more than its error bound"
            )

"""No module reaches for another's private names; import-linter holds the other walls."""

import ast

from paths import DOCS

PACKAGE = DOCS.parent / "ntkspec"


#: Public in spite of their names.
OF_NAMED_TUPLES = ("_asdict", "_field_defaults", "_fields", "_make", "_replace")


def is_private(name):
    return name.startswith("_") and not name.startswith("__") and name not in OF_NAMED_TUPLES


def private_names(tree):
    """Private names that are imported from ntkspec, or read from something imported from it."""
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ntkspec"):
            imported |= {alias.asname or alias.name for alias in node.names}
            yield from (alias.name for alias in node.names if is_private(alias.name))
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=owner), attr=name) if is_private(name):
                if owner in imported:
                    yield f"{owner}.{name}"


def test_private_names_stay_at_home():
    found = {
        path.relative_to(PACKAGE).as_posix(): names
        for path in sorted(PACKAGE.rglob("*.py"))
        if (names := list(private_names(ast.parse(path.read_text(encoding="utf-8")))))
    }
    assert found == {}


def test_private_names_are_found():
    tree = ast.parse("from ntkspec.a import b, _c\nb._d\nb.e\nself._f")
    assert list(private_names(tree)) == ["_c", "b._d"]

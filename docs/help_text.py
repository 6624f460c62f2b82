"""Help texts of commands, tables of names and what autodoc reads, as reStructuredText."""

import importlib
import inspect
import pkgutil
import re

__all__ = ["data_comment", "field_comment", "marked", "plain_help", "plain_signature", "summary"]

#: A name with a docstring that a page documents.
DOCUMENTED = re.compile(r"^\.\. auto(class|function|exception):: (\S+)", re.MULTILINE)
#: What is literal already, `code`, and an asterisk.
MARKS = re.compile(r"(``.+?``)|`([^`]+)`|(\*)")


def marked(line):
    """A line of a help text, which holds no markup but `code`; defaults are literal already."""
    return MARKS.sub(lambda at: at[1] or (f"``{at[2]}``" if at[2] else r"\*"), line)


def plain_help(app, ctx, lines):
    """Mark the lines in place; examples are shown as code."""
    shown, literal = [], False
    for line in lines:
        if not line.startswith("|   "):
            literal = False
            shown.append(marked(line.removeprefix("| ").replace("**Required**", "Required.")))
        else:
            shown += [] if literal else ["", ".. code-block:: console", ""]
            literal = True
            shown.append("    $ " + line[2:].strip())
    lines[:] = shown


def summary(page):
    """Lines of a table of the names that a page documents, with the first sentence of each."""
    lines = [".. list-table::", "   :widths: 40 60", ""]
    for kind, name in DOCUMENTED.findall(page):
        module, _, attribute = name.rpartition(".")
        value = getattr(importlib.import_module(module), attribute)
        role = {"function": "func", "exception": "exc"}.get(kind, kind)
        first = " ".join((inspect.getdoc(value) or "").partition("\n\n")[0].split())
        shown = name.removeprefix("ntkspec.")
        lines += [f"   * - :{role}:`{shown} <{name}>`", f"     - {first}"]
    return [*lines, ""]


def data_comment(app, what, name, obj, options, lines):
    """Show the comment of data in the module that makes it, never the docstring of its type."""
    from sphinx.pycode import ModuleAnalyzer

    of_type = (inspect.getdoc(type(obj)) or "").splitlines()
    if what != "data" or (lines and lines[0] not in of_type[:1]):
        return
    lines.clear()
    package, _, attribute = name.rpartition(".")
    inside = getattr(importlib.import_module(package), "__path__", ())
    for module in (package, *(f"{package}.{found.name}" for found in pkgutil.iter_modules(inside))):
        comments = ModuleAnalyzer.for_module(module).find_attr_docs()
        lines[:] = lines or comments.get(("", attribute), [])


def field_comment(app, what, name, obj, skip, options):
    """Skip fields of named tuples, which have no docstring but their number."""
    return True if (getattr(obj, "__doc__", "") or "").startswith("Alias for field") else None


def plain_signature(app, what, name, obj, options, signature, returned):
    """Of a protocol nothing; of a class whose base is mocked the parameters of its __init__."""
    if what != "class" or signature != "(*args, **kwargs)":
        return None
    if getattr(obj, "_is_protocol", False):
        return "", returned
    _, *others = inspect.signature(obj.__init__).parameters.values()
    plain = [one.replace(annotation=one.empty) for one in others]
    return str(inspect.Signature(plain)), returned

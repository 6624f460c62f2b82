"""Help texts of commands and tables of names as reStructuredText."""

import importlib
import inspect
import re

__all__ = ["marked", "plain_help", "summary"]

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
            shown.append(marked(line.removeprefix("| ")))
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

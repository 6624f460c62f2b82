"""Help texts of commands as reStructuredText."""

import re

__all__ = ["marked", "plain_help"]

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

"""Sphinx configuration of the manual."""

import json
import re
import sys
from pathlib import Path

from docutils import nodes
from pygments.lexers.shell import BashSessionLexer
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective
from sphinx_gallery.sorting import ExplicitOrder

from ntkspec import __version__

# The benchmarks are in the checkout and are not installed.
sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent))
from help_text import data_comment, field_comment, plain_help, plain_signature, summary

from bench.measured import RESULTS, rows_table, tables

project = "ntkspec"
author = "ntkspec developers"
copyright = author
release = version = __version__
extensions = [
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",
    "sphinx_click",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
# "--depth" is an option, not a dash, and output has straight quotes.
smartquotes = False
html_theme = "furo"
html_title = f"ntkspec {version}"
html_static_path = ["_static"]
html_css_files = ["manual.css"]
# Tasks before lists of options.
html_search_scorer = str(Path(__file__).parent / "_static" / "scorer.js")
html_copy_source = False
numpydoc_show_class_members = False
autodoc_typehints = "none"
# The manual is built without PyTorch.
autodoc_mock_imports = ["torch"]
exclude_patterns = ["_build", "gallery", "**/sg_execution_times.rst", "sg_execution_times.rst"]
# Prompts are shown, and not copied; nor is what a command printed.
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True
copybutton_line_continuation_character = "\\"
sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "filename_pattern": r"/plot_",
    # A manual with a picture missing is not built.
    "abort_on_example_error": True,
    "within_subsection_order": ExplicitOrder(
        [
            "plot_activations.py",
            "plot_depth_and_bias.py",
            "plot_dimension.py",
            "plot_double_quadrature.py",
            "plot_enclosures.py",
            "plot_sobolev.py",
            "plot_measured_rates.py",
            "*",
        ]
    ),
    # Figures are shown; what a plotting call returns is not.
    "capture_repr": (),
    "image_srcset": ["2x"],
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 60,
    "download_all_examples": False,
    "plot_gallery": "True",
}


class Measured(SphinxDirective):
    """What the benchmarks found, or the rows of one of them, as tables from bench/results.json."""

    optional_arguments = 1

    def run(self):
        """Return the tables."""
        self.env.note_dependency(str(RESULTS))
        results = json.loads(RESULTS.read_text(encoding="utf-8"))
        lines = rows_table(results, self.arguments[0]) if self.arguments else tables(results)
        return self.parse_text_to_nodes("\n".join(lines))


class Summary(SphinxDirective):
    """The names that this page documents, as a table."""

    def run(self):
        """Return the table."""
        page = Path(self.env.doc2path(self.env.docname)).read_text(encoding="utf-8")
        return self.parse_text_to_nodes("\n".join(summary(page)))


class Console(BashSessionLexer):
    """Commands begin with $; an output's lines that begin with # are output."""

    _ps1rgx = re.compile(r"^(\$ )(.*\n?)")


class Whole(SphinxPostTransform):
    """Let no line end inside of a number: 1e-13, 5 %, 1.1 ± 0.2, 2026-11-28, or of an option."""

    default_priority = 900
    formats = ("html",)
    number = re.compile(r"([\d.]+e[-+]\d+|[\d.]+ (?:%|± [\d.]+)|\d{4}-\d\d-\d\d)")

    def run(self, **kwargs):
        """Mark them for the style sheet; longer words of code may be broken on a phone."""
        for code in self.document.findall(nodes.literal):
            if all(len(word) <= 32 for word in code.astext().split()):
                code["classes"].append("whole")
        for text in list(self.document.findall(nodes.Text)):
            parts = self.number.split(text.astext())
            if len(parts) > 1 and isinstance(text.parent, nodes.paragraph):
                marked = [
                    nodes.inline("", part, classes=["whole"]) if i % 2 else nodes.Text(part)
                    for i, part in enumerate(parts)
                ]
                text.parent.replace(text, marked)


def setup(app):
    """Connect to what sphinx-click and autodoc read, and add the directives of tables."""
    app.add_lexer("console", Console)
    app.add_post_transform(Whole)
    app.add_directive("measured", Measured)
    app.add_directive("summary", Summary)
    for part in ("description", "options", "arguments"):
        app.connect(f"sphinx-click-process-{part}", plain_help)
    # Before numpydoc.
    app.connect("autodoc-process-docstring", data_comment, priority=100)
    app.connect("autodoc-process-signature", plain_signature, priority=100)
    app.connect("autodoc-skip-member", field_comment)

"""Every name that the manual documents has an example, and pytest runs it (--doctest-modules)."""

import importlib
import inspect
import re

import pytest
from paths import DOCS

API = DOCS / "api"
PATTERN = re.compile(r"^\.\. auto(?:class|function|exception):: (\S+)$", re.MULTILINE)


def names():
    """All functions, classes and exceptions of the reference but those that need PyTorch."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(API.glob("*.rst"))]
    found = sorted({name for text in texts for name in PATTERN.findall(text)})
    return [name for name in found if not name.startswith("ntkspec.torch.")]


def test_the_reference_is_read():
    assert len(names()) > 150
    assert "ntkspec.spectrum" in names()


@pytest.mark.parametrize("name", names())
def test_it_has_an_example(name):
    module, _, attribute = name.rpartition(".")
    thing = getattr(importlib.import_module(module), attribute)
    text = inspect.getdoc(thing) or ""
    assert re.search(r"^Examples\n-+\n(.*\n)*>>> ", text, re.MULTILINE), f"{name} has no example"

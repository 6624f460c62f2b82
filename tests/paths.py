"""Paths of the project, its manual and the tests' reference values."""

from pathlib import Path

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
DOCS = ROOT / "docs"
JOBS = ROOT / "jobs"
DATA = TESTS / "data"

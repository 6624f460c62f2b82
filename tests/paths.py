"""Where the project, its manual and the tests' reference values lie."""

from pathlib import Path

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
DOCS = ROOT / "docs"
JOBS = ROOT / "jobs"
DATA = TESTS / "data"

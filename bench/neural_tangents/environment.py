"""Make the environment of neural-tangents when it is first needed, and ask its script."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "requirements.txt"
FOLDER = Path(".venv-neural-tangents")


def environment(folder: Path = FOLDER) -> Path:
    """Its interpreter; installs from PyPI unless this was done from the same list before."""
    python = folder / "bin" / "python"
    done = folder / ".complete"
    wanted = REQUIREMENTS.read_text()
    if not done.exists() or done.read_text() != wanted:
        print(f"making the environment of neural-tangents in {folder}", file=sys.stderr)
        venv.create(folder, clear=True, with_pip=True)
        # The list names everything; what the packages ask for beyond it is TensorFlow.
        command = [python, "-m", "pip", "install", "-q", "--no-deps", "-r", REQUIREMENTS]
        subprocess.run(command, check=True)
        done.write_text(wanted)
    return python


def ask(cases: list[dict[str, Any]], x64: bool = True, repeats: int = 5) -> dict[str, Any]:
    """Versions, and a result for each case: see `measure.py`."""
    request = json.dumps({"x64": x64, "repeats": repeats, "cases": cases})
    command = [str(environment()), str(HERE / "measure.py")]
    quiet = {**os.environ, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, input=request, stdout=subprocess.PIPE, text=True, env=quiet)
    done.check_returncode()
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer

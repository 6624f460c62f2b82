"""The line on the terminal while functions are compiled."""

import os
import pty
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from numba.core.event import Event, EventStatus

from ntkspec.kernels.compiling import LINE, CompilingNotice


def compiled(notice, seconds, module="ntkspec.kernels.walk", inside=lambda: None):
    """Let it see a compilation of so many seconds."""
    function = SimpleNamespace(py_func=SimpleNamespace(__module__=module))
    for status in (EventStatus.START, EventStatus.END):
        notice.notify(Event("numba:compile", status, {"dispatcher": function}))
        if status == EventStatus.START:
            inside()
            time.sleep(seconds)


@pytest.mark.parametrize(
    ("patience", "compilations", "shown"),
    [
        (0.05, [0.4], True),
        (0.05, [0.04, 0.04, 0.4], True),  # the time of all of them counts
        (60.0, [0.01, 0.01], False),
        (0.0, [], False),
    ],
)
def test_it_is_shown_after_a_time(capsys, patience, compilations, shown):
    notice = CompilingNotice(patience)
    for seconds in compilations:
        compiled(notice, seconds)
    assert notice.shown == shown
    assert capsys.readouterr().err == (LINE + "\n" if shown else "")


def test_it_is_shown_once_and_counts_nested_compilations_once(capsys):
    notice = CompilingNotice(0.05)
    for _ in range(3):
        compiled(notice, 0.1, inside=lambda: compiled(notice, 0.1))
    assert capsys.readouterr().err == LINE + "\n"


def test_functions_of_other_packages_are_not_announced(capsys):
    notice = CompilingNotice(0.0)
    compiled(notice, 0.05, module="mine")
    assert not notice.shown and capsys.readouterr().err == ""


@pytest.mark.slow
@pytest.mark.parametrize("terminal", [True, False])
def test_a_first_call_from_a_terminal_says_so(tmp_path, terminal):
    ours, theirs = pty.openpty()
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "ntkspec", "eig", "elu", "--depth", "3", "--degrees", "0:4"]
    try:
        found = subprocess.run(
            command, env=env, check=True, text=True, stdout=subprocess.PIPE,
            stderr=theirs if terminal else subprocess.PIPE,
        )  # fmt: skip
        if terminal:
            assert os.read(ours, 4096).decode() == LINE + "\r\n"
        else:
            assert found.stderr == ""
    finally:
        os.close(ours)
        os.close(theirs)
    assert "degree" in found.stdout

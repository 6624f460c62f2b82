"""The steady clock of sweeps: it never goes back, and leaves the caller's process as it was."""

from __future__ import annotations

import importlib.util
import threading
import time
from pathlib import Path

import pytest
from distributed import batched
from tornado.ioloop import IOLoop

import ntkspec.sweeps.steady


@pytest.fixture
def steady_clock():
    """That of a new module: a worker in this process keeps the clock of its own for its life."""
    source = Path(ntkspec.sweeps.steady.__file__)
    spec = importlib.util.spec_from_file_location("steady", source)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.steady_clock


def clocks():
    return IOLoop.time, batched.time


def test_the_clock_is_restored_after_the_last_of_nested_and_parallel_users(steady_clock):
    before = clocks()
    entered, leave = threading.Event(), threading.Event()

    def other():
        with steady_clock():
            entered.set()
            leave.wait()

    with steady_clock(), steady_clock():
        during = clocks()
        assert during[0] is not before[0] and during[1] is not before[1]
        thread = threading.Thread(target=other)
        thread.start()
        entered.wait()
        assert clocks() == during
    assert clocks() == during, "the other thread still needs it"
    leave.set()
    thread.join()
    assert clocks() == before


def test_the_clock_is_restored_after_an_error(steady_clock):
    before = clocks()
    with pytest.raises(KeyError), steady_clock():
        raise KeyError
    assert clocks() == before


def test_the_clock_does_not_go_back_with_the_machines(monkeypatch, steady_clock):
    with steady_clock():
        early = batched.time()
        monkeypatch.setattr(time, "time", lambda: 0.0)
        assert batched.time() >= early

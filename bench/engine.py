"""One spectrum of each activation, depth, bias and dimension: route, time and error.

Degrees 0 to 256, all layers trained (the NNGP kernel of step).  Each cell is a process of its own,
after one for its activation that compiles.
Cold is the first spectrum there: it loads modules and code that was compiled before.  Warm is the
mean of the next ones, of networks whose weight variances differ a little, so that nothing of their
numbers is known: compiled, not remembered.  Both are processor time.
The error is the largest against the stored references (`tests/data/random_spectra.csv`) of the
same activation and depth, with or without bias, in the dimensions around.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from bench.references import Reference, errors, references
from bench.report import goal, write
from ntkspec import Network, NtkspecError, spectrum
from ntkspec.activations import ACTIVATIONS

DEPTHS, BIASES = (1, 2, 3, 4), (0.0, 0.1)
#: The dimensions, and the largest one of which references count for each.
DIMS = {2: 2, 3: 5, 10: 24, 64: 250, 1024: 8000, 100_000: 10**6}
DEGREES = 257
#: Processor time of a cell, and what it may take by wall clock, in seconds.
LIMIT, PATIENCE = 20.0, 120.0
#: Seconds allowed to a warm spectrum, from this dimension on.
GOALS = {2: 0.2, 64: 0.05, 1024: 0.02}
ERROR = 1e-12
#: Warm spectra are computed until they took so many seconds together, or are so many.
ENOUGH, MOST_REPEATS = 0.05, 20


@dataclass(frozen=True)
class Cell:
    """What was measured; None for what did not end in time or was refused."""

    dim: int
    route: str
    cold: float | None = None
    warm: float | None = None
    error: float | None = None

    def __str__(self) -> str:
        if self.cold is None:
            return self.route
        warm = "-" if self.warm is None else f"{1e3 * self.warm:.3g}"
        error = "" if self.error is None else f"; {self.error:.0e}"
        return f"{self.route}: {1e3 * self.cold:.3g}, {warm}{error}"


def run(
    activations: Sequence[str] | None = None,
    depths: Sequence[int] = DEPTHS,
    dims: Sequence[int] = tuple(DIMS),
    degrees: int = DEGREES,
    limit: float = LIMIT,
) -> list[dict[str, Any]]:
    """Measure, by default all activations, print, write; return the goals."""
    stored = references()
    activations = tuple(ACTIVATIONS) if activations is None else activations
    rows: list[dict[str, Any]] = []
    cells: list[Cell] = []
    for name in activations:
        networks = [
            Network(name, depth=depth, bias_variance=bias, trained="all")
            for depth in depths for bias in BIASES
        ]  # fmt: skip
        _apart(_compile, networks, dims, limit)
        for network in networks:
            row = [_cell(network, dim, degrees, limit, stored) for dim in dims]
            cells += row
            rows.append(
                {
                    "activation": name, "depth": network.depth, "bias": network.bias_variance,
                    **{f"d = {cell.dim}": str(cell) for cell in row},
                }
            )  # fmt: skip
    goals = _goals(cells, limit)
    write("engine", rows, goals)
    return goals


def _goals(cells: Sequence[Cell], limit: float) -> list[dict[str, Any]]:
    """The slowest cell from each dimension on, cells that did not end counting as the limit."""
    found = []
    starts = sorted(GOALS)
    for start, end in zip(starts, [*starts[1:], 10**9], strict=True):
        times = [
            limit if cell.warm is None else cell.warm for cell in cells if start <= cell.dim < end
        ]
        if times:
            most, figure = GOALS[start], f"slowest warm spectrum, from d = {start}"
            found.append(goal(figure, f"<= {most:g} s", max(times), max(times) <= most, "s"))
            share = sum(seconds <= most for seconds in times) / len(times)
            found.append(
                goal(f"share of spectra in that time, from d = {start}", "1", share, share == 1.0)
            )
    known = [cell.error for cell in cells if cell.error is not None]
    if known:
        worst = max(known)
        found.append(goal("worst error of the cells", f"<= {ERROR:g}", worst, worst <= ERROR))
    return found


def _cell(
    network: Network, dim: int, degrees: int, limit: float, stored: Sequence[Reference]
) -> Cell:
    """Measure a cell in a process of its own."""
    low = max([edge for edge in DIMS.values() if edge < dim], default=1)
    mine = [
        case for case in stored
        if case.network.activation == network.activation and case.network.depth == network.depth
        and bool(case.network.bias_variance) == bool(network.bias_variance)
        and low < case.dim <= DIMS.get(dim, dim)
    ]  # fmt: skip
    found = _apart(_measure, network, dim, degrees, limit, mine)
    return found or Cell(dim, f"more than {limit:g} s")


def _apart(work: Callable[..., None], *arguments: Any) -> Any:
    """Return the last of what a process sends in time, if anything."""
    context = get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(there, *arguments))
    process.start()
    there.close()
    found = None
    start = time.monotonic()
    try:
        # Cold and warm spectrum and errors come one after the other, as far as the time suffices.
        while here.poll(max(0.0, PATIENCE - (time.monotonic() - start))):
            found = here.recv()
    except EOFError:
        pass
    process.kill()
    process.join()
    return found


class _TooLong(Exception):
    """The processor time of a step is over."""


def _stop(*_: Any) -> None:
    raise _TooLong


def _seconds(network: Network, dim: int, degrees: int, limit: float) -> tuple[float, str]:
    """Processor time of a spectrum, and its route."""
    kernel: Any = "nngp" if network.activation == "step" else "ntk"
    signal.signal(signal.SIGVTALRM, _stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, limit)
    try:
        start = time.process_time()
        found = spectrum(network, dim, range(degrees), kernel=kernel)
        return time.process_time() - start, found.route.partition(":")[0]
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _compile(
    pipe: Connection, networks: Sequence[Network], dims: Sequence[int], limit: float
) -> None:
    """Compile what the spectra of some networks need, by a few of their degrees."""
    for network in networks:
        for dim in dims:
            with suppress(_TooLong, NtkspecError):
                _seconds(network, dim, 12, limit)
    pipe.close()


def _measure(
    pipe: Connection, network: Network, dim: int, degrees: int, limit: float,
    cases: Sequence[Reference],
) -> None:  # fmt: skip
    try:
        cold, route = _seconds(network, dim, degrees, limit)
        pipe.send(Cell(dim, route, cold))
        spent: list[float] = []
        while len(spent) < MOST_REPEATS and sum(spent) < ENOUGH:
            other = Network(
                network.activation, depth=network.depth, bias_variance=network.bias_variance,
                trained=network.trained, weight_variance=1.0 + (len(spent) + 1) / 128,
            )  # fmt: skip
            spent.append(_seconds(other, dim, degrees, limit)[0])
        warm = sum(spent) / len(spent)
        pipe.send(Cell(dim, route, cold, warm))
        if cases:
            signal.setitimer(signal.ITIMER_VIRTUAL, limit)
            worst = max(error for _, error, _ in errors(cases))
            pipe.send(Cell(dim, route, cold, warm, worst))
    except NtkspecError:
        pipe.send(Cell(dim, "refused"))
    except _TooLong:
        pass
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        pipe.close()

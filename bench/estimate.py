"""Times of blocks predicted by `ntkspec.sweeps.estimate`, compared with measured ones.

Every block is computed in a new process, after small ones of other networks, which load the
compiled code; that of a series after itself, which leaves the coefficients of the series.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.report import goal, write
from ntkspec.networks import Network
from ntkspec.sweeps.estimate import memory, seconds

#: A network, its dimensions (low, stop, step) and its degrees.
Case = tuple[dict[str, Any], tuple[int, ...], tuple[int, ...]]
SHALLOW = [{"activation": name} for name in ("relu", "tanh", "sigmoid")]
SHAPES = (
    ((2, 1026), (0, 2049)), ((2, 66), (0, 32769)), ((2, 20002), (0, 100)),
    ((1000, 1500), (4000, 8000)), ((2, 10), (0, 513)), ((2, 1000, 37), (0, 4097)),
    ((2, 200, 2), (0, 1000, 2)), ((3, 4), (0, 4097)),
)  # fmt: skip
DEEP: list[dict[str, Any]] = [
    {"activation": "relu", "depth": 3}, {"activation": "tanh", "depth": 3},
    {"activation": "gelu", "bias_variance": 0.1}, {"activation": "erf", "depth": 2},
    {"activation": "silu"}, {"activation": "elu"}, {"activation": "sin"},
    {"activation": "tanh", "depth": 2, "weight_variance": 4.0},
]  # fmt: skip
DEEP_SHAPES = (
    ((2, 12), (0, 101)), ((2, 130), (0, 401)), ((3, 4), (0, 301)), ((2, 600), (0, 40)),
    ((400, 432), (0, 101)), ((2, 200, 29), (0, 51)),
)  # fmt: skip
SPHERE: list[Case] = [
    ({"activation": name, "weights": "sphere"}, (2, 8), (0, 101)) for name in ("relu", "tanh")
]


def cases() -> list[Case]:
    """All networks and blocks."""
    shallow = [(network, *shape) for network in SHALLOW for shape in SHAPES]
    deep = [(network, *shape) for network in DEEP for shape in DEEP_SHAPES]
    return shallow + deep + [(network, (66, 130), (0, 701)) for network in DEEP[:5]] + SPHERE


def run(every: int = 1, repeats: int = 3) -> list[dict[str, Any]]:
    """Measure, print, write; return the goals."""
    rows = [_row(number, repeats) for number in range(0, len(cases()), every)]
    goals = []
    for route, allowed in (("formula", 2.0), ("balls", 4.0)):
        ratios = [row["ratio"] for row in rows if row["route"] == route]
        worst = max((max(ratio, 1.0 / ratio) for ratio in ratios), default=1.0)
        text = f"estimate of time over measured, {route}"
        goals.append(goal(text, f"within {allowed:g}", worst, worst <= allowed))
    write("estimate", rows, goals)
    return goals


def _row(number: int, repeats: int) -> dict[str, Any]:
    network, dims, degrees = cases()[number]
    net, d, k = Network(**network), np.arange(*dims), np.arange(*degrees)
    formula = network in SHALLOW
    code = f"import bench.estimate as e; e.measured({number})"
    found = []
    for _ in range(repeats if formula else 1):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        done.check_returncode()
        found.append([float(word) for word in done.stdout.split()])
    spent, held = map(min, zip(*found, strict=True))
    guess, bytes_ = seconds(net, "ntk", d, k), memory(net, "ntk", d, k)
    return {
        "network": " ".join(str(value) for value in network.values()),
        "dims": ":".join(map(str, dims)), "degrees": ":".join(map(str, degrees)),
        "route": "formula" if formula else "balls",
        "s": spent, "estimate s": guess, "ratio": guess / spent,
        "MB": held / 1e6, "estimate MB": bytes_ / 1e6,
    }  # fmt: skip


def measured(number: int) -> None:
    """Print the processor time and the memory gained by a block."""
    from ntkspec.spectra import table_block

    network, dims, degrees = cases()[number]
    for name in ("relu", "tanh"):  # compiled code, of another variance
        table_block(Network(name, weight_variance=1.5), range(2, 12), range(50))
    before = _peak(reset=True)
    for _ in range(2 if network in SHALLOW else 1):
        start = time.process_time()
        table_block(Network(**network), range(*dims), range(*degrees))
        spent = time.process_time() - start
    print(spent, _peak() - before)


def _peak(reset: bool = False) -> int:
    """Largest resident memory of this process so far, or since the last reset, in bytes."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in x)
    return 1024 * int(line.split()[1])

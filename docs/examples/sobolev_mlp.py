"""An ordinary PyTorch network fitted to three frequencies, with the mean square and Sobolev losses.

Run it with a folder for its table and picture:

    python sobolev_mlp.py out
"""

import argparse
import csv
import math
from pathlib import Path

import torch
from matplotlib.figure import Figure

from ntkspec.torch import SobolevLoss

LOSSES = (("s = -1", -1.0), ("L2 (s = 0)", 0.0), ("s = 1/2", 0.5), ("s = 1", 1.0), ("s = 2", 2.0))
ERRORS = (0.3, 0.1, 0.03)
COLOURS = ("#0072B2", "#000000", "#E69F00", "#D55E00", "#CC79A7")
DASHES = ("-.", "-", "--", "-", ":")


def circle(n):
    """n equispaced positions t in [0, 1), and the points of the circle there."""
    t = torch.arange(n) / n
    return t, torch.stack((torch.cos(2 * math.pi * t), torch.sin(2 * math.pi * t)), dim=1)


def target(t):
    """The poster's: sin(2 pi t) + sin(8 pi t) + sin(16 pi t)."""
    return sum(torch.sin(2 * math.pi * k * t) for k in (1, 4, 8))


def train(s, seed, steps, rate, points, every):
    """Relative error on a fine grid, every so many steps of Adam."""
    torch.manual_seed(seed)
    model = torch.nn.Sequential(
        torch.nn.Linear(2, 128), torch.nn.ReLU(),
        torch.nn.Linear(128, 128), torch.nn.ReLU(),
        torch.nn.Linear(128, 1),
    )  # fmt: skip
    t, x = circle(points)
    fine_t, fine_x = circle(1024)
    y, fine_y = target(t), target(fine_t)
    loss = SobolevLoss(x, None, s)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    errors = []
    for step in range(steps + 1):
        if step % every == 0:
            with torch.no_grad():
                difference = model(fine_x).squeeze(-1) - fine_y
            errors.append((difference.norm() / fine_y.norm()).item())
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()
    return errors


def first_step(errors, below, every):
    """First recorded step with an error that is not larger, or None."""
    return next((i * every for i, error in enumerate(errors) if error <= below), None)


def write_table(path, runs, every):
    """One row a run: the first step at each error, and the error at the end; returned as rows."""
    rows = [
        [name, seed, *(first_step(errors, e, every) for e in ERRORS), f"{errors[-1]:.4f}"]
        for (name, seed), errors in runs.items()
    ]
    header = ["loss", "seed", *(f"steps to {e:g}" for e in ERRORS), "error at the end"]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return [header, *rows]


def show(rows):
    """Print rows in columns, '-' for what was not reached."""
    texts = [["-" if value is None else str(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for row in texts:
        print("  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)))


def draw(path, runs, every, title):
    """Error against step, one line a seed."""
    figure = Figure(figsize=(7, 4.2), layout="constrained", dpi=150)
    axes = figure.subplots()
    names = list(dict.fromkeys(name for name, _ in runs))
    for (name, seed), errors in runs.items():
        i = names.index(name)
        axes.semilogy(
            range(0, every * len(errors), every), errors, color=COLOURS[i], linestyle=DASHES[i],
            linewidth=1.2, label=name.replace("-", "\N{MINUS SIGN}") if seed == 0 else None,
        )  # fmt: skip
    axes.set(xlabel="step of Adam", ylabel="relative error on a fine grid", title=title)
    axes.set_xlim(0, every * (len(errors) - 1))
    axes.grid(color="0.92")
    figure.legend(loc="outside right upper", frameon=False)
    figure.savefig(path)


def main(folder, steps=1500, seeds=3, rate=1e-3, points=64, every=10):
    """Train with each loss and seed; write sobolev_mlp.csv and .png, and print the table."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    runs = {
        (name, seed): train(s, seed, steps, rate, points, every)
        for name, s in LOSSES
        for seed in range(seeds)
    }
    rows = write_table(folder / "sobolev_mlp.csv", runs, every)
    draw(
        folder / "sobolev_mlp.png",
        runs,
        every,
        f"MLP 2-128-128-1, ReLU, on the circle: {seeds} seeds",
    )
    show(rows)
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="where the table and the picture go")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rate", type=float, default=1e-3, help="of Adam")
    options = parser.parse_args()
    torch.set_num_threads(1)
    main(options.folder, options.steps, options.seeds, options.rate)

"""A physics-informed network for -u'' = f on (0, 1), with L2 and Sobolev losses of the residual.

u(0) = u(1) = 0, and the solution is sin(pi x) + sin(8 pi x).  Run it with a folder for its table
and picture:

    python poisson_pinn.py out
"""

import argparse
import csv
import math
import statistics
from itertools import pairwise
from pathlib import Path

import torch
from matplotlib.figure import Figure

from ntkspec.torch import IntervalLoss

EXPONENTS = (0.5, 0.0, -1.0, -1.5, -2.0)
FREQUENCIES = (1, 8)
SHADED = (0.0, -1.0)
ERRORS = (0.1, 0.03, 0.01)
COLOURS = ("#999999", "#000000", "#D55E00", "#0072B2", "#009E73")
DASHES = (":", "-", "-", "-.", "--")


def solution(x):
    """u(x)."""
    return sum(torch.sin(k * math.pi * x) for k in FREQUENCIES)


def source(x):
    """f = -u''."""
    return sum((k * math.pi) ** 2 * torch.sin(k * math.pi * x) for k in FREQUENCIES)


class Networks(torch.nn.Module):
    """x (1 - x) times a network 1-width-width-1 of tanh, for several seeds side by side.

    Weights and biases start uniform in +-1/sqrt(inputs), as torch.nn.Linear's do, those of the
    first layer `spread` times larger: without that no loss learns this solution in so few steps.
    """

    def __init__(self, seeds, width=64, spread=10.0):
        super().__init__()
        sizes = (1, width, width, 1)
        generators = [torch.Generator().manual_seed(seed) for seed in range(seeds)]
        self.weights, self.biases = torch.nn.ParameterList(), torch.nn.ParameterList()
        for inputs, outputs in pairwise(sizes):
            most = (spread if inputs == 1 else 1.0) / math.sqrt(inputs)
            start = torch.stack([torch.rand(inputs + 1, outputs, generator=g) for g in generators])
            start = most * (2.0 * start - 1.0)
            self.weights.append(start[:, :-1])
            self.biases.append(start[:, -1:])

    def forward(self, x):
        """Values at x: (seeds, n, 1) -> (seeds, n, 1)."""
        z = x
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            z = torch.baddbmm(bias, torch.tanh(z) if layer else z, weight)
        return x * (1.0 - x) * z


def residual(model, x):
    """-u'' - f at x: (seeds, n, 1)."""
    u = model(x)
    (slope,) = torch.autograd.grad(u.sum(), x, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), x, create_graph=True)
    return -curvature - source(x)


def train(s, steps, seeds, rate, points, every):
    """Relative error of the solution on a fine grid, every so many steps: (records, seeds)."""
    model = Networks(seeds).double()
    # The sum over a batch trains each network as if it were alone: Adam goes by component.
    loss = IntervalLoss(points, s, ends="dirichlet", reduction="sum")
    x = loss.midpoints(torch.float64)[:, None].repeat(seeds, 1, 1).requires_grad_()
    fine = torch.linspace(0.0, 1.0, 513, dtype=torch.float64)[:, None].repeat(seeds, 1, 1)
    exact = solution(fine)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    errors = []
    for step in range(steps + 1):
        if step % every == 0:
            with torch.no_grad():
                apart = (model(fine) - exact).norm(dim=(1, 2)) / exact.norm(dim=(1, 2))
            errors.append(apart.tolist())
        optimizer.zero_grad()
        loss(residual(model, x)).backward()
        optimizer.step()
    return errors


def first_step(errors, below, every):
    """First recorded step with an error that is not larger, or None."""
    return next((i * every for i, error in enumerate(errors) if error <= below), None)


def name_of(s):
    """What a loss is called in the table and the picture."""
    return "L2 (s = 0)" if s == 0.0 else f"s = {s:g}"


def write_table(path, runs, every):
    """One row a loss and seed: the first step at each error, and the error at the end."""
    header = ["loss", "seed", *(f"steps to {e:g}" for e in ERRORS), "error at the end"]
    rows = [
        [name_of(s), seed, *(first_step(curve, e, every) for e in ERRORS), f"{curve[-1]:.4f}"]
        for s, errors in runs.items()
        for seed, curve in enumerate(zip(*errors, strict=True))
    ]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return [header, *rows]


def show(rows):
    """Print for each loss the median step at each error, and how many seeds reach it."""
    print("loss".rjust(10), *(f"steps to {e:g}".rjust(18) for e in ERRORS), "  errors at the end")
    for name in dict.fromkeys(row[0] for row in rows[1:]):
        mine = [row for row in rows[1:] if row[0] == name]
        cells = []
        for column in range(2, 2 + len(ERRORS)):
            reached = [row[column] for row in mine if row[column] is not None]
            median = f"{statistics.median(reached):g} " if reached else "- "
            cells.append(f"{median}({len(reached)} of {len(mine)})".rjust(18))
        print(name.rjust(10), *cells, " ", *(row[-1] for row in mine))


def draw(path, runs, every):
    """Error of the solution against step: the median of the seeds; for two losses their range."""
    figure = Figure(figsize=(7.5, 4.4), layout="constrained", dpi=150)
    axes = figure.subplots()
    for s, colour, dash in zip(runs, COLOURS, DASHES, strict=True):
        steps = range(0, every * len(runs[s]), every)
        axes.semilogy(
            steps, [statistics.median(errors) for errors in runs[s]], color=colour,
            linestyle=dash, linewidth=1.4, label=name_of(s).replace("-", "\N{MINUS SIGN}"),
        )  # fmt: skip
        if s in SHADED:
            lowest, highest = list(map(min, runs[s])), list(map(max, runs[s]))
            axes.fill_between(steps, lowest, highest, color=colour, alpha=0.15, linewidth=0)
    axes.set(xlabel="step of Adam", ylabel="relative error of the solution")
    seeds = len(runs[EXPONENTS[0]][0])
    axes.set_title(
        f"PINN for $-u'' = f$, $u = \\sin \\pi x + \\sin 8\\pi x$: median of {seeds} seeds\n"
        "(shaded: range of L2 and of $s = -1$)",
        fontsize=11,
    )
    axes.set_xlim(0, steps[-1])
    axes.grid(color="0.92")
    figure.legend(loc="outside right upper", frameon=False, title="residual's loss")
    figure.savefig(path)


def main(folder, steps=2200, seeds=5, rate=3e-3, points=64, every=10):
    """Train with each exponent; write poisson_pinn.csv and .png, and print the table."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    runs = {s: train(s, steps, seeds, rate, points, every) for s in EXPONENTS}
    rows = write_table(folder / "poisson_pinn.csv", runs, every)
    draw(folder / "poisson_pinn.png", runs, every)
    show(rows)
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="where the table and the picture go")
    parser.add_argument("--steps", type=int, default=2200)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rate", type=float, default=3e-3, help="of Adam")
    options = parser.parse_args()
    torch.set_num_threads(1)
    main(options.folder, options.steps, options.seeds, options.rate)

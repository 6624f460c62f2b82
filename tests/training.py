"""Runs in memory for tests: a ReLU network trained by plain numpy, or synthetic curves."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ntkspec.compare import NetworkAtStart
from ntkspec.trainer.points import circle
from ntkspec.trainer.recipe import parse_run_recipe
from ntkspec.trainer.runs import train_run
from ntkspec.trainer.runs.problem import recipe_target


@dataclass
class MadeMember:
    name: str
    s: float
    width: int
    seed: int
    step_size: float
    steps: np.ndarray
    amplitude: np.ndarray
    grid_amplitude: np.ndarray
    status: str = "finished"
    start_kernel_movement: float = 0.01
    started: NetworkAtStart | None = None


@dataclass
class MadeRun:
    recipe: object
    points: object
    target_values: np.ndarray
    degrees: np.ndarray
    members: list = field(default_factory=list)
    missing: list = field(default_factory=list)
    path: Path = field(default_factory=lambda: Path("made.h5"))

    @property
    def observed(self):
        return self.target

    @property
    def observations(self):
        return self.target_values

    @property
    def target(self):
        return recipe_target(self.recipe.target, self.points, self.target_values)


def recipe(
    degrees=(1, 4, 8), *, points=64, amplitude=1.0, s='"l2"', activation="relu", kind="sine",
    start="zero", network="", more="",
):  # fmt: skip
    return parse_run_recipe(f"""
        steps = 1000
        data = {{kind = "circle", points = {points}}}
        target = {{kind = "{kind}", degrees = {list(degrees)}, amplitudes = {amplitude}}}
        loss = {{s = {s}}}
        [network]
        activation = "{activation}"
        width = 64
        start = "{start}"
        {network}
        {more}""")


def made_run(degrees=(1, 4, 8), **options):
    """A run without members: sines on the circle."""
    known = recipe(degrees, **options)
    points = circle(known.data.points)
    angle = 2 * np.pi * np.arange(points.n) / points.n
    terms = zip(known.target.degrees, known.target.amplitudes)
    target = sum(a * np.sin(k * angle) for k, a in terms)
    return MadeRun(known, points, target, np.arange(points.n // 2))


def add(run, width, seed, rates, *, s=math.nan, eta=1.0, steps=None, floor=0.0, **more):
    """A member whose amplitudes decay at given rates."""
    steps = np.arange(0, 4001, 20) if steps is None else steps
    amplitude = np.full((steps.size, run.degrees.size), np.nan)
    for degree, rate in zip(run.recipe.target.degrees, rates):
        amplitude[:, degree] = -0.7 * ((1 - floor) * (1 - rate) ** steps + floor)
    loss = "l2" if math.isnan(s) else f"s={s:g}"
    name = f"{loss},width={width},seed={seed}"
    member = MadeMember(name, s, width, seed, eta, steps, amplitude, amplitude, **more)
    run.members.append(member)
    return member


def train(run, width, seed, eta, steps, every, *, mu=None):
    """Train f(x) = m^(-1/2) sum_r a_r relu(w_r . x), antisymmetric, and record amplitudes.

    Full-batch descent on 1/2 r' P r, P = F* diag(mu) F / n by numpy's FFT; mu is a function of the
    degree, 1 if not given.
    """
    x, n, y = run.points.x, run.points.n, run.target_values
    draw = np.random.default_rng([width, seed])
    w, a = draw.standard_normal((width // 2, 2)), draw.choice([-1.0, 1.0], width // 2)
    w, a = np.concatenate([w, w]), np.concatenate([a, -a]) / math.sqrt(width)
    frequency = np.minimum(np.arange(n), n - np.arange(n))
    weight = np.ones(n) if mu is None else mu(frequency)
    angle = 2 * np.pi * np.arange(n) / n
    on = (x @ w.T > 0) * a
    started = NetworkAtStart((on @ on.T) * (x @ x.T), np.zeros(n))
    waves = {k: math.sqrt(2) * np.sin(k * angle) / n for k in run.recipe.target.degrees}
    rows = []
    for step in range(steps + 1):
        on = x @ w.T > 0
        r = (x @ w.T * on) @ a - y
        if step % every == 0:
            row = np.full(run.degrees.size, np.nan)
            row[list(waves)] = [wave @ r for wave in waves.values()]
            rows.append(row)
        gradient = np.fft.ifft(weight * np.fft.fft(r)).real / n
        w -= eta * ((gradient[:, np.newaxis] * on).T @ x) * a[:, np.newaxis]
    on = on * a
    moved = (on @ on.T) * (x @ x.T) - started.kernel
    movement = np.linalg.norm(moved) / np.linalg.norm(started.kernel)
    name = f"{'l2' if mu is None else 's=1'},width={width},seed={seed}"
    member = MadeMember(
        name, math.nan if mu is None else 1.0, width, seed, eta, every * np.arange(len(rows)),
        np.array(rows), np.array(rows), "finished", float(movement), started,
    )  # fmt: skip
    run.members.append(member)
    return member


def run_of(text, folder):
    """Write a recipe as run.toml into a folder and train its run, run.h5, there."""
    (folder / "run.toml").write_text(text)
    train_run(folder / "run.toml", folder / "run.h5", threads=1)
    return folder / "run.h5"


def start_of(run, member):
    """The argument `start` of `compare`."""
    return member.started

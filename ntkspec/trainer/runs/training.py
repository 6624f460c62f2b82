"""Training of one member with its records; it can be stopped and resumed at any step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntkspec.trainer.descent import Descent, Diverged, flattening_exponent
from ntkspec.trainer.network import FiniteNetwork
from ntkspec.trainer.recipe import MemberKey
from ntkspec.trainer.runs.checkpoints import Checkpoint, Facts
from ntkspec.trainer.runs.problem import Problem, start_network

__all__ = ["Training", "begin"]

#: Seconds of a slice; Ctrl-C loses at most one slice.
SLICE = 0.25
MOST_AT_ONCE = 10**6


class Training:
    """A member in training; returned by `begin`.

    `kept` is the state at the end of the last slice, for a checkpoint.
    """

    def __init__(
        self,
        problem: Problem,
        network: FiniteNetwork,
        descent: Descent,
        facts: Facts,
        records: Mapping[str, NDArray[Any]],
    ) -> None:
        self._problem, self._network = problem, network
        self._descent, self._facts = descent, facts
        self._due = problem.recipe.record_steps
        self._recorded = len(records["step"]) if records else 0
        layout = problem.sizes.layout(facts.width)["records"]
        self._records = {
            name: np.empty((self._due.size, *shape[1:]), kind)
            for name, (kind, shape) in layout.items()
        }
        for name, rows in records.items():
            self._records[name][: self._recorded] = rows
        self.kept = self._snapshot()

    @property
    def network(self) -> FiniteNetwork:
        """The current network."""
        return self._network

    @property
    def loss(self) -> float:
        """The current loss."""
        return float(self._descent.loss)

    @property
    def energy(self) -> dict[int, float]:
        """Energy of the residual at each degree of the target, as last recorded."""
        if not self._recorded:
            return {}
        row = self._records["energy"][self._recorded - 1].tolist()
        energies = dict(zip(self._problem.degrees.tolist(), row, strict=True))
        return {degree: energies[degree] for degree in self._problem.target.degrees}

    def run(self, after_slice: Callable[[Training], None]) -> Checkpoint:
        """Train to the end; call back after each slice of a quarter second.

        The checkpoint returned has the results, or the reason if the training diverged.
        """
        count, due = 1, self._due
        try:
            self._record_if_due()
            while self._recorded < due.size:
                begun = time.perf_counter()
                self._descent.advance(min(count, int(due[self._recorded]) - self._descent.steps))
                self._record_if_due()
                spent = time.perf_counter() - begun
                self._facts = replace(self._facts, seconds=self._facts.seconds + spent)
                # So many steps that the next slice takes its time, from the time of these.
                count = max(1, min(int(count * SLICE / max(spent, 1e-9)), 4 * count, MOST_AT_ONCE))
                self.kept = self._snapshot()
                after_slice(self)
        except Diverged as error:
            self._facts = replace(self._facts, status="diverged", message=str(error))
        else:
            self._facts = replace(self._facts, status="finished")
        return self._ended()

    def _record_if_due(self) -> None:
        problem, descent = self._problem, self._descent
        if self._recorded == self._due.size or descent.steps != self._due[self._recorded]:
            return
        on_grid = self.network.values(problem.grid.x) - problem.grid_target
        on_points = descent.residual[: problem.points.n]
        row = {
            "step": descent.steps,
            "loss": descent.loss,
            "energy": problem.on_points.energy(on_points),
            "amplitude": problem.on_points.amplitude(on_points),
            "grid_energy": problem.on_grid.energy(on_grid),
            "grid_amplitude": problem.on_grid.amplitude(on_grid),
        }
        for name, value in row.items():
            self._records[name][self._recorded] = value
        self._recorded += 1

    def _so_far(self) -> dict[str, NDArray[Any]]:
        return {name: rows[: self._recorded] for name, rows in self._records.items()}

    def _snapshot(self) -> Checkpoint:
        self._facts = replace(self._facts, steps_done=self._descent.steps)
        return Checkpoint(self._facts, self._so_far(), self._descent.state())

    def _ended(self) -> Checkpoint:
        problem, network = self._problem, self.network
        with np.errstate(all="ignore"):  # a diverged network has no finite values
            results = {
                "learned": network.values(problem.points.x),
                "grid_learned": network.values(problem.grid.x),
                **{name: np.array(one) for name, one in network.parameters.items()},
            }
        facts = replace(self._facts, steps_done=self._descent.steps)
        if facts.status == "finished":
            loss, points = problem.recipe.loss, problem.points
            before = loss.of(_start(problem, facts), points).tangent_matrix(points.x)
            moved = self._descent.network.tangent_matrix(points.x) - before
            movement = float(np.linalg.norm(moved) / np.linalg.norm(before))
            facts = replace(facts, start_kernel_movement=movement)
        return Checkpoint(facts, self._so_far(), results=results)


def begin(
    problem: Problem, key: MemberKey, threads: int | None = None, earlier: Checkpoint | None = None
) -> Training:
    """Begin the training of a member, or resume it to the same bits as without interruption.

    Raises an NtkspecError if the recipe's step size is larger than the largest stable one.
    """
    recipe, points, network = problem.recipe, problem.points, _start(problem, key)
    s = key.exponent if earlier is None or key.exponent == "l2" else earlier.facts.s
    if s == "auto":
        s = flattening_exponent(network, points, problem.target, recipe.loss.weight)
    loss = recipe.loss.at(points, None if s == "l2" else float(s), network.network)
    how: dict[str, Any] = {"state": earlier.state} if earlier else {
        "step_size": recipe.optimizer.step_size
    }  # fmt: skip
    descent = Descent(
        recipe.loss.of(network, points), points.x, problem.observations, loss, threads=threads,
        momentum=recipe.optimizer.momentum, batch=recipe.optimizer.batch, seed=key.seed,
        adam=recipe.optimizer.adam, **how,
    )  # fmt: skip
    if earlier:
        facts = replace(earlier.facts, status="training", message="")
        return Training(problem, network, descent, facts, earlier.records)
    facts = Facts(
        s=math.nan if loss.s is None else float(loss.s),
        width=key.width,
        seed=key.seed,
        step_size=float(descent.step_size),
        largest_stable_step=float(descent.largest_stable_step),
    )
    return Training(problem, network, descent, facts, {})


def _start(problem: Problem, member: MemberKey | Facts) -> FiniteNetwork:
    return start_network(problem.recipe, problem.points.dim, member.width, member.seed)

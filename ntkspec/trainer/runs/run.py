"""Training all members of a recipe; an earlier run is resumed."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from ntkspec.errors import NtkspecError, TableError
from ntkspec.files.appearing import check_outputs, check_part, followed
from ntkspec.files.seals import may_be
from ntkspec.files.structure import opened
from ntkspec.jobs.parts import check_room, clear, locked, resumable, sweep_up
from ntkspec.jobs.progress import Observer
from ntkspec.parameters import file_path, number
from ntkspec.trainer.recipe import RunRecipe, read_run_recipe
from ntkspec.trainer.runs.checkpoints import (
    Checkpoint,
    code_digest,
    member_path,
    read_checkpoint,
    write_checkpoint,
)
from ntkspec.trainer.runs.file import (
    FORMAT,
    HEAD_FILE,
    PARTS,
    assemble,
    open_run,
    run_bytes,
    write_head,
)
from ntkspec.trainer.runs.problem import Problem, make_problem
from ntkspec.trainer.runs.progress import TrainingProgress
from ntkspec.trainer.runs.training import Training, begin

__all__ = ["RunResult", "train_run"]

#: Seconds between checkpoints.
CHECKPOINT = 5.0


@dataclass(frozen=True)
class RunResult:
    """Result of a run of trainings.

    Attributes
    ----------
    output : Path
        Its file.
    trained, reused : int
        Members trained by this run, and by earlier ones.
    diverged : tuple of (str, str)
        Names of members that diverged, and the reasons.

    Examples
    --------
    >>> from ntkspec.trainer.runs import open_run, train_run
    >>> result = train_run(run_recipe_path, folder / "run.h5", threads=1)
    >>> result.trained, result.reused, result.diverged
    (2, 0, ())
    """

    output: Path
    trained: int
    reused: int
    diverged: tuple[tuple[str, str], ...]


def train_run(
    recipe: str | Path | Problem,
    output: str | Path,
    *,
    threads: int | None = None,
    restart: bool = False,
    checkpoint: float = CHECKPOINT,
    observer: Observer | None = None,
) -> RunResult:
    """Train the networks of a recipe; after an interruption the same call resumes it.

    Parameters
    ----------
    recipe : path or Problem
    output : path
    threads : int, optional
        The results do not depend on it.
    restart : bool
        Discard the work of earlier runs, finished or not.
    checkpoint : float
        Seconds between checkpoints: a kill loses at most the work since the last one.
    observer : Observer, optional
        Receives progress and events.

    Returns
    -------
    RunResult

    Raises
    ------
    NtkspecError
        When something in the recipe is not allowed, when its step size is not stable for a
        member, when another process writes the same file, or when the folder has trainings of
        another recipe or of other code.
    TableError
        When the recipe cannot be read or a file cannot be written.

    Notes
    -----
    A member that diverges is kept, and the others are trained.  After Ctrl-C the current member is
    saved, and KeyboardInterrupt is raised, with a note on how to resume.

    Examples
    --------
    >>> from ntkspec.trainer.runs import open_run, train_run
    >>> result = train_run(run_recipe_path, folder / "run.h5", threads=1)
    >>> result.trained
    2
    """
    problem: Problem | None = None
    checkpoint = number(checkpoint, "checkpoint", 0.0, math.inf)
    if isinstance(recipe, Problem):
        problem, known = recipe, recipe.recipe
    else:
        known = read_run_recipe(recipe)
        inputs = [Path(one) for one in (recipe, known.data.file, known.target.file) if one]
        check_outputs([file_path(output, "output")], inputs)
    out, watcher = file_path(output, "output"), observer or Observer()
    with resumable(out, restart=restart), locked(out, "training", "run", together=False) as folder:
        if restart:
            _forget(out)
            clear(folder, PARTS)
        elif out.exists():
            clear(folder, PARTS)  # a kill may have left parts that are in the file
            return _finished(known, out, watcher)
        sweep_up(folder, out, PARTS)
        work = _Work(problem or make_problem(known), folder, threads, checkpoint, watcher)
        trained = work.train()
        assemble(work.problem, folder, out)
        clear(folder, PARTS)
    return RunResult(out, trained, len(known.members) - trained, tuple(work.diverged.items()))


def _forget(out: Path) -> None:
    """Remove an existing run, even if it is damaged."""
    target = followed(out)
    if not target.exists():
        return
    if not may_be(target, FORMAT):
        raise TableError(f"{out} is not a run; --restart removes only runs")
    target.unlink()


def _finished(recipe: RunRecipe, out: Path, observer: Observer) -> RunResult:
    """Result for an existing file; raise unless it is a run of this recipe."""
    try:
        run = open_run(out, recipe.network.network)
    except TableError as error:
        if not may_be(followed(out), FORMAT):
            raise TableError(f"{out} is not a run; give another name") from None
        raise TableError(f"{error}; --restart removes it") from None
    if run.attributes["recipe_digest"] != recipe.digest:
        raise NtkspecError(f"{out} was trained by another recipe; --restart removes it")
    if run.attributes["code_digest"] != code_digest():
        observer.note(
            "old", f"{out} was trained by another version of the code; --restart trains it again"
        )
    diverged = tuple((m.name, m.message) for m in run.members if m.status == "diverged")
    return RunResult(out, 0, len(run.members), diverged)


class _Work:
    """The members of a run, trained one after another."""

    def __init__(
        self,
        problem: Problem,
        folder: Path,
        threads: int | None,
        checkpoint: float,
        observer: Observer,
    ) -> None:
        self.problem, self._folder = problem, folder
        self._threads, self._interval, self._observer = threads, checkpoint, observer
        self._keys, self._digest = problem.recipe.members, problem.recipe.digest
        self._checkpoints = [self._found(number) for number in range(len(self._keys))]
        # Room for the members' files and the run's.
        check_room(folder, 2 * run_bytes(problem), "the run")
        self._keep_head()
        self._done = sum(one.facts.steps_done for one in self._checkpoints if one)

    @property
    def diverged(self) -> dict[str, str]:
        """Members that diverged, by their names, and the reasons."""
        found = zip(self._keys, self._checkpoints, strict=True)
        return {k.name: c.facts.message for k, c in found if c and c.facts.status == "diverged"}

    def train(self) -> int:
        """Train the unfinished members; return their number."""
        left = [n for n, one in enumerate(self._checkpoints) if one is None or not one.ended]
        if self.problem.recipe.optimizer.step_size is not None:
            for number in left:
                if self._checkpoints[number] is None:
                    self._begin(number)  # refuse an unstable step size before any training
        for number in left:
            self._train(number)
        return len(left)

    def _found(self, number: int) -> Checkpoint | None:
        """Checkpoint of a member; None if it is missing or damaged."""
        path = member_path(self._folder, number)
        check_part(path)
        if not path.exists():
            return None
        try:
            return read_checkpoint(path, self._digest, self._keys[number].name, self.problem.sizes)
        except TableError as error:
            self._observer.note("damaged", f"{error}; training it again", what=str(error))
            return None

    def _keep_head(self) -> None:
        """Write the shared data for readers, unless the file exists."""
        head = self._folder / HEAD_FILE
        check_part(head)
        with suppress(TableError), opened(head, "head of the run", FORMAT) as (_, root):
            if root.attribute("recipe_digest") == self._digest:
                return
        write_head(self._folder, self.problem)

    def _begin(self, number: int) -> Training:
        key, earlier = self._keys[number], self._checkpoints[number]
        if earlier is not None:
            self._observer.note(
                "resumed", f"{key.name}: resumed at step {earlier.facts.steps_done}",
                member=key.name, step=earlier.facts.steps_done,
            )  # fmt: skip
        try:
            return begin(self.problem, key, self._threads, earlier)
        except NtkspecError as error:
            raise NtkspecError(f"{key.name}: {error}") from None

    def _train(self, number: int) -> None:
        training = self._begin(number)
        begun, self._saved = training.kept.facts.steps_done, time.monotonic()
        try:
            ended = training.run(partial(self._after_slice, number, begun))
        except KeyboardInterrupt:
            kept = training.kept
            facts = replace(kept.facts, status="interrupted", message="interrupted")
            self._write(number, replace(kept, facts=facts))
            raise
        self._write(number, ended)
        self._checkpoints[number] = ended
        self._done += ended.facts.steps_done - begun
        if ended.facts.status == "diverged":
            name = self._keys[number].name
            self._observer.note("diverged", f"{name}: {ended.facts.message}", member=name)

    def _after_slice(self, number: int, begun: int, training: Training) -> None:
        """Report the progress; every few seconds write a checkpoint."""
        if (now := time.monotonic()) - self._saved >= self._interval:
            self._saved = now
            self._write(number, training.kept)
        step, members = training.kept.facts.steps_done, len(self._keys)
        steps = self.problem.recipe.steps
        self._observer.progress(
            TrainingProgress(
                member=self._keys[number].name, number=number + 1, members=members,
                step=step, steps=steps, loss=training.loss, energy=training.energy,
                done=self._done + step - begun, total=steps * members,
            )
        )  # fmt: skip

    def _write(self, number: int, checkpoint: Checkpoint) -> None:
        path, name = member_path(self._folder, number), self._keys[number].name
        write_checkpoint(path, self._digest, name, checkpoint)

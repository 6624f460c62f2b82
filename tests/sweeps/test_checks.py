"""How many entries a sweep checks, and what it says of the others."""

import math

import pytest
from click.testing import CliRunner

from ntkspec.cli import main
from ntkspec.errors import NtkspecError
from ntkspec.opening import open_table
from ntkspec.sweeps import Observer, Plan, checks, parse_recipe, run_shard, run_sweep
from ntkspec.sweeps.checks import CheckKey, choose_checks, with_checks
from ntkspec.sweeps.estimate import check_seconds, checks_seconds
from ntkspec.sweeps.merge import merge

AXES = 'dims = "2:6"\ndegrees = "0:12"\n'
NETWORKS = '[[networks]]\nactivation = "relu"\n[[networks]]\nactivation = "gelu"\ndepth = 2\n'
RECIPE = AXES + NETWORKS


class Watching(Observer):
    def __init__(self):
        self.states = []

    def progress(self, state):
        self.states.append(state)


@pytest.fixture
def recipe_file(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(RECIPE)
    return path


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.mark.parametrize(
    "text",
    [
        RECIPE,
        AXES + "checks = {}\n" + NETWORKS,
        AXES + "checks = {samples = 2, seed = 3}\n" + NETWORKS,
        AXES + "checks = {digits = 30, samples = 1_0}\n" + NETWORKS,
        RECIPE + "[checks]\nseed = 1\nsamples = 3  # few\n",
        AXES + " [checks] # here\nmax_dim = 4\n" + NETWORKS,
    ],
)
def test_a_number_of_checks_goes_into_the_text(text):
    before = parse_recipe(text)
    after = with_checks(before, 5)
    assert after.checks.samples == 5
    assert parse_recipe(after.text).digest == after.digest
    for name in ("digits", "seed", "max_dim", "method"):
        assert getattr(after.checks, name) == getattr(before.checks, name)
    assert with_checks(before, None) is before


def test_a_number_that_cannot_be_written_is_refused():
    with pytest.raises(NtkspecError, match="checks = 5 could not be written"):
        with_checks(parse_recipe(AXES + "checks.samples = 3\n" + NETWORKS), 5)
    with pytest.raises(NtkspecError, match="-1"):
        with_checks(parse_recipe(RECIPE), -1)


@pytest.mark.parametrize("checks", [None, 0, 3])
def test_a_sweep_checks_as_many_as_asked(recipe_file, tmp_path, checks):
    out, watching = tmp_path / "t.h5", Watching()
    result = run_shard(recipe_file, out, "1/1", checks=checks, observer=watching)
    many = 6 if checks is None else checks
    assert (result.checked, result.left_out) == (2 * many, 0)
    last = watching.states[-1]
    assert (last.checks, last.all_checks, last.check_seconds) == (2 * many, 2 * many, 0.0)
    assert last.done == last.total == result.computed + 2 * many
    merge([tmp_path / "t.h5.parts"], out)
    with open_table(out) as table:
        for name in table.networks:
            assert len(table.checks(name)) == many
            assert all(check["relative_error"] < 1e-13 for check in table.checks(name))


def test_what_takes_too_long_is_left_out_and_said(recipe_file, tmp_path, monkeypatch):
    monkeypatch.setattr(checks, "LEAST_SECONDS", 10.0)
    monkeypatch.setattr(checks, "check_seconds", lambda recipe, key, *_: (
        (1e9, 1e9) if key.network.depth == 2 else (0.0, 0.0)
    ))  # fmt: skip
    out = tmp_path / "t.h5"
    result = run_shard(recipe_file, out, "1/1")
    assert (result.checked, result.left_out) == (6, 6)
    merge([tmp_path / "t.h5.parts"], out)
    with open_table(out) as table:
        relu, gelu = (table.checks(name) for name in sorted(table.networks)[::-1])
    assert all(check["reference"] for check in relu)
    for check in gelu:
        assert check["method"].startswith("left out")
        assert check["reference"] == ""
        assert math.isnan(check["relative_error"])
    assert "0, 6 left out" in " ".join(run("info", out).output.split())


def test_the_deadline_ends_the_checks(recipe_file, tmp_path, monkeypatch):
    monkeypatch.setattr(checks.Choice, "left", -1.0)
    result = run_shard(recipe_file, tmp_path / "t.h5", "1/1")
    assert (result.checked, result.left_out) == (0, 12)
    monkeypatch.undo()
    again = run_shard(recipe_file, tmp_path / "t.h5", "1/1")
    assert (again.checked, again.left_out) == (12, 0)


def test_a_given_number_chooses_the_same_entries_however_short_the_time(tmp_path):
    plan = Plan(with_checks(parse_recipe(RECIPE), 4))
    entries = [CheckKey(1, i, j, 1.0, 0.0, 1e-13) for i in range(3) for j in (2, 5)]
    choice = choose_checks(plan, entries, tmp_path, 0.0)
    assert set(choice.entries) == set(entries)
    assert choice.left == math.inf
    alone = [
        check_seconds(plan.recipe, plan.recipe.networks[1], 2 + key.row, key.column)[0]
        for key in choice.entries
    ]
    assert alone == sorted(alone, reverse=True)


def test_sweeps_with_workers_and_the_command_line(recipe_file, tmp_path, at_hand):
    result = run_sweep(recipe_file, tmp_path / "t.h5", at_hand, checks=1)
    assert (result.checked, result.left_out) == (2, 0)
    done = run("sweep", recipe_file, "-o", tmp_path / "t.h5", "--workers", 1, "--checks", 1)
    assert done.exit_code == 0
    assert "is complete already" in done.output
    done = run("sweep", recipe_file, "-o", tmp_path / "u.h5", "--shard", "1/1", "--checks", 2)
    assert done.exit_code == 0
    done = run("merge", tmp_path / "u.h5.parts", "-o", tmp_path / "u.h5")
    assert done.exit_code == 0
    with open_table(tmp_path / "u.h5") as table:
        assert [len(table.checks(name)) for name in table.networks] == [2, 2]


def test_the_plan_shows_checks_apart(recipe_file):
    shown = " ".join(run("sweep", recipe_file, "--plan").output.split())
    assert "checks: at most 12, about" in shown
    shown = " ".join(run("sweep", recipe_file, "--plan", "--checks", 50).output.split())
    assert "checks: at most 100, about" in shown
    big = RECIPE.replace("2:6", "2:300").replace("0:12", "0:800")
    recipe_file.write_text(big)
    shown = " ".join(run("sweep", recipe_file, "--plan").output.split())
    assert "as many as take" in shown
    assert "--checks 6 asks for all" in shown


def test_estimates_of_checks_grow_with_the_entry_and_are_cheaper_together():
    recipe = parse_recipe(RECIPE)
    for key in recipe.networks:
        small, large = (check_seconds(recipe, key, 3, k)[0] for k in (3, 300))
        assert 0.0 < small < large
    alone, again = check_seconds(recipe, recipe.networks[1], 3, 300)
    assert again < alone / 5
    assert checks_seconds(Plan(with_checks(recipe, 0))) == 0.0

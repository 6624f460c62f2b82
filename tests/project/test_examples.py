"""The manual's examples run, and show in small what the manual says."""

import csv
import importlib.util

import pytest
from paths import DOCS

torch = pytest.importorskip(
    "torch", reason="PyTorch is not installed: pip install 'ntkspec[torch]'"
)
EXAMPLES = DOCS / "examples"


def example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def check_files(folder, name, rows):
    with (folder / f"{name}.csv").open(newline="") as file:
        assert [[str(value or "") for value in row[2:]] for row in rows] == [
            row[2:] for row in csv.reader(file)
        ]
    assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def steps_to(rows, loss):
    """First steps at the errors of the table, of the first seed."""
    return next(row for row in rows if row[0] == loss)[2:-1]


@pytest.mark.slow
def test_the_network_learns_high_frequencies_sooner_with_s_1(tmp_path, capsys):
    rows = example("sobolev_mlp").main(tmp_path, steps=600, seeds=1)
    check_files(tmp_path, "sobolev_mlp", rows)
    plain, sobolev = steps_to(rows, "L2 (s = 0)")[1], steps_to(rows, "s = 1")[1]
    assert sobolev < plain / 2
    assert steps_to(rows, "s = -1")[:2] == [None, None]
    assert "steps to 0.1" in capsys.readouterr().out


@pytest.mark.slow
def test_the_pinn_is_solved_sooner_with_s_minus_1(tmp_path, capsys):
    rows = example("poisson_pinn").main(tmp_path, steps=600, seeds=1)
    check_files(tmp_path, "poisson_pinn", rows)
    assert steps_to(rows, "s = -1")[0] < 300
    assert steps_to(rows, "L2 (s = 0)")[0] is None
    assert "(1 of 1)" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["sobolev_mlp", "poisson_pinn"])
def test_a_few_steps_are_the_same_each_time(name, tmp_path):
    module = example(name)
    first, again = (module.main(tmp_path, steps=4, seeds=2, every=2) for _ in range(2))
    check_files(tmp_path, name, again)
    assert first == again and len(first) > 6


def test_the_second_derivative_of_the_pinn_is_that_of_its_differences():
    pinn = example("poisson_pinn")
    model = pinn.Networks(2).double()
    x = torch.linspace(0.1, 0.9, 5, dtype=torch.float64)[:, None].repeat(2, 1, 1).requires_grad_()
    h = 1e-4
    with torch.no_grad():
        curvature = (model(x + h) - 2 * model(x) + model(x - h)) / h**2
        exact = (pinn.solution(x + h) - 2 * pinn.solution(x) + pinn.solution(x - h)) / h**2
        ends = torch.tensor([[0.0], [1.0]], dtype=torch.float64).repeat(2, 1, 1)
        assert torch.equal(model(ends), torch.zeros(2, 2, 1, dtype=torch.float64))
    expected = exact - curvature  # -u'' - f, f being minus the solution's second difference
    assert torch.allclose(pinn.residual(model, x).detach(), expected, rtol=1e-3, atol=1e-3)

"""What users declare of their kernels, the names of kernels, and tables of them."""

import math
import pickle
import sys
from fractions import Fraction

import numpy as np
import pytest
from command_line import ntkspec as run
from flint import arb
from scipy import stats
from sweeping import table_of

import ntkspec
from ntkspec import Gaussian, NtkspecError, ZonalKernel, certify, law, precision, spectrum
from ntkspec.reference.balls.zonal import zonal_references
from ntkspec.sweeps.recipe import parse_recipe
from ntkspec.tables.layout import GroupKey
from ntkspec.verification import check_entry, verify_table
from ntkspec.zonal import (
    BUILT_IN,
    Singularity,
    arc_cosine,
    gamma_exponential,
    gaussian,
    laplace,
    matern,
    poisson,
    polynomial,
    rational_quadratic,
    zonal_kernel,
)


def bell(t):
    """gaussian(0.5) of balls, real or complex."""
    return (4 * (t - 1)).exp()


def geometric(t):
    """1 / (2 - t), in any arithmetic."""
    return 1 / (2 - t)


def roots(t):
    return np.exp(-np.sqrt(2.0 - 2.0 * t))


#: For recipes: test_zonal_kernels:own.
own = ZonalKernel(bell, arithmetic="flint", radius=math.inf)
plain = ZonalKernel(np.exp)


def test_kernels_are_values():
    for kernel in (laplace(2), matern(1.5, 0.3), arc_cosine(3), poisson(0.5), polynomial(3, 0)):
        assert pickle.loads(pickle.dumps(kernel)) == kernel == zonal_kernel(kernel.name)
        assert hash(kernel) == hash(zonal_kernel(repr(kernel)))
    assert laplace(2) != laplace(1) != matern(0.5, 1)
    assert {laplace(2): 1}[zonal_kernel("laplace(length=2)")] == 1
    assert zonal_kernel("laplace") == laplace()
    assert repr(ZonalKernel(bell, arithmetic="flint", symmetry=None)) == (
        "ZonalKernel(bell, arithmetic='flint')"
    )


def test_a_declared_radius_gives_bounds_and_certificates():
    degrees = [0, 1, 7, 60]
    for radius in (3.0, math.inf):
        kernel = ZonalKernel(bell, arithmetic="flint", radius=radius)
        found = spectrum(kernel, 3, degrees)
        assert found.route.startswith("trapezoid rule in balls")
        right = spectrum(gaussian(0.5), 3, degrees)
        assert found.log_eigenvalues == pytest.approx(right.log_eigenvalues, abs=1e-13)
        mine, theirs = (certify(k, dim=3, degrees=[7], digits=30) for k in (kernel, gaussian(0.5)))
        assert mine.lower[0] < theirs.upper[0]
        assert theirs.lower[0] < mine.upper[0]
    assert law(kernel, dim=3).kind == "superexponential"


def test_a_declared_symmetry_gives_exact_zeros():
    for arithmetic, sine in (
        ("flint", lambda t: (2 * t).sin()),
        ("double", lambda t: np.sin(2 * t)),
    ):
        kernel = ZonalKernel(sine, arithmetic=arithmetic, symmetry="odd")
        with pytest.warns(ntkspec.errors.NotPositiveDefiniteWarning):
            found = spectrum(kernel, 3, [0, 1, 2, 3], tolerance=1e-9).eigenvalues
        assert found[[0, 2]].tolist() == [0.0, 0.0]
        assert found[1] == pytest.approx(0.4353977749799916, rel=1e-9)


@pytest.mark.parametrize("radius", [None, 1.99])
def test_declared_coefficients_are_summed(radius):
    kernel = ZonalKernel(
        geometric, arithmetic="flint", radius=radius,
        coefficients=lambda n: Fraction(1, 2 ** (n + 1)),
    )  # fmt: skip
    for dim, degrees in ((2, [0, 1, 30]), (3, range(20)), (100, [0, 4, 200])):
        found = spectrum(kernel, dim, degrees)
        assert "Taylor" in found.route
        # 1 / (2 - t) is (1 + b (1 - t))^-1 of b = 1
        right = spectrum(zonal_kernel("rational_quadratic(1, 1)"), dim, degrees)
        assert found.log_eigenvalues == pytest.approx(right.log_eigenvalues, abs=1e-12)
    assert certify(kernel, dim=3, degrees=[2], digits=20).balls[0].startswith("[0.0")


def test_all_coefficients_make_a_polynomial():
    kernel = ZonalKernel(lambda t: t + t**5 / 2, coefficients=[0, 1, 0, 0, 0, 0.5])
    found = spectrum(kernel, 3, range(8)).eigenvalues
    right = [0, 1 / 3 + 1 / 14, 0, 2 / 63, 0, 4 / 693, 0, 0]
    assert found == pytest.approx(right, rel=1e-13, abs=0.0)


def test_coefficients_that_vanish_in_between():
    kernel = ZonalKernel(
        lambda t: 1 / (2 - t**4), arithmetic="flint", symmetry="even", radius=1.15,
        coefficients=lambda n: 0 if n % 4 else Fraction(1, 2 ** (n // 4 + 1)),
    )  # fmt: skip
    found = spectrum(kernel, 3, range(6))
    other = ZonalKernel(kernel.function, arithmetic="flint", symmetry="even")
    assert found.eigenvalues == pytest.approx(ntkspec.eigenvalues(other, 3, range(6)), rel=1e-13)


def test_declared_singularities_give_laws():
    kernel = ZonalKernel(roots, singularities=Singularity(1, 0.5, -math.sqrt(2.0)))
    assert law(kernel, dim=3) == law(laplace(), dim=3)
    unknown = law(ZonalKernel(roots, singularities=[Singularity(1, 0.5)]), dim=3)
    assert unknown.power == -3.0
    assert math.isnan(unknown.log_constant)
    both = ZonalKernel(
        lambda t: np.abs(t) * 0 - np.sqrt(1 - t) - np.sqrt(1 + t), symmetry="even",
        singularities=[Singularity(1, 0.5, -1.0), Singularity(-1, 0.5, -1.0)],
    )  # fmt: skip
    found = law(both, dim=3)
    assert (found.parity, found.other) == (0, None)


SENTENCES = [
    (lambda: laplace(0), "length = 0 is not allowed; it must be a number from 0.01"),
    (lambda: gaussian(math.nan), "length = nan is not allowed"),
    (lambda: gamma_exponential(1.99, 0.01), r"\(2 / length\)\^gamma = .* must be at most 600"),
    (lambda: matern(0), "nu = 0 is not allowed"),
    (lambda: poisson(1), "r = 1 is not allowed"),
    (lambda: polynomial(2.5), "degree = 2.5 is not allowed"),
    (lambda: arc_cosine(-1), "order = -1 is not allowed"),
    (lambda: law(polynomial(3)), "its spectrum ends at degree 3"),
    (lambda: law(plain), "its singularities are unknown; declare"),
    (lambda: law(ZonalKernel(np.exp, radius=3.0)), r"at least exp\(-1.763 k\)"),
    (lambda: law(laplace(), ntkspec.Cube(5)), "laws of zonal kernels|degrees end at 5"),
    (lambda: ZonalKernel(np.exp, symmetry="odd"), "symmetry = 'odd' is not that of kernel"),
    (lambda: ZonalKernel(np.exp, symmetry="none"), "use 'even' or 'odd'"),
    (lambda: ZonalKernel(np.exp, radius=1), "radius = 1 is not allowed"),
    (
        lambda: ZonalKernel(np.exp, radius=2, singularities=Singularity(1, 0.5)),
        "radius = 2 and singularities contradict",
    ),
    (lambda: ZonalKernel(np.exp, singularities=[1]), "give ntkspec.zonal.Singularity"),
    (lambda: ZonalKernel(np.exp, singularities=Singularity(1, 0.5)), "changes as a power 1 of"),
    (
        lambda: ZonalKernel(roots, singularities=Singularity(1, 0.5, 3.0)),
        "coefficient = 3 at t = 1 is not that of kernel",
    ),
    (lambda: Singularity(0, 0.5), "at = 0 is not allowed; use 1 or -1"),
    (lambda: Singularity(1, 2), "exponent = 2 is not allowed"),
    (lambda: Singularity(1, 0.5, 0), "coefficient = 0 is not allowed"),
    (lambda: ZonalKernel(np.exp, coefficients=[1, 1]), "at t = 0.15 their sum is 1.15"),
    (lambda: ZonalKernel(np.exp, coefficients=lambda n: 1), "arithmetic = 'double' is not allowed"),
    (lambda: ZonalKernel(lambda t: t - 1, coefficients=[-1, 1]), "number 0 is -1"),
    (lambda: ZonalKernel(lambda t: t, coefficients="t"), "give a list of numbers or a function"),
    (
        lambda: ZonalKernel(bell, arithmetic="flint", coefficients=lambda n: 1 // (n - 2)),
        "coefficients of kernel failed at n = 2: ZeroDivisionError",
    ),
    (
        lambda: spectrum(ZonalKernel(lambda t: 1 / (arb(6) / 5 - t), arithmetic="flint", radius=5)),
        "radius = 5 is not that of kernel: its series",
    ),
    (
        lambda: spectrum(laplace(), 9000, [20000]),
        r"no route .* \(degree = 20000 needs powers .*\); lower the degrees",
    ),
    (
        lambda: ntkspec.spectra.table_block(laplace(), [9000], [20000]),
        "laplace.* to degree 20000 in dimensions 9000 to 9000: degree = 20000 needs",
    ),
    (
        lambda: spectrum(rational_quadratic(0.01, 0.005), 3),
        "needs .* Taylor coefficients, and at most 200000 are computed",
    ),
    (lambda: certify(plain, 3), "nothing is declared that proves it"),
    (lambda: certify(laplace(), Gaussian(3), [1]), "no proof is known there"),
    (lambda: certify(laplace(), ntkspec.Cube(3000), [1]), "on the cube dim to 2000"),
    (lambda: certify(plain, ntkspec.Cube(3), [1]), "nothing is declared that proves it"),
    (lambda: spectrum(laplace(), Gaussian(3)), "which has no values off the sphere.*radial_power"),
    (lambda: ZonalKernel(np.exp, radial_power=-1), "radial_power = -1 is not allowed"),
    (
        lambda: spectrum(ZonalKernel(np.exp, radial_power=1), Gaussian(3)),
        "in doubles only, which cannot give eigenvalues under the Gaussian measure; give the func",
    ),
    (lambda: spectrum(poisson(0.5), ntkspec.Cube(0)), "dim = 0 is not allowed"),
    (lambda: zonal_kernel("laplac(2)"), "use one of gaussian, laplace"),
    (lambda: zonal_kernel("laplace(__import__('os'))"), "use one of gaussian, laplace"),
    (lambda: zonal_kernel("laplace(1, 2)"), "takes from 0 to 1 positional arguments"),
    (lambda: zonal_kernel("os:system"), "it must be a ZonalKernel"),
    (lambda: zonal_kernel("no_such_module:k"), "cannot be imported"),
    (lambda: zonal_kernel(3), "zonal = 3 is not allowed"),
    (
        lambda: check_entry(laplace(), 3, 1, 0.1, -2.3, 1e-12, method="mpmath"),
        "method = 'mpmath' is not allowed for laplace",
    ),
]


@pytest.mark.parametrize(("call", "match"), SENTENCES)
def test_nonsense_gets_one_sentence(call, match):
    with pytest.raises(NtkspecError, match=match) as caught:
        call()
    assert "\n" not in str(caught.value)


RECIPE = """
dims = "2:6"
degrees = "0:24"
networks = [
    {zonal = ["laplace(1)", "matern(1.5, 0.5)", "poisson(0.5)"]},
    {zonal = "gaussian(0.5)", domain = "cube"},
    {zonal = "test_zonal_kernels:own"},
]
checks = {samples = 1, max_degree = 4}
"""


def test_tables_hold_kernels_by_their_names(tmp_path, monkeypatch):
    table_of(RECIPE, tmp_path)
    names = ["laplace(1.0)", "matern(1.5, 0.5)", "poisson(0.5)", "gaussian(0.5)(domain=cube)",
             "test_zonal_kernels:own"]  # fmt: skip
    with ntkspec.open_table(tmp_path / "t.h5") as table:
        assert sorted(table.networks) == sorted(names)
        part = table.select("laplace", dim=3)
        assert part.network == laplace()
        assert part[3] == pytest.approx(ntkspec.eigenvalues(laplace(), 3, range(24)), rel=1e-13)
        assert table.select(laplace(), dim=3).name == "laplace(1.0)"
        mine = table.select("test_zonal_kernels:own", dim=4)
        assert mine[4] == pytest.approx(ntkspec.eigenvalues(gaussian(0.5), 4, range(24)), rel=1e-13)
        assert table.checks("laplace(1.0)")[0]["relative_error"] < 1e-14
        assert len(ntkspec.fit(table.select("laplace", dim=3))) == 2  # parities
    assert verify_table(tmp_path / "t.h5", samples=5, max_degree=4, workers=1).passed
    assert "matern(1.5, 0.5)" in run("info", tmp_path / "t.h5").output
    assert run("export", tmp_path / "t.h5", "-o", tmp_path / "t.csv").exit_code == 0
    assert "laplace(1.0)" in (tmp_path / "t.csv").read_text()
    monkeypatch.delitem(sys.modules, "test_zonal_kernels")
    with ntkspec.open_table(tmp_path / "t.h5") as table:
        part = table.select("test_zonal_kernels:own", dim=4)
        with pytest.raises(NtkspecError, match="import test_zonal_kernels first"):
            spectrum(part.network, 3, [0])


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ('zonal = "laplac(1)"', "use one of gaussian, laplace"),
        ('zonal = "laplace(1)"\ndepth = 2', "depth"),
        ('zonal = "laplace(1)"\nkernel = "nngp"', "kernel"),
        ('zonal = "laplace(1)"\ndomain = "gaussian"', "no values off the sphere"),
        ('zonal = "test_zonal_kernels:plain"', "known in doubles only"),
    ],
)
def test_recipes_refuse_what_is_no_kernel(line, match):
    with pytest.raises(NtkspecError, match=match):
        parse_recipe(f'dims = "3:4"\ndegrees = "0:3"\n[[networks]]\n{line}\n')


def test_names_of_groups():
    assert GroupKey(laplace(2)).name == "laplace(2.0)"
    assert set(BUILT_IN) >= {"gaussian", "poisson", "arc_cosine"}


def test_the_command_line_takes_them():
    found = run("eig", "--zonal", "laplace(2)", "--dim", 3, "--degrees", "0:2")
    assert "# zonal = laplace(2.0)" in found.output
    assert "# dim = 3, probability measure" in found.output
    enclosed = run("certify", "--zonal", "gaussian", "--degrees", "0:2")
    assert enclosed.exit_code == 0
    # a zonal kernel is neither the NTK nor the NNGP kernel of a network
    as_json = run("eig", "--zonal", "laplace(2)", "--degrees", "0:2", "--format", "json").output
    heading = ntkspec.spectrum(laplace(2), 3, [0]).heading()
    assert "ntk" not in found.output + enclosed.output + as_json + repr(heading)
    assert "is for networks" in run("eig", "--zonal", "laplace(2)", "--depth", 2).output
    assert "missing argument" in run("eig").output
    assert "leave one of them out" in run("eig", "relu", "--zonal", "laplace(2)").output
    assert run("eig", "--zonal", "nonsense").exit_code == 2


def test_titles_name_the_kernel_of_networks_alone():
    kernel = laplace()
    found = spectrum(kernel, 3, range(1, 60))
    assert found.title() == "Spectrum of laplace(1.0) on the sphere, dim = 3 (probability)"
    assert spectrum("relu", 3, [0]).title().endswith("dim = 3 (ntk, probability)")
    several = spectrum(kernel, [3, 4], [0, 1])
    assert several.title() == "TableSlice of laplace(1.0): dims 3, 4, degrees 0, 1"
    assert repr(law(kernel)).startswith("Law of laplace(1.0), dim = 3: ")
    (even, *_) = ntkspec.fit(found)
    assert repr(even).startswith("Fit of laplace(1.0), dim = 3, ")


@pytest.mark.parametrize(
    "kernel",
    [
        laplace(), matern(1.2, 0.5), gaussian(0.5), poisson(0.5), arc_cosine(2), polynomial(3, 0),
        own, ZonalKernel(lambda t: 1 + t + t**3, coefficients=[1, 1, 0, 1]),
        ZonalKernel(
            geometric, arithmetic="flint", coefficients=lambda n: Fraction(1, 2 ** (n + 1))
        ),
    ],
)  # fmt: skip
def test_certificates_on_the_cube(kernel):
    """Against sums over the 2^d points in fractions, or in 50 digits."""
    dim, degrees = 6, range(7)
    proof = certify(kernel, ntkspec.Cube(dim), degrees, digits=25)
    function = kernel.in_balls(dim) if kernel.arithmetic == "flint" else kernel.function
    with precision.working_precision(200):
        values = [function(arb(dim - 2 * j) / dim) for j in range(dim + 1)]
        for k, lower, upper in zip(degrees, proof.lower, proof.upper, strict=True):
            # The product of the first k coordinates at points with j of them -1.
            total = sum(
                value * sum((-1) ** i * math.comb(k, i) * math.comb(dim - k, j - i)
                            for i in range(max(0, j - dim + k), min(k, j) + 1))
                for j, value in enumerate(values)
            ) / 2**dim  # fmt: skip
            right = float(total)
            assert float(upper - lower) <= 1e-24 * float(upper)
            assert float(lower) == pytest.approx(right, rel=1e-14, abs=1e-50)
    found = spectrum(kernel, ntkspec.Cube(dim), degrees).eigenvalues
    assert found == pytest.approx([float(x) for x in proof.lower], rel=1e-15, abs=0.0)


def test_a_polynomial_with_gaps_has_exact_zeros():
    kernel = ZonalKernel(lambda t: 1 + t + t**3, coefficients=[1, 1, 0, 1])
    for domain in (2, 3, 10, ntkspec.Cube(5)):
        found = spectrum(kernel, domain, range(6)).eigenvalues
        assert np.flatnonzero(found).tolist() == [0, 1, 3]
    network = ntkspec.Network("polynomial(0, 1, 0, 0, 0.5)")
    for domain in (2, 3, ntkspec.Cube(5)):
        assert np.flatnonzero(spectrum(network, domain, range(6)).eigenvalues).tolist() == [
            0, 1, 2, 4,
        ]  # fmt: skip


@pytest.mark.parametrize("power", [0, 0.5, 1, 3])
def test_a_radial_power_serves_the_gaussian_measure(power):
    """E[r^(2 P)] of r^2 = |x|^2 / d by the chi distribution, times the sphere's eigenvalues."""
    kernel = ZonalKernel(lambda t: (4 * (t - 1)).exp(), arithmetic="flint", radius=math.inf,
                         radial_power=power)  # fmt: skip
    for dim in (2, 7, 1000):
        found = spectrum(kernel, Gaussian(dim, radial=2), range(6))
        moment = stats.chi2.expect(lambda u, d=dim: (u / d) ** power, args=(dim,), epsrel=1e-12)
        right = spectrum(kernel, dim, range(6)).eigenvalues * moment
        assert found.eigenvalues[:, 0] == pytest.approx(right, rel=1e-9)
        assert np.all(found.eigenvalues[:, 1] == 0.0)
        for degree in (0, 5):
            reference = zonal_references["gaussian"](
                kernel, {dim: [degree]}, kernel="ntk", digits=20
            )
            assert found.eigenvalues[degree, 0] == pytest.approx(
                float(reference[dim, degree].value), rel=1e-14
            )


def test_arc_cosine_and_polynomial_kernels_are_homogeneous():
    relu = spectrum("relu", Gaussian(4), range(6), kernel="nngp").eigenvalues
    assert spectrum(arc_cosine(1), Gaussian(4), range(6)).eigenvalues == pytest.approx(
        2 * relu, rel=1e-15
    )
    assert polynomial(3, 0.0).radial_power == 3 and polynomial(3, 1.0).radial_power is None
    recipe = 'dims = "3:4"\ndegrees = "0:3"\n[[networks]]\nzonal = "arc_cosine(1)"\n'
    (key,) = parse_recipe(recipe + 'domain = "gaussian"\n').networks
    assert key.domain == "gaussian"


@pytest.mark.parametrize("declared", [0.7, 1.5, 2.5])
@pytest.mark.parametrize("true", [0.25, 0.5, 0.9])
def test_a_power_below_the_declared_one_refutes_it(true, declared):
    def kernel(t):
        return 2 - (1 - t) ** true

    ZonalKernel(kernel, singularities=[Singularity(1, true)])
    with pytest.raises(NtkspecError, match=f"changes as a power {true:g} of"):
        ZonalKernel(kernel, singularities=[Singularity(1, declared)])


@pytest.mark.parametrize("power", [1.5, 2.5])
def test_powers_above_1_are_taken(power):
    for slope in (0.0, 1.0):
        ZonalKernel(
            lambda t, slope=slope: np.exp(slope * t) + (1 - t) ** power,
            singularities=[Singularity(1, power)],
        )

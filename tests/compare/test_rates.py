"""Measured rates: exact decays are recovered, intervals cover, and runs that cannot tell say so."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ntkspec.errors import NtkspecError
from ntkspec.trainer.rates import decay_rate, infinite_width, summarize, width_power

STEPS = np.arange(0, 4001, 20)


@given(
    log_rate=st.floats(math.log(1e-5), math.log(0.5)),
    start=st.floats(1e-8, 1e8),
    sign=st.sampled_from([-1.0, 1.0]),
    gap=st.floats(0.01, 6.5),
    kind=st.sampled_from(["amplitude", "energy"]),
)
def test_an_exponential_is_recovered_from_coarse_records(log_rate, start, sign, gap, kind):
    rate = math.exp(log_rate)
    spacing = max(1, int(gap / -math.log1p(-rate)))
    step = spacing * np.arange(300)
    amplitude = sign * start * np.exp(step * math.log1p(-rate))
    found = decay_rate(step, amplitude if kind == "amplitude" else amplitude**2, kind)
    assert found.status == "measured"
    assert found.rate == pytest.approx(rate, rel=1e-10)


@given(rate=st.floats(1e-4, 0.3), last=st.integers(50, 2000))
def test_a_run_measures_just_when_it_falls_far_enough(rate, last):
    step = np.arange(last + 1)
    end = (1 - rate) ** last
    assume(abs(end - 0.75) > 1e-9)
    found = decay_rate(step, (1 - rate) ** step)
    assert found.status == ("measured" if end < 0.75 else "too short")
    if end > 0.75:
        assert rate < found.bound < 1.0


def test_a_constant_does_not_decay():
    found = decay_rate(STEPS, np.full(STEPS.size, -0.3))
    assert found.status == "not decaying" and math.isnan(found.rate)
    assert pytest.approx((1 - found.bound) ** 4000) == 0.75
    assert decay_rate(STEPS, 1.0 + 1e-3 * STEPS).status == "not decaying"


def test_what_is_gone_within_a_record_is_too_coarse():
    assert decay_rate(STEPS, 0.5**STEPS).status == "too coarse"
    # The second record is still above 1/1000.
    assert decay_rate(STEPS, 0.75**STEPS).rate == pytest.approx(0.25)
    assert decay_rate(np.arange(50), (-0.5) ** np.arange(50)).status == "overshoots"


def test_the_window_ends_before_a_sign_change_and_what_is_not_finite():
    leaking = 1.02 * np.exp(-STEPS / 400.0) - 0.02
    assert decay_rate(STEPS, leaking).rate == pytest.approx(1 / 400, rel=0.1)
    broken = np.exp(-STEPS / 400.0)
    broken[60:] = np.nan
    found = decay_rate(STEPS, broken)
    assert found.rate == pytest.approx(-math.expm1(-1 / 400)) and found.last < STEPS[60]


@pytest.mark.parametrize("floor, error", [(0.12, 0.3), (0.2, 0.4)])
def test_a_floor_is_kept_out_of_the_window(floor, error):
    found = decay_rate(STEPS, floor + (1 - floor) * np.exp(-STEPS / 200.0))
    assert found.rate == pytest.approx(1 / 200, rel=error)
    assert found.bend < 0.97  # and what is left of it shows


def test_the_bend_distinguishes_an_exponential_from_another_decay():
    assert decay_rate(STEPS, np.exp(-STEPS / 500)).bend == pytest.approx(1.0)
    assert decay_rate(STEPS, 1 / (1 + STEPS / 500)).bend < 0.6


def test_what_starts_at_zero_has_no_rate():
    assert decay_rate(STEPS, np.zeros(STEPS.size)).status == "no start"
    assert decay_rate(STEPS, np.full(STEPS.size, np.nan)).status == "no start"


@pytest.mark.parametrize(
    "arguments, words",
    [
        (([0, 1, 2], [1.0, 2.0]), r"shape \(3,\) and values of shape \(2,\)"),
        (([0], [1.0]), "R >= 2"),
        (([0, 0, 1], [1.0, 0.5, 0.2]), "steps must increase"),
        (([0, 1], [1.0, -0.5], "energy"), "energies are not negative"),
        (([0, 1], [1.0, 0.5], "power"), "kind = 'power'"),
    ],
)
def test_what_is_no_curve_gets_a_message(arguments, words):
    with pytest.raises(NtkspecError, match=words):
        decay_rate(*arguments)


def test_the_interval_over_seeds_is_students():
    values = [0.98, 1.01, 1.0, 0.97, 1.05]
    found = summarize(values)
    # Student's 97.5 % quantile with 4 degrees of freedom, from printed tables.
    half = 2.776445 * statistics.stdev(values) / math.sqrt(5)
    assert found.mean == pytest.approx(statistics.mean(values))
    assert (found.low, found.high) == pytest.approx((found.mean - half, found.mean + half))
    assert summarize([3.0]).low is None and summarize([3.0]).deviation is None


@pytest.mark.parametrize("values", [[], [1.0, math.nan]])
def test_no_mean_of_nothing(values):
    with pytest.raises(NtkspecError, match="values = "):
        summarize(values)


def made(draw, widths, seeds, trend, power=0.5):
    """Rates of two degrees that tend to 1e-2 and 1e-3."""
    return [
        {m: rate * (1 + (trend + scatter * draw(seeds)) * m**-power) for m in widths}
        for rate, scatter in ((1e-2, 1.0), (1e-3, 3.0))
    ]


@pytest.mark.parametrize("widths", [(1024, 4096, 16384, 65536), (256, 2048)])
@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("trend", [0.0, 1.0, 5.0])
def test_the_extrapolations_interval_covers(widths, seeds, trend):
    draw = np.random.default_rng([seeds, int(trend), len(widths)]).standard_normal
    hits = np.zeros(2)
    for _ in range(1000):
        series = made(draw, widths, seeds, trend)
        power = width_power(series)
        limits = [infinite_width(one, power) for one in series]
        hits += [one.low < rate < one.high for one, rate in zip(limits, (1e-2, 1e-3))]
    assert (hits > 900).all() and (hits < 990).all()


@pytest.mark.parametrize("widths", [(1024, 4096, 16384, 65536), (256, 2048)])
@pytest.mark.parametrize("seeds", [1, 2, 8])
def test_with_a_known_deviation_it_covers_from_one_seed_on(widths, seeds):
    """And is shorter than with an observed one, by half with four rates."""
    draw = np.random.default_rng([seeds, len(widths)]).standard_normal
    hits, power, known, observed = 0, width_power([]), [], []
    for _ in range(1000):
        rates, _ = made(draw, widths, seeds, trend=3.0)
        found, other = infinite_width(rates, power, deviation=1e-2), infinite_width(rates, power)
        hits += found.low < 1e-2 < found.high
        known.append(found.high - found.low)
        observed.append(other.high - other.low)
    assert 930 < hits < 970 and np.ptp(known) < 1e-12
    count, gain = seeds * len(widths), np.mean(observed) / known[0]
    assert math.isnan(gain) if count == 2 else gain > 1.5 if count == 4 else gain < 1.4
    assert math.isnan(infinite_width({256: [1.0]}, power, deviation=1.0).rate)


@pytest.mark.parametrize("power", [0.25, 0.5, 1.0])
def test_the_power_of_the_width_is_seen_and_its_interval_covers(power):
    draw = np.random.default_rng(3).standard_normal
    found = [width_power(made(draw, (256, 2048, 16384), 5, 2.0, power)) for _ in range(1000)]
    assert np.mean([one.power for one in found]) == pytest.approx(power, abs=0.02)
    assert 900 < sum(one.low < power < one.high for one in found) < 990


def test_a_power_that_is_not_one_half_is_used():
    draw = np.random.default_rng(5).standard_normal
    (rates, _) = series = made(draw, (256, 1024, 4096, 16384), 200, 5.0, power=1.0)
    power = width_power(series)
    assert not power.expected and power.used == power.power
    found = infinite_width(rates, power)
    assert found.low < 1e-2 < found.high and found.trend
    assert found.slope == pytest.approx(0.05, rel=0.2)


def test_too_little_is_not_extrapolated():
    alone = {1024: [1.0, 1.1, 0.9]}
    power = width_power([alone])
    assert math.isnan(power.power) and power.expected and power.used == 0.5
    assert math.isnan(infinite_width(alone, power).rate)
    assert math.isnan(infinite_width({}, power).rate)
    assert width_power([{256: [1.0], 1024: [1.1]}]).groups == 0
    with pytest.raises(NtkspecError, match="width = 0"):
        infinite_width({0: [1.0]}, power)
    steady = {m: 1.0 + 0.1 * np.random.default_rng(m).standard_normal(50) for m in (256, 4096)}
    power = width_power([steady])
    assert power.high < 0.5 and math.isnan(infinite_width(steady, power).rate)

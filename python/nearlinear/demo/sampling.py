"""
How often do people see a doctor? Least absolute deviations on the RAND health insurance experiment, from 2 % of it.

The logarithm of visits of 20190 people and years is regressed on how their insurance shares costs and how healthy they
are, such that the sum of absolute residuals is least: the median, given the rest. First with all rows; then with 2 % of
them, sampled by Lewis weights, or uniformly. People are much alike, and any 2 % of them do. Where some rows are many
times as long as others, a uniform sample misses those that decide: the same again, with rows of a heavy-tailed design.
"""

import gzip
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

import nearlinear as nl
from nearlinear.demo import Outcome, timed

Reals = NDArray[np.float64]
Rule = Literal["lewis", "uniform"]

RULES: tuple[Rule, ...] = ("lewis", "uniform")
SHARE = 0.02  # of the rows
EXCESS = 0.03  # of the sum of absolute residuals over the least
SEEDS = 20


@dataclass(frozen=True)
class Problem:
    """Minimise the sum of |A x - b|."""

    name: str
    A: Reals
    b: Reals

    @property
    def m(self) -> int:
        return round(SHARE * len(self.A))

    @property
    def size(self) -> str:
        return f"{self.A.shape[0]} x {self.A.shape[1]}"

    def objective(self, x: Reals) -> float:
        return float(np.abs(self.A @ x - self.b).sum())


def demo(pictures: Path | None) -> list[Outcome]:
    health, heavy = health_insurance(), heavy_tailed()
    excesses = {(problem.name, rule): _excesses(problem, rule) for problem in (health, heavy) for rule in RULES}
    of_all = _outcome_of_all_rows(health)
    _, seconds_of_heavy = timed(lambda: _linear_program(heavy), repeat=1)
    outcomes = [
        of_all,
        _outcome_of_sample(health, excesses[health.name, "lewis"], of_all.peer_seconds),
        _outcome_of_sample(heavy, excesses[heavy.name, "lewis"], seconds_of_heavy),
    ]
    if pictures is not None:
        _plot(excesses, outcomes, pictures / "sampling.png")
    return outcomes


def health_insurance() -> Problem:
    """Return the experiment: an intercept and nine columns, scaled to mean 0 and variance 1; log(1 + visits)."""
    with (files("nearlinear.demo") / "data" / "randhie.csv.gz").open("rb") as file, gzip.open(file, "rt") as table:
        values = np.loadtxt(table, delimiter=",", skiprows=1)
    visits, others = values[:, 0], values[:, 1:]
    scaled = (others - others.mean(axis=0)) / others.std(axis=0)
    return Problem("health insurance", np.column_stack([np.ones(len(visits)), scaled]), np.log1p(visits))


def heavy_tailed() -> Problem:
    """Return as many rows whose lengths have no mean: Gaussian ones over uniform numbers. Errors are all alike."""
    random = np.random.default_rng(0)
    n, d = 20190, 10
    A = random.standard_normal((n, d)) / random.random((n, 1))
    return Problem("heavy tails", A, A @ np.ones(d) + random.laplace(size=n))


def _outcome_of_all_rows(problem: Problem) -> Outcome:
    x, seconds = timed(lambda: _solution(problem))
    least, peer_seconds = timed(lambda: _linear_program(problem), repeat=1)
    return Outcome(
        task="least absolute deviations",
        size=problem.size,
        seconds=seconds,
        peer="scipy linprog",
        peer_seconds=peer_seconds,
        error=abs(problem.objective(x) / least - 1),
        tolerance=1e-6,
    )


def _linear_program(problem: Problem) -> float:
    """Return the least sum of absolute residuals as max b' v subject to A' v = 0, |v_i| <= 1: one row per column."""
    A, b = problem.A, problem.b
    found = linprog(-b, A_eq=A.T, b_eq=np.zeros(A.shape[1]), bounds=(-1, 1), method="highs")
    return -float(found.fun) if found.success else float("nan")


def _excesses(problem: Problem, rule: Rule) -> Reals:
    """Return how far the objectives of solutions by samples are above the least, each relative to it."""
    least = problem.objective(_solution(problem))
    found = np.array([problem.objective(_solution_by_sample(problem, rule, seed)) for seed in range(SEEDS)]) / least - 1
    print(
        f"{problem.name}, {problem.m} rows, {rule}: {(found <= EXCESS).sum()} of {SEEDS} samples are within "
        f"{EXCESS:.0%}, the median is {np.median(found):.1%}, the worst {found.max():.1%}"
    )
    return found


def _outcome_of_sample(problem: Problem, excesses: Reals, peer_seconds: float) -> Outcome:
    _, seconds = timed(lambda: _solution_by_sample(problem, "lewis", seed=0))
    return Outcome(
        task=f"{problem.name}, {SHARE:.0%} of the rows",
        size=f"{problem.size}, {problem.m} rows",
        seconds=seconds,
        peer="scipy linprog, all rows",
        peer_seconds=peer_seconds,
        error=float(np.median(excesses)),
        tolerance=EXCESS,
    )


def _solution(problem: Problem, sample: nl.sampling.RowSample | None = None) -> Reals:
    return np.asarray(nl.sampling.lp_regression(problem.A, problem.b, 1, sample=sample).x, np.float64)


def _solution_by_sample(problem: Problem, rule: Rule, seed: int) -> Reals:
    """Sample rows of [A b], since residuals are combinations of its columns, and solve for them."""
    rows = np.column_stack([problem.A, problem.b])
    return _solution(problem, nl.sampling.sample_rows(rows, 1, problem.m, score=rule, exact_size=True, seed=seed))


def _plot(excesses: dict[tuple[str, Rule], Reals], outcomes: list[Outcome], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    axes, bars = figure.subplots(1, 2)
    labels = []
    for place, ((problem, rule), found) in enumerate(excesses.items()):
        spread = place + np.linspace(-0.25, 0.25, len(found))
        axes.plot(spread, 100 * np.sort(found), "o", color="C0" if rule == "lewis" else "C1", markersize=4)
        axes.hlines(100 * np.median(found), place - 0.35, place + 0.35, color="0.3", linewidth=1)
        labels.append(f"{problem}\n{rule}")
    axes.axhline(100 * EXCESS, color="C3", linestyle="--", linewidth=1, label=f"{EXCESS:.0%}")
    axes.set_xticks(range(len(labels)), labels)
    axes.set(
        yscale="log", ylabel="% above the least", title=f"Regression with {SHARE:.0%} of the rows, {SEEDS} samples"
    )
    axes.legend(frameon=False)

    places = np.arange(len(outcomes))
    ours = [("nearlinear", outcome.seconds) for outcome in outcomes]
    peers = [(outcome.peer, outcome.peer_seconds) for outcome in outcomes]
    for shift, color, names_and_times in ((-0.2, "C0", ours), (0.2, "0.6", peers)):
        drawn = bars.barh(places + shift, [1e3 * seconds for _, seconds in names_and_times], 0.4, color=color)
        bars.bar_label(drawn, [f"{name}, {1e3 * seconds:.0f} ms" for name, seconds in names_and_times], padding=3)
    bars.set_yticks(places, [outcome.task.replace(", ", ",\n") for outcome in outcomes])
    bars.invert_yaxis()
    longest = 1e3 * max(max(outcome.seconds, outcome.peer_seconds) for outcome in outcomes)
    bars.set(xscale="log", xlim=(1, 1e5 * longest), xlabel="milliseconds", title="Times")
    figure.savefig(path, dpi=130)

"""
What sends people to the doctor? Least squares on the RAND health insurance experiment.

20190 people and years: how their insurance shares costs, how healthy they are, and how often they saw a doctor. The
logarithm of visits is regressed on some 200 columns: indicators of the numbers of chronic diseases and of the other
values that occur, squares, and products of pairs. The exact solution first; then an estimate from a sketch that is made
in one pass over the data, with intervals for the exact coefficients; then what leaving out each row would change.
"""

import gzip
from importlib.resources import files
from itertools import combinations
from pathlib import Path

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

import nearlinear as nl
from nearlinear.demo import Outcome, timed

Reals = NDArray[np.float64]

LEVEL = 0.95
SKETCHES = 20  # by which intervals are judged: errors of one sketch's coefficients are far from independent
SHOWN = 40  # coefficients in the picture
REFITTED = 50  # rows that are left out one by one

FULL_NAMES = {
    "mdvis": "visits",
    "lncoins": "coinsurance",
    "idp": "deductible plan",
    "lpi": "incentive",
    "fmde": "most to pay",
    "physlm": "limitation",
    "disea": "diseases",
    "hlthg": "good health",
    "hlthf": "fair health",
    "hlthp": "poor health",
}


def demo(pictures: Path | None) -> list[Outcome]:
    A, b, names = design()
    exact, of_solution = _outcome_of_solution(A, b)
    estimate, of_estimate = _outcome_of_estimate(A, b, exact.x)
    outcomes = [of_solution, of_estimate, _outcome_of_rows_left_out(A, b)]
    if pictures is not None:
        _plot(exact.x, estimate, names, outcomes, pictures / "sketch.png")
    return outcomes


def design() -> tuple[Reals, Reals, list[str]]:
    """Return the matrix, log(1 + visits), and the names of the columns; the first is the intercept."""
    data = _table()
    visits = data.pop("visits")
    columns = {"intercept": np.ones(len(visits))}
    plain = {name: (values - values.mean()) / values.std() for name, values in data.items()}
    for name in ("diseases", "limitation", "coinsurance"):
        for level in np.unique(data[name])[1:]:
            columns[f"{name} = {level:.3g}"] = (data[name] == level).astype(np.float64)
    diseases = list(columns)[1 : len(np.unique(data["diseases"]))]
    columns |= plain
    columns |= {f"{name}, squared": values**2 for name, values in plain.items()}
    columns |= {f"{one} x {other}": plain[one] * plain[other] for one, other in combinations(plain, 2)}
    for other in ("coinsurance", "incentive", "most to pay", "good health"):
        columns |= {f"({name}) x {other}": columns[name] * plain[other] for name in diseases}
    A = np.column_stack(list(columns.values()))
    kept = _independent(A)
    return A[:, kept], np.log1p(visits), [name for name, keep in zip(columns, kept, strict=True) if keep]


def _table() -> dict[str, Reals]:
    with (files("nearlinear.demo") / "data" / "randhie.csv.gz").open("rb") as file, gzip.open(file, "rt") as table:
        names = table.readline().strip().split(",")
        values = np.loadtxt(table, delimiter=",")
    return {FULL_NAMES[name]: column for name, column in zip(names, values.T, strict=True)}


def _independent(A: Reals) -> NDArray[np.bool_]:
    """Tell which columns do not depend on those before them: coefficients of others would not be unique."""
    lengths = np.linalg.norm(A, axis=0)
    left = A.T @ A / np.outer(lengths, lengths)
    kept = np.zeros(len(left), dtype=np.bool_)
    for j in range(len(left)):
        if left[j, j] > 1e-6:  # the square of the sine between the column and those kept
            kept[j] = True
            left -= np.outer(left[:, j], left[j] / left[j, j])
    return kept


def _outcome_of_solution(A: Reals, b: Reals) -> tuple[nl.sketch.LstsqResult, Outcome]:
    result, seconds = timed(lambda: nl.sketch.lstsq(A, b))
    (reference, *_), peer_seconds = timed(lambda: scipy.linalg.lstsq(A, b), repeat=1)
    # Columns are nearly dependent: predictions are better known than coefficients.
    predictions = A @ reference
    return result, Outcome(
        task="exact solution",
        size=_size(A),
        seconds=seconds,
        peer="scipy.linalg.lstsq",
        peer_seconds=peer_seconds,
        error=float(np.abs(A @ result.x - predictions).max() / np.abs(predictions).max()),
        tolerance=1e-10,
    )


def _outcome_of_estimate(A: Reals, b: Reals, exact: NDArray[np.floating]) -> tuple[nl.sketch.LstsqResult, Outcome]:
    result, seconds = timed(lambda: _estimate(A, b, seed=0))
    m = 16 * A.shape[1]
    _, peer_seconds = timed(lambda: _clarkson_woodruff(A, b, m))
    covered = float(np.mean([_is_covered(_estimate(A, b, seed), exact) for seed in range(SKETCHES)]))
    print(f"of the {LEVEL:.0%} intervals of {SKETCHES} sketches, {covered:.1%} hold the exact coefficient")
    return result, Outcome(
        task=f"estimate, {LEVEL:.0%} intervals",
        size=f"{_size(A)}, sketch of {m} rows",
        seconds=seconds,
        peer="SciPy, Clarkson-Woodruff, no intervals",
        peer_seconds=peer_seconds,
        error=abs(covered - LEVEL),
        tolerance=0.05,
    )


def _estimate(A: Reals, b: Reals, seed: int) -> nl.sketch.LstsqResult:
    return nl.sketch.lstsq(A, b, method="sketch-solve", m=16 * A.shape[1], seed=seed)


def _is_covered(estimate: nl.sketch.LstsqResult, exact: NDArray[np.floating]) -> NDArray[np.bool_]:
    lower, upper = estimate.conf_int(LEVEL).T
    covered: NDArray[np.bool_] = (lower <= exact) & (exact <= upper)
    return covered


def _clarkson_woodruff(A: Reals, b: Reals, m: int) -> Reals:
    sketch = scipy.linalg.clarkson_woodruff_transform(np.column_stack([A, b]), m, seed=0)
    x: Reals = scipy.linalg.lstsq(sketch[:, :-1], sketch[:, -1])[0]
    return x


def _outcome_of_rows_left_out(A: Reals, b: Reals) -> Outcome:
    errors, seconds = timed(lambda: nl.sketch.leave_one_out(A, b))
    (_, leverages), peer_seconds = timed(lambda: _leave_one_out(A, b))
    # The reference: rows are in fact left out, one by one, those with the most influence.
    rows = np.argsort(leverages)[-REFITTED:]
    refitted = _refitted(A, b, rows)
    return Outcome(
        task="every row left out",
        size=_size(A),
        seconds=seconds,
        peer="NumPy, SciPy, Cholesky",
        peer_seconds=peer_seconds,
        error=float(np.abs(errors[rows] - refitted).max() / np.abs(refitted).max()),
        tolerance=1e-8,
    )


def _leave_one_out(A: Reals, b: Reals) -> tuple[Reals, Reals]:
    """Return what the textbook has for the errors of rows that are left out, and their leverages."""
    L = np.linalg.cholesky(A.T @ A)
    Q = scipy.linalg.solve_triangular(L, A.T, lower=True)
    leverages = np.einsum("ji,ji->i", Q, Q)
    return (b - (Q @ b) @ Q) / (1 - leverages), leverages


def _refitted(A: Reals, b: Reals, rows: NDArray[np.int64]) -> Reals:
    """Return the errors in some rows of the solutions without them, by the normal equations."""
    G, c = A.T @ A, A.T @ b
    return np.array([b[i] - A[i] @ np.linalg.solve(G - np.outer(A[i], A[i]), c - b[i] * A[i]) for i in rows])


def _size(A: Reals) -> str:
    return f"{A.shape[0]} x {A.shape[1]}"


def _plot(
    exact: NDArray[np.floating], estimate: nl.sketch.LstsqResult, names: list[str], outcomes: list[Outcome], path: Path
) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6), layout="constrained")
    axes, bars = figure.subplots(1, 2, width_ratios=[3, 2])
    # The intercept stands apart from the rest.
    largest = 1 + np.argsort(-np.abs(exact[1:]))[:SHOWN]
    largest = largest[np.argsort(exact[largest])]
    lower, upper = estimate.conf_int(LEVEL)[largest].T
    rows = np.arange(SHOWN)
    axes.hlines(rows, lower, upper, color="C0", label=f"{LEVEL:.0%} interval of the sketch")
    axes.plot(estimate.x[largest], rows, "|", color="C0", markersize=5)
    axes.plot(exact[largest], rows, "o", color="C3", markersize=3, label="exact")
    axes.set_yticks(rows, [names[j] for j in largest], fontsize=6)
    axes.set(xlabel="coefficient", title=f"The {SHOWN} largest of {len(exact)} coefficients", ylim=(-1, SHOWN))
    axes.legend(loc="lower right", frameon=False, fontsize=8)

    places = np.arange(len(outcomes))
    ours = [("nearlinear", outcome.seconds) for outcome in outcomes]
    peers = [(outcome.peer.split(",")[0], outcome.peer_seconds) for outcome in outcomes]
    for shift, color, names_and_times in ((-0.2, "C0", ours), (0.2, "0.6", peers)):
        drawn = bars.barh(places + shift, [1e3 * seconds for _, seconds in names_and_times], 0.4, color=color)
        bars.bar_label(drawn, [f"{name}, {1e3 * seconds:.0f} ms" for name, seconds in names_and_times], padding=3)
    bars.set_yticks(places, [outcome.task.replace(", ", ",\n") for outcome in outcomes])
    bars.invert_yaxis()
    longest = 1e3 * max(max(outcome.seconds, outcome.peer_seconds) for outcome in outcomes)
    bars.set(xscale="log", xlim=(1, 1000 * longest), xlabel="milliseconds", title="Times")
    figure.savefig(path, dpi=130)

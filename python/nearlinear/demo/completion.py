"""
A photograph half of whose pixels are hidden, and a matrix that alternation does not find.

The photograph is nearly of low rank: a matrix of rank 40 with a number for each row and each column is fitted to the
pixels that are seen, and fills the others. Then matrices of rank 5, with 1.3 times as many entries as they have degrees
of freedom. The textbook's alternating least squares never find them. The same with a ridge that comes down from far
above do, but for rounding.
"""

import time
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import nearlinear as nl
from nearlinear.demo import Outcome, timed

Reals = NDArray[np.float64]
Mask = NDArray[np.bool_]

RANK = 40
LARGEST_ERROR = 0.22  # of hidden pixels, in units of their standard deviation
TOL = 1e-3  # objectives change by less than 1e-5 of themselves at the end

SIZE, LOW_RANK, RATIO = 300, 5, 1.3
INSTANCES = 5
MOST_SWEEPS = 500  # of the peer
PEER = "NumPy, alternating least squares"


@dataclass(frozen=True)
class Fit:
    """What the peer has found."""

    matrix: Reals
    sweeps: int
    seconds: float


def demo(pictures: Path | None) -> list[Outcome]:
    photograph = camera()
    seen = np.random.default_rng(0).random(photograph.shape) < 0.5
    completed, of_photograph = _outcome_of_photograph(photograph, seen)
    outcomes = [of_photograph, _outcome_of_few_entries()]
    if pictures is not None:
        _plot(photograph, seen, completed, outcomes, pictures / "completion.png")
    return outcomes


def camera() -> Reals:
    """Return a man with a camera: numbers from 0 to 1, of shape (512, 512)."""
    with (files("nearlinear.demo") / "data" / "camera.npz").open("rb") as file, np.load(file) as arrays:
        pixels: Reals = arrays["camera"] / 255
    return pixels


def few_entries(seed: int) -> tuple[Reals, Mask]:
    """Return a Gaussian matrix of low rank and which entries are seen: some 4 % of all, but k + 1 in every line."""
    rng = np.random.default_rng(seed)
    truth = rng.standard_normal((SIZE, LOW_RANK)) @ rng.standard_normal((LOW_RANK, SIZE))
    turns = rng.random(truth.shape)
    seen = turns < np.sort(turns, axis=None)[round(RATIO * LOW_RANK * (2 * SIZE - LOW_RANK))]
    for axis in (0, 1):
        seen |= turns <= np.sort(turns, axis=axis).take([LOW_RANK], axis=axis)
    return truth, seen


def _outcome_of_photograph(photograph: Reals, seen: Mask) -> tuple[Reals, Outcome]:
    # The ridge is absolute: 1, were the pixels divided by their standard deviation.
    lam = float(photograph[seen].std())
    result, seconds = timed(
        lambda: nl.completion.complete(photograph, RANK, mask=seen, lam=lam, biases=True, tol=TOL, seed=0), repeat=1
    )
    peer = _alternate(photograph, seen, RANK, lam, biases=True)
    U, s, Vt = np.linalg.svd(photograph)
    best = (U[:, :RANK] * s[:RANK]) @ Vt[:RANK]
    completed = np.asarray(result.dense(), np.float64)
    for name, matrix in (("nearlinear", completed), (PEER, peer.matrix), ("the best, which sees all", best)):
        print(f"rank {RANK}, {name}: hidden pixels are off by {_error(matrix, photograph, ~seen):.4f} deviations")
    return completed, Outcome(
        task="photograph, half of it hidden",
        size=f"{photograph.shape[0]} x {photograph.shape[1]}, rank {RANK}",
        seconds=seconds,
        peer=f"{PEER}, {peer.sweeps} sweeps",
        peer_seconds=peer.seconds,
        error=_error(completed, photograph, ~seen),
        tolerance=LARGEST_ERROR,
    )


def _outcome_of_few_entries() -> Outcome:
    errors, peer_errors = [], []
    for seed in range(INSTANCES):
        truth, seen = few_entries(seed)
        result, seconds = timed(
            lambda: nl.completion.complete(truth, LOW_RANK, mask=seen, seed=0),  # noqa: B023
            repeat=1,
        )
        peer = _alternate(truth, seen, LOW_RANK, lam=0, biases=False)
        errors.append(_error(result.dense(), truth, ~seen))
        peer_errors.append(_error(peer.matrix, truth, ~seen))
    for name, found in (("nearlinear", errors), (PEER, peer_errors)):
        print(
            f"{RATIO} entries for each degree of freedom, {name}: {(np.array(found) < 1e-5).sum()} of {INSTANCES} "
            f"recovered, the median error is {np.median(found):.1e}"
        )
    return Outcome(
        task="few entries, no noise",
        size=f"{SIZE} x {SIZE}, rank {LOW_RANK}",
        seconds=seconds,
        peer=f"{PEER}, {peer.sweeps} sweeps in vain",
        peer_seconds=peer.seconds,
        error=float(np.median(errors)),
        tolerance=1e-5,
    )


def _error(matrix: NDArray[np.floating], truth: Reals, hidden: Mask) -> float:
    """Return the root mean square error of hidden entries in units of their standard deviation."""
    return float(np.sqrt(np.mean((matrix - truth)[hidden] ** 2)) / truth[hidden].std())


def _alternate(X: Reals, seen: Mask, k: int, lam: float, *, biases: bool) -> Fit:
    """The textbook: least squares for all rows, then for all columns, from the singular vectors of what is seen."""
    begin = time.perf_counter()
    mean = X[seen].mean() if biases else 0.0
    Y, weights = np.where(seen, X - mean, 0), seen.astype(np.float64)
    _, s, Vt = np.linalg.svd(Y)
    V, c = Vt[:k].T * np.sqrt(s[:k] / seen.mean()), np.zeros(X.shape[1])
    objective, sweeps = np.inf, 0
    while sweeps < MOST_SWEEPS:
        sweeps += 1
        U, b = _lines(Y - weights * c, weights, V, lam, biases=biases)
        V, c = _lines((Y - weights * b[:, np.newaxis]).T, weights.T, U, lam, biases=biases)
        matrix = U @ V.T + b[:, np.newaxis] + c
        before = objective
        objective = ((weights * (Y - matrix)) ** 2).sum() + lam * sum((part**2).sum() for part in (U, V, b, c))
        if before - objective <= TOL / 100 * objective:
            break
    return Fit(mean + matrix, sweeps, time.perf_counter() - begin)


def _lines(Y: Reals, weights: Reals, V: Reals, lam: float, *, biases: bool) -> tuple[Reals, Reals]:
    """Return factors and biases of all rows from those of the columns, by the normal equations."""
    P = np.column_stack([V, np.ones(len(V))]) if biases else V
    G = (weights @ np.einsum("ij,ik->ijk", P, P).reshape(len(P), -1)).reshape(-1, P.shape[1], P.shape[1])
    x = np.linalg.solve(G + max(lam, 1e-12) * np.eye(P.shape[1]), (Y @ P)[:, :, np.newaxis])[:, :, 0]
    return (x[:, :-1], x[:, -1]) if biases else (x, np.zeros(len(x)))


def _plot(photograph: Reals, seen: Mask, completed: Reals, outcomes: list[Outcome], path: Path) -> None:
    import matplotlib
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7.2), layout="constrained")
    parts: Any = figure.subfigures(2, 1, height_ratios=[4, 5])
    upper, lower = parts
    grey = matplotlib.colormaps["gray"].with_extremes(bad="C0")
    greys = {"cmap": grey, "vmin": 0, "vmax": 1}
    shown: dict[str, tuple[Reals, dict[str, Any]]] = {
        "photograph": (photograph, greys),
        "what is seen": (np.where(seen, photograph, np.nan), greys),
        f"completed, rank {RANK}": (completed, greys),
        "errors, red below, blue above": (completed - photograph, {"cmap": "RdBu", "vmin": -0.3, "vmax": 0.3}),
    }
    for axes, (title, (pixels, colours)) in zip(upper.subplots(1, len(shown)), shown.items(), strict=True):
        axes.imshow(pixels, interpolation="none", **colours)
        axes.set(title=title, xticks=[], yticks=[])

    errors, bars = lower.subplots(1, 2)
    truth, entries = few_entries(0)
    nl.completion.complete(truth, LOW_RANK, mask=entries, seed=0).plot(errors)
    errors.set_title(f"{RATIO} entries for each degree of freedom, no noise")
    rows = np.arange(len(outcomes))
    ours = [("nearlinear", outcome.seconds) for outcome in outcomes]
    peers = [(outcome.peer.split(",")[0], outcome.peer_seconds) for outcome in outcomes]
    for shift, color, names_and_times in ((-0.2, "C0", ours), (0.2, "0.6", peers)):
        drawn = bars.barh(rows + shift, [1e3 * seconds for _, seconds in names_and_times], 0.4, color=color)
        bars.bar_label(drawn, [f"{name}, {1e3 * seconds:.0f} ms" for name, seconds in names_and_times], padding=3)
    bars.set_yticks(rows, [outcome.task.replace(", ", ",\n") for outcome in outcomes])
    bars.invert_yaxis()
    longest = 1e3 * max(max(outcome.seconds, outcome.peer_seconds) for outcome in outcomes)
    bars.set(xscale="log", xlim=(1, 300 * longest), xlabel="milliseconds", title="Times")
    figure.savefig(path, dpi=130)

"""
Give a photograph the colours of another, and the other way round.

Colours are points in the cube of red, green and blue. 1000 pixels of each photograph are two clouds in it, and the plan
that carries one to the other at the least cost, the squared distance, says which colour becomes which. All pixels are
then sent to the mean of where their mass would go. The smaller the regularisation, the nearer the colours come to those
of the other photograph, and the more sweeps Sinkhorn's algorithm takes.
"""

import importlib
import importlib.util
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.special import softmax

import nearlinear as nl
from nearlinear.demo import Outcome, timed

Reals = NDArray[np.float64]
Bytes = NDArray[np.uint8]

PIXELS = 1000
LARGE, SMALL = 1e-2, 1e-3  # regularisations, in units of the largest cost
TOL = 1e-9
MOST_SWEEPS = 2000  # of the peer


def demo(pictures: Path | None) -> list[Outcome]:
    coffee, cat = photographs()
    rng = np.random.default_rng(0)
    x, y = (rng.choice(_colours(picture), size=PIXELS, replace=False) for picture in (coffee, cat))
    C = cdist(x, y, "sqeuclidean")
    at_large = _outcome_at_large(x, y, LARGE * C.max())
    there, at_small = _outcome_at_small(x, y, SMALL * C.max())
    mapped, mapping = _outcome_of_mapping(there, _colours(coffee), y)
    outcomes = [at_large, at_small, mapping]
    if pictures is not None:
        # The way back is the same plan, transposed: from its dual variables there is nothing left to do.
        back = nl.ot.sinkhorn(None, None, x=y, y=x, reg=there.reg, warmstart=(there.g, there.f), plan=None)
        shown: dict[str, NDArray[Any]] = {
            "a cup of coffee": coffee,
            "a cat": cat,
            "the coffee in the cat's colours": mapped.reshape(coffee.shape),
            "the cat in the coffee's colours": back.transform(_colours(cat)).reshape(cat.shape),
        }
        _plot(shown, outcomes, pictures / "ot.png")
    return outcomes


def photographs() -> tuple[Bytes, Bytes]:
    """Return the cup of coffee and the cat, each as bytes of shape (height, width, 3)."""
    with (files("nearlinear.demo") / "data" / "photographs.npz").open("rb") as file, np.load(file) as arrays:
        return arrays["coffee"], arrays["chelsea"]


def _colours(picture: Bytes) -> Reals:
    """Return the colours of the pixels as points in [0, 1]^3."""
    return picture.reshape(-1, 3) / 255


def _solve(x: Reals, y: Reals, reg: float) -> nl.ot.SinkhornResult:
    result = nl.ot.sinkhorn(None, None, x=x, y=y, reg=reg, tol=TOL)
    result.plan  # noqa: B018  # computed when it is looked at; the peer computes it, too
    return result


def _outcome_at_large(x: Reals, y: Reals, reg: float) -> Outcome:
    result, seconds = timed(lambda: _solve(x, y, reg))
    peer, peer_seconds = _peer(x, y, reg)
    _, g = _log_domain_sinkhorn(cdist(x, y, "sqeuclidean"), reg)
    return Outcome(
        task=f"plan, reg {LARGE:g} of the largest cost",
        size=f"2 x {PIXELS} colours",
        seconds=seconds,
        peer=peer,
        peer_seconds=peer_seconds,
        error=float(np.abs(result.transform() - _barycentres(x, y, g, reg)).max()),
        tolerance=1e-6,
    )


def _outcome_at_small(x: Reals, y: Reals, reg: float) -> tuple[nl.ot.SinkhornResult, Outcome]:
    result, seconds = timed(lambda: _solve(x, y, reg))
    peer, peer_seconds = _peer(x, y, reg)
    # The reference takes too long here. But a plan of the form exp((f + g - C) / reg) is the solution if its marginals
    # are right: they are computed anew.
    exponents = (result.f[:, np.newaxis] + result.g - cdist(x, y, "sqeuclidean")) / reg
    return result, Outcome(
        task=f"plan, reg {SMALL:g} of the largest cost",
        size=f"2 x {PIXELS} colours",
        seconds=seconds,
        peer=peer,
        peer_seconds=peer_seconds,
        error=_marginal_error(np.exp(exponents)),
        tolerance=1.01 * TOL,
    )


def _outcome_of_mapping(result: nl.ot.SinkhornResult, pixels: Reals, y: Reals) -> tuple[Reals, Outcome]:
    mapped, seconds = timed(lambda: result.transform(pixels))
    reference, peer_seconds = timed(lambda: _barycentres(pixels, y, result.g, result.reg), repeat=1)
    return mapped, Outcome(
        task="all pixels mapped",
        size=f"{len(pixels)} pixels, {len(y)} colours",
        seconds=seconds,
        peer="NumPy, SciPy",
        peer_seconds=peer_seconds,
        error=float(np.abs(mapped - reference).max()),
        tolerance=1e-10,
    )


def _log_domain_sinkhorn(C: Reals, reg: float) -> tuple[Reals, Reals]:
    """The reference: Sinkhorn's algorithm in the logarithmic domain for equal masses, until nothing moves any more."""
    n, m = C.shape
    g = np.zeros(m)
    while True:
        f = _soft_minimum(C - g, reg) - reg * np.log(n)
        before, g = g, _soft_minimum(C.T - f, reg) - reg * np.log(m)
        if np.abs(g - before).max() < 1e-9 * reg:
            return f, g


def _soft_minimum(C: Reals, reg: float) -> Reals:
    """Return -reg log sum_j exp(-C_ij / reg), of every row i."""
    smallest = C.min(axis=1, keepdims=True)
    minimum: Reals = smallest[:, 0] - reg * np.log(np.exp((smallest - C) / reg).sum(axis=1))
    return minimum


def _barycentres(x: Reals, y: Reals, g: Reals, reg: float) -> Reals:
    """Return the means of y with the weights exp((g_j - |x - y_j|^2) / reg), in blocks that fit into the cache."""
    blocks = np.array_split(x, -(-len(x) // 256))
    means: Reals = np.concatenate([softmax((g - cdist(block, y, "sqeuclidean")) / reg, axis=1) @ y for block in blocks])
    return means


def _marginal_error(P: Reals) -> float:
    """Return |P 1 - a|_1 + |P^T 1 - b|_1 for equal masses."""
    return float(sum(np.abs(P.sum(axis=axis) - 1 / P.shape[1 - axis]).sum() for axis in (0, 1)))


def _peer(x: Reals, y: Reals, reg: float) -> tuple[str, float]:
    """Return the peer with the marginal error that it reaches, and its seconds: POT, or NumPy where that is missing."""
    pot = importlib.import_module("ot") if importlib.util.find_spec("ot") else None
    a, b = np.full(len(x), 1 / len(x)), np.full(len(y), 1 / len(y))
    begin = time.perf_counter()
    C = cdist(x, y, "sqeuclidean")
    if pot is None:
        P = _sinkhorn(a, b, C, reg)
    else:
        # Its error is the Euclidean norm for one marginal.
        stop = TOL / np.sqrt(len(y))
        P = pot.sinkhorn(a, b, C, reg, stopThr=stop, numItermax=MOST_SWEEPS, warn=False)
    seconds = time.perf_counter() - begin
    return f"{'NumPy' if pot is None else 'POT'}, Sinkhorn to {_marginal_error(P):.0e}", seconds


def _sinkhorn(a: Reals, b: Reals, C: Reals, reg: float) -> Reals:
    """Return the plan that sweeps on a stored kernel find. It must not underflow, which for these costs it does not."""
    K = np.exp(C / -reg)
    v = np.ones(len(b))
    for sweep in range(MOST_SWEEPS):
        u = a / (K @ v)
        products = u @ K
        if sweep % 10 == 0 and np.abs(v * products - b).sum() <= TOL:
            break
        v = b / products
    P: Reals = u[:, np.newaxis] * K * v
    return P


def _plot(shown: dict[str, NDArray[Any]], outcomes: list[Outcome], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.8), layout="constrained")
    titles = list(shown)
    places: list[Any] = [[*titles[:2], "Times"], [*titles[2:], "Times"]]
    axes = figure.subplot_mosaic(places, width_ratios=[3, 3, 4])
    for title, picture in shown.items():
        axes[title].imshow(picture)
        axes[title].set(title=title, xticks=[], yticks=[])
    bars = axes["Times"]
    rows = np.arange(len(outcomes))
    ours = [("nearlinear", outcome.seconds) for outcome in outcomes]
    peers = [(outcome.peer.split(",")[0], outcome.peer_seconds) for outcome in outcomes]
    for shift, color, names_and_times in ((-0.2, "C0", ours), (0.2, "0.6", peers)):
        drawn = bars.barh(rows + shift, [1e3 * seconds for _, seconds in names_and_times], 0.4, color=color)
        bars.bar_label(drawn, [f"{name}, {1e3 * seconds:.0f} ms" for name, seconds in names_and_times], padding=3)
    bars.set_yticks(rows, [outcome.task.replace(" of", "\nof") for outcome in outcomes])
    bars.invert_yaxis()
    longest = 1e3 * max(max(outcome.seconds, outcome.peer_seconds) for outcome in outcomes)
    bars.set(xscale="log", xlim=(1, 30 * longest), xlabel="milliseconds", title="Times")
    figure.savefig(path, dpi=130)

"""
Prune a network that reads digits: which 80 % or 90 % of its 6570 weights can it do without?

The network has 64 inputs, 64 and 32 units, and 10 outputs. It is trained on 1200 images and judged by 597 others. F is
made of the gradients of 512 of the first. What is compared: the smallest weights go, or those that optimal brain
surgeon chooses; then in one round, where each pruned weight is made up for alone, or all jointly; or jointly in 8
rounds, each with gradients at the weights that the last one left.
"""

import gzip
from collections.abc import Iterator
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

import nearlinear as nl
from nearlinear.demo import Outcome, timed

Reals = NDArray[np.float64]
Labels = NDArray[np.int64]

DAMPING = 1e-5
SPARSITIES = (0.5, 0.7, 0.8, 0.9)


def demo(pictures: Path | None) -> list[Outcome]:
    digits = Digits(seed=0)
    accuracies = digits.accuracies(SPARSITIES)
    print(f"accuracy on {len(digits.test[1])} images, before pruning {digits.accuracy(digits.w):.3f}")
    print(f"{'sparsity':<20}" + "".join(f"{sparsity:7.0%}" for sparsity in SPARSITIES))
    for way, row in accuracies.items():
        print(f"{way:<20}" + "".join(f"{accuracy:7.3f}" for accuracy in row))
    outcomes = _outcomes(digits)
    if pictures is not None:
        _plot(digits, accuracies, outcomes, pictures / "fisher.png")
    return outcomes


class Network:
    """
    A network with rectified linear units between its layers and a softmax at its end.

    Its weights are one vector w: of each layer the matrix of shape (outputs, inputs), row by row, and then the bias.
    """

    def __init__(self, *sizes: int) -> None:
        self._shapes = [(outputs, inputs) for inputs, outputs in pairwise(sizes)]

    def train(self, X: Reals, y: Labels, rng: np.random.Generator, epochs: int = 20) -> Reals:
        """Return weights that Adam finds, on batches of 50 samples."""
        w = np.concatenate(
            [part for n, k in self._shapes for part in (rng.normal(size=n * k) / np.sqrt(k), np.zeros(n))]
        )
        mean, square = np.zeros_like(w), np.zeros_like(w)
        step = 0
        for _ in range(epochs):
            for batch in np.array_split(rng.permutation(len(y)), len(y) // 50):
                step += 1
                gradient = self._mean_gradient(w, X[batch], y[batch])
                mean += 0.1 * (gradient - mean)
                square += 0.001 * (gradient**2 - square)
                w -= 0.003 * mean / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
        return w

    def gradients(self, w: Reals, X: Reals, y: Labels) -> Reals:
        """Return the gradient of the loss of every sample, one in each row."""
        layers = [
            ((delta[:, :, np.newaxis] * a[:, np.newaxis, :]).reshape(len(y), -1), delta)
            for delta, a in self._backward(w, X, y)
        ]
        return np.concatenate([part for layer in reversed(layers) for part in layer], axis=1)

    def accuracy(self, w: Reals, X: Reals, y: Labels) -> float:
        """Return the share of the samples that the network reads right."""
        return float((self.outputs(w, X).argmax(axis=1) == y).mean())

    def outputs(self, w: Reals, X: Reals) -> Reals:
        """Return what goes into the softmax."""
        return self._forward(w, X)[1]

    def _mean_gradient(self, w: Reals, X: Reals, y: Labels) -> Reals:
        layers = [((delta.T @ a).ravel(), delta.sum(axis=0)) for delta, a in self._backward(w, X, y)]
        return np.concatenate([part for layer in reversed(layers) for part in layer]) / len(y)

    def _layers(self, w: Reals) -> Iterator[tuple[Reals, Reals]]:
        for n, k in self._shapes:
            yield w[: n * k].reshape(n, k), w[n * k : n * k + n]
            w = w[n * k + n :]

    def _forward(self, w: Reals, X: Reals) -> tuple[list[Reals], Reals]:
        """Return the inputs of every layer, and the outputs of the last before the softmax."""
        inputs: list[Reals] = []
        outputs = X
        for W, bias in self._layers(w):
            inputs.append(np.maximum(outputs, 0) if inputs else X)
            outputs = inputs[-1] @ W.T + bias
        return inputs, outputs

    def _backward(self, w: Reals, X: Reals, y: Labels) -> Iterator[tuple[Reals, Reals]]:
        """Yield, from the last layer to the first, the derivatives by its outputs and its inputs, of every sample."""
        inputs, outputs = self._forward(w, X)
        exponentials = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        delta = exponentials / exponentials.sum(axis=1, keepdims=True)
        delta[np.arange(len(y)), y] -= 1
        for (W, _), a in zip(reversed(list(self._layers(w))), reversed(inputs), strict=True):
            yield delta, a
            delta = (delta @ W) * (a > 0)


class Digits:
    """The images, cut in two by a seed, and a network trained on the first part."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        with (files("nearlinear.demo") / "data" / "digits.csv.gz").open("rb") as file, gzip.open(file, "rt") as table:
            rows = rng.permutation(np.loadtxt(table, delimiter=","))
        X, y = rows[:, :64] / 16, rows[:, 64].astype(np.int64)
        self.test = X[1200:], y[1200:]
        self._sample = X[:512], y[:512]
        self.network = Network(64, 64, 32, 10)
        self.w = self.network.train(X[:1200], y[:1200], rng)

    def gradients(self, w: Reals) -> Reals:
        """Return the gradients of 512 images of the training."""
        return self.network.gradients(w, *self._sample)

    def accuracy(self, w: Reals) -> float:
        """Return the share of the test's images that are read right."""
        return self.network.accuracy(w, *self.test)

    def without_smallest(self, sparsity: float) -> Reals:
        """Prune by magnitude."""
        w = self.w.copy()
        w[np.argsort(np.abs(w))[: round(sparsity * w.size)]] = 0
        return w

    def prune(self, sparsity: float, method: Literal["joint", "independent"] = "joint", rounds: int = 1) -> Reals:
        """Prune by optimal brain surgeon."""
        result = nl.fisher.obs_prune(
            self.w, None, sparsity, damping=DAMPING, recompute=self.gradients, n_recompute=rounds, method=method
        )
        return np.asarray(result.w, dtype=np.float64)

    def accuracies(self, sparsities: tuple[float, ...]) -> dict[str, list[float]]:
        """Return the accuracy after pruning, of every way and at every sparsity."""
        return {
            "magnitude": [self.accuracy(self.without_smallest(sparsity)) for sparsity in sparsities],
            "independent": [self.accuracy(self.prune(sparsity, "independent")) for sparsity in sparsities],
            "joint": [self.accuracy(self.prune(sparsity)) for sparsity in sparsities],
            "joint, 8 rounds": [self.accuracy(self.prune(sparsity, rounds=8)) for sparsity in sparsities],
        }


class Woodbury:
    """The peer: F^-1 = (I - G^T S^-1 G) / damping, S = m damping I + G G^T, by NumPy and SciPy."""

    def __init__(self, G: Reals, damping: float) -> None:
        self._G, self._damping = G, damping
        self._factor = scipy.linalg.cho_factor(G @ G.T + len(G) * damping * np.eye(len(G)), lower=True)

    def matmat(self, X: Reals) -> Reals:
        product: Reals = (X - self._G.T @ scipy.linalg.cho_solve(self._factor, self._G @ X)) / self._damping
        return product

    def saliency(self, w: Reals) -> Reals:
        V = scipy.linalg.solve_triangular(self._factor[0], self._G, lower=True)
        saliency: Reals = w**2 / (2 * (1 - np.einsum("ij,ij->j", V, V)) / self._damping)
        return saliency

    def joint_update(self, w: Reals, pruned: NDArray[np.bool_]) -> Reals:
        G_R = self._G[:, ~pruned]
        step = -w
        step[~pruned] = G_R.T @ Woodbury(G_R, self._damping).solve(self._G[:, pruned] @ w[pruned])
        return step

    def solve(self, x: Reals) -> Reals:
        solution: Reals = scipy.linalg.cho_solve(self._factor, x)
        return solution


def _outcomes(digits: Digits) -> list[Outcome]:
    w, G = digits.w, digits.gradients(digits.w)
    m, d = G.shape
    rng = np.random.default_rng(1)
    X, few = rng.normal(size=(d, 16)), rng.choice(d, size=64, replace=False)

    products, seconds = timed(lambda: nl.fisher.FisherInverse(G, DAMPING).matmat(X))
    _, peer_seconds = timed(lambda: Woodbury(G, DAMPING).matmat(X))
    saliency, saliency_seconds = timed(lambda: nl.fisher.obs_saliency(w, nl.fisher.FisherInverse(G, DAMPING)))
    _, peer_saliency_seconds = timed(lambda: Woodbury(G, DAMPING).saliency(w))
    pruned = saliency <= np.quantile(saliency, 0.8)
    finv, peer = nl.fisher.FisherInverse(G, DAMPING), Woodbury(G, DAMPING)
    update, update_seconds = timed(lambda: nl.fisher.obs_update(w, finv, pruned))
    _, peer_update_seconds = timed(lambda: peer.joint_update(w, pruned))

    # The reference: F itself.
    F = G.T @ G / m + DAMPING * np.eye(d)
    step = -w
    step[~pruned] = np.linalg.solve(F[np.ix_(~pruned, ~pruned)], F[np.ix_(~pruned, pruned)] @ w[pruned])
    right_hand_sides = np.concatenate([X, np.eye(d)[:, few]], axis=1)
    columns = scipy.linalg.cho_solve(scipy.linalg.cho_factor(F.T, overwrite_a=True), right_hand_sides)
    true_products, true_diagonal = columns[:, :16], columns[few, 16 + np.arange(len(few))]
    return [
        Outcome(
            task="F^-1 X",
            size=f"{m} gradients, {d} weights, 16 columns",
            seconds=seconds,
            peer="NumPy, SciPy (Woodbury)",
            peer_seconds=peer_seconds,
            error=_relative_error(products, true_products),
            tolerance=1e-9,
        ),
        Outcome(
            task="saliencies of all weights",
            size=f"{m} gradients, {d} weights",
            seconds=saliency_seconds,
            peer="NumPy, SciPy (Woodbury)",
            peer_seconds=peer_saliency_seconds,
            error=_relative_error(saliency[few], w[few] ** 2 / (2 * true_diagonal)),
            tolerance=1e-9,
        ),
        Outcome(
            task="joint update",
            size=f"{m} gradients, {d} weights, {np.count_nonzero(pruned)} of them pruned",
            seconds=update_seconds,
            peer="NumPy, SciPy (Woodbury)",
            peer_seconds=peer_update_seconds,
            error=_relative_error(update.step, step),
            tolerance=1e-9,
        ),
    ]


def _relative_error(value: Any, reference: Any) -> float:
    return float(np.linalg.norm(value - reference) / np.linalg.norm(reference))


def _plot(digits: Digits, accuracies: dict[str, list[float]], outcomes: list[Outcome], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.5), layout="constrained")
    curves, bars = figure.subplots(1, 2, width_ratios=[3, 2])
    percent = [100 * sparsity for sparsity in SPARSITIES]
    for (way, row), style in zip(accuracies.items(), ("0.6", "C1", "C0", "C2"), strict=True):
        curves.plot(percent, row, "o-", color=style, label=way)
    curves.axhline(digits.accuracy(digits.w), color="0.6", linestyle=":", label="before pruning")
    curves.set(xlabel="weights pruned, %", ylabel="accuracy", ylim=(0, 1), title="Pruning a network that reads digits")
    curves.legend(loc="lower left", frameon=False)
    places = np.arange(len(outcomes))
    ours = bars.barh(places - 0.2, [1e3 * outcome.seconds for outcome in outcomes], 0.4, color="C0", label="nearlinear")
    peer = bars.barh(
        places + 0.2, [1e3 * outcome.peer_seconds for outcome in outcomes], 0.4, color="0.6", label=outcomes[0].peer
    )
    for drawn in (ours, peer):
        bars.bar_label(drawn, fmt="%.0f ms", padding=3)
    bars.set_yticks(places, [outcome.task for outcome in outcomes])
    bars.invert_yaxis()
    bars.margins(x=0.2)
    bars.set(xlabel="milliseconds", title="Times")
    bars.legend(frameon=False)
    figure.savefig(path, dpi=130)

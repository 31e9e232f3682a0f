"""
Predict ratings of lecturers by students: ``NEARLINEAR_BENCH_DATA=<folder> python -m bench.completion.ratings``.

The folder holds insteval_ratings.csv.gz, whose licence keeps it out of the repository: columns student, lecturer and
rating, 1 to 5. A tenth of the ratings is the test set; of the others, a tenth is what early stopping watches.
Fits that converge are compared on the first of several such splits. ``bench.completion.gates`` reads the figures.
"""

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from bench.completion import ours, peers
from bench.completion.problems import Predict
from bench.matrices import FURTHER_DATA
from bench.report import table

FILE = "insteval_ratings.csv.gz"
PAIRS = [(k, lam) for k in (2, 5, 10) for lam in (4.0, 8.0, 12.0)]
SPLITS = 5
BIAS_LAM = 5.0  # of biases alone
MAXITER = 2000  # of fits that converge
PEER_SWEEPS = 300
PATIENCE = 5
SHARE = 10  # one in so many is held out


@dataclass(frozen=True)
class Ratings:
    rows: Any
    cols: Any
    values: Any

    def part(self, chosen: Any) -> "Ratings":
        return Ratings(self.rows[chosen], self.cols[chosen], self.values[chosen])

    def matrix(self, shape: tuple[int, int]) -> Any:
        return scipy.sparse.csr_array(scipy.sparse.coo_array((self.values, (self.rows, self.cols)), shape=shape))

    def split(self, seed: int) -> tuple["Ratings", "Ratings"]:
        """Return about nine tenths and one tenth."""
        is_held_out = np.random.default_rng(seed).random(len(self.values)) < 1 / SHARE
        return self.part(~is_held_out), self.part(is_held_out)

    def rmse(self, predict: Predict) -> float:
        return float(np.sqrt(np.mean((predict(self.rows, self.cols) - self.values) ** 2)))

    @property
    def triple(self) -> tuple[Any, Any, Any]:
        return self.rows, self.cols, self.values


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.completion.ratings", description="Predict ratings.")
    parser.add_argument("--figures", type=Path, default=ours.FIGURES / "ratings.json", help="the path of JSON")
    parser.add_argument("--splits", type=int, default=SPLITS, help=f"into training and test set, {SPLITS} by default")
    options = parser.parse_args()
    path = Path(os.environ.get(FURTHER_DATA, "")) / FILE
    if not path.is_file():
        print(f"{FURTHER_DATA} must name a folder that holds {FILE}", file=sys.stderr)
        return 1
    every = read(path)
    shape = (int(every.rows.max()) + 1, int(every.cols.max()) + 1)
    of_splits = [of_split(every, shape, seed) for seed in range(options.splits)]
    training, test = every.split(0)
    to_the_end = [converged(training.matrix(shape), test, k, lam) for k, lam in PAIRS]
    print_tables(of_splits, to_the_end)
    content = {"ratings": len(every.values), "shape": shape, "splits": of_splits, "converged": to_the_end}
    ours.write(options.figures, ("cmfrec",), content)
    return 0


def read(path: Path) -> Ratings:
    rows, cols, values = np.loadtxt(path, delimiter=",", skiprows=1, dtype=np.int64).T
    return Ratings(rows, cols, values.astype(np.float64))


def of_split(every: Ratings, shape: tuple[int, int], seed: int) -> dict[str, Any]:
    """Return test errors: of the mean, of biases, and of fits that stop early."""
    training, test = every.split(seed)
    fitted, watched = training.split(seed)
    mean = float(training.values.mean())
    return {
        "seed": seed,
        "mean": test.rmse(lambda rows, cols: np.full(len(rows), mean)),
        "biases": biases_alone(training.matrix(shape), test),
        "early": [early(fitted.matrix(shape), watched, test, k, lam) for k, lam in PAIRS],
    }


def biases_alone(X: Any, test: Ratings, lam: float = BIAS_LAM) -> float:
    return test.rmse(ours.complete(X, 0, lam=lam, biases=True, seed=0).predict)


def early(X: Any, watched: Ratings, test: Ratings, k: int, lam: float) -> dict[str, float]:
    """Return the test error of a fit that a validation set stops, and that of biases for the same training set."""
    found = ours.complete(X, k, lam=lam, biases=True, validation=watched.triple, patience=PATIENCE, seed=0)
    return {"k": k, "lam": lam, "rmse": test.rmse(found.predict), "biases": biases_alone(X, test, lam)}


def converged(X: Any, test: Ratings, k: int, lam: float) -> dict[str, float]:
    """Return the test errors of our fit and of cmfrec's, of the same problem."""
    found = ours.complete(X, k, lam=lam, biases=True, maxiter=MAXITER, seed=0)
    theirs = peers.cmfrec_with_biases(X, k, PEER_SWEEPS, lam)
    return {"k": k, "lam": lam, "rmse": test.rmse(found.predict), "cmfrec": test.rmse(theirs)}


def print_tables(of_splits: list[dict[str, Any]], to_the_end: list[dict[str, float]]) -> None:
    rows = [[str(one["seed"]), four(one["mean"]), four(one["biases"])] for one in of_splits]
    print(table(["split", "mean", "biases"], rows))
    rows = [[str(one["seed"]), *of_pair(found, "biases")] for one in of_splits for found in one["early"]]
    print(f"\n{table(['split', 'k', 'lambda', 'stopped early', 'biases'], rows)}")
    rows = [of_pair(found, "cmfrec") for found in to_the_end]
    print(f"\n{table(['k', 'lambda', 'converged', 'cmfrec'], rows)}")


def of_pair(found: dict[str, float], beside: str) -> list[str]:
    return [f"{found['k']}", f"{found['lam']:g}", four(found["rmse"]), four(found[beside])]


def four(value: float) -> str:
    return f"{value:.4f}"


if __name__ == "__main__":
    sys.exit(main())

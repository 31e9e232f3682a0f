"""Completion of matrices of low rank from some of their entries, to a held-out error."""

import os
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.completion import ours, peers
from bench.completion.limits import noise_limit
from bench.completion.problems import Instance, Predict, instance
from bench.completion.search import Found, Limits, prepared, search
from bench.harness import CASE_FOLDER, Case, Contender, Room
from bench.sketch.accuracy import three_digits

SIZES = (2_000, 10_000, 50_000)
RANKS = (5, 10, 50)
RATIOS = (5.0, 3.0, 1.5)  # from easy to hard
NOISE = 1e-3  # of entries whose variance is 1
NOISY = ((2_000, 10, 3.0), (2_000, 50, 3.0), (10_000, 10, 3.0), (10_000, 10, 1.5))
QUICK = ((500, 5, 3.0), (1_000, 10, 3.0))
ERROR = 1e-6  # relative
OVER_LIMIT = 1.05  # times the error that noise sets
LARGEST_FULL = 2_000  # rows of a matrix all of whose entries are formed
CAP = 100.0  # seconds
OF_OURS, SHORTEST = 16.0, 1.0  # what a peer may take: times what we do, and the least of that, in seconds
LONGEST, LONGEST_OF_LARGE = 20.0, 8.0  # the most of that, and from n = 10000 on
SWEEPS = 10  # of who is timed per sweep alone


@dataclass(frozen=True)
class Task:
    """An instance, the error that is asked for, and the seconds of a call that a peer may try."""

    given: Instance
    bound: float
    longest: float

    @classmethod
    def of(cls, n: int, k: int, ratio: float, noise: float) -> "Task":
        given = instance(n, k, ratio, noise)
        bound = OVER_LIMIT * noise_limit(given) if noise > 0 else ERROR
        own, _ = ours.timed(partial(ours.complete, given.X, k, tol=ours.tol(ratio, k), seed=0, n_threads=1))
        most = LONGEST if n < SIZES[1] else LONGEST_OF_LARGE
        return cls(given, bound, max(1.25 * own, min(most, max(SHORTEST, OF_OURS * own))))


@dataclass(frozen=True)
class Answer:
    predict: Predict
    task: Task
    told: dict[str, float] = field(default_factory=dict)

    @cached_property
    def error(self) -> float:
        return self.task.given.error(self.predict)


Prepare = Callable[[Task], Callable[[], Answer] | None]
Solve = Callable[[Any, int, int], Predict]  # X, k, iterations


def cases() -> list[Case]:
    """Return cases whose rank is the same as families, as some peers do well in one and badly in another."""
    cells = [(n, k, ratio, 0.0) for n in SIZES for k in RANKS for ratio in RATIOS]
    quick = [(*cell, 0.0) for cell in QUICK]
    cells += [(*cell, NOISE) for cell in NOISY]
    cells.sort(key=lambda cell: cell[0] == SIZES[-1])  # what takes longest comes last
    return [case(*cell, quick=cell in quick) for cell in (*quick, *cells)]


def case(n: int, k: int, ratio: float, noise: float, quick: bool) -> Case:
    of_noise = f", noise {noise:g}" if noise > 0 else ""
    return Case(
        f"n = {n}, k = {k}, ratio {ratio:g}{of_noise}",
        partial(Task.of, n, k, ratio, noise),
        quick=quick,
        family=f"k = {k}{of_noise}{', small' if quick else ''}",
        hardness=(n, -ratio),
    )


def nearlinear(**options: Any) -> Prepare:
    def prepare(task: Task) -> Callable[[], Answer]:
        X, k = task.given.X, task.given.k

        def solve() -> Answer:
            found = ours.complete(X, k, tol=ours.tol(task.given.ratio, k), seed=0, **options)
            return Answer(found.predict, task, {"iterations": found.nit, **per_sweep(found.history, options)})

        return solve

    return prepare


def per_sweep(history: Any, options: dict[str, Any]) -> dict[str, float]:
    """Return the time of a sweep where all are of one kind."""
    if options.get("solver") not in ("als", "cg") or len(history) < 2:
        return {}
    return milliseconds(float(np.ptp(history.seconds) / np.ptp(history.iteration)))


def milliseconds(seconds: float) -> dict[str, float]:
    return {"ms a sweep": three_digits(1e3 * seconds)}


def peer(name: str, variants: dict[str, Solve], *, most: int = SIZES[-1], sweeps: bool = False) -> Prepare:
    """Return what prepares a call with as few iterations as are enough, and the step that is best: its user may try."""

    def prepare(task: Task) -> Callable[[], Answer] | None:
        if task.given.n > most:
            return None
        given = task.given
        solves = {variant: partial(solve, given.X, given.k) for variant, solve in variants.items()}
        found = found_before(name)
        if found is None:
            errors = {variant: prepared(solve, given.error) for variant, solve in solves.items()}
            found = search(errors, Limits(task.bound, task.longest))
            keep(name, found)
        solve, iterations = solves[found.variant], found.count

        def call() -> Answer:
            seconds, predict = ours.timed(partial(solve, iterations))
            of_sweep = milliseconds(seconds / iterations) if sweeps else {}
            return Answer(predict, task, {"iterations": iterations, **of_sweep})

        return call

    return prepare


def found_before(name: str) -> Found | None:
    """Return what another measurement of the case has found: peers need as many iterations on any number of threads."""
    path = Path(os.environ.get(CASE_FOLDER, "")) / f"{name}.found"
    return pickle.loads(path.read_bytes()) if path.exists() else None


def keep(name: str, found: Found) -> None:
    if CASE_FOLDER in os.environ:
        (Path(os.environ[CASE_FOLDER]) / f"{name}.found").write_bytes(pickle.dumps(found))


def implicit_sweeps(use_cg: bool) -> Prepare:
    def prepare(task: Task) -> Callable[[], Answer]:
        import implicit  # noqa: F401

        def call() -> Answer:
            seconds: list[float] = []
            predict = peers.implicit(task.given.X, task.given.k, SWEEPS, use_cg, seconds.append)
            return Answer(predict, task, {"iterations": SWEEPS, **milliseconds(sorted(seconds)[len(seconds) // 2])})

        return call

    return prepare


def facts(task: Task) -> dict[str, int]:
    given = task.given
    return {
        "n": given.n,
        "k": given.k,
        "entries": given.X.nnz,
        "ratio %": round(100 * given.ratio),
        "noisy": int(given.noise > 0),
        "operations": given.X.nnz * given.k,
    }


def check(task: Task, reference: None, answer: Answer, contender: Contender) -> float:
    """Return the held-out error in units of its bound."""
    return answer.error / task.bound


def describe(answer: Answer, contender: Contender) -> dict[str, float]:
    limit = (
        {"over noise": three_digits(OVER_LIMIT * answer.error / answer.task.bound)} if answer.task.given.noise else {}
    )
    return {"relative error": three_digits(answer.error), **answer.told, **limit}


def stochastic(solve: Callable[..., Predict], steps: Sequence[float]) -> dict[str, Solve]:
    return {f"step {step:g}": partial(solve, step=step) for step in steps}


def steps(sizes: Sequence[float]) -> str:
    return ", ".join(f"{size:g}" for size in sizes)


CMFREC, SURPRISE, LIBMF = "cmfrec", "surprise SVD", "libmf"
PYMANOPT, PYMANOPT_FULL = "pymanopt", "pymanopt, full products"
SVD, SOFT = "fancyimpute IterativeSVD", "fancyimpute SoftImpute"
PEERS = {
    CMFREC: peer(CMFREC, {"": peers.cmfrec}, sweeps=True),
    SURPRISE: peer(SURPRISE, stochastic(peers.surprise, peers.SURPRISE_STEPS)),
    LIBMF: peer(LIBMF, stochastic(peers.libmf, peers.LIBMF_STEPS)),
    PYMANOPT: peer(PYMANOPT, {"": peers.pymanopt}),
    PYMANOPT_FULL: peer(PYMANOPT_FULL, {"": partial(peers.pymanopt, forms_products=True)}, most=LARGEST_FULL),
    SVD: peer(SVD, {"": peers.iterative_svd}, most=LARGEST_FULL),
    SOFT: peer(SOFT, {"": peers.soft_impute}, most=LARGEST_FULL),
}
PACKAGES = {
    CMFREC: ("cmfrec",),
    SURPRISE: ("scikit-surprise",),
    LIBMF: ("libmf",),
    PYMANOPT: ("pymanopt",),
    PYMANOPT_FULL: ("pymanopt",),
    SVD: ("fancyimpute", "scikit-learn"),
    SOFT: ("fancyimpute", "scikit-learn"),
}
ROOM = Room(
    name="completion.complete",
    task="completion of matrices of low rank",
    cases=cases,
    contenders=[
        Contender("nearlinear", nearlinear(), role="ours"),
        Contender("nearlinear, als alone", nearlinear(solver="als", homotopy=False, maxiter=100), role="context"),
        Contender("nearlinear, cg alone", nearlinear(solver="cg", homotopy=False, maxiter=100), role="context"),
        *(Contender(name, prepare, packages=PACKAGES[name]) for name, prepare in PEERS.items()),
        Contender("implicit, Cholesky", implicit_sweeps(use_cg=False), role="context", packages=("implicit",)),
        Contender("implicit, CG", implicit_sweeps(use_cg=True), role="context", packages=("implicit",)),
    ],
    facts=facts,
    reference=lambda task: None,
    check=check,
    bound=f"{ERROR:g}, or {OVER_LIMIT:g} of what noise allows",
    summaries={
        "best peer": lambda contender: True,
        "best without stochastic gradients": lambda contender: contender.name not in (SURPRISE, LIBMF),
    },
    remark=(
        "U V^T has normal factors and entries of variance 1; known ones are drawn uniformly, ratio times the number "
        "k (2 n - k) of its parameters, and at least k + 1 in every row and column. Errors are of held-out entries, "
        "the root mean square relative to that of the values. Where the known entries have noise, of standard "
        f"deviation {NOISE:g}, the bound is {OVER_LIMIT:g} times the error of least squares linearised at the truth, "
        'for the same noise; "over noise" is what was reached of it. We stop by our own criterion, at a residual of '
        f"{ours.TOL:g}; at ratio 1.5 of {ours.TOL_OF_FEW[5]:g} for k = 5 and {ours.TOL_OF_FEW[10]:g} for k = 10. Peers "
        "have none that suits: each gets as few iterations as are enough, which were found beforehand, by trying, and "
        "are no part of its time; where none are enough, those with the least error, which "
        f'stands with it under "wrong". Tried was what takes up to {OF_OURS:g} times our own time on one thread, but '
        f"at least {SHORTEST:g} s and at most {LONGEST:g} s, {LONGEST_OF_LARGE:g} s from n = {SIZES[1]} on, or 1.25 "
        "times our own: who did not arrive counts with that. cmfrec is called with conjugate gradients, no biases, "
        f"lambda = {peers.NO_RIDGE:g}, float64 and entries times {peers.SCALE:g}, without which it stops too early; "
        "surprise and libmf (float32), which follow stochastic gradients on one thread, without lambda, by the best of "
        f"several steps, which were tried beforehand as well: {steps(peers.SURPRISE_STEPS)} over the root of k, and "
        f"{steps(peers.LIBMF_STEPS)}. pymanopt minimises on FixedRankEmbedded by conjugate gradients, with a sparse "
        "gradient and singular vectors to begin with, and does not form all entries of products, as it would without "
        f'three lines of its user\'s: "full products", up to n = {LARGEST_FULL} as is fancyimpute, which forms them, '
        "too. implicit solves another problem, the weighted one of implicit feedback, on the same pattern: "
        f'what counts there is "ms a sweep", an update of U and one of V, of {SWEEPS}. Ours "alone" are '
        "without the path of lambda, and end after 100 sweeps. Rates count k for each known entry, once."
    ),
    along=("n", {"k": 10, "ratio %": 300, "noisy": 0}),
    rate="10^9 entries x k/s",
    cap=CAP,
    counted=lambda task: task.longest,
    describe=describe,
    pictures={
        "phase.png": "How often matrices are completed against how much of them is known",
        "scaling.png": "The time of a sweep for each known entry and k",
    },
)

"""Entropic transport between clouds of points, without a matrix of all pairs, to an error of the marginals of 1e-9."""

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import nearlinear as nl
from bench.harness import Case, Contender, Room
from bench.ot import peers
from bench.ot.problems import TOLERANCE, cases_of
from nearlinear import _core

LARGEST_MATRIX = 10_000  # points: 800 MB of costs, of which most peers need several
PAIRS_AT_ONCE = 2**22
EXPONENTIALS_AT_ONCE = 2**14  # numbers that stay in the cache


@dataclass(frozen=True)
class Clouds:
    x: Any
    y: Any
    reg: float
    passes: int = 0  # that our solver takes

    @property
    def masses(self) -> Any:
        return np.full(len(self.x), 1 / len(self.x)), np.full(len(self.y), 1 / len(self.y))


def cases() -> list[Case]:
    return [
        *cases_of("clouds", clouds, [1000], [1e-2], quick=True),
        *cases_of("clouds", clouds, [10_000, 30_000], [1e-2, 1e-3]),
    ]


def clouds(n: int, reg: float) -> Clouds:
    """Two clouds of normal points in space, scaled so that the largest squared distance is near to 1, and not above."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(n, 3)), 0.7 * rng.normal(size=(n, 3)) + 0.5
    scale = np.linalg.norm(x, axis=1).max() + np.linalg.norm(y, axis=1).max()
    given = Clouds(x / scale, y / scale, reg)
    return replace(given, passes=nearlinear_sinkhorn(given)().n_passes)


def nearlinear_sinkhorn(given: Clouds) -> Callable[[], Any]:
    return lambda: nl.ot.sinkhorn(None, None, x=given.x, y=given.y, reg=given.reg, tol=TOLERANCE, plan=None)


def exponentials(given: Clouds) -> Callable[[], Any]:
    """Compute as many exponentials as our passes do, and nothing else."""
    threads = nl.get_num_threads()
    blocks = given.passes * len(given.x) * len(given.y) // EXPONENTIALS_AT_ONCE
    numbers = np.linspace(-30, 0, EXPONENTIALS_AT_ONCE)

    def compute(share: int) -> None:
        out = np.empty_like(numbers)
        for _ in range(share):
            _core.exp(numbers, out)

    pool = ThreadPoolExecutor(threads)
    return lambda: list(pool.map(compute, [blocks // threads] * threads))


def pot_lazy(given: Clouds) -> Callable[[], Any]:
    ot = peers.import_pot()
    return functools.partial(
        ot.bregman.empirical_sinkhorn,
        given.x,
        given.y,
        given.reg,
        isLazy=True,
        stopThr=TOLERANCE,
        numIterMax=peers.MANY,
    )


def pot_matrix(given: Clouds) -> Callable[[], Any] | None:
    if len(given.x) > LARGEST_MATRIX:
        return None
    ot = peers.import_pot()

    def solve() -> Any:
        C = ot.dist(given.x, given.y)
        threshold = peers.norm_of_columns(*C.shape)
        _, log = ot.sinkhorn(*given.masses, C, given.reg, stopThr=threshold, numItermax=peers.MANY, log=True)
        with np.errstate(divide="ignore"):
            return np.log(log["u"]), np.log(log["v"])

    return solve


def ott_online(given: Clouds) -> Callable[[], Any]:
    return ott(given, batch_size=512)


def ott_matrix(given: Clouds) -> Callable[[], Any] | None:
    return ott(given, batch_size=None) if len(given.x) <= LARGEST_MATRIX else None


def ott(given: Clouds, batch_size: int | None) -> Callable[[], Any]:
    jax = peers.import_jax()
    from ott.geometry.pointcloud import PointCloud
    from ott.problems.linear.linear_problem import LinearProblem
    from ott.solvers.linear.sinkhorn import Sinkhorn

    solver = Sinkhorn(threshold=TOLERANCE / 2, max_iterations=peers.OTT_MOST)

    def solve(x: Any, y: Any) -> Any:
        found = solver(LinearProblem(PointCloud(x, y, epsilon=given.reg, batch_size=batch_size)))
        return found.f / given.reg, found.g / given.reg

    points = jax.numpy.asarray(given.x), jax.numpy.asarray(given.y)
    try:
        compiled = jax.jit(solve).lower(*points).compile()
    except AttributeError as error:  # OTT uses what is not JAX's to promise
        raise ImportError(f"these versions of OTT and JAX do not fit: {str(error).splitlines()[0]}") from error
    return lambda: tuple(np.asarray(dual) for dual in compiled(*points))


def geomloss_annealed(given: Clouds) -> Callable[[], Any] | None:
    """Its costs are halved, and its regularisation with them; its plan has the masses as factors."""
    if len(given.x) > LARGEST_MATRIX:
        return None
    import torch
    from geomloss import SamplesLoss

    torch.set_num_threads(nl.get_num_threads())
    blur = (given.reg / 2) ** 0.5
    loss = SamplesLoss("sinkhorn", p=2, blur=blur, debias=False, potentials=True, backend="tensorized")
    x, y = torch.from_numpy(given.x), torch.from_numpy(given.y)

    def solve() -> Any:
        f, g = (dual.numpy().ravel() for dual in loss(x, y))
        return tuple(dual / blur**2 + np.log(mass) for dual, mass in zip((f, g), given.masses, strict=True))

    return solve


def check(given: Clouds, reference: None, duals: Any, contender: Contender) -> float:
    """Return the error of the marginals of the plan with these duals, which are those of its logarithm."""
    f, g = duals
    rows, columns = np.zeros(len(given.x)), np.zeros(len(given.y))
    squares = (given.y**2).sum(axis=1)
    size = max(1, PAIRS_AT_ONCE // len(given.y))
    for begin in range(0, len(given.x), size):
        x = given.x[begin : begin + size]
        C = (x**2).sum(axis=1)[:, None] + squares - 2 * x @ given.y.T
        P = np.exp(f[begin : begin + size, None] + g - C / given.reg)
        rows[begin : begin + size] = P.sum(axis=1)
        columns += P.sum(axis=0)
    a, b = given.masses
    return float(np.abs(rows - a).sum() + np.abs(columns - b).sum()) / TOLERANCE


def facts(given: Clouds) -> dict[str, int]:
    n, m = len(given.x), len(given.y)
    return {"n": n, "m": m, "1 / reg": round(1 / given.reg), "passes": given.passes, "operations": n * m}


def describe(result: Any, contender: Contender) -> dict[str, float]:
    if contender.role != "ours":
        return {}
    return {"iterations": result.nit, "Newton steps": result.n_newton, "passes": result.n_passes}


ROOM = Room(
    name="ot.point_clouds",
    task="entropic optimal transport between clouds of points",
    cases=cases,
    contenders=[
        Contender(
            "nearlinear",
            nearlinear_sinkhorn,
            role="ours",
            export=lambda result: (result.f / result.reg, result.g / result.reg),
        ),
        Contender("POT, lazy", pot_lazy, packages=("POT",)),
        Contender("POT, matrix", pot_matrix, packages=("POT",)),
        Contender("OTT, online", ott_online, packages=("ott-jax",)),
        Contender("OTT, matrix", ott_matrix, packages=("ott-jax",)),
        Contender("geomloss, annealed", geomloss_annealed, role="context", packages=("geomloss", "torch")),
        Contender("exponentials alone", exponentials, role="limit"),
    ],
    facts=facts,
    reference=lambda given: None,
    check=check,
    bound="1e-9 = |P 1 - a|_1 + |P' 1 - b|_1",
    tolerance=1.001,  # sums are rounded
    summaries={"best peer": lambda contender: True},
    remark=(
        "Contenders give the dual variables, and no plan. The limit is as many exponentials as our passes take, of "
        f"numbers in the cache. Who stores a matrix of all pairs takes part up to {LARGEST_MATRIX} points. So does "
        "geomloss, which stops at the end of its schedule and at no tolerance: the error is what it reaches."
    ),
    rate="10^9 pairs/s",
    cap=60.0,
    describe=describe,
)

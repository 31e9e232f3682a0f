"""Many problems of entropic optimal transport at once."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from nearlinear import _core, _inputs, _progress
from nearlinear.ot._problem import (
    Problem,
    bad_entries_named,
    check_cost,
    check_entries,
    check_masses,
    check_positive,
    check_reg_marginals,
    check_sums,
)
from nearlinear.ot._result import PlanForm, SinkhornResult, make_result
from nearlinear.ot._sinkhorn import check_form, check_options, warn_unless_converged


class SinkhornBatch(Sequence[SinkhornResult]):
    """
    What `sinkhorn_batch` returns: a sequence of `SinkhornResult`, and what they have in common as arrays.

    Attributes
    ----------
    success : bool
        Whether all problems reached the tolerance.
    status : ndarray of int, shape (k,)
        Of each problem, as in `SinkhornResult`.
    nit, n_newton, n_passes : ndarray of int, shape (k,)
        Iterations, Newton steps, and passes.
    value, cost, marginal_error : ndarray of float64, shape (k,)
        As in `SinkhornResult`.
    f, g : ndarray of float64, shape (k, n) and (k, m), or lists of vectors
        Dual variables; lists where sizes differ.
    """

    def __init__(
        self,
        found: list[tuple[Any, ...]],
        duals: tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]],
        problems: list[Problem],
        options: dict[str, Any],
    ):
        self._found, self._duals, self._problems, self._options = found, duals, problems, options
        columns = [np.array(column) for column in zip(*(row[:7] for row in found), strict=True)] or [np.zeros(0)] * 7
        self.status = columns[0].astype(int)
        self.success = bool((self.status == 0).all())
        self.value, self.cost, self.marginal_error = columns[1:4]
        self.nit, self.n_newton, self.n_passes = (column.astype(int) for column in columns[4:7])
        self.f, self.g = (_stacked(vectors) for vectors in duals)

    def __len__(self) -> int:
        """Return the number of problems."""
        return len(self._found)

    @overload
    def __getitem__(self, k: int) -> SinkhornResult: ...
    @overload
    def __getitem__(self, k: slice) -> list[SinkhornResult]: ...
    def __getitem__(self, k: int | slice) -> SinkhornResult | list[SinkhornResult]:
        """Return the result of problem k, or a list of several."""
        if isinstance(k, slice):
            return [self[i] for i in range(*k.indices(len(self)))]
        f, g = (vectors[k] for vectors in self._duals)
        return make_result(self._found[k], f, g, self._problems[k], **self._options)

    def __iter__(self) -> Iterator[SinkhornResult]:
        """Return the results in order."""
        return (self[k] for k in range(len(self)))

    def __repr__(self) -> str:
        """Say how many there are and how many converged."""
        converged = int((self.status == 0).sum())
        return f"<SinkhornBatch of {len(self)} problems, {converged} of them converged>"


def sinkhorn_batch(
    A: ArrayLike | Sequence[ArrayLike] | None,
    B: ArrayLike | Sequence[ArrayLike] | None,
    C: ArrayLike | Sequence[ArrayLike] | None = None,
    *,
    x: ArrayLike | Sequence[ArrayLike] | None = None,
    y: ArrayLike | Sequence[ArrayLike] | None = None,
    metric: Literal["sqeuclidean", "euclidean", "cityblock", "cosine"] = "sqeuclidean",
    reg: float,
    method: Literal["auto", "sns", "sinkhorn"] = "auto",
    tol: float = 1e-9,
    maxiter: int | None = None,
    plan: PlanForm = "dense",
    reg_marginals: float | tuple[float, float] | None = None,
    dtype: DTypeLike | None = None,
    n_threads: int | None = None,
    callback: _inputs.Callback | None = None,
    verbose: _progress.Verbose = False,
) -> SinkhornBatch:
    r"""
    Entropic optimal transport between many pairs of masses, as `sinkhorn` does between one.

    Parameters
    ----------
    A, B : array_like of shape (k, n) and (k, m), lists of k vectors, or None
        Masses of the k problems, one per row. A vector is shared by all of them. None: equal masses. Lists may hold
        vectors of different sizes.
    C : array_like of shape (n, m) or (k, n, m), or a list of k matrices, optional
        Costs: one matrix for all problems, or one for each.
    x, y : array_like of shape (n, d) or (k, n, d), or lists of k clouds, optional
        Points in place of `C`, shared or for each problem.
    metric, reg, method, tol, maxiter, plan, reg_marginals, dtype
        As for `sinkhorn`, the same for all problems.
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`. Where there are at least as many
        problems as threads, each is solved by one of them.
    callback : callable, optional
        Called as ``callback(fraction_done)`` every 50 ms or so; returning True stops the call, which then raises
        `nearlinear.Interrupted`.
    verbose : bool or "progress", default False
        True logs progress to the logger "nearlinear"; "progress" shows a tqdm bar where tqdm is installed.

    Returns
    -------
    results : SinkhornBatch
        A sequence of `SinkhornResult`, whose numbers are also there as arrays.

    Warns
    -----
    SinkhornWarning
        If a problem does not reach the tolerance.

    Raises
    ------
    ValueError
        If numbers of problems differ, or for what `sinkhorn` refuses; the message says which problem it is.

    See Also
    --------
    sinkhorn

    Examples
    --------
    >>> import numpy as np
    >>> import nearlinear as nl
    >>> A, B = [[0.5, 0.5], [0.25, 0.75]], [[0.5, 0.5], [0.5, 0.5]]
    >>> results = nl.ot.sinkhorn_batch(A, B, np.array([[0, 1], [1, 0]]), reg=0.1)
    >>> results.cost.round(3)
    array([0.  , 0.25])
    >>> results[1].plan.round(3)
    array([[0.25, 0.  ],
           [0.25, 0.5 ]])
    """
    given = {
        "A": _each(A, ndim=1),
        "B": _each(B, ndim=1),
        "C": _each(C, ndim=2),
        "x": _each(x, ndim=2),
        "y": _each(y, ndim=2),
    }
    counts = {name: len(value) for name, value in given.items() if isinstance(value, list)}
    if not counts:
        raise ValueError("A, B, C, x and y are of a single problem each; use sinkhorn")
    count = next(iter(counts.values()))
    if any(other != count for other in counts.values()):
        found = ", ".join(f"{name} has {number}" for name, number in counts.items())
        raise ValueError(f"{found} problems; all must have as many")
    penalties = check_reg_marginals(reg_marginals)
    problems = _problems(given, count, metric, dtype, is_soft=penalties != (np.inf, np.inf))
    number = check_positive("reg", reg)
    options = check_options(method, tol, maxiter, penalties)
    check_form(plan)
    threads = _inputs.check_n_threads(n_threads)

    costs = [problem.cost for problem in problems]
    f = [np.zeros(cost.shape[0]) for cost in costs]
    g = [np.zeros(cost.shape[1]) for cost in costs]
    is_single = all(cost.dtype == np.float32 for cost in costs)
    if not is_single:
        costs = [cost._replace(first=_as_double(cost.first), y=_as_double(cost.y)) for cost in costs]
    solve: Any = _core.sinkhorn_batch32 if is_single else _core.sinkhorn_batch64
    named = {f"problem {k}: ": problem.cost for k, problem in enumerate(problems)}
    with bad_entries_named(named), _progress.watch("sinkhorn_batch", callback, verbose) as keep_going:
        found_by_core = solve(
            [problem.a for problem in problems],
            [problem.b for problem in problems],
            [cost.first for cost in costs],
            [cost.y for cost in costs],
            costs[0].metric if costs else "",
            f,
            g,
            number,
            *options,
            n_threads=threads,
            callback=keep_going,
        )
    form = {"reg": number, "reg_marginals": penalties, "plan": plan, "n_threads": threads}
    results = SinkhornBatch(found_by_core, (f, g), problems, form)
    failed = np.flatnonzero(results.status)
    if failed.size > 0:
        first = results[int(failed[0])]
        warn_unless_converged(
            f"sinkhorn_batch: {failed.size} of {count} problems, the first of them number {failed[0]}", first, 3
        )
    return results


def _each(value: Any, ndim: int) -> Any:
    """Return a list with one entry per problem, or the entry that all share, or None."""
    if value is None:
        return None
    if isinstance(value, list | tuple) and len(value) > 0 and np.ndim(value[0]) == ndim:
        return list(value)
    array = np.asarray(value)
    return list(array) if array.ndim == ndim + 1 else value


def _problems(
    given: dict[str, Any], count: int, metric: str, dtype: DTypeLike | None, *, is_soft: bool
) -> list[Problem]:
    problems: list[Problem] = []
    shares_cost = not any(isinstance(given[name], list) for name in "Cxy")
    for k in range(count):
        A, B, C, x, y = (value[k] if isinstance(value, list) else value for value in given.values())
        try:
            cost = problems[0].cost if problems and shares_cost else check_cost(C, x, y, metric, dtype)
            problem = Problem(cost, check_masses("A", A, cost.shape[0]), check_masses("B", B, cost.shape[1]))
            check_sums(problem.a, problem.b, equal=not is_soft)
            if not (problem.a.all() and problem.b.all()):
                check_entries(cost)
        except (TypeError, ValueError) as error:
            raise type(error)(f"problem {k}: {error}") from None
        problems.append(problem)
    return problems


def _as_double(array: NDArray[np.floating]) -> NDArray[np.float64]:
    return array.astype(np.float64, copy=False)


def _stacked(vectors: list[NDArray[np.float64]]) -> Any:
    if len({vector.size for vector in vectors}) != 1:
        return vectors
    return np.stack(vectors)

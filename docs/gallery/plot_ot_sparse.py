r"""
Plans with few entries
======================

An entropic plan has no zeros. Where each target can be served by a few sources only, by the nearest warehouses, say,
:func:`nearlinear.ot.sparse_plan` limits the entries of every column, keeps both marginals, and says by how much a plan
could be better at most.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from matplotlib.figure import Figure
from scipy.spatial.distance import cdist

import nearlinear as nl

folder = TemporaryDirectory()
pictures = Path(folder.name)

# %%
# **What plans look like.** Forty sources, forty targets, equal masses. With one entry per column the plan is a
# matching; with two and three it splits where that helps; without a limit it is that of quadratic transport.
rng = np.random.default_rng(0)
n, reg = 40, 1.0
x, y = rng.normal(size=(n, 2)), 0.7 * rng.normal(size=(n, 2)) + 0.7
C = cdist(x, y, "sqeuclidean")
C /= C.max()

figure = Figure(figsize=(12, 3.4), layout="constrained")
for axes, k in zip(figure.subplots(1, 4, sharex=True, sharey=True), (1, 2, 3, n), strict=True):
    result = nl.ot.sparse_plan(None, None, C, reg=reg, max_nz=k)
    assert result.feasible
    rows, cols = result.plan.tocoo().coords
    for i, j, mass in zip(rows, cols, result.plan.tocoo().data, strict=True):
        axes.plot(*np.transpose([x[i], y[j]]), color="0.3", linewidth=2.5 * mass * n, alpha=0.8)
    axes.plot(*x.T, "o", color="C0", markersize=4, label="sources")
    axes.plot(*y.T, "o", color="C1", markersize=4, label="targets")
    axes.set(title=f"at most {k}: {result.plan.nnz} entries" if k < n else f"no limit: {result.plan.nnz} entries")
    axes.set(aspect="equal", xticks=[], yticks=[])
axes.legend(loc="lower right", frameon=False, fontsize=8)
figure.savefig(pictures / "plans.png", dpi=130)

# %%
# **How good they are.** Between the lower bound and the value of the plan lies the best plan. Without the wish for
# feasible plans, the result is what the bound implies, as the gradient of the dual does in other packages: where the
# limit binds, a part of the mass is in the wrong rows.
n = 200
x, y = rng.normal(size=(n, 3)), 0.7 * rng.normal(size=(n, 3)) + 0.5
C = cdist(x, y, "sqeuclidean")
C /= C.max()
limits = [1, 2, 3, 4, 5, 6, 8, 10, 15]
found = [nl.ot.sparse_plan(None, None, C, reg=reg, max_nz=k) for k in limits]
implied = [nl.ot.sparse_plan(None, None, C, reg=reg, max_nz=k, feasible=False) for k in limits]
for k, plan, bound in zip(limits, found, implied, strict=True):
    misplaced = abs(bound.plan.sum(axis=1) - 1 / n).sum() / 2
    gap = max(plan.gap, 0) / plan.primal_value
    print(f"k = {k:2}: gap {gap:8.4%}, the bound's plan misplaces {misplaced:6.2%} of the mass")

figure = Figure(figsize=(10, 4), layout="constrained")
values, errors = figure.subplots(1, 2)
values.plot(limits, [plan.primal_value for plan in found], "o-", markersize=4, label="plan")
values.plot(limits, [plan.dual_value for plan in found], "o--", markersize=4, label="lower bound")
values.set(xlabel="entries per column, at most", ylabel="value", title="Plans and what bounds them")
values.legend(frameon=False)
for results, label in ((implied, "implied by the bound"), (found, "returned")):
    errors.semilogy(limits, [max(plan.marginal_error, 1e-17) for plan in results], "o-", markersize=4, label=label)
errors.set(xlabel="entries per column, at most", ylabel="marginal error", title="What plans miss")
errors.legend(frameon=False)
figure.savefig(pictures / "values.png", dpi=130)

# %%
# **Tokens and experts.** A router of a mixture of experts has a score for each token and expert. Top-k routing
# overloads the experts that all tokens like; dropping what exceeds the capacity loses scores.
# :func:`nearlinear.ot.route` finds the assignment within capacity that keeps the most.
tokens, experts, k = 2048, 16, 2
logits = rng.normal(size=(tokens, experts)) + 0.5 * rng.normal(size=experts)
scores = np.exp(logits)
scores /= scores.sum(axis=1, keepdims=True)
capacity = tokens * k // experts
best = np.argsort(-scores, axis=1)[:, :k]
loads = {"top-k": np.bincount(best.ravel(), minlength=experts)}
kept = np.zeros(experts, dtype=int)
greedy_score = 0.0
for choice in range(k):
    for token in range(tokens):
        expert = best[token, choice]
        if kept[expert] < capacity:
            kept[expert] += 1
            greedy_score += scores[token, expert]
loads["greedy, drops the rest"] = kept
assignment, certificate = nl.ot.route(scores, capacity, k, certificate=True)
loads["nl.ot.route"] = np.bincount(assignment.indices, minlength=experts)
top_score = np.take_along_axis(scores, best, axis=1).sum()
print(f"kept of the score of top-k: greedy {greedy_score / top_score:.1%}, route {certificate.score / top_score:.1%}")

figure = Figure(figsize=(8, 3.6), layout="constrained")
axes = figure.subplots()
order = np.argsort(-loads["top-k"])
for shift, (name, load) in zip((-0.27, 0, 0.27), loads.items(), strict=True):
    axes.bar(np.arange(experts) + shift, load[order], width=0.27, label=name)
axes.axhline(capacity, color="0.4", linestyle="--", linewidth=1, label="capacity")
axes.set(xlabel="expert, the most popular first", ylabel="tokens", title="How many tokens experts get")
axes.legend(frameon=False)
figure.savefig(pictures / "experts.png", dpi=130)

r"""
How to choose the regularisation
================================

The entropy makes the plan unique, smooth and quick to compute, and it blurs it. How much, ``reg`` says, measured by the
range of the costs. Three questions: what does the plan look like, how much more does it cost than the exact one, and
how long does it take?
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import scipy.sparse as sp
from matplotlib.figure import Figure
from scipy.optimize import linear_sum_assignment, linprog
from scipy.spatial.distance import cdist

import nearlinear as nl
from nearlinear.demo import timed

folder = TemporaryDirectory()
pictures = Path(folder.name)

# %%
# **What the plan looks like.** Two heaps on a line, with squared distances as costs. On a line the exact plan is known:
# it keeps the order, and sends the point below which a share of the first heap lies to the one below which the same
# share of the second does. An entropic plan spreads what is at a point over a width of about
# :math:`\sqrt{\mathrm{reg}}`. That tells what ``reg`` means: the square of a distance over which differences do not
# matter, and for other costs a difference of costs that does not matter.
line = (np.arange(200) + 0.5) / 200
first = np.exp(-(((line - 0.3) / 0.1) ** 2) / 2)
second = np.exp(-(((line - 0.35) / 0.06) ** 2) / 2) + 0.7 * np.exp(-(((line - 0.75) / 0.08) ** 2) / 2)
first, second = first / first.sum(), second / second.sum()
C = (line[:, np.newaxis] - line) ** 2
exact_map = np.interp(np.cumsum(first) - first / 2, np.cumsum(second) - second / 2, line)

figure = Figure(figsize=(10, 4), layout="constrained")
for axes, reg in zip(figure.subplots(1, 3, sharey=True), (1e-1, 1e-2, 1e-3), strict=True):
    plan = nl.ot.sinkhorn(first, second, C, reg=reg).plan
    of_one_point = plan / plan.max(axis=1, keepdims=True)
    axes.imshow(of_one_point.T, origin="lower", extent=(0, 1, 0, 1), cmap="Greys", aspect="auto")
    axes.plot(line, exact_map, color="C1", linewidth=1.2, label="exact plan")
    axes.set(title=f"reg = {reg:g}", xlabel="from", xlim=(0, 0.6), ylabel="to")
    axes.label_outer()
axes.legend(loc="lower right", frameon=False)
figure.suptitle("Where the mass of each point goes, darkest where most of it does")
figure.savefig(pictures / "plans.png", dpi=130)

# %%
# **What it costs.** For masses with the sum 1, and H the entropy,
#
# .. math:: 0 \le \langle C, P \rangle - \langle C, P^* \rangle \le \mathrm{reg} \min(H(a), H(b)) \le
#           \mathrm{reg} \log n
#
# is how far the cost of the plan P is above that of the exact plan :math:`P^*`. Clouds of points in the plane show how
# far it is in fact. :func:`nearlinear.ot.exact` finds the exact plan; it is checked against SciPy's assignment where
# both clouds have equally many points of equal mass, and otherwise against a linear program with :math:`n^2` unknowns.
rng = np.random.default_rng(0)


def squared_distances(n):
    C = cdist(rng.normal(size=(n, 2)), 0.6 * rng.normal(size=(n, 2)) + 1, "sqeuclidean")
    return C / C.max()


def assignment(a, b, C):
    return C[linear_sum_assignment(C)].mean()


def linear_program(a, b, C):
    n, m = C.shape
    sums = sp.vstack([sp.kron(sp.eye_array(n), np.ones((1, m))), sp.kron(np.ones((1, n)), sp.eye_array(m))])
    return linprog(C.ravel(), A_eq=sums.tocsr(), b_eq=np.concatenate([a, b])).fun


def equal(n):
    return np.full(n, 1 / n)


problems = {
    "n = 500, equal masses": (assignment, equal(500), equal(500), squared_distances(500)),
    "n = 100, equal masses": (assignment, equal(100), equal(100), squared_distances(100)),
    "n = 100, unequal masses": (linear_program, *rng.dirichlet(np.ones(100), size=2), squared_distances(100)),
}

# %%
# The largest cost is 1, so that a marginal error of 1e-9 changes a cost by no more than that.
regs = np.logspace(-5, 0, 16)
figure = Figure(figsize=(10, 4.5), layout="constrained")
costs, times = figure.subplots(1, 2)
for (name, (reference, a, b, C)), color in zip(problems.items(), ("C0", "C2", "C1"), strict=True):
    exact, exact_seconds = timed(lambda problem=(a, b, C): nl.ot.exact(*problem).cost)
    assert abs(exact - reference(a, b, C)) <= 1e-9
    print(f"{name}: exact cost {exact:.6f}, in {exact_seconds:.4f} s")
    excess, seconds = [], []
    for reg in regs:
        result, spent = timed(lambda problem=(a, b, C), reg=reg: nl.ot.sinkhorn(*problem, reg=reg))
        assert -1e-9 <= result.cost - exact <= reg * np.log(len(a)) + 1e-9
        excess.append(result.cost - exact)
        seconds.append(spent)
    for k in range(0, len(regs), 3):
        print(f"    reg {regs[k]:.0e}: {excess[k] / exact:9.4%} more, in {seconds[k]:.4f} s")
    costs.loglog(regs, np.array(excess) / exact, "o-", color=color, markersize=4, label=name)
    costs.loglog(regs, regs * np.log(len(a)) / exact, ":", color=color)
    times.loglog(regs, seconds, "o-", color=color, markersize=4, label=name)
    times.axhline(exact_seconds, color=color, linestyle="--")
costs.plot([], [], ":", color="0.4", label="at most, reg log n")
times.plot([], [], "--", color="0.4", label="exact plan")
costs.set(xlabel="reg, in units of the largest cost", ylabel="cost above the exact one, relative", ylim=(1e-8, 100))
costs.set_title("What the entropy costs")
times.set(xlabel="reg, in units of the largest cost", ylabel="seconds", title="How long it takes")
costs.legend(loc="lower right", frameon=False)
figure.savefig(pictures / "bias.png", dpi=130)

# %%
# **What to choose.** For comparing, matching and mapping clouds, 1e-2 to 1e-3 of the range of the costs is quick, and
# the result smooth besides. A cost that is right to a part in a thousand needs 1e-4 or less. The bound is a safe guess,
# and ten times too large or more where ``reg`` is small.
#
# **When the exact problem is the better one.** Where the exact cost or plan is what is wanted, or ``reg`` would have to
# be below 1e-4: time has gone up by then, and some excess and a plan without zeros are left. Where there are few
# points: a hundred are assigned to a hundred before any but a blurred plan is there. And where the plan is to be a
# matching, which an entropic one never is. The dashed lines are the times of :func:`nearlinear.ot.exact`.

r"""
One coefficient at a time
=========================

The residual of a sketched problem :math:`\min |S (A x - b)|` is close to the best for every sketch that keeps lengths.
That its *coefficients* are close to the exact ones, each of them, is more, and not every sketch does that. How far they
are off at most is measured here as

.. math:: \epsilon_\infty = \frac{\sqrt d \, \|x' - x^*\|_\infty}{\|b - A x^*\|_2 \, \|A^+\|_2}

on the problem that is hard for it: :math:`A = [I_d; 0]`, and b has k entries :math:`k^{-1/2}` right below the identity.
The exact solution is 0, the residual is b, and both norms below the line are 1. Where a row of b meets a row of A in
the sketch, the coefficient takes what there is to take.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import t as student

import nearlinear as nl

folder = TemporaryDirectory()
pictures = Path(folder.name)

d, delta = 32, 0.05
spreads = (1, 32)  # k
sizes = np.array([256, 512, 1024, 2048])  # m
seeds = range(100)
kinds = ("gaussian", "srht", "block-hadamard", "pooled", "sjlt", "countsketch")

# Rows of zeros add nothing to any sketch, whatever their number is, and are left out.
A = np.eye(d + max(spreads), d)
b = np.zeros((len(A), len(spreads)))
for column, k in enumerate(spreads):
    b[d : d + k, column] = k**-0.5


def gaussian_bound(m, d, delta):
    """The bound that Gaussian sketches keep to with probability 1 - delta, from Student's distribution."""
    freedom = m - d + 1
    return np.sqrt(d / freedom) * student.ppf(1 - delta / (2 * d), freedom)


# %%
# **Errors.** For each kind of sketch and each m, a hundred seeds. What counts is the error that is exceeded in one of
# twenty cases. The line is the bound for Gaussian sketches, which follows from the t distribution; it needs no
# experiment, and :func:`nearlinear.sketch.sketch_rows` solves it for m.
#
# The transforms keep to it. A collision in a CountSketch moves a coefficient by :math:`k^{-1/2}`, and in "sjlt", whose
# columns have eight entries, each by an eighth of that; more rows make collisions rarer and not smaller. For k = 1
# there is one row that can collide: with a CountSketch all is exact, below the frame, or one coefficient is off by the
# whole residual. For k = 32 there are many rows that can.
errors = {}  # of a kind: sizes x seeds x spreads
covered = {}  # whether the 95 % interval of a coefficient holds 0, in the mean over coefficients
for kind in kinds:
    found = [
        [nl.sketch.lstsq(A, b, method="sketch-solve", sketch=kind, m=int(m), seed=seed) for seed in seeds]
        for m in sizes
    ]
    errors[kind] = np.sqrt(d) * np.array([[abs(result.x).max(axis=0) for result in row] for row in found])
    inside = [[np.prod(np.sign(result.conf_int(0.95)), axis=-1) <= 0 for result in row] for row in found]
    covered[kind] = np.mean(inside, axis=(1, 2))  # sizes x spreads

print(f"{'exceeded in 5 % of cases':<24}" + "".join(f"  m = {m:<6}" for m in sizes))
print(f"{'bound, gaussian':<24}" + "".join(f"  {gaussian_bound(m, d, delta):<10.2f}" for m in sizes))
for column, k in enumerate(spreads):
    for kind in kinds:
        quantiles = np.quantile(errors[kind][:, :, column], 1 - delta, axis=1)
        print(f"{f'k = {k}, {kind}':<24}" + "".join(f"  {quantile:<10.2f}" for quantile in quantiles))

figure = Figure(figsize=(11, 4.4), layout="constrained")
styles = dict(zip(kinds, ("o", "s", "^", "v", "D", "X"), strict=True))
for column, (axes, k) in enumerate(zip(figure.subplots(1, 2, sharey=True), spreads, strict=True)):
    for kind, marker in styles.items():
        quantiles = np.quantile(errors[kind][:, :, column], 1 - delta, axis=1)
        axes.loglog(sizes, np.maximum(quantiles, 1e-9), marker + "-", markersize=5, label=kind)
    axes.loglog(sizes, gaussian_bound(sizes, d, delta), "k--", linewidth=1, label="bound for gaussian")
    axes.axhline(np.sqrt(d / k), color="0.6", linestyle=":", linewidth=1)
    axes.text(0.95 * sizes[-1], np.sqrt(d / k), r"$\sqrt{d/k}$", ha="right", va="bottom", color="0.4")
    if k == 1:
        axes.axhline(np.sqrt(d) / 8, color="0.6", linestyle=":", linewidth=1)
        axes.text(sizes[0], np.sqrt(d) / 8.3, r"$\sqrt{d}\,/\,8$", va="top", color="0.4")
    axes.set(xlabel="rows m of the sketch", title=f"k = {k}")
    axes.set_xticks(sizes, [str(m) for m in sizes], minor=False)
    axes.minorticks_off()
    axes.set(ylim=(0.1, 8))
figure.axes[0].set(ylabel=r"$\epsilon_\infty$, exceeded in 5 % of cases")
figure.axes[1].legend(frameon=False, fontsize=8, loc="lower left")
figure.savefig(pictures / "errors.png", dpi=130)

for kind in kinds[:4]:
    quantiles = np.quantile(errors[kind], 1 - delta, axis=1)
    assert (quantiles < 1.2 * gaussian_bound(sizes, d, delta)[:, np.newaxis]).all()
assert np.isclose(np.quantile(errors["countsketch"][-1, :, 1], 1 - delta), np.sqrt(d / spreads[1]))

# %%
# **Error bars.** A sketch does not know the exact solution, but it knows how far it may be off: the intervals hold what
# they should of the exact coefficients, 95 %, where the kind is one that keeps to the bound. The shares of a
# CountSketch mislead: for k = 1 the residual of the sketch is 0 where rows collide, all intervals have the length 0,
# and one coefficient is off without a hint.
print(f"{'in their intervals':<24}" + "".join(f"  m = {m:<6}" for m in sizes))
for column, k in enumerate(spreads):
    for kind in kinds:
        shares = covered[kind][:, column]
        print(f"{f'k = {k}, {kind}':<24}" + "".join(f"  {share:<10.1%}" for share in shares))
assert all(abs(covered[kind] - 0.95).max() < 0.02 for kind in kinds[:4])

# %%
# **How often rows collide.** The share of CountSketches whose worst coefficient is off by at least half of the plateau.
for column, k in enumerate(spreads):
    large = (errors["countsketch"][:, :, column] >= 0.5 * np.sqrt(d / k)).mean(axis=1)
    print(f"{f'k = {k}':<24}" + "".join(f"  m = {m}: {share:4.0%}" for m, share in zip(sizes, large, strict=True)))

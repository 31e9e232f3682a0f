r"""
Which training images does a prediction rest on?
================================================

A logistic regression tells ones from eights. What if one of its m training images had not been there? To answer, one
can fit again without it, m times; influence functions answer from a single fit. It minimises

.. math:: L(w) = \frac1m \sum_i \ell_i(w) + \frac{\lambda}{2} \|w\|^2 , \qquad
          \ell_i(w) = \log \bigl( 1 + e^{-y_i x_i^T w} \bigr) , \quad y_i = \pm 1 .

**Scale.** To leave image i out is to take :math:`\frac1m \ell_i` away: the sum goes over one term less, and is still
divided by m, so that the weight of the penalty stays what it was.

**Sign.** The gradient of what is left is then :math:`-\frac1m \nabla \ell_i` at w, and a Newton step with the Hessian H
of L goes to :math:`w + \frac1m H^{-1} \nabla \ell_i`. A loss :math:`\ell` on other images changes by

.. math:: \Delta_i = +\frac1m \nabla \ell^T H^{-1} \nabla \ell_i .

Positive: without the image the loss is higher, so the image helps. The influence function of Koh and Liang,
:math:`-\nabla \ell^T H^{-1} \nabla \ell_i`, is the derivative by an additional weight of image i; it is
:math:`-m \Delta_i`, with the other sign.

**Hessian.** With :math:`p_i = 1 / (1 + e^{-x_i^T w})` it is exactly of the form that
:class:`nearlinear.fisher.FisherInverse` inverts, with rows that are no gradients but have their directions:

.. math:: H = \lambda I + \frac1m \sum_i h_i h_i^T , \qquad h_i = \sqrt{p_i (1 - p_i)} \, x_i .

For other models, gradients in place of the :math:`h_i` make the empirical Fisher matrix, which is not the Hessian and
often good enough.
"""

from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from matplotlib.figure import Figure

import nearlinear as nl

folder = TemporaryDirectory()
pictures = Path(folder.name)

# %%
# The pixels and their products of two are 2144 numbers per image, scaled to norm 1.
numbers = np.loadtxt(str(files("nearlinear.demo") / "data" / "digits.csv.gz"), delimiter=",")
numbers = np.random.default_rng(0).permutation(numbers[np.isin(numbers[:, 64], [1, 8])])
pixels, y = numbers[:, :64] / 16, np.where(numbers[:, 64] == 1, 1.0, -1.0)
i, j = np.triu_indices(64)
X = np.concatenate([pixels, pixels[:, i] * pixels[:, j]], axis=1)
X /= np.linalg.norm(X, axis=1, keepdims=True)
X, y, X_test, y_test = X[:200], y[:200], X[200:], y[200:]
m, d = X.shape
damping = 1e-3


# %%
# Newton's method fits, with weights of 1 or, for an image that is left out, 0. The certificate is the gradient: L is
# strictly convex, so that the minimum is where it is 0.
def derivatives(w, weights):
    """First and second derivatives of each loss by x^T w."""
    p = 1 / (1 + np.exp(y * (X @ w)))
    return -weights * y * p, weights * p * (1 - p)


def inverse_hessian(w, weights):
    _, curvature = derivatives(w, weights)
    return nl.fisher.FisherInverse(np.sqrt(curvature)[:, np.newaxis] * X, damping)


def fit(weights, w):
    for _ in range(20):
        slope, _ = derivatives(w, weights)
        gradient = X.T @ slope / m + damping * w
        if np.linalg.norm(gradient) < 1e-12:
            return w
        w = w - inverse_hessian(w, weights).matvec(gradient)
    raise AssertionError("no convergence")


def test_loss(w):
    return np.logaddexp(0, -y_test * (X_test @ w)).mean()


w = fit(np.ones(m), np.zeros(d))
print(f"{d} weights, {m} images, {(np.sign(X_test @ w) == y_test).mean():.3f} of {len(y_test)} others read right")

# %%
# One product with the inverse of H, for the loss on the other images, and an inner product with each gradient.
gradient_test = X_test.T @ (-y_test / (1 + np.exp(y_test * (X_test @ w)))) / len(y_test)
slope, _ = derivatives(w, np.ones(m))
predicted = slope * (X @ inverse_hessian(w, np.ones(m)).matvec(gradient_test)) / m

# %%
# Fit again without each.
actual = np.array([test_loss(fit(1.0 - np.eye(m)[k], w)) for k in range(m)]) - test_loss(w)
correlation = np.corrcoef(predicted, actual)[0, 1]
print(f"correlation of the predicted changes of the loss with the actual ones: {correlation:.4f}")
assert correlation > 0.99
largest = np.argsort(-np.abs(actual))[: m // 4]
assert (np.sign(predicted[largest]) == np.sign(actual[largest])).all()

# %%
# To first order the large changes come out too small: without an image the curvature is less, too. The images that help
# most and those that harm most are the ones that are hard to read.
figure = Figure(figsize=(10, 4), layout="constrained")
left, right = figure.subfigures(1, 2)
axes = left.subplots()
axes.axline((0, 0), slope=1, color="0.7", linewidth=1)
axes.plot(1e4 * predicted, 1e4 * actual, "o", markersize=4, alpha=0.6)
axes.set(xlabel="predicted change of the loss, 1e-4", ylabel="actual change, 1e-4", title="One image left out")
axes.grid(alpha=0.3)
order = np.argsort(actual)
shown = {"help most": order[:-5:-1], "harm most": order[:4]}
for row, (title, chosen) in zip(right.subplots(2, 4), shown.items(), strict=True):
    row[0].set_ylabel(title)
    for axes, k in zip(row, chosen, strict=True):
        axes.imshow(numbers[k, :64].reshape(8, 8), cmap="Greys")
        axes.set(xticks=[], yticks=[], title="1" if y[k] > 0 else "8")
figure.savefig(pictures / "influence.png", dpi=130)

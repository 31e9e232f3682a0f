"""Windows beside lists of the gradients that they hold."""

import numpy as np

import nearlinear as nl
from tests.fisher import reference
from tests.fisher.reference import assert_columns_close, relative_bound

Window = nl.fisher.SlidingFisherInverse


class Model:
    """A list of gradients beside a window; `check` compares all that the window tells with the definitions."""

    def __init__(self, n_params, window, damping, normalize="count", **options):
        self.sliding = Window(n_params, window, damping, normalize=normalize, **{"storage": "float64", **options})
        self.n_params, self.window, self.damping, self.normalize = n_params, window, damping, normalize
        self.rows = []

    @property
    def divisor(self):
        return self.window if self.normalize == "capacity" else len(self.rows)

    @property
    def gradients(self):
        return np.array(self.rows).reshape(-1, self.n_params)

    def update(self, *gradients, together=False):
        self.rows = [*self.rows, *gradients][-self.window :]
        if together:
            self.sliding.update_many(np.array(gradients))
        for g in gradients if not together else ():
            self.sliding.update(g)

    def precondition(self, g):
        self.rows = [*self.rows, g][-self.window :]
        return self.sliding.precondition(g)

    def remove(self, age):
        del self.rows[age]
        self.sliding.remove(age)

    def set_damping(self, damping):
        self.damping = damping
        self.sliding.set_damping(damping)

    def check(self, rng, at_least=1e-12):
        assert self.sliding.n_stored == len(self.rows)
        for age, g in enumerate(self.rows):
            np.testing.assert_array_equal(self.sliding.gradient(age), g)
        x = rng.normal(size=(self.n_params, 2))
        norms = np.linalg.norm(x, axis=0)
        if not self.rows:
            np.testing.assert_allclose(self.sliding.matmat(x), x / self.damping, rtol=1e-15)
            return
        G = self.gradients.astype(np.longdouble)
        expected = reference.product(G, self.damping, self.divisor, x)
        limit = relative_bound(self.gradients, self.damping, self.divisor, at_least=at_least) / self.damping
        assert_columns_close(self.sliding.matmat(x), expected, limit * norms)
        assert_columns_close(self.sliding.matvec(x[:, 0]), expected[:, 0], limit * norms[0])
        a, lengths = rng.normal(size=len(self.rows)), np.linalg.norm(self.gradients, axis=1)
        expected = reference.combination(G, self.damping, self.divisor, a)
        assert_columns_close(self.sliding.combination(a), expected, limit * (np.abs(a) @ lengths))

"""
Triangles of a graph
====================

Two neighbours i and j of a graph are in as many triangles together as they have neighbours in common: entry (i, j) of
A A, wanted only where A has an entry itself. ``mask`` says where, and the semiring ``"plus_pair"`` counts without
looking at values. The graph is an R-MAT graph, whose few vertices of large degree fill the square of A; the reference
is SciPy's product, computed in full and then restricted.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import scipy.sparse as sp
from matplotlib.figure import Figure

import nearlinear as nl
from nearlinear.demo import timed

folder = TemporaryDirectory()
pictures = Path(folder.name)

# %%
# Every edge chooses one quadrant of the adjacency matrix, of that quadrant one of its own, and so on, 11 times.
# Directions, loops and repeated edges are dropped.
scale, edges = 11, 8 * 2**11
rng = np.random.default_rng(0)
quadrants = rng.choice(4, p=[0.57, 0.19, 0.19, 0.05], size=(edges, scale))
powers = 2 ** np.arange(scale)
ones = np.ones(edges, dtype=np.int64)
directed = sp.coo_array((ones, (quadrants // 2 @ powers, quadrants % 2 @ powers)), shape=(2**scale, 2**scale))
graph = sp.csr_array(directed + directed.T)
graph.setdiag(0)
graph.eliminate_zeros()
graph.data[:] = 1
print(f"{graph.shape[0]} vertices, {graph.nnz // 2} edges")

# %%
# Each triangle has three edges, each of which is stored twice.
common, seconds = timed(lambda: nl.sparse.matmul(graph, graph, mask=graph, semiring="plus_pair"))
triangles = int(common.sum()) // 6
reference, peer_seconds = timed(lambda: (graph @ graph).multiply(graph))
print(f"{triangles} triangles; nearlinear {seconds:.4f} s, SciPy {peer_seconds:.4f} s")
print(f"entries: {common.nnz} under the mask, {nl.sparse.matmul_nnz(graph, graph)} of the square in full")

# %%
# A triangle is also six closed walks of three steps: one each way from every corner. And entry by entry the product is
# that of SciPy.
assert triangles == (graph @ graph @ graph).trace() // 6
assert abs(common - reference).nnz == 0

# %%
# A vertex of degree d is in at most d (d - 1) / 2 triangles. How near to that it comes is its clustering.
degree = np.diff(graph.indptr)
of_vertex = common.sum(axis=1) // 2
assert (of_vertex <= degree * (degree - 1) // 2).all()

figure = Figure(figsize=(7, 4.5), layout="constrained")
axes = figure.subplots()
seen = of_vertex > 0
axes.loglog(degree[seen], of_vertex[seen], ".", alpha=0.3, markersize=7, markeredgewidth=0, label="a vertex")
most = np.arange(2, degree.max() + 1)
axes.loglog(most, most * (most - 1) / 2, color="0.4", label="if all its neighbours were neighbours")
axes.set(xlabel="degree", ylabel="triangles", title=f"{triangles} triangles of an R-MAT graph, vertex by vertex")
axes.legend(frameon=False)
axes.grid(alpha=0.3)
figure.savefig(pictures / "triangles.png", dpi=130)

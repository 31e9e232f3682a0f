"""
All shortest paths of a road network
====================================

Let D hold the lengths of roads between neighbouring places, with zeros on the diagonal. With minimum for plus and plus
for times, entry (i, j) of D D is the length of the shortest path from i to j of at most two roads; squared again, of at
most four. After k squarings paths of 2^k roads are known, and once a square shortens none all of them are. The
reference is Dijkstra's algorithm from every place, in SciPy.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import scipy.sparse as sp
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from scipy.spatial import cKDTree

import nearlinear as nl

folder = TemporaryDirectory()
pictures = Path(folder.name)

# %%
# Places are drawn at random, but for a lake in the middle; roads connect those that are close to each other.
rng = np.random.default_rng(0)
places = rng.random((320, 2))
places = places[np.hypot(*(places - [0.5, 0.5]).T) > 0.25]
ends = cKDTree(places).query_pairs(0.1, output_type="ndarray")
lengths = np.hypot(*(places[ends[:, 0]] - places[ends[:, 1]]).T)
one_way = sp.coo_array((lengths, ends.T), shape=(len(places), len(places)))
roads = sp.csr_array(one_way + one_way.T)

# %%
# No entry means that no path is known: the neutral element of the minimum is infinity, not 0. The same path may seem
# shorter by a rounding when its roads are added up in another order.
distances = roads.copy()
distances.setdiag(0.0)
history = [distances]
while True:
    squared = nl.sparse.matmul(distances, distances, semiring="min_plus")
    if squared.nnz == distances.nnz and np.allclose(squared.data, distances.data, rtol=1e-13, atol=0):
        break
    distances = squared
    history.append(distances)
print(f"{len(places)} places, {len(ends)} roads, {len(history) - 1} squarings")

# %%
# Both algorithms add up the lengths of at most as many roads as there are places, in orders of their own.
expected = sp.csgraph.shortest_path(roads, method="D")
known = distances.tocoo()
is_connected = np.zeros(expected.shape, dtype=bool)
is_connected[known.row, known.col] = True
error = np.abs(distances.toarray() - np.where(is_connected, expected, 0))
print(f"largest error {error.max():.1e}")
assert (is_connected == np.isfinite(expected)).all()
assert (error <= len(places) * np.finfo(float).eps * np.where(is_connected, expected, 0)).all()

# %%
# To the left the distances from one place, around the lake; to the right what the squarings find.
figure = Figure(figsize=(10, 4.5), layout="constrained")
town, progress = figure.subplots(1, 2)
start = int(np.argmin(places.sum(axis=1)))
town.add_collection(LineCollection(places[ends], colors="0.8", linewidths=0.6, zorder=0))
drawn = town.scatter(*places.T, c=expected[start], s=14, cmap="viridis")
town.plot(*places[start], "r*", markersize=14)
town.set(aspect="equal", xticks=[], yticks=[], title="Distance from the star by road")
figure.colorbar(drawn, ax=town)

finite = np.count_nonzero(np.isfinite(expected))
shares = []
for known in (matrix.tocoo() for matrix in history):
    is_shortest = np.isclose(known.data, expected[known.coords], rtol=1e-12)
    shares.append(np.count_nonzero(is_shortest) / finite)
roads_at_most = 2 ** np.arange(len(history))
progress.semilogx(roads_at_most, shares, "o-", base=2)
progress.set_xticks(roads_at_most, [str(count) for count in roads_at_most])
progress.set(xlabel="roads of a path, at most", ylabel="share of the pairs whose shortest path is known")
progress.set_title("What each squaring finds")
progress.grid(alpha=0.3)
figure.savefig(pictures / "shortest_paths.png", dpi=130)

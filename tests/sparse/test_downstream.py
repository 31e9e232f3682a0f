"""What others do with products: graphs of SciPy's, and algebraic multigrid."""

import numpy as np
import pytest
import scipy.sparse as sp
import scipy.sparse.linalg
from scipy.sparse import csgraph

import nearlinear as nl
from tests.sparse.matrices import poisson, random_csr
from tests.sparse.test_matmul import power_law


def islands():
    """A graph of several components: blocks that know nothing of one another."""
    rng = np.random.default_rng(0)
    return sp.block_diag([abs(random_csr(rng, n, n, 0.05)) for n in (3, 30, 100, 200)], format="csr")


GRAPHS = {"mesh": lambda: poisson(15), "power law": lambda: abs(power_law(400, 1500)), "islands": islands}


def squares(name):
    """The same square twice: SciPy's, and ours as it is."""
    A = sp.csr_array(abs(GRAPHS[name]()))
    theirs = A @ A
    theirs.sort_indices()  # as ours are: the order of neighbours numbers what is found, and decides between equals
    return theirs, nl.sparse.matmul(A, A)


@pytest.mark.parametrize("connection", ["weak", "strong"])
@pytest.mark.parametrize("name", GRAPHS)
def test_connected_components_of_a_square(name, connection):
    theirs, ours = squares(name)
    count, labels = csgraph.connected_components(theirs, connection=connection)
    our_count, our_labels = csgraph.connected_components(ours, connection=connection)
    assert our_count == count
    np.testing.assert_array_equal(our_labels, labels)


@pytest.mark.parametrize("method", ["D", "BF", "J"])
@pytest.mark.parametrize("name", GRAPHS)
def test_shortest_paths_in_a_square(name, method):
    theirs, ours = squares(name)
    sources = np.arange(0, theirs.shape[0], 37)
    np.testing.assert_array_equal(
        csgraph.shortest_path(ours, method=method, indices=sources),
        csgraph.shortest_path(theirs, method=method, indices=sources),
    )


def test_breadth_first_order_and_spanning_tree_of_a_square():
    theirs, ours = squares("mesh")
    np.testing.assert_array_equal(csgraph.breadth_first_order(ours, 0)[0], csgraph.breadth_first_order(theirs, 0)[0])
    assert csgraph.minimum_spanning_tree(ours).sum() == csgraph.minimum_spanning_tree(theirs).sum()


def test_two_steps_of_a_graph_are_what_bool_matrices_say():
    A = GRAPHS["power law"]()
    reached = nl.sparse.matpow(A + sp.eye_array(A.shape[0]), 2).toarray() != 0
    within_two = csgraph.shortest_path(A, unweighted=True, indices=None) <= 2
    np.testing.assert_array_equal(reached, within_two)


def aggregates(A):
    """Greedy aggregation [Vanek, Mandel, Brezina 1996]: a free vertex whose neighbours are free founds an aggregate."""
    aggregate = np.full(A.shape[0], -1)
    count = 0
    for i in range(A.shape[0]):
        neighbours = A.indices[A.indptr[i] : A.indptr[i + 1]]
        if (aggregate[neighbours] < 0).all():
            aggregate[neighbours] = count
            count += 1
    for i in np.flatnonzero(aggregate < 0):
        neighbours = A.indices[A.indptr[i] : A.indptr[i + 1]]
        joined = aggregate[neighbours]
        aggregate[i] = joined[joined >= 0][0]
    return aggregate, count


def hierarchy(A, galerkin, product):
    """Smoothed aggregation, down to some dozen unknowns."""
    levels = []
    while A.shape[0] > 40:
        aggregate, count = aggregates(A)
        n = A.shape[0]
        tentative = sp.csr_array((np.ones(n), aggregate, np.arange(n + 1)), shape=(n, count))
        jacobi = sp.csr_array(sp.eye_array(n) - (2 / 3) * sp.diags_array(1 / A.diagonal()) @ A)
        P = sp.csr_array(product(jacobi, tentative))
        levels.append((A, P))
        A = sp.csr_array(galerkin(P.T.tocsr(), A, P))
        A.sort_indices()
    return levels, A


def v_cycle(levels, coarsest, b, depth=0):
    if depth == len(levels):
        return scipy.sparse.linalg.spsolve(coarsest.tocsc(), b)
    A, P = levels[depth]
    weight = (2 / 3) / A.diagonal()
    x = weight * b
    x += P @ v_cycle(levels, coarsest, P.T @ (b - A @ x), depth + 1)
    return x + weight * (b - A @ x)


def residuals(levels, coarsest, b, cycles):
    A = levels[0][0]
    x = np.zeros_like(b)
    norms = []
    for _ in range(cycles):
        x += v_cycle(levels, coarsest, b - A @ x)
        norms.append(np.linalg.norm(b - A @ x) / np.linalg.norm(b))
    return np.array(norms)


@pytest.mark.parametrize("method", ["auto", "fused", "separate"])
def test_algebraic_multigrid_converges_as_with_scipy(method):
    A = poisson(64)
    b = np.random.default_rng(0).normal(size=A.shape[0])
    theirs, their_coarsest = hierarchy(A, lambda R, A, P: R @ (A @ P), lambda A, B: A @ B)
    ours, our_coarsest = hierarchy(
        A, lambda R, A, P: nl.sparse.triple_product(R, A, P, method=method), nl.sparse.matmul
    )
    assert len(ours) == len(theirs) >= 2
    for (our_A, our_P), (their_A, their_P) in zip(ours, theirs, strict=True):
        assert our_A.shape == their_A.shape
        assert abs(our_A - their_A).max() <= 1e-13 * abs(their_A).max()
        assert abs(our_P - their_P).max() <= 1e-14
    our_norms = residuals(ours, our_coarsest, b, 40)
    their_norms = residuals(theirs, their_coarsest, b, 40)
    np.testing.assert_allclose(our_norms[:10], their_norms[:10], rtol=1e-8)
    assert our_norms[-1] < 1e-6


def test_galerkin_matrices_of_a_plan_follow_the_operator():
    """Time steps: the operator changes, its pattern does not."""
    A = poisson(40)
    aggregate, count = aggregates(A)
    n = A.shape[0]
    P = sp.csr_array((np.ones(n), aggregate, np.arange(n + 1)), shape=(n, count))
    R = P.T.tocsr()
    first = nl.sparse.MatmulPlan(A, P)
    AP = first.execute(A.data, P.data)
    second = nl.sparse.MatmulPlan(R, AP)
    for step in range(3):
        shifted = sp.csr_array((A.data * (1 + step), A.indices, A.indptr), shape=A.shape)
        AP = first.execute(shifted.data, P.data)
        coarse = second.execute(R.data, AP.data)
        assert abs(coarse - R @ (shifted @ P)).max() == 0  # integers

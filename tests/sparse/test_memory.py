"""Memory: what a product takes, what happens where it is refused, and that nothing is lost."""

import resource
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp

import nearlinear as nl


def in_fresh_python(script):
    """Limits are for a process, and so is the peak of its memory."""
    header = (
        "import resource, numpy as np, scipy.sparse as sp, nearlinear as nl\nfrom tests.sparse.test_memory import *\n"
    )
    return subprocess.run([sys.executable, "-c", header + script], capture_output=True, text=True, check=True).stdout


def address_space():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[0]) * resource.getpagesize()


def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def peak_resident():
    with open("/proc/self/status") as status:  # ru_maxrss would begin with the parent's
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def limit_address_space(more):
    size = address_space() + more
    resource.setrlimit(resource.RLIMIT_AS, (size, size))


def compressible(n=100_000):
    """A B has 1000 products a row that fall on 10 columns: the bound on its size is 100 times too large."""
    A = sp.csr_array((np.ones(100 * n), np.tile(np.arange(100), n), np.arange(0, 100 * n + 1, 100)), shape=(n, 100))
    B = sp.csr_array((np.ones(1000), np.tile(np.arange(0, 10_000, 1000), 100), np.arange(0, 1001, 10)), shape=(100, n))
    return A, B


pytestmark = pytest.mark.unsanitized
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc and limits address space")


@linux
@pytest.mark.parametrize("semiring", ["plus_times", "max_plus"])
def test_refused_reservation_is_computed_in_two_phases(semiring):
    script = (
        "A, B = compressible()\n"
        f"expected = nl.sparse.matmul(A, B, semiring='{semiring}')\n"
        "limit_address_space(600 << 20)\n"  # the bound is 1.2 GB
        "for n_threads in (1, 2):\n"
        f"    C = nl.sparse.matmul(A, B, n_threads=n_threads, semiring='{semiring}')\n"
        "    print((C != expected).nnz, np.array_equal(C.indices, expected.indices), C.nnz)\n"
    )
    assert in_fresh_python(script) == "0 True 1000000\n" * 2


@linux
def test_no_memory_for_the_result_is_a_memory_error_with_the_size():
    script = (
        "column = sp.csr_array(np.ones((30_000, 1)))\n"
        "limit_address_space(500 << 20)\n"
        "for n_threads in (1, 2):\n"
        "    try:\n"
        "        nl.sparse.matmul(column, column.T.tocsr(), n_threads=n_threads)\n"
        "    except MemoryError as error:\n"
        "        print(error)\n"
        "print(nl.sparse.matmul(column.T.tocsr(), column).toarray())\n"
    )
    lines = in_fresh_python(script).splitlines()
    assert lines[:2] == ["out of memory: 3600000000 bytes (3.6 GB) are needed in one piece"] * 2
    assert lines[2] == "[[30000.]]"


@linux
def test_what_a_mask_leaves_out_takes_no_memory():
    script = (
        "column = sp.csr_array(np.ones((30_000, 1)))\n"
        "mask = sp.eye_array(30_000, format='csr')\n"
        "limit_address_space(1 << 30)\n"  # the product has 9e8 entries, 11 GB; a thread may reserve 128 MB for its heap
        "print(nl.sparse.matmul(column, column.T.tocsr(), mask=mask, max_bytes=10**6).nnz)\n"
    )
    assert in_fresh_python(script) == "30000\n"


@linux
@pytest.mark.parametrize("semiring", ["plus_times", "max_plus"])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_peak_memory_is_that_of_the_result(n_threads, semiring):
    script = (
        "A = sp.random_array((100_000, 100_000), density=1e-4, format='csr', rng=np.random.default_rng(0))\n"
        "nl.sparse.matmul(sp.eye_array(3, format='csr'), sp.eye_array(3, format='csr'))\n"
        "before = resident()\n"
        f"C = nl.sparse.matmul(A, A, n_threads={n_threads}, semiring='{semiring}')\n"
        "size = C.data.nbytes + C.indices.nbytes + C.indptr.nbytes\n"
        "print((peak_resident() - before - size * 1.15) / 2**20)\n"
    )
    assert float(in_fresh_python(script)) <= 16


def test_nothing_leaks():
    A = sp.random_array((100, 100), density=0.1, format="csr", rng=np.random.default_rng(0))
    bad = A.copy()
    bad.indices[-1] = 100

    def use(times):
        for _ in range(times):
            nl.sparse.matmul(A, A)
            nl.sparse.matmul(A, A, mask=A, accum=A)
            with pytest.raises(ValueError, match="has the column 100"):
                nl.sparse.matmul(A, bad)

    use(500)
    before = resident()
    use(4000)
    assert resident() - before < 2**20


def test_result_outlives_its_parts_and_is_writable():
    A = sp.random_array((2000, 2000), density=0.05, format="csr", rng=np.random.default_rng(0))
    C = nl.sparse.matmul(A, A)
    data = C.data
    copy = data.copy()
    del C
    for _ in range(3):
        nl.sparse.matmul(A, A)  # would reuse the memory, were it free
    np.testing.assert_array_equal(data, copy)
    data[:] = 0

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "check.hpp"
#include "fisher/dense.hpp"
#include "nearlinear/fisher.hpp"

using namespace nearlinear;
using namespace nearlinear::test;

namespace {

/// Everything that the class computes, against F itself. The error of products is fisher_inverse.hpp's, with c = 4.
template <class T>
void check_all(Index m, Index d, Index block_size, double lambda, double scale) {
  const long double u = std::numeric_limits<T>::epsilon();
  const Rows<T> G = random_rows<T>(m, d, static_cast<std::uint64_t>(100 * m + d), scale), X = random_rows<T>(3, d, 7);
  const FisherInverse<T> inverse(G.view(), {.damping = {lambda}, .block_size = block_size});
  const Index size = block_size == 0 ? d : block_size;
  CHECK(inverse.n_blocks() == (d + size - 1) / size);
  long double log_determinant = 0;
  const Rows<long double> F = dense_fisher(G, lambda, static_cast<long double>(m), size);
  const Rows<long double> expected = inverse_of(F, log_determinant);
  CHECK(std::abs(inverse.log_determinant() - log_determinant) <= 1e-10L * (1 + std::abs(log_determinant)));

  Rows<T> Y(3, d), back(3, d), one(1, d), root(3, d), twice(3, d);
  inverse.apply(X.view(), Y.view());
  inverse.apply_fisher(X.view(), back.view());
  inverse.apply_square_root(X.view(), root.view());
  inverse.apply_square_root(root.view(), twice.view());
  for (Index q = 0; q < 3; ++q) {
    const Vector y = times(expected, X.row(q)), f = times(F, X.row(q));
    const long double double_u = std::numeric_limits<double>::epsilon();
    const long double s = static_cast<long double>(m) * lambda;
    const long double tolerance = 4 * (u + double_u * (1 + norm(G.storage) * norm(G.storage) / s));
    CHECK(distance(Y.row(q), y) <= tolerance * norm(X.row(q)) / lambda);
    CHECK(distance(back.row(q), f) <= 4 * u * norm(f) + 1e-13L * norm(f));
    CHECK(distance(twice.row(q), y) <= 4 * tolerance * norm(X.row(q)) / lambda);
    inverse.apply({X.row(q).data(), 1, d}, one.view());
    CHECK(distance(one.row(0), y) <= tolerance * norm(X.row(q)) / lambda);
  }

  std::vector<double> diagonal(static_cast<std::size_t>(d)), elements(diagonal.size());
  std::vector<Index> rows(diagonal.size()), cols(diagonal.size());
  std::iota(rows.begin(), rows.end(), Index{0});
  std::transform(rows.begin(), rows.end(), cols.begin(), [d](Index i) { return (3 * i + 1) % d; });
  inverse.diagonal(diagonal);
  inverse.elements(rows, cols, elements);
  for (Index i = 0; i < d; ++i) {
    const auto at = static_cast<std::size_t>(i);
    CHECK(std::abs(diagonal[at] - expected(i, i)) <= 1e-11L / lambda);
    CHECK(std::abs(elements[at] - expected(i, cols[at])) <= 1e-11L / lambda);
  }

  Rows<double> part(d, 2);
  const std::vector<Index> first_and_last{0, d - 1};
  inverse.submatrix(rows, first_and_last, part.view());
  for (Index i = 0; i < d; ++i) {
    CHECK(std::abs(part(i, 0) - expected(i, 0)) <= 1e-11L / lambda);
    CHECK(std::abs(part(i, 1) - expected(i, d - 1)) <= 1e-11L / lambda);
  }

  std::vector<Index> group{0, d - 1};
  std::vector<double> block(4);
  inverse.group_inverses({group.data(), 1, 2}, block);
  CHECK(std::abs(block[1] - expected(0, d - 1)) <= 1e-11L / lambda);
  CHECK(std::abs(block[3] - expected(d - 1, d - 1)) <= 1e-11L / lambda);
}

}  // namespace

TEST("an inverse of Fisher is the inverse of the dense matrix, with gradients or parameters in the majority") {
  for (const Index m : {1, 3, 9, 40})
    for (const Index d : {1, 2, 17, 60}) {
      check_all<double>(m, d, 0, 1e-2, 1);
      check_all<float>(m, d, 0, 1e-2, 1);
    }
  check_all<double>(12, 50, 0, 1e-5, 5);
}

TEST("blocks of parameters have inverses of their own, smaller or larger than the number of gradients") {
  for (const Index block_size : {1, 7, 20, 50, 80}) {
    check_all<double>(11, 50, block_size, 1e-2, 1);
    check_all<float>(11, 50, block_size, 1e-2, 1);
  }
}

TEST("more than one tile of columns, on every number of threads: the same bits") {
  const Rows<float> G = random_rows<float>(37, 5000, 3), X = random_rows<float>(2, 5000, 4);
  Rows<float> first(2, 5000), other(2, 5000);
  FisherInverse<float>(G.view(), {.damping = {1e-3}}).apply(X.view(), first.view(), {.n_threads = 1});
  for (const int threads : {2, 4}) {
    FisherInverse<float>(G.view(), {.damping = {1e-3}}, {.n_threads = threads})
        .apply(X.view(), other.view(), {.n_threads = threads});
    CHECK(first.storage == other.storage);
  }
}

TEST("damping can change, one for all blocks or one for each") {
  const Rows<double> G = random_rows<double>(6, 20, 5), X = random_rows<double>(1, 20, 6);
  FisherInverse<double> inverse(G.view(), {.damping = {1.0}, .block_size = 10});
  inverse.set_damping({0.5, 2.0});
  Rows<double> y(1, 20);
  inverse.apply(X.view(), y.view());
  for (const Index block : {0, 1}) {
    long double log_determinant = 0;
    const Rows<long double> expected = inverse_of(dense_fisher(G, block == 0 ? 0.5L : 2.0L, 6, 10), log_determinant);
    const Vector part = times(expected, X.row(0));
    for (Index j = 10 * block; j < 10 * block + 10; ++j)
      CHECK(std::abs(y(0, j) - part[static_cast<std::size_t>(j)]) <= 1e-13L);
  }
  CHECK_THROWS(inverse.set_damping({1, 2, 3}), std::invalid_argument, "damping has 3 entries; there are 2 blocks");
  CHECK_THROWS(inverse.set_damping({1, 0}), std::invalid_argument, "damping is 0; it must be positive");
}

TEST("a joint step solves the constrained problem of optimal brain surgeon") {
  // Of 26 weights 17 or 2 are kept, which is more or less than the 8 gradients.
  for (const auto& [block_size, few] : {std::pair<Index, bool>{0, false}, {0, true}, {4, false}, {9, false}}) {
    const Index d = 26;
    const Rows<double> G = random_rows<double>(8, d, 8), w = random_rows<double>(1, d, 9);
    const FisherInverse<double> inverse(G.view(), {.damping = {1e-2}, .block_size = block_size});
    std::vector<std::uint8_t> prune(static_cast<std::size_t>(d), 0);
    for (std::size_t j = 0; j < prune.size(); ++j) prune[j] = (few ? j % 13 != 0 : j % 3 == 0) ? 1 : 0;
    std::vector<double> step(prune.size());
    const double loss = inverse.joint_step(w.row(0), prune, step).loss_increase;
    const Rows<long double> F = dense_fisher(G, 1e-2L, 8, block_size == 0 ? d : block_size);
    const Vector gradient = times(F, std::span<const double>(step));
    long double expected = 0;
    for (std::size_t j = 0; j < prune.size(); ++j) {
      expected += gradient[j] * static_cast<long double>(step[j]) / 2;
      if (prune[j] != 0)
        CHECK(step[j] == -w.storage[j]);
      else
        CHECK(std::abs(gradient[j]) <= 1e-12L);  // of the loss by a weight that is free
    }
    CHECK(std::abs(loss - expected) <= 1e-12L * (1 + expected));
  }
}

TEST("gradients that depend on each other and a tiny damping do no harm") {
  Rows<double> G = random_rows<double>(6, 30, 10);
  for (Index j = 0; j < 30; ++j) {
    G(3, j) = G(0, j);
    G(4, j) = 0;
  }
  Rows<double> x = random_rows<double>(1, 30, 11), y(1, 30);
  const FisherInverse<double> inverse(G.view(), {.damping = {1e-18}});
  inverse.apply(x.view(), y.view());
  CHECK(std::all_of(y.storage.begin(), y.storage.end(), [](double entry) { return std::isfinite(entry); }));
}

TEST("float gradients whose Gram matrix overflows in float are multiplied in double") {
  const Rows<float> G = random_rows<float>(4, 20, 12, 1e25), X = random_rows<float>(1, 20, 13);
  Rows<float> y(1, 20);
  FisherInverse<float>(G.view(), {.damping = {1.0}}).apply(X.view(), y.view());
  CHECK(std::all_of(y.storage.begin(), y.storage.end(), [](float entry) { return std::isfinite(entry); }));
}

TEST("bad gradients and options of an inverse of Fisher are named") {
  Rows<double> G = random_rows<double>(3, 5, 14);
  using Inverse = FisherInverse<double>;
  CHECK_THROWS(Inverse(G.view(), {.damping = {-1.0}}), std::invalid_argument, "damping is -1");
  CHECK_THROWS(Inverse(G.view(), {.damping = {1, 1}}), std::invalid_argument, "there are 1 blocks");
  CHECK_THROWS(Inverse(G.view(), {.block_size = -1}), std::invalid_argument, "block_size is -1");
  CHECK_THROWS(Inverse(MatrixView<const double>(nullptr, 0, 5)), std::invalid_argument, "grads is 0 x 5");
  const Inverse inverse(G.view());
  CHECK_THROWS(inverse.apply(G.view(), MatrixView<double>(nullptr, 0, 5)), std::invalid_argument, "X is 3 x 5");
  const std::vector<Index> five{5}, zero{0};
  std::vector<double> out(1);
  CHECK_THROWS(inverse.elements(five, zero, out), std::out_of_range, "the index 5 is out of range");
  G(1, 2) = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS(Inverse(G.view()), std::invalid_argument, "grads has the entry nan at index (1, 2)");
  CHECK_THROWS(Inverse(G.view(), {.block_size = 2}), std::invalid_argument, "grads has the entry nan at index (1, 2)");
  G(1, 2) = 1e200;
  CHECK_THROWS(Inverse(G.view()), std::overflow_error, "grads is too large");
}

TEST("an inverse of Fisher survives every allocation that fails") {
  const Rows<double> G = random_rows<double>(4, 9, 15);
  Rows<double> y(2, 9);
  const Rows<double> x = random_rows<double>(2, 9, 16);
  CHECK(check::count_survived_allocation_failures([&] {
          const FisherInverse<double> inverse(G.view(), {.block_size = 3});
          inverse.apply(x.view(), y.view(), {.n_threads = 1});
        }) > 0);
}

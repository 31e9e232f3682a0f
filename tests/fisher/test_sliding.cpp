#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "check.hpp"
#include "fisher/dense.hpp"
#include "nearlinear/fisher.hpp"

using namespace nearlinear;
using namespace nearlinear::test;

namespace {

/// The gradients that the window holds, as it tells them.
template <class T>
Rows<T> held(const SlidingFisherInverse<T>& inverse) {
  Rows<T> G(inverse.n_stored(), inverse.n_params());
  for (Index age = 0; age < G.rows; ++age) inverse.gradient(age, G.view().row(age));
  return G;
}

/// Against F of the gradients held, rounded as they are.
template <class T>
void check_window(SlidingFisherInverse<T>& inverse, double lambda, double s) {
  const Index d = inverse.n_params(), n = inverse.n_stored();
  const Rows<T> G = held(inverse), X = random_rows<T>(2, d, 99);
  long double log_determinant = 0;
  const Rows<long double> F = dense_fisher(G, lambda, n == 0 ? 1 : s, d), expected = inverse_of(F, log_determinant);
  CHECK(std::abs(inverse.log_determinant() - log_determinant) <= 1e-9L * (1 + std::abs(log_determinant)));
  Rows<T> Y(2, d);
  inverse.apply(X.view(), Y.view());
  const long double u = std::numeric_limits<T>::epsilon();
  for (Index q = 0; q < 2; ++q)
    CHECK(distance(Y.row(q), times(expected, X.row(q))) <= (2 * u + 1e-12L) * norm(X.row(q)) / lambda);
  if (n == 0) return;
  const Rows<double> a = random_rows<double>(1, n, 98);
  Vector combined(static_cast<std::size_t>(d), 0.0L);
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < d; ++j)
      combined[static_cast<std::size_t>(j)] += static_cast<long double>(a(0, i)) * static_cast<long double>(G(i, j));
  const Vector product = times(expected, std::span<const long double>(combined));
  std::vector<T> y(static_cast<std::size_t>(d));
  inverse.combination(a.row(0), y);
  CHECK(distance(y, product) <= (4 * u + 1e-11L) * norm(product));
}

template <class T>
void check_storage(GradientStorage storage, FisherNormalization normalization) {
  const Index d = 30, window = 7;
  SlidingFisherInverse<T> inverse(d, window, {.damping = 1e-2, .normalization = normalization, .storage = storage});
  const Rows<T> G = random_rows<T>(40, d, 20);
  const auto s = [&] {
    return static_cast<double>(normalization == FisherNormalization::capacity ? window : inverse.n_stored());
  };
  check_window(inverse, 1e-2, s());
  for (Index i = 0; i < 18; ++i) {
    if (i % 2 == 0)
      inverse.update({G.row(i).data(), 1, d});
    else {
      std::vector<T> y(static_cast<std::size_t>(d));
      inverse.precondition(G.row(i), y);
      long double unused = 0;
      const Rows<T> stored = held(inverse);
      const Vector expected =
          times(inverse_of(dense_fisher(stored, 1e-2L, s(), d), unused), stored.row(stored.rows - 1));
      CHECK(distance(y, expected) <= (4 * std::numeric_limits<T>::epsilon() + 1e-12L) * norm(expected));
    }
    check_window(inverse, 1e-2, s());
  }
  inverse.remove(3);
  check_window(inverse, 1e-2, s());
  inverse.remove(0);
  inverse.remove(inverse.n_stored() - 1);
  check_window(inverse, 1e-2, s());
  inverse.update({G.row(20).data(), 2, d});  // two at once, where two are missing
  inverse.update({G.row(22).data(), 3, d});  // three, of which two push others out
  check_window(inverse, 1e-2, s());
  inverse.update({G.row(25).data(), 15, d});  // more than the window holds
  CHECK(inverse.n_stored() == window);
  check_window(inverse, 1e-2, s());
  inverse.set_damping(0.5);
  check_window(inverse, 0.5, s());
}

}  // namespace

TEST("a window of gradients has the inverse of its Fisher matrix, whatever came and went") {
  for (const auto normalization : {FisherNormalization::count, FisherNormalization::capacity}) {
    check_storage<double>(GradientStorage::float64, normalization);
    check_storage<double>(GradientStorage::float32, normalization);
    for (const auto storage : {GradientStorage::float32, GradientStorage::float16, GradientStorage::bfloat16})
      check_storage<float>(storage, normalization);
  }
}

TEST("with error feedback the largest entries come into the window, and what is left out is not lost") {
  const Index d = 70'000, window = 3;
  SlidingFisherInverse<double> inverse(d, window, {.damping = 1e-2, .storage = GradientStorage::float64, .kept = 0.01});
  std::vector<double> sum(static_cast<std::size_t>(d), 0.0), stored_sum = sum, stored(sum.size());
  for (std::uint64_t i = 0; i < 4; ++i) {
    const Rows<double> g = random_rows<double>(1, d, 30 + i);
    for (std::size_t j = 0; j < sum.size(); ++j) sum[j] += g.storage[j];
    const std::vector<double> rest = [&] {
      std::vector<double> all(sum);
      for (std::size_t j = 0; j < sum.size(); ++j) all[j] -= stored_sum[j];
      return all;
    }();
    inverse.update(g.view());
    inverse.gradient(inverse.n_stored() - 1, stored);
    double least = 1e300, largest_left = 0;
    Index count = 0;
    for (std::size_t j = 0; j < 65'536; ++j) {  // of the first tile
      const bool is_stored = stored[j] != 0;
      count += is_stored ? 1 : 0;
      if (is_stored) least = std::min(least, std::abs(stored[j]));
      if (!is_stored) largest_left = std::max(largest_left, std::abs(rest[j]));
      if (is_stored) CHECK(std::abs(stored[j] - rest[j]) <= 1e-12);
    }
    CHECK(count == 656);
    CHECK(least >= largest_left - 1e-12);
    for (std::size_t j = 0; j < sum.size(); ++j) stored_sum[j] += stored[j];
  }
  const std::vector<double> a{1, -2, 3};
  std::vector<double> y(sum.size()), x(sum.size(), 0.0), z(sum.size());
  inverse.combination(a, y);
  for (Index age = 0; age < window; ++age) {
    inverse.gradient(age, stored);
    for (std::size_t j = 0; j < x.size(); ++j) x[j] += a[static_cast<std::size_t>(age)] * stored[j];
  }
  inverse.apply({x.data(), 1, d}, {z.data(), 1, d});
  CHECK(distance(y, Vector(z.begin(), z.end())) <= 1e-9L * norm(y));
  SlidingFisherInverse<double> other(d, window, {.storage = GradientStorage::float64, .kept = 0.01});
  other.load(inverse.save());
  const Rows<double> g = random_rows<double>(1, d, 40);
  inverse.precondition(g.row(0), y);
  other.precondition(g.row(0), z);
  CHECK(y == z);
  using Inverse = SlidingFisherInverse<double>;
  CHECK_THROWS(Inverse(3, 1, {.kept = 0}), std::invalid_argument, "topk is 0");
}

TEST("gradients that fit are kept whole whatever share is asked for, in every storage") {
  for (const auto storage :
       {GradientStorage::float64, GradientStorage::float32, GradientStorage::float16, GradientStorage::bfloat16}) {
    SlidingFisherInverse<float> inverse(4, 2, {.damping = 1, .storage = storage, .kept = 0.9});
    const std::vector<float> g{0, 2, -3, 0};
    inverse.update({g.data(), 1, 4});
    CHECK(held(inverse).storage == g);
    check_window(inverse, 1, 1);
    inverse.update({g.data(), 1, 4});
    inverse.update({g.data(), 1, 4});
    check_window(inverse, 1, 2);
  }
}

TEST("gradients of 16 bits are rounded to the nearest") {
  for (const double scale : {1e-30, 1e-6, 1.0, 1e4, 1e30}) {
    const Rows<float> G = random_rows<float>(1, 2000, 21, scale);
    float largest = 0;
    for (const float entry : G.storage) largest = std::max(largest, std::abs(entry));
    for (const auto storage : {GradientStorage::float16, GradientStorage::bfloat16}) {
      SlidingFisherInverse<float> inverse(2000, 1, {.storage = storage});
      inverse.update(G.view());
      const Rows<float> stored = held(inverse);
      // Half a unit of the last of 11 bits, or of the smallest number there is beside the largest entry; and of 8 bits.
      for (std::size_t j = 0; j < G.storage.size(); ++j) {
        const float entry = std::abs(G.storage[j]), error = std::abs(stored.storage[j] - G.storage[j]);
        const bool half = storage == GradientStorage::float16;
        CHECK(error <= (half ? std::max(entry * 0x1p-11F, largest * 0x1p-39F) : entry * 0x1p-8F));
      }
    }
  }
}

TEST("thousands of slides leave no trace in the factor") {
  const Index d = 40, window = 16;
  SlidingFisherInverse<double> inverse(d, window, {.damping = 1e-6, .storage = GradientStorage::float64});
  for (std::uint64_t i = 0; i < 3000; ++i)
    inverse.update(random_rows<double>(1, d, 1000 + i, i % 500 == 0 ? 1e4 : 1).view());
  // What goes on from the state has the factor; a window of the same gradients has a fresh one.
  SlidingFisherInverse<double> fresh(d, window, {.damping = 1e-6, .storage = GradientStorage::float64});
  fresh.update(held(inverse).view());
  const Rows<double> a = random_rows<double>(1, window, 5);
  std::vector<double> y(static_cast<std::size_t>(d)), z(y.size());
  inverse.combination(a.row(0), y);
  fresh.combination(a.row(0), z);
  CHECK(distance(y, Vector(z.begin(), z.end())) <= 1e-10L * norm(z));
}

TEST("a window goes on from its state with the same bits") {
  const Index d = 2500;
  for (const auto storage : {GradientStorage::float32, GradientStorage::float16}) {
    const SlidingFisherOptions options{.damping = 1e-3, .storage = storage};
    SlidingFisherInverse<float> inverse(d, 5, options), other(d, 5, options);
    inverse.update(random_rows<float>(7, d, 22).view());
    inverse.remove(2);
    inverse.update(random_rows<float>(1, d, 23).view());
    other.load(inverse.save());
    const Rows<float> g = random_rows<float>(3, d, 24);
    std::vector<float> y(static_cast<std::size_t>(d)), z(y.size());
    for (Index i = 0; i < 3; ++i) {
      inverse.precondition(g.row(i), y);
      other.precondition(g.row(i), z);
      CHECK(y == z);
    }
    SlidingFisherInverse<float> smaller(d, 3, options);
    CHECK_THROWS(smaller.load(inverse.save()), std::invalid_argument, "state holds 5 gradients");
  }
}

TEST("what a window refuses leaves it as it was") {
  SlidingFisherInverse<float> inverse(3, 2, {.damping = 1});
  const std::vector<float> good{1, 2, 3};
  inverse.update({good.data(), 1, 3});
  std::vector<float> before(3), after(3), bad{1, std::numeric_limits<float>::infinity(), 0};
  inverse.apply({good.data(), 1, 3}, {before.data(), 1, 3});
  CHECK_THROWS(inverse.update({bad.data(), 1, 3}), std::invalid_argument, "g has the entry inf at index 1");
  CHECK_THROWS(inverse.precondition(bad, after), std::invalid_argument, "all entries must be finite");
  CHECK_THROWS(inverse.update({bad.data(), 1, 2}), std::invalid_argument, "g has 2 entries; there are 3 parameters");
  CHECK_THROWS(inverse.remove(1), std::invalid_argument, "age is 1; the window holds 1 gradients");
  inverse.apply({good.data(), 1, 3}, {after.data(), 1, 3});
  CHECK(inverse.n_stored() == 1);
  CHECK(before == after);
  using Inverse = SlidingFisherInverse<double>;
  CHECK_THROWS(Inverse(0, 1), std::invalid_argument, "n_params is 0");
  CHECK_THROWS(Inverse(1, 0), std::invalid_argument, "window is 0");
  CHECK_THROWS(Inverse(1, 1, {.damping = 0}), std::invalid_argument, "damping is 0");
  Inverse narrow(1, 1, {.storage = GradientStorage::float32});
  const std::vector<double> large{1e39};
  CHECK_THROWS(narrow.update({large.data(), 1, 1}), std::overflow_error, "g is too large");
  std::vector<double> y(1);
  CHECK_THROWS(narrow.combination({}, y), std::invalid_argument, "the window is empty");
}

TEST("the recurrences of the paper compute the same inverses") {
  const Index m = 9, d = 40;
  const double lambda = 1e-2;
  const Rows<double> G = random_rows<double>(m, d, 25), X = random_rows<double>(2, d, 26);
  Rows<double> expected(2, d), found(2, d);
  const FisherInverse<double> inverse(G.view(), {.damping = {lambda}});
  inverse.apply(X.view(), expected.view());
  const StaticRecurrence<double> recurrence(G.view(), lambda);
  recurrence.apply(X.view(), found.view());
  for (Index q = 0; q < 2; ++q)
    CHECK(distance(found.row(q), Vector(expected.row(q).begin(), expected.row(q).end())) <=
          1e-11L * norm(X.row(q)) / lambda);
  std::vector<double> diagonal(static_cast<std::size_t>(d)), other(diagonal.size());
  inverse.diagonal(diagonal);
  recurrence.diagonal(other);
  for (std::size_t j = 0; j < diagonal.size(); ++j) CHECK(std::abs(diagonal[j] - other[j]) <= 1e-11 / lambda);

  DynamicRecurrence<double> dynamic(d, 4, lambda);
  SlidingFisherInverse<double> sliding(
      d, 4, {.damping = lambda, .normalization = FisherNormalization::capacity, .storage = GradientStorage::float64});
  for (Index i = 0; i < m; ++i) {
    dynamic.update(G.row(i));
    sliding.update({G.row(i).data(), 1, d});
    dynamic.apply(X.view(), found.view());
    sliding.apply(X.view(), expected.view());
    for (Index q = 0; q < 2; ++q)
      CHECK(distance(found.row(q), Vector(expected.row(q).begin(), expected.row(q).end())) <=
            1e-11L * norm(X.row(q)) / lambda);
  }
  CHECK(dynamic.n_stored() == 4);
}

#include <cmath>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "check.hpp"
#include "linalg/matrices.hpp"
#include "nearlinear/sketch.hpp"

using namespace nearlinear;
using nearlinear::test::Matrix;
using nearlinear::test::random_matrix;

namespace {

constexpr SketchKind streamed[] = {SketchKind::gaussian, SketchKind::srht, SketchKind::sjlt, SketchKind::block_hadamard,
                                   SketchKind::countsketch};

template <class T>
double distance(const Matrix<T>& A, const Matrix<T>& B) {
  double largest = 0;
  for (Index i = 0; i < A.rows(); ++i)
    for (Index j = 0; j < A.cols(); ++j)
      largest = std::max(largest, std::abs(static_cast<double>(A(i, j)) - static_cast<double>(B(i, j))));
  return largest;
}

/// The identity by way of a sparse matrix.
struct SparseIdentity {
  std::vector<std::int32_t> indptr, indices;
  std::vector<double> data;

  explicit SparseIdentity(Index n) : data(static_cast<std::size_t>(n), 1.0) {
    for (Index i = 0; i <= n; ++i) indptr.push_back(static_cast<std::int32_t>(i));
    for (Index i = 0; i < n; ++i) indices.push_back(static_cast<std::int32_t>(i));
  }
  [[nodiscard]] CsrView<double, std::int32_t> view() const {
    const Index n = std::ssize(data);
    return {n, n, indptr, indices, data};
  }
};

}  // namespace

TEST("S A and S^T Y are products with one matrix, for every kind and with gaps between rows") {
  constexpr Index n = 300, m = 24, d = 7;
  for (const SketchKind kind : {SketchKind::gaussian, SketchKind::srht, SketchKind::dct, SketchKind::sjlt,
                                SketchKind::block_hadamard, SketchKind::pooled, SketchKind::countsketch}) {
    const SketchSpec spec = sketch_for(n, d, kind, m, 3);
    const auto A = random_matrix<double>(n, d, 1, 2), Y = random_matrix<double>(m, d, 2, 1);
    Matrix<double> SA(m, d, 3), X(n, d, 1), S(m, n);
    apply_sketch<double>(spec, A.view(), SA.view());
    apply_sketch_transposed<double>(spec, Y.view(), X.view());
    apply_sketch<double, std::int32_t>(spec, SparseIdentity(n).view(), S.view());
    double forward = 0, backward = 0;
    for (Index c = 0; c < d; ++c) {
      for (Index j = 0; j < m; ++j) {
        double sum = 0;
        for (Index i = 0; i < n; ++i) sum += S(j, i) * A(i, c);
        forward = std::max(forward, std::abs(sum - SA(j, c)));
      }
      for (Index i = 0; i < n; ++i) {
        double sum = 0;
        for (Index j = 0; j < m; ++j) sum += S(j, i) * Y(j, c);
        backward = std::max(backward, std::abs(sum - X(i, c)));
      }
    }
    CHECK(forward < 1e-12);
    CHECK(backward < 1e-12);
    CHECK(SA.gaps_are_untouched() && X.gaps_are_untouched());
  }
}

TEST("a sketch of float is that of double, rounded") {
  const auto A = random_matrix<double>(500, 5, 4);
  Matrix<float> narrow(500, 5);
  for (Index i = 0; i < 500; ++i)
    for (Index j = 0; j < 5; ++j) narrow(i, j) = static_cast<float>(A(i, j));
  for (const SketchKind kind : streamed) {
    const SketchSpec spec = sketch_for(500, 5, kind, 16, 5);
    Matrix<double> SA(16, 5);
    Matrix<float> narrow_SA(16, 5);
    apply_sketch<double>(spec, A.view(), SA.view());
    apply_sketch<float>(spec, narrow.view(), narrow_SA.view());
    for (Index i = 0; i < 16; ++i)
      for (Index j = 0; j < 5; ++j) CHECK(std::abs(SA(i, j) - static_cast<double>(narrow_SA(i, j))) < 1e-4);
  }
}

TEST("rows in any order and in several sketches give the same") {
  const auto A = random_matrix<double>(2500, 4, 6), B = random_matrix<double>(2500, 1, 7);
  for (const SketchKind kind : streamed) {
    const SketchSpec spec = sketch_for(0, 4, kind, 30, 8);
    RowSketch<double> whole(4, 1, spec), first(4, 1, spec), second(4, 1, spec);
    whole.add_rows(0, A.view(), B.view());
    const auto rows = [](const Matrix<double>& matrix, Index begin, Index end) {
      return MatrixView<const double>(matrix.view().data() + begin * matrix.cols(), end - begin, matrix.cols());
    };
    second.add_rows(1700, rows(A, 1700, 2500), rows(B, 1700, 2500));
    first.add_rows(3, rows(A, 3, 1000), rows(B, 3, 1000));
    second.add_rows(0, rows(A, 0, 3), rows(B, 0, 3));
    first.add_rows(1000, rows(A, 1000, 1700), rows(B, 1000, 1700));
    first.merge(second);
    CHECK(first.rows_seen() == 2500 && first.stretches().size() == 1);
    Matrix<double> SA(30, 4), SB(30, 1), SA2(30, 4), SB2(30, 1);
    whole.matrices(SA.view(), SB.view());
    first.matrices(SA2.view(), SB2.view());
    CHECK(distance(SA, SA2) < 1e-11 && distance(SB, SB2) < 1e-11);

    const std::vector<std::byte> bytes = first.to_bytes();
    const auto copy = RowSketch<double>::from_bytes(bytes);
    copy.matrices(SA.view(), SB.view());
    CHECK(distance(SA, SA2) == 0 && distance(SB, SB2) == 0 && copy.stretches() == first.stretches());
  }
}

TEST("what a sketch refuses") {
  RowSketch<double> sketch(2, 0, {.rows = 8});
  const auto A = random_matrix<double>(4, 2, 9), wide = random_matrix<double>(4, 3, 9);
  const MatrixView<const double> nothing(nullptr, 4, 0);
  sketch.add_rows(10, A.view(), nothing);
  CHECK_THROWS(sketch.add_rows(13, A.view(), nothing), std::invalid_argument, "rows 13 to 13 were taken in before");
  CHECK_THROWS(sketch.add_rows(-1, A.view(), nothing), std::invalid_argument, "first_row is -1");
  CHECK_THROWS(sketch.add_rows(20, wide.view(), nothing), std::invalid_argument, "A is 4 x 3");
  CHECK_THROWS((void)sketch.solve(), std::invalid_argument, "no right-hand side");
  CHECK_THROWS(sketch.merge(RowSketch<double>(2, 0, {.rows = 9})), std::invalid_argument, "they must be the same");
  CHECK_THROWS(RowSketch<double>(2, 0, {.kind = SketchKind::dct, .rows = 8}), std::invalid_argument,
               "all rows at once");
  CHECK_THROWS(RowSketch<double>(0, 0, {.rows = 8}), std::invalid_argument, "0 columns");
  CHECK_THROWS(RowSketch<double>(2, 0, {.rows = 0}), std::invalid_argument, "the sketch has 0 rows");
  CHECK_THROWS(RowSketch<double>(2, 0, {.rows = 8, .block = 1000}), std::invalid_argument, "block is 1000");
  Matrix<double> SA(8, 2);
  CHECK_THROWS((apply_sketch<double>({.rows = 7}, A.view(), SA.view())), std::invalid_argument, "SA is 8 x 2");
  CHECK_THROWS((apply_sketch<double>({.kind = SketchKind::pooled, .rows = 8, .length = 4}, A.view(), SA.view())),
               std::invalid_argument, "length is 4");
  CHECK_THROWS((void)sketch_rows(3, -1), std::invalid_argument, "eps is -1");
  CHECK_THROWS((void)sketch_rows(3, 1e-9), std::overflow_error, "2^30 rows");
  CHECK_THROWS((void)student_quantile(1, 3), std::invalid_argument, "probability is 1");
  std::vector<std::byte> bytes = sketch.to_bytes();
  bytes.pop_back();
  CHECK_THROWS((void)RowSketch<double>::from_bytes(bytes), std::invalid_argument, "not those of a sketch");
}

TEST("a sketch that runs out of memory or is stopped says so") {
  const auto A = random_matrix<double>(3000, 6, 10);
  const SketchSpec spec = sketch_for(3000, 6, SketchKind::block_hadamard, 32, 0);
  Matrix<double> SA(32, 6);
  CHECK(check::count_survived_allocation_failures(
            [&] { apply_sketch<double>(spec, A.view(), SA.view(), {.n_threads = 1}); }) > 0);
  const RunOptions stopped{.n_threads = 1, .keep_going = [](double) { return false; }};
  const auto tall = random_matrix<double>(400000, 8, 11);
  Matrix<double> large(512, 8);
  CHECK_THROWS(apply_sketch<double>({.kind = SketchKind::gaussian, .rows = 512}, tall.view(), large.view(), stopped),
               interrupted, "");
}

#include "nearlinear/sketch/row_sketch.hpp"

#include <algorithm>
#include <cmath>

#include "sketch/apply.hpp"
#include "sketch/random_map.hpp"
#include "sketch/solution.hpp"
#include "sketch/stretches.hpp"

namespace nearlinear {
namespace {

constexpr const char* caller = "RowSketch";

std::string name_of(const SketchSpec& spec) {
  std::ostringstream text;
  text << "kind " << static_cast<int>(spec.kind) << ", " << spec.rows << " rows, seed " << spec.seed << ", block "
       << spec.block;
  return text.str();
}

}  // namespace

template <class T>
RowSketch<T>::RowSketch(Index cols, Index rhs, const SketchSpec& spec) : cols_(cols), rhs_(rhs), spec_(spec) {
  require(cols >= 1 && rhs >= 0, "RowSketch: there are ", cols, " columns and ", rhs,
          " right-hand sides; they must be at least 1 and 0");
  require(sketch::is_streamed(spec.kind), "RowSketch: kind is dct or pooled, which need all rows at once");
  sketch::require_valid(spec, 1, "RowSketch");
  sums_ = Array<T>::zeros(checked_product(spec.rows, checked_sum(cols, rhs)));
}

template <class T>
void RowSketch<T>::add_rows(Index first_row, MatrixView<const T> A, MatrixView<const T> B, const RunOptions& run) {
  require_valid_view(A, "RowSketch", "A");
  require_valid_view(B, "RowSketch", "B");
  require(A.cols() == cols_ && B.cols() == rhs_ && B.rows() == A.rows(), "RowSketch: A is ", shape(A), " and B is ",
          shape(B), "; they must have as many rows, and ", cols_, " and ", rhs_, " columns");
  sketch::require_new_rows(stretches_, first_row, A.rows(), caller);
  sketch::add_to_sketch<T>(spec_, first_row, sketch::DenseRows<T>(A, B), sums(), run);
  sketch::add_stretch(stretches_, {first_row, first_row + A.rows()});
}

template <class T>
template <class I>
void RowSketch<T>::add_rows(Index first_row, const CsrView<T, I>& A, MatrixView<const T> B, const RunOptions& run) {
  (void)require_valid_csr(A, "RowSketch", "A", run);
  require_valid_view(B, "RowSketch", "B");
  require(A.cols == cols_ && B.cols() == rhs_ && B.rows() == A.rows, "RowSketch: A is ", Shape{A.rows, A.cols},
          " and B is ", shape(B), "; they must have as many rows, and ", cols_, " and ", rhs_, " columns");
  sketch::require_new_rows(stretches_, first_row, A.rows, caller);
  sketch::add_sparse_to_sketch<T, I>(spec_, first_row, sketch::CsrRows<T, I>(A, B), sums(), run);
  sketch::add_stretch(stretches_, {first_row, first_row + A.rows});
}

template <class T>
void RowSketch<T>::merge(const RowSketch& other) {
  require(cols_ == other.cols_ && rhs_ == other.rhs_, "RowSketch: one has ", cols_, " columns and ", rhs_,
          " right-hand sides, the other ", other.cols_, " and ", other.rhs_);
  require(spec_.kind == other.spec_.kind && spec_.rows == other.spec_.rows && spec_.seed == other.spec_.seed &&
              spec_.block == other.spec_.block,
          "RowSketch: one has ", name_of(spec_), ", the other ", name_of(other.spec_), "; they must be the same");
  for (const auto& [begin, end] : other.stretches_) sketch::require_new_rows(stretches_, begin, end - begin, caller);
  for (Index i = 0; i < sums_.size(); ++i) sums_[i] += other.sums_[i];
  for (const auto& stretch : other.stretches_) sketch::add_stretch(stretches_, stretch);
}

template <class T>
Index RowSketch<T>::rows_seen() const {
  return sketch::row_count(stretches_);
}

template <class T>
void RowSketch<T>::matrices(MatrixView<T> SA, MatrixView<T> SB) const {
  require_valid_view(SA, "RowSketch", "SA");
  require_valid_view(SB, "RowSketch", "SB");
  require(SA.rows() == spec_.rows && SA.cols() == cols_ && SB.rows() == spec_.rows && SB.cols() == rhs_,
          "RowSketch: SA is ", shape(SA), " and SB is ", shape(SB), "; they must have ", spec_.rows, " rows, and ",
          cols_, " and ", rhs_, " columns");
  for (Index j = 0; j < spec_.rows; ++j) {
    std::copy_n(sums_.data() + j * (cols_ + rhs_), cols_, SA.data() + j * SA.row_stride());
    std::copy_n(sums_.data() + j * (cols_ + rhs_) + cols_, rhs_, SB.data() + j * SB.row_stride());
  }
  sketch::multiply_by(SA, sketch::scale(spec_));
  sketch::multiply_by(SB, sketch::scale(spec_));
}

template <class T>
SketchSolution<T> RowSketch<T>::solve(double ridge, double delta, const RunOptions& run) const {
  require(rhs_ > 0, "RowSketch: there is no right-hand side to solve for");
  require(spec_.rows > cols_, "RowSketch: the sketch has ", spec_.rows, " rows and ", cols_,
          " columns; it must have more rows to solve");
  require(ridge >= 0 && std::isfinite(ridge), "RowSketch: ridge is ", ridge, "; it must be finite and not negative");
  require(delta > 0 && delta < 1, "RowSketch: delta is ", delta, "; it must be between 0 and 1");
  const Array<T> a(spec_.rows * cols_), b(spec_.rows * rhs_);
  const MatrixView<T> SA(a.data(), spec_.rows, cols_), SB(b.data(), spec_.rows, rhs_);
  matrices(SA, SB);
  double poison = 0;
  for (const T entry : sums_) poison += static_cast<double>(entry) * 0;
  require(poison == 0, "RowSketch: rows with NaN, infinite or too large entries were taken in");
  return sketch::solve_sketch<T>(SA, SB, ridge, delta, run);
}

namespace {

/// The bytes of a sketch: this header, the stretches, the sums.
struct Header {
  std::uint64_t mark;
  std::uint64_t item_size;
  std::int64_t cols, rhs, rows, block, kind;
  std::uint64_t seed;
  std::uint64_t stretches;
};

constexpr std::uint64_t mark = 0x31484354454b534e;  // NSKETCH1

}  // namespace

template <class T>
std::vector<std::byte> RowSketch<T>::to_bytes() const {
  const Header header{
      mark,       sizeof(T),        cols_, rhs_, spec_.rows, spec_.block, static_cast<std::int64_t>(spec_.kind),
      spec_.seed, stretches_.size()};
  ByteWriter bytes;
  bytes.put(header);
  sketch::put_stretches(stretches_, bytes);
  bytes.put_all<T>(sums_.span());
  return bytes.finish();
}

template <class T>
RowSketch<T> RowSketch<T>::from_bytes(std::span<const std::byte> data) {
  ByteReader bytes(data, "RowSketch: these bytes are not those of a sketch of this type");
  const auto header = bytes.get<Header>();
  constexpr std::int64_t largest = std::int64_t{1} << 40;
  bytes.check(header.mark == mark && header.item_size == sizeof(T) && header.kind >= 0 &&
              header.kind <= static_cast<std::int64_t>(SketchKind::countsketch) && header.cols >= 1 &&
              header.rhs >= 0 && header.rows >= 1 && header.cols < largest && header.rhs < largest &&
              header.rows <= std::int64_t{1} << 30);
  sketch::Stretches stretches = sketch::get_stretches(header.stretches, bytes);
  // Beyond 2^53 there are no such bytes, and below a double is exact.
  const double expected =
      static_cast<double>(sizeof(T)) * static_cast<double>(header.rows) * static_cast<double>(header.cols + header.rhs);
  bytes.check(expected == static_cast<double>(bytes.left()));
  RowSketch result(
      header.cols, header.rhs,
      {.kind = static_cast<SketchKind>(header.kind), .rows = header.rows, .seed = header.seed, .block = header.block});
  result.stretches_ = std::move(stretches);
  bytes.get_all(result.sums_.span());
  return result;
}

template class RowSketch<float>;
template class RowSketch<double>;
#define NEARLINEAR_INSTANTIATE(T, I) \
  template void RowSketch<T>::add_rows(Index, const CsrView<T, I>&, MatrixView<const T>, const RunOptions&);
NEARLINEAR_INSTANTIATE(float, std::int32_t)
NEARLINEAR_INSTANTIATE(float, std::int64_t)
NEARLINEAR_INSTANTIATE(double, std::int32_t)
NEARLINEAR_INSTANTIATE(double, std::int64_t)
#undef NEARLINEAR_INSTANTIATE

}  // namespace nearlinear

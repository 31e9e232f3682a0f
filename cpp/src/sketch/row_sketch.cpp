#include "nearlinear/sketch/row_sketch.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "sketch/apply.hpp"
#include "sketch/random_map.hpp"
#include "sketch/solution.hpp"

namespace nearlinear {
namespace {

constexpr Index most_rows = Index{1} << 56;  // of the whole matrix, so that counters of random numbers do not overflow

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
void RowSketch<T>::check_new_rows(Index first_row, Index rows) const {
  require(first_row >= 0 && first_row <= most_rows - rows, "RowSketch: first_row is ", first_row,
          "; it must not be negative or beyond 2^56");
  for (const auto& [begin, end] : stretches_)
    require(rows == 0 || first_row >= end || first_row + rows <= begin, "RowSketch: rows ", std::max(begin, first_row),
            " to ", std::min(end, first_row + rows) - 1, " were taken in before");
}

template <class T>
void RowSketch<T>::take_in(std::pair<Index, Index> stretch) {
  if (stretch.first == stretch.second) return;
  const auto at = std::lower_bound(stretches_.begin(), stretches_.end(), stretch);
  const auto placed = stretches_.insert(at, stretch);
  const auto index = static_cast<std::size_t>(placed - stretches_.begin());
  if (index + 1 < stretches_.size() && stretches_[index + 1].first == stretches_[index].second) {
    stretches_[index].second = stretches_[index + 1].second;
    stretches_.erase(stretches_.begin() + static_cast<std::ptrdiff_t>(index) + 1);
  }
  if (index > 0 && stretches_[index - 1].second == stretches_[index].first) {
    stretches_[index - 1].second = stretches_[index].second;
    stretches_.erase(stretches_.begin() + static_cast<std::ptrdiff_t>(index));
  }
}

template <class T>
void RowSketch<T>::add_rows(Index first_row, MatrixView<const T> A, MatrixView<const T> B, const RunOptions& run) {
  require_valid_view(A, "RowSketch", "A");
  require_valid_view(B, "RowSketch", "B");
  require(A.cols() == cols_ && B.cols() == rhs_ && B.rows() == A.rows(), "RowSketch: A is ", shape(A), " and B is ",
          shape(B), "; they must have as many rows, and ", cols_, " and ", rhs_, " columns");
  check_new_rows(first_row, A.rows());
  sketch::add_to_sketch<T>(spec_, first_row, sketch::DenseRows<T>(A, B), sums(), run);
  take_in({first_row, first_row + A.rows()});
}

template <class T>
template <class I>
void RowSketch<T>::add_rows(Index first_row, const CsrView<T, I>& A, MatrixView<const T> B, const RunOptions& run) {
  (void)require_valid_csr(A, "RowSketch", "A", run);
  require_valid_view(B, "RowSketch", "B");
  require(A.cols == cols_ && B.cols() == rhs_ && B.rows() == A.rows, "RowSketch: A is ", Shape{A.rows, A.cols},
          " and B is ", shape(B), "; they must have as many rows, and ", cols_, " and ", rhs_, " columns");
  check_new_rows(first_row, A.rows);
  sketch::add_sparse_to_sketch<T, I>(spec_, first_row, sketch::CsrRows<T, I>(A, B), sums(), run);
  take_in({first_row, first_row + A.rows});
}

template <class T>
void RowSketch<T>::merge(const RowSketch& other) {
  require(cols_ == other.cols_ && rhs_ == other.rhs_, "RowSketch: one has ", cols_, " columns and ", rhs_,
          " right-hand sides, the other ", other.cols_, " and ", other.rhs_);
  require(spec_.kind == other.spec_.kind && spec_.rows == other.spec_.rows && spec_.seed == other.spec_.seed &&
              spec_.block == other.spec_.block,
          "RowSketch: one has ", name_of(spec_), ", the other ", name_of(other.spec_), "; they must be the same");
  for (const auto& [begin, end] : other.stretches_) check_new_rows(begin, end - begin);
  for (Index i = 0; i < sums_.size(); ++i) sums_[i] += other.sums_[i];
  for (const auto& stretch : other.stretches_) take_in(stretch);
}

template <class T>
Index RowSketch<T>::rows_seen() const {
  Index rows = 0;
  for (const auto& [begin, end] : stretches_) rows += end - begin;
  return rows;
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
  const std::size_t stretch_bytes = stretches_.size() * 2 * sizeof(std::int64_t),
                    sum_bytes = Array<T>::bytes(sums_.size());
  std::vector<std::byte> bytes(sizeof(Header) + stretch_bytes + sum_bytes);
  std::memcpy(bytes.data(), &header, sizeof(Header));
  std::byte* next = bytes.data() + sizeof(Header);
  for (const auto& [begin, end] : stretches_)
    for (const std::int64_t row : {static_cast<std::int64_t>(begin), static_cast<std::int64_t>(end)}) {
      std::memcpy(next, &row, sizeof(row));
      next += sizeof(row);
    }
  std::memcpy(next, sums_.data(), sum_bytes);
  return bytes;
}

template <class T>
RowSketch<T> RowSketch<T>::from_bytes(std::span<const std::byte> bytes) {
  constexpr const char* wrong = "RowSketch: these bytes are not those of a sketch of this type";
  Header header{};
  require(bytes.size() >= sizeof(Header), wrong);
  std::memcpy(&header, bytes.data(), sizeof(Header));
  constexpr std::int64_t largest = std::int64_t{1} << 40;
  require(header.mark == mark && header.item_size == sizeof(T) && header.kind >= 0 &&
              header.kind <= static_cast<std::int64_t>(SketchKind::countsketch) && header.cols >= 1 &&
              header.rhs >= 0 && header.rows >= 1 && header.cols < largest && header.rhs < largest &&
              header.rows <= std::int64_t{1} << 30 && header.stretches < static_cast<std::uint64_t>(largest),
          wrong);
  // Beyond 2^53 there are no such bytes, and below a double is exact.
  const double expected =
      static_cast<double>(sizeof(Header)) + 16 * static_cast<double>(header.stretches) +
      static_cast<double>(sizeof(T)) * static_cast<double>(header.rows) * static_cast<double>(header.cols + header.rhs);
  require(expected == static_cast<double>(bytes.size()), wrong);
  RowSketch result(
      header.cols, header.rhs,
      {.kind = static_cast<SketchKind>(header.kind), .rows = header.rows, .seed = header.seed, .block = header.block});
  const std::byte* next = bytes.data() + sizeof(Header);
  for (std::uint64_t i = 0; i < header.stretches; ++i, next += 16) {
    std::array<std::int64_t, 2> rows{};
    std::memcpy(rows.data(), next, sizeof(rows));
    require(rows[0] >= 0 && rows[1] > rows[0] && rows[1] <= most_rows, wrong);
    result.check_new_rows(rows[0], rows[1] - rows[0]);
    result.take_in({rows[0], rows[1]});
  }
  std::memcpy(result.sums_.data(), next, Array<T>::bytes(result.sums_.size()));
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

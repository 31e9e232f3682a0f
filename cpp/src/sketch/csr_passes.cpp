// Passes over sparse rows: time proportional to their entries, but for whitened_gram and qr, which fill rows up.
#include <cmath>

#include "linalg/reduction.hpp"
#include "sketch/apply.hpp"
#include "sketch/passes.hpp"

namespace nearlinear::sketch {
namespace {

constexpr Index block_rows = 4096;

template <class T, class I>
class CsrPasses final : public Passes<T> {
 public:
  explicit CsrPasses(const CsrRows<T, I>& rows)
      : Passes<T>(rows.rows(), rows.cols(), rows.rhs()),
        source_(rows),
        A_(rows.matrix()),
        B_(rows.B()),
        dense_(passes_of<T>(static_cast<const RowSource<T>&>(rows))) {}

  void gram(MatrixView<double> G, MatrixView<double> C, std::span<double> squares, const RunOptions& run) override {
    const Index d = this->cols(), p = this->rhs(), size = d * (d + p) + p;
    const Array<double> total(size);
    const double per_row = work() / static_cast<double>(std::max<Index>(1, A_.rows));
    sum_rows(A_.rows, work() * per_row, size, total.data(), run, [&](Index from, Index to, double* sum) {
      double* const right = sum + d * d;
      add_squares(from, to, right + d * p);
      for (Index i = from; i < to; ++i) {
        const I first = begin(i), end = begin(i + 1);
        for (I k = first; k < end; ++k) {
          const Index j = column(k);
          const double entry = value(k);
          double* const row = sum + j * d;
          row[j] += entry * entry;
          for (I other = first; other < k; ++other) {
            const Index col = column(other);
            row[col] +=
                col == j ? 2 * entry * value(other) : entry * value(other);  // a place that is stored twice: 2 a b
          }
          for (Index c = 0; c < p; ++c) right[j * p + c] += entry * static_cast<double>(B_(i, c));
        }
      }
    });
    // A pair of entries of a row was added on one side of the diagonal, its square once: rows need not be sorted.
    for (Index i = 0; i < d; ++i)
      for (Index j = 0; j <= i; ++j)
        G(i, j) = G(j, i) = i == j ? total[i * d + i] : total[i * d + j] + total[j * d + i];
    for (Index i = 0; i < d && p > 0; ++i) std::copy_n(total.data() + d * d + i * p, p, &C(i, 0));
    std::copy_n(total.data() + d * (d + p), p, squares.begin());
  }

  void sketch(const SketchSpec& spec, MatrixView<T> SAB, const RunOptions& run) override {
    sketch_all(spec, source_, SAB, run);
  }

  void whitened_gram(const Preconditioner& P, MatrixView<double> G, MatrixView<double> C,
                     const RunOptions& run) override {
    dense_->whitened_gram(P, G, C, run);
  }

  void residual(MatrixView<const T> X, MatrixView<double> G, std::span<double> squares,
                const RunOptions& run) override {
    const Index d = this->cols(), p = this->rhs();
    const Array<double> total(d * p + p);
    sum_rows(A_.rows, 2 * work() * static_cast<double>(p), d * p + p, total.data(), run,
             [&](Index from, Index to, double* sum) {
               for (Index c = 0; c < p; ++c) {
                 double square_sum = 0;
                 for (Index i = from; i < to; ++i) {
                   const I first = begin(i), end = begin(i + 1);
                   auto r = static_cast<double>(B_(i, c));
                   if (end - first == 1) {  // most rows of many matrices, for which loops cost more than what they do
                     r -= value(first) * static_cast<double>(X(column(first), c));
                     sum[column(first) * p + c] += value(first) * r;
                   } else {
                     for (I k = first; k < end; ++k) r -= value(k) * static_cast<double>(X(column(k), c));
                     for (I k = first; k < end; ++k) sum[column(k) * p + c] += value(k) * r;
                   }
                   square_sum += r * r;
                 }
                 sum[d * p + c] += square_sum;
               }
             });
    std::copy_n(total.data(), d * p, G.data());
    std::copy_n(total.data() + d * p, p, squares.begin());
  }

  void normal_product(MatrixView<const T> Z, MatrixView<double> Y, const RunOptions& run) override {
    const Index d = this->cols(), p = Z.cols();
    if (begins_.size() == 0) drop_empty_rows();
    sum_rows(begins_.size() - 1, 2 * work() * static_cast<double>(p), d * p, Y.data(), run,
             [&](Index from, Index to, double* sum) {
               for (Index i = from; i < to; ++i) {
                 const I first = begins_[i], end = begins_[i + 1];
                 for (Index c = 0; c < p; ++c) {
                   if (end - first == 1) {
                     const Index j = column(first);
                     sum[j * p + c] += value(first) * (value(first) * static_cast<double>(Z(j, c)));
                     continue;
                   }
                   double product = 0;
                   for (I k = first; k < end; ++k) product += value(k) * static_cast<double>(Z(column(k), c));
                   for (I k = first; k < end; ++k) sum[column(k) * p + c] += value(k) * product;
                 }
               }
             });
  }

  void qr(MatrixView<double> R, MatrixView<double> C, std::span<double> squares, const RunOptions& run) override {
    dense_->qr(R, C, squares, run);
  }

  [[nodiscard]] Magnitude magnitude(const RunOptions&) override {
    Magnitude largest;
    for (Index i = 0; i < A_.rows; ++i) {
      for (I k = begin(i); k < begin(i + 1); ++k) {
        require(std::isfinite(value(k)), "lstsq: A has the entry ", value(k), " at index (", i, ", ", column(k),
                "); all entries must be finite");
        largest.a = std::max(largest.a, std::abs(value(k)));
      }
      for (Index c = 0; c < B_.cols(); ++c) {
        require(std::isfinite(B_(i, c)), "lstsq: b has the entry ", B_(i, c), " at index (", i, ", ", c,
                "); all entries must be finite");
        largest.b = std::max(largest.b, std::abs(static_cast<double>(B_(i, c))));
      }
    }
    return largest;
  }

  [[nodiscard]] bool is_sparse() const override { return true; }
  [[nodiscard]] double entries() const override { return work(); }

 private:
  [[nodiscard]] double work() const { return static_cast<double>(A_.nnz() + A_.rows); }
  [[nodiscard]] I begin(Index i) const { return A_.indptr[static_cast<std::size_t>(i)]; }
  static double square(T value) { return static_cast<double>(value) * static_cast<double>(value); }

  [[nodiscard]] Index column(I k) const { return static_cast<Index>(A_.indices[static_cast<std::size_t>(k)]); }
  [[nodiscard]] double value(I k) const { return static_cast<double>(A_.data[static_cast<std::size_t>(k)]); }

  /// sums_c <- sums_c + the squares of B's column c.
  void add_squares(Index from, Index to, double* sums) const {
    for (Index c = 0; c < B_.cols(); ++c) {
      double sum = 0;
      for (Index i = from; i < to; ++i) sum += square(B_(i, c));
      sums[c] += sum;
    }
  }

  /// Where rows with entries begin, and the last one ends: what iterations go over many times.
  void drop_empty_rows() {
    Index count = 0;
    for (Index i = 0; i < A_.rows; ++i) count += begin(i) < begin(i + 1) ? 1 : 0;
    begins_ = Array<I>(count + 1);
    count = 0;
    for (Index i = 0; i < A_.rows; ++i)
      if (begin(i) < begin(i + 1)) begins_[count++] = begin(i);
    begins_[count] = begin(A_.rows);
  }

  /// total <- the sum of what body(first row, last row, sum) adds to `size` numbers, for `rows` rows.
  template <class Body>
  void sum_rows(Index rows, double operations, Index size, double* total, const RunOptions& run,
                const Body& body) const {
    Monitor monitor(run.keep_going);
    if (size == 0) return;
    // Sums of groups are zeroed and added: there is to be more to do than that.
    const auto worthwhile = static_cast<Index>(std::min(1e9, operations / (4 * static_cast<double>(size)))) + 1;
    const Index groups = std::min(worthwhile, linalg::group_count(rows, block_rows, size * Index{sizeof(double)}));
    const int threads = thread_count(run.n_threads, static_cast<Index>(std::min(1e18, 2 * operations)));
    linalg::sum_over_groups<double>(groups, size, threads, monitor, total,
                                    [&](Index group, double* sum, const linalg::Poll& poll) {
                                      const linalg::RowGroup part(rows, block_rows, groups, group);
                                      for (Index from = part.begin; from < part.end; from += block_rows) {
                                        poll(part.fraction(from));
                                        body(from, std::min(part.end, from + block_rows), sum);
                                      }
                                    });
  }

  const CsrRows<T, I>& source_;
  CsrView<T, I> A_;
  MatrixView<const T> B_;
  std::unique_ptr<Passes<T>> dense_;
  Array<I> begins_;
};

}  // namespace

template <class T, class I>
std::unique_ptr<Passes<T>> passes_of(const CsrRows<T, I>& rows) {
  return std::make_unique<CsrPasses<T, I>>(rows);
}

template std::unique_ptr<Passes<float>> passes_of(const CsrRows<float, std::int32_t>&);
template std::unique_ptr<Passes<float>> passes_of(const CsrRows<float, std::int64_t>&);
template std::unique_ptr<Passes<double>> passes_of(const CsrRows<double, std::int32_t>&);
template std::unique_ptr<Passes<double>> passes_of(const CsrRows<double, std::int64_t>&);

}  // namespace nearlinear::sketch

// Passes over matrices that are known by their products, or come in blocks.
#include <algorithm>
#include <cmath>
#include <limits>

#include "sketch/apply.hpp"
#include "sketch/passes.hpp"
#include "sketch/random_map.hpp"

namespace nearlinear::sketch {
namespace {

template <class T>
class OperatorPasses final : public Passes<T> {
 public:
  OperatorPasses(const LinearOperator<T>& A, MatrixView<const T> B)
      : Passes<T>(A.rows, A.cols, B.cols()), A_(A), B_(B) {}

  void gram(MatrixView<double>, MatrixView<double>, std::span<double>, const RunOptions&) override { refuse(); }
  void whitened_gram(const Preconditioner&, MatrixView<double>, MatrixView<double>, const RunOptions&) override {
    refuse();
  }
  void qr(MatrixView<double>, MatrixView<double>, std::span<double>, const RunOptions&) override { refuse(); }

  /// S A = (A^T S^T)^T, some columns of S^T at a time.
  void sketch(const SketchSpec& spec, MatrixView<T> SAB, const RunOptions& run) override {
    const Index n = this->rows(), d = this->cols(), m = spec.rows;
    constexpr Index together = 64;
    const Array<T> unit(m * together), rows(checked_product(n, together)), products(d * together);
    for (Index j = 0; j < m; j += together) {
      const Index count = std::min(together, m - j);
      std::fill(unit.begin(), unit.end(), T{0});
      for (Index c = 0; c < count; ++c) unit[(j + c) * count + c] = T{1};
      const MatrixView<T> St(rows.data(), n, count), AtSt(products.data(), d, count);
      apply_sketch_transposed<T>(spec, {unit.data(), m, count}, St, run);
      A_.apply_transposed(St, AtSt);
      for (Index c = 0; c < count; ++c)
        for (Index i = 0; i < d; ++i) SAB(j + c, i) = AtSt(i, c);
    }
    if (this->rhs() == 0) return;
    const Array<T> SB(m * this->rhs());
    apply_sketch<T>(spec, B_, {SB.data(), m, this->rhs()}, run);
    for (Index j = 0; j < m; ++j) std::copy_n(SB.data() + j * this->rhs(), this->rhs(), &SAB(j, d));
  }

  void residual(MatrixView<const T> X, MatrixView<double> G, std::span<double> squares, const RunOptions&) override {
    const Index n = this->rows(), d = this->cols(), p = this->rhs();
    const Array<T> r(checked_product(n, p)), g(d * p);
    A_.apply(X, {r.data(), n, p});
    std::fill(squares.begin(), squares.end(), 0.0);
    for (Index i = 0; i < n; ++i)
      for (Index c = 0; c < p; ++c) {
        r[i * p + c] = B_(i, c) - r[i * p + c];
        squares[static_cast<std::size_t>(c)] += std::pow(static_cast<double>(r[i * p + c]), 2);
      }
    A_.apply_transposed({r.data(), n, p}, {g.data(), d, p});
    std::copy(g.begin(), g.end(), G.data());
  }

  void normal_product(MatrixView<const T> Z, MatrixView<double> Y, const RunOptions&) override {
    const Index n = this->rows(), d = this->cols(), p = Z.cols();
    const Array<T> az(checked_product(n, p)), product(d * p);
    A_.apply(Z, {az.data(), n, p});
    A_.apply_transposed({az.data(), n, p}, {product.data(), d, p});
    std::copy(product.begin(), product.end(), Y.data());
  }

  /// Of a product with a vector of ones, for A.
  [[nodiscard]] Magnitude magnitude(const RunOptions&) override {
    const Array<T> ones(this->cols()), product(this->rows());
    std::fill(ones.begin(), ones.end(), T{1});
    A_.apply({ones.data(), this->cols(), 1}, {product.data(), this->rows(), 1});
    Magnitude largest;
    for (Index i = 0; i < this->rows(); ++i) {
      for (Index c = 0; c < this->rhs(); ++c) {
        require(std::isfinite(B_(i, c)), "lstsq: b has the entry ", B_(i, c), " at index (", i, ", ", c,
                "); all entries must be finite");
        largest.b = std::max(largest.b, std::abs(static_cast<double>(B_(i, c))));
      }
      require(std::isfinite(product[i]), "lstsq: a product with A has an entry that is ", product[i]);
      largest.a = std::max(largest.a, std::abs(static_cast<double>(product[i])));
    }
    return largest;
  }

  [[nodiscard]] bool has_rows() const override { return false; }

 private:
  [[noreturn]] static void refuse() { throw std::logic_error("lstsq: an operator has no rows"); }

  const LinearOperator<T>& A_;
  MatrixView<const T> B_;
};

/// Sums of what RowPasses makes of every block.
template <class T>
class BlockPasses final : public Passes<T> {
 public:
  BlockPasses(const RowBlocks<T>& blocks, OutOfScale scale)
      : Passes<T>(0, blocks.cols, blocks.rhs), blocks_(blocks), scale_(scale) {}

  void gram(MatrixView<double> G, MatrixView<double> C, std::span<double> squares, const RunOptions& run) override {
    const Index d = this->cols(), p = this->rhs();
    const Array<double> g(d * d), c(d * p), s(p);
    set_zero(G, C, squares);
    for_blocks([&](Passes<T>& block, const RowSource<T>&) {
      block.gram({g.data(), d, d}, {c.data(), d, p}, s.span(), run);
      add(g, G.data());
      add(c, C.data());
      add(s, squares.data());
    });
  }

  void sketch(const SketchSpec& spec, MatrixView<T> SAB, const RunOptions& run) override {
    require(is_streamed(spec.kind),
            "lstsq: sketch is dct or pooled, which need all rows at once, but A comes in blocks");
    for (Index i = 0; i < SAB.rows(); ++i) std::fill_n(&SAB(i, 0), SAB.cols(), T{0});
    Index offset = 0;
    for_blocks([&](Passes<T>&, const RowSource<T>& rows) {
      add_to_sketch(spec, offset, rows, SAB, run);
      offset += rows.rows();
    });
    multiply_by(SAB, scale(spec));
  }

  void whitened_gram(const Preconditioner& P, MatrixView<double> G, MatrixView<double> C,
                     const RunOptions& run) override {
    const Index k = P.rank(), p = this->rhs();
    const Array<double> g(k * k), c(k * p);
    set_zero(G, C, {});
    for_blocks([&](Passes<T>& block, const RowSource<T>&) {
      block.whitened_gram(P, {g.data(), k, k}, {c.data(), k, p}, run);
      add(g, G.data());
      add(c, C.data());
    });
  }

  void residual(MatrixView<const T> X, MatrixView<double> G, std::span<double> squares,
                const RunOptions& run) override {
    const Index d = this->cols(), p = this->rhs();
    const Array<double> g(d * p), s(p);
    set_zero(G, {nullptr, 0, 0}, squares);
    for_blocks([&](Passes<T>& block, const RowSource<T>&) {
      block.residual(X, {g.data(), d, p}, s.span(), run);
      add(g, G.data());
      add(s, squares.data());
    });
  }

  void normal_product(MatrixView<const T> Z, MatrixView<double> Y, const RunOptions& run) override {
    const Array<double> y(Z.rows() * Z.cols());
    set_zero(Y, {nullptr, 0, 0}, {});
    for_blocks([&](Passes<T>& block, const RowSource<T>&) {
      block.normal_product(Z, {y.data(), Z.rows(), Z.cols()}, run);
      add(y, Y.data());
    });
  }

  void qr(MatrixView<double> R, MatrixView<double> C, std::span<double> squares, const RunOptions& run) override {
    const Index width = this->cols() + this->rhs();
    StackedQr<T> stack(width);
    const Array<T> ones(stack.most_rows());
    std::fill(ones.begin(), ones.end(), T{1});
    for_blocks([&](Passes<T>&, const RowSource<T>& rows) {
      for (Index begin = 0; begin < rows.rows(); begin += stack.most_rows()) {
        const Index end = std::min(rows.rows(), begin + stack.most_rows());
        rows.copy(begin, end, 0, width, ones.data(), stack.next_rows(end - begin, run));
      }
    });
    split_triangle<T>(stack.finish(run), R, C, squares);
  }

  [[nodiscard]] Magnitude magnitude(const RunOptions& run) override {
    require(is_repeatable(),
            "lstsq: A or b has entries that are NaN, infinite, or so large or small that squares of "
            "them leave the range of numbers");
    Magnitude largest;
    for_blocks([&](Passes<T>& block, const RowSource<T>&) {
      const Magnitude here = block.magnitude(run);
      largest = {std::max(largest.a, here.a), std::max(largest.b, here.b)};
    });
    return largest;
  }

  [[nodiscard]] bool is_repeatable() const override { return static_cast<bool>(blocks_.rewind); }

 private:
  static void set_zero(MatrixView<double> G, MatrixView<double> C, std::span<double> squares) {
    std::fill_n(G.data(), G.rows() * G.cols(), 0.0);
    std::fill_n(C.data(), C.rows() * C.cols(), 0.0);
    std::fill(squares.begin(), squares.end(), 0.0);
  }

  static void add(const Array<double>& from, double* to) {
    for (Index i = 0; i < from.size(); ++i) to[i] += from[i];
  }

  template <class Body>
  void for_blocks(const Body& body) {
    if (is_repeatable()) blocks_.rewind();
    MatrixView<const T> A(nullptr, 0, 0), B(nullptr, 0, 0);
    Index rows = 0;
    while (blocks_.next(A, B)) {
      require(A.cols() == this->cols() && B.cols() == this->rhs() && A.rows() == B.rows(), "lstsq: a block of A is ",
              shape(A), " and that of b is ", shape(B), "; they must have as many rows, and ", this->cols(), " and ",
              this->rhs(), " columns as the others");
      DenseRows<T> block(A, B);
      block.rescale(scale_.a, scale_.b);
      body(*passes_of<T>(static_cast<const RowSource<T>&>(block)), block);
      rows = checked_sum(rows, A.rows());
    }
    this->set_rows(rows);
  }

  const RowBlocks<T>& blocks_;
  OutOfScale scale_;
};

}  // namespace

template <class T>
std::unique_ptr<Passes<T>> passes_of(const LinearOperator<T>& A, MatrixView<const T> B) {
  return std::make_unique<OperatorPasses<T>>(A, B);
}

template <class T>
std::unique_ptr<Passes<T>> passes_of(const RowBlocks<T>& blocks, OutOfScale scale) {
  return std::make_unique<BlockPasses<T>>(blocks, scale);
}

#define NEARLINEAR_INSTANTIATE(T)                                                               \
  template std::unique_ptr<Passes<T>> passes_of(const LinearOperator<T>&, MatrixView<const T>); \
  template std::unique_ptr<Passes<T>> passes_of(const RowBlocks<T>&, OutOfScale);
NEARLINEAR_INSTANTIATE(float)
NEARLINEAR_INSTANTIATE(double)
#undef NEARLINEAR_INSTANTIATE

}  // namespace nearlinear::sketch

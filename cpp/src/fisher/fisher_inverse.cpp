// The public face of the blocks: checks, and what is done with all of them.
#include "nearlinear/fisher/fisher_inverse.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>

#include "core/threads.hpp"
#include "fisher/fisher_blocks.hpp"
#include "fisher/shifted_factor.hpp"
#include "nearlinear/core/errors.hpp"
#include "nearlinear/linalg/cholesky.hpp"
#include "nearlinear/linalg/products.hpp"
#include "nearlinear/linalg/spectral.hpp"

namespace nearlinear {
namespace {

using fisher::Block;
using fisher::FisherBlocks;
using fisher::Gradients;
using fisher::Pass;

constexpr Index columns_together = 256;  // whose whitened columns are held at a time

template <class T>
Gradients gradients_of(MatrixView<const T> gradients, const FisherOptions& options, const RunOptions& run) {
  require_valid_view(gradients, "FisherInverse", "grads");
  if (!options.copy) return Gradients(gradients);
  Gradients copy(options.storage, gradients.rows(), gradients.cols(), Gradients::Layout::by_rows);
  Monitor monitor(run.keep_going);
  for (Index i = 0; i < gradients.rows(); ++i) {
    const std::string argument = "grads[" + std::to_string(i) + "]";
    const double largest =
        copy.check<T>(gradients.row(i), "FisherInverse", argument.c_str(), {run.n_threads, monitor}).largest;
    copy.set_row<T>(i, gradients.row(i), largest, {run.n_threads, monitor});
  }
  return copy;
}

template <class T>
MatrixView<T> columns(MatrixView<T> X, const Block& block) {
  return {X.data() + block.begin, X.rows(), block.size(), X.row_stride()};
}

template <class Element>
std::span<Element> part(std::span<Element> all, const Block& block) {
  return all.subspan(static_cast<std::size_t>(block.begin), static_cast<std::size_t>(block.size()));
}

/// The block's entries of all vectors, a column for each, in double; and back.
template <class T>
Array<double> transposed(MatrixView<const T> X) {
  Array<double> Z(X.rows() * X.cols());
  for (Index q = 0; q < X.rows(); ++q)
    for (Index j = 0; j < X.cols(); ++j) Z[j * X.rows() + q] = static_cast<double>(X(q, j));
  return Z;
}

template <class T>
void put_transposed(const Array<double>& Z, double factor, MatrixView<T> Y) {
  for (Index q = 0; q < Y.rows(); ++q)
    for (Index j = 0; j < Y.cols(); ++j) Y(q, j) = static_cast<T>(factor * Z[j * Y.rows() + q]);
}

/// Y <- alpha X + G^T M G X, where to_middle(U) makes M U of U = G X in place.
template <class T, class ToMiddle>
void two_passes(const Gradients& gradients, double alpha, MatrixView<const T> X, MatrixView<T> Y, Pass pass,
                const ToMiddle& to_middle) {
  const Array<double> U(gradients.rows() * X.rows());
  gradients.multiply_many<T>(X, U.data(), pass);
  to_middle(MatrixView<double>(U.data(), gradients.rows(), X.rows()));
  gradients.combine_many<T>(U.data(), alpha, X, Y, pass);
}

void scale(MatrixView<double> U, double factor) {
  for (Index i = 0; i < U.rows(); ++i)
    for (Index q = 0; q < U.cols(); ++q) U(i, q) *= factor;
}

template <class T>
void apply_inverse(const FisherBlocks& blocks, const Block& block, MatrixView<const T> X, MatrixView<T> Y, Pass pass) {
  if (!block.by_gradients) {
    const Array<double> Z = transposed(X);
    fisher::solve_shifted(block.L, {Z.data(), X.cols(), X.rows()}, pass.n_threads);
    return put_transposed(Z, block.normalization, Y);
  }
  two_passes(blocks.gradients_of(block), 1 / block.damping, X, Y, pass, [&](MatrixView<double> U) {
    fisher::solve_shifted(block.L, U, pass.n_threads);
    scale(U, -1 / block.damping);
  });
}

/// f(K) from the right and left of the eigenvectors:  U <- V diag(f) V^T U.
template <class Function>
void apply_function(MatrixView<const double> K, MatrixView<double> U, const Function& f, int n_threads) {
  const Index n = K.rows();
  const Array<double> values(n), vectors(n * n), coefficients(n * U.cols());
  const MatrixView<double> V(vectors.data(), n, n), C(coefficients.data(), n, U.cols());
  const RunOptions run{.n_threads = n_threads};
  if (!symmetric_eigen<double>(K, values.span(), V, run))
    throw std::runtime_error("apply_square_root: the eigenvalues of the Gram matrix did not converge");
  gemm<double>(1, V, Transpose::yes, U, Transpose::no, 0, C, run);
  for (Index i = 0; i < n; ++i)
    for (Index q = 0; q < U.cols(); ++q) C(i, q) *= f(std::max(values[i], 0.0));
  gemm<double>(1, V, Transpose::no, C, Transpose::no, 0, U, run);
}

template <class T>
void apply_root(const FisherBlocks& blocks, const Block& block, MatrixView<const T> X, MatrixView<T> Y, Pass pass) {
  const double lambda = block.damping, s = block.normalization;
  if (!block.by_gradients) {
    const Array<double> Z = transposed(X);
    apply_function(
        block.K, {Z.data(), X.cols(), X.rows()}, [=](double k) { return 1 / std::sqrt(lambda + k / s); },
        pass.n_threads);
    return put_transposed(Z, 1, Y);
  }
  // (lambda + k/s)^{-1/2} - lambda^{-1/2}, over k, without the difference.
  two_passes(blocks.gradients_of(block), 1 / std::sqrt(lambda), X, Y, pass, [&](MatrixView<double> U) {
    apply_function(
        block.K, U,
        [=](double k) {
          const double a = std::sqrt(lambda + k / s), b = std::sqrt(lambda);
          return -1 / (s * a * b * (a + b));
        },
        pass.n_threads);
  });
}

}  // namespace

template <class T>
struct FisherInverse<T>::State {
  FisherBlocks blocks;

  void require_vectors(MatrixView<const T> X, MatrixView<T> Y, const char* function) const {
    require_valid_view(X, function, "X");
    require_valid_view(Y, function, "Y");
    const Index d = blocks.gradients().cols();
    require(X.cols() == d && Y.cols() == d && X.rows() == Y.rows(), function, ": X is ", shape(X), " and Y is ",
            shape(Y), "; they must have ", d, " columns, and as many rows as each other");
  }

  void require_columns(std::span<const Index> columns, const char* function) const {
    const Index d = blocks.gradients().cols();
    for (const Index c : columns)
      if (c < 0 || c >= d)
        throw std::out_of_range(std::string(function) + ": the index " + std::to_string(c) +
                                " is out of range; there are " + std::to_string(d) + " parameters");
  }
};

template <class T>
FisherInverse<T>::FisherInverse(MatrixView<const T> gradients, const FisherOptions& options, const RunOptions& run)
    : state_(new State{FisherBlocks(gradients_of(gradients, options, run), options)}) {
  state_->blocks.set_up(run);
}

template <class T>
FisherInverse<T>::FisherInverse(FisherInverse&&) noexcept = default;
template <class T>
FisherInverse<T>& FisherInverse<T>::operator=(FisherInverse&&) noexcept = default;
template <class T>
FisherInverse<T>::~FisherInverse() = default;

template <class T>
Index FisherInverse<T>::n_params() const {
  return state_->blocks.gradients().cols();
}
template <class T>
Index FisherInverse<T>::n_gradients() const {
  return state_->blocks.gradients().rows();
}
template <class T>
Index FisherInverse<T>::block_size() const {
  return state_->blocks.block_size();
}
template <class T>
Index FisherInverse<T>::n_blocks() const {
  return state_->blocks.count();
}
template <class T>
std::size_t FisherInverse<T>::nbytes() const {
  return state_->blocks.nbytes();
}
template <class T>
MatrixView<const double> FisherInverse<T>::gram() const {
  return state_->blocks[0].K;
}

template <class T>
void FisherInverse<T>::apply(MatrixView<const T> X, MatrixView<T> Y, const RunOptions& run) const {
  state_->require_vectors(X, Y, "apply");
  if (X.rows() == 0) return;
  const FisherBlocks& blocks = state_->blocks;
  const auto operations = static_cast<double>(4 * n_gradients() * X.rows());
  blocks.for_each(run, operations, [&](const Block& block, Pass pass) {
    apply_inverse(blocks, block, columns(X, block), columns(Y, block), pass);
  });
}

template <class T>
void FisherInverse<T>::apply_fisher(MatrixView<const T> X, MatrixView<T> Y, const RunOptions& run) const {
  state_->require_vectors(X, Y, "apply_fisher");
  if (X.rows() == 0) return;
  const FisherBlocks& blocks = state_->blocks;
  const auto operations = static_cast<double>(4 * n_gradients() * X.rows());
  blocks.for_each(run, operations, [&](const Block& block, Pass pass) {
    two_passes(blocks.gradients_of(block), block.damping, columns(X, block), columns(Y, block), pass,
               [&](MatrixView<double> U) { scale(U, 1 / block.normalization); });
  });
}

template <class T>
void FisherInverse<T>::apply_square_root(MatrixView<const T> X, MatrixView<T> Y, const RunOptions& run) const {
  state_->require_vectors(X, Y, "apply_square_root");
  if (X.rows() == 0) return;
  const FisherBlocks& blocks = state_->blocks;
  const auto operations = static_cast<double>(4 * n_gradients() * (X.rows() + n_gradients()));
  blocks.for_each(run, operations, [&](const Block& block, Pass pass) {
    apply_root(blocks, block, columns(X, block), columns(Y, block), pass);
  });
}

template <class T>
void FisherInverse<T>::diagonal(std::span<double> out, const RunOptions& run) const {
  require(std::ssize(out) == n_params(), "diagonal: out has ", std::ssize(out), " entries; there are ", n_params(),
          " parameters");
  const FisherBlocks& blocks = state_->blocks;
  const Index m = n_gradients();
  blocks.for_each(run, static_cast<double>(m * std::min(m, block_size())), [&](const Block& block, Pass pass) {
    const std::span<double> target = part(out, block);
    if (block.by_gradients) {
      blocks.gradients_of(block).squared_norms(block.L, blocks.precise(), target.data(), pass);
      for (double& entry : target) entry = (1 - entry) / block.damping;
      return;
    }
    const Index n = block.size();
    const Array<double> inverse(n * n);
    std::copy_n(block.L.data(), n * n, inverse.data());
    cholesky_inverse<double>(MatrixView<double>(inverse.data(), n, n), {.n_threads = pass.n_threads});
    for (Index j = 0; j < n; ++j) target[static_cast<std::size_t>(j)] = block.normalization * inverse[j * n + j];
  });
}

namespace {

/// Whitened columns of some parameters, which may lie in several blocks.
class WhitenedColumns {
 public:
  WhitenedColumns(const FisherBlocks& blocks, std::vector<Index> columns)
      : blocks_(blocks), columns_(std::move(columns)) {
    std::sort(columns_.begin(), columns_.end());
    columns_.erase(std::unique(columns_.begin(), columns_.end()), columns_.end());
    width_ = blocks[0].L.rows();  // no later block has more
    rows_ = Array<double>(std::ssize(columns_) * width_);
    for (std::size_t c = 0; c < columns_.size();) {
      const Block block = block_of(columns_[c]);
      std::vector<Index> inside;
      const Index first = static_cast<Index>(c);
      for (; c < columns_.size() && columns_[c] < block.end; ++c) inside.push_back(columns_[c] - block.begin);
      fisher::whiten(blocks, block, inside,
                     {rows_.data() + first * width_, std::ssize(inside), block.L.rows(), width_});
    }
  }

  [[nodiscard]] double element(Index i, Index j) const {
    const Block block = block_of(i);
    if (j < block.begin || j >= block.end) return 0;
    return fisher::element(block, i == j, row(i), row(j));
  }

 private:
  [[nodiscard]] Block block_of(Index column) const { return blocks_[column / blocks_.block_size()]; }
  [[nodiscard]] std::span<const double> row(Index column) const {
    const Index c = std::lower_bound(columns_.begin(), columns_.end(), column) - columns_.begin();
    return {rows_.data() + c * width_, static_cast<std::size_t>(width_)};
  }

  const FisherBlocks& blocks_;
  std::vector<Index> columns_;
  Index width_ = 0;
  Array<double> rows_;
};

}  // namespace

namespace {

std::vector<Index> together(std::span<const Index> first, std::span<const Index> second) {
  std::vector<Index> all(first.begin(), first.end());
  all.insert(all.end(), second.begin(), second.end());
  return all;
}

}  // namespace

template <class T>
void FisherInverse<T>::elements(std::span<const Index> i, std::span<const Index> j, std::span<double> out,
                                const RunOptions& run) const {
  require(i.size() == j.size() && i.size() == out.size(), "elements: i has ", i.size(), ", j ", j.size(), " and out ",
          out.size(), " entries; they must have as many");
  state_->require_columns(i, "elements");
  state_->require_columns(j, "elements");
  Monitor monitor(run.keep_going);
  for (std::size_t begin = 0; begin < i.size(); begin += columns_together) {
    monitor.poll(static_cast<double>(begin) / static_cast<double>(i.size()));
    const std::size_t count = std::min<std::size_t>(columns_together, i.size() - begin);
    const WhitenedColumns whitened(state_->blocks, together(i.subspan(begin, count), j.subspan(begin, count)));
    for (std::size_t k = begin; k < begin + count; ++k) out[k] = whitened.element(i[k], j[k]);
  }
}

template <class T>
void FisherInverse<T>::submatrix(std::span<const Index> rows, std::span<const Index> cols, MatrixView<double> out,
                                 const RunOptions& run) const {
  require_valid_view(out, "submatrix", "out");
  require(out.rows() == std::ssize(rows) && out.cols() == std::ssize(cols), "submatrix: out is ", shape(out),
          "; there are ", rows.size(), " rows and ", cols.size(), " columns");
  state_->require_columns(rows, "submatrix");
  state_->require_columns(cols, "submatrix");
  Monitor monitor(run.keep_going);
  for (std::size_t r = 0; r < rows.size(); r += columns_together)
    for (std::size_t c = 0; c < cols.size(); c += columns_together) {
      monitor.poll(static_cast<double>(r) / static_cast<double>(rows.size()));
      const auto some_rows = rows.subspan(r, std::min<std::size_t>(columns_together, rows.size() - r));
      const auto some_cols = cols.subspan(c, std::min<std::size_t>(columns_together, cols.size() - c));
      const WhitenedColumns whitened(state_->blocks, together(some_rows, some_cols));
      for (std::size_t i = 0; i < some_rows.size(); ++i)
        for (std::size_t j = 0; j < some_cols.size(); ++j)
          out(static_cast<Index>(r + i), static_cast<Index>(c + j)) = whitened.element(some_rows[i], some_cols[j]);
    }
}

template <class T>
void FisherInverse<T>::group_inverses(MatrixView<const Index> groups, std::span<double> out,
                                      const RunOptions& run) const {
  require_valid_view(groups, "group_inverses", "groups");
  const Index size = groups.cols();
  require(std::ssize(out) == groups.rows() * size * size, "group_inverses: groups is ", shape(groups), " and out has ",
          std::ssize(out), " entries; it must have the square of a group's size for every group");
  for (Index g = 0; g < groups.rows(); ++g) state_->require_columns(groups.row(g), "group_inverses");
  if (groups.rows() == 0 || size == 0) return;
  const Index per_body = std::max<Index>(1, columns_together / size);
  Monitor monitor(run.keep_going);
  const int threads = thread_count(run.n_threads, groups.rows() * size * n_gradients() * n_gradients() / 8);
  parallel_for(ceil_divide(groups.rows(), per_body), threads, monitor, [&](Index body) {
    const Index begin = body * per_body, end = std::min(groups.rows(), begin + per_body);
    std::vector<Index> wanted;
    for (Index g = begin; g < end; ++g) wanted.insert(wanted.end(), groups.row(g).begin(), groups.row(g).end());
    const WhitenedColumns whitened(state_->blocks, std::move(wanted));
    for (Index g = begin; g < end; ++g)
      for (Index a = 0; a < size; ++a)
        for (Index b = 0; b < size; ++b)
          out[static_cast<std::size_t>((g * size + a) * size + b)] = whitened.element(groups(g, a), groups(g, b));
  });
}

template <class T>
double FisherInverse<T>::log_determinant() const {
  double sum = 0;
  for (Index b = 0; b < n_blocks(); ++b) {
    const Block block = state_->blocks[b];
    const auto side = static_cast<double>(block.L.rows()), size = static_cast<double>(block.size());
    sum += fisher::log_determinant(block.L);
    sum += block.by_gradients ? size * std::log(block.damping) - side * std::log(block.shift())
                              : -size * std::log(block.normalization);
  }
  return sum;
}

template <class T>
void FisherInverse<T>::set_damping(std::vector<double> damping, const RunOptions& run) {
  state_->blocks.set_damping(std::move(damping), run);
}

template <class T>
JointUpdate FisherInverse<T>::joint_step(std::span<const T> w, std::span<const std::uint8_t> prune, std::span<T> step,
                                         const RunOptions& run) const {
  const Index d = n_params(), m = n_gradients();
  require(std::ssize(w) == d && std::ssize(prune) == d && std::ssize(step) == d, "joint_step: w has ", std::ssize(w),
          ", prune ", std::ssize(prune), " and step ", std::ssize(step), " entries; there are ", d, " parameters");
  const FisherBlocks& blocks = state_->blocks;
  std::vector<double> increases(static_cast<std::size_t>(n_blocks()));
  blocks.for_each(run, static_cast<double>(m * std::min(m, block_size())), [&](const Block& block, Pass pass) {
    increases[static_cast<std::size_t>(block.begin / block_size())] =
        fisher::joint_step<T>(blocks, block, part(w, block), part(prune, block), part(step, block), pass);
  });
  double sum = 0;
  for (const double increase : increases) sum += increase;
  return {sum};
}

template class FisherInverse<float>;
template class FisherInverse<double>;

}  // namespace nearlinear

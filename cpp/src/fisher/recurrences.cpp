#include "nearlinear/fisher/recurrences.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "fisher/gradients.hpp"
#include "nearlinear/core/errors.hpp"

namespace nearlinear {
namespace {

using fisher::Gradients;
using fisher::Pass;

template <class T>
constexpr GradientStorage storage_of = sizeof(T) == 8 ? GradientStorage::float64 : GradientStorage::float32;

void require_positive(double damping, const char* function) {
  require(damping > 0 && std::isfinite(damping), function, ": damping is ", damping,
          "; it must be positive and finite");
}

template <class T>
void require_vectors(MatrixView<const T> X, MatrixView<T> Y, Index d) {
  require_valid_view(X, "apply", "X");
  require_valid_view(Y, "apply", "Y");
  require(X.cols() == d && Y.cols() == d && X.rows() == Y.rows(), "apply: X is ", shape(X), " and Y is ", shape(Y),
          "; they must have ", d, " columns, and as many rows as each other");
}

}  // namespace

template <class T>
struct StaticRecurrence<T>::State {
  Gradients hg;
  std::vector<double> den;
  double damping;
};

template <class T>
StaticRecurrence<T>::StaticRecurrence(MatrixView<const T> gradients, double damping, double normalization,
                                      const RunOptions& run) {
  const char* const function = "StaticRecurrence";
  require_valid_view(gradients, function, "grads");
  const Index m = gradients.rows(), d = gradients.cols();
  require(m > 0 && d > 0, function, ": grads is ", shape(gradients), "; it must have rows and columns");
  require_positive(damping, function);
  require(normalization >= 0 && std::isfinite(normalization), function, ": normalize is ", normalization,
          "; it must be positive and finite");
  const double s = normalization == 0 ? static_cast<double>(m) : normalization;
  state_.reset(new State{Gradients(storage_of<T>, m, d, Gradients::Layout::by_rows), {}, damping});
  Monitor monitor(run.keep_going);
  std::vector<double> q(static_cast<std::size_t>(m));
  std::vector<T> row(static_cast<std::size_t>(d));
  for (Index i = 0; i < m; ++i) {
    const Pass pass{run.n_threads, monitor};
    const std::span<const T> g = gradients.row(i);
    const std::string argument = "grads[" + std::to_string(i) + "]";
    [[maybe_unused]] const Gradients::Size size = state_->hg.template check<T>(g, function, argument.c_str(), pass);
    const Gradients before = state_->hg.first(i);
    before.multiply<T>(g, q.data(), pass);
    for (Index j = 0; j < i; ++j) q[static_cast<std::size_t>(j)] /= -state_->den[static_cast<std::size_t>(j)];
    before.combine<T>(q.data(), 1 / damping, g, row, pass);
    double product = 0;
    for (std::size_t j = 0; j < row.size(); ++j) product += static_cast<double>(g[j]) * static_cast<double>(row[j]);
    state_->den.push_back(s + product);
    state_->hg.template set_row<T>(i, row, 0, pass);
  }
}

template <class T>
StaticRecurrence<T>::StaticRecurrence(StaticRecurrence&&) noexcept = default;
template <class T>
StaticRecurrence<T>& StaticRecurrence<T>::operator=(StaticRecurrence&&) noexcept = default;
template <class T>
StaticRecurrence<T>::~StaticRecurrence() = default;

template <class T>
Index StaticRecurrence<T>::n_params() const {
  return state_->hg.cols();
}
template <class T>
Index StaticRecurrence<T>::n_gradients() const {
  return state_->hg.rows();
}
template <class T>
std::span<const double> StaticRecurrence<T>::denominators() const {
  return state_->den;
}

template <class T>
void StaticRecurrence<T>::apply(MatrixView<const T> X, MatrixView<T> Y, const RunOptions& run) const {
  require_vectors(X, Y, n_params());
  const Index p = X.rows();
  if (p == 0) return;
  Monitor monitor(run.keep_going);
  const Array<double> U(n_gradients() * p);
  state_->hg.template multiply_many<T>(X, U.data(), {run.n_threads, monitor});
  for (Index i = 0; i < n_gradients(); ++i)
    for (Index q = 0; q < p; ++q) U[i * p + q] /= -state_->den[static_cast<std::size_t>(i)];
  state_->hg.template combine_many<T>(U.data(), 1 / state_->damping, X, Y, {run.n_threads, monitor});
}

template <class T>
void StaticRecurrence<T>::diagonal(std::span<double> out, const RunOptions& run) const {
  require(std::ssize(out) == n_params(), "diagonal: out has ", std::ssize(out), " entries; there are ", n_params(),
          " parameters");
  Monitor monitor(run.keep_going);
  std::fill(out.begin(), out.end(), 1 / state_->damping);
  std::vector<double> row(out.size());
  for (Index i = 0; i < n_gradients(); ++i) {
    monitor.poll(static_cast<double>(i) / static_cast<double>(n_gradients()));
    state_->hg.template get_row<double>(i, row);
    for (std::size_t j = 0; j < out.size(); ++j) out[j] -= row[j] * row[j] / state_->den[static_cast<std::size_t>(i)];
  }
}

template <class T>
struct DynamicRecurrence<T>::State {
  Gradients gradients;
  double damping;
  Index next = 0;  // slot
  Index stored = 0;
  Array<double> K, D, B;  // window x window
  std::vector<double> den;

  [[nodiscard]] Index window() const { return gradients.rows(); }

  void factor() {
    const Index m = window();
    const double il = 1 / damping, s = static_cast<double>(m);
    std::copy(K.begin(), K.end(), D.begin());
    for (Index i = 0; i < m; ++i)
      for (Index j = 0; j < m; ++j) D[i * m + j] = il * K[i * m + j] + (i == j ? s : 0.0);
    for (Index k = 0; k < m; ++k)  // elimination without pivoting: the matrix is positive definite
      for (Index i = k + 1; i < m; ++i) {
        const double factor = D[i * m + k] / D[k * m + k];
        for (Index j = k; j < m; ++j) D[i * m + j] -= factor * D[k * m + j];
      }
    for (Index i = 0; i < m; ++i) {
      den[static_cast<std::size_t>(i)] = D[i * m + i];
      D[i * m + i] -= s;
    }
    std::fill(B.begin(), B.end(), 0.0);
    for (Index i = 0; i < m; ++i) {
      B[i * m + i] = il;
      for (Index j = 0; j < i; ++j) {
        const double factor = D[j * m + i] / den[static_cast<std::size_t>(j)];
        for (Index c = 0; c <= j; ++c) B[i * m + c] -= factor * B[j * m + c];
      }
    }
  }
};

template <class T>
DynamicRecurrence<T>::DynamicRecurrence(Index n_params, Index window, double damping) {
  const char* const function = "DynamicRecurrence";
  require(n_params > 0, function, ": n_params is ", n_params, "; it must be positive");
  require(window > 0, function, ": window is ", window, "; it must be positive");
  require_positive(damping, function);
  const Index square = checked_product(window, window);
  state_.reset(new State{.gradients = Gradients(storage_of<T>, window, n_params, Gradients::Layout::by_tiles),
                         .damping = damping,
                         .K = Array<double>::zeros(square),
                         .D = Array<double>(square),
                         .B = Array<double>(square),
                         .den = std::vector<double>(static_cast<std::size_t>(window))});
  state_->factor();
}

template <class T>
DynamicRecurrence<T>::DynamicRecurrence(DynamicRecurrence&&) noexcept = default;
template <class T>
DynamicRecurrence<T>& DynamicRecurrence<T>::operator=(DynamicRecurrence&&) noexcept = default;
template <class T>
DynamicRecurrence<T>::~DynamicRecurrence() = default;

template <class T>
Index DynamicRecurrence<T>::n_params() const {
  return state_->gradients.cols();
}
template <class T>
Index DynamicRecurrence<T>::n_stored() const {
  return state_->stored;
}

template <class T>
void DynamicRecurrence<T>::update(std::span<const T> g, const RunOptions& run) {
  State& state = *state_;
  require(std::ssize(g) == n_params(), "update: g has ", std::ssize(g), " entries; there are ", n_params(),
          " parameters");
  Monitor monitor(run.keep_going);
  const Pass pass{run.n_threads, monitor};
  const Index m = state.window(), slot = state.next;
  const Gradients::Size size = state.gradients.template check<T>(g, "update", "g", pass);
  std::vector<double> products(static_cast<std::size_t>(m));
  state.gradients.template multiply<T>(g, products.data(), pass);
  products[static_cast<std::size_t>(slot)] = size.square;
  Monitor unwatched{KeepGoing{}};
  state.gradients.template set_row<T>(slot, g, size.largest, {run.n_threads, unwatched});
  for (Index i = 0; i < m; ++i) state.K[slot * m + i] = state.K[i * m + slot] = products[static_cast<std::size_t>(i)];
  state.next = (slot + 1) % m;
  state.stored = std::min(state.stored + 1, m);
  state.factor();
}

template <class T>
void DynamicRecurrence<T>::apply(MatrixView<const T> X, MatrixView<T> Y, const RunOptions& run) const {
  const State& state = *state_;
  require_vectors(X, Y, n_params());
  Monitor monitor(run.keep_going);
  const Index m = state.window();
  const double il = 1 / state.damping;
  for (Index v = 0; v < X.rows(); ++v) {
    std::vector<double> q(static_cast<std::size_t>(m)), c(static_cast<std::size_t>(m), 0.0);
    state.gradients.template multiply<T>(X.row(v), q.data(), {run.n_threads, monitor});
    for (double& entry : q) entry *= il;
    for (Index i = 0; i < m; ++i) {
      const auto at = static_cast<std::size_t>(i);
      for (Index j = 0; j < i; ++j)
        q[at] -= state.D[j * m + i] / state.den[static_cast<std::size_t>(j)] * q[static_cast<std::size_t>(j)];
      for (Index j = 0; j <= i; ++j) c[static_cast<std::size_t>(j)] -= q[at] / state.den[at] * state.B[i * m + j];
    }
    state.gradients.template combine<T>(c.data(), il, X.row(v), Y.row(v), {run.n_threads, monitor});
  }
}

template class StaticRecurrence<float>;
template class StaticRecurrence<double>;
template class DynamicRecurrence<float>;
template class DynamicRecurrence<double>;

}  // namespace nearlinear

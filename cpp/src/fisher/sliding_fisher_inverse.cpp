// A window of gradients in slots that are used in turn, and its factor in the order of age.
#include "nearlinear/fisher/sliding_fisher_inverse.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "fisher/gradient_window.hpp"
#include "fisher/shifted_factor.hpp"
#include "linalg/cholesky_kernels.hpp"
#include "nearlinear/core/errors.hpp"
#include "nearlinear/linalg/cholesky.hpp"

namespace nearlinear {
namespace {

using fisher::Gradients;

constexpr const char* class_name = "SlidingFisherInverse";

Index checked_window(Index n_params, Index window, double damping) {
  require(n_params > 0, class_name, ": n_params is ", n_params, "; it must be positive");
  require(window > 0, class_name, ": window is ", window, "; it must be positive");
  require(damping > 0 && std::isfinite(damping), class_name, ": damping is ", damping,
          "; it must be positive and finite");
  return window;
}

}  // namespace

template <class T>
struct SlidingFisherInverse<T>::State {
  State(Index n_params, Index window, const SlidingFisherOptions& given)
      : options(given),
        gradients(make_window(n_params, checked_window(n_params, window, given.damping), given)),
        products(Array<double>::zeros(checked_product(window, window))),
        factor(Array<double>::zeros(checked_product(window, window))) {
    slots.reserve(static_cast<std::size_t>(window));
  }

  static std::unique_ptr<fisher::GradientWindow<T>> make_window(Index n_params, Index window,
                                                                const SlidingFisherOptions& options) {
    const double kept = options.kept;
    require(kept > 0 && kept <= 1, class_name, ": topk is ", kept, "; it must be above 0 and at most 1");
    if (kept == 1) return fisher::make_dense_window<T>(options.storage, window, n_params);
    return fisher::make_sparse_window<T>(options.storage, window, n_params, kept);
  }

  [[nodiscard]] Index window() const { return gradients->rows(); }
  [[nodiscard]] Index count() const { return std::ssize(slots); }
  [[nodiscard]] Index slot(Index age) const { return slots[static_cast<std::size_t>(age)]; }
  [[nodiscard]] double& product(Index slot_i, Index slot_j) const { return products[slot_i * window() + slot_j]; }
  [[nodiscard]] double normalization() const {
    return static_cast<double>(options.normalization == FisherNormalization::count ? count() : window());
  }
  [[nodiscard]] double shift() const { return normalization() * options.damping; }
  [[nodiscard]] MatrixView<double> L(Index n) const { return {factor.data(), n, n, window()}; }

  void require_age(Index age, const char* function) const {
    require(age >= 0 && age < count(), function, ": age is ", age, "; the window holds ", count(), " gradients");
  }

  [[nodiscard]] Index free_slot() const {
    Index free = 0;
    while (std::find(slots.begin(), slots.end(), free) != slots.end()) ++free;
    return free;
  }

  /// K in the order of age.
  void gram(MatrixView<double> out) const {
    for (Index i = 0; i < count(); ++i)
      for (Index j = 0; j < count(); ++j) out(i, j) = product(slot(i), slot(j));
  }

  void refactor(const RunOptions& run) {
    if (is_current) return;
    const Array<double> K(count() * count());
    const MatrixView<double> view(K.data(), count(), count());
    gram(view);
    fisher::factor_shifted(view, shift(), L(count()), run);
    is_current = true;
  }

  void take_out(Index age) {
    const bool stays = is_current && options.normalization == FisherNormalization::capacity;
    is_current = false;  // should memory run out below
    if (stays) fisher::remove_row(L(count()), age);
    slots.erase(slots.begin() + age);
    is_current = stays;
  }

  /// Gives the newest gradient, whose products are there, a row of the factor; the oldest one goes if `slides`.
  void take_in(Index new_slot, bool slides) {
    const bool stays = is_current && (slides || options.normalization == FisherNormalization::capacity);
    is_current = false;
    if (slides) {
      if (stays) fisher::remove_row(L(count()), 0);
      slots.erase(slots.begin());
    }
    slots.push_back(new_slot);
    if (stays) {
      std::vector<double> row(slots.size());
      for (Index i = 0; i < count(); ++i) row[static_cast<std::size_t>(i)] = product(new_slot, slot(i));
      row.back() += shift();
      fisher::append_row(L(count()), row, shift());
    }
    is_current = stays;
  }

  /// out <- c in the order of slots, zero where a slot is free.
  void by_slots(const double* by_age, Index width, std::vector<double>& out) const {
    out.assign(static_cast<std::size_t>(window() * width), 0.0);
    for (Index age = 0; age < count(); ++age) std::copy_n(by_age + age * width, width, out.data() + slot(age) * width);
  }

  SlidingFisherOptions options;
  std::unique_ptr<fisher::GradientWindow<T>> gradients;
  Array<double> products;    // of gradients, by slots
  std::vector<Index> slots;  // from the oldest gradient to the newest
  Array<double> factor;
  bool is_current = false;  // the factor
};

template <class T>
SlidingFisherInverse<T>::SlidingFisherInverse(Index n_params, Index window, const SlidingFisherOptions& options)
    : state_(new State(n_params, window, options)) {}
template <class T>
SlidingFisherInverse<T>::SlidingFisherInverse(SlidingFisherInverse&&) noexcept = default;
template <class T>
SlidingFisherInverse<T>& SlidingFisherInverse<T>::operator=(SlidingFisherInverse&&) noexcept = default;
template <class T>
SlidingFisherInverse<T>::~SlidingFisherInverse() = default;

template <class T>
Index SlidingFisherInverse<T>::n_params() const {
  return state_->gradients->cols();
}
template <class T>
Index SlidingFisherInverse<T>::window() const {
  return state_->window();
}
template <class T>
Index SlidingFisherInverse<T>::n_stored() const {
  return state_->count();
}
template <class T>
double SlidingFisherInverse<T>::damping() const {
  return state_->options.damping;
}
template <class T>
std::size_t SlidingFisherInverse<T>::nbytes() const {
  return state_->gradients->nbytes() + 2 * Array<double>::bytes(window() * window());
}

template <class T>
void SlidingFisherInverse<T>::update(MatrixView<const T> given, const RunOptions& run) {
  State& state = *state_;
  fisher::GradientWindow<T>& gradients = *state.gradients;
  require_valid_view(given, "update", "g");
  require(given.cols() == n_params(), "update: g has ", given.cols(), " entries; there are ", n_params(),
          " parameters");
  // Older ones would be gone at the end; they are looked at all the same.
  const Index skipped = std::max<Index>(0, given.rows() - window()), count = given.rows() - skipped;
  if (count == 0) return;
  // Admitted and multiplied before the window changes: what is thrown up to there leaves it as it was.
  Monitor monitor(run.keep_going);
  const fisher::Pass pass{run.n_threads, monitor};
  fisher::Admission<T> admission = gradients.admit(given, count, pass);
  const Array<double> with_old = Array<double>::zeros(window() * count), with_each_other(count * count);
  if (state.count() > 0) gradients.multiply_many(admission.rows, with_old.data(), pass);
  const bool knows_squares = !admission.squares.empty();
  if (count > 1 || !knows_squares)
    Gradients(admission.rows).multiply_many(admission.rows, with_each_other.data(), pass);
  for (Index i = 0; i < count && knows_squares; ++i)
    with_each_other[i * count + i] = admission.squares[static_cast<std::size_t>(i)];

  std::vector<Index> slots_of_fresh;
  slots_of_fresh.reserve(static_cast<std::size_t>(count));
  // Rows of the factor cost n^2 operations each, all of it n^3 / 3.
  if (3 * count > state.count()) state.is_current = false;
  for (Index i = 0; i < count; ++i) {
    const bool slides = state.count() == window();
    const Index slot = slides ? state.slot(0) : state.free_slot();
    Monitor unwatched{KeepGoing{}};
    gradients.store(slot, admission, i, {run.n_threads, unwatched});
    for (Index other = 0; other < window(); ++other)
      state.product(slot, other) = state.product(other, slot) = with_old[other * count + i];
    for (Index j = 0; j < i; ++j) {
      const Index other = slots_of_fresh[static_cast<std::size_t>(j)];
      state.product(slot, other) = state.product(other, slot) = with_each_other[i * count + j];
    }
    state.product(slot, slot) = with_each_other[i * count + i];
    slots_of_fresh.push_back(slot);
    state.take_in(slot, slides);
  }
  gradients.settle(std::move(admission));
}

template <class T>
void SlidingFisherInverse<T>::precondition(std::span<const T> g, std::span<T> y, const RunOptions& run) {
  require(std::ssize(y) == n_params(), "precondition: y has ", std::ssize(y), " entries; there are ", n_params(),
          " parameters");
  update({g.data(), 1, std::ssize(g)}, run);
  std::vector<double> newest(static_cast<std::size_t>(n_stored()), 0.0);
  newest.back() = 1;
  combination(newest, y, run);
}

template <class T>
void SlidingFisherInverse<T>::combination(std::span<const double> a, std::span<T> y, const RunOptions& run) {
  State& state = *state_;
  fisher::GradientWindow<T>& gradients = *state.gradients;
  require(n_stored() > 0, "combination: the window is empty");
  require(std::ssize(a) == n_stored(), "combination: a has ", std::ssize(a), " entries; the window holds ", n_stored(),
          " gradients");
  require(std::ssize(y) == n_params(), "combination: y has ", std::ssize(y), " entries; there are ", n_params(),
          " parameters");
  Monitor monitor(run.keep_going);
  state.refactor({.n_threads = run.n_threads});
  std::vector<double> c(a.begin(), a.end()), coefficients;
  fisher::solve_shifted(state.L(n_stored()), {c.data(), n_stored(), 1}, run.n_threads);
  for (double& entry : c) entry *= state.normalization();
  state.by_slots(c.data(), 1, coefficients);
  gradients.combine_many(coefficients.data(), 0, {nullptr, 0, n_params()}, {y.data(), 1, n_params()},
                         {run.n_threads, monitor});
}

template <class T>
void SlidingFisherInverse<T>::apply(MatrixView<const T> X, MatrixView<T> Y, const RunOptions& run) {
  State& state = *state_;
  fisher::GradientWindow<T>& gradients = *state.gradients;
  require_valid_view(X, "apply", "X");
  require_valid_view(Y, "apply", "Y");
  require(X.cols() == n_params() && Y.cols() == n_params() && X.rows() == Y.rows(), "apply: X is ", shape(X),
          " and Y is ", shape(Y), "; they must have ", n_params(), " columns, and as many rows as each other");
  const Index p = X.rows(), n = n_stored();
  if (p == 0) return;
  Monitor monitor(run.keep_going);
  state.refactor({.n_threads = run.n_threads});
  const double lambda = state.options.damping;
  const Array<double> by_slot(window() * p), U(n * p);
  gradients.multiply_many(X, by_slot.data(), {run.n_threads, monitor});
  for (Index age = 0; age < n; ++age) std::copy_n(by_slot.data() + state.slot(age) * p, p, U.data() + age * p);
  fisher::solve_shifted(state.L(n), {U.data(), n, p}, run.n_threads);
  for (double& entry : U) entry *= -1 / lambda;
  std::vector<double> coefficients;
  state.by_slots(U.data(), p, coefficients);
  gradients.combine_many(coefficients.data(), 1 / lambda, X, Y, {run.n_threads, monitor});
}

template <class T>
void SlidingFisherInverse<T>::remove(Index age) {
  state_->require_age(age, "remove");
  state_->take_out(age);
}

template <class T>
void SlidingFisherInverse<T>::set_damping(double damping) {
  checked_window(n_params(), window(), damping);
  state_->options.damping = damping;
  state_->is_current = false;
}

template <class T>
void SlidingFisherInverse<T>::gradient(Index age, std::span<T> out) const {
  state_->require_age(age, "gradient");
  require(std::ssize(out) == n_params(), "gradient: out has ", std::ssize(out), " entries; there are ", n_params(),
          " parameters");
  state_->gradients->get_row(state_->slot(age), out);
}

template <class T>
double SlidingFisherInverse<T>::log_determinant(const RunOptions& run) {
  State& state = *state_;
  state.refactor(run);
  const auto d = static_cast<double>(n_params()), n = static_cast<double>(n_stored());
  const double without = d * std::log(state.options.damping);
  return n_stored() == 0 ? without
                         : without + fisher::log_determinant(state.L(n_stored())) - n * std::log(state.shift());
}

template <class T>
void SlidingFisherInverse<T>::gram(MatrixView<double> out) const {
  require(out.rows() == n_stored() && out.cols() == n_stored(), "gram: out is ", shape(out), "; the window holds ",
          n_stored(), " gradients");
  state_->gram(out);
}

template <class T>
SlidingFisherState SlidingFisherInverse<T>::save() const {
  const State& state = *state_;
  const Index n = n_stored(), row_bytes = state.gradients->row_bytes();
  SlidingFisherState saved{.n_stored = n,
                           .damping = state.options.damping,
                           .slots = Array<Index>(n),
                           .gradients = Array<std::byte>(n * row_bytes),
                           .scales = Array<double>(n),
                           .gram = Array<double>(n * n),
                           .factor = Array<double>(state.is_current ? n * n : 0),
                           .residual = Array<double>(std::ssize(state.gradients->residual()))};
  std::copy(state.gradients->residual().begin(), state.gradients->residual().end(), saved.residual.begin());
  std::copy(state.slots.begin(), state.slots.end(), saved.slots.begin());
  for (Index age = 0; age < n; ++age)
    state.gradients->save_row(state.slot(age), saved.gradients.data() + age * row_bytes, saved.scales[age]);
  state.gram({saved.gram.data(), n, n});
  if (state.is_current)
    for (Index i = 0; i < n; ++i) {
      std::copy_n(&state.L(n)(i, 0), i + 1, saved.factor.data() + i * n);
      std::fill(saved.factor.data() + i * n + i + 1, saved.factor.data() + (i + 1) * n, 0.0);
    }
  return saved;
}

template <class T>
void SlidingFisherInverse<T>::load(const SlidingFisherState& saved) {
  State& state = *state_;
  const Index n = saved.n_stored, row_bytes = state.gradients->row_bytes();
  checked_window(n_params(), window(), saved.damping);
  require(n >= 0 && n <= window(), "load: state holds ", n, " gradients; the window has room for ", window());
  require(saved.slots.size() == n && saved.gradients.size() == n * row_bytes && saved.scales.size() == n &&
              saved.gram.size() == n * n && (saved.factor.size() == n * n || saved.factor.size() == 0) &&
              saved.residual.size() == std::ssize(state.gradients->residual()),
          "load: state does not fit: it must be of the same number of parameters, the same storage and topk");
  std::vector<Index> slots(saved.slots.begin(), saved.slots.end());
  std::sort(slots.begin(), slots.end());
  require(std::adjacent_find(slots.begin(), slots.end()) == slots.end() &&
              (n == 0 || (slots.front() >= 0 && slots.back() < window())),
          "load: state.slots must be different numbers from 0 to ", window() - 1);
  std::transform(saved.residual.begin(), saved.residual.end(), state.gradients->residual().begin(),
                 [](double entry) { return static_cast<T>(entry); });
  state.slots.assign(saved.slots.begin(), saved.slots.end());
  for (Index age = 0; age < n; ++age) {
    state.gradients->load_row(state.slot(age), saved.gradients.data() + age * row_bytes, saved.scales[age]);
    for (Index other = 0; other < n; ++other)
      state.product(state.slot(age), state.slot(other)) = saved.gram[age * n + other];
  }
  state.options.damping = saved.damping;
  state.is_current = n > 0 && saved.factor.size() == n * n;
  if (state.is_current)
    for (Index i = 0; i < n; ++i) std::copy_n(saved.factor.data() + i * n, i + 1, &state.L(n)(i, 0));
}

template class SlidingFisherInverse<float>;
template class SlidingFisherInverse<double>;

}  // namespace nearlinear

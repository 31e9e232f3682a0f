// Blocked Householder QR. While a panel's reflectors are applied to the columns behind it, the next panel is one of the
// tasks: it comes first, so that on several threads the panels, which are slow, hide behind the products.
#include "linalg/householder.hpp"

#include "core/arithmetic.hpp"
#include "core/threads.hpp"
#include "linalg/qr_kernels.hpp"
#include "linalg/tables.hpp"

namespace nearlinear::linalg {
namespace {

/// P of the w reflections that are stored below the diagonal of A, explicitly and by columns; there, A becomes zero.
template <class T>
void form_square(Index w, Columns<T> A, const T* tau, Columns<T> P) {
  for (Index j = 0; j < w; ++j) {
    std::fill_n(&P(0, j), w, T{0});
    P(j, j) = T{1};
  }
  for (Index k = w; k-- > 0;) {
    const T* const v = &A(0, k);
    for (Index j = k; j < w; ++j) {
      T sum = P(k, j);
      for (Index i = k + 1; i < w; ++i) sum += v[i] * P(i, j);
      sum *= tau[k];
      P(k, j) -= sum;
      for (Index i = k + 1; i < w; ++i) P(i, j) -= sum * v[i];
    }
    std::fill_n(&A(k + 1, k), w - k - 1, T{0});
  }
}

/// C <- P C or P^T C for `cols` columns of w rows.
template <class T>
void multiply_square(Index w, Columns<T> P, bool transposed, Index cols, Columns<T> C) {
  const auto product = Array<T>::zeros(cols * w);  // by rows, as the transpose
  gemm_kernel<T>()(cols, w, w, T{1}, C.transposed(), transposed ? P.operand() : P.transposed(), product.data(), w);
  for (Index j = 0; j < cols; ++j) std::copy_n(product.data() + j * w, w, &C(0, j));
}

}  // namespace

template <class T>
Householder<T>::Householder(Columns<T> M, Index n, Index d, Index p) : M_(M), n_(n), d_(d), p_(p) {
  const Index count = ceil_divide(d, panel_width);
  for (Index panel = 0; panel < count; ++panel) {
    const Index w = std::min(panel_width, d - begin(panel));
    diagonal_.emplace_back(w * w);
    t_.emplace_back(w * w);
  }
}

template <class T>
Reflectors<T> Householder<T>::below(Index panel) const {
  const Index c = begin(panel), w = width(panel);
  return {n_ - c - w, w, M_.at(c + w, c), {t_[static_cast<std::size_t>(panel)].data(), w}};
}

template <class T>
void Householder<T>::factor_panel(Index panel, const Pause& pause) {
  const Index c = begin(panel), w = width(panel);
  const Columns<T> square = M_.at(c, c);
  std::array<T, panel_width> tau;
  for (Index j = 0; j < w; ++j)
    tau[static_cast<std::size_t>(j)] = qr_kernels_for<T>().reflect(w - j - 1, w - j - 1, &square(j, j), square.stride,
                                                                   &square(j, j) + 1, square.stride);
  form_square(w, square, tau.data(), {diagonal_[static_cast<std::size_t>(panel)].data(), w});
  if (n_ > c + w) linalg::factor(square, below(panel), pause);
}

template <class T>
void Householder<T>::apply_transposed(Index panel, Index first, Index last, const Pause& pause) const {
  const Index c = begin(panel), w = width(panel);
  if (first == last) return;
  multiply_square(w, {diagonal_[static_cast<std::size_t>(panel)].data(), w}, true, last - first, M_.at(c, first));
  if (n_ > c + w) linalg::apply(below(panel), true, last - first, M_.at(c, first), M_.at(c + w, first), pause);
}

template <class T>
void Householder<T>::factor(const Pause& pause) {
  for (Index panel = 0; panel < panels(); ++panel) {
    factor_panel(panel, pause);
    apply_transposed(panel, begin(panel) + width(panel), d_ + p_, pause);
  }
}

template <class T>
void Householder<T>::factor(int threads, Monitor& monitor) {
  constexpr Index fewest_cols = 256;  // of a task
  constexpr Index most_tasks = 8;
  if (panels() == 0) return;
  double done = 0;
  const auto operations = [&](Index panel) {
    return static_cast<double>(n_ - begin(panel)) * static_cast<double>(d_ + p_ - begin(panel));
  };
  double all = 0;
  for (Index panel = 0; panel < panels(); ++panel) all += operations(panel);

  factor_panel(0, [&] { monitor.poll(0); });
  for (Index panel = 0; panel < panels(); ++panel) {
    monitor.enter_stage(done / all, (done + operations(panel)) / all);
    done += operations(panel);
    const Index next = begin(panel) + width(panel);
    const Index next_width = panel + 1 < panels() ? width(panel + 1) : 0;
    const Index rest = next + next_width, cols = d_ + p_ - rest;
    const Index tasks = std::min(most_tasks, ceil_divide(cols, fewest_cols));
    parallel_for_workers(tasks + 1, threads, monitor, [&](Index task, int worker) {
      const Pause pause = [&] {
        if (worker == 0) monitor.poll(static_cast<double>(task) / static_cast<double>(tasks + 1));
      };
      if (task > 0) return apply_transposed(panel, rest + (task - 1) * cols / tasks, rest + task * cols / tasks, pause);
      apply_transposed(panel, next, rest, pause);
      if (next_width > 0) factor_panel(panel + 1, pause);
    });
  }
}

template <class T>
void Householder<T>::multiply_by_q(Columns<T> Z, Index cols, Index nonzero_rows, const Pause& pause) const {
  for (Index panel = std::min(panels(), ceil_divide(nonzero_rows, panel_width)); panel-- > 0;) {
    const Index c = begin(panel), w = width(panel);
    if (n_ > c + w) linalg::apply(below(panel), false, cols, Z.at(c, 0), Z.at(c + w, 0), pause);
    multiply_square(w, {diagonal_[static_cast<std::size_t>(panel)].data(), w}, false, cols, Z.at(c, 0));
  }
}

template <class T>
void copy_to_columns(MatrixView<const T> from, Index begin, Index end, Columns<T> to) {
  constexpr Index side = 16;  // a square of which rows and columns share cache lines
  for (Index row = begin; row < end; row += side)
    for (Index col = 0; col < from.cols(); col += side)
      for (Index j = col; j < std::min(col + side, from.cols()); ++j)
        for (Index i = row; i < std::min(row + side, end); ++i) to(i, j) = from(i, j);
}

#define NEARLINEAR_INSTANTIATE(T) \
  template class Householder<T>;  \
  template void copy_to_columns(MatrixView<const T>, Index, Index, Columns<T>);
NEARLINEAR_INSTANTIATE(float)
NEARLINEAR_INSTANTIATE(double)
#undef NEARLINEAR_INSTANTIATE

}  // namespace nearlinear::linalg

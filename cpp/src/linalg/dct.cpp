// Cosine transforms by Fourier transforms of half the length (Makhoul 1980), a strip of columns at a time: its rows are
// gathered into a buffer, in which every number of the textbook's algorithm is a run of as many as the strip has
// columns.
#include "nearlinear/linalg/dct.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <functional>
#include <type_traits>

#include "core/arithmetic.hpp"
#include "core/threads.hpp"
#include "linalg/cosine_kernels.hpp"
#include "linalg/fourier.hpp"
#include "linalg/kernels.hpp"

namespace nearlinear {
namespace {

using linalg::complex_size;
using linalg::CosineStrip;
using linalg::FourierKernelsOf;
using linalg::FourierPlan;
using linalg::frequencies;
using linalg::Root;
using linalg::Roots;

constexpr Index line_bytes = Memory::alignment;
constexpr Index widest_strip_bytes = 256;  // narrower ones waste what memory delivers (measured: half the speed at 64)
constexpr Index largest_buffer_bytes = Index{1} << 26;

template <class T>
const linalg::CosineKernelsOf<T>& cosine_table() {
  if constexpr (std::is_same_v<T, float>) return linalg::kernels().cosine->f32;
  if constexpr (std::is_same_v<T, double>) return linalg::kernels().cosine->f64;
}

template <class T>
const FourierKernelsOf<T>& fourier_table() {
  if constexpr (std::is_same_v<T, float>) return linalg::kernels().fourier->f32;
  if constexpr (std::is_same_v<T, double>) return linalg::kernels().fourier->f64;
}

template <class T>
class Plan {
 public:
  Plan(Index n, const DctOptions& options, int threads, Monitor& monitor)
      : n_(n), inverse_(options.inverse), fourier_(complex_size(n), threads, monitor) {
    const Roots roots(checked_product(4, n));
    const auto length = static_cast<long double>(n);
    const bool even = n % 2 == 0;
    // What the kernels leave is twice the sum of the definition without f_k for even n, the sum for odd n; of the
    // inverse, 2 n times as much as the definition without f_k gives.
    const auto factor = [&](Index k) -> long double {
      const long double f = !options.orthonormal ? 2 : std::sqrt((k == 0 ? 1 : 2) / length);
      return inverse_ ? 1 / (length * f) : (even ? f / 2 : f);
    };
    rotations_ = Array<T>(2 * (n / 2 + 1));
    linalg::fill_table(rotations_.data(), n / 2 + 1, 1, threads, monitor, [&](Index k, Index /*one*/) -> Root {
      const Root root = roots(k);
      return {factor(k) * root.re, factor(k) * (inverse_ ? -root.im : root.im)};
    });
    if (!even) return;
    roots_ = Array<T>(2 * frequencies(n));
    linalg::fill_table(roots_.data(), frequencies(n), 1, threads, monitor,
                       [&](Index k, Index /*one*/) { return roots(4 * k); });
  }

  /// Numbers of the buffer for a strip.
  [[nodiscard]] Index buffer_size(Index width) const {
    return checked_product(checked_product(2, width), fourier_.padded_size());
  }

  /// Y <- the transform of X, at most `width` columns wide.
  template <class Poll>
  void run(MatrixView<const T> X, MatrixView<T> Y, Index width, T* buffer, const Poll& poll) const {
    const linalg::CosineKernelsOf<T>& kernel = cosine_table<T>();
    const CosineStrip<T> strip{n_, X.cols(), width, buffer, fourier_.positions(), rotations_.data(), roots_.data()};
    const auto in_parts = [&](Index count, const auto& body) {
      const Index part = linalg::fourier_part<T>(8 * width);
      for (Index begin = 0; begin < count; begin += part) {
        poll();
        body(begin, std::min(count, begin + part));
      }
    };
    if (inverse_)
      in_parts(frequencies(n_),
               [&](Index begin, Index end) { kernel.from_cosines(strip, X.data(), X.row_stride(), begin, end); });
    else
      in_parts(n_, [&](Index begin, Index end) { kernel.gather(strip, X.data(), X.row_stride(), begin, end); });
    linalg::transform(fourier_table<T>(), fourier_, buffer, width, poll);
    if (inverse_)
      in_parts(n_, [&](Index begin, Index end) { kernel.scatter(strip, Y.data(), Y.row_stride(), begin, end); });
    else
      in_parts(frequencies(n_),
               [&](Index begin, Index end) { kernel.to_cosines(strip, Y.data(), Y.row_stride(), begin, end); });
  }

 private:
  Index n_;
  bool inverse_;
  FourierPlan<T> fourier_;
  Array<T> rotations_;
  Array<T> roots_;
};

/// Columns of a strip: whole lines of the cache, several where a column is short, and no more than give every thread
/// one. The bits do not depend on it.
template <class T>
Index strip_width(Index n, Index d, int threads) {
  constexpr Index size = sizeof(T), line = line_bytes / size;
  if (d == 1) return 1;
  const Index lanes = fourier_table<T>().lanes;
  const Index lines = std::clamp<Index>(largest_buffer_bytes / line_bytes / n, 1, widest_strip_bytes / line_bytes);
  const Index strips = std::max(ceil_divide(d, lines * line), std::min<Index>(threads, ceil_divide(d, lanes)));
  return ceil_divide(ceil_divide(d, strips), lanes) * lanes;
}

template <class T>
bool overlap(MatrixView<const T> X, MatrixView<T> Y) {
  if (X.rows() == 0 || X.cols() == 0) return false;
  const std::less<const T*> before;
  const auto end = [](const auto& A) { return A.data() + (A.rows() - 1) * A.row_stride() + A.cols(); };
  return before(X.data(), end(Y)) && before(Y.data(), end(X));
}

}  // namespace

template <class T>
void dct(MatrixView<const T> X, MatrixView<T> Y, const DctOptions& options) {
  require_valid_view(X, "dct", "X");
  require_valid_view(Y, "dct", "Y");
  require(X.rows() == Y.rows() && X.cols() == Y.cols(), "dct: X is ", shape(X), " but Y is ", shape(Y));
  const bool in_place = X.data() == Y.data() && (X.row_stride() == Y.row_stride() || X.rows() <= 1);
  require(in_place || !overlap(X, Y), "dct: X and Y, both ", shape(X),
          ", overlap; they must be the same memory with the same row stride or apart");
  const Index n = X.rows(), d = X.cols();
  const Index work = checked_product(checked_product(n, d), std::bit_width(static_cast<std::size_t>(n)));
  const int threads = thread_count(options.run.n_threads, work / 4);
  if (n == 0 || d == 0) return;

  Monitor monitor(options.run.keep_going);
  monitor.enter_stage(0, 0.1);
  const Plan<T> plan(n, options, threads, monitor);
  const Index width = strip_width<T>(n, d, threads), strips = ceil_divide(d, width);
  constexpr Index line = line_bytes / Index{sizeof(T)};
  const Index per_thread = ceil_divide(plan.buffer_size(width), line) * line;
  const Array<T> buffers(checked_product(std::min<Index>(threads, strips), per_thread));

  monitor.enter_stage(0.1, 1);
  std::atomic<bool> stopped{false};  // by the monitor, which the calling thread alone may ask
  parallel_for_workers(strips, static_cast<int>(std::min<Index>(threads, strips)), monitor, [&](Index s, int worker) {
    const Index first = s * width, cols = std::min(width, d - first);
    const auto poll = [&] {
      if (stopped) throw interrupted("stopped by the caller");
      if (worker != 0) return;
      try {
        monitor.poll(static_cast<double>(s) / static_cast<double>(strips));
      } catch (...) {
        stopped = true;
        throw;
      }
    };
    plan.run({X.data() + first, n, cols, X.row_stride()}, {Y.data() + first, n, cols, Y.row_stride()}, width,
             buffers.data() + worker * per_thread, poll);
  });
}

template void dct(MatrixView<const float>, MatrixView<float>, const DctOptions&);
template void dct(MatrixView<const double>, MatrixView<double>, const DctOptions&);

}  // namespace nearlinear

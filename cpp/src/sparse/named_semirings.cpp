// Products over semirings whose names, and the width of whose integers, are known at run time. Semirings of one type
// share their code where that costs little: a branch that is always taken the same way.
#include "nearlinear/sparse/named_semirings.hpp"

#include <complex>
#include <cstdint>

namespace nearlinear {
namespace {

/// Numbers as they are, and integers as if they had fewer bits.
template <class T>
class Width {
 public:
  explicit Width(int bits) : unused_(64 - bits) {}

  [[nodiscard]] T wrap(T value) const {
    if constexpr (std::is_integral_v<T> && sizeof(T) == 8)
      return static_cast<T>(static_cast<std::uint64_t>(value) << unused_) >> unused_;
    else
      return value;
  }

  [[nodiscard]] T limit(T of_all_bits) const {
    if constexpr (std::is_integral_v<T> && sizeof(T) == 8)
      return of_all_bits >> unused_;
    else
      return of_all_bits;
  }

 private:
  int unused_;
};

/// Wraps at every step: what drops entries looks at their values. Plain products are wrapped in the end alone.
template <class T>
struct NarrowPlusTimes : PlusTimes<T> {
  Width<T> width;
  explicit NarrowPlusTimes(int bits) : width(bits) {}
  [[nodiscard]] T add(T a, T b) const { return width.wrap(detail::plus(a, b)); }
  [[nodiscard]] T multiply(T a, T b) const { return width.wrap(detail::times(a, b)); }
};

/// min_plus, max_plus, max_times and min_first.
template <class T>
class Extremal {
 public:
  using Value = T;

  explicit Extremal(const NamedSemiring& semiring)
      : distributive(semiring.name != SemiringName::max_times),
        width_(semiring.bits),
        maximises_(semiring.name == SemiringName::max_plus || semiring.name == SemiringName::max_times),
        product_(semiring.name == SemiringName::max_times   ? Product::times
                 : semiring.name != SemiringName::min_first ? Product::plus
                 : semiring.exchanged                       ? Product::second
                                                            : Product::first) {}

  [[nodiscard]] T add(T a, T b) const { return maximises_ ? detail::maximum(a, b) : detail::minimum(a, b); }

  [[nodiscard]] T multiply(T a, T b) const {
    switch (product_) {
      case Product::plus:
        return width_.wrap(detail::plus(a, b));
      case Product::times:
        return width_.wrap(detail::times(a, b));
      case Product::first:
        return a;
      case Product::second:
        break;
    }
    return b;
  }

  [[nodiscard]] T zero() const { return width_.limit(maximises_ ? detail::lowest<T>() : detail::highest<T>()); }

  bool distributive;

 private:
  enum class Product { plus, times, first, second };
  Width<T> width_;
  bool maximises_;
  Product product_;
};

const char* name_of(SemiringName name) {
  switch (name) {
    case SemiringName::plus_times:
      return "plus_times";
    case SemiringName::min_plus:
      return "min_plus";
    case SemiringName::max_plus:
      return "max_plus";
    case SemiringName::max_times:
      return "max_times";
    case SemiringName::or_and:
      return "or_and";
    case SemiringName::plus_pair:
      return "plus_pair";
    case SemiringName::min_first:
      break;
  }
  return "min_first";
}

/// Calls body with the semiring's object.
template <class T, class Body>
auto with_semiring(const NamedSemiring& semiring, const Body& body) {
  if constexpr (std::is_same_v<T, bool>) {
    if (semiring.name == SemiringName::or_and || semiring.name == SemiringName::plus_times) return body(OrAnd{});
  } else {
    if (semiring.name == SemiringName::plus_times) return body(NarrowPlusTimes<T>(semiring.bits));
    if constexpr (std::is_same_v<T, std::int64_t>)
      if (semiring.name == SemiringName::plus_pair) return body(PlusPair<T>{});
    if constexpr (detail::Ordered<T>)
      if (semiring.name != SemiringName::or_and && semiring.name != SemiringName::plus_pair)
        return body(Extremal<T>(semiring));
  }
  throw std::invalid_argument(std::string("matmul: ") + name_of(semiring.name) + " does not exist for this type");
}

template <class T>
void wrap_values(CsrMatrixOfAnySize<T>& product, int bits) {
  const Width<T> width(bits);
  std::visit(
      [&](auto& matrix) {
        for (T& value : matrix.data) value = width.wrap(value);
      },
      product);
}

}  // namespace

template <class T>
constexpr bool detail::is_plus_times<NarrowPlusTimes<T>> = true;  // but for the wrapping, which follows

template <class T, class I>
CsrMatrixOfAnySize<T> matmul_any_size(const NamedSemiring& semiring, const CsrView<T, I>& A, const CsrView<T, I>& B,
                                      const SemiringOptions<T, I>& options, const RunOptions& run) {
  require(semiring.bits >= 1 && semiring.bits <= 64, "matmul: semiring.bits is ", semiring.bits,
          "; it must be from 1 to 64");
  auto product =
      with_semiring<T>(semiring, [&](const auto& of_type) { return matmul_any_size(of_type, A, B, options, run); });
  if constexpr (std::is_integral_v<T> && sizeof(T) == 8)
    if (semiring.name == SemiringName::plus_times && semiring.bits < 64) wrap_values(product, semiring.bits);
  return product;
}

#define NEARLINEAR_INSTANTIATE(T, I)                                                                               \
  template CsrMatrixOfAnySize<T> matmul_any_size(const NamedSemiring&, const CsrView<T, I>&, const CsrView<T, I>&, \
                                                 const SemiringOptions<T, I>&, const RunOptions&);
#define NEARLINEAR_INSTANTIATE_INDICES(T) \
  NEARLINEAR_INSTANTIATE(T, std::int32_t) \
  NEARLINEAR_INSTANTIATE(T, std::int64_t)
NEARLINEAR_INSTANTIATE_INDICES(bool)
NEARLINEAR_INSTANTIATE_INDICES(std::int64_t)
NEARLINEAR_INSTANTIATE_INDICES(std::uint64_t)
NEARLINEAR_INSTANTIATE_INDICES(float)
NEARLINEAR_INSTANTIATE_INDICES(double)
NEARLINEAR_INSTANTIATE_INDICES(std::complex<float>)
NEARLINEAR_INSTANTIATE_INDICES(std::complex<double>)
#undef NEARLINEAR_INSTANTIATE_INDICES
#undef NEARLINEAR_INSTANTIATE

}  // namespace nearlinear

// Any bytes make matrices, valid or not: products over semirings, under masks, added to a matrix and with entries
// dropped, must refuse them or be right, in every place and value.
#include <algorithm>
#include <complex>
#include <concepts>
#include <variant>

#include "fuzz_input.hpp"

namespace {

using namespace nearlinear;

/// The semiring on the factors in the other order.
template <class S>
struct Exchanged : S {
  using Value = typename S::Value;
  [[nodiscard]] Value multiply(Value a, Value b) const { return S::multiply(b, a); }
};

/// Entries that MatmulOptions drops.
template <class S>
void drop(const S& semiring, const MatmulOptions& options, Table<typename S::Value>& table) {
  using T = typename S::Value;
  std::erase_if(table, [&](const auto& entry) {
    if (options.prune_zeros && entry.second == semiring.zero()) return true;
    if constexpr (std::is_arithmetic_v<T>)
      return std::abs(static_cast<double>(entry.second)) < options.threshold;
    else
      return std::abs(entry.second) < options.threshold;
  });
  if constexpr (detail::Ordered<T>) {
    if (options.top_k == 0) return;
    const Table<T> all = table;
    std::erase_if(table, [&](const auto& entry) {
      const auto& [place, value] = entry;
      const auto row = all.lower_bound({place.first, 0}), end = all.lower_bound({place.first + 1, 0});
      return std::count_if(row, end, [&](const auto& other) {
               return value < other.second || (value == other.second && other.first < place);
             }) >= options.top_k;
    });
  }
}

template <class T, class I>
struct Operands {
  FuzzedMatrix<T, I> A, B, C0;
  FuzzedMatrix<bool, I> M;
  MatmulOptions options;
  bool with_accum, with_mask, complement, mask_values;

  Operands(Reader& read, Index n, Index k, Index m) : A(read, n, k), B(read, k, m), C0(read, n, m), M(read, n, m) {
    const int choice = read(), selection = read();
    options.accumulator = static_cast<Accumulator>(choice % 4);
    with_accum = choice / 4 % 2 == 1;
    with_mask = choice / 8 % 4 != 0;
    complement = choice / 32 % 2 == 1;
    mask_values = choice / 64 % 2 == 1;
    options.prune_zeros = selection % 4 == 1;
    if (selection % 4 == 2) options.threshold = read() % 32 / 2.0;
    if (detail::Ordered<T> && selection / 4 % 4 == 1) options.top_k = 1 + read() % 8;
  }

  [[nodiscard]] bool valid() const {
    return A.valid() && B.valid() && (!with_accum || C0.valid()) && (!with_mask || M.valid());
  }

  [[nodiscard]] SemiringOptions<T, I> semiring_options() const {
    SemiringOptions<T, I> result{.matmul = options};
    if (with_accum) result.accum = C0.view();
    if (with_mask) result.mask = MatmulMask<I>{.places = M.view(), .complement = complement, .values = mask_values};
    if (with_mask && !mask_values) result.mask->places.data = {};
    return result;
  }
};

/// A semiring of the reference and the one under test, whose values may be wider.
template <class S, class I, class Tested>
void check(Reader& read, const Tested& tested) {
  using T = typename S::Value;
  using Wide = std::conditional_t<std::is_same_v<Tested, NamedSemiring> && std::integral<T> && !std::same_as<T, bool>,
                                  std::int64_t, T>;
  const Index n = read() % 20, k = read() % 20, m = read() % 16 == 0 ? 100'000 : read() % 100;
  const Operands<Wide, I> operands(read, n, k, m);
  check_or_refuse(operands.valid(), [&] {
    const auto C = matmul_any_size(tested, operands.A.view(), operands.B.view(), operands.semiring_options());
    const auto& narrow = std::get<CsrMatrix<Wide, I>>(C);

    const S semiring;
    const auto table = [&](const FuzzedMatrix<Wide, I>& matrix) {
      const std::size_t size = matrix.indices.size();
      const auto values = std::make_unique<T[]>(size);
      std::copy_n(matrix.data.get(), size, values.get());
      return table_of(semiring, CsrView<T, I>{matrix.rows, matrix.cols, matrix.indptr, matrix.indices,
                                              std::span<const T>(values.get(), size)});
    };
    Table<T> expected = operands.with_accum
                            ? defined(semiring, table(operands.A), table(operands.B), table(operands.C0))
                            : defined(semiring, table(operands.A), table(operands.B));
    if (operands.with_mask) {
      const Table<bool> mask = table_of(OrAnd{}, operands.M.view());
      std::erase_if(expected, [&](const auto& entry) {
        const auto found = mask.find(entry.first);
        const bool allowed = found != mask.end() && (found->second || !operands.mask_values);
        return allowed == operands.complement;
      });
    }
    drop(semiring, operands.options, expected);

    require_that(narrow.rows == n && narrow.cols == m && require_valid_csr(narrow.view(), "fuzz", "C"));
    require_that(narrow.nnz() == std::ssize(expected));
    for (Index i = 0; i < n; ++i)
      for (Index e = narrow.indptr[i]; e < narrow.indptr[i + 1]; ++e) {
        const auto entry = expected.find({i, narrow.indices[e]});
        require_that(entry != expected.end() && narrow.data[e] == Wide(entry->second));
      }
  });
}

template <class I>
void check_some(Reader& read) {
  using enum SemiringName;
  switch (read() % 12) {
    case 0:
      return check<PlusTimes<double>, I>(read, NamedSemiring{plus_times});
    case 1:
      return check<MinPlus<float>, I>(read, NamedSemiring{min_plus});
    case 2:
      return check<MaxPlus<double>, I>(read, NamedSemiring{max_plus});
    case 3:
      return check<MaxTimes<double>, I>(read, NamedSemiring{max_times});
    case 4:
      return check<OrAnd, I>(read, NamedSemiring{or_and});
    case 5:
      return check<PlusPair<std::int64_t>, I>(read, NamedSemiring{plus_pair});
    case 6:
      return check<Exchanged<MinFirst<std::int64_t>>, I>(read, NamedSemiring{min_first, 64, true});
    case 7:
      return check<PlusTimes<std::complex<double>>, I>(read, NamedSemiring{plus_times});
    case 8:
      return check<PlusTimes<std::int8_t>, I>(read, NamedSemiring{plus_times, 8});
    case 9:
      return check<MinPlus<std::int16_t>, I>(read, NamedSemiring{min_plus, 16});
    case 10:
      return check<MaxTimes<std::int8_t>, I>(read, NamedSemiring{max_times, 8});
    default:
      return check<PlusPair<std::int16_t>, I>(read, PlusPair<std::int16_t>{});
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Reader read{data, size};
  if (read() % 2 == 0)
    check_some<std::int32_t>(read);
  else
    check_some<std::int64_t>(read);
  return 0;
}

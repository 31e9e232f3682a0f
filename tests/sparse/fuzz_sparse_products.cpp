// Any bytes make matrices, valid or not: plans, Gram matrices, triple products and powers must refuse them or be right,
// in every place and value.
#include <algorithm>

#include "fuzz_input.hpp"

namespace {

using nearlinear::Index;

/// At times very many columns, or one row more than fits.
struct Sizes {
  Index n, k, l, m, rows_of_last;
  explicit Sizes(Reader& read) : n(read() % 20), k(read() % 20), l(read() % 20), m(read() % 60), rows_of_last(l) {
    const int variation = read() % 16;
    if (variation == 0) m += 100'000;
    if (variation == 1) rows_of_last += 1;
  }
};

template <class T, class I>
class Products {
 public:
  explicit Products(Reader& read)
      : sizes_(read),
        R_(read, sizes_.n, sizes_.k),
        A_(read, sizes_.k, sizes_.l),
        P_(read, sizes_.rows_of_last, sizes_.m),
        read_(read) {}

  void check() {
    const bool fits = sizes_.l == sizes_.rows_of_last;
    check_or_refuse(A_.valid() && P_.valid() && fits, [&] { check_plan(); });
    check_or_refuse(P_.valid(), [&] { check_gram(P_); });
    check_or_refuse(A_.valid(), [&] { check_gram(A_); });
    check_or_refuse(R_.valid() && A_.valid() && P_.valid() && fits, [&] { check_triple_product(); });
    check_or_refuse(A_.valid() && A_.rows == A_.cols, [&] { check_power(A_); });
    const Matrix square(read_, sizes_.n, sizes_.n);
    check_or_refuse(square.valid(), [&] { check_power(square); });
  }

 private:
  using Matrix = FuzzedMatrix<T, I>;
  using Csr = nearlinear::CsrMatrix<T, I>;
  static constexpr nearlinear::PlusTimes<T> plus_times{};

  static Table<T> table(const Matrix& matrix) { return table_of(plus_times, matrix.view()); }

  static Table<T> transposed(const Table<T>& table) {
    Table<T> result;
    for (const auto& [place, value] : table) result[{place.second, place.first}] = value;
    return result;
  }

  static void require_equal(const Csr& C, Index rows, Index cols, const Table<T>& expected) {
    require_that(C.rows == rows && C.cols == cols && agrees(plus_times, C, expected));
  }

  /// With the values that it was made of, and with others.
  void check_plan() {
    auto a = A_.view(), b = P_.view();
    const nearlinear::MatmulPlan<T, I> plan(a, b, {.store_positions = read_() % 2 == 0});
    std::vector<T> a_values(a.data.begin(), a.data.begin() + a.nnz());
    std::vector<T> b_values(b.data.begin(), b.data.begin() + b.nnz());
    for (int execution = 0; execution < 2; ++execution) {
      a.data = a_values;
      b.data = b_values;
      require_equal(plan.execute(a.data, b.data), a.rows, b.cols,
                    defined(plus_times, table_of(plus_times, a), table_of(plus_times, b)));
      std::reverse(a_values.begin(), a_values.end());
      for (T& value : b_values) value = 3 - value;
    }
  }

  static void check_gram(const Matrix& A) {
    using nearlinear::GramMethod, nearlinear::GramSide;
    for (const GramMethod method : {GramMethod::half, GramMethod::whole, GramMethod::automatic}) {
      const Csr right = nearlinear::gram(A.view(), {GramSide::right, method});
      require_equal(right, A.rows, A.rows, defined(plus_times, table(A), transposed(table(A))));
      const Csr left = nearlinear::gram(A.view(), {GramSide::left, method});
      require_equal(left, A.cols, A.cols, defined(plus_times, transposed(table(A)), table(A)));
    }
  }

  void check_triple_product() const {
    using Method = nearlinear::TripleProductMethod;
    for (const Method method : {Method::automatic, Method::fused, Method::separate}) {
      const Csr C = nearlinear::triple_product(R_.view(), A_.view(), P_.view(), {method});
      require_equal(C, sizes_.n, sizes_.m, defined(plus_times, defined(plus_times, table(R_), table(A_)), table(P_)));
    }
  }

  /// Exponents whose results are exact.
  void check_power(const Matrix& A) const {
    Table<T> power;
    for (Index i = 0; i < A.rows; ++i) power[{i, i}] = 1;
    for (Index k = 0; k <= (sizeof(T) == 4 ? 3 : 6); ++k) {
      require_equal(nearlinear::matpow(A.view(), k), A.rows, A.rows, power);
      power = defined(plus_times, power, table(A));
    }
  }

  Sizes sizes_;
  Matrix R_, A_, P_;
  Reader& read_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Reader read{data, size};
  if (read() % 2 == 0)
    Products<double, std::int32_t>(read).check();
  else
    Products<float, std::int64_t>(read).check();
  return 0;
}

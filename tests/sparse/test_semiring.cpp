#include <algorithm>
#include <complex>
#include <vector>

#include "check.hpp"
#include "nearlinear/sparse.hpp"
#include "table.hpp"

using namespace nearlinear;

namespace {

/// A matrix whose parts are vectors. `data` of bool has one byte each, unlike a vector of bool.
template <class T, class I>
struct Parts {
  Index rows;
  Index cols;
  std::vector<I> indptr;
  std::vector<I> indices;
  std::vector<T> data;

  [[nodiscard]] CsrView<T, I> view() const { return {rows, cols, indptr, indices, data}; }
  [[nodiscard]] CsrView<bool, I> places() const { return {rows, cols, indptr, indices, {}}; }
};

/// Up to `per_row` entries a row, small integers; unsorted and some of them twice, or in canonical format.
template <class T, class I>
Parts<T, I> random_parts(Index rows, Index cols, Index per_row, std::uint64_t seed, bool canonical) {
  const RandomStream columns(seed, 0), values(seed, 1);
  Parts<T, I> parts{rows, cols, {0}, {}, {}};
  for (Index row = 0; row < rows; ++row) {
    const auto first = parts.indices.size();
    for (Index e = 0; e < (row * 7 + static_cast<Index>(seed) * 1009) % (per_row + 1); ++e)
      parts.indices.push_back(
          static_cast<I>(columns.uniform(static_cast<std::uint64_t>(row * per_row + e)) * static_cast<double>(cols)));
    if (canonical) {
      const auto begin = parts.indices.begin() + static_cast<std::ptrdiff_t>(first);
      std::sort(begin, parts.indices.end());
      parts.indices.erase(std::unique(begin, parts.indices.end()), parts.indices.end());
    }
    parts.indptr.push_back(static_cast<I>(parts.indices.size()));
  }
  for (std::size_t e = 0; e < parts.indices.size(); ++e)
    parts.data.push_back(static_cast<T>(static_cast<int>(values.uniform(e) * 9) + 1));
  return parts;
}

constexpr Accumulator accumulators[] = {Accumulator::automatic, Accumulator::dense, Accumulator::hash,
                                        Accumulator::sort};

template <class S, class I>
void check_semiring(const S& semiring) {
  using T = typename S::Value;
  for (const std::uint64_t seed : {1, 2, 3, 4}) {
    const bool canonical = seed % 2 == 0;
    const auto A = random_parts<T, I>(60, 40, 9, seed, canonical),
               B = random_parts<T, I>(40, 300, 12, seed + 1, canonical);
    const auto C0 = random_parts<T, I>(60, 300, 20, seed + 2, canonical);
    const auto M = random_parts<T, I>(60, 300, 60, seed + 3, canonical);
    const auto a = table_of(semiring, A.view()), b = table_of(semiring, B.view());
    const auto c0 = table_of(semiring, C0.view()), mask = table_of(semiring, M.view());
    for (const Accumulator accumulator : accumulators)
      for (const bool with_accum : {false, true})
        for (const int masking : {0, 1, 2}) {
          auto expected = with_accum ? defined(semiring, a, b, c0) : defined(semiring, a, b);
          SemiringOptions<T, I> options{.matmul = {.accumulator = accumulator}};
          if (with_accum) options.accum = C0.view();
          if (masking > 0) {
            options.mask = MatmulMask<I>{.places = M.places(), .complement = masking == 2};
            std::erase_if(expected, [&](const auto& entry) { return mask.contains(entry.first) != (masking == 1); });
          }
          const auto C = matmul(semiring, A.view(), B.view(), options, {.n_threads = 1 + masking});
          CHECK(agrees(semiring, C, expected));
        }
  }
}

/// A semiring that the library has never heard of: the shortest path and how many there are of that length.
struct CountedPath {
  std::int32_t length;
  std::int32_t count;
  bool operator==(const CountedPath&) const = default;
};

struct CountShortest {
  using Value = CountedPath;
  static constexpr bool distributive = true;
  [[nodiscard]] Value add(Value a, Value b) const {
    if (a.length != b.length) return a.length < b.length ? a : b;
    return {a.length, a.count + b.count};
  }
  [[nodiscard]] Value multiply(Value a, Value b) const { return {a.length + b.length, a.count * b.count}; }
  [[nodiscard]] Value zero() const { return {std::numeric_limits<std::int32_t>::max(), 0}; }
};

}  // namespace

TEST("products over every semiring agree with their definition, masked and added to a matrix") {
  check_semiring<PlusTimes<double>, std::int32_t>({});
  check_semiring<MinPlus<std::int64_t>, std::int32_t>({});
  check_semiring<MaxPlus<float>, std::int64_t>({});
  check_semiring<MaxTimes<double>, std::int32_t>({});
  check_semiring<PlusPair<std::int16_t>, std::int32_t>({});
  check_semiring<MinFirst<std::uint8_t>, std::int64_t>({});
  check_semiring<PlusTimes<std::complex<double>>, std::int32_t>({});
}

TEST("a semiring of one's own: shortest paths and their number, on a grid") {
  constexpr int n = 6;  // from the corner to (i, j) there are binomial(i + j, i) shortest paths of i + j edges
  Parts<CountedPath, int> steps{n * n, n * n, {0}, {}, {}};
  for (int v = 0; v < n * n; ++v) {
    steps.indices.push_back(v);
    steps.data.push_back({0, 1});
    if (v % n + 1 < n) steps.indices.push_back(v + 1), steps.data.push_back({1, 1});
    if (v / n + 1 < n) steps.indices.push_back(v + n), steps.data.push_back({1, 1});
    steps.indptr.push_back(static_cast<int>(steps.indices.size()));
  }
  Parts<CountedPath, int> paths{1, n * n, {0, 1}, {0}, {{0, 1}}};
  for (int edges = 1; edges <= 2 * (n - 1); ++edges) {
    Parts<CountedPath, int> only = steps;  // without standing still, so that a path is counted once
    only.indptr = {0}, only.indices.clear(), only.data.clear();
    for (int v = 0; v < n * n; ++v) {
      for (int e = steps.indptr[static_cast<std::size_t>(v)] + 1; e < steps.indptr[static_cast<std::size_t>(v) + 1];
           ++e) {
        only.indices.push_back(steps.indices[static_cast<std::size_t>(e)]);
        only.data.push_back({1, 1});
      }
      only.indptr.push_back(static_cast<int>(only.indices.size()));
    }
    const auto next = matmul(CountShortest{}, paths.view(), only.view());
    paths.indices.assign(next.indices.begin(), next.indices.end());
    paths.data.assign(next.data.begin(), next.data.end());
    paths.indptr = {0, static_cast<int>(paths.indices.size())};
  }
  CHECK((paths.indices == std::vector<int>{n * n - 1}));
  CHECK((paths.data == std::vector<CountedPath>{{10, 252}}));
}

TEST("matmul over a semiring of the header's example") {
  const int indptr[] = {0, 3, 5, 6}, indices[] = {0, 1, 2, 1, 2, 2};
  const double data[] = {0, 1, 5, 0, 2, 0};
  const CsrView<double, int> lengths{3, 3, indptr, indices, data};
  const auto paths = matmul(MinPlus<double>{}, lengths, lengths);
  CHECK((std::vector<double>(paths.data.begin(), paths.data.end()) == std::vector<double>{0, 1, 3, 0, 2, 0}));
  const MatmulMask<int> edges{.places = {3, 3, indptr, indices, {}}};
  const auto sums = matmul(PlusTimes<double>{}, lengths, lengths, {.mask = edges});
  CHECK((std::vector<double>(sums.data.begin(), sums.data.end()) == std::vector<double>{0, 0, 2, 0, 0, 0}));
}

TEST("masks by value leave out what is false, and places stored twice count if one is true") {
  const Parts<double, int> one{1, 1, {0, 1}, {0}, {2}}, row{1, 4, {0, 4}, {0, 1, 2, 3}, {1, 2, 3, 4}};
  const std::vector<int> indptr{0, 4}, indices{2, 0, 2, 1};
  const bool values[] = {false, true, true, false};
  const MatmulMask<int> mask{.places = {1, 4, indptr, indices, values}, .values = true};
  const auto C = matmul(PlusTimes<double>{}, one.view(), row.view(), {.mask = mask});
  CHECK((std::vector<int>(C.indices.begin(), C.indices.end()) == std::vector<int>{0, 2}));
  MatmulMask<int> others = mask;
  others.complement = true;
  const auto D = matmul(PlusTimes<double>{}, one.view(), row.view(), {.mask = others});
  CHECK((std::vector<int>(D.indices.begin(), D.indices.end()) == std::vector<int>{1, 3}));
}

TEST("the same bits for every number of threads and accumulator, also where rows are cut") {
  const auto A = random_parts<double, int>(2, 3000, 3000, 1, true),
             B = random_parts<double, int>(3000, 20'000, 400, 2, true);
  const auto M = random_parts<double, int>(2, 20'000, 9000, 3, true);
  for (const int masking : {0, 1, 2}) {
    SemiringOptions<double, int> options;
    if (masking > 0) options.mask = MatmulMask<int>{.places = M.places(), .complement = masking == 2};
    const auto expected = matmul(PlusTimes<double>{}, A.view(), B.view(), options, {.n_threads = 1});
    CHECK(expected.nnz() > 5000);
    for (const int threads : {1, 2, 4})
      for (const Accumulator accumulator : accumulators) {
        options.matmul.accumulator = accumulator;
        const auto C = matmul(PlusTimes<double>{}, A.view(), B.view(), options, {.n_threads = threads});
        CHECK(std::equal(C.indices.begin(), C.indices.end(), expected.indices.begin(), expected.indices.end()));
        CHECK(std::equal(C.data.begin(), C.data.end(), expected.data.begin(), expected.data.end()));
      }
    if (masking == 0) {
      const auto fast = matmul(A.view(), B.view());
      CHECK(std::equal(fast.data.begin(), fast.data.end(), expected.data.begin(), expected.data.end()));
    }
  }
}

TEST("integers of fewer bits wrap around, before entries are selected") {
  const Parts<std::int64_t, int> a{1, 2, {0, 2}, {0, 1}, {100, 28}}, b{2, 2, {0, 2, 4}, {0, 1, 0, 1}, {2, 1, 2, 1}};
  const auto product = [&](NamedSemiring semiring, MatmulOptions options) {
    auto C = std::get<0>(matmul_any_size(semiring, a.view(), b.view(), {.matmul = options}));
    return std::vector<std::int64_t>(C.data.begin(), C.data.end());
  };
  CHECK((product({.bits = 64}, {}) == std::vector<std::int64_t>{256, 128}));
  CHECK((product({.bits = 8}, {}) == std::vector<std::int64_t>{0, -128}));
  CHECK((product({.bits = 8}, {.prune_zeros = true}) == std::vector<std::int64_t>{-128}));
  CHECK((product({.bits = 8}, {.threshold = 127.5}) == std::vector<std::int64_t>{-128}));
  CHECK((product({.bits = 8}, {.top_k = 1}) == std::vector<std::int64_t>{0}));
  CHECK((product({SemiringName::max_plus, 8}, {}) == std::vector<std::int64_t>{102, 101}));
}

TEST("what a product over a semiring refuses, by name") {
  const auto good = random_parts<double, int>(4, 4, 3, 1, true);
  const PlusTimes<double> semiring;
  const auto with_mask = [&](CsrView<bool, int> places, bool values) {
    static_cast<void>(
        matmul(semiring, good.view(), good.view(), {.mask = MatmulMask<int>{.places = places, .values = values}}));
  };
  auto broken = good;
  broken.indices[1] = 4;
  CHECK_THROWS(static_cast<void>(matmul(semiring, broken.view(), good.view())), std::invalid_argument, "A.indices");
  CHECK_THROWS(static_cast<void>(matmul(semiring, good.view(), broken.view())), std::invalid_argument, "B.indices");
  CHECK_THROWS(static_cast<void>(matmul(semiring, good.view(), good.view(), {.accum = broken.view()})),
               std::invalid_argument, "accum.indices has the column 4");
  CHECK_THROWS(with_mask(broken.places(), false), std::invalid_argument, "mask.indices has the column 4");
  CHECK_THROWS(with_mask(good.places(), true), std::invalid_argument, "mask.data has 0 entries");
  const auto wide = random_parts<double, int>(4, 5, 3, 1, true);
  CHECK_THROWS(with_mask(wide.places(), false), std::invalid_argument, "mask is 4 x 5 but the product is 4 x 4");
  CHECK_THROWS(static_cast<void>(matmul(semiring, good.view(), good.view(), {.accum = wide.view()})),
               std::invalid_argument, "accum is 4 x 5 but the product is 4 x 4");
  CHECK_THROWS(static_cast<void>(matmul(semiring, wide.view(), wide.view())), std::invalid_argument, "4 x 5");
  CHECK_THROWS(static_cast<void>(matmul(semiring, good.view(), good.view(), {.matmul = {.top_k = -1}})),
               std::invalid_argument, "top_k is -1");
  CHECK_THROWS(static_cast<void>(matmul(semiring, good.view(), good.view(), {.matmul = {.max_bytes = 1}})),
               out_of_memory, "");
  const auto complex = random_parts<std::complex<double>, int>(4, 4, 3, 1, true);
  CHECK_THROWS(static_cast<void>(
                   matmul(PlusTimes<std::complex<double>>{}, complex.view(), complex.view(), {.matmul = {.top_k = 1}})),
               std::invalid_argument, "order");
  CHECK_THROWS(
      static_cast<void>(matmul_any_size(NamedSemiring{SemiringName::min_plus}, complex.view(), complex.view())),
      std::invalid_argument, "min_plus does not exist");
}

TEST("products over semirings stop when they are told to, on any number of threads") {
  const auto A = random_parts<double, int>(3000, 3000, 400, 8, true);
  for (const int threads : {1, 2, 4}) {
    int asked = 0;
    const KeepGoing stop = [&](double fraction) {
      CHECK(fraction >= 0 && fraction <= 1);
      return ++asked < 3;
    };
    CHECK_THROWS(static_cast<void>(
                     matmul(MinPlus<double>{}, A.view(), A.view(), {}, {.n_threads = threads, .keep_going = stop})),
                 interrupted, "stopped");
    CHECK(asked == 3);
  }
}

TEST("every allocation of a product over a semiring may fail") {
  const auto A = random_parts<double, int>(1500, 1500, 12, 9, false),
             M = random_parts<double, int>(1500, 1500, 40, 7, false);
  const MatmulMask<int> mask{.places = M.places()};
  const auto expected = matmul(MaxTimes<double>{}, A.view(), A.view(), {.mask = mask});
  for (const int threads : {1, 2, 4})
    for (const Accumulator accumulator : {Accumulator::dense, Accumulator::hash}) {
      const long failures = check::count_survived_allocation_failures([&] {
        const auto C = matmul(MaxTimes<double>{}, A.view(), A.view(),
                              {.mask = mask, .matmul = {.accumulator = accumulator}}, {.n_threads = threads});
        if (!std::equal(C.data.begin(), C.data.end(), expected.data.begin(), expected.data.end()))
          throw std::logic_error("wrong product");
      });
      CHECK(failures > 0);
    }
}

#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include "check.hpp"
#include "linalg/matrices.hpp"
#include "nearlinear/sampling.hpp"

using namespace nearlinear;
using nearlinear::test::Matrix;
using nearlinear::test::random_matrix;

TEST("what sampling refuses") {
  const Matrix<double> A = random_matrix<double>(50, 3, 1);
  const StoredMatrix stored = A.view();
  std::vector<double> scores(50), few(4), x(3);
  const std::vector<double> ones(50, 1.0), b(50, 1.0);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS(leverage_scores(stored, few), std::invalid_argument, "scores has 4 entries and A has 50 rows");
  CHECK_THROWS(leverage_scores(stored, scores, {.ridge = -1}), std::invalid_argument, "ridge is -1");
  CHECK_THROWS(leverage_scores(stored, scores, {.rcond = 1.0}), std::invalid_argument, "rcond is 1");
  CHECK_THROWS(lewis_weights(stored, 0.5, scores), std::invalid_argument, "p is 0.5");
  CHECK_THROWS(lewis_weights(stored, nan, scores), std::invalid_argument, "p is nan");
  CHECK_THROWS(lewis_weights(stored, 1, few), std::invalid_argument, "weights has 4 entries");
  CHECK_THROWS(lewis_weights(stored, 1, scores, {.tol = -1}), std::invalid_argument, "tol is -1");
  CHECK_THROWS(lewis_weights(stored, 1, scores, {.maxiter = -1}), std::invalid_argument, "maxiter is -1");
  CHECK_THROWS((void)lewis_certificate(stored, 1, few), std::invalid_argument, "weights has 4 entries");
  const std::vector<Index> beyond{50}, row{0};
  std::vector<double> one(1);
  CHECK_THROWS(sensitivities(stored, 1, beyond, one), std::invalid_argument, "rows has the entry 50 at index 0");
  CHECK_THROWS(sensitivities(stored, 1, row, few), std::invalid_argument, "values has 4");
  CHECK_THROWS(sensitivities(stored, 1, row, one, {.alpha = -1}), std::invalid_argument, "alpha is -1");
  CHECK_THROWS(sensitivities(stored, 1, row, one, {.loss = RowLoss::huber, .method = SensitivityMethod::bucket}),
               std::invalid_argument, "bucket goes with loss lp");
  CHECK_THROWS((void)total_sensitivity(stored, 1, -1), std::invalid_argument, "programs is -1");
  CHECK_THROWS((void)total_sensitivity(stored, 1, 5, SensitivityMethod::bucket), std::invalid_argument, "bucket");
  CHECK_THROWS((void)max_sensitivity(stored, 1, 0), std::invalid_argument, "most_programs is 0");
  CHECK_THROWS((void)sample_rows(stored, 1, {}), std::invalid_argument, "eps is 0; it or m must be positive");
  CHECK_THROWS((void)sample_rows(stored, 1, {.rows = -1}), std::invalid_argument, "m is -1");
  CHECK_THROWS((void)sample_rows(stored, 1, {.rows = 5, .delta = 1}), std::invalid_argument, "delta is 1");
  CHECK_THROWS((void)sample_rows(stored, 1, {.scores = few, .rows = 5}), std::invalid_argument, "scores has 4 entries");
  CHECK_THROWS((void)sample_rows(stored, 1, {.score = RowScore::uniform, .eps = 1}), std::invalid_argument,
               "scores that have a bound");
  CHECK_THROWS((void)sample_rows(stored, 1, {.rows = 5, .with_replacement = true, .exact_size = true}),
               std::invalid_argument, "exact_size goes without replacement");
  for (const double bad : {-1.0, nan, 0.0}) {
    std::vector<double> given = ones;
    given[3] = bad;
    CHECK_THROWS((void)sample_rows(stored, 1, {.scores = given, .rows = 5}), std::invalid_argument, "at index 3");
  }
  CHECK_THROWS((void)embedding_distortion(stored, 1, {}, {}), std::invalid_argument, "the sample has no rows");
  CHECK_THROWS((void)embedding_distortion(stored, 1, row, few), std::invalid_argument, "weights has 4");
  CHECK_THROWS((void)embedding_distortion(stored, 1, beyond, std::span(ones).first(1)), std::invalid_argument,
               "indices has the entry 50");
  CHECK_THROWS(lp_regression(stored, few, 1, {}, x), std::invalid_argument, "b has 4 entries");
  CHECK_THROWS(lp_regression(stored, b, 1, few, x), std::invalid_argument, "weights has 4 entries");
  CHECK_THROWS(lp_regression(stored, b, 1, {}, few), std::invalid_argument, "x has 4 entries");
  CHECK_THROWS(lp_regression(stored, b, 1, {}, x, {.tol = -1}), std::invalid_argument, "tol is -1");
  CHECK_THROWS(lp_regression(stored, b, 1, {}, x, {.maxiter = 0}), std::invalid_argument, "maxiter is 0");
}

TEST("entries that are not finite, shapes and indices that cannot be are named in every form of storage") {
  Matrix<double> A = random_matrix<double>(40, 3, 2), transposed(3, 40);
  A(7, 2) = std::numeric_limits<double>::infinity();
  for (Index i = 0; i < 40; ++i)
    for (Index j = 0; j < 3; ++j) transposed(j, i) = A(i, j);
  const std::vector<double> ones(40, 1.0);
  std::vector<double> scores(40), x(3);
  const std::vector<Index> rows{0, 1, 2};
  for (const StoredMatrix& stored : {StoredMatrix(A.view()), StoredMatrix(TransposedView{transposed.view()})}) {
    CHECK_THROWS(leverage_scores(stored, scores), std::invalid_argument, "A has the entry inf at index (7, 2)");
    CHECK_THROWS(leverage_scores(stored, scores, {.method = LeverageMethod::sketch}), std::invalid_argument, "inf");
    CHECK_THROWS(lewis_weights(stored, 3, scores), std::invalid_argument, "A has the entry inf at index (7, 2)");
    CHECK_THROWS((void)lewis_certificate(stored, 3, ones), std::invalid_argument, "entry inf at index (7, 2)");
    CHECK_THROWS(sensitivities(stored, 1, rows, std::span(scores).first(3)), std::invalid_argument, "index (7, 2)");
    CHECK_THROWS((void)sample_rows(stored, 1, {.rows = 5}), std::invalid_argument, "A has the entry inf");
    CHECK_THROWS((void)sample_rows(stored, 1, {.score = RowScore::uniform, .rows = 5}), std::invalid_argument,
                 "A has the entry inf at index (7, 2)");
    CHECK_THROWS((void)sample_rows(stored, 1, {.rows = 50}), std::invalid_argument, "A has the entry inf");
    CHECK_THROWS((void)embedding_distortion(stored, 1, rows, std::span(ones).first(3)), std::invalid_argument, "inf");
    CHECK_THROWS(lp_regression(stored, ones, 1, {}, x), std::invalid_argument, "A has the entry inf");
  }
  StreamingCoreset coreset(3, 1, 10);
  CHECK_THROWS(coreset.add_rows(0, A.view()), std::invalid_argument, "A has the entry inf at index (7, 2)");
  CHECK(coreset.rows_seen() == 0);
  const MatrixView<const double> none(nullptr, 0, 3), narrow(nullptr, 40, 0);
  CHECK_THROWS(leverage_scores(none, {}), std::invalid_argument, "rows");
  CHECK_THROWS(leverage_scores(narrow, scores), std::invalid_argument, "columns");
  const std::vector<std::int32_t> indptr{0, 1, 2}, indices{0, 3}, falling{0, 2, 1};
  const std::vector<double> data{1, 1};
  std::vector<double> two(2);
  CHECK_THROWS(leverage_scores(CsrView<double, std::int32_t>{2, 3, indptr, indices, data}, two), std::invalid_argument,
               "A.indices has the column 3 at index 1");
  CHECK_THROWS(lewis_weights(CsrView<double, std::int32_t>{2, 3, falling, indices, data}, 1, two),
               std::invalid_argument, "A.indptr decreases");
}

TEST("what runs out of memory says so") {
  const Matrix<double> A = random_matrix<double>(700, 3, 3);
  const StoredMatrix stored = A.view();
  const std::vector<double> b(700, 1.0);
  std::vector<double> scores(700), few(2), x(3);
  const std::vector<Index> rows{0, 699};
  const RunOptions alone{.n_threads = 1};
  const auto survives = [](const auto& action) { return check::count_survived_allocation_failures(action) > 0; };
  CHECK(survives([&] { leverage_scores(stored, scores, {}, alone); }));
  CHECK(survives([&] { leverage_scores(stored, scores, {.method = LeverageMethod::sketch}, alone); }));
  CHECK(survives([&] { lewis_weights(stored, 3, scores, {}, alone); }));
  for (const SensitivityMethod method :
       {SensitivityMethod::exact, SensitivityMethod::coreset, SensitivityMethod::bucket})
    CHECK(survives([&] { sensitivities(stored, 1.5, rows, few, {.method = method, .alpha = 200}, alone); }));
  CHECK(survives([&] { (void)max_sensitivity(stored, 3, 32, alone); }));
  for (const RowScore score : {RowScore::root_leverage, RowScore::lewis})
    CHECK(survives([&] { (void)sample_rows(stored, 1, {.score = score, .rows = 20}, alone); }));
  CHECK(survives([&] { lp_regression(stored, b, 1.5, {}, x, {}, alone); }));
  CHECK(survives([&] {
    StreamingCoreset coreset(3, 1, 100);
    coreset.add_rows(0, A.view(), alone);
    (void)coreset.result(alone);
  }));
}

TEST("what is stopped says so") {
  const Matrix<double> A = random_matrix<double>(60000, 20, 4);
  const StoredMatrix stored = A.view();
  std::vector<double> scores(60000);
  const std::vector<Index> rows(200, 5);
  const RunOptions stopped{.n_threads = 1, .keep_going = [](double) { return false; }};
  CHECK_THROWS(leverage_scores(stored, scores, {}, stopped), interrupted, "");
  CHECK_THROWS(lewis_weights(stored, 1, scores, {.tol = 1e-9}, stopped), interrupted, "");
  CHECK_THROWS(sensitivities(stored, 1, rows, std::span(scores).first(200), {}, stopped), interrupted, "");
  CHECK_THROWS((void)sample_rows(stored, 1, {.rows = 500}, stopped), interrupted, "");
}

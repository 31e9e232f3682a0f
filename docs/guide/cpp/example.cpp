#include <chrono>
#include <cstdio>
#include <exception>
#include <nearlinear/nearlinear.hpp>
#include <vector>

namespace nl = nearlinear;

int main() {
  // A view says where memory lies; it owns nothing. Here every column of a 4 x 2 matrix is transformed in place.
  std::vector<double> x{1, 5, 2, 6, 3, 7, 4, 8};
  nl::hadamard_transform(nl::MatrixView<double>(x.data(), 4, 2));
  for (const double value : x) std::printf("%g ", value);
  std::printf("\n");

  // ( 1 2 )   ( 0 3 )   ( 8 3 )
  // ( 0 5 ) * ( 4 0 ) = (20 0 ),   each matrix in compressed rows
  const std::vector<int> a_indptr{0, 2, 3}, a_indices{0, 1, 1}, b_indptr{0, 1, 2}, b_indices{1, 0};
  const std::vector<double> a_data{1, 2, 5}, b_data{3, 4};
  const nl::CsrView<double, int> A{2, 2, a_indptr, a_indices, a_data};
  const nl::CsrView<double, int> B{2, 2, b_indptr, b_indices, b_data};

  // Options of the function, then options of the run: threads, and a question asked every 50 ms or so.
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + std::chrono::seconds(10);
  const nl::RunOptions run{.n_threads = 2, .keep_going = [&](double) { return Clock::now() < deadline; }};
  const nl::CsrMatrix<double, int> C = nl::matmul(A, B, {.accumulator = nl::Accumulator::dense}, run);
  for (nl::Index i = 0; i < C.rows; ++i)
    for (int k = C.indptr[i]; k < C.indptr[i + 1]; ++k) std::printf("(%td, %d) %g  ", i, C.indices[k], C.data[k]);
  std::printf("\n");

  try {
    nl::hadamard_transform(nl::MatrixView<double>(x.data(), 3, 2));
  } catch (const std::exception& error) {
    std::printf("%s\n", error.what());
  }
}

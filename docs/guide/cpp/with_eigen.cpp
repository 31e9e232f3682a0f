#include <iostream>
#include <nearlinear/eigen.hpp>
#include <nearlinear/linalg.hpp>

int main() {
  nearlinear::RowMajorMatrix<double> x = nearlinear::RowMajorMatrix<double>::Identity(4, 4);
  nearlinear::hadamard_transform(nearlinear::view(x));       // an Eigen matrix as a view
  const nearlinear::MatrixView<double> top(x.data(), 2, 4);  // a view as an Eigen expression
  std::cout << nearlinear::as_eigen(top) << "\n";
}

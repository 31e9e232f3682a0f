#include "nearlinear/linalg/qr.hpp"

#include "arrays.hpp"

namespace {

using nearlinear::QrMethod;

template <class T>
void bind_qr_of(nb::module_& module) {
  module.def(
      "qr",
      [](const MatrixInput<T>& A, const MatrixArray<T>& R, QrMethod method, int n_threads, const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        return without_gil([&] { return nearlinear::qr<T>(view(A), view(R), method, run); });
      },
      "A"_a.noconvert(), "R"_a.noconvert(), "method"_a = QrMethod::automatic, "n_threads"_a = 0,
      "callback"_a = nb::none());
  module.def(
      "qr_multiply",
      [](const MatrixInput<T>& A, const MatrixInput<T>& B, const MatrixArray<T>& R, const MatrixArray<T>& C,
         QrMethod method, int n_threads, const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        return without_gil([&] { return nearlinear::qr_multiply<T>(view(A), view(B), view(R), view(C), method, run); });
      },
      "A"_a.noconvert(), "B"_a.noconvert(), "R"_a.noconvert(), "C"_a.noconvert(), "method"_a = QrMethod::automatic,
      "n_threads"_a = 0, "callback"_a = nb::none());
  module.def(
      "qr_thin",
      [](const MatrixInput<T>& A, const MatrixArray<T>& Q, const MatrixArray<T>& R, QrMethod method, int n_threads,
         const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        return without_gil([&] { return nearlinear::qr_thin<T>(view(A), view(Q), view(R), method, run); });
      },
      "A"_a.noconvert(), "Q"_a.noconvert(), "R"_a.noconvert(), "method"_a = QrMethod::automatic, "n_threads"_a = 0,
      "callback"_a = nb::none());
}

}  // namespace

void bind_linalg_qr(nb::module_& module) {
  nb::enum_<QrMethod>(module, "QrMethod")
      .value("automatic", QrMethod::automatic)
      .value("cholesky", QrMethod::cholesky)
      .value("tall_skinny", QrMethod::tall_skinny)
      .value("householder", QrMethod::householder);
  bind_qr_of<float>(module);
  bind_qr_of<double>(module);
}

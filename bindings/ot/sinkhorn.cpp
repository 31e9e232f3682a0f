#include "nearlinear/ot/sinkhorn.hpp"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ot/cost.hpp"
#include "ot/history.hpp"

void bind_ot_sinkhorn(nb::module_& module);

namespace {

using nearlinear::Index;

nearlinear::SinkhornMethod method_of(const std::string& name) {
  if (name == "sns") return nearlinear::SinkhornMethod::sns;
  return name == "sinkhorn" ? nearlinear::SinkhornMethod::sinkhorn : nearlinear::SinkhornMethod::automatic;
}

/// What makes a list of Python's, as it is checked there: the options of every problem but its start.
struct Options {
  double reg;
  const std::string& method;
  double tol;
  std::optional<Index> maxiter;
  std::pair<double, double> reg_marginals;
  Index sns_sweeps;
  double sns_density;

  [[nodiscard]] nearlinear::SinkhornOptions core() const {
    return {.reg = reg,
            .method = method_of(method),
            .tol = tol,
            .reg_marginals = {reg_marginals.first, reg_marginals.second},
            .maxiter = maxiter,
            .sns_sweeps = sns_sweeps,
            .sns_density = sns_density};
  }
};

/// Writes f and g, and returns the rest.
Tuple unpack(const nearlinear::SinkhornResult& result, const VectorOutput<double>& f, const VectorOutput<double>& g) {
  std::copy(result.f.begin(), result.f.end(), f.data());
  std::copy(result.g.begin(), result.g.end(), g.data());
  return Tuple(nb::make_tuple(static_cast<int>(result.status), result.value, result.cost, result.marginal_error,
                              result.iterations, result.newton_iterations, result.passes, as_list(result.history)));
}

template <class T>
void bind_sinkhorn(nb::module_& module) {
  module.def(
      "sinkhorn",
      [](const VectorArray<double>& a, const VectorArray<double>& b, const MatrixInput<T>& C, const MatrixInput<T>& y,
         const std::string& metric, const VectorOutput<double>& f, const VectorOutput<double>& g, bool is_warm,
         double reg, const std::string& method, double tol, std::optional<Index> maxiter,
         std::pair<double, double> reg_marginals, Index sns_sweeps, double sns_density, int n_threads,
         const nb::object& callback, const nb::object& each_iteration) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        nearlinear::SinkhornOptions options =
            Options{reg, method, tol, maxiter, reg_marginals, sns_sweeps, sns_density}.core();
        if (is_warm) {
          options.f = {f.data(), f.size()};
          options.g = {g.data(), g.size()};
        }
        options.callback = callback_of(each_iteration);
        const nearlinear::TransportProblem<T> problem{view(a), view(b), cost_of<T>(C, y, metric)};
        return unpack(without_gil([&] { return nearlinear::sinkhorn<T>(problem, options, run); }), f, g);
      },
      "a"_a.noconvert(), "b"_a.noconvert(), "C"_a.noconvert(), "y"_a.noconvert(), "metric"_a, "f"_a.noconvert(),
      "g"_a.noconvert(), "is_warm"_a, "reg"_a, "method"_a, "tol"_a, "maxiter"_a.none(), "reg_marginals"_a,
      "sns_sweeps"_a, "sns_density"_a, "n_threads"_a = 0, "callback"_a = nb::none(), "each_iteration"_a = nb::none());
}

/// Lists of arrays of one type, which Python has made.
template <class T>
void bind_sinkhorn_batch(nb::module_& module, const char* name) {
  module.def(
      name,
      [](const std::vector<VectorArray<double>>& A, const std::vector<VectorArray<double>>& B,
         const std::vector<MatrixInput<T>>& C, const std::vector<MatrixInput<T>>& y, const std::string& metric,
         const std::vector<VectorOutput<double>>& f, const std::vector<VectorOutput<double>>& g, double reg,
         const std::string& method, double tol, std::optional<Index> maxiter, std::pair<double, double> reg_marginals,
         Index sns_sweeps, double sns_density, int n_threads, const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        const nearlinear::SinkhornOptions options =
            Options{reg, method, tol, maxiter, reg_marginals, sns_sweeps, sns_density}.core();
        std::vector<nearlinear::TransportProblem<T>> problems;
        for (std::size_t k = 0; k < A.size(); ++k)
          problems.push_back({view(A[k]), view(B[k]), cost_of<T>(C[k], y[k], metric)});
        const auto results = without_gil(
            [&] { return nearlinear::sinkhorn_batch<T>(std::span(std::as_const(problems)), options, run); });
        List unpacked;
        for (std::size_t k = 0; k < results.size(); ++k) unpacked.append(unpack(results[k], f[k], g[k]));
        return unpacked;
      },
      "A"_a, "B"_a, "C"_a, "y"_a, "metric"_a, "f"_a, "g"_a, "reg"_a, "method"_a, "tol"_a, "maxiter"_a.none(),
      "reg_marginals"_a, "sns_sweeps"_a, "sns_density"_a, "n_threads"_a = 0, "callback"_a = nb::none());
}

}  // namespace

void bind_ot_sinkhorn(nb::module_& module) {
  bind_sinkhorn<float>(module);
  bind_sinkhorn<double>(module);
  bind_sinkhorn_batch<float>(module, "sinkhorn_batch32");
  bind_sinkhorn_batch<double>(module, "sinkhorn_batch64");
}

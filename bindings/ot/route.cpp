#include "nearlinear/ot/route.hpp"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <utility>
#include <vector>

#include "arrays.hpp"

void bind_ot_route(nb::module_& module);

namespace {

using nearlinear::Index;

template <class T>
void bind_route(nb::module_& module, const char* name) {
  module.def(
      name,
      [](const std::vector<MatrixInput<T>>& scores, const std::vector<VectorOutput<double>>& prices, Index capacity,
         Index k, int n_threads, const nb::object& callback) {
        const nearlinear::RunOptions run = run_options(n_threads, callback);
        std::vector<nearlinear::MatrixView<const T>> views;
        for (const auto& part : scores) views.push_back(view(part));
        const nearlinear::RouteOptions options{.capacity = capacity, .k = k};
        auto results =
            without_gil([&] { return nearlinear::route_batch<T>(std::span(std::as_const(views)), options, run); });
        List unpacked;
        for (std::size_t at = 0; at < results.size(); ++at) {
          auto& result = results[at];
          std::copy(result.prices.begin(), result.prices.end(), prices[at].data());
          unpacked.append(nb::make_tuple(as_numpy(std::move(result.plan.data)),
                                         as_numpy(std::move(result.plan.indices)),
                                         as_numpy(std::move(result.plan.indptr)), result.score, result.bound));
        }
        return unpacked;
      },
      "scores"_a, "prices"_a, "capacity"_a, "k"_a, "n_threads"_a = 0, "callback"_a = nb::none());
}

}  // namespace

void bind_ot_route(nb::module_& module) {
  bind_route<float>(module, "route32");
  bind_route<double>(module, "route64");
}

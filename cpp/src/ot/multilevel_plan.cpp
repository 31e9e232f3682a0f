// A plan to begin with, from problems with fewer rows and columns.
#include "ot/multilevel_plan.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "nearlinear/core/random.hpp"
#include "ot/network_simplex.hpp"

namespace nearlinear::ot {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// 0, 1, ..., size - 1 in random order.
Indices shuffled(std::size_t size, std::uint64_t stream) {
  const RandomStream numbers(0, stream);
  std::vector<std::pair<double, Index>> keys(size);
  for (std::size_t k = 0; k < size; ++k) keys[k] = {numbers.uniform(k), static_cast<Index>(k)};
  std::sort(keys.begin(), keys.end());
  Indices order(size);
  std::transform(keys.begin(), keys.end(), order.begin(), [](const auto& key) { return key.second; });
  return order;
}

/// The first `size` masses of a marginal in a given order.
struct Sample {
  Indices among;      // the marginal's, ascending
  Marginal marginal;  // with the sum 1

  Sample(const Marginal& all, const Indices& order, Index size) : among(order.begin(), order.begin() + size) {
    std::sort(among.begin(), among.end());
    double sum = 0;
    for (const Index k : among) sum += all.mass[static_cast<std::size_t>(k)];
    for (const Index k : among) {
      marginal.mass.push_back(all.mass[static_cast<std::size_t>(k)] / sum);
      marginal.places.push_back(static_cast<Index>(all.place(static_cast<std::size_t>(k))));
    }
  }
};

/// g_j <- min_i C_ij - f_i with f_i = min_j C_ij - known_j, where unknown is -Inf.
std::vector<double> extended(const Costs& costs, const std::vector<double>& known, Monitor& monitor) {
  std::vector<double> g(known.size(), infinity), scratch(static_cast<std::size_t>(Costs::tile + 32));
  for (Index i = 0; i < costs.rows(); ++i) {
    monitor.poll(0);
    const double f = -costs.best(i, known.data(), scratch.data()).slack;
    costs.for_tiles(i, scratch.data(), [&]<class T>(const T* cost, Index first, Index count) {
      row_kernels<T>().lower(cost, count, f, g.data() + first);
    });
  }
  return g;
}

double cost_of(const FirstPlan& plan) {
  return std::accumulate(plan.shipments.begin(), plan.shipments.end(), 0.0, [](double sum, const Shipment& shipment) {
    return sum + static_cast<double>(shipment.units) * shipment.cost;
  });
}

struct Choice {
  FirstPlan plan;
  bool is_informed;
};

/// The cheaper of two plans: of what is known, and of nothing.
Choice choose(const Costs& costs, const MassUnits& units, const std::vector<double>& known, Monitor& monitor) {
  const auto plan_of = [&](const std::vector<double>& g) {
    return make_first_plan(costs, units.rows, units.cols, g.data(), monitor);
  };
  FirstPlan plain = plan_of(std::vector<double>(units.cols.size(), 0.0));
  if (known.empty()) return {std::move(plain), false};
  FirstPlan informed = plan_of(extended(costs, known, monitor));
  if (cost_of(informed) < cost_of(plain)) return {std::move(informed), true};
  return {std::move(plain), false};
}

}  // namespace

template <class T>
FirstPlan multilevel_plan(const TransportCost<T>& cost, const Costs& costs, const Marginal& rows, const Marginal& cols,
                          const MassUnits& units, Monitor& monitor) {
  constexpr Index factor = 4, fewest = 48;  // rows or columns of a problem that is worth while
  const Index n = costs.rows(), m = costs.cols();
  Index divisor = 1;
  while (std::min(n, m) / (divisor * factor) >= fewest) divisor *= factor;
  const Indices row_order = shuffled(rows.mass.size(), 0), col_order = shuffled(cols.mass.size(), 1);
  std::vector<double> known;  // of columns, -Inf where no problem has had them
  for (; divisor > 1; divisor /= factor) {
    const Sample some_rows(rows, row_order, n / divisor), some_cols(cols, col_order, m / divisor);
    const Costs some_costs(cost, &some_rows.marginal.places, &some_cols.marginal.places);
    const MassUnits some_units = mass_units(some_rows.marginal, some_cols.marginal, {}, {});
    std::vector<double> known_here;
    if (!known.empty())
      for (const Index j : some_cols.among) known_here.push_back(known[static_cast<std::size_t>(j)]);
    const Choice start = choose(some_costs, some_units, known_here, monitor);
    if (!known.empty() && !start.is_informed) {
      known.clear();
      break;
    }
    SpanningTree tree(some_costs.rows(), some_costs.cols(), start.plan.shipments, start.plan.f.data());
    NetworkSimplex simplex(some_costs, tree, monitor, 0);
    simplex.solve(std::numeric_limits<Index>::max(), [] { return true; });
    known.resize(cols.mass.size(), -infinity);
    for (std::size_t k = 0; k < some_cols.among.size(); ++k)
      known[static_cast<std::size_t>(some_cols.among[k])] = tree.g()[k];
  }
  return choose(costs, units, known, monitor).plan;
}

template FirstPlan multilevel_plan(const TransportCost<float>&, const Costs&, const Marginal&, const Marginal&,
                                   const MassUnits&, Monitor&);
template FirstPlan multilevel_plan(const TransportCost<double>&, const Costs&, const Marginal&, const Marginal&,
                                   const MassUnits&, Monitor&);

}  // namespace nearlinear::ot

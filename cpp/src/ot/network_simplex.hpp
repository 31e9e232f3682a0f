/// The network simplex method on all pairs of rows and columns.
#pragma once

#include <functional>
#include <vector>

#include "nearlinear/core/monitor.hpp"
#include "ot/costs.hpp"
#include "ot/spanning_tree.hpp"

namespace nearlinear::ot {

class NetworkSimplex {
 public:
  /// `pivots` were made before.
  NetworkSimplex(const Costs& costs, SpanningTree& tree, Monitor& monitor, Index pivots);

  /// Pivots until f_i + g_j <= C_ij holds for all pairs up to rounding, or there have been `most` pivots, or `round`,
  /// which is called after every n + m of them or so, answers false. Returns whether it is the first.
  bool solve(Index most, const std::function<bool()>& round);

  [[nodiscard]] Index pivots() const { return pivots_; }

 private:
  /// A pair whose dual inequality is violated, and by how much.
  struct Candidate {
    std::int32_t row;
    std::int32_t col;
    double cost;
    double slack;
  };

  bool find_candidates();
  bool enter_candidates(Index most);
  void poll();
  [[nodiscard]] double tolerance(Index row) const;

  const Costs& costs_;
  SpanningTree& tree_;
  Monitor& monitor_;
  std::vector<double> scratch_;
  std::vector<Candidate> candidates_;
  Index next_row_ = 0;
  Index pivots_;
  double largest_g_ = 0;
};

}  // namespace nearlinear::ot

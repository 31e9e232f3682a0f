/// The basis of the network simplex method: a spanning tree of rows, columns and a root.
#pragma once

#include <cstdint>
#include <vector>

#include "nearlinear/core/views.hpp"

namespace nearlinear::ot {

/// A pair of a plan and the mass that it moves, in units.
struct Shipment {
  std::int32_t row;
  std::int32_t col;
  std::int64_t units;
  double cost;
};

/// Rows are the nodes 0 ... n - 1, columns follow them, and the root comes last. Every node but the root has an arc to
/// its parent: the pair of a row and a column, on which mass goes from the row to the column, or an arc from a row to
/// the root, on which nothing ever moves; it holds together what the plan does not.
///
/// The order is that of R. K. Ahuja, T. L. Magnanti and J. B. Orlin, "Network flows", 1993, section 11.3: parents,
/// depths, and a thread through all nodes on which every subtree is a stretch that its root begins.
///
/// The tree is strongly feasible, which is what keeps the method from cycling (W. H. Cunningham, "A network simplex
/// method", 1976): arcs on which nothing moves point to the root. As mass is counted in integers, that is exact.
class SpanningTree {
 public:
  /// The tree of a plan whose pairs are a forest, with all units positive. Parts of it hang on the root by the row that
  /// comes first, with the dual variable that `f` has for it.
  SpanningTree(Index n, Index m, const std::vector<Shipment>& plan, const double* f);

  [[nodiscard]] const double* f() const { return potential_.data(); }
  [[nodiscard]] const double* g() const { return potential_.data() + n_; }

  /// What a pivot did.
  struct Change {
    std::int64_t units;  ///< how much mass has moved to the entering pair
    Index moved;         ///< nodes with new dual variables
  };

  /// The pair (row, col) with f_i + g_j = C_ij + slack enters, and one on which mass becomes zero leaves.
  Change pivot(std::int32_t row, std::int32_t col, double cost, double slack);

  /// Computes the dual variables anew, which removes the rounding errors of pivots. The constant that they are free to
  /// have makes the extremes of g opposite numbers. Returns the largest of |g|.
  double refresh_duals();

  /// Replaces the costs of the tree's pairs by cost_of(row, col), those of arcs to the root by zero, and the dual
  /// variables by what follows.
  template <class CostOf>
  void replace_costs(const CostOf& cost_of) {
    for (std::int32_t v = 0; v < root_; ++v) {
      const std::int32_t up = nodes_[at(v)].parent;
      double& cost = arcs_[at(v)].cost;
      if (up == root_)
        cost = 0;
      else
        cost = v < n_ ? cost_of(v, up - n_) : cost_of(up, v - n_);
    }
    refresh_duals();
  }

  /// The pairs on which mass moves.
  [[nodiscard]] std::vector<Shipment> plan() const;

 private:
  // What walks along the thread look at stands apart, so that more of it stays in the nearest cache.
  struct Link {
    std::int32_t next;  // on the thread, which is a circle
    std::int32_t depth;
  };

  struct Node {
    std::int32_t parent;
    std::int32_t previous;  // on the thread
  };

  struct Arc {  // to the parent
    std::int64_t units;
    double cost;
  };

  static std::size_t at(std::int32_t node) { return static_cast<std::size_t>(node); }
  Index hang(std::int32_t top, std::int32_t entry, std::int32_t parent, Arc arc, double row_shift);

  std::int32_t n_;
  std::int32_t root_;
  std::vector<Link> links_;
  std::vector<Node> nodes_;
  std::vector<Arc> arcs_;
  std::vector<double> potential_;  // f, then g
};

}  // namespace nearlinear::ot

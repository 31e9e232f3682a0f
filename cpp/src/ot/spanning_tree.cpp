// The basis of the network simplex method.
#include "ot/spanning_tree.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace nearlinear::ot {

SpanningTree::SpanningTree(Index n, Index m, const std::vector<Shipment>& plan, const double* f)
    : n_(static_cast<std::int32_t>(n)),
      root_(static_cast<std::int32_t>(n + m)),
      links_(static_cast<std::size_t>(n + m + 1)),
      nodes_(links_.size()),
      arcs_(nodes_.size(), Arc{0, 0}),
      potential_(static_cast<std::size_t>(n + m)) {
  // The plan's pairs by node: those of v are the ones from first[v] to first[v + 1] in `neighbours`.
  std::vector<std::int32_t> first(nodes_.size() + 1, 0);
  for (const Shipment& shipment : plan)
    for (const std::int32_t v : {shipment.row, shipment.col + n_}) ++first[at(v) + 1];
  for (std::size_t v = 1; v < first.size(); ++v) first[v] += first[v - 1];
  std::vector<const Shipment*> neighbours(2 * plan.size());
  std::vector<std::int32_t> place(first.begin(), first.end() - 1);
  for (const Shipment& shipment : plan)
    for (const std::int32_t v : {shipment.row, shipment.col + n_})
      neighbours[static_cast<std::size_t>(place[at(v)]++)] = &shipment;

  constexpr std::int32_t unseen = -1;
  for (Node& node : nodes_) node.parent = unseen;
  links_[at(root_)] = {root_, 0};
  nodes_[at(root_)] = {root_, root_};
  std::int32_t last = root_;  // on the thread
  const auto append = [&](std::int32_t v, std::int32_t parent, Arc arc) {
    links_[at(v)] = {root_, links_[at(parent)].depth + 1};
    nodes_[at(v)] = {parent, last};
    links_[at(last)].next = v;
    arcs_[at(v)] = arc;
    last = v;
  };
  std::vector<std::pair<std::int32_t, const Shipment*>> waiting;  // nodes, and the pairs that lead to them
  for (std::int32_t row = 0; row < n_; ++row) {
    if (nodes_[at(row)].parent != unseen) continue;
    waiting.emplace_back(row, nullptr);
    while (!waiting.empty()) {
      const auto [v, by] = waiting.back();
      waiting.pop_back();
      if (by == nullptr)
        append(v, root_, {0, f[v]});
      else
        append(v, v < n_ ? by->col + n_ : by->row, {by->units, by->cost});
      for (auto k = first[at(v)]; k < first[at(v) + 1]; ++k) {
        const Shipment* const shipment = neighbours[static_cast<std::size_t>(k)];
        const std::int32_t child = v < n_ ? shipment->col + n_ : shipment->row;
        if (shipment != by) waiting.emplace_back(child, shipment);
      }
    }
  }
  nodes_[at(root_)].previous = last;
  refresh_duals();
}

SpanningTree::Change SpanningTree::pivot(std::int32_t row, std::int32_t col, double cost, double slack) {
  // The cycle goes from the row to the column and up the tree to where the paths to the root join, and down from there
  // to the row. Against it, and so with mass to lose, are the arcs of columns on the column's side, and of rows on the
  // row's. Of those with the least mass, the last one on the way from the join on leaves: Cunningham's rule.
  constexpr std::int64_t unlimited = std::numeric_limits<std::int64_t>::max();
  std::int32_t u = row, v = col + n_;
  std::int32_t row_side = -1, col_side = -1;
  std::int64_t row_units = unlimited, col_units = unlimited;
  while (u != v) {
    if (links_[at(u)].depth >= links_[at(v)].depth) {
      if (u < n_ && arcs_[at(u)].units < row_units) {
        row_units = arcs_[at(u)].units;
        row_side = u;
      }
      u = nodes_[at(u)].parent;
    } else {
      if (v >= n_ && arcs_[at(v)].units <= col_units) {
        col_units = arcs_[at(v)].units;
        col_side = v;
      }
      v = nodes_[at(v)].parent;
    }
  }
  const std::int32_t join = u;
  const std::int64_t units = std::min(row_units, col_units);
  if (units > 0) {
    for (u = row; u != join; u = nodes_[at(u)].parent) arcs_[at(u)].units += u < n_ ? -units : units;
    for (v = col + n_; v != join; v = nodes_[at(v)].parent) arcs_[at(v)].units += v < n_ ? units : -units;
  }
  const Index moved = col_units <= row_units ? hang(col_side, col + n_, row, {units, cost}, slack)
                                             : hang(row_side, row, col + n_, {units, cost}, -slack);
  return {units, moved};
}

/// Takes the subtree of `top` off the tree and hangs it below `parent` by `entry`, one of its nodes; adds `row_shift`
/// to the dual variables of its rows and subtracts it from those of its columns. Returns how many there are.
Index SpanningTree::hang(std::int32_t top, std::int32_t entry, std::int32_t parent, Arc arc, double row_shift) {
  // The path from `entry` to `top` turns round. On the new thread stands for each of its nodes what was the node's
  // subtree without the part that already stands there: a stretch before that part, beginning with the node, and one
  // behind it.
  const std::int32_t before_top = nodes_[at(top)].previous;
  std::int32_t depth = links_[at(parent)].depth + 1;
  std::int32_t below = parent, node = entry, placed = parent;
  std::int32_t behind = -1;      // the first node behind the subtree of the path's last one, on the old thread
  std::int32_t end_before = -1;  // the last node in front of it
  Index moved = 0;
  for (;;) {
    const Node old = nodes_[at(node)];
    const std::int32_t old_depth = links_[at(node)].depth, shift = depth - old_depth;
    const auto move = [&](std::int32_t x) {
      links_[at(x)].depth += shift;
      potential_[at(x)] += x < n_ ? row_shift : -row_shift;
      ++moved;
    };
    std::int32_t x = node;
    if (node == entry) {
      std::int32_t last = node;
      do {
        move(x);
        last = x;
        x = links_[at(x)].next;
      } while (links_[at(x)].depth > old_depth);
      placed = last;
    } else {
      for (;; x = links_[at(x)].next) {
        move(x);
        if (x == end_before) break;
      }
      links_[at(placed)].next = node;
      nodes_[at(node)].previous = placed;
      placed = end_before;
      x = behind;
      if (links_[at(x)].depth > old_depth) {
        links_[at(placed)].next = x;
        nodes_[at(x)].previous = placed;
        do {
          move(x);
          placed = x;
          x = links_[at(x)].next;
        } while (links_[at(x)].depth > old_depth);
      }
    }
    behind = x;
    end_before = old.previous;
    nodes_[at(node)].parent = below;
    std::swap(arcs_[at(node)], arc);
    if (node == top) break;
    below = node;
    node = old.parent;
    ++depth;
  }
  links_[at(before_top)].next = behind;
  nodes_[at(behind)].previous = before_top;
  const std::int32_t after = links_[at(parent)].next;
  links_[at(parent)].next = entry;
  nodes_[at(entry)].previous = parent;
  links_[at(placed)].next = after;
  nodes_[at(after)].previous = placed;
  return moved;
}

double SpanningTree::refresh_duals() {
  std::vector<long double> exact(potential_.size());  // or errors would add up along paths
  for (std::int32_t v = links_[at(root_)].next; v != root_; v = links_[at(v)].next) {
    const std::int32_t up = nodes_[at(v)].parent;
    exact[at(v)] = static_cast<long double>(arcs_[at(v)].cost) - (up == root_ ? 0.0L : exact[at(up)]);
  }
  const auto [least, most] = std::minmax_element(exact.begin() + n_, exact.end());
  const long double middle = (*least + *most) / 2, largest = (*most - *least) / 2;
  for (std::int32_t v = 0; v < root_; ++v)
    potential_[at(v)] = static_cast<double>(v < n_ ? exact[at(v)] + middle : exact[at(v)] - middle);
  return static_cast<double>(largest);
}

std::vector<Shipment> SpanningTree::plan() const {
  std::vector<Shipment> plan;
  for (std::int32_t v = 0; v < root_; ++v) {
    const std::int32_t up = nodes_[at(v)].parent;
    if (up == root_ || arcs_[at(v)].units == 0) continue;
    plan.push_back({v < n_ ? v : up, (v < n_ ? up : v) - n_, arcs_[at(v)].units, arcs_[at(v)].cost});
  }
  return plan;
}

}  // namespace nearlinear::ot

// The network simplex method.
#include "ot/network_simplex.hpp"

#include <algorithm>
#include <cmath>

namespace nearlinear::ot {
namespace {

// Rows that are looked at together. Fewer of them make more pivots, and more of them longer searches; measured, 16 to
// 64 differ by little.
constexpr Index rows_together = 32;

// Candidates enter, the best ones first, as long as they are not much worse than the first of all was: what is worse
// may have become a poor choice by what entered before.
constexpr double good_enough = 0.2;

}  // namespace

NetworkSimplex::NetworkSimplex(const Costs& costs, SpanningTree& tree, Monitor& monitor, Index pivots)
    : costs_(costs),
      tree_(tree),
      monitor_(monitor),
      scratch_(static_cast<std::size_t>(Costs::tile + 32)),
      pivots_(pivots) {
  candidates_.reserve(static_cast<std::size_t>(rows_together));
}

double NetworkSimplex::tolerance(Index row) const {
  constexpr double relative = 0x1p-43;  // above the rounding errors of the pivots since the dual variables were fresh
  return relative * (std::abs(tree_.f()[row]) + largest_g_);
}

/// The best candidates of the next rows that have some. Returns whether any row has.
bool NetworkSimplex::find_candidates() {
  const Index n = costs_.rows();
  candidates_.clear();
  for (Index seen = 0; seen < n && (seen % rows_together != 0 || candidates_.empty()); ++seen) {
    const Index i = next_row_;
    next_row_ = i + 1 == n ? 0 : i + 1;
    poll();
    const auto [col, slack_without_f] = costs_.best(i, tree_.g(), scratch_.data());
    const double slack = tree_.f()[i] + slack_without_f;
    if (slack > tolerance(i))
      candidates_.push_back(
          {static_cast<std::int32_t>(i), static_cast<std::int32_t>(col), costs_.cost(i, col, scratch_.data()), slack});
  }
  return !candidates_.empty();
}

/// Pivots on candidates. Returns false when there have been `most` pivots.
bool NetworkSimplex::enter_candidates(Index most) {
  double bound = 0;
  while (!candidates_.empty()) {
    const auto best = std::max_element(candidates_.begin(), candidates_.end(),
                                       [](const Candidate& x, const Candidate& y) { return x.slack < y.slack; });
    if (best->slack <= std::max(bound, tolerance(best->row))) break;
    if (pivots_ >= most) return false;
    bound = std::max(bound, good_enough * best->slack);
    tree_.pivot(best->row, best->col, best->cost, best->slack);
    ++pivots_;
    poll();
    *best = candidates_.back();
    candidates_.pop_back();
    for (Candidate& candidate : candidates_)
      candidate.slack = (tree_.f()[candidate.row] + tree_.g()[candidate.col]) - candidate.cost;
  }
  return true;
}

bool NetworkSimplex::solve(Index most, const std::function<bool()>& round) {
  const Index round_length = costs_.rows() + costs_.cols();
  Index next_round = pivots_ + round_length, pivots_when_fresh = -1;
  for (;;) {
    if (pivots_ >= next_round) {
      if (!round()) return false;
      next_round = pivots_ + round_length;
      pivots_when_fresh = -1;
    }
    if (pivots_when_fresh < 0) {
      largest_g_ = tree_.refresh_duals();
      pivots_when_fresh = pivots_;
    }
    if (find_candidates()) {
      if (!enter_candidates(most)) return false;
    } else if (pivots_when_fresh == pivots_) {
      return true;
    } else {
      pivots_when_fresh = -1;  // rounding errors may hide something
    }
  }
}

void NetworkSimplex::poll() {
  // How many pivots there will be, nobody knows: some multiple of n + m.
  const auto done = static_cast<double>(pivots_);
  const auto usual = 4 * static_cast<double>(costs_.rows() + costs_.cols());
  monitor_.poll(done / (done + usual));
}

}  // namespace nearlinear::ot

// Tokens to experts: prices that rise, then shortest paths.
#include "nearlinear/ot/route.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "core/arithmetic.hpp"
#include "core/threads.hpp"
#include "nearlinear/core/errors.hpp"
#include "ot/batch.hpp"

namespace nearlinear {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

template <class T>
class Router {
 public:
  Router(MatrixView<const T> scores, const RouteOptions& options, Monitor& monitor)
      : scores_(scores),
        experts_(scores.cols()),
        capacity_(options.capacity),
        k_(options.k),
        monitor_(monitor),
        prices_(static_cast<std::size_t>(experts_), 0.0),
        is_chosen_(static_cast<std::size_t>(checked_product(scores.rows(), experts_)), false),
        tokens_(static_cast<std::size_t>(experts_)),
        losses_(static_cast<std::size_t>(experts_ * experts_), infinity),
        movers_(losses_.size(), 0) {}

  void solve() {
    choose();
    if (k_ == experts_) return;
    raise_prices();
    if (overflow() == 0) return;
    for (Index e = 0; e < experts_; ++e) find_moves(e);
    while (overflow() > 0) move_along_path();
  }

  [[nodiscard]] const std::vector<double>& prices() const { return prices_; }
  [[nodiscard]] Index moved() const { return moved_; }
  [[nodiscard]] bool is_chosen(Index token, Index expert) const { return is_chosen_[place(token, expert)]; }

 private:
  [[nodiscard]] std::size_t place(Index row, Index expert) const {
    return static_cast<std::size_t>(row * experts_ + expert);
  }
  [[nodiscard]] std::vector<Index>& tokens_of(Index expert) { return tokens_[static_cast<std::size_t>(expert)]; }
  [[nodiscard]] Index load(Index expert) const { return std::ssize(tokens_[static_cast<std::size_t>(expert)]); }
  [[nodiscard]] double score(Index token, Index expert) const { return static_cast<double>(scores_(token, expert)); }
  [[nodiscard]] double profit(Index token, Index expert) const {
    return score(token, expert) - prices_[static_cast<std::size_t>(expert)];
  }
  /// Tokens that are too many.
  [[nodiscard]] Index overflow() const {
    Index sum = 0;
    for (Index e = 0; e < experts_; ++e) sum += std::max(Index{0}, load(e) - capacity_);
    return sum;
  }

  void assign(Index token, Index expert) {
    is_chosen_[place(token, expert)] = true;
    tokens_of(expert).push_back(token);
  }

  /// Of equals, a token prefers experts with fewer tokens so far, or all would choose the same ones.
  [[nodiscard]] bool is_preferred(double profit_of_x, Index x, double profit_of_y, Index y) const {
    if (profit_of_x != profit_of_y) return profit_of_x > profit_of_y;
    return load(x) != load(y) ? load(x) < load(y) : x < y;
  }

  /// Every token chooses its best k experts.
  void choose() {
    std::vector<Index> order(static_cast<std::size_t>(experts_));
    for (Index t = 0; t < scores_.rows(); ++t) {
      monitor_.poll(0);
      std::iota(order.begin(), order.end(), Index{0});
      std::nth_element(order.begin(), order.begin() + (k_ - 1), order.end(),
                       [&](Index x, Index y) { return is_preferred(score(t, x), x, score(t, y), y); });
      for (Index l = 0; l < k_; ++l) assign(t, order[static_cast<std::size_t>(l)]);
    }
  }

  /// The best expert that a token has not chosen.
  [[nodiscard]] Index next_best(Index token) const {
    Index best = -1;
    for (Index e = 0; e < experts_; ++e)
      if (!is_chosen(token, e) && (best < 0 || is_preferred(profit(token, e), e, profit(token, best), best))) best = e;
    return best;
  }

  /// Experts with too many tokens raise their prices in turn, until they have as many as they take: those leave that
  /// lose the least. No expert raises its price further, so that all that have one stay full.
  void raise_prices() {
    constexpr int rounds = 8;  // more of them move little, and two experts may raise their prices in turn for ever
    struct Place {
      double regret;
      Index token;
    };
    std::vector<Place> places;
    for (int round = 0; round < rounds && overflow() > 0; ++round) {
      for (Index e = 0; e < experts_; ++e) {
        const Index leaving = load(e) - capacity_;
        if (leaving <= 0) continue;
        monitor_.poll(0);
        places.clear();
        for (const Index t : tokens_of(e)) places.push_back({profit(t, e) - profit(t, next_best(t)), t});
        std::nth_element(places.begin(), places.begin() + (leaving - 1), places.end(), [](Place x, Place y) {
          return x.regret != y.regret ? x.regret < y.regret : x.token < y.token;
        });
        tokens_of(e).clear();
        for (std::size_t l = 0; l < places.size(); ++l) {
          const Index t = places[l].token;
          if (static_cast<Index>(l) >= leaving) {
            tokens_of(e).push_back(t);
            continue;
          }
          const Index other = next_best(t);  // before e is given up, which would be the best one
          is_chosen_[place(t, e)] = false;
          assign(t, other);
        }
        prices_[static_cast<std::size_t>(e)] += places[static_cast<std::size_t>(leaving - 1)].regret;
      }
    }
  }

  /// What a token of `from` loses at least when it goes to each of the others, and which token that is.
  void find_moves(Index from) {
    std::fill_n(losses_.begin() + from * experts_, experts_, infinity);
    for (const Index t : tokens_of(from))
      for (Index to = 0; to < experts_; ++to) {
        if (is_chosen(t, to)) continue;
        const double loss = score(t, from) - score(t, to);
        double& least = losses_[place(from, to)];
        Index& mover = movers_[place(from, to)];
        if (loss < least || (loss == least && t < mover)) {
          least = loss;
          mover = t;
        }
      }
  }

  /// One token along each edge of a shortest path from an expert with too many tokens to one with capacity left, by
  /// Dijkstra's algorithm; with prices, no move gains anything.
  void move_along_path() {
    monitor_.poll(0);
    const auto size = static_cast<std::size_t>(experts_);
    std::vector<double> distance(size, infinity);
    std::vector<Index> before(size, -1);
    std::vector<bool> is_done(size, false);
    for (std::size_t e = 0; e < size; ++e)
      if (load(static_cast<Index>(e)) > capacity_) distance[e] = 0;
    Index end = -1;
    while (end < 0) {
      Index nearest = -1;
      for (Index e = 0; e < experts_; ++e) {
        const auto here = static_cast<std::size_t>(e);
        if (!is_done[here] && (nearest < 0 || distance[here] < distance[static_cast<std::size_t>(nearest)]))
          nearest = e;
      }
      // Some expert has capacity left, and a token of an overloaded one that has not chosen it.
      require(nearest >= 0 && distance[static_cast<std::size_t>(nearest)] < infinity, "route: there is no way on");
      is_done[static_cast<std::size_t>(nearest)] = true;
      if (load(nearest) < capacity_) end = nearest;
      for (Index to = 0; to < experts_; ++to) {
        const auto there = static_cast<std::size_t>(to), here = static_cast<std::size_t>(nearest);
        const double cost = std::max(0.0, losses_[place(nearest, to)] - prices_[here] + prices_[there]);
        if (!is_done[there] && distance[here] + cost < distance[there]) {
          distance[there] = distance[here] + cost;
          before[there] = nearest;
        }
      }
    }
    // Moves along the path cost nothing by the new prices, and no other one gains.
    const double length = distance[static_cast<std::size_t>(end)];
    for (std::size_t e = 0; e < size; ++e) prices_[e] += length - std::min(length, distance[e]);
    std::vector<bool> is_changed(size, false);
    for (Index to = end, from = before[static_cast<std::size_t>(end)]; from >= 0;
         to = from, from = before[static_cast<std::size_t>(from)]) {
      const Index t = movers_[place(from, to)];
      auto& there = tokens_of(from);
      there.erase(std::find(there.begin(), there.end(), t));
      is_chosen_[place(t, from)] = false;
      assign(t, to);
      is_changed[static_cast<std::size_t>(from)] = true;
      for (Index e = 0; e < experts_; ++e)
        if (is_chosen(t, e)) is_changed[static_cast<std::size_t>(e)] = true;
    }
    for (Index e = 0; e < experts_; ++e)
      if (is_changed[static_cast<std::size_t>(e)]) find_moves(e);
    ++moved_;
  }

  MatrixView<const T> scores_;
  Index experts_, capacity_, k_;
  Monitor& monitor_;
  std::vector<double> prices_;
  std::vector<bool> is_chosen_;
  std::vector<std::vector<Index>> tokens_;
  std::vector<double> losses_;
  std::vector<Index> movers_;
  Index moved_ = 0;
};

}  // namespace

template <class T>
RouteResult<T> route(MatrixView<const T> scores, const RouteOptions& options, const RunOptions& run) {
  require_valid_view(scores, "route", "scores");
  const Index tokens = scores.rows(), experts = scores.cols(), k = options.k;
  require(tokens > 0 && experts > 0, "route: scores is ", shape(scores), "; there must be tokens and experts");
  require(k >= 1 && k <= experts, "route: k is ", k, "; it must be between 1 and the number of experts, ", experts);
  require(options.capacity >= 0, "route: capacity is ", options.capacity, "; it must not be negative");
  require(checked_product(tokens, k) <= checked_product(experts, std::min(options.capacity, tokens)), "route: ", tokens,
          " tokens with k = ", k, " experts each are more than ", experts, " experts with capacity ", options.capacity,
          " take");
  for (Index t = 0; t < tokens; ++t)
    for (Index e = 0; e < experts; ++e)
      require(std::isfinite(scores(t, e)), "route: scores has the entry ", scores(t, e), " at index (", t, ", ", e,
              "); all entries must be finite");
  Monitor monitor(run.keep_going);
  Router<T> router(scores, options, monitor);
  router.solve();

  RouteResult<T> result;
  result.prices = router.prices();
  result.moved = router.moved();
  result.plan.rows = tokens;
  result.plan.cols = experts;
  result.plan.indptr = Array<Index>(tokens + 1);
  result.plan.indices = Array<Index>(tokens * k);
  result.plan.data = Array<T>(tokens * k);
  Index stored = 0;
  std::vector<double> profits(static_cast<std::size_t>(experts));
  for (Index t = 0; t < tokens; ++t) {
    result.plan.indptr[t] = stored;
    for (Index e = 0; e < experts; ++e) {
      profits[static_cast<std::size_t>(e)] =
          static_cast<double>(scores(t, e)) - result.prices[static_cast<std::size_t>(e)];
      if (!router.is_chosen(t, e)) continue;
      result.plan.indices[stored] = e;
      result.plan.data[stored++] = scores(t, e);
      result.score += static_cast<double>(scores(t, e));
    }
    std::nth_element(profits.begin(), profits.begin() + (k - 1), profits.end(), std::greater<>());
    result.bound += std::accumulate(profits.begin(), profits.begin() + k, 0.0);
  }
  result.plan.indptr[tokens] = stored;
  for (const double price : result.prices) result.bound += price * static_cast<double>(options.capacity);
  return result;
}

template <class T>
std::vector<RouteResult<T>> route_batch(std::span<const MatrixView<const T>> scores, const RouteOptions& options,
                                        const RunOptions& run) {
  constexpr double nanoseconds_per_score = 10, most = 1e18;
  double size = 0;
  for (const MatrixView<const T>& part : scores)
    size += static_cast<double>(part.rows()) * static_cast<double>(part.cols());
  const int threads = thread_count(run.n_threads, static_cast<Index>(std::min(most, size * nanoseconds_per_score)));
  std::vector<RouteResult<T>> results(scores.size());
  ot::solve_each(std::ssize(scores), threads, run, [&](Index k, const RunOptions& run_of_problem, int) {
    results[static_cast<std::size_t>(k)] = route(scores[static_cast<std::size_t>(k)], options, run_of_problem);
  });
  return results;
}

template RouteResult<float> route(MatrixView<const float>, const RouteOptions&, const RunOptions&);
template RouteResult<double> route(MatrixView<const double>, const RouteOptions&, const RunOptions&);
template std::vector<RouteResult<float>> route_batch(std::span<const MatrixView<const float>>, const RouteOptions&,
                                                     const RunOptions&);
template std::vector<RouteResult<double>> route_batch(std::span<const MatrixView<const double>>, const RouteOptions&,
                                                      const RunOptions&);

}  // namespace nearlinear

// The pattern of a product, found once; then each token of it is summed from new values.
#include "nearlinear/sparse/plan.hpp"

#include <algorithm>
#include <limits>
#include <vector>

#include "core/arithmetic.hpp"
#include "core/threads.hpp"
#include "sparse/numbering.hpp"
#include "sparse/plan_kernels.hpp"
#include "sparse/stages.hpp"
#include "sparse/tokens.hpp"

namespace nearlinear {
namespace {

using sparse::Position;

// Six positions of two bytes take what an entry of C takes; where more products meet, each entry's share of a dense
// accumulator's upkeep is small (measured).
constexpr Index most_products_per_entry = 6;

constexpr Index longest_token = Index{1} << 20;  // scalar products; longer rows are cut by columns
constexpr Index products_of_part = Index{1} << 18;

/// A token of the kernels: rows [row_begin, row_end), or a part of one row.
struct Work {
  Index row_begin;
  Index row_end;
  Index col_begin;
  Index col_end;
  Index products;
  Index first_position = -1;  ///< of its scalar products; -1: none are stored
  bool all_columns = true;
};

template <class Element>
Array<Element> copy_of(std::span<const Element> source, Index size) {
  Array<Element> copy(size);
  std::copy_n(source.data(), size, copy.data());
  return copy;
}

}  // namespace

template <class T, class I>
struct MatmulPlan<T, I>::Parts {
  Index rows;
  Index cols;
  Index a_nnz;
  Index b_nnz;
  Array<I> a_indptr;
  Array<I> a_indices;
  Array<I> b_indptr;  // canonical; its columns are those of c_columns
  Array<I> b_indices;
  Array<I> b_entry;          // of a B that is not canonical: the entry that a stored value belongs to ...
  Array<I> b_stored_indptr;  // ... and the rows it is stored in
  Index columns;             // that are numbered: of a B with many more columns than entries, those in use
  Array<I> c_indptr;
  Array<I> c_indices;
  Array<I> c_numbered;  // columns of C by their numbers, where these are not the columns themselves
  std::vector<Work> tokens;
  Array<Position> positions;
  Index products = 0;

  Parts(const CsrView<T, I>& A, const CsrView<T, I>& B, const MatmulPlanOptions& options, const RunOptions& run) {
    require_valid_csr(A, "MatmulPlan", "A", run);
    const bool b_is_canonical = require_valid_csr(B, "MatmulPlan", "B", run);
    require(A.cols == B.rows, "MatmulPlan: A is ", Shape{A.rows, A.cols}, " but B is ", Shape{B.rows, B.cols},
            "; A must have as many columns as B has rows");
    rows = A.rows;
    cols = B.cols;
    a_nnz = A.nnz();
    b_nnz = B.nnz();
    a_indptr = copy_of(A.indptr, A.rows + 1);
    a_indices = copy_of(A.indices, a_nnz);
    if (b_is_canonical) {
      b_indptr = copy_of(B.indptr, B.rows + 1);
      b_indices = copy_of(B.indices, b_nnz);
      find_pattern({A.rows, A.cols, a_indptr.span(), a_indices.span(), A.data}, B.data, run);
    } else {
      CsrMatrix<T, I> canonical = sum_duplicates(B, sparse::stage(run, 0, 0.1));
      b_indptr = std::move(canonical.indptr);
      b_indices = std::move(canonical.indices);
      find_entries(B, run);
      find_pattern({A.rows, A.cols, a_indptr.span(), a_indices.span(), A.data}, canonical.data.span(), run);
    }
    cut(run);
    if (options.store_positions) find_positions(sparse::stage(run, 0.6, 1));
  }

  /// Finds the entry of every stored value of B.
  void find_entries(const CsrView<T, I>& B, const RunOptions& run) {
    b_stored_indptr = copy_of(B.indptr, B.rows + 1);
    b_entry = Array<I>(b_nnz);
    Monitor monitor(run.keep_going);
    for_each_row_of_b(run.n_threads, monitor, [&](Index k) {
      const I* const begin = b_indices.data() + b_indptr[k];
      const I* const end = b_indices.data() + b_indptr[k + 1];
      for (Index q = b_stored_indptr[k]; q < b_stored_indptr[k + 1]; ++q)
        b_entry[q] =
            static_cast<I>(std::lower_bound(begin, end, B.indices[static_cast<std::size_t>(q)]) - b_indices.data());
    });
  }

  template <class Body>
  void for_each_row_of_b(int n_threads, Monitor& monitor, const Body& body) const {
    constexpr Index rows_at_once = 256;
    const Index b_rows = b_indptr.size() - 1;
    parallel_for(ceil_divide(b_rows, rows_at_once), thread_count(n_threads, 4 * b_nnz), monitor, [&](Index block) {
      for (Index k = block * rows_at_once; k < std::min((block + 1) * rows_at_once, b_rows); ++k) body(k);
    });
  }

  /// Multiplies A with the canonical B for the sake of the pattern, after numbering the columns.
  void find_pattern(const CsrView<T, I>& A, std::span<const T> b_data, const RunOptions& run) {
    std::vector<I> used;
    columns = cols;
    if (sparse::has_idle_columns(cols, b_indices.size())) {  // then dense accumulators are in proportion to B
      used = sparse::columns_in_use<I>(b_indices.span(), run);
      columns = std::ssize(used);
      sparse::number_columns<I>(used, b_indices.span(), b_indices.data(), run);
    }
    const CsrView<T, I> B{A.cols, columns, b_indptr.span(), b_indices.span(), b_data};
    CsrMatrix<T, I> C = matmul(A, B, {}, sparse::stage(run, 0.1, 0.6));
    c_indptr = std::move(C.indptr);
    c_indices = std::move(C.indices);
    if (columns == cols) return;
    c_numbered = copy_of(std::span<const I>(c_indices.span()), c_indices.size());
    sparse::for_each_chunk(c_indices.size(), run, [&](Index begin, Index end) {
      for (Index e = begin; e < end; ++e) c_indices[e] = used[static_cast<std::size_t>(c_indices[e])];
    });
  }

  /// Cuts the work, in the same way for any number of threads.
  void cut(const RunOptions& run) {
    const CsrView<T, I> A{rows, b_indptr.size() - 1, a_indptr.span(), a_indices.span(), {}};
    const CsrView<T, I> B{A.cols, columns, b_indptr.span(), b_indices.span(), {}};
    Monitor monitor(run.keep_going);
    const sparse::Tokens found = sparse::cut_tokens(A, B, Index{0}, 1, monitor);
    products = found.products;
    for (const sparse::Token& token : found.list) {
      const Index parts = token.products > longest_token ? ceil_divide(token.products, products_of_part) : 1;
      const Index width = std::max<Index>(ceil_divide(columns, parts), 1);
      if (parts == 1)
        tokens.push_back({token.row_begin, token.row_end, 0, columns, token.products});
      else
        for (Index begin = 0; begin < columns; begin += width)
          tokens.push_back(
              {token.row_begin, token.row_end, begin, std::min(begin + width, columns), products_of_part, -1, false});
    }
  }

  [[nodiscard]] bool deserves_positions(const Work& work) const {
    const Index entries = c_indptr[work.row_end] - c_indptr[work.row_begin];
    Index longest = 0;
    for (Index i = work.row_begin; i < work.row_end; ++i)
      longest = std::max<Index>(longest, c_indptr[i + 1] - c_indptr[i]);
    return work.all_columns && work.products <= most_products_per_entry * entries && longest <= sparse::most_positions;
  }

  void find_positions(const RunOptions& run) {
    Index count = 0;
    for (Work& work : tokens) {
      if (!deserves_positions(work)) continue;
      work.first_position = count;
      count += work.products;
    }
    positions = Array<Position>(count);
    const int threads = thread_count(run.n_threads, 2 * count);
    std::vector<Array<Position>> places(static_cast<std::size_t>(threads));
    const I* const c_columns = numbered();
    Monitor monitor(run.keep_going);
    parallel_for_workers(std::ssize(tokens), threads, monitor, [&](Index t, int worker) {
      const Work& work = tokens[static_cast<std::size_t>(t)];
      if (work.first_position < 0) return;
      Array<Position>& mine = places[static_cast<std::size_t>(worker)];
      if (mine.data() == nullptr) mine = Array<Position>(columns);
      Position* const place = mine.data();  // of a column in the row of C
      Position* position = positions.data() + work.first_position;
      for (Index i = work.row_begin; i < work.row_end; ++i) {
        for (Index e = c_indptr[i]; e < c_indptr[i + 1]; ++e)
          place[c_columns[e]] = static_cast<Position>(e - c_indptr[i]);
        for (Index j = a_indptr[i]; j < a_indptr[i + 1]; ++j) {
          const I k = a_indices[j];
          for (Index q = b_indptr[k]; q < b_indptr[k + 1]; ++q) *position++ = place[b_indices[q]];
        }
      }
    });
  }

  [[nodiscard]] const I* numbered() const {
    return c_numbered.data() == nullptr ? c_indices.data() : c_numbered.data();
  }

  /// Values of the canonical B, summed as sum_duplicates() sums them.
  [[nodiscard]] Array<T> summed(std::span<const T> b_data, int n_threads, Monitor& monitor) const {
    Array<T> sums(b_indices.size());
    for_each_row_of_b(n_threads, monitor, [&](Index k) {
      std::fill(sums.data() + b_indptr[k], sums.data() + b_indptr[k + 1], -T{0});  // -0 + x is x for every x
      for (Index q = b_stored_indptr[k]; q < b_stored_indptr[k + 1]; ++q)
        sums[b_entry[q]] += b_data[static_cast<std::size_t>(q)];
    });
    return sums;
  }

  void execute(std::span<const T> a_data, std::span<const T> b_data, std::span<T> c_data, const RunOptions& run) const {
    const auto check = [](const char* name, std::size_t size, Index wanted, const char* matrix) {
      require(static_cast<Index>(size) == wanted, "MatmulPlan.execute: ", name, " has ", size, " entries; ", matrix,
              " of the plan has ", wanted);
    };
    check("A_data", a_data.size(), a_nnz, "A");
    check("B_data", b_data.size(), b_nnz, "B");
    check("C_data", c_data.size(), c_indices.size(), "C");
    Monitor monitor(run.keep_going);
    Array<T> sums_of_b;
    if (b_entry.data() != nullptr) sums_of_b = summed(b_data, run.n_threads, monitor);
    const sparse::PlanOperands<T, I> operands{
        {a_indptr.data(), a_indices.data(), a_data.data(), b_indptr.data(), b_indices.data(),
         b_entry.data() == nullptr ? b_data.data() : sums_of_b.data()},
        c_indptr.data(),
        numbered(),
        c_data.data()};
    const auto& kernels = sparse::of_types<T, I>(*sparse::kernels().plan);
    const int threads = thread_count(run.n_threads, checked_sum(products, rows));
    std::vector<Array<T>> accumulators(static_cast<std::size_t>(threads));
    parallel_for_workers(std::ssize(tokens), threads, monitor, [&](Index t, int worker) {
      const Work& work = tokens[static_cast<std::size_t>(t)];
      if (work.first_position >= 0)
        return kernels.sum_at_positions(operands, work.row_begin, work.row_end, positions.data() + work.first_position);
      Array<T>& sums = accumulators[static_cast<std::size_t>(worker)];
      if (sums.data() == nullptr) sums = Array<T>::zeros(columns);
      if (work.all_columns)
        kernels.sum_dense(operands, work.row_begin, work.row_end, sums.data());
      else
        kernels.sum_part(operands, work.row_begin, work.col_begin, work.col_end, sums.data());
    });
  }
};

template <class T, class I>
MatmulPlan<T, I>::MatmulPlan(const CsrView<T, I>& A, const CsrView<T, I>& B, const MatmulPlanOptions& options,
                             const RunOptions& run)
    : parts_(std::make_unique<const Parts>(A, B, options, run)) {}

template <class T, class I>
MatmulPlan<T, I>::MatmulPlan(MatmulPlan&&) noexcept = default;
template <class T, class I>
MatmulPlan<T, I>& MatmulPlan<T, I>::operator=(MatmulPlan&&) noexcept = default;
template <class T, class I>
MatmulPlan<T, I>::~MatmulPlan() = default;

template <class T, class I>
Index MatmulPlan<T, I>::rows() const {
  return parts_->rows;
}
template <class T, class I>
Index MatmulPlan<T, I>::cols() const {
  return parts_->cols;
}
template <class T, class I>
Index MatmulPlan<T, I>::nnz() const {
  return parts_->c_indices.size();
}
template <class T, class I>
Index MatmulPlan<T, I>::products() const {
  return parts_->products;
}
template <class T, class I>
Index MatmulPlan<T, I>::A_nnz() const {
  return parts_->a_nnz;
}
template <class T, class I>
Index MatmulPlan<T, I>::B_nnz() const {
  return parts_->b_nnz;
}
template <class T, class I>
std::span<const I> MatmulPlan<T, I>::indptr() const {
  return parts_->c_indptr.span();
}
template <class T, class I>
std::span<const I> MatmulPlan<T, I>::indices() const {
  return parts_->c_indices.span();
}

template <class T, class I>
void MatmulPlan<T, I>::execute(std::span<const T> A_data, std::span<const T> B_data, std::span<T> C_data,
                               const RunOptions& run) const {
  parts_->execute(A_data, B_data, C_data, run);
}

template <class T, class I>
CsrMatrix<T, I> MatmulPlan<T, I>::execute(std::span<const T> A_data, std::span<const T> B_data,
                                          const RunOptions& run) const {
  CsrMatrix<T, I> C{rows(), cols(), copy_of(indptr(), rows() + 1), copy_of(indices(), nnz()), Array<T>(nnz())};
  execute(A_data, B_data, C.data.span(), run);
  return C;
}

template class MatmulPlan<float, std::int32_t>;
template class MatmulPlan<float, std::int64_t>;
template class MatmulPlan<double, std::int32_t>;
template class MatmulPlan<double, std::int64_t>;

}  // namespace nearlinear

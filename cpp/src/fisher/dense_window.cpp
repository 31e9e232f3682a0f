// Whole gradients, in tiles.
#include <utility>

#include "fisher/gradient_window.hpp"

namespace nearlinear::fisher {
namespace {

template <class T>
class DenseWindow final : public GradientWindow<T> {
 public:
  DenseWindow(GradientStorage storage, Index window, Index n_params)
      : gradients_(storage, window, n_params, Gradients::Layout::by_tiles) {}

  [[nodiscard]] Index rows() const override { return gradients_.rows(); }
  [[nodiscard]] Index cols() const override { return gradients_.cols(); }
  [[nodiscard]] std::size_t nbytes() const override { return gradients_.nbytes(); }

  [[nodiscard]] Admission<T> admit(MatrixView<const T> given, Index count, Pass pass) const override {
    Admission<T> admission;
    for (Index i = 0; i < given.rows(); ++i) {
      const Gradients::Size size = gradients_.check<T>(given.row(i), "update", "g", pass);
      if (i < given.rows() - count) continue;
      admission.largest.push_back(size.largest);
      if (gradients_.holds<T>()) admission.squares.push_back(size.square);
    }
    const T* const first = given.data() + (given.rows() - count) * given.row_stride();
    const MatrixView<const T> taken(first, count, cols(), given.row_stride());
    admission.rows = taken;
    if (gradients_.holds<T>()) return admission;
    admission.memory = Array<T>(checked_product(count, cols()));
    const MatrixView<T> rounded(admission.memory.data(), count, cols());
    for (Index i = 0; i < count; ++i)
      gradients_.round<T>(taken.row(i), admission.largest[static_cast<std::size_t>(i)], rounded.row(i), pass);
    admission.rows = rounded;
    return admission;
  }

  void store(Index slot, const Admission<T>& admission, Index row, Pass pass) override {
    gradients_.set_row<T>(slot, admission.rows.row(row), admission.largest[static_cast<std::size_t>(row)], pass);
  }

  void get_row(Index slot, std::span<T> out) const override { gradients_.get_row(slot, out); }

  void multiply_many(MatrixView<const T> X, double* U, Pass pass) const override {
    gradients_.multiply_many<T>(X, U, pass);
  }
  void combine_many(const double* C, double alpha, MatrixView<const T> X, MatrixView<T> Y, Pass pass) const override {
    gradients_.combine_many<T>(C, alpha, X, Y, pass);
  }

  [[nodiscard]] Index row_bytes() const override { return cols() * bytes_per_entry(gradients_.storage()); }
  void save_row(Index slot, std::byte* out, double& scale) const override { gradients_.save_row(slot, out, scale); }
  void load_row(Index slot, const std::byte* in, double scale) override { gradients_.load_row(slot, in, scale); }

 private:
  Gradients gradients_;
};

}  // namespace

template <class T>
std::unique_ptr<GradientWindow<T>> make_dense_window(GradientStorage storage, Index window, Index n_params) {
  return std::make_unique<DenseWindow<T>>(storage, window, n_params);
}

template std::unique_ptr<GradientWindow<float>> make_dense_window(GradientStorage, Index, Index);
template std::unique_ptr<GradientWindow<double>> make_dense_window(GradientStorage, Index, Index);

}  // namespace nearlinear::fisher

/// How many threads calls use unless RunOptions say so.
#pragma once

namespace nearlinear {

/// The number of threads that a call with RunOptions::n_threads = 0 may use. At first the environment variable
/// NEARLINEAR_NUM_THREADS, else OMP_NUM_THREADS, else the number of processors that this process may run on; then what
/// set_num_threads() said last. Throws std::invalid_argument when NEARLINEAR_NUM_THREADS is not a positive number.
[[nodiscard]] int num_threads();

/// Sets it for the whole process; more than 256 count as 256. Throws std::invalid_argument unless n_threads >= 1.
void set_num_threads(int n_threads);

}  // namespace nearlinear

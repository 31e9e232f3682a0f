/// Registers, as Eigen has them, for files that are compiled once per instruction set alone (core/dispatch.hpp).
#pragma once

#include <Eigen/Core>

// GCC: a type of a register loses its alignment as a template's argument. In arrays on the stack it has it, and nothing
// here stores one elsewhere.
#pragma GCC diagnostic ignored "-Wignored-attributes"

namespace nearlinear::linalg {

namespace ei = Eigen::internal;

template <class T>
using Packet = typename ei::packet_traits<T>::type;
template <class T>
constexpr int width = ei::unpacket_traits<Packet<T>>::size;

}  // namespace nearlinear::linalg

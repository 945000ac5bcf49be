// Which operations of a program run as part of a linear beside them, so that a layer needs fewer
// parallel sections: a norm together with the packing of the linear's input, and the rotation and
// storing of keys and values on the linear's results while they are in the cache.
// Thread: any. Ownership: points into the program.
#pragma once

#include <vector>

#include "graph/program.h"

namespace inferneo::graph {

struct OpFusion {
  bool absorbed = false;             // runs as part of another operation
  const NormOp* norm = nullptr;      // makes the input of this linear
  const StoreKvOp* store = nullptr;  // rotates and stores the results of this linear
};

// By operation.
std::vector<OpFusion> find_fusions(const Program& program);

}  // namespace inferneo::graph

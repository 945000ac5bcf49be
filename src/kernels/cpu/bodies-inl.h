// All generic bodies, in the order in which they need each other. Included inside the anonymous
// namespace and target region of an instruction set, after its vector primitives.

#include "kernels/cpu/exp-inl.h"

#include "kernels/cpu/row_ops-inl.h"

#include "kernels/cpu/activation-inl.h"

#include "kernels/cpu/operands-inl.h"

#include "kernels/cpu/linear-inl.h"

#include "kernels/cpu/attention_ranges-inl.h"

#include "kernels/cpu/attention-inl.h"

#include "kernels/cpu/spin-inl.h"

#include "kernels/cpu/table-inl.h"

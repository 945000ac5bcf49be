// Products of packed matrices on AMX tiles, for one way to round. Included after amx_f16-inl.h or
// amx_bf16-inl.h.

#include "kernels/cpu/isa/amx_inputs-inl.h"

#include "kernels/cpu/isa/amx_weights-inl.h"

#include "kernels/cpu/isa/amx_matrix-inl.h"

// All processors with AMX have the dot product of bytes.
double spin_int8(int64_t rounds) noexcept { return kAvx512VnniTable.spin_int8(rounds); }

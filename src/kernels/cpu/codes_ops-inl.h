// The entry of a table for matrices of codes. Included inside the anonymous namespace of a table,
// after codes_layout-inl.h and what does the work:
//   void quantize_block(const float* x, InputBlock* block) of kBlockK elements;
//   void codes_linear<Format>(const PackedLinearArgs&) noexcept.

// Rows are independent of each other, so parts of the buffer can be packed by different threads.
void pack_code_inputs(const float* x,
                      int64_t x_stride,
                      int64_t m_begin,
                      int64_t m_end,
                      int64_t k,
                      void* packed) noexcept {
  const int64_t block_count = k / kBlockK;
  InputBlock* blocks = (InputBlock*)packed + m_begin * block_count;
  for (int64_t m = m_begin; m < m_end; ++m) {
    const float* row = x + m * x_stride;
    for (int64_t i = 0; i < block_count; ++i) quantize_block(row + i * kBlockK, blocks++);
  }
  const int64_t missing = (input_rows(m_end) - m_end) * block_count;
  if (missing > 0) __builtin_memset(blocks, 0, (size_t)missing * sizeof(InputBlock));
}

constexpr InputOps kCodesInputs = {.size = codes_input_size, .pack = pack_code_inputs};

template <int bits, int group, bool has_min, bool has_codebook>
constexpr MatrixOps kCodesOps = {
    .layout = layout_name<CodesFormat<bits, group, has_min, has_codebook>>(),
    .inputs = &kCodesInputs,
    .panel_size = CodesPacker<bits, group, has_min, has_codebook>::panel_size,
    .pack_panel = CodesPacker<bits, group, has_min, has_codebook>::pack_panel,
    .linear = codes_linear<CodesFormat<bits, group, has_min, has_codebook>>,
};

template <int group>
static inline const MatrixOps* codes_ops_of(const MatrixFormat& format) {
  const bool has_codebook = format.codebook != nullptr;
  if (has_codebook && (format.bits != 4 || format.has_min)) return nullptr;
  if (format.bits == 8) {
    return format.has_min ? &kCodesOps<8, group, true, false> : &kCodesOps<8, group, false, false>;
  }
  if (format.bits != 4) return nullptr;
  if (has_codebook) return &kCodesOps<4, group, false, true>;
  return format.has_min ? &kCodesOps<4, group, true, false> : &kCodesOps<4, group, false, false>;
}

const MatrixOps* codes_matrix_ops(const MatrixFormat& format) noexcept {
  if (format.kind != MatrixFormat::Kind::kCodes) return nullptr;
  if (format.group == 32) return codes_ops_of<32>(format);
  if (format.group == 16) return codes_ops_of<16>(format);
  return nullptr;
}

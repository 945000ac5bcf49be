// The table of the generic bodies, which those of instruction sets start from. Included inside the
// anonymous namespace and target region of an instruction set, after bodies-inl.h.

constexpr KernelTable generic_table(const char* name) {
  return {
      .name = name,
      .linear_f32_f32 = linear<OperandsF32F32>,
      .linear_f32_f16 = linear<OperandsF32F16>,
      .linear_f32_bf16 = linear<OperandsF32Bf16>,
      .attention_f32 = attention<F32Cache>,
      .attention_f16 = attention<F16Cache>,
      .attention_f16_fine = attention<F16Cache>,
      .attention_bf16 = attention<Bf16Cache>,
      .attention_i8 = attention<I8Cache>,
      .attention_merge = attention_merge,
      .rms_norm = rms_norm,
      .layer_norm = layer_norm,
      .rope = rope,
      .rope_adjacent = rope_adjacent,
      .activate = activate,
      .soft_cap = soft_cap,
      .add = add_rows,
      .f32_to_bf16 = f32_to_bf16,
      .f32_to_f16 = f32_to_f16,
      .bf16_to_f32 = bf16_to_f32,
      .f16_to_f32 = f16_to_f32,
      .f32_to_i8 = f32_to_i8,
      .argmax = argmax,
      .log_sum_exp = log_sum_exp,
      .spin_f32 = spin<OperandsF32F32>,
      .spin_bf16 = spin<OperandsF32F32>,
  };
}

// The same with its way to multiply bytes.
constexpr KernelTable generic_table(const char* name,
                                    decltype(KernelTable::matrix_ops) matrix_ops,
                                    decltype(KernelTable::spin_int8) spin_int8) {
  KernelTable table = generic_table(name);
  table.matrix_ops = matrix_ops;
  table.spin_int8 = spin_int8;
  return table;
}

// A yardstick for tests of arithmetic: what rounding every weight to a few bits does to a model's
// logits. It is a property of the weights, found in f32, that says how much the model magnifies
// relative errors of its operands. What rounding elsewhere may do is a multiple of it, the same for
// any weights. No product code includes this.
// Thread: any.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/mapped_file.h"
#include "formats/safetensors.h"

namespace inferneo::runtimes::native {

// Significant bits of the rounded weights, of 8 that bf16 has. Why five: with more of them many
// weights would keep their value or be ties.
inline constexpr int kRoundedBits = 5;

// Largest relative error of a number that is rounded to so many significant bits.
inline double unit_roundoff(int bits) { return std::ldexp(1.0, -bits); }

// To nearest even.
inline std::uint16_t round_bf16(std::uint16_t value, int bits) {
  const int dropped = 8 - bits;
  const int last = value >> dropped & 1;
  const int rounded = value + (1 << (dropped - 1)) - 1 + last;
  return static_cast<std::uint16_t>(rounded >> dropped << dropped);
}

// Copies a model of bf16 safetensors to the folder `to`, its matrices rounded to kRoundedBits.
inline void write_rounded(const std::string& from, const std::string& to) {
  std::filesystem::copy(from, to);
  const std::string path = to + "/model.safetensors";
  std::vector<char> bytes;
  {
    const MappedFile file = MappedFile::open(path).value();
    const auto* begin = reinterpret_cast<const char*>(file.bytes().data());
    bytes.assign(begin, begin + file.bytes().size());
    const auto entries = formats::parse_safetensors(file.bytes(), path).value();
    for (const auto& entry : entries) {
      if (entry.view.shape.rank() != 2) continue;
      CHECK(entry.view.dtype == tensor::DType::kBf16);
      char* at = bytes.data() + (entry.view.data - file.bytes().data());
      for (std::int64_t i = 0; i < entry.view.shape.element_count(); ++i, at += 2) {
        std::uint16_t value = 0;
        std::memcpy(&value, at, sizeof value);
        value = round_bf16(value, kRoundedBits);
        std::memcpy(at, &value, sizeof value);
      }
    }
  }
  // Why a new file: models are never written in place.
  std::filesystem::remove(path);
  std::ofstream(path, std::ios::binary)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace inferneo::runtimes::native

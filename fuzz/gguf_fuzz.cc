// links: inferneo_formats
// GGUF headers: arbitrary bytes must be refused with a reason or give tensors that lie inside the
// input, one after the other. The mutator knows the layout: it changes counts, lengths, types,
// dimensions and offsets in place, adds and removes entries and tensors, and repairs offsets so
// that deep checks are reached.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "base/check.h"
#include "formats/gguf.h"
#include "formats/gguf_types.h"
#include "tensor/quant/quant_format.h"

// Of libFuzzer; absent where inputs are only replayed.
extern "C" __attribute__((weak)) std::size_t LLVMFuzzerMutate(std::uint8_t* data,
                                                              std::size_t size,
                                                              std::size_t size_max);

namespace inferneo::formats {
namespace {

void read_everything(const GgufMetadata& metadata) {
  for (const auto& [key, value] : metadata.entries()) {
    CHECK(!key.empty());
    int readable = 0;
    const auto count = [&readable](bool has_value) { readable += has_value ? 1 : 0; };
    count(metadata.integer(key).has_value());
    count(metadata.number(key).has_value());
    count(metadata.boolean(key).has_value());
    count(metadata.text(key).has_value());
    count(metadata.texts(key).has_value());
    count(metadata.numbers(key).has_value());
    CHECK(readable == 1 || readable == 2);
  }
}

void check_weights(const tensor::WeightMap& weights, std::span<const std::byte> file) {
  std::vector<const tensor::TensorView*> views;
  for (const auto& [name, view] : weights.entries()) {
    views.push_back(&view);
    CHECK(view.data >= file.data() && view.byte_size() <= file.size());
    CHECK(view.data + view.byte_size() <= file.data() + file.size());
    const bool floating = view.dtype <= tensor::DType::kBf16 || is_quantized(view.dtype);
    if (!floating || view.byte_size() == 0) continue;
    float row[256];
    const std::int64_t block = dtype_block_elements(view.dtype);
    const std::int64_t k = std::min<std::int64_t>(view.shape.element_count(), 256) / block * block;
    dequantize_row(view.dtype, view.data, k, row);
  }
  std::sort(views.begin(), views.end(), [](const auto* a, const auto* b) {
    return std::make_pair(a->data, a->byte_size()) < std::make_pair(b->data, b->byte_size());
  });
  for (std::size_t i = 1; i < views.size(); ++i) {
    CHECK(views[i - 1]->data + views[i - 1]->byte_size() <= views[i]->data);
  }
}

enum class Kind { kVersion, kCount, kLength, kValueType, kRank, kDim, kTensorType, kOffset };

struct Field {
  std::size_t at = 0;
  std::size_t width = 0;
  Kind kind = Kind::kCount;
};

struct Range {
  std::size_t begin = 0;
  std::size_t end = 0;
};

constexpr std::size_t kTensorCountAt = 8;
constexpr std::size_t kEntryCountAt = 16;
constexpr std::size_t kHeaderSize = 24;

// Where the fields of an input lie, as far as it can be followed. Not the reader under test: it
// believes what it finds and stops at the end.
class Layout {
 public:
  explicit Layout(const std::string& input) : input_(input) {
    if (input.size() < kHeaderSize) return;
    fields = {{4, 4, Kind::kVersion}, {8, 8, Kind::kCount}, {16, 8, Kind::kCount}};
    at_ = kHeaderSize;
    for (std::uint64_t i = number(kEntryCountAt, 8); i > 0 && ok_; --i) read_entry();
    tensors_begin = at_;
    for (std::uint64_t i = number(kTensorCountAt, 8); i > 0 && ok_; --i) read_tensor();
    header_end = at_;
  }

  [[nodiscard]] std::uint64_t number(std::size_t at, std::size_t width) const {
    std::uint64_t value = 0;
    std::memcpy(&value, input_.data() + at, width);
    return value;
  }

  std::vector<Field> fields;
  std::vector<Range> entries;
  std::vector<Range> tensors;
  std::vector<std::vector<Field>> tensor_fields;
  std::size_t tensors_begin = 0;
  std::size_t header_end = 0;

 private:
  std::uint64_t take(std::size_t width, Kind kind) {
    if (!ok_ || input_.size() - at_ < width) {
      ok_ = false;
      return 0;
    }
    fields.push_back({at_, width, kind});
    at_ += width;
    return number(at_ - width, width);
  }
  void skip(std::uint64_t size) {
    ok_ = ok_ && size <= input_.size() - at_;
    if (ok_) at_ += static_cast<std::size_t>(size);
  }
  void skip_value(std::uint64_t type) {
    if (type == static_cast<std::uint64_t>(GgufType::kString)) return skip(take(8, Kind::kLength));
    const std::size_t size =
        type < kGgufTypeCount ? gguf_type_size_min(static_cast<std::uint32_t>(type)) : 0;
    ok_ = ok_ && size > 0;
    skip(size);
  }
  void read_entry() {
    const std::size_t begin = at_;
    skip(take(8, Kind::kLength));
    const std::uint64_t type = take(4, Kind::kValueType);
    if (type != static_cast<std::uint64_t>(GgufType::kArray)) {
      skip_value(type);
    } else {
      const std::uint64_t element = take(4, Kind::kValueType);
      for (std::uint64_t i = take(8, Kind::kCount); i > 0 && ok_; --i) skip_value(element);
    }
    if (ok_) entries.push_back({begin, at_});
  }
  void read_tensor() {
    const std::size_t begin = at_;
    skip(take(8, Kind::kLength));
    const std::size_t first = fields.size();
    const std::uint64_t rank = take(4, Kind::kRank);
    for (std::uint64_t i = 0; i < rank && ok_; ++i) take(8, Kind::kDim);
    take(4, Kind::kTensorType);
    take(8, Kind::kOffset);
    if (!ok_) return;
    tensors.push_back({begin, at_});
    tensor_fields.emplace_back(fields.begin() + static_cast<std::ptrdiff_t>(first), fields.end());
  }

  const std::string& input_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

class Mutator {
 public:
  Mutator(std::string& input, unsigned seed) : input_(input), random_(seed) {}

  void change() {
    switch (below(8)) {
      case 0:
        return copy_entry();
      case 1:
        return erase(Layout(input_).entries, kEntryCountAt);
      case 2:
        return copy_tensor();
      case 3:
        return erase(Layout(input_).tensors, kTensorCountAt);
      case 4:
        return repair();
      default:
        return change_field();
    }
  }

  // Gives each tensor the next free offset and the file as much data as they need.
  void repair() {
    const Layout layout(input_);
    std::uint64_t offset = 0;
    for (const auto& fields : layout.tensor_fields) {
      put(fields.back().at, 8, offset);
      offset = (offset + data_size(layout, fields) + 31) / 32 * 32;
      if (offset > kDataSizeMax) return;
    }
    if (layout.tensors.empty()) return;
    input_.resize((layout.header_end + 31) / 32 * 32 + static_cast<std::size_t>(offset), '\x3C');
  }

 private:
  static constexpr std::uint64_t kDataSizeMax = 4096;

  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }

  void put(std::size_t at, std::size_t width, std::uint64_t value) {
    std::memcpy(input_.data() + at, &value, width);
  }

  static std::uint64_t data_size(const Layout& layout, const std::vector<Field>& fields) {
    const std::uint64_t type = layout.number(fields[fields.size() - 2].at, 4);
    const auto dtype = dtype_from_ggml(static_cast<std::uint32_t>(type));
    if (!dtype) return 0;
    std::uint64_t count = 1;
    for (const Field& field : fields) {
      if (field.kind == Kind::kDim)
        count *= std::min<std::uint64_t>(layout.number(field.at, 8), 1 << 14);
    }
    return count / static_cast<std::uint64_t>(dtype_block_elements(*dtype)) *
           dtype_block_size(*dtype);
  }

  std::uint64_t value_for(const Field& field, std::uint64_t current) {
    switch (field.kind) {
      case Kind::kVersion:
        return below(5);
      case Kind::kValueType:
        return below(14);
      case Kind::kTensorType:
        return below(43);
      case Kind::kRank:
        return below(6);
      default:
        break;
    }
    const std::uint64_t edges[] = {0,
                                   1,
                                   32,
                                   256,
                                   current + 1,
                                   current - 1,
                                   current * 2,
                                   current + 32,
                                   input_.size(),
                                   input_.size() - field.at,
                                   input_.size() - field.at - field.width,
                                   0x7FFF'FFFF,
                                   0x8000'0000,
                                   0xFFFF'FFFF,
                                   1ULL << 32,
                                   1ULL << 61,
                                   1ULL << 62,
                                   (1ULL << 63) - 1,
                                   1ULL << 63,
                                   ~0ULL,
                                   ~31ULL,
                                   current ^ (1ULL << below(64))};
    return edges[below(std::size(edges))];
  }

  void change_field() {
    const Layout layout(input_);
    if (layout.fields.empty()) return;
    const Field field = layout.fields[below(layout.fields.size())];
    put(field.at, field.width, value_for(field, layout.number(field.at, field.width)));
  }

  void copy(const Range& range, std::size_t to, std::size_t count_at, std::uint64_t count) {
    std::string bytes = input_.substr(range.begin, range.end - range.begin);
    // The last byte of the name, so that most copies are no duplicates.
    std::uint64_t name_size = 0;
    std::memcpy(&name_size, bytes.data(), sizeof(name_size));
    if (name_size > 0 && below(8) != 0) bytes[7 + name_size] = static_cast<char>('a' + below(26));
    input_.insert(to, bytes);
    put(count_at, 8, count + 1);
  }
  void copy_entry() {
    const Layout layout(input_);
    if (layout.entries.empty()) return;
    copy(layout.entries[below(layout.entries.size())],
         layout.entries[below(layout.entries.size())].begin,
         kEntryCountAt,
         layout.number(kEntryCountAt, 8));
  }
  void copy_tensor() {
    const Layout layout(input_);
    if (layout.tensors.empty()) return;
    copy(layout.tensors[below(layout.tensors.size())],
         layout.header_end,
         kTensorCountAt,
         layout.number(kTensorCountAt, 8));
    repair();
  }
  void erase(const std::vector<Range>& ranges, std::size_t count_at) {
    if (ranges.empty()) return;
    const Range range = ranges[below(ranges.size())];
    const std::uint64_t count = Layout(input_).number(count_at, 8);
    input_.erase(range.begin, range.end - range.begin);
    put(count_at, 8, count - 1);
    repair();
  }

  std::string& input_;
  std::minstd_rand random_;
};

}  // namespace
}  // namespace inferneo::formats

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data,
                                               std::size_t size,
                                               std::size_t size_max,
                                               unsigned seed) {
  using namespace inferneo::formats;
  // Some inputs also change without any knowledge of the layout.
  if (seed % 4 == 0) return LLVMFuzzerMutate(data, size, size_max);
  std::string input(reinterpret_cast<const char*>(data), size);
  Mutator mutator(input, seed);
  for (unsigned i = 0; i <= seed / 4 % 4; ++i) mutator.change();
  if (seed / 16 % 2 == 0) mutator.repair();
  if (input.size() > size_max) input.resize(size_max);
  std::memcpy(data, input.data(), input.size());
  return input.size();
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace inferneo;
  const auto file = std::as_bytes(std::span(data, size));
  const auto header = formats::parse_gguf(file);
  if (!header) {
    CHECK(!header.error().message().empty());
    return 0;
  }
  CHECK(header->version == 2 || header->version == 3);
  formats::read_everything(header->metadata);
  formats::check_weights(header->weights, file);
  return 0;
}

// The vocabulary: token names and ids in both directions. Ids may have holes. Names live in one
// block of memory; the index is a flat hash table, so that 128k tokens load in milliseconds.
// Thread: any for const members. Ownership: owns all names.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "request/token.h"

namespace inferneo::text {

std::uint64_t hash_bytes(std::string_view bytes);

class Vocabulary {
 public:
  void reserve(std::size_t token_count, std::size_t name_size);

  enum class AddOutcome { kAdded, kDuplicateName, kDuplicateId };
  // Precondition: 0 <= id < limits::kVocabSizeMax; fewer than 4 GiB of names in all.
  AddOutcome add(std::string_view name, TokenId id);

  // The id of a name, or -1.
  [[nodiscard]] TokenId find(std::string_view name) const;
  // As above, for the concatenation of two parts.
  [[nodiscard]] TokenId find(std::string_view first, std::string_view second) const;

  [[nodiscard]] bool has(TokenId id) const {
    return id >= 0 && static_cast<std::size_t>(id) < names_.size() &&
           names_[static_cast<std::size_t>(id)].present;
  }
  // Empty for ids that are not held.
  [[nodiscard]] std::string_view name(TokenId id) const;
  // One past the largest id.
  [[nodiscard]] TokenId size() const { return static_cast<TokenId>(names_.size()); }
  [[nodiscard]] std::size_t token_count() const { return token_count_; }

 private:
  struct Name {
    std::uint32_t offset = 0;
    std::uint32_t size = 0;
    bool present = false;
  };
  struct Slot {
    std::uint32_t hash = 0;
    TokenId id = -1;
  };

  void rehash(std::size_t slot_count);

  std::string text_;
  std::vector<Name> names_;
  std::vector<Slot> slots_;
  std::size_t token_count_ = 0;
};

}  // namespace inferneo::text

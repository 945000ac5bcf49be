#include "text/tokenizer/vocabulary.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace inferneo::text {
namespace {

constexpr std::uint64_t kMultiplier = 0x9E3779B97F4A7C15u;

std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  const unsigned __int128 product =
      static_cast<unsigned __int128>(a ^ kMultiplier) * (b ^ 0xD6E8FEB86659FD93u);
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

}  // namespace

std::uint64_t hash_bytes(std::string_view bytes) {
  std::uint64_t hash = bytes.size();
  const char* at = bytes.data();
  std::size_t left = bytes.size();
  while (left >= 8) {
    std::uint64_t word;
    std::memcpy(&word, at, 8);
    hash = mix(hash, word);
    at += 8;
    left -= 8;
  }
  std::uint64_t word = 0;
  if (left > 0) std::memcpy(&word, at, left);
  return mix(hash, word);
}

void Vocabulary::reserve(std::size_t token_count, std::size_t name_size) {
  text_.reserve(name_size);
  names_.reserve(token_count);
  rehash(std::bit_ceil(std::max<std::size_t>(16, token_count * 2)));
}

Vocabulary::AddOutcome Vocabulary::add(std::string_view name, TokenId id) {
  if (has(id)) return AddOutcome::kDuplicateId;
  if (find(name) >= 0) return AddOutcome::kDuplicateName;
  const auto index = static_cast<std::size_t>(id);
  if (index >= names_.size()) names_.resize(index + 1);
  names_[index] = {
      static_cast<std::uint32_t>(text_.size()), static_cast<std::uint32_t>(name.size()), true};
  text_ += name;
  ++token_count_;
  if (token_count_ * 2 > slots_.size()) {
    rehash(std::max<std::size_t>(16, slots_.size() * 2));
    return AddOutcome::kAdded;
  }
  const auto hash = static_cast<std::uint32_t>(hash_bytes(name) >> 32);
  std::size_t at = hash & (slots_.size() - 1);
  while (slots_[at].id >= 0) at = (at + 1) & (slots_.size() - 1);
  slots_[at] = {hash, id};
  return AddOutcome::kAdded;
}

TokenId Vocabulary::find(std::string_view name) const {
  if (slots_.empty()) return -1;
  const auto hash = static_cast<std::uint32_t>(hash_bytes(name) >> 32);
  for (std::size_t at = hash & (slots_.size() - 1);; at = (at + 1) & (slots_.size() - 1)) {
    const Slot& slot = slots_[at];
    if (slot.id < 0) return -1;
    if (slot.hash == hash && this->name(slot.id) == name) return slot.id;
  }
}

TokenId Vocabulary::find(std::string_view first, std::string_view second) const {
  char small[256];
  if (first.size() + second.size() <= sizeof(small)) {
    if (!first.empty()) std::memcpy(small, first.data(), first.size());
    if (!second.empty()) std::memcpy(small + first.size(), second.data(), second.size());
    return find(std::string_view(small, first.size() + second.size()));
  }
  std::string both(first);
  both += second;
  return find(both);
}

std::string_view Vocabulary::name(TokenId id) const {
  if (!has(id)) return {};
  const Name& entry = names_[static_cast<std::size_t>(id)];
  return std::string_view(text_).substr(entry.offset, entry.size);
}

void Vocabulary::rehash(std::size_t slot_count) {
  slots_.assign(slot_count, {});
  for (std::size_t index = 0; index < names_.size(); ++index) {
    if (!names_[index].present) continue;
    const auto id = static_cast<TokenId>(index);
    const auto hash = static_cast<std::uint32_t>(hash_bytes(name(id)) >> 32);
    std::size_t at = hash & (slot_count - 1);
    while (slots_[at].id >= 0) at = (at + 1) & (slot_count - 1);
    slots_[at] = {hash, id};
  }
}

}  // namespace inferneo::text

// Follows a compiled constraint for some tokens and aborts where it breaks its word: a token that
// the mask allows must be accepted, one that it does not must not, and a position that is not
// complete must allow a token. Thread: one owner.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/utf8.h"
#include "text/grammar/constraint_compiler.h"
#include "text/tokenizer.h"
#include "text/tokenizer/byte_alphabet.h"

namespace inferneo::fuzz {

// Every byte, some longer tokens, and a special one.
inline std::shared_ptr<const text::Tokenizer> small_tokenizer() {
  std::vector<std::string> tokens;
  const auto add = [&](std::string_view bytes) {
    std::string spelled;
    for (const char c : bytes) {
      utf8::append(spelled, text::byte_to_char(static_cast<std::uint8_t>(c)));
    }
    tokens.push_back(spelled);
  };
  for (int byte = 0; byte < 256; ++byte) add(std::string(1, static_cast<char>(byte)));
  for (const char* longer :
       {"ab",   "abc",    "\":",      "\",", "\": \"", "{\"",  "\"}",  "}}",  "]]",
        "[[",   "((",     "))",       "12",  "123",    "true", "null", "\\u", "\\u00",
        "\xC3", "\xA4\"", "\xF0\x9F", " \n", "\n  ",   "aa",   "aaaa", "0.",  "e+"}) {
    if (std::string_view(longer).size() > 1) add(longer);
  }
  tokens.emplace_back("<|end|>");
  text::TokenVocabulary vocabulary;
  vocabulary.model = "gpt2";
  vocabulary.pre = "gpt-2";
  vocabulary.tokens.assign(tokens.begin(), tokens.end());
  vocabulary.kinds.assign(tokens.size(), text::TokenKind::kNormal);
  vocabulary.kinds.back() = text::TokenKind::kControl;
  return text::Tokenizer::from_vocabulary(vocabulary).value();
}

inline text::grammar::ConstraintCompiler& compiler() {
  static text::grammar::ConstraintCompiler made(small_tokenizer());
  return made;
}

// The text of the walk; complete when it could have ended there.
struct Walk {
  std::string text;
  bool complete = false;
};

inline Walk follow(const text::grammar::ConstraintPtr& constraint, std::uint32_t seed) {
  static const std::shared_ptr<const text::Tokenizer> tokenizer = small_tokenizer();
  constexpr int kStepCount = 64;
  const auto state = constraint->start();
  Walk walk;
  for (int step = 0; step < kStepCount; ++step) {
    const request::TokenMask mask = state->mask();
    std::vector<TokenId> allowed;
    for (TokenId id = 0; id < tokenizer->vocab_size(); ++id) {
      if (request::allows(mask, id)) allowed.push_back(id);
    }
    if (!state->status().ok()) return walk;
    walk.complete = state->may_end();
    CHECK(!allowed.empty() || state->may_end());
    CHECK(allowed.empty() == state->must_end() || !state->must_end());
    if (allowed.empty()) break;
    seed = seed * 1664525U + 1013904223U;
    const TokenId id = allowed[(seed >> 8U) % allowed.size()];
    const std::vector<TokenId> forced(state->forced().begin(), state->forced().end());
    if (!forced.empty()) CHECK(request::allows(mask, forced.front()));
    if (!state->accept(id)) {
      // Only a bound may stop what the mask allows.
      CHECK(state->status().message().find("not allow") == std::string::npos);
      return {};
    }
    walk.text += tokenizer->token_bytes(id);
    walk.complete = state->may_end();
  }
  // What is not allowed is refused.
  const request::TokenMask mask = state->mask();
  for (TokenId id = 0; id < tokenizer->vocab_size() && state->status().ok(); ++id) {
    if (request::allows(mask, id)) continue;
    CHECK(!state->accept(id));
    break;
  }
  return walk;
}

inline std::uint32_t seed_of(const std::uint8_t* data, std::size_t size) {
  std::uint32_t hash = 2166136261U;
  for (std::size_t i = 0; i < size; ++i) hash = (hash ^ data[i]) * 16777619U;
  return hash;
}

}  // namespace inferneo::fuzz

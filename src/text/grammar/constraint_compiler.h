// Compiles what a request asks of its output, for one model, and keeps what was compiled, least
// recently used first to go, within limits::kGrammarCacheSizeMax.
// Thread: any; compiling the same twice at once is possible and harmless. Must not be called from
// network threads: a compilation takes up to limits::kGrammarWorkMax units of work (about 50 ms).
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "request/token_constraint.h"
#include "text/tokenizer.h"
#include "text/value.h"

namespace inferneo::text::grammar {

struct Grammar;
class ConstraintVocabulary;

using ConstraintPtr = std::shared_ptr<const request::TokenConstraint>;

// How one tool is called, in the parts around name and arguments. Texts that name special tokens of
// the vocabulary stand for these.
struct ToolCallShape {
  std::string list_begin;
  std::string begin;
  std::string middle;
  std::string end;
  std::string separator;
  std::string list_end;
  bool pythonic = false;
  bool compact = false;
};

struct ToolShape {
  std::string name;
  const Value* parameters = nullptr;  // a schema of an object; null: any object
  std::string field;                  // for messages
};

struct ToolCallsShape {
  std::vector<ToolShape> tools;
  ToolCallShape call;
  bool text_allowed = false;
  std::int32_t call_count_max = 0;  // 0: any number
};

class ConstraintCompiler {
 public:
  explicit ConstraintCompiler(std::shared_ptr<const Tokenizer> tokenizer);
  ~ConstraintCompiler();
  ConstraintCompiler(const ConstraintCompiler&) = delete;
  ConstraintCompiler& operator=(const ConstraintCompiler&) = delete;

  // Failures: invalid_argument and unsupported; where() is the place inside the source (a JSON
  // pointer for schemas), empty where there is none.
  Result<ConstraintPtr> json_object(bool compact);
  Result<ConstraintPtr> json_schema(const Value& schema, bool compact);
  Result<ConstraintPtr> regex(std::string_view pattern);
  Result<ConstraintPtr> choice(std::span<const std::string> choices);
  Result<ConstraintPtr> grammar(std::string_view source);
  // where() begins with the tool's field.
  Result<ConstraintPtr> tool_calls(const ToolCallsShape& shape);

  struct Usage {
    std::size_t count = 0;
    std::size_t size_bytes = 0;
  };
  [[nodiscard]] Usage usage() const;

 private:
  struct Kept {
    std::string key;
    ConstraintPtr constraint;
  };
  template <typename Build>
  Result<ConstraintPtr> find_or_compile(std::string key, Build build);
  std::shared_ptr<const ConstraintVocabulary> vocabulary();
  ConstraintPtr find(const std::string& key);
  void keep(std::string key, const ConstraintPtr& constraint);

  const std::shared_ptr<const Tokenizer> tokenizer_;
  std::once_flag vocabulary_made_;
  std::shared_ptr<const ConstraintVocabulary> vocabulary_;
  mutable std::mutex mutex_;  // guards all below
  std::list<Kept> kept_;      // used last first
  std::unordered_map<std::string_view, std::list<Kept>::iterator> by_key_;
};

// A model's compiler, made when it is first asked for.
// Thread: any.
class ModelConstraints {
 public:
  ConstraintCompiler& compiler(const std::shared_ptr<const Tokenizer>& tokenizer) const {
    std::call_once(made_, [&] { compiler_ = std::make_unique<ConstraintCompiler>(tokenizer); });
    return *compiler_;
  }

 private:
  mutable std::once_flag made_;
  mutable std::unique_ptr<ConstraintCompiler> compiler_;
};

}  // namespace inferneo::text::grammar

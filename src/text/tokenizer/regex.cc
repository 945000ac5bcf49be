#include "text/tokenizer/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/str.h"

namespace inferneo::text {
namespace {

// Bound: steps of one match attempt. A split pattern needs a few per character; a pattern that
// backtracks exponentially is stopped within milliseconds.
constexpr std::uint32_t kMatchStepCountMax = 1'000'000;
constexpr std::size_t kPatternSizeMax = 16 * 1024;
constexpr std::uint32_t kHeapSizeKibMax = 64 * 1024;

struct CompileContextDeleter {
  void operator()(pcre2_compile_context* context) const { pcre2_compile_context_free(context); }
};
struct MatchContextDeleter {
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};
struct MatchDataDeleter {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};

}  // namespace

struct Regex::Program {
  explicit Program(pcre2_code* compiled) : code(compiled) {}
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program() { pcre2_code_free(code); }
  pcre2_code* code;
};

Regex::Regex(std::unique_ptr<Program> program) : program_(std::move(program)) {}
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;
Regex::~Regex() = default;

Result<Regex> Regex::compile(std::string_view pattern) {
  ASSIGN_OR_RETURN(const std::string translated, translate_oniguruma(pattern));
  const std::unique_ptr<pcre2_compile_context, CompileContextDeleter> context(
      pcre2_compile_context_create(nullptr));
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  pcre2_set_parens_nest_limit(context.get(), 64);
  pcre2_set_max_pattern_length(context.get(), kPatternSizeMax);
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()),
                    translated.size(),
                    PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C,
                    &error,
                    &offset,
                    context.get());
  if (code == nullptr) {
    PCRE2_UCHAR message[256] = {};
    pcre2_get_error_message(error, message, sizeof(message));
    return corrupt_data(str("the pattern '",
                            printable(pattern, 120),
                            "' is broken at byte ",
                            offset,
                            ": ",
                            reinterpret_cast<const char*>(message)));
  }
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);  // without it the interpreter runs
  return Regex(std::make_unique<Program>(code));
}

struct Regex::Matches::State {
  const pcre2_code* code;
  std::string_view text;
  std::unique_ptr<pcre2_match_context, MatchContextDeleter> context;
  std::unique_ptr<pcre2_match_data, MatchDataDeleter> data;
  std::size_t at = 0;
  std::size_t last_end = static_cast<std::size_t>(-1);
  bool done = false;

  // The outcome of one search from `at`: the count of pcre2_match.
  int search() {
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    // Why no UTF check: the encoder has made the text valid, and a check per search is quadratic.
    const std::uint32_t options = PCRE2_NO_UTF_CHECK;
    int count = pcre2_match(code, subject, text.size(), at, options, data.get(), context.get());
    if (count == PCRE2_ERROR_JIT_STACKLIMIT) {
      count = pcre2_match(
          code, subject, text.size(), at, options | PCRE2_NO_JIT, data.get(), context.get());
    }
    return count;
  }

  void step_over_character() {
    ++at;
    while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) ++at;
  }
};

Regex::Matches::Matches(const Regex& regex, std::string_view text)
    : state_(std::make_unique<State>()) {
  state_->code = regex.program_->code;
  state_->text = text;
  state_->context.reset(pcre2_match_context_create(nullptr));
  state_->data.reset(pcre2_match_data_create_from_pattern(regex.program_->code, nullptr));
  pcre2_set_match_limit(state_->context.get(), kMatchStepCountMax);
  pcre2_set_heap_limit(state_->context.get(), kHeapSizeKibMax);
}

Regex::Matches::~Matches() = default;

bool Regex::Matches::next(Span& span) {
  State& state = *state_;
  while (!state.done && state.at <= state.text.size()) {
    if (state.search() <= 0) break;
    const PCRE2_SIZE* found = pcre2_get_ovector_pointer(state.data.get());
    const std::size_t start = found[0];
    const std::size_t end = found[1];
    // \K can move the start behind the end; such a match has no meaning here.
    if (start > end || start < state.at) break;
    const bool empty = start == end;
    const bool repeats = empty && end == state.last_end;
    state.at = end;
    if (empty) state.step_over_character();
    if (repeats) continue;
    state.last_end = end;
    span = {start, end};
    return true;
  }
  state.done = true;
  return false;
}

}  // namespace inferneo::text

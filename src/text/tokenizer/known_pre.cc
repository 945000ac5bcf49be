// The patterns are those of the tokenizer.json of the models that the names come from.
// Spec: llama.cpp, convert_hf_to_gguf.py (names) and src/llama-vocab.cpp (patterns).
#include "text/tokenizer/known_pre.h"

#include <vector>

#include "base/str.h"

namespace inferneo::text {
namespace {

constexpr std::string_view kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
// GPT-4; Llama 3.
constexpr std::string_view kCl100k =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
    R"(\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
    R"(\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kSeedCoder =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|)"
    R"(\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kO200k =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|)"
    R"(\s+(?!\S)|\s+)";
// Mistral NeMo.
constexpr std::string_view kTekken =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|)"
    R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// Letters that have a case, as the first DeepSeek models list them.
constexpr std::string_view kDeepseekWord =
    R"(\s?[A-Za-z\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293})"
    R"(\x{295}-\x{2AF}\x{370}-\x{373}\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A})"
    R"(\x{38C}\x{38E}-\x{3A1}\x{3A3}-\x{3F5}\x{3F7}-\x{481}\x{48A}-\x{52F}\x{531}-\x{556})"
    R"(\x{10A0}-\x{10C5}\x{13A0}-\x{13F5}\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF})"
    R"(\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A}\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D})"
    R"(\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D}\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D})"
    R"(\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4}\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4})"
    R"(\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4})"
    R"(\x{1FF6}-\x{1FFC}\x{2102}\x{2107}\x{210A}-\x{2113}\x{2115}\x{2119}-\x{211D}\x{2124})"
    R"(\x{2126}\x{2128}\x{212A}-\x{212D}\x{212F}-\x{2134}\x{2139}\x{213C}-\x{213F})"
    R"(\x{2145}-\x{2149}\x{214E}\x{2183}\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4})"
    R"(\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}\x{A640}-\x{A66D}\x{A680}-\x{A69B}\x{A722}-\x{A76F})"
    R"(\x{A771}-\x{A787}\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF}\x{FB00}-\x{FB06}\x{FB13}-\x{FB17})"
    R"(\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}\x{10400}-\x{1044F}\x{104B0}-\x{104D3})"
    R"(\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2}\x{118A0}-\x{118DF})"
    R"(\x{1E900}-\x{1E943}]+)";
constexpr std::string_view kDeepseekSign =
    R"(\s?[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3000}-\x{3002}]+)";
constexpr std::string_view kDeepseekHan =
    R"([\x{4E00}-\x{9FA5}\x{800}-\x{4E00}\x{AC00}-\x{D7FF}]+)";
constexpr std::string_view kDeepseek3Han =
    R"([\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+)";
constexpr std::string_view kDeepseek3 =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|)"
    R"( ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kSentence =
    R"( ?[^(\s|.,!?\x{2026}\x{3002}\x{FF0C}\x{3001}\x{964}\x{6D4}\x{60C})]+)";
constexpr std::string_view kThreeDigits = "[0-9][0-9][0-9]";

constexpr KnownPre::Flags kComposes = {.composes = true};
constexpr KnownPre::Flags kAsLlama3 = {.whole_words = true, .begins = true};

constexpr KnownPre kKnown[] = {
    {"default", {R"([\p{P}\$\+<=>\^~\|]+)", kGpt2, R"(\p{N}+)", kThreeDigits}},
    {"a.x-4.0", {kGpt2}},
    {"bloom", {kSentence}},
    {"chatglm-bpe", {kCl100k}},
    {"codeshell", {kEachDigit, kGpt2}},
    {"command-r", {kEachDigit, kGpt2}, kComposes},
    {"dbrx", {kCl100k}},
    {"deepseek-coder", {R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)", kDeepseekHan, kEachDigit}},
    {"deepseek-llm",
     {R"([\r\n])", kDeepseekWord, kDeepseekSign, R"(\s+$)", kDeepseekHan, R"(\p{N}+)"}},
    {"deepseek-r1-qwen", {kQwen2}, kComposes},
    {"deepseek-v3", {R"(\p{N}{1,3})", kDeepseek3Han, kDeepseek3}},
    {"exaone", {kEachDigit, kGpt2}},
    {"exaone4", {kGpt2}},
    {"falcon", {R"([\p{P}\$\+<=>\^~\|`]+)", kGpt2, kThreeDigits}},
    {"falcon-h1", {kCl100k}, kAsLlama3},
    {"falcon3", {kCl100k}, kAsLlama3},
    {"gigachat", {kGpt2}},
    {"glm4", {kCl100k}},
    {"gpt-2", {kGpt2}},
    {"gpt-4o", {kO200k}},
    {"gpt3-finnish", {kSentence}},
    {"granite-docling", {kGpt2}},
    {"jais", {kGpt2}},
    {"jina-de", {kGpt2}},
    {"jina-es", {kGpt2}},
    {"jina-v1-en", {kGpt2}},
    {"jina-v2-code", {kGpt2}},
    {"jina-v2-de", {kGpt2}},
    {"jina-v2-es", {kGpt2}},
    {"kanana2", {kO200k}},
    {"kormo", {kQwen2}},
    {"lfm2", {kCl100k}, kAsLlama3},
    {"llama-bpe", {kCl100k}, kAsLlama3},
    {"llama-v3", {kCl100k}, kAsLlama3},
    {"llama3", {kCl100k}, kAsLlama3},
    {"llama4", {kO200k}},
    {"megrez", {kQwen2}},
    {"mellum", {kGpt2}},
    {"midm-2.0", {kCl100k}, kAsLlama3},
    {"minerva-7b", {kEachDigit, kGpt2}},
    {"modern-bert", {kGpt2}},
    {"mpt", {kGpt2}, kComposes},
    {"olmo", {kGpt2}, kComposes},
    {"phi-2", {kGpt2}},
    {"pixtral", {kCl100k}, kAsLlama3},
    {"poro-chat", {kSentence}},
    {"qwen2", {kQwen2}, kComposes},
    {"refact", {kEachDigit, kGpt2}},
    {"roberta-bpe", {kGpt2}},
    {"seed-coder", {kSeedCoder}},
    {"smaug-bpe", {kCl100k}},
    {"smollm", {kEachDigit, kGpt2}},
    {"stablelm2", {kQwen2}},
    {"starcoder", {kEachDigit, kGpt2}},
    {"tekken", {kTekken}, kAsLlama3},
    {"trillion", {kGpt2}},
    {"viking", {kSentence, kEachDigit}},
};

}  // namespace

const KnownPre* find_known_pre(std::string_view name) {
  if (name.empty()) return &kKnown[0];
  for (const KnownPre& known : kKnown) {
    if (known.name == name) return &known;
  }
  return nullptr;
}

std::string known_pre_names() {
  std::string names;
  for (const KnownPre& known : kKnown) {
    if (!names.empty()) names += ", ";
    names += known.name;
  }
  return names;
}

std::string nearest_known_pre(std::string_view name) {
  std::vector<std::string_view> names;
  for (const KnownPre& known : kKnown) names.push_back(known.name);
  const std::string_view nearest = nearest_name(name, names);
  return nearest.empty() ? std::string() : str("the nearest supported name is ", nearest);
}

}  // namespace inferneo::text

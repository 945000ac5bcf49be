// llama.cpp as a process that is measured: loads one GGUF file through libllama and does one timed
// run for each line on stdin. Speaks the same lines as `inferneo bench --measure`
// (docs/benchmarks.md), so that bench/compare drives both alike.
//
//   llama_peer --library DIR_OR_FILE [--backend FILE.so] [--threads N] [--flash-attention on|off]
//              MODEL.gguf
//
// The library is opened at run time and its few functions are declared here: nothing of llama.cpp
// is needed to build. Versions differ in the layout of llama_context_params; the only field needed
// besides the leading four is found by its default value, and a layout that does not look as
// expected is refused.
#include <dirent.h>
#include <dlfcn.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

namespace {

// Larger than any version's struct. Why it works: on x86-64 and AArch64 Linux a struct of this size
// is returned through a pointer and passed as a copy; the library reads and writes only its own
// size, and no stack argument follows.
struct alignas(16) OpaqueParams {
  std::byte bytes[512];
};

// Spec: llama.h, llama_batch.
struct Batch {
  std::int32_t n_tokens;
  std::int32_t* token;
  float* embd;
  std::int32_t* pos;
  std::int32_t* n_seq_id;
  std::int32_t** seq_id;
  std::int8_t* logits;
};

struct Model;
struct Context;
struct Memory;
struct Vocab;

struct Library {
  void (*backend_load_all_from_path)(const char*);
  void* (*backend_load)(const char*);
  void (*backend_init)();
  OpaqueParams (*model_default_params)();
  OpaqueParams (*context_default_params)();
  Model* (*model_load_from_file)(const char*, OpaqueParams);
  Context* (*init_from_model)(Model*, OpaqueParams);
  void (*free_context)(Context*);
  void (*set_n_threads)(Context*, std::int32_t, std::int32_t);
  const Vocab* (*model_get_vocab)(const Model*);
  std::int32_t (*vocab_n_tokens)(const Vocab*);
  Memory* (*get_memory)(const Context*);
  void (*memory_clear)(Memory*, bool);
  std::int32_t (*decode)(Context*, Batch);
  void (*synchronize)(Context*);
  float* (*get_logits_ith)(Context*, std::int32_t);
  const char* (*print_system_info)();
  void (*log_set)(void (*)(int, const char*, void*), void*);
};

struct Flags {
  std::string library;
  std::string backend;
  std::string model;
  int threads = 2;
  bool flash_attention = true;
};

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "llama_peer: %s\n", what.c_str());
  std::exit(1);
}

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Only failures: the library says much while it loads.
void keep_errors(int level, const char* text, void*) {
  constexpr int kError = 4;
  if (level == kError) std::fputs(text, stderr);
}

// The file of a directory that begins with `prefix` and holds ".so"; empty without one.
std::string find_library(const std::string& directory, const std::string& prefix) {
  DIR* handle = opendir(directory.c_str());
  if (handle == nullptr) return {};
  std::vector<std::string> found;
  while (const dirent* entry = readdir(handle)) {
    const std::string name = entry->d_name;
    if (name.starts_with(prefix) && name.find(".so") != std::string::npos) found.push_back(name);
  }
  closedir(handle);
  std::sort(found.begin(), found.end());
  return found.empty() ? std::string() : directory + "/" + found.front();
}

void* open_library(const std::string& path) {
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (handle == nullptr) fail(std::string("cannot open ") + path + ": " + dlerror());
  return handle;
}

// The variant of the CPU backend that the library chose for this processor; empty when it is not a
// file of its own.
std::string loaded_backend() {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const std::size_t path = line.find('/');
    if (path != std::string::npos && line.find("ggml-cpu") != std::string::npos) {
      return line.substr(path);
    }
  }
  return {};
}

template <typename Function>
void bind(Function*& function, std::vector<void*> handles, const char* name) {
  for (void* handle : handles) {
    if (void* symbol = dlsym(handle, name)) {
      function = reinterpret_cast<Function*>(symbol);
      return;
    }
  }
  fail(std::string("this libllama has no function ") + name);
}

Library load_library(const std::string& directory) {
  const std::string ggml = find_library(directory, "libggml.");
  const std::string llama = find_library(directory, "libllama.");
  if (llama.empty() || ggml.empty()) fail("no libllama and libggml in " + directory);
  const std::vector<void*> handles = {open_library(ggml), open_library(llama)};
  Library lib{};
  bind(lib.backend_load_all_from_path, handles, "ggml_backend_load_all_from_path");
  bind(lib.backend_load, handles, "ggml_backend_load");
  bind(lib.backend_init, handles, "llama_backend_init");
  bind(lib.model_default_params, handles, "llama_model_default_params");
  bind(lib.context_default_params, handles, "llama_context_default_params");
  bind(lib.model_load_from_file, handles, "llama_model_load_from_file");
  bind(lib.init_from_model, handles, "llama_init_from_model");
  bind(lib.free_context, handles, "llama_free");
  bind(lib.set_n_threads, handles, "llama_set_n_threads");
  bind(lib.model_get_vocab, handles, "llama_model_get_vocab");
  bind(lib.vocab_n_tokens, handles, "llama_vocab_n_tokens");
  bind(lib.get_memory, handles, "llama_get_memory");
  bind(lib.memory_clear, handles, "llama_memory_clear");
  bind(lib.decode, handles, "llama_decode");
  bind(lib.synchronize, handles, "llama_synchronize");
  bind(lib.get_logits_ith, handles, "llama_get_logits_ith");
  bind(lib.print_system_info, handles, "llama_print_system_info");
  bind(lib.log_set, handles, "llama_log_set");
  return lib;
}

// llama_context_params begins with n_ctx, n_batch, n_ubatch, n_seq_max in every version; after the
// thread counts follow four enums whose default is -1, the last of which is flash_attn_type.
OpaqueParams context_params(const Library& lib,
                            std::uint32_t context,
                            std::uint32_t sequences,
                            bool flash_attention) {
  constexpr std::uint32_t kBatchTokens = 512;
  OpaqueParams params = lib.context_default_params();
  std::uint32_t words[64];
  std::memcpy(words, params.bytes, sizeof(words));
  if (words[0] != 512 || words[1] != 2048 || words[2] != 512 || words[3] != 1) {
    fail("llama_context_params of this version begins with unknown defaults");
  }
  words[0] = context;
  // n_batch only limits what one call may hold; prompts of all sequences go in calls of this size.
  words[1] = std::max(kBatchTokens, sequences);
  words[2] = kBatchTokens;
  words[3] = sequences;
  std::size_t run = 0;
  std::size_t index = 4;
  while (index < 20 && run < 4) run = words[index++] == 0xffffffffU ? run + 1 : 0;
  if (run < 4) fail("flash_attn_type not found in llama_context_params of this version");
  words[index - 1] = flash_attention ? 1 : 0;
  std::memcpy(params.bytes, words, sizeof(words));
  return params;
}

// Rows of one llama_decode call.
class Rows {
 public:
  explicit Rows(std::size_t capacity)
      : tokens_(capacity),
        positions_(capacity),
        counts_(capacity, 1),
        sequences_(capacity),
        pointers_(capacity),
        logits_(capacity) {
    for (std::size_t i = 0; i < capacity; ++i) pointers_[i] = &sequences_[i];
  }

  [[nodiscard]] std::size_t size() const { return size_; }
  void clear() { size_ = 0; }
  void add(std::int32_t token, std::int32_t position, std::int32_t sequence, bool logits) {
    tokens_[size_] = token;
    positions_[size_] = position;
    sequences_[size_] = sequence;
    logits_[size_] = logits ? 1 : 0;
    ++size_;
  }
  Batch batch() {
    return {static_cast<std::int32_t>(size_),
            tokens_.data(),
            nullptr,
            positions_.data(),
            counts_.data(),
            pointers_.data(),
            logits_.data()};
  }

 private:
  std::size_t size_ = 0;
  std::vector<std::int32_t> tokens_;
  std::vector<std::int32_t> positions_;
  std::vector<std::int32_t> counts_;
  std::vector<std::int32_t> sequences_;
  std::vector<std::int32_t*> pointers_;
  std::vector<std::int8_t> logits_;
};

struct Timed {
  double seconds = 0;
  double cpu_seconds = 0;
  std::int64_t tokens = 0;
  double prompt_seconds = 0;  // what came before: the prompts of a decode
};

class Peer {
 public:
  explicit Peer(const Flags& flags) : flags_(flags), lib_(load_library(flags.library)) {
    lib_.log_set(keep_errors, nullptr);
    if (!flags.backend.ends_with(".so")) {
      lib_.backend_load_all_from_path(flags.backend.c_str());
    } else if (lib_.backend_load(flags.backend.c_str()) == nullptr) {
      fail("cannot load the backend " + flags.backend);
    }
    lib_.backend_init();
    model_ = lib_.model_load_from_file(flags.model.c_str(), lib_.model_default_params());
    if (model_ == nullptr) fail("libllama cannot load " + flags.model);
    vocab_size_ = lib_.vocab_n_tokens(lib_.model_get_vocab(model_));
  }

  [[nodiscard]] const char* system_info() const { return lib_.print_system_info(); }

  // Takes effect with the next context.
  void set_flash_attention(bool on) { flags_.flash_attention = on; }

  void open(std::uint32_t context, std::uint32_t sequences) {
    if (context_ != nullptr) lib_.free_context(context_);
    const auto total = context * sequences;
    context_ = lib_.init_from_model(model_,
                                    context_params(lib_, total, sequences, flags_.flash_attention));
    if (context_ == nullptr) fail("libllama cannot make a context");
    lib_.set_n_threads(context_, flags_.threads, flags_.threads);
  }

  Timed prefill(std::int32_t tokens) {
    lib_.memory_clear(lib_.get_memory(context_), false);
    return timed(tokens, [&] { feed_prompts(1, tokens); });
  }

  // The prompts are not part of the time.
  Timed decode(std::int32_t batch, std::int32_t prompt, std::int32_t tokens) {
    lib_.memory_clear(lib_.get_memory(context_), false);
    const double start = now();
    feed_prompts(batch, prompt);
    const double prompt_seconds = now() - start;
    Rows rows(static_cast<std::size_t>(batch));
    Timed run_time = timed(std::int64_t{batch} * tokens, [&] {
      for (std::int32_t i = 0; i < tokens; ++i) {
        rows.clear();
        for (std::int32_t s = 0; s < batch; ++s) rows.add(random_token(), prompt + i, s, true);
        run(rows);
      }
    });
    run_time.prompt_seconds = prompt_seconds;
    return run_time;
  }

  // Writes the logits of every position of a sequence. Shape: f32 [ids][vocab].
  bool write_logits(const std::string& path, const std::vector<std::int32_t>& ids) {
    lib_.memory_clear(lib_.get_memory(context_), false);
    std::ofstream file(path, std::ios::binary);
    Rows rows(kBatchRows);
    for (std::size_t begin = 0; begin < ids.size(); begin += rows.size()) {
      rows.clear();
      for (std::size_t i = begin; i < ids.size() && rows.size() < kBatchRows; ++i) {
        rows.add(ids[i], static_cast<std::int32_t>(i), 0, true);
      }
      run(rows);
      for (std::size_t row = 0; row < rows.size(); ++row) {
        const float* logits = lib_.get_logits_ith(context_, static_cast<std::int32_t>(row));
        if (logits == nullptr) fail("llama_decode gave no logits");
        file.write(reinterpret_cast<const char*>(logits),
                   static_cast<std::streamsize>(sizeof(float)) * vocab_size_);
      }
    }
    return file.flush().good();
  }

 private:
  static constexpr std::size_t kBatchRows = 512;

  std::int32_t random_token() {
    return std::uniform_int_distribution<std::int32_t>(0, vocab_size_ - 1)(random_);
  }

  void run(Rows& rows) {
    if (lib_.decode(context_, rows.batch()) != 0) fail("llama_decode failed");
    lib_.synchronize(context_);
    if (lib_.get_logits_ith(context_, -1) == nullptr) fail("llama_decode gave no logits");
  }

  // Logits of each prompt's last token only.
  void feed_prompts(std::int32_t batch, std::int32_t tokens) {
    Rows rows(kBatchRows);
    for (std::int32_t s = 0; s < batch; ++s) {
      for (std::int32_t i = 0; i < tokens; ++i) {
        rows.add(random_token(), i, s, i + 1 == tokens);
        const bool last = s + 1 == batch && i + 1 == tokens;
        if (rows.size() < kBatchRows && !last) continue;
        if (lib_.decode(context_, rows.batch()) != 0) fail("llama_decode failed on a prompt");
        rows.clear();
      }
    }
    lib_.synchronize(context_);
  }

  template <typename Work>
  static Timed timed(std::int64_t tokens, Work work) {
    const double cpu = cpu_seconds();
    const double start = now();
    work();
    const double end = now();
    return {end - start, cpu_seconds() - cpu, tokens};
  }

  Flags flags_;
  Library lib_;
  Model* model_ = nullptr;
  Context* context_ = nullptr;
  std::int32_t vocab_size_ = 0;
  std::mt19937 random_{1};
};

Flags parse_flags(int argc, char** argv) {
  Flags flags;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const bool has_value = i + 1 < argc;
    if (argument == "--library" && has_value) {
      flags.library = argv[++i];
    } else if (argument == "--backend" && has_value) {
      flags.backend = argv[++i];
    } else if (argument == "--threads" && has_value) {
      flags.threads = std::atoi(argv[++i]);
    } else if (argument == "--flash-attention" && has_value) {
      flags.flash_attention = std::string(argv[++i]) == "on";
    } else if (!argument.starts_with("--") && flags.model.empty()) {
      flags.model = argument;
    } else {
      fail("unknown argument " + argument);
    }
  }
  if (flags.backend.empty()) flags.backend = flags.library;
  if (flags.library.empty() || flags.model.empty()) fail("needs --library DIR and a model");
  return flags;
}

void print(const Timed& timed) {
  std::printf("{\"seconds\": %.9f, \"cpu_seconds\": %.6f, \"tokens\": %" PRId64
              ", \"prompt_seconds\": %.9f}\n",
              timed.seconds,
              timed.cpu_seconds,
              timed.tokens,
              timed.prompt_seconds);
}

// "logits FILE ID..."
void answer_logits(Peer& peer, const std::string& line) {
  std::istringstream words(line);
  std::string path;
  words >> path >> path;
  std::vector<std::int32_t> ids;
  for (std::int32_t id = 0; words >> id;) ids.push_back(id);
  if (!words.eof() || ids.empty()) {
    std::puts("{\"error\": \"a line is: logits FILE ID...\"}");
  } else if (!peer.write_logits(path, ids)) {
    std::puts("{\"error\": \"the file cannot be written\"}");
  } else {
    std::printf("{\"positions\": %zu}\n", ids.size());
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Flags flags = parse_flags(argc, argv);
  Peer peer(flags);
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  std::printf("{\"ready\": true, \"system\": \"%s\", \"backend\": \"%s\"}\n",
              peer.system_info(),
              loaded_backend().c_str());
  std::string line;
  while (std::getline(std::cin, line)) {
    std::istringstream words(line);
    std::string verb;
    words >> verb;
    std::int32_t a = 0;
    std::int32_t b = 0;
    std::int32_t c = 0;
    words >> a >> b >> c;
    if (verb == "open" && a > 0 && b > 0) {
      peer.open(static_cast<std::uint32_t>(a), static_cast<std::uint32_t>(b));
      std::puts("{\"open\": true}");
    } else if (verb == "flash") {
      peer.set_flash_attention(line == "flash on");
      std::puts("{\"flash\": true}");
    } else if (verb == "prefill" && a > 0) {
      print(peer.prefill(a));
    } else if (verb == "decode" && a > 0 && b > 0 && c > 0) {
      print(peer.decode(a, b, c));
    } else if (verb == "logits") {
      answer_logits(peer, line);
    } else {
      std::printf("{\"error\": \"unknown line\"}\n");
    }
  }
}

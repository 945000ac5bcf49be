#include "manager/memory.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <limits>
#include <optional>
#include <string_view>

#include "base/limits.h"
#include "base/str.h"
#include "engine/engine_core.h"

namespace inferneo::manager {
namespace {

constexpr std::uint64_t kUnlimited = std::numeric_limits<std::uint64_t>::max();

// A model that cannot hold this many tokens is of no use to anybody.
constexpr std::int32_t kContextTokensUseful = 256;
// Why half: the rest is for other models, the page cache and the operating system.
constexpr double kFreeMemoryShare = 0.5;
// A pool that nobody sized stays in proportion to its model: four times the weights, but enough for
// a small model to serve a full batch.
constexpr std::uint64_t kKvBytesDefaultFloor = 256ULL * 1024 * 1024;
constexpr std::uint64_t kKvWeightRatio = 4;
// Measured: a tokenizer.json of 128 KB takes 0.2 MB in memory, one of 9.2 MB takes 13.8 MB.
constexpr std::uint64_t kTextBytesPerByteOnDisk = 2;
// Ids of blocks are counted in 32 bits.
constexpr std::uint64_t kBlockCountMax = std::numeric_limits<std::int32_t>::max();

// The number behind `key` in "key value" lines ("MemAvailable:  123 kB").
std::optional<std::uint64_t> read_keyed_number(const std::string& path, std::string_view key) {
  std::ifstream file(path);
  std::string name;
  std::uint64_t value = 0;
  for (std::string rest; file >> name >> value; std::getline(file, rest)) {
    if (name == key) return value;
  }
  return std::nullopt;
}

// A file that holds one number; "max" and missing files are no limit.
std::optional<std::uint64_t> read_number(const std::string& path) {
  std::ifstream file(path);
  std::uint64_t value = 0;
  if (!(file >> value)) return std::nullopt;
  return value;
}

struct CgroupFiles {
  const char* limit;
  const char* usage;
  const char* inactive_key;
};
constexpr CgroupFiles kVersion1{
    "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"};
constexpr CgroupFiles kVersion2{"memory.max", "memory.current", "inactive_file"};

// What the group at `dir` still grants.
std::uint64_t group_headroom(const std::string& dir, const CgroupFiles& files) {
  const auto limit = read_number(str(dir, "/", files.limit));
  const auto usage = read_number(str(dir, "/", files.usage));
  if (!limit || !usage) return kUnlimited;
  const std::uint64_t cache =
      read_keyed_number(str(dir, "/memory.stat"), files.inactive_key).value_or(0);
  const std::uint64_t used = *usage - std::min(cache, *usage);
  return *limit > used ? *limit - used : 0;
}

// The smallest headroom from `path` up to the root of the hierarchy. Inside a container the path of
// the outer world may not exist below the mount; the root then is the container's own group.
std::uint64_t hierarchy_headroom(const std::string& root,
                                 std::string path,
                                 const CgroupFiles& files) {
  std::uint64_t headroom = group_headroom(root, files);
  while (!path.empty() && path != "/") {
    headroom = std::min(headroom, group_headroom(root + path, files));
    path.resize(path.find_last_of('/'));
  }
  return headroom;
}

// Sums of sizes that files and options name may not wrap around.
std::uint64_t add_saturating(std::uint64_t a, std::uint64_t b) {
  return a > kUnlimited - b ? kUnlimited : a + b;
}

std::uint64_t multiply_saturating(std::uint64_t a, std::uint64_t b) {
  return a != 0 && b > kUnlimited / a ? kUnlimited : a * b;
}

std::uint64_t blocks_of(std::int32_t tokens) {
  return (static_cast<std::uint64_t>(tokens) + limits::kKvBlockSizeTokens - 1) /
         limits::kKvBlockSizeTokens;
}

// Of layers with a window: the blocks of their pool beside `blocks` of the others. No more than a
// full running set uses, with a step of tokens; at least what one sequence needs.
std::uint64_t window_blocks(const runtime::MemoryPlan& plan,
                            const KvPoolRequest& request,
                            std::uint64_t blocks) {
  if (plan.kv_window_block_bytes == 0) return 0;
  const auto blocks_for = [&](std::int64_t tokens) {
    return static_cast<std::uint64_t>(plan.kv_window_blocks_for(tokens));
  };
  const std::uint64_t least = blocks_for(limits::kKvBlockSizeTokens);
  const auto sequences = static_cast<std::uint64_t>(std::max(request.sequence_count_max, 1));
  const std::uint64_t most =
      sequences * least + blocks_of(std::max(request.step_token_count_max, 1));
  return std::clamp(blocks, least, most);
}

std::uint64_t kv_bytes_of(const runtime::MemoryPlan& plan,
                          const KvPoolRequest& request,
                          std::uint64_t blocks) {
  return add_saturating(
      multiply_saturating(blocks, plan.kv_block_bytes),
      multiply_saturating(window_blocks(plan, request, blocks), plan.kv_window_block_bytes));
}

// The most blocks that fit into `bytes`, at most `block_count_max`.
std::uint64_t blocks_within(const runtime::MemoryPlan& plan,
                            const KvPoolRequest& request,
                            std::uint64_t bytes,
                            std::uint64_t block_count_max) {
  std::uint64_t fits = 0;
  std::uint64_t above = block_count_max + 1;
  while (above - fits > 1) {
    const std::uint64_t middle = fits + (above - fits) / 2;
    (kv_bytes_of(plan, request, middle) <= bytes ? fits : above) = middle;
  }
  return fits;
}

// Blocks beyond which no running set can use more. Where all layers have a window, blocks cost
// nothing but their place in the index.
std::uint64_t usable_blocks(const runtime::MemoryPlan& plan,
                            const KvPoolRequest& request,
                            std::uint64_t context_blocks) {
  constexpr std::uint64_t kFreeBlockCountMax = 1 << 17;
  const std::uint64_t usable = multiply_saturating(
      context_blocks, static_cast<std::uint64_t>(std::max(request.sequence_count_max, 1)));
  if (plan.kv_block_bytes > 0) return std::min(usable, kBlockCountMax);
  return std::min(usable, std::max(context_blocks, kFreeBlockCountMax));
}

std::int32_t tokens_useful(const KvPoolRequest& request) {
  return std::min(
      request.context_tokens_max > 0 ? request.context_tokens_max : kContextTokensUseful,
      kContextTokensUseful);
}

std::uint64_t needed_bytes(const runtime::MemoryPlan& plan,
                           const KvPoolRequest& request,
                           std::uint64_t kv_bytes) {
  return add_saturating(add_saturating(plan.weight_bytes, kv_bytes),
                        workspace_bytes(plan, request));
}

Status too_little(const runtime::MemoryPlan& plan,
                  const KvPoolRequest& request,
                  std::uint64_t kv_bytes) {
  const std::uint64_t workspace = workspace_bytes(plan, request);
  return resource_exhausted(str("not enough memory: weights ",
                                format_bytes(plan.weight_bytes),
                                ", KV cache ",
                                format_bytes(kv_bytes),
                                " and workspace ",
                                format_bytes(workspace),
                                " need ",
                                format_bytes(plan.weight_bytes + kv_bytes + workspace),
                                ", but ",
                                format_bytes(request.available_bytes),
                                " are available"))
      .with_hint(
          "free memory, raise the container's memory limit, choose a smaller KV cache, or serve a "
          "smaller model");
}

}  // namespace

std::uint64_t workspace_bytes(const runtime::MemoryPlan& plan, const KvPoolRequest& request) {
  const auto logit_rows = static_cast<std::uint64_t>(std::max(request.sequence_count_max, 1)) +
                          engine::kPromptRowCountMax;
  return plan.workspace_bytes_per_token *
             static_cast<std::uint64_t>(std::max(request.step_token_count_max, 1)) +
         plan.workspace_bytes_per_logit_row * logit_rows;
}

std::uint64_t available_memory_bytes(const MemorySources& sources) {
  std::uint64_t available = kUnlimited;
  if (const auto kilobytes = read_keyed_number(sources.meminfo, "MemAvailable:")) {
    available = *kilobytes * 1024;
  }
  // Spec: cgroups(7), lines "id:controllers:path"; version 2 has id 0 and no controllers.
  std::ifstream file(sources.self_cgroup);
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string path = line.substr(second + 1);
    if (!path.starts_with('/')) continue;
    if (controllers == ",,") {
      available = std::min(available, hierarchy_headroom(sources.cgroup_root, path, kVersion2));
    } else if (controllers.find(",memory,") != std::string::npos) {
      available =
          std::min(available, hierarchy_headroom(sources.cgroup_root + "/memory", path, kVersion1));
    }
  }
  return available;
}

Status check_memory(const runtime::MemoryPlan& plan, const KvPoolRequest& request) {
  const std::uint64_t kv_bytes =
      request.kv_bytes != 0 ? request.kv_bytes
                            : kv_bytes_of(plan, request, blocks_of(tokens_useful(request)));
  if (needed_bytes(plan, request, kv_bytes) > request.available_bytes) {
    return too_little(plan, request, kv_bytes);
  }
  return ok_status();
}

Result<KvPool> size_kv_pool(const runtime::MemoryPlan& plan, const KvPoolRequest& request) {
  RETURN_IF_ERROR(check_memory(plan, request));
  if (plan.kv_block_bytes + plan.kv_window_block_bytes == 0 || request.context_tokens_max <= 0) {
    return invalid_argument("the model has no key/value cache to size");
  }
  const std::uint64_t context_blocks = blocks_of(request.context_tokens_max);
  const std::uint64_t usable = usable_blocks(plan, request, context_blocks);
  std::uint64_t kv_bytes = request.kv_bytes;
  if (kv_bytes == 0) {
    const std::uint64_t free =
        request.available_bytes - plan.weight_bytes - workspace_bytes(plan, request);
    const auto share = static_cast<std::uint64_t>(static_cast<double>(free) * kFreeMemoryShare);
    const std::uint64_t proportion =
        std::max(kKvBytesDefaultFloor, kKvWeightRatio * plan.weight_bytes);
    // One full context is worth more than the proportion; the share of free memory is a hard bound.
    kv_bytes = std::max(std::min(share, proportion),
                        std::min(kv_bytes_of(plan, request, context_blocks), share));
  }
  const std::uint64_t blocks = blocks_within(plan, request, kv_bytes, usable);
  if (blocks < blocks_of(tokens_useful(request))) {
    return too_little(plan, request, kv_bytes_of(plan, request, blocks_of(tokens_useful(request))));
  }
  KvPool pool;
  pool.block_count = static_cast<std::int32_t>(blocks);
  pool.window_block_count = static_cast<std::int32_t>(window_blocks(plan, request, blocks));
  pool.context_tokens_max = static_cast<std::int32_t>(std::min(
      static_cast<std::uint64_t>(request.context_tokens_max), blocks * limits::kKvBlockSizeTokens));
  return pool;
}

namespace {

// Of a pool of so many bytes, whatever part of it is in use.
void add_bookkeeping(const runtime::MemoryPlan& plan, std::uint64_t kv_bytes, VersionSizes& sizes) {
  const std::uint64_t block =
      std::max<std::uint64_t>(plan.kv_block_bytes + plan.kv_window_block_bytes, 1);
  const std::uint64_t blocks = std::min(kv_bytes / block, kBlockCountMax);
  const std::uint64_t bytes =
      engine::EngineCore::pool_bookkeeping_bytes(static_cast<std::int64_t>(blocks));
  sizes.beside_bytes += bytes;
  sizes.fixed_bytes = add_saturating(sizes.fixed_bytes, bytes);
}

}  // namespace

Result<VersionSizes> size_version(const runtime::MemoryPlan& plan,
                                  const KvPoolRequest& request,
                                  std::uint64_t text_bytes) {
  VersionSizes sizes;
  sizes.weight_bytes = plan.weight_bytes;
  sizes.beside_bytes = text_bytes;
  sizes.kv_has_windows = plan.kv_window_block_bytes > 0;
  sizes.fixed_bytes =
      add_saturating(add_saturating(plan.weight_bytes, workspace_bytes(plan, request)), text_bytes);
  KvPoolRequest known = request;
  if (known.context_tokens_max <= 0) known.context_tokens_max = plan.context_tokens_max;
  const std::uint64_t context = blocks_of(std::max(known.context_tokens_max, tokens_useful(known)));
  const std::uint64_t usable = usable_blocks(plan, request, context);
  sizes.kv_min_bytes = kv_bytes_of(plan, request, blocks_of(tokens_useful(known)));
  sizes.kv_max_bytes = kv_bytes_of(plan, request, usable);
  if (request.kv_bytes != 0) {
    const std::uint64_t blocks = blocks_within(plan, request, request.kv_bytes, usable);
    const std::uint64_t chosen = blocks == 0 ? 0 : kv_bytes_of(plan, request, blocks);
    if (chosen < sizes.kv_min_bytes) return too_little(plan, request, sizes.kv_min_bytes);
    sizes.kv_is_fixed = true;
    sizes.kv_min_bytes = sizes.kv_floor_bytes = chosen;
    sizes.kv_max_bytes = sizes.kv_wish_bytes = chosen;
    add_bookkeeping(plan, chosen, sizes);
    return sizes;
  }
  sizes.kv_wish_bytes =
      std::max(kKvBytesDefaultFloor, multiply_saturating(kKvWeightRatio, plan.weight_bytes));
  const std::uint64_t beside =
      request.available_bytes - std::min(request.available_bytes, sizes.fixed_bytes);
  sizes.kv_floor_bytes =
      std::max(sizes.kv_min_bytes, std::min(kv_bytes_of(plan, request, context), beside / 2));
  const std::uint64_t most =
      std::min({std::max(sizes.kv_wish_bytes, sizes.kv_floor_bytes), sizes.kv_max_bytes, beside});
  add_bookkeeping(plan, most, sizes);
  return sizes;
}

std::uint64_t text_bytes(std::uint64_t bytes_on_disk) {
  return multiply_saturating(bytes_on_disk, kTextBytesPerByteOnDisk);
}

std::uint64_t physical_memory_bytes() {
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const long page = ::sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page <= 0) return kUnlimited;
  return static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page);
}

// Spec: proc(5), /proc/self/statm: the second number is resident pages.
std::uint64_t resident_memory_bytes() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t all = 0;
  std::uint64_t resident = 0;
  const long page = ::sysconf(_SC_PAGESIZE);
  return file >> all >> resident && page > 0 ? resident * static_cast<std::uint64_t>(page) : 0;
}

std::string format_bytes(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 5> kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  double value = static_cast<double>(bytes);
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  char digits[32];
  const auto end =
      std::to_chars(digits, digits + sizeof(digits), value, std::chars_format::fixed, unit ? 1 : 0);
  return str(
      std::string_view(digits, static_cast<std::size_t>(end.ptr - digits)), " ", kUnits[unit]);
}

}  // namespace inferneo::manager

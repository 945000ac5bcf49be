#include "graph/attention_runner.h"

#include <algorithm>

#include "base/check.h"
#include "base/limits.h"
#include "base/str.h"
#include "graph/executor.h"

namespace inferneo::graph {
namespace {

using kernels::kAttentionRange;

constexpr std::int64_t kBlockSize = limits::kKvBlockSizeTokens;
// Query rows of one item: enough to reuse each key, few enough to balance threads.
constexpr std::int32_t kTileRows = 32;
// Items that each thread should have at least: a slow processor then loses little to the others.
constexpr std::int64_t kItemsPerThread = 4;
// Multiply-adds that are worth a thread, as in the executor.
constexpr std::int64_t kWorkMin = 1 << 15;
// Cost of reading a key and its value, in queries that use it.
constexpr std::int64_t kKeyCost = 16;

kernels::AttentionFn find_kernel(const kernels::KernelTable& table, const Arithmetic& arithmetic) {
  switch (arithmetic.kv) {
    case tensor::DType::kF16:
      return arithmetic.rounds_attention ? table.attention_f16 : table.attention_f16_fine;
    case tensor::DType::kBf16:
      return table.attention_bf16;
    case tensor::DType::kI8:
      return table.attention_i8;
    default:
      return table.attention_f32;
  }
}

std::int32_t range_count(std::int64_t keys) {
  return static_cast<std::int32_t>((keys + kAttentionRange - 1) / kAttentionRange);
}

}  // namespace

AttentionRunner::AttentionRunner(const Program& program,
                                 const Constants& constants,
                                 device::CpuDevice& device)
    : device_(device),
      table_(device.kernels()),
      program_(program),
      constants_(constants),
      kernel_(find_kernel(device.kernels(), program.arithmetic)),
      windows_(kv_windows(program)) {
  cuts_[1].has_window = true;
}

Status AttentionRunner::allocate(const StepLimits& limits) {
  const AttentionShape& shape = program_.attention;
  const auto head_dim = static_cast<std::int32_t>(shape.head_dim);
  const auto group = static_cast<std::int32_t>(shape.heads / shape.kv_heads);
  constexpr std::int64_t kLine = 16;  // floats of a cache line
  scratch_stride_ = kernels::attention_scratch_floats(head_dim, group);
  scratch_stride_ = (scratch_stride_ + kLine - 1) / kLine * kLine;
  ASSIGN_OR_RETURN(
      scratch_,
      AnonymousMemory::allocate(
          static_cast<std::size_t>(scratch_stride_ * device_.thread_count()) * sizeof(float),
          "scratch memory of the workers"));
  const std::int32_t window_blocks =
      limits.kv_window_block_count > 0 ? limits.kv_window_block_count : limits.kv_block_count;
  ASSIGN_OR_RETURN(cache_, KvCache::allocate(program_, limits.kv_block_count, window_blocks));

  // Room for the ranges of two single rows that see the whole cache, all heads: a thousandth of
  // the cache. A tile whose partials do not fit is not split. Where all layers have a window, the
  // other blocks have no bytes, and nothing is seen of them.
  const bool all_windows = windows_.layer_count() == shape.layers;
  const std::int64_t blocks_seen = all_windows ? window_blocks : limits.kv_block_count;
  partials_count_ = device_.thread_count() == 1
                        ? 0
                        : 2 * shape.kv_heads * range_count(blocks_seen * kBlockSize) *
                              kernels::attention_partial_floats(group, head_dim);
  if (partials_count_ > 0) {
    ASSIGN_OR_RETURN(
        partials_,
        AnonymousMemory::allocate(static_cast<std::size_t>(partials_count_) * sizeof(float),
                                  "results of attention ranges"));
  }
  const auto tiles = static_cast<std::size_t>(limits.token_count_max / kTileRows) +
                     static_cast<std::size_t>(limits.sequence_count_max);
  // A tile is split into no more pieces than there is room for.
  const auto pieces = static_cast<std::size_t>(device_.thread_count() * kItemsPerThread);
  pending_count_ = pieces * static_cast<std::size_t>(shape.kv_heads);
  for (Cut& cut : cuts_) {
    cut.tiles.resize(tiles);
    cut.items.resize(tiles + pieces + 1);
    cut.pending = std::make_unique<std::atomic<std::int32_t>[]>(pending_count_);
  }
  sorted_.resize(cuts_[0].items.size());
  return ok_status();
}

void AttentionRunner::plan(const Step& step) noexcept {
  step_ = &step;
  const std::int64_t with_window = windows_.layer_count();
  if (with_window < program_.attention.layers) plan(step, cuts_[0]);
  if (with_window > 0) plan(step, cuts_[1]);
}

void AttentionRunner::plan(const Step& step, Cut& cut) noexcept {
  cut_tiles(step, cut);
  cut.item_count = 0;
  cut.partials_used = 0;
  cut.pending_used = 0;
  std::int64_t cost = 0;
  for (std::int32_t i = 0; i < cut.tile_count; ++i) {
    cost += cut.tiles[static_cast<std::size_t>(i)].cost;
  }
  const std::int64_t wanted = device_.thread_count() * kItemsPerThread;
  const std::int64_t cost_max =
      std::max<std::int64_t>(cost * program_.attention.kv_heads / wanted, 1);
  for (std::int32_t i = 0; i < cut.tile_count; ++i) split_tile(cut, i, cost_max);
  balance_items(cut);
}

void AttentionRunner::cut_tiles(const Step& step, Cut& cut) const noexcept {
  const AttentionShape& shape = program_.attention;
  cut.tile_count = 0;
  std::int64_t pairs = 0;  // of a query row and a key
  const auto first_seen = [&](std::int32_t position) {
    return cut.has_window ? std::max(0, position - windows_.reach) : 0;
  };
  for (std::size_t s = 0; s < step.sequences.size(); ++s) {
    const SequenceSlice& slice = step.sequences[s];
    const std::int32_t keys = slice.context_before + slice.token_count;
    pairs += std::int64_t{slice.token_count} * (keys - first_seen(keys - 1));
    for (std::int32_t begin = 0; begin < slice.token_count; begin += kTileRows) {
      DCHECK(static_cast<std::size_t>(cut.tile_count) < cut.tiles.size());
      Tile& tile = cut.tiles[static_cast<std::size_t>(cut.tile_count++)];
      tile = {};
      tile.sequence = static_cast<std::int32_t>(s);
      tile.row_begin = begin;
      tile.row_end = std::min(begin + kTileRows, slice.token_count);
      const std::int64_t queries = (tile.row_end - tile.row_begin) * (shape.heads / shape.kv_heads);
      tile.key_count = shape.is_bidirectional ? keys : slice.context_before + tile.row_end;
      const std::int32_t first = first_seen(slice.context_before + begin);
      tile.range_first = first / kAttentionRange;
      tile.cost = (tile.key_count - first) * (queries + kKeyCost);
    }
  }
  // Two products of head_dim for each pair; vectors there are shorter than in a linear.
  cut.work = 4 * pairs * shape.heads * shape.head_dim;
}

// Makes the items of a tile: one, or several when it costs more than an item should and there is
// room for partials.
void AttentionRunner::split_tile(Cut& cut,
                                 std::int32_t index,
                                 std::int64_t cost_max) const noexcept {
  const AttentionShape& shape = program_.attention;
  Tile& tile = cut.tiles[static_cast<std::size_t>(index)];
  const std::int32_t ranges = range_count(tile.key_count) - tile.range_first;
  const std::int64_t queries = (tile.row_end - tile.row_begin) * (shape.heads / shape.kv_heads);
  const std::int64_t stride = ranges * kernels::attention_partial_floats(
                                           queries, static_cast<std::int32_t>(shape.head_dim));
  const auto heads = static_cast<std::size_t>(shape.kv_heads);
  const auto pieces =
      static_cast<std::int32_t>(std::min<std::int64_t>(ranges, (tile.cost - 1) / cost_max + 1));
  const auto items_after =
      static_cast<std::size_t>(cut.item_count + pieces + cut.tile_count - index - 1);
  const bool fits = cut.partials_used + stride * shape.kv_heads <= partials_count_ &&
                    cut.pending_used + heads <= pending_count_ && items_after <= cut.items.size();
  if (pieces > 1 && fits) {
    tile.piece_count = pieces;
    tile.partials = cut.partials_used;
    tile.partials_stride = stride;
    tile.pending = cut.pending_used;
    cut.partials_used += stride * shape.kv_heads;
    cut.pending_used += heads;
    for (std::size_t head = 0; head < heads; ++head) {
      cut.pending[tile.pending + head].store(pieces, std::memory_order_relaxed);
    }
  }
  for (std::int32_t i = 0; i < tile.piece_count; ++i) {
    DCHECK(static_cast<std::size_t>(cut.item_count) < cut.items.size());
    cut.items[static_cast<std::size_t>(cut.item_count++)] = {
        index,
        tile.range_first + ranges * i / tile.piece_count,
        tile.range_first + ranges * (i + 1) / tile.piece_count,
        tile.cost / tile.piece_count};
  }
}

// Threads begin with equal numbers of consecutive items: deals them out from the most costly one
// on, so that their costs are about equal too, and what others may take at the end is cheap.
void AttentionRunner::balance_items(Cut& cut) noexcept {
  const auto begin = cut.items.begin();
  const auto end = begin + cut.item_count;
  const auto cheaper = [](const Item& a, const Item& b) { return a.cost < b.cost; };
  const auto [least, most] = std::minmax_element(begin, end, cheaper);
  if (cut.item_count == 0 || least->cost == most->cost) return;
  std::sort(begin, end, [&](const Item& a, const Item& b) { return cheaper(b, a); });
  std::copy(begin, end, sorted_.begin());
  std::int32_t to = 0;
  for (std::int32_t thread = 0; thread < device_.thread_count(); ++thread) {
    for (std::int32_t i = thread; i < cut.item_count; i += device_.thread_count()) {
      cut.items[static_cast<std::size_t>(to++)] = sorted_[static_cast<std::size_t>(i)];
    }
  }
}

void AttentionRunner::run_item(const AttentionOp& op,
                               Cut& cut,
                               const Item& item,
                               std::int32_t kv_head,
                               const float* q,
                               float* out,
                               int worker) noexcept {
  const AttentionShape& shape = program_.attention;
  const Tile& tile = cut.tiles[static_cast<std::size_t>(item.tile)];
  const SequenceSlice& slice = step_->sequences[static_cast<std::size_t>(tile.sequence)];
  const std::int64_t width = shape.heads * shape.head_dim;
  kernels::AttentionArgs args;
  args.q = q + slice.token_begin * width;
  args.k_cache = cache_.keys(op.layer);
  args.v_cache = cache_.values(op.layer);
  args.k_scales = cache_.key_scales(op.layer);
  args.v_scales = cache_.value_scales(op.layer);
  args.blocks = slice.blocks_of(cache_.has_window(op.layer));
  args.out = out + slice.token_begin * width;
  args.q_stride = width;
  args.out_stride = width;
  args.row_begin = tile.row_begin;
  args.row_end = tile.row_end;
  args.context_before = slice.context_before;
  args.kv_head = kv_head;
  args.kv_heads = static_cast<std::int32_t>(shape.kv_heads);
  args.group = static_cast<std::int32_t>(shape.heads / shape.kv_heads);
  args.head_dim = static_cast<std::int32_t>(shape.head_dim);
  args.block_size = static_cast<std::int32_t>(kBlockSize);
  args.scale = op.scale;
  args.reach_before = op.reach_before;
  args.reach_after = op.reach_after;
  args.key_count = slice.context_before + slice.token_count;
  args.soft_cap = op.soft_cap;
  args.slopes = op.slopes.empty() ? nullptr : op.slopes.data();
  args.sinks = constants_.find(op.sinks);
  args.scratch = reinterpret_cast<float*>(scratch_.data()) + scratch_stride_ * worker;
  if (tile.piece_count == 1) {
    kernel_(args);
    return;
  }
  args.partials =
      reinterpret_cast<float*>(partials_.data()) + tile.partials + tile.partials_stride * kv_head;
  args.range_begin = item.range_begin;
  args.range_end = item.range_end;
  args.partials_begin = tile.range_first;
  kernel_(args);
  // The last piece to be done merges all; the count is then right for the next layer.
  std::atomic<std::int32_t>& pending =
      cut.pending[tile.pending + static_cast<std::size_t>(kv_head)];
  if (pending.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  pending.store(tile.piece_count, std::memory_order_relaxed);
  table_.attention_merge(args);
}

void AttentionRunner::attend(const AttentionOp& op, const float* q, float* out) noexcept {
  const std::int64_t heads = program_.attention.kv_heads;
  Cut& cut = cuts_[cache_.has_window(op.layer) ? 1 : 0];
  const std::int64_t items = cut.item_count * heads;
  auto body = [&](std::int64_t begin, std::int64_t end, int worker) noexcept {
    for (std::int64_t i = begin; i < end; ++i) {
      const Item& item = cut.items[static_cast<std::size_t>(i / heads)];
      run_item(op, cut, item, static_cast<std::int32_t>(i % heads), q, out, worker);
    }
  };
  const std::int64_t work_per_item =
      std::max<std::int64_t>(cut.work / std::max<std::int64_t>(items, 1), 1);
  device_.parallel_for(items, std::max<std::int64_t>(kWorkMin / work_per_item, 1), body);
}

}  // namespace inferneo::graph

// Every bound of the system in one place: name with unit, and where it comes from. A value that an
// operator may change has a config key of the same name; these are the defaults and the ceilings.
// Thread: any (constants).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace inferneo::limits {

// Names. Why: a registry's "owner/repository" stays below 100 bytes.
inline constexpr std::size_t kModelNameSizeMax = 128;
inline constexpr std::size_t kModelVersionSizeMax = 64;

// HTTP edge. Why: large enough for every published client, small enough that 4,096 connections at
// their bounds stay below a gigabyte.
inline constexpr std::size_t kHttpRequestLineSizeMax = 8 * 1024;
inline constexpr std::size_t kHttpHeaderSizeMax = 32 * 1024;
inline constexpr std::size_t kHttpHeaderCountMax = 100;
inline constexpr std::size_t kHttpBodySizeMax = 8 * 1024 * 1024;
// All request bodies in memory together. Why: 32 of the largest, or thousands of usual ones.
inline constexpr std::size_t kHttpBodyTotalSizeMax = 32 * kHttpBodySizeMax;
inline constexpr std::size_t kConnectionCountMax = 4096;
inline constexpr std::size_t kConnectionPerAddressCountMax = 256;
inline constexpr std::chrono::seconds kHttpHeaderReadTimeout{10};
inline constexpr std::chrono::seconds kHttpBodyIdleTimeout{15};
inline constexpr std::chrono::seconds kHttpKeepAliveTimeout{75};
inline constexpr std::chrono::seconds kHttpWriteStallTimeout{20};
inline constexpr std::chrono::seconds kRequestTimeout{600};
// Comment frames that keep idle proxies from closing a stream.
inline constexpr std::chrono::seconds kSsePingInterval{15};
// Bytes of a response that may wait for a slow reader before its request is cancelled.
inline constexpr std::size_t kResponseBufferSizeMax = 1024 * 1024;

// WebSocket connections. Why a minute: half of it, when a ping is sent, is below the idle time-out
// of usual proxies. A client may have as many requests in flight as run at a time.
inline constexpr std::chrono::seconds kWebSocketIdleTimeout{60};
inline constexpr std::chrono::seconds kWebSocketCloseTimeout{5};
inline constexpr std::chrono::seconds kWebSocketGoodbyeTimeout{1};
inline constexpr int kWebSocketControlPerSecondMax = 100;
inline constexpr std::size_t kWebSocketRequestCountMax = 64;
inline constexpr std::size_t kWebSocketRequestIdSizeMax = 128;

// Request content.
inline constexpr std::size_t kJsonDepthMax = 64;
inline constexpr std::size_t kMessageCountMax = 2048;
inline constexpr std::size_t kToolCountMax = 128;
inline constexpr std::int64_t kChoiceCountMax = 16;
inline constexpr std::size_t kPromptCountMax = 64;
inline constexpr std::size_t kStopCountMax = 16;
inline constexpr std::size_t kStopSizeMax = 256;
inline constexpr std::size_t kStopTokenIdCountMax = 64;
inline constexpr std::size_t kLogitBiasCountMax = 1024;
inline constexpr std::int64_t kTopLogprobsMax = 20;
inline constexpr std::size_t kErrorBodySizeMax = 2048;
inline constexpr std::size_t kNameFieldSizeMax = 256;
// Texts of one request for embeddings, or documents to rank. Why: what OpenAI accepts.
inline constexpr std::size_t kVectorTextCountMax = 2048;

// Batches on local storage. Why: a file of 64 MiB holds the 50,000 requests that clients put into a
// batch at most, and four of them fit the bound of all bodies.
inline constexpr std::size_t kBatchFileSizeMax = 64 * 1024 * 1024;
inline constexpr std::size_t kBatchFileCountMax = 10'000;
inline constexpr std::size_t kBatchLineCountMax = 50'000;
inline constexpr std::uint64_t kBatchBytesMax = std::uint64_t{4} << 30;
inline constexpr std::chrono::seconds kBatchWindow{std::chrono::hours(24)};
// How long a batch that is over is kept. Why: as long as results are usually fetched.
inline constexpr std::chrono::seconds kBatchAgeMax{std::chrono::hours(24 * 30)};

// Stored answers of the Responses API, with the conversations that they continue. Why: a client
// goes on within minutes; 64 MiB hold some ten thousand usual turns.
inline constexpr std::size_t kResponseStoreCountMax = 16'384;
inline constexpr std::size_t kResponseStoreBytesMax = 64 * 1024 * 1024;
inline constexpr std::chrono::hours kResponseStoreAgeMax{24};

// Model files. Why: the largest published config is below 100 KB and the largest tokenizer.json
// below 40 MB; safetensors itself caps its header at 100 MB, real ones stay below 10 MB.
inline constexpr std::size_t kConfigFileSizeMax = 4 * 1024 * 1024;
inline constexpr std::size_t kTokenizerFileSizeMax = 128 * 1024 * 1024;
inline constexpr std::size_t kTemplateSizeMax = 1024 * 1024;
inline constexpr std::uint64_t kSafetensorsHeaderSizeMax = 64 * 1024 * 1024;
inline constexpr std::size_t kTensorCountMax = 200'000;
// GGUF: what the format allows for names; metadata of real files stays below 100 entries, and the
// tokenizer arrays of the largest vocabularies together below 2 million elements. Elements take up
// to 16 bytes in memory, so all arrays of a file stay below 256 MB.
inline constexpr std::size_t kGgufKeySizeMax = 65'535;
inline constexpr std::size_t kGgufTensorNameSizeMax = 64;
inline constexpr std::size_t kGgufRankMax = 4;
inline constexpr std::size_t kGgufMetadataCountMax = 65'536;
inline constexpr std::size_t kGgufArrayElementCountMax = 16 * 1024 * 1024;
inline constexpr std::size_t kVocabSizeMax = 2'000'000;

// Packed weights below this are packed again at each start: that takes about as long as 20 ms.
inline constexpr std::uint64_t kPackedCacheImageSizeMin = 32 * 1024 * 1024;
// Of all models together on disk. Why: some ten of the models that a CPU serves well.
inline constexpr std::uint64_t kPackedCacheBytesMax = std::uint64_t{32} << 30;

// Chat template evaluation, per render.
inline constexpr std::size_t kTemplateStepCountMax = 2'000'000;
inline constexpr std::size_t kTemplateDepthMax = 64;
inline constexpr std::size_t kTemplateOutputSizeMax = 16 * 1024 * 1024;
// Bytes that string and list operations may write or compare in all. Why: 16 full outputs, so that
// a template may build its text in a few passes; copying them takes well below a second.
inline constexpr std::size_t kTemplateWorkSizeMax = 256 * 1024 * 1024;
// Nested lists and dicts; covers kJsonDepthMax with room for what a template wraps around.
inline constexpr std::size_t kTemplateValueDepthMax = 100;
// As the sandbox of jinja2.
inline constexpr std::int64_t kTemplateRangeCountMax = 100'000;
// Height of an expression's tree, and evaluations in progress inside each other (macros multiply
// the first). Why: one takes about 1 KB of stack, 4 KB with sanitizers, and threads have 8 MB.
inline constexpr std::int32_t kTemplateTreeHeightMax = 500;
inline constexpr std::int32_t kTemplateFrameCountMax = 1000;

// Structured output: what compiling one constraint may cost. Why: nesting as of request bodies; 2.5
// million units of work take about 50 ms, a hundred times what published schemas need.
inline constexpr std::size_t kGrammarSourceSizeMax = 256 * 1024;
inline constexpr std::size_t kGrammarDepthMax = kJsonDepthMax;
inline constexpr std::size_t kGrammarRuleCountMax = 20'000;
inline constexpr std::size_t kGrammarWorkMax = 2'500'000;
inline constexpr std::size_t kGrammarChoiceCountMax = 10'000;
// Rules that begin with each other. Why: each costs a stack frame for every byte read.
inline constexpr std::size_t kGrammarLeftChainMax = 128;
// While text is generated: readings of an ambiguous grammar side by side, nesting, and the work of
// one mask (about 100 ms). What exceeds them ends its request only.
inline constexpr std::size_t kGrammarPlaceCountMax = 256;
inline constexpr std::size_t kGrammarFrameCountMax = 1 << 17;
inline constexpr std::uint64_t kGrammarWalkStepMax = 10'000'000;
inline constexpr std::size_t kGrammarWalkDepthMax = 2000;
// Masks kept for one constraint, and constraints kept for one model with theirs.
inline constexpr std::size_t kGrammarMaskCacheSizeMax = 8 * 1024 * 1024;
inline constexpr std::size_t kGrammarCacheSizeMax = 128 * 1024 * 1024;

// Engine. Why: block size 16 tokens keeps the waste of a short sequence below one block and lets a
// block's keys be read as whole cache lines; queue length is four times the running set.
inline constexpr std::int32_t kKvBlockSizeTokens = 16;
inline constexpr std::int32_t kRunningSequenceCountMax = 64;
inline constexpr std::int32_t kStepTokenCountMax = 512;
// How long a step may take while streams run beside prompts. Why: 25 tokens a second read smoothly.
inline constexpr std::chrono::milliseconds kStepTimeTarget{40};
inline constexpr std::int32_t kWaitingRequestCountMax = 4 * kRunningSequenceCountMax;

// Rollouts. Why: a record is saved whole with each step and stays far below a megabyte; a rollout
// has about five events a stage, and someone who looks at one a day finds a year of them.
inline constexpr std::size_t kRolloutEventCountMax = 200;
inline constexpr std::size_t kRolloutStageCountMax = 20;
inline constexpr std::size_t kRolloutKeptCountMax = 400;
inline constexpr std::size_t kGoldenPromptCountMax = 64;
inline constexpr std::size_t kGoldenPromptSizeMax = 16 * 1024;
inline constexpr std::int32_t kGoldenPromptTokensMax = 1024;
inline constexpr std::size_t kWebhookCountMax = 16;
inline constexpr std::size_t kWebhookUrlSizeMax = 2048;

// Requests of one model that may wait while it is loaded: as many as may wait for its engine then.
inline constexpr std::int32_t kModelWaitingRequestCountMax = kWaitingRequestCountMax;
// Why five minutes: a model of 100 GB takes about that long from a disk of 400 MB/s.
inline constexpr std::chrono::seconds kModelWaitTimeout{300};

// Catalog. Why: ten thousand models are ten times what one process is shown to hold; records of
// changes at a hundred a day last for months and take a few megabytes.
inline constexpr std::size_t kCatalogModelCountMax = 10'000;
inline constexpr std::size_t kCatalogAliasCountMax = 10'000;
inline constexpr std::size_t kCatalogAliasPerModelCountMax = 64;
inline constexpr std::size_t kCatalogTagCountMax = 64;
inline constexpr std::size_t kCatalogTagSizeMax = 128;
inline constexpr std::size_t kCatalogStateSizeMax = 1024 * 1024;
inline constexpr std::size_t kAuditRecordCountMax = 10'000;
// Of one text of an audit record (before, after, message); more is cut with a note.
inline constexpr std::size_t kAuditTextSizeMax = 16 * 1024;
// Management requests that may wait for the one before; more are answered 503.
inline constexpr std::size_t kAdminTaskCountMax = 256;
// Watchers of events at a time, and bytes that may wait for one before it is dropped with a note.
inline constexpr std::size_t kEventWatcherCountMax = 64;
inline constexpr std::size_t kEventWaitingSizeMax = 256 * 1024;
// Events that a watcher who comes back can still get. Why: a hundred loads with their progress.
inline constexpr std::size_t kEventKeptCountMax = 1024;
// Files of one model's directory. Why: the largest published checkpoints have some 200 shards.
inline constexpr std::size_t kModelFileCountMax = 4096;

// A stream that waits for its model begins after this, to say how far the load is. Why not at once:
// until then a failure can still be answered with its own status.
inline constexpr std::chrono::seconds kLoadProgressDelay{2};

// Shutdown. Why 5 s of notice: balancers look at readiness every second or two, and act on the
// second or third failure.
inline constexpr std::chrono::milliseconds kShutdownNotice{5000};
inline constexpr std::chrono::seconds kDrainTimeout{30};
// A step in progress for longer than this with work pending turns readiness off.
inline constexpr std::chrono::seconds kEngineStallReadyTimeout{10};
inline constexpr std::chrono::seconds kEngineStallLiveTimeout{60};

}  // namespace inferneo::limits

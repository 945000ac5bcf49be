// Field by field: what is refused names the field and says what it must be; its near twin passes.
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "base/str.h"
#include "gateway/endpoints/chat_request.h"
#include "gateway/endpoints/completion_request.h"
#include "gateway/endpoints/json_reader.h"

namespace inferneo::gateway::endpoints {
namespace {

constexpr const char* kHello = R"("messages":[{"role":"user","content":"Hi"}])";

Result<ChatRequest> bind_chat(const std::string& body) {
  auto object = parse_json_object(body);
  if (!object.has_value()) return object.error();
  return bind_chat_request(*std::move(object));
}

Result<CompletionRequest> bind_completion(const std::string& body) {
  auto object = parse_json_object(body);
  if (!object.has_value()) return object.error();
  return bind_completion_request(*std::move(object));
}

// `members` are added to a minimal valid request. Empty `param`: must pass.
struct Case {
  std::string members;
  std::string param;
  std::string message_part;
};

std::string repeated(const std::string& item, int count) {
  std::string list;
  for (int i = 0; i < count; ++i) list += (i > 0 ? "," : "") + item;
  return list;
}

std::string biases(int count) {
  std::string list;
  for (int i = 0; i < count; ++i) list += str(i > 0 ? "," : "", "\"", i, "\":1");
  return list;
}

template <typename Bind>
void check(const std::vector<Case>& cases, const std::string& minimal, Bind bind) {
  for (const Case& c : cases) {
    const std::string body = "{" + minimal + (minimal.empty() ? "" : ",") + c.members + "}";
    SCOPED_TRACE(body.substr(0, 200));
    const auto result = bind(body);
    if (c.param.empty()) {
      EXPECT_TRUE(result.has_value()) << result.status().to_string();
      continue;
    }
    if (result.has_value()) {
      ADD_FAILURE() << "was accepted";
      continue;
    }
    EXPECT_TRUE(result.error().code() == StatusCode::kInvalidArgument ||
                result.error().code() == StatusCode::kUnsupported)
        << result.error().to_string();
    EXPECT_EQ(result.error().where(), c.param) << result.error().to_string();
    EXPECT_NE(result.error().message().find(c.param.substr(0, c.param.find_first_of("[."))),
              std::string::npos)
        << result.error().message();
    EXPECT_NE(result.error().message().find(c.message_part), std::string::npos)
        << result.error().message();
  }
}

// Valid for both endpoints.
const std::vector<Case>& shared_cases() {
  static const std::vector<Case> cases{
      {R"("temperature":0)", "", ""},
      {R"("temperature":2)", "", ""},
      {R"("temperature":0.7)", "", ""},
      {R"("temperature":null)", "", ""},
      {R"("temperature":2.0001)", "temperature", "a number from 0 to 2, but is 2.0001"},
      {R"("temperature":-0.1)", "temperature", "a number from 0 to 2"},
      {R"("temperature":"1")", "temperature", "but is the string '1'"},
      {R"("temperature":true)", "temperature", "but is a boolean"},
      {R"("temperature":[1])", "temperature", "but is a list"},
      {R"("top_p":1)", "", ""},
      {R"("top_p":0.01)", "", ""},
      {R"("top_p":0)", "top_p", "above 0 and at most 1"},
      {R"("top_p":1.01)", "top_p", "above 0 and at most 1"},
      {R"("top_p":-1)", "top_p", "above 0"},
      {R"("top_p":{})", "top_p", "but is an object"},
      {R"("top_k":1)", "", ""},
      {R"("top_k":0)", "", ""},
      {R"("top_k":-1)", "", ""},
      {R"("top_k":-2)", "top_k", "at least -1"},
      {R"("top_k":1.0)", "top_k", "an integer"},
      {R"("top_k":3000000000)", "top_k", "an integer"},
      {R"("min_p":0)", "", ""},
      {R"("min_p":1)", "", ""},
      {R"("min_p":1.5)", "min_p", "from 0 to 1"},
      {R"("presence_penalty":-2)", "", ""},
      {R"("presence_penalty":2)", "", ""},
      {R"("presence_penalty":2.1)", "presence_penalty", "from -2 to 2"},
      {R"("frequency_penalty":-2)", "", ""},
      {R"("frequency_penalty":-2.1)", "frequency_penalty", "from -2 to 2"},
      {R"("frequency_penalty":"x")", "frequency_penalty", "a number"},
      {R"("repetition_penalty":1.1)", "", ""},
      {R"("repetition_penalty":10)", "", ""},
      {R"("repetition_penalty":0)", "repetition_penalty", "above 0 and at most 10"},
      {R"("repetition_penalty":11)", "repetition_penalty", "above 0 and at most 10"},
      {R"("max_tokens":1)", "", ""},
      {R"("max_tokens":2147483647)", "", ""},
      {R"("max_tokens":0)", "max_tokens", "at least 1 where"},
      {R"("max_tokens":-1)", "max_tokens", "at least 0, but is -1"},
      {R"("max_tokens":1.5)", "max_tokens", "an integer"},
      {R"("max_tokens":"5")", "max_tokens", "an integer"},
      {R"("max_tokens":2147483648)", "max_tokens", "an integer"},
      {R"("n":1)", "", ""},
      {R"("n":16)", "", ""},
      {R"("n":0)", "n", "from 1 to 16"},
      {R"("n":17)", "n", "from 1 to 16"},
      {R"("n":1000000)", "n", "from 1 to 16"},
      {R"("n":-1)", "n", "from 1 to 16"},
      {R"("n":true)", "n", "from 1 to 16"},
      {R"("seed":0)", "", ""},
      {R"("seed":-5)", "", ""},
      {R"("seed":9223372036854775807)", "", ""},
      {R"("seed":9223372036854775808)", "seed", "integer of 64 bits"},
      {R"("seed":0.5)", "seed", "integer"},
      {R"("stop":"x")", "", ""},
      {R"("stop":[])", "", ""},
      {R"("stop":["a","b"])", "", ""},
      {R"("stop":null)", "", ""},
      {R"("stop":[)" + repeated("\"s\"", 16) + "]", "", ""},
      {R"("stop":[)" + repeated("\"s\"", 17) + "]", "stop", "at most 16"},
      {R"("stop":")" + std::string(256, 'x') + "\"", "", ""},
      {R"("stop":")" + std::string(257, 'x') + "\"", "stop", "at most 256"},
      {R"("stop":"")", "stop", "empty string"},
      {R"("stop":["a",""])", "stop", "empty string"},
      {R"("stop":["a",1])", "stop", "a string, but is 1"},
      {R"("stop":5)", "stop", "a string or a list of strings"},
      {R"("stop_token_ids":[0,5])", "", ""},
      {R"("stop_token_ids":[])", "", ""},
      {R"("stop_token_ids":5)", "stop_token_ids", "a list of token ids"},
      {R"("stop_token_ids":[-1])", "stop_token_ids", "at least 0"},
      {R"("stop_token_ids":["5"])", "stop_token_ids", "an integer"},
      {R"("stop_token_ids":[)" + repeated("1", 64) + "]", "", ""},
      {R"("stop_token_ids":[)" + repeated("1", 65) + "]", "stop_token_ids", "at most 64"},
      {R"("logit_bias":{})", "", ""},
      {R"("logit_bias":{"50":-100,"51":100})", "", ""},
      {R"("logit_bias":{"50":-100.5})", "logit_bias", "from -100 to 100"},
      {R"("logit_bias":{"50":101})", "logit_bias", "from -100 to 100"},
      {R"("logit_bias":{"50":"1"})", "logit_bias", "a number"},
      {R"("logit_bias":{"x":1})", "logit_bias", "must be token ids"},
      {R"("logit_bias":{"-1":1})", "logit_bias", "must be token ids"},
      {R"("logit_bias":{"1.5":1})", "logit_bias", "must be token ids"},
      {R"("logit_bias":{"":1})", "logit_bias", "must be token ids"},
      {R"("logit_bias":{"99999999999":1})", "logit_bias", "must be token ids"},
      {R"("logit_bias":{"1":1,"01":2})", "logit_bias", "token 1 twice"},
      {R"("logit_bias":[1])", "logit_bias", "an object"},
      {R"("logit_bias":{)" + biases(1024) + "}", "", ""},
      {R"("logit_bias":{)" + biases(1025) + "}", "logit_bias", "at most 1024"},
      {R"("ignore_eos":true)", "", ""},
      {R"("ignore_eos":1)", "ignore_eos", "true or false, but is 1"},
      {R"("min_tokens":0)", "", ""},
      {R"("min_tokens":5,"max_tokens":5)", "", ""},
      {R"("min_tokens":6,"max_tokens":5)", "min_tokens", "above 'max_tokens'"},
      {R"("min_tokens":-1)", "min_tokens", "at least 0"},
      {R"("include_stop_str_in_output":true)", "", ""},
      {R"("include_stop_str_in_output":"yes")", "include_stop_str_in_output", "true or false"},
      {R"("prompt_logprobs":0)", "", ""},
      {R"("prompt_logprobs":20)", "", ""},
      {R"("prompt_logprobs":21)", "prompt_logprobs", "from 0 to 20"},
      {R"("prompt_logprobs":true)", "prompt_logprobs", "from 0 to 20"},
      {R"("prompt_logprobs":1,"stream":true)", "prompt_logprobs", "'stream'"},
      {R"("stream":true)", "", ""},
      {R"("stream":"true")", "stream", "true or false"},
      {R"("stream":true,"stream_options":{"include_usage":true})", "", ""},
      {R"("stream":true,"stream_options":{})", "", ""},
      {R"("stream":true,"stream_options":{"continuous_usage_stats":true})", "", ""},
      {R"("stream":true,"stream_options":{"include_obfuscation":false})", "", ""},
      {R"("stream":true,"stream_options":{"include_obfuscation":true})",
       "stream_options.include_obfuscation",
       "not supported"},
      {R"("stream":true,"stream_options":{"include_usage":1})",
       "stream_options.include_usage",
       "true or false"},
      {R"("stream":true,"stream_options":{"usage":true})", "stream_options.usage", "unknown"},
      {R"("stream":true,"stream_options":true)", "stream_options", "an object"},
      {R"("stream_options":{"include_usage":true})", "stream_options", "needs 'stream'"},
      {R"("stream":false,"stream_options":null)", "", ""},
      {R"("skip_special_tokens":false)", "", ""},
      {R"("skip_special_tokens":0)", "skip_special_tokens", "true or false"},
      {R"("add_special_tokens":false)", "", ""},
      {R"("add_special_tokens":[])", "add_special_tokens", "true or false"},
      {R"("truncate_prompt_tokens":1)", "", ""},
      {R"("truncate_prompt_tokens":0)", "truncate_prompt_tokens", "at least 1"},
      {R"("return_timings":true)", "", ""},
      {R"("return_timings":1)", "return_timings", "true or false"},
      {R"("return_token_ids":true)", "", ""},
      {R"("return_token_ids":"x")", "return_token_ids", "true or false"},
      {R"("priority":-3)", "", ""},
      {R"("priority":1000001)", "priority", "from -1000000 to 1000000"},
      {R"("priority":0.5)", "priority", "an integer"},
      {R"("cache_salt":"tenant")", "", ""},
      {R"("cache_salt":"")", "cache_salt", "empty"},
      {R"("cache_salt":")" + std::string(257, 's') + "\"", "cache_salt", "at most 256"},
      {R"("model":"m")", "", ""},
      {R"("model":5)", "model", "a string"},
      {R"("model":")" + std::string(257, 'm') + "\"", "model", "at most 256"},
      {R"("user":"u","metadata":{"a":"b"},"store":false,"service_tier":"auto")", "", ""},
      {R"("safety_identifier":"s","prompt_cache_key":"k","cache_prompt":true)", "", ""},
      {R"("prompt_cache_retention":"24h","prompt_cache_options":{})", "", ""},
      {R"("user":5)", "user", "a string"},
      {R"("metadata":"x")", "metadata", "an object"},
      {R"("store":true)", "store", "nothing is stored"},
      {R"("cache_prompt":false)", "cache_prompt", "cannot be switched off"},
      {R"("service_tier":1)", "service_tier", "a string"},
      {R"("guided_json":{})", "", ""},
      {R"("guided_json":null)", "", ""},
      {R"("guided_json":"{\"type\":\"object\"}")", "", ""},
      {R"("guided_json":"{\"type\"")", "guided_json", "a JSON schema or its text"},
      {R"("guided_json":[])", "guided_json", "a JSON schema"},
      {R"("guided_regex":"a")", "", ""},
      {R"("guided_regex":"")", "guided_regex", "must not be empty"},
      {R"("guided_regex":5)", "guided_regex", "a string"},
      {R"("guided_regex":"a","guided_json":{})", "guided_json", "cannot be combined"},
      {R"("guided_grammar":"a")", "", ""},
      {R"("guided_choice":["a"])", "", ""},
      {R"("guided_choice":[])", "guided_choice", "at least one"},
      {R"("guided_choice":[1])", "guided_choice", "strings"},
      {R"("structured_outputs":{})", "", ""},
      {R"("structured_outputs":{"json":{},"disable_any_whitespace":true})", "", ""},
      {R"("structured_outputs":{"json":{},"regex":"a"})",
       "structured_outputs.regex",
       "cannot be combined with 'structured_outputs.json'"},
      {R"("structured_outputs":{"choices":["a"]})",
       "structured_outputs.choices",
       "did you mean 'choice'"},
      {R"("structured_outputs":{"whitespace_pattern":" "})",
       "structured_outputs.whitespace_pattern",
       "not supported"},
      {R"("structured_outputs":[])", "structured_outputs", "an object"},
      {R"("grammar":"a")", "", ""},
      {R"("use_beam_search":true)", "use_beam_search", "not supported"},
      {R"("bad_words":["a"])", "bad_words", "logit_bias"},
      {R"("keep_alive":"5m")", "", ""},
      {R"("keep_alive":"soon")", "keep_alive", "seconds"},
      {R"("moderation":{})", "moderation", "not supported"},
      {R"("temprature":1)", "temprature", "did you mean 'temperature'"},
      {R"("max_token":1)", "max_token", "did you mean 'max_tokens'"},
      {R"("base_url":"x")", "base_url", "unknown field"},
      {R"("Temperature":1)", "Temperature", "unknown field"},
  };
  return cases;
}

TEST(request_binding, shared_fields_of_chat) { check(shared_cases(), kHello, bind_chat); }

TEST(request_binding, shared_fields_of_completions) {
  check(shared_cases(), R"("prompt":"x")", bind_completion);
}

TEST(request_binding, empty_name_and_endless_numbers_are_refused) {
  EXPECT_FALSE(bind_chat(str("{", kHello, R"(,"max_tokens":99999999999999999999})")).has_value());
  EXPECT_FALSE(bind_chat(str("{", kHello, R"(,"":1})")).has_value());
  EXPECT_FALSE(bind_chat(str("{", kHello, R"(,"temperature":1e400})")).has_value());
}

TEST(request_binding, chat_fields) {
  const std::vector<Case> cases{
      {R"("max_completion_tokens":5)", "", ""},
      {R"("max_completion_tokens":0)", "max_completion_tokens", "at least 1"},
      {R"("max_completion_tokens":5,"max_tokens":5)", "", ""},
      {R"("max_completion_tokens":5,"max_tokens":6)", "max_tokens", "differ"},
      {R"("logprobs":true)", "", ""},
      {R"("logprobs":true,"top_logprobs":20)", "", ""},
      {R"("logprobs":true,"top_logprobs":0)", "", ""},
      {R"("logprobs":true,"top_logprobs":21)", "top_logprobs", "from 0 to 20"},
      {R"("logprobs":true,"top_logprobs":-1)", "top_logprobs", "from 0 to 20"},
      {R"("top_logprobs":2)", "top_logprobs", "needs 'logprobs'"},
      {R"("logprobs":false,"top_logprobs":2)", "top_logprobs", "needs 'logprobs'"},
      {R"("logprobs":5)", "logprobs", "true or false"},
      {R"("response_format":{"type":"text"})", "", ""},
      {R"("response_format":{"type":"json_object"})", "", ""},
      {R"("response_format":{"type":"json_object"},"guided_regex":"a")",
       "guided_regex",
       "cannot be combined with 'response_format'"},
      {R"("response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,
          "schema":{"type":"object"}}})",
       "",
       ""},
      {R"("response_format":{"type":"json_schema","json_schema":{}})",
       "response_format.json_schema",
       "must have a schema"},
      {R"("response_format":{"type":"json_schema"})", "response_format", "'json_schema'"},
      {R"("response_format":{"type":"json_schema","json_schema":{"schema":[]}})",
       "response_format.json_schema.schema",
       "a JSON schema"},
      {R"("response_format":{"type":"json_schema","json_schema":{"schema":{},"strict":1}})",
       "response_format.json_schema.strict",
       "true or false"},
      {R"("response_format":{"type":"json_schema","json_schema":{"shema":{}}})",
       "response_format.json_schema.shema",
       "did you mean 'schema'"},
      {R"("response_format":{"type":"xml"})", "response_format", "'xml'"},
      {R"("response_format":{})", "response_format", "an object with a type"},
      {R"("response_format":"text")", "response_format", "an object with a type"},
      {R"("modalities":["text"])", "", ""},
      {R"("modalities":["text","audio"])", "modalities", "not supported"},
      {R"("modalities":[])", "modalities", "the list"},
      {R"("reasoning_effort":"low")", "", ""},
      {R"("reasoning_effort":"huge")", "reasoning_effort", "one of"},
      {R"("chat_template_kwargs":{"enable_thinking":false})", "", ""},
      {R"("chat_template_kwargs":{"messages":[]})", "chat_template_kwargs", "'messages'"},
      {R"("chat_template_kwargs":[])", "chat_template_kwargs", "an object"},
      {R"("add_generation_prompt":false)", "", ""},
      {R"("add_generation_prompt":"no")", "add_generation_prompt", "true or false"},
      {R"("continue_final_message":true)", "continue_final_message", "of the assistant"},
      {R"("continue_final_message":true,"add_generation_prompt":true)",
       "continue_final_message",
       "contradict"},
      {R"("parallel_tool_calls":false)", "", ""},
      {R"("parallel_tool_calls":"x")", "parallel_tool_calls", "true or false"},
      {R"("prediction":{"type":"content","content":"x"})", "", ""},
      {R"("echo":false)", "", ""},
      {R"("echo":true)", "echo", "not supported"},
      {R"("audio":{})", "audio", "not supported"},
      {R"("functions":[])", "functions", "use tools"},
      {R"("function_call":"auto")", "function_call", "use tool_choice"},
      {R"("web_search_options":{})", "web_search_options", "not supported"},
      {R"("verbosity":"low")", "verbosity", "not supported"},
      {R"("chat_template":"{{ x }}")", "chat_template", "come with the model"},
      {R"("prompt":"x")", "prompt", "unknown field"},
      {R"("best_of":2)", "best_of", "unknown field"},
  };
  check(cases, kHello, bind_chat);
}

TEST(request_binding, tools) {
  const std::string tool = R"({"type":"function","function":{"name":"f","parameters":{}}})";
  const std::vector<Case> cases{
      {R"("tools":[)" + tool + "]", "", ""},
      {R"("tools":[])", "", ""},
      {R"("tools":[)" + tool + R"(],"tool_choice":"auto")", "", ""},
      {R"("tools":[)" + tool + R"(],"tool_choice":"none")", "", ""},
      {R"("tools":[)" + tool + R"(],"tool_choice":"required")", "", ""},
      {R"("tools":[)" + tool + R"(],"tool_choice":{"type":"function","function":{"name":"f"}})",
       "",
       ""},
      {R"("tools":[)" + tool + R"(],"tool_choice":{"type":"function","function":{"name":"g"}})",
       "tool_choice",
       "is no tool"},
      {R"("tools":[)" + tool + R"(],"tool_choice":{"type":"function"})",
       "tool_choice.function.name",
       "must be a string"},
      {R"("tool_choice":"required")", "tool_choice", "needs 'tools'"},
      {R"("tool_choice":"maybe")", "tool_choice", "\"auto\", \"required\""},
      {R"("tool_choice":5)", "tool_choice", "\"auto\", \"required\""},
      {R"("parallel_tool_calls":false)", "", ""},
      {R"("parallel_tool_calls":0)", "parallel_tool_calls", "true or false"},
      {R"("enable_thinking":false)", "", ""},
      {R"("enable_thinking":"no")", "enable_thinking", "true or false"},
      {R"("thinking_token_budget":100)", "", ""},
      {R"("thinking_token_budget":-1)", "thinking_token_budget", "at least 0"},
      {R"("include_reasoning":false)", "", ""},
      {R"("include_reasoning":1)", "include_reasoning", "true or false"},
      {R"("tools":{})", "tools", "a list of tools"},
      {R"("tools":[5])", "tools[0]", "an object"},
      {R"("tools":[{"type":"custom"}])", "tools[0].type", "\"function\""},
      {R"("tools":[{"type":"function"}])", "tools[0].function", "an object"},
      {R"("tools":[{"type":"function","function":{}}])", "tools[0].function.name", "a string"},
      {R"("tools":[{"type":"function","function":{"name":""}}])",
       "tools[0].function.name",
       "not empty"},
      {R"("tools":[{"type":"function","function":{"name":"f","parameters":1}}])",
       "tools[0].function.parameters",
       "an object"},
      {R"("tools":[)" + repeated(tool, 128) + "]", "", ""},
      {R"("tools":[)" + repeated(tool, 129) + "]", "tools", "at most 128"},
  };
  check(cases, kHello, bind_chat);
}

TEST(request_binding, messages) {
  const std::string user = R"({"role":"user","content":"x"})";
  const std::string call =
      R"({"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}})";
  const auto messages = [](const std::string& list) { return "\"messages\":[" + list + "]"; };
  const std::vector<Case> cases{
      {messages(user), "", ""},
      {messages(R"({"role":"developer","content":"x"},)" + user), "", ""},
      {messages(R"({"role":"system","content":"x","name":"boss"},)" + user), "", ""},
      {messages(R"({"role":"user","content":[{"type":"text","text":"a"}]})"), "", ""},
      {messages(R"({"role":"user","content":[]})"), "", ""},
      {messages(R"({"role":"user","content":""})"), "", ""},
      {messages(user + R"(,{"role":"assistant","content":null,"tool_calls":[)" + call + "]}"),
       "",
       ""},
      {messages(user + R"(,{"role":"assistant","tool_calls":[)" + call +
                R"(]},{"role":"tool","tool_call_id":"c","content":"5"})"),
       "",
       ""},
      {messages(R"({"role":"assistant","content":"x","refusal":null,"audio":null,)"
                R"("function_call":null,"annotations":[],"tool_calls":null})"),
       "",
       ""},
      {messages(R"({"role":"assistant","refusal":"no"})"), "", ""},
      {messages(R"({"role":"assistant","content":"x","reasoning_content":"y"})"), "", ""},
      {R"("messages":[])", "messages", "at least one"},
      {R"("messages":null)", "messages", "must be given"},
      {R"("messages":"hi")", "messages", "a list of messages"},
      {R"("n":1)", "messages", "must be given"},
      {messages("5"), "messages[0]", "an object, but is 5"},
      {messages(user + ",null"), "messages[1]", "an object, but is null"},
      {messages(R"({"content":"x"})"), "messages[0].role", "must be system"},
      {messages(R"({"role":"robot","content":"x"})"), "messages[0].role", "'robot'"},
      {messages(R"({"role":5,"content":"x"})"), "messages[0].role", "must be system"},
      {messages(R"({"role":"function","name":"f","content":"x"})"),
       "messages[0].role",
       "use \"tool\""},
      {messages(R"({"role":"user"})"), "messages[0].content", "must be given"},
      {messages(R"({"role":"user","content":null})"), "messages[0].content", "must be given"},
      {messages(R"({"role":"user","content":5})"), "messages[0].content", "a string or a list"},
      {messages(R"({"role":"user","content":{}})"), "messages[0].content", "a string or a list"},
      {messages(R"({"role":"user","content":[5]})"), "messages[0].content[0]", "an object"},
      {messages(R"({"role":"user","content":[{"text":"a"}]})"),
       "messages[0].content[0].type",
       "a string"},
      {messages(R"({"role":"user","content":[{"type":"text"}]})"),
       "messages[0].content[0].text",
       "a string"},
      {messages(R"({"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url"}]})"),
       "messages[0].content[1].type",
       "reads text only"},
      {messages(R"({"role":"user","content":[{"type":"input_audio"}]})"),
       "messages[0].content[0].type",
       "reads text only"},
      {messages(R"({"role":"user","content":[{"type":"poem"}]})"),
       "messages[0].content[0].type",
       "'poem'"},
      {messages(R"({"role":"assistant","content":null})"), "messages[0].content", "tool_calls"},
      {messages(R"({"role":"user","content":"x","tool_calls":[)" + call + "]}"),
       "messages[0].tool_calls",
       "assistant only"},
      {messages(R"({"role":"assistant","tool_calls":{}})"), "messages[0].tool_calls", "a list"},
      {messages(R"({"role":"assistant","tool_calls":[{}]})"),
       "messages[0].tool_calls[0].function",
       "an object"},
      {messages(R"({"role":"assistant","tool_calls":[{"function":{}}]})"),
       "messages[0].tool_calls[0].function.name",
       "a string"},
      {messages(R"({"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":5}}]})"),
       "messages[0].tool_calls[0].function.arguments",
       "a string of JSON"},
      {messages(R"({"role":"assistant","tool_calls":[{"type":"x","function":{"name":"f"}}]})"),
       "messages[0].tool_calls[0].type",
       "\"function\""},
      {messages(R"({"role":"tool","content":"x"})"), "messages[0].tool_call_id", "must name"},
      {messages(R"({"role":"tool","content":"x","tool_call_id":5})"),
       "messages[0].tool_call_id",
       "a string"},
      {messages(R"({"role":"user","content":"x","name":5})"), "messages[0].name", "a string"},
      {messages(R"({"role":"user","content":"x","contents":"y"})"),
       "messages[0].contents",
       "did you mean 'content'"},
      {messages(R"({"role":"assistant","content":"x","audio":{"id":"a"}})"),
       "messages[0].audio",
       "reads text only"},
      {messages(repeated(user, 2048)), "", ""},
      {messages(repeated(user, 2049)), "messages", "at most 2048"},
  };
  check(cases, "", bind_chat);
}

TEST(request_binding, completion_fields) {
  const std::vector<Case> cases{
      {R"("prompt":"")", "", ""},
      {R"("prompt":["a","b"])", "", ""},
      {R"("prompt":[1,2,3])", "", ""},
      {R"("prompt":[[1],[2,3]])", "", ""},
      {R"("prompt":[)" + repeated("\"a\"", 64) + "]", "", ""},
      {R"("prompt":[)" + repeated("\"a\"", 65) + "]", "prompt", "at most 64"},
      {R"("n":1)", "prompt", "must be given"},
      {R"("prompt":null)", "prompt", "must be given"},
      {R"("prompt":[])", "prompt", "must not be empty"},
      {R"("prompt":[[]])", "prompt[0]", "at least one token id"},
      {R"("prompt":[[1],[]])", "prompt[1]", "at least one token id"},
      {R"("prompt":[-1])", "prompt", "at least 0"},
      {R"("prompt":[1,2.5])", "prompt", "an integer"},
      {R"("prompt":[1,"a"])", "prompt", "an integer"},
      {R"("prompt":["a",1])", "prompt[1]", "a string, as the first is"},
      {R"("prompt":[[1],"a"])", "prompt[1]", "a list of token ids"},
      {R"("prompt":[true])", "prompt[0]", "a string, a list of strings"},
      {R"("prompt":5)", "prompt", "a string, a list of strings"},
      {R"("prompt":{})", "prompt", "a string, a list of strings"},
      {R"("prompt":"x","logprobs":0)", "", ""},
      {R"("prompt":"x","logprobs":20)", "", ""},
      {R"("prompt":"x","logprobs":21)", "logprobs", "from 0 to 20"},
      {R"("prompt":"x","logprobs":true)", "logprobs", "from 0 to 20"},
      {R"("prompt":"x","echo":true)", "", ""},
      {R"("prompt":"x","echo":"x")", "echo", "true or false"},
      {R"("prompt":"x","echo":true,"logprobs":1,"stream":true)", "", ""},
      {R"("prompt":"x","best_of":1)", "", ""},
      {R"("prompt":"x","best_of":3,"n":3)", "", ""},
      {R"("prompt":"x","best_of":3)", "best_of", "must equal 'n'"},
      {R"("prompt":"x","best_of":0)", "best_of", "from 1 to 16"},
      {R"("prompt":"x","suffix":"")", "", ""},
      {R"("prompt":"x","suffix":"y")", "", ""},
      {R"("prompt":[1],"suffix":"y")", "suffix", "prompts that are texts"},
      {R"("prompt":"x","suffix":"y","echo":true)", "suffix", "cannot be combined"},
      {R"("prompt":"x","suffix":1)", "suffix", "a string"},
      {R"("prompt":"x","messages":[])", "messages", "unknown field"},
      {R"("prompt":"x","tools":[])", "tools", "unknown field"},
  };
  check(cases, "", bind_completion);
}

TEST(request_binding, chat_values_arrive) {
  const auto request = bind_chat(str("{", kHello, R"(,
      "model":"m","temperature":0.5,"top_k":-1,"top_p":0.25,"min_p":0.125,"seed":-1,"n":3,
      "max_completion_tokens":7,"stop":["a","b"],"stop_token_ids":[4],"logit_bias":{"9":2,"3":-1},
      "logprobs":true,"top_logprobs":4,"priority":5,"cache_salt":"s","stream":true,
      "stream_options":{"include_usage":true},"ignore_eos":true,"min_tokens":2,
      "reasoning_effort":"high","chat_template_kwargs":{"a":1}})"));
  ASSERT_TRUE(request.has_value()) << request.status().to_string();
  EXPECT_EQ(request->model, "m");
  EXPECT_EQ(request->choice_count, 3);
  EXPECT_EQ(request->max_tokens, 7);
  EXPECT_EQ(request->priority, -5);
  EXPECT_EQ(request->cache_salt, "s");
  EXPECT_TRUE(request->stream && request->include_usage && request->logprobs);
  runtime::GenerationDefaults defaults;
  defaults.repetition_penalty = 1.5F;
  defaults.top_p = 0.9F;
  const request::SamplingParams sampling = resolve_sampling(*request, defaults);
  EXPECT_EQ(sampling.temperature, 0.5F);
  EXPECT_EQ(sampling.top_k, 0);
  EXPECT_EQ(sampling.top_p, 0.25F);
  EXPECT_EQ(sampling.min_p, 0.125F);
  EXPECT_EQ(sampling.repetition_penalty, 1.5F);
  EXPECT_EQ(sampling.seed, ~0ULL);
  EXPECT_EQ(sampling.logprobs, 4);
  EXPECT_EQ(sampling.stop, (std::vector<std::string>{"a", "b"}));
  ASSERT_EQ(sampling.logit_bias.size(), 2U);
  EXPECT_EQ(sampling.logit_bias[0].id, 3);
  EXPECT_TRUE(sampling.ignore_eos);
  EXPECT_EQ(sampling.min_tokens, 2);
  EXPECT_EQ(request->prompt.template_arguments.as_dict()->size(), 2U);
}

TEST(request_binding, silent_requests_take_the_authors_defaults) {
  const auto request = bind_chat(str("{", kHello, "}"));
  ASSERT_TRUE(request.has_value());
  runtime::GenerationDefaults defaults;
  EXPECT_EQ(resolve_sampling(*request, defaults).temperature, 1.0F);
  defaults.temperature = 0.6F;
  EXPECT_EQ(resolve_sampling(*request, defaults).temperature, 0.6F);
  defaults.greedy = true;
  EXPECT_EQ(resolve_sampling(*request, defaults).temperature, 0.0F);
  const auto warm = bind_chat(str("{", kHello, R"(,"temperature":1})"));
  EXPECT_EQ(resolve_sampling(*warm, defaults).temperature, 1.0F);
}

const std::string& member(const text::Value& message, std::string_view name) {
  static const std::string kNone = "(none)";
  for (const auto& [key, value] : *message.as_dict()) {
    if (key == name && value.as_string() != nullptr) return *value.as_string();
  }
  return kNone;
}

TEST(request_binding, messages_become_what_templates_read) {
  const auto request = bind_chat(R"({"messages":[
      {"role":"developer","content":"be brief"},
      {"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
      {"role":"assistant","tool_calls":[
          {"id":"c1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}},
          {"id":"c2","type":"function","function":{"name":"g","arguments":"not json"}}]},
      {"role":"tool","tool_call_id":"c1","content":"5"}]})");
  ASSERT_TRUE(request.has_value()) << request.status().to_string();
  const text::Value::List& messages = *request->prompt.messages.as_list();
  EXPECT_EQ(member(messages[0], "role"), "system");
  EXPECT_EQ(member(messages[1], "content"), "a\nb");
  EXPECT_EQ(member(messages[2], "content"), "");
  EXPECT_EQ(member(messages[3], "tool_call_id"), "c1");
  const text::Value::List& calls = *messages[2].as_dict()->back().second.as_list();
  const auto arguments = [&](std::size_t i) -> const text::Value& {
    return calls[i].as_dict()->back().second.as_dict()->back().second;
  };
  ASSERT_NE(arguments(0).as_dict(), nullptr);
  EXPECT_EQ(*arguments(0).as_dict()->front().second.as_int(), 1);
  EXPECT_EQ(*arguments(1).as_string(), "not json");
}

TEST(request_binding, tool_choice_none_hides_the_tools) {
  const std::string tool = R"("tools":[{"type":"function","function":{"name":"f"}}])";
  EXPECT_FALSE(bind_chat(str("{", kHello, ",", tool, "}"))->prompt.tools.is_null());
  EXPECT_TRUE(
      bind_chat(str("{", kHello, ",", tool, R"(,"tool_choice":"none"})"))->prompt.tools.is_null());
}

TEST(request_binding, echo_asks_for_prompt_logprobs_without_showing_them_apart) {
  const auto request = bind_completion(R"({"prompt":[5],"echo":true,"logprobs":3})");
  ASSERT_TRUE(request.has_value());
  EXPECT_EQ(request->sampling.prompt_logprobs, 3);
  EXPECT_FALSE(request->prompt_logprobs.has_value());
}

TEST(field_rows, every_field_has_a_note_and_appears_once) {
  for (const auto& rows : {chat_field_rows(), completion_field_rows()}) {
    std::set<std::string_view> names;
    for (const FieldRow& row : rows) {
      EXPECT_TRUE(names.insert(row.name).second) << row.name;
      EXPECT_FALSE(row.note.empty()) << row.name;
    }
    EXPECT_GT(names.size(), 40U);
  }
}

}  // namespace
}  // namespace inferneo::gateway::endpoints

// A page for people who open the server in a browser: the same reference without any script or
// asset from elsewhere.
#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "base/version.h"

#include "gateway/endpoints/endpoint.h"
#include "gateway/endpoints/reference_text.h"

namespace inferneo::gateway::endpoints {
namespace {

constexpr std::string_view kHead =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
    "<meta name=\"viewport\" content=\"width=device-width\"><title>Inferneo API</title><style>"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color:#222;background:#fff}"
    "code{font:14px ui-monospace,monospace;background:#f2f2f2;padding:.1em .3em;border-radius:3px}"
    "table{border-collapse:collapse;width:100%;margin:.5rem 0 1.5rem}"
    "td,th{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #ddd}"
    "summary{cursor:pointer;padding:.2rem 0}h2{margin-top:2rem}.muted{color:#666}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#1a1a1a}"
    "code{background:#2c2c2c}td,th{border-color:#444}.muted{color:#999}}</style></head><body>";

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string_view use_text(FieldUse use) {
  switch (use) {
    case FieldUse::kWorks:
      return "";
    case FieldUse::kNoEffect:
      return "accepted without effect: ";
    case FieldUse::kRefused:
      break;
  }
  return "refused: ";
}

void append_endpoint(std::string& out, const Endpoint& endpoint) {
  const std::string title = str("<code>",
                                endpoint.method,
                                " ",
                                escaped(endpoint.path),
                                "</code> ",
                                escaped(endpoint.summary));
  if (endpoint.fields == nullptr) {
    out += str("<p>", title, "</p>\n");
    return;
  }
  out += str("<details><summary>", title, "</summary><table><tr><th>field</th><th></th></tr>\n");
  for (const FieldRow& row : request_fields(endpoint)) {
    out += str("<tr><td><code>",
               escaped(row.name),
               "</code></td><td><span class=\"muted\">",
               use_text(row.use),
               "</span>",
               escaped(row.note),
               "</td></tr>\n");
  }
  out += "</table></details>\n";
}

std::string page() {
  std::string out(kHead);
  out += str("<h1>Inferneo ",
             escaped(version()),
             "</h1><p>A field that is null counts as absent; one that is not listed is refused "
             "with status 400. For programs: <a href=\"openapi.json\">openapi.json</a>.</p>\n");
  std::map<std::string_view, std::vector<const Endpoint*>> groups;
  for (const Endpoint* endpoint : endpoint_table()) {
    groups[group_of(endpoint->path)].push_back(endpoint);
  }
  for (auto& [group, endpoints] : groups) {
    std::sort(endpoints.begin(), endpoints.end(), [](const Endpoint* a, const Endpoint* b) {
      return std::pair(a->path, a->method) < std::pair(b->path, b->method);
    });
    out += str("<h2>", escaped(group), "</h2>\n");
    for (const Endpoint* endpoint : endpoints) append_endpoint(out, *endpoint);
  }
  return out + "</body></html>\n";
}

void handle(const Services&, std::shared_ptr<http::Exchange> exchange) {
  http::Response response;
  response.content_type = "text/html; charset=utf-8";
  response.headers.emplace_back("Content-Security-Policy",
                                "default-src 'none'; style-src 'unsafe-inline'");
  response.headers.emplace_back("X-Content-Type-Options", "nosniff");
  response.body = page();
  exchange->respond(std::move(response));
}

}  // namespace

extern const Endpoint kDocsEndpoint;
const Endpoint kDocsEndpoint{
    .method = "GET",
    .path = "/docs",
    .summary = "This reference as a page",
    .handle = handle,
};

}  // namespace inferneo::gateway::endpoints

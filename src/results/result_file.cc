#include "results/result_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <optional>
#include <set>
#include <tuple>

#include "results/json_fields.h"

namespace tenfold::results {
namespace {

namespace json = boost::json;

struct Line {
  int number = 0;
  std::string_view text;
  bool whole = true;  // ended by a newline
};

std::vector<Line> LinesOf(std::string_view text) {
  std::vector<Line> lines;
  int number = 0;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    ++number;
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) lines.push_back({number, line, end != std::string_view::npos});
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

std::optional<json::object> ObjectOf(std::string_view text) {
  boost::system::error_code error;
  const json::value value = json::parse(text, error);
  if (error || !value.is_object()) return std::nullopt;
  return value.get_object();
}

std::string KindOf(const json::object& object) {
  const json::value* kind = object.if_contains("kind");
  return kind != nullptr && kind->is_string() ? std::string(kind->get_string()) : "";
}

Error At(const std::string& path, int line, std::string_view what, ErrorCode code = ErrorCode::kCorrupt) {
  return {code, fmt::format("{}:{}: {}", path, line, what)};
}

Status TakeManifest(const json::object& object, ResultFile& out) {
  const json::value* schema = object.if_contains("schema");
  const json::value* plan = object.if_contains("plan");
  if (schema == nullptr || plan == nullptr || !plan->is_object()) {
    return Error{ErrorCode::kCorrupt,
                 "not a manifest of `tenfold bench load --output`: it has no \"schema\" or no \"plan\""};
  }
  if (!schema->is_int64() || schema->get_int64() != kSchema) {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("results of schema {}; this program reads schema {}", json::serialize(*schema), kSchema)};
  }
  TENFOLD_TRY(out.plan, PlanFromJson(plan->get_object()));
  out.manifest = object;
  return {};
}

Status TakeLine(const json::object& object, ResultFile& out) {
  const std::string kind = KindOf(object);
  if (kind == "request") {
    TENFOLD_TRY(Request request, RequestFromJson(object));
    out.requests.push_back(std::move(request));
  } else if (kind == "run") {
    TENFOLD_TRY(Run run, RunFromJson(object));
    out.runs.push_back(run);
  } else if (kind == "server") {
    TENFOLD_TRY(Server server, ServerFromJson(object));
    if (server.index != static_cast<int64_t>(out.servers.size())) {
      return Error{ErrorCode::kCorrupt, fmt::format("server {} comes as number {}", server.index, out.servers.size())};
    }
    out.servers.push_back(std::move(server));
  } else if (kind == "roofline") {
    out.roofline = object;
  } else if (kind == "end") {
    JsonFields fields(object);
    fields.Ignore("kind");
    fields.Ignore("load_average");
    out.interrupted = fields.Flag("interrupted");
    return fields.Done();
  } else {
    return Error{ErrorCode::kCorrupt, fmt::format("a line of kind \"{}\", which no result file has", kind)};
  }
  return {};
}

template <class Record>
auto RunKey(const Record& r) {
  return std::tuple(r.server, r.phase, r.users, r.round);
}

// Requests of a run that did not finish were the lucky ones: they would make it look fast.
void DropUnfinished(ResultFile& out) {
  std::set<std::tuple<int64_t, Phase, int64_t, int64_t>> finished;
  for (const Run& run : out.runs) finished.insert(RunKey(run));
  std::erase_if(out.requests, [&](const Request& request) { return !finished.contains(RunKey(request)); });
}

Status CheckServers(const ResultFile& out) {
  const auto known = [&](int64_t server) { return server < static_cast<int64_t>(out.servers.size()); };
  for (const Request& r : out.requests) {
    if (!known(r.server)) {
      return Error{ErrorCode::kCorrupt,
                   fmt::format("{}: requests of server {}, which has no line", out.path, r.server)};
    }
  }
  if (out.servers.empty()) return Error{ErrorCode::kCorrupt, fmt::format("{}: no server was asked", out.path)};
  return {};
}

}  // namespace

json::object ToJson(const Plan& plan) {
  return {{"timeout_s", plan.timeout_s},
          {"max_tokens", plan.max_tokens},
          {"rounds", plan.rounds},
          {"imported", plan.imported}};
}

Result<Plan> PlanFromJson(const json::object& object) {
  JsonFields fields(object);
  Plan plan;
  plan.timeout_s = fields.Amount("timeout_s");
  plan.max_tokens = fields.Count("max_tokens");
  plan.rounds = fields.Count("rounds");
  plan.imported = fields.Flag("imported");
  TENFOLD_TRY_STATUS(fields.Done());
  if (plan.timeout_s <= 0) return Error{ErrorCode::kCorrupt, "\"timeout_s\" must be more than 0"};
  return plan;
}

json::object ManifestLine(json::object conditions, const Plan& plan) {
  conditions["kind"] = "manifest";
  conditions["schema"] = kSchema;
  conditions["plan"] = ToJson(plan);
  return conditions;
}

json::object EndLine(bool interrupted, const std::string& load_average) {
  return {{"kind", "end"}, {"interrupted", interrupted}, {"load_average", load_average}};
}

Result<ResultFile> ParseResults(std::string_view text, const std::string& path) {
  ResultFile out;
  out.path = path;
  bool ended = false;
  const std::vector<Line> lines = LinesOf(text);
  for (const Line& line : lines) {
    const std::optional<json::object> object = ObjectOf(line.text);
    if (!object) {
      if (&line == &lines.back() && !line.whole && line.number > 1) break;
      return At(path, line.number, "not a JSON object; result files come from `tenfold bench load --output`");
    }
    if (ended) return At(path, line.number, "a line after the last one (\"kind\": \"end\")");
    const Status taken = line.number == 1 ? TakeManifest(*object, out) : TakeLine(*object, out);
    if (!taken.ok()) return At(path, line.number, taken.error().message, taken.error().code);
    ended = KindOf(*object) == "end";
  }
  if (out.manifest.empty()) return Error{ErrorCode::kCorrupt, fmt::format("{}: the file is empty", path)};
  out.interrupted |= !ended;
  DropUnfinished(out);
  TENFOLD_TRY_STATUS(CheckServers(out));
  return out;
}

json::object RooflineOf(std::string_view text) {
  const std::vector<Line> lines = LinesOf(text);
  if (lines.empty()) return {};
  const std::optional<json::object> first = ObjectOf(lines.front().text);
  if (!first || KindOf(*first) != "manifest" || first->contains("schema")) return {};
  for (const Line& line : lines) {
    const std::optional<json::object> object = ObjectOf(line.text);
    if (object && KindOf(*object) == "roofline") return *object;
  }
  return {};
}

}  // namespace tenfold::results

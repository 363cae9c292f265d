#include "tune/journal.h"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "results/json_fields.h"

namespace tenfold::tune {
namespace {

namespace json = boost::json;

constexpr int kSchema = 1;

Error Line(const std::string& path, int line, const std::string& what) {
  return {ErrorCode::kCorrupt, fmt::format("{}:{}: {}", path, line, what)};
}

Status CheckHeader(const json::object& header, const Circumstances& here, const std::string& path) {
  const json::value* schema = header.if_contains("schema");
  const json::value* of = header.if_contains("of");
  if (schema == nullptr || *schema != kSchema || of == nullptr || !of->is_object()) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("{} is no state of a `tenfold tune` of this version; --fresh begins anew", path)};
  }
  for (const auto& [name, value] : here) {
    const json::value* then = of->get_object().if_contains(name);
    const std::string then_text = then != nullptr && then->is_string() ? std::string(then->get_string()) : "nothing";
    if (then_text != value) {
      return Error{ErrorCode::kInvalidArgument,
                   fmt::format("{} holds measurements with {}: {}, here it is {}; --fresh begins anew", path, name,
                               then_text, value)};
    }
  }
  return {};
}

Result<Recorded> RecordedOf(const json::object& object) {
  results::JsonFields fields(object);
  fields.Ignore("kind");
  Recorded recorded;
  recorded.candidate = fields.Text("candidate");
  recorded.scale = fields.Amount("scale");
  recorded.measured.seconds = fields.Amount("seconds");
  recorded.measured.start_s = fields.Amount("start_s");
  recorded.measured.cost_s = fields.Amount("cost_s");
  recorded.measured.failure = fields.Text("failure");
  TENFOLD_TRY_STATUS(fields.Done());
  if (recorded.measured.failure.empty() && recorded.measured.seconds <= 0) {
    return Error{ErrorCode::kCorrupt, "a measurement without failure has seconds"};
  }
  return recorded;
}

}  // namespace

std::string HeaderLine(const Circumstances& circumstances) {
  json::object of;
  for (const auto& [name, value] : circumstances) of[name] = value;
  return json::serialize(json::object{{"kind", "tune"}, {"schema", kSchema}, {"of", std::move(of)}});
}

std::string LineOf(const Recorded& r) {
  return json::serialize(json::object{{"kind", "trial"},
                                      {"candidate", r.candidate},
                                      {"scale", r.scale},
                                      {"seconds", r.measured.seconds},
                                      {"start_s", r.measured.start_s},
                                      {"cost_s", r.measured.cost_s},
                                      {"failure", r.measured.failure}});
}

Result<std::vector<Recorded>> ParseJournal(std::string_view text, const Circumstances& here, const std::string& path) {
  std::vector<Recorded> all;
  int number = 0;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) break;  // cut off
    ++number;
    boost::system::error_code error;
    const json::value value = json::parse(text.substr(0, end), error);
    text.remove_prefix(end + 1);
    if (error || !value.is_object()) return Line(path, number, "no JSON object");
    if (number == 1) {
      TENFOLD_TRY_STATUS(CheckHeader(value.get_object(), here, path));
      continue;
    }
    Result<Recorded> recorded = RecordedOf(value.get_object());
    if (!recorded.ok()) return Line(path, number, recorded.error().message);
    all.push_back(std::move(*recorded));
  }
  return all;
}

Measured Journal::Measure(const Trial& trial) {
  const std::string candidate = space_.TextOf(trial.candidate);
  if (next_ < recorded_.size()) {
    const Recorded& next = recorded_[next_];
    if (next.candidate == candidate && next.scale == trial.scale) {
      ++next_;
      return next.measured;
    }
    diverged_ = true;
    next_ = recorded_.size();
  }
  const Measured measured = measuring_.Measure(trial);
  stopped_ = measuring_.stopped();
  if (!stopped_ && record_) record_({candidate, trial.scale, measured});
  return measured;
}

}  // namespace tenfold::tune

#include "api/text_request.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <limits>

#include "api/json_body.h"
#include "api/json_writer.h"

namespace tenfold::api {
namespace json = boost::json;

Parsed<TokenizeRequest> ParseTokenizeRequest(std::string_view body) {
  Parsed<json::object> object = ParseObject(body);
  if (!object.ok()) return object.error();
  TokenizeRequest request;
  FieldReader reader(*object);
  if (reader.Take("content") == nullptr) reader.Fail(InvalidRequest("content", "'content' is missing."));
  reader.String("content", &request.content);
  reader.Bool("add_special", &request.add_special);
  reader.Bool("parse_special", &request.parse_special);
  reader.Bool("with_pieces", &request.with_pieces);
  std::string model;  // one model is served; some clients name it on every route
  reader.String("model", &model);
  reader.RefuseRest();
  if (reader.failed()) return reader.error();
  return request;
}

Parsed<DetokenizeRequest> ParseDetokenizeRequest(std::string_view body) {
  Parsed<json::object> object = ParseObject(body);
  if (!object.ok()) return object.error();
  DetokenizeRequest request;
  FieldReader reader(*object);
  const json::value* tokens = reader.Take("tokens");
  if (tokens == nullptr) {
    reader.Fail(InvalidRequest("tokens", "'tokens' is missing."));
  } else if (!tokens->is_array()) {
    reader.FailInvalid("tokens", "an array of token ids", *tokens);
  } else {
    for (const json::value& item : tokens->get_array()) {
      const std::optional<int64_t> id = AsInteger(item);
      if (!id || *id < 0 || *id > std::numeric_limits<int32_t>::max()) {
        reader.Fail(InvalidRequest(
            "tokens", fmt::format("'tokens[{}]' is not a token id (an integer >= 0).", request.tokens.size())));
        break;
      }
      request.tokens.push_back(static_cast<int32_t>(*id));
    }
  }
  std::string model;
  reader.String("model", &model);
  reader.RefuseRest();
  if (reader.failed()) return reader.error();
  return request;
}

bool IsUtf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const int length = Utf8Length(bytes);
    if (length == 0) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

std::string TokenizeAnswer(const std::vector<int32_t>& ids, const std::vector<std::string>* pieces) {
  JsonWriter w;
  w.BeginObject().Key("tokens").BeginArray();
  for (size_t i = 0; i < ids.size(); ++i) {
    if (pieces == nullptr) {
      w.Int(ids[i]);
      continue;
    }
    const std::string& piece = (*pieces)[i];
    w.BeginObject().Key("id").Int(ids[i]).Key("piece");
    if (IsUtf8(piece)) {
      w.String(piece);
    } else {
      w.BeginArray();
      for (unsigned char byte : piece) w.Int(byte);
      w.EndArray();
    }
    w.EndObject();
  }
  w.EndArray().EndObject();
  return std::move(w).Take();
}

std::string DetokenizeAnswer(std::string_view content) {
  JsonWriter w;
  w.BeginObject().Key("content").String(content).EndObject();
  return std::move(w).Take();
}

}  // namespace tenfold::api

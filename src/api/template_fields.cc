#include "api/template_fields.h"

#include <boost/json/serialize.hpp>
#include <string>

namespace tenfold::api {

void ReadTemplateFields(FieldReader& reader, ChatRequest* out) {
  if (const boost::json::value* documents = reader.Take("documents")) {
    if (!documents->is_array()) return reader.FailInvalid("documents", "an array", *documents);
    out->documents_json = boost::json::serialize(*documents);
  }
  if (const boost::json::value* kwargs = reader.Take("chat_template_kwargs")) {
    if (!kwargs->is_object()) return reader.FailInvalid("chat_template_kwargs", "an object", *kwargs);
    // Given to the template already: one of both would be ignored.
    for (const char* name : {"messages", "tools", "documents", "add_generation_prompt"}) {
      if (!kwargs->get_object().contains(name)) continue;
      const std::string full = std::string("chat_template_kwargs.") + name;
      return reader.Fail(InvalidRequest(full, "'" + full + "' has a field of its own in the request; send it there."));
    }
    out->template_kwargs_json = boost::json::serialize(*kwargs);
  }
  reader.Bool("add_generation_prompt", &out->add_generation_prompt);
  reader.Bool("continue_final_message", &out->continue_final_message);
}

}  // namespace tenfold::api

// Finds an object of a JSON text that names one key twice.
//
// Why: JSON leaves open which of the two counts, and libraries differ. What somebody checked in front of us (a proxy, a
// filter) may then be the other one. Why a pass of its own: Boost's own builder keeps the last without a word, and
// reading once more without building costs about a tenth of it. Why sorting: a set of hashes could be made slow on
// purpose.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tenfold::api {

// Where the first repeated key is, as in "messages[1].content"; nullopt: nowhere, or the text is not JSON. Escapes
// count as what they stand for. n bytes take O(n log n). Pure, any thread.
std::optional<std::string> FindRepeatedKey(std::string_view json, size_t max_depth);

}  // namespace tenfold::api

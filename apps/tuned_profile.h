// The profile of `tenfold tune` that a server starts with: where it lies, whether it is for us, what it sets.
#pragma once

#include <string>

#include "base/result.h"
#include "config/parse.h"
#include "server/status_json.h"

namespace tenfold::apps {

// Where this user's profile of a model lies; "" where there is no home. Of `profile` = auto.
std::string UsualProfilePath(const std::string& model_path);

// Takes the profile's settings where nothing else has set them, and logs what came of it. A profile for something else
// is left alone, with the reason; so is a broken one that was not asked for by name. Errors, of one asked for by name:
// it cannot be read, or it is broken.
Result<server::TuningState> UseProfile(config::Configuration* configuration);

}  // namespace tenfold::apps

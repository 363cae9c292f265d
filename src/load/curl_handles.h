// libcurl's handles with owners, and what every request of a load test sets on them.
#pragma once

#include <curl/curl.h>

#include <memory>
#include <string>

namespace tenfold::load {

struct EasyClose {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct HeadersFree {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
struct MultiClose {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};
using Easy = std::unique_ptr<CURL, EasyClose>;
using Headers = std::unique_ptr<curl_slist, HeadersFree>;
using Multi = std::unique_ptr<CURLM, MultiClose>;

// libcurl's process-wide state, made once and kept; false when that fails.
bool CurlReady();

// Content-Type and, with a key, Authorization.
Headers MakeHeaders(const std::string& api_key);

}  // namespace tenfold::load

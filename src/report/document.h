// The report of one or several load tests, as sections of text, tables and pictures; rendered as Markdown (text and
// tables) or as one HTML page that needs nothing else (pictures too). Everything in it comes from result files.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <vector>

#include "gate/rules.h"
#include "results/result_file.h"

namespace tenfold::report {

struct Table {
  std::vector<std::string> head;
  std::vector<std::vector<std::string>> rows;  // as many cells as the head
};
struct Picture {
  std::string caption;
  std::string svg;  // ours: text inside is escaped already
};
struct Section {
  std::string title;
  std::vector<std::string> lines;
  std::vector<Table> tables;
  std::vector<Picture> pictures;
};

// One server of one file. The first is "before", the last "after" where there are several.
struct Subject {
  const results::ResultFile* file = nullptr;
  int64_t server = 0;
  std::string label;
};

// files: at least one, each outlives the call. roofline: a line of `tenfold bench roofline --json`, or empty. Pure.
std::vector<Section> MakeReport(const std::vector<results::ResultFile>& files, const boost::json::object& roofline,
                                const gate::Rules& rules);

// Pure; any text from files is made harmless.
std::string ToMarkdown(const std::vector<Section>& sections);
std::string ToHtml(const std::vector<Section>& sections);

// '&', '<', '>' and quotes as HTML entities; control characters as spaces.
std::string Escaped(const std::string& text);

}  // namespace tenfold::report

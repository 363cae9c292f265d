// Sections as Markdown and as one HTML page (document.h). The page fetches nothing and runs nothing.
#include <fmt/format.h>

#include "report/document.h"

namespace tenfold::report {
namespace {

constexpr std::string_view kHead = R"(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>tenfold report</title><style>
:root{color-scheme:light dark;--page:#fff;--ink:#1c2530;--dim:#5b6673;--grid:#dfe4ea;--band:#bfe3c6;--a:#2f6fd0;--b:#d9782d;--c:#7a4fc2;
--d:#1f8f86;--e:#a3455f;--f:#6b7a1f;--queued:#c3cad3;--prefill:#e0a13a;--bad:#c8312b}
@media(prefers-color-scheme:dark){:root{--page:#14181d;--ink:#e5eaf0;--dim:#9aa6b3;--grid:#2d353f;--band:#24452c;--a:#6ea4f5;--b:#f0a063;
--c:#b394ee;--d:#58c7bd;--e:#e08aa2;--f:#b5c45a;--queued:#56606c;--prefill:#d9a548;--bad:#f0665f}}
body{background:var(--page);color:var(--ink);font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2rem;border-bottom:1px solid var(--grid);overflow-wrap:anywhere}li{overflow-wrap:anywhere}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:13px;margin:.7rem 0}
th,td{border-bottom:1px solid var(--grid);padding:.2rem .6rem;text-align:left}th{color:var(--dim);font-weight:600}
td:nth-child(2):not(:last-child){white-space:nowrap}figure{margin:1rem 0}figcaption{color:var(--dim);font-size:13px}svg{width:100%;min-width:34rem;height:auto;font:12px system-ui,sans-serif}
text{fill:var(--ink)}.tick,.legend{font-size:11px}.small{font-size:9px}.tick,.small{fill:var(--dim)}.grid{stroke:var(--grid)}.band{fill:var(--band)}
.s0{fill:var(--a)}.s1{fill:var(--b)}.s2{fill:var(--c)}.s3{fill:var(--d)}.s4{fill:var(--e)}.s5{fill:var(--f)}.line{fill:none;stroke-width:2}
.l0{stroke:var(--a)}.l1{stroke:var(--b)}.l2{stroke:var(--c)}.l3{stroke:var(--d)}.l4{stroke:var(--e)}.l5{stroke:var(--f)}
.queued{fill:var(--queued)}.prefill{fill:var(--prefill)}.decode{fill:var(--a)}.failed{fill:var(--bad)}
.key span{display:inline-block;width:.8em;height:.8em;margin:0 .3em 0 1em}.key .queued{background:var(--queued)}
.key .prefill{background:var(--prefill)}.key .decode{background:var(--a)}.key .failed{background:var(--bad)}.key .band{background:var(--band)}
</style></head><body><h1>Load test report</h1>
<p class="key"><span class="queued"></span>queued (or until the first token)<span class="prefill"></span>prefill
<span class="decode"></span>decode<span class="failed"></span>failed<span class="band"></span>the band of the rules</p>
)";

// A cell or a line of Markdown: nothing in it begins a table cell, a tag, a link or a heading.
std::string Tame(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += ' ';
      continue;
    }
    if (c == '<' || c == '>' || c == '&') {
      out += c == '<' ? "&lt;" : c == '>' ? "&gt;" : "&amp;";
      continue;
    }
    if (std::string_view("|[]*_`\\#").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

void Row(const std::vector<std::string>& cells, std::string& out) {
  for (const std::string& cell : cells) out += "| " + Tame(cell) + " ";
  out += "|\n";
}

void HtmlTable(const Table& table, std::string& out) {
  out += "<div class=\"wide\"><table><tr>";
  for (const std::string& cell : table.head) out += "<th>" + Escaped(cell) + "</th>";
  out += "</tr>\n";
  for (const auto& row : table.rows) {
    out += "<tr>";
    for (const std::string& cell : row) out += "<td>" + Escaped(cell) + "</td>";
    out += "</tr>\n";
  }
  out += "</table></div>\n";
}

}  // namespace

std::string Escaped(const std::string& text) {
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
      case '\'':
        out += "&#39;";
        break;
      default:
        out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
    }
  }
  return out;
}

std::string ToMarkdown(const std::vector<Section>& sections) {
  std::string out = "# Load test report\n";
  for (const Section& section : sections) {
    out += "\n## " + Tame(section.title) + "\n\n";
    for (const std::string& line : section.lines) out += "- " + Tame(line) + "\n";
    for (const Table& table : section.tables) {
      out += "\n";
      Row(table.head, out);
      for (size_t i = 0; i < table.head.size(); ++i) out += "|---";
      out += "|\n";
      for (const auto& row : table.rows) Row(row, out);
    }
  }
  return out;
}

std::string ToHtml(const std::vector<Section>& sections) {
  std::string out(kHead);
  for (const Section& section : sections) {
    out += "<h2>" + Escaped(section.title) + "</h2>\n";
    if (!section.lines.empty()) out += "<ul>\n";
    for (const std::string& line : section.lines) out += "<li>" + Escaped(line) + "</li>\n";
    if (!section.lines.empty()) out += "</ul>\n";
    for (const Picture& picture : section.pictures) {
      if (picture.svg.empty()) continue;
      out += "<figure><figcaption>" + Escaped(picture.caption) + "</figcaption>\n<div class=\"wide\">" + picture.svg +
             "</div></figure>\n";
    }
    for (const Table& table : section.tables) HtmlTable(table, out);
  }
  return out + "</body></html>\n";
}

}  // namespace tenfold::report

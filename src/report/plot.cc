#include "report/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/document.h"

namespace tenfold::report {
namespace {

constexpr size_t kColours = 6;

// 1, 2 or 5 times a power of ten, so that there are some five steps to `most`.
double StepTo(double most) {
  const double rough = most / 5;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (rough <= factor * power) return factor * power;
  }
  return 10 * power;
}

}  // namespace

std::string ColourOf(char kind, size_t subject) { return fmt::format("{}{}", kind, subject % kColours); }

void Plot::Text(double x, double y, const std::string& text, std::string_view anchor, std::string_view style) {
  out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" class=\"{}\">{}</text>\n", x, y, anchor, style,
                     Escaped(text));
}

void Plot::Box(double x, double y, double w, double h, std::string_view style, const std::string& tip) {
  const std::string title = tip.empty() ? "" : "<title>" + Escaped(tip) + "</title>";
  out += fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" class=\"{}\">{}</rect>\n", x,
                     y, std::max(0.0, w), std::max(0.0, h), style, title);
}

void Plot::Line(double x1, double y1, double x2, double y2, std::string_view style) {
  out += fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" class=\"{}\"/>\n", x1, y1, x2, y2,
                     style);
}

void Plot::Curve(const std::string& points, size_t subject) {
  out += fmt::format("<polyline points=\"{}\" class=\"line {}\"/>\n", points, ColourOf('l', subject));
}

void Plot::YAxis(const std::string& name) {
  const double step = StepTo(y_most);
  for (double y = 0; y <= y_most * 1.0001; y += step) {
    Line(left, Y(y), width - right, Y(y), "grid");
    Text(left - 6, Y(y) + 4, fmt::format("{:g}", y), "end");
  }
  Text(4, top - 8, name, "start");
}

void Plot::XAxis(const std::string& name) {
  const double step = StepTo(x_most);
  for (double x = 0; x <= x_most * 1.0001; x += step) {
    Line(X(x), top, X(x), height - bottom, "grid");
    Text(X(x), height - bottom + 16, fmt::format("{:g}", x));
  }
  Text((left + width - right) / 2, height - 8, name);
}

void Plot::Legend(const std::vector<std::string>& labels) {
  for (size_t i = 0; i < labels.size(); ++i) {
    const double y = 14 + 18 * static_cast<double>(i);
    Box(left, y - 9, 12, 10, ColourOf('s', i));
    Text(left + 18, y, labels[i], "start", "legend");
  }
  top += 18 * static_cast<double>(labels.size());
  height += 18 * static_cast<double>(labels.size());
}

std::string Plot::Svg(std::string_view label) const {
  return fmt::format("<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"{}\">\n{}</svg>\n", width, height,
                     Escaped(std::string(label)), out);
}

}  // namespace tenfold::report

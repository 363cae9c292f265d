// One picture under construction: a plane with axes, and marks on it, as inline SVG. What is drawn is charts.h's.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tenfold::report {

// Data run from 0 to x_most and y_most; the four margins hold axes, and above the plane the legend. Colours are
// classes of the page's style: s0 to s5 fill and l0 to l5 stroke what belongs to one of several subjects.
struct Plot {
  double width = 760, height = 300;  // pixels of the view box, as all below
  double left = 60, right = 20, top = 24, bottom = 44;
  double x_most = 1, y_most = 1;
  std::string out{};

  double X(double x) const { return left + x / x_most * (width - left - right); }
  double Y(double y) const { return height - bottom - y / y_most * (height - top - bottom); }

  void Text(double x, double y, const std::string& text, std::string_view anchor = "middle",
            std::string_view style = "tick");
  // tip: what a pointer that rests on it is told.
  void Box(double x, double y, double w, double h, std::string_view style, const std::string& tip = "");
  void Line(double x1, double y1, double x2, double y2, std::string_view style);
  void Curve(const std::string& points, size_t subject);
  // The plane's axes with names; lines of a grid at round numbers.
  void YAxis(const std::string& name);
  void XAxis(const std::string& name);
  // Names beside the colours of the subjects, one a line above the plane, which moves down: before anything else.
  void Legend(const std::vector<std::string>& labels);

  // label: of the picture as a whole, for who does not see it.
  std::string Svg(std::string_view label) const;
};

// The class of the subject's colour: "s" or "l" and a number.
std::string ColourOf(char kind, size_t subject);

}  // namespace tenfold::report

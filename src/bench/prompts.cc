#include "bench/prompts.h"

#include <fmt/format.h>

#include <array>
#include <span>

namespace tenfold::bench {
namespace {

constexpr std::array<std::string_view, 16> kPrompts = {
    "I keep a small vegetable garden on a windy balcony facing west. Last summer the tomatoes split, the basil went "
    "yellow and only the chard did well. The pots are thirty centimetres deep and I can water once a day in the "
    "evening. Which four vegetables would you plant there this spring, in which order, and what would you change "
    "about the soil and the watering? Keep it short.",
    "Our team of six moves a billing service from one large database to two smaller ones. Writes must not stop for "
    "more than a minute, and last year's attempt was rolled back because totals no longer matched. Describe a plan "
    "in five steps, say after each step how we would notice that something went wrong, and what the way back from "
    "there is. Assume that nobody works at night or on Sundays.",
    "My daughter is nine and asked why the moon sometimes appears in the daytime sky, and why it then looks pale. "
    "She knows that the Earth turns and that the moon goes round it, but not more. Please write an answer that I can "
    "read out to her, with one small experiment that we can do using a lamp, an orange and a dark room. Please use "
    "no word she would not know.",
    "Write a polite but firm letter to a landlord. The heating in our flat has failed three times since November, "
    "each time for two days or longer. He answered twice by phone and once not at all. We want a lasting repair by "
    "the end of the month and a lower rent for the days without heat. Keep it below one page, and do not threaten "
    "him with a court. Sign as Jonas.",
    "A bakery sells rye bread in loaves of one kilogram. Flour has become eleven percent dearer, electricity "
    "eighteen percent and wages four percent; they make up thirty, ten and forty percent of the price of a loaf. By "
    "how much does the price have to rise if the profit per loaf shall stay the same? Show each step of the "
    "calculation, please. Round only at the very end.",
    "I have to give a talk of ten minutes about the history of lighthouses to people who have never been at sea. I "
    "know about Alexandria, about the Eddystone towers and about the Fresnel lens. Suggest an outline with a "
    "beginning that wakes them up, three parts that build on one another, and a last sentence which they will "
    "remember on the way home. Be concrete.",
    "Explain the difference between a process and a thread to somebody who has written small scripts for two years "
    "but never a program that does two things at once. Use one example from a restaurant kitchen and one from a "
    "computer, say which mistakes beginners make with shared data, and finish with a short checklist of four or five "
    "points. Avoid technical words where plain ones will do, and define the others once.",
    "We are two adults and a child of five and will spend four days in Lisbon at the end of October, without a car. "
    "We like trams, markets, old libraries and the sea, but no museums on sunny days. Plan the four days so that no "
    "walk is longer than half an hour, and keep one afternoon free for rain. Say what must be booked ahead of time.",
    "Read this sentence from a contract: the supplier is liable for delays unless they were caused by events outside "
    "its reasonable control and it gave notice without undue delay. Rewrite it in plain English for a customer, list "
    "three questions that it leaves open, and propose one addition that would make it fairer for both of the two "
    "sides. Say at the start which of the two sides you think wrote it.",
    "My bread always comes out flat. I use five hundred grams of wheat flour, three hundred and seventy grams of "
    "water, ten grams of salt and a little dry yeast, leave it for two hours and bake at two hundred degrees. What "
    "are the three most likely reasons, how can I tell them apart by looking at the dough, and what should I change "
    "first, and why? Be brief.",
    "Compare three ways to store the photographs of a family over thirty years: printed albums, a hard disk in a "
    "drawer and a paid service on the internet. For each say what it costs in money and in work, what usually goes "
    "wrong with it and how one would notice in time. Then recommend a combination for people who hate to look after "
    "computers. Do not name any company, only kinds of service.",
    "Write the opening scene of a story. A woman who repairs clocks in a harbour town receives a watch that runs "
    "backwards, and the man who brings it insists that it is in order. It is raining, the shop is about to close, "
    "and neither of the two says what they really want. Write about two hundred words, in the past tense, without "
    "adjectives in the dialogue. Be bold.",
    "Our football club has forty children and three coaches, and every week some parents complain that their child "
    "plays too little. Propose a simple rule for playing time that is fair for beginners and for talents, explain "
    "how to tell it to the parents at the first meeting of the year, and give two answers for parents who disagree "
    "with it loudly. Think of the quiet children too, who never say what they want.",
    "I measure the temperature in a cellar every ten minutes and want to know if the new insulation has helped. I "
    "have three weeks of numbers from before and two weeks from after, but the weather outside was colder after. How "
    "should I compare them honestly, which chart would show it best, and how sure can I be with so little data to go "
    "on? I can use a spreadsheet but not program.",
    "Describe how a letter travelled from Vienna to Venice around the year 1750: who carried it, which way it went "
    "over the mountains, how long it took in summer and in winter, what it cost and who paid. If something is not "
    "known for certain, say so. End with what changed when the railway came, in two or three sentences and not more "
    "than that.",
    "I am preparing for an interview as a night nurse in a small hospital after six years in a home for old people. "
    "They will ask why I want to change, how I deal with two emergencies at once and what I do when a doctor is "
    "wrong. Give me an honest, short answer for each of the three, and two good questions that I could ask them at "
    "the end. Be frank.",
};

// Prompt i of `count`: numbered from the second time round, at its front, so that not even a prefix is shared.
template <class Prompts>
std::vector<std::string> Repeat(const Prompts& prompts, size_t count) {
  std::vector<std::string> out;
  out.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    const auto& prompt = prompts[i % prompts.size()];
    const size_t round = i / prompts.size();
    out.push_back(round == 0 ? std::string(prompt) : fmt::format("({}) {}", round + 1, prompt));
  }
  return out;
}

}  // namespace

std::vector<std::string> BuiltInPrompts(size_t count) { return Repeat(kPrompts, count); }

Result<std::vector<std::string>> PromptsFromLines(std::string_view text, size_t count) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.find_first_not_of(" \t") != std::string_view::npos) lines.emplace_back(line);
  }
  if (lines.empty()) return Error{ErrorCode::kInvalidArgument, "--prompts: the file has no line with text in it"};
  return Repeat(lines, count);
}

}  // namespace tenfold::bench

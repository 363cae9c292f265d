// English prompts.
#include "load/prompt_texts.h"

namespace tenfold::load {
namespace {

constexpr std::string_view kShortEnglish[] = {
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

constexpr std::string_view kPagesEnglish[] = {
    "Minutes of the water committee, Hallberg, 14 March. Present: Ines Rohde (chair), Piet Aumann, Sara Lindqvist, "
    "Tomas Veit, and the engineer of the district. The spring at the upper meadow gave 3.1 litres a second in "
    "January and 2.4 in February; the pipe to the school froze twice, on the ninth and on the twenty-second. Repairs "
    "cost 1,840 euros, of which the insurer pays two thirds. Ines reported that the pump house needs a new roof "
    "before next winter. Two offers are there: slate for 9,200 euros with a life of sixty years, or metal for 5,700 "
    "euros with thirty. Tomas warned that the metal roof would be loud in hail and that the neighbours had "
    "complained before. Sara asked whether the reserve of 12,500 euros may be used for it; the engineer said that at "
    "least 6,000 must stay for a broken main. The committee put the decision off until the April meeting and asked "
    "Piet to look for a third offer.",
    "Report on the trial of electric vans, first quarter. Six vans replaced six diesel ones on the northern routes. "
    "They drove 21,300 kilometres together, the longest day being 148. Energy came to 27 kilowatt hours per hundred "
    "kilometres in March and 34 in January, when drivers heated with the doors open at every stop. Charging at the "
    "depot cost 19 cents per kilowatt hour at night and 41 during the day; a fifth of it happened during the day "
    "because the evening shift returned late. Two vans stood still for nine days together: one with a broken "
    "charging port, one after a collision that was not its driver's fault. Drivers liked the quiet and the pull "
    "uphill, and disliked the small screen and that the range shown fell by a third on motorways. Loading took the "
    "same time as before. The workshop has so far spent 640 euros on the six, against 2,900 on the diesel vans in "
    "the same months of the year before.",
    "Notice to visitors of the botanical garden. From the first of May the palm house closes for fourteen months. "
    "Its glass dates from 1908, and one pane in seven is cracked; the frame rusts where condensed water runs down. "
    "The 212 plants move to three tents on the south lawn, except the two date palms, which are too tall and will be "
    "wrapped and kept at eight degrees where they stand. During the move, from 3 to 21 April, the southern gate is "
    "shut and visitors come in by the river. Tickets cost four euros instead of six as long as the house is closed; "
    "holders of a yearly card get three months added. The cafe stays open but has no inside seats. School classes "
    "can see the tents on Tuesdays and Thursdays at ten and at two if they write a week before. Guided tours about "
    "the restoration, with a look at the old furnace, take place on the last Sunday of each month and are limited to "
    "fifteen people because of the stairs.",
    "From the log of the weather station on Skarholm, the week of 6 October. Monday: wind from the south-west, "
    "eleven metres a second, gusts of nineteen; the ferry of 16:40 was cancelled. Tuesday: rain all day, 31 "
    "millimetres, the cellar pump ran for five hours. Wednesday: clear and cold, minus one at night, first ice on "
    "the rain barrel; the humidity sensor showed 104 percent and was exchanged. Thursday: the supply boat brought "
    "batteries, flour, and the wrong filters again; the inspector from the mainland counted the spare parts and "
    "found two missing. Friday: fog until noon, visibility below two hundred metres, horn sounded every ninety "
    "seconds; a fishing boat asked for its position over the radio and was told. Saturday: quiet. Painted the door. "
    "Sunday: pressure fell by twenty-two hectopascals within nine hours, the strongest fall since the station was "
    "rebuilt in 1987, and all three of us slept in our clothes.",
};

constexpr std::string_view kAboutPageEnglish[] = {
    "Read the page below and answer in five sentences: what was decided or found, what is still open, and what would "
    "you ask next?",
    "Sum up the page below for somebody who has one minute. Name the two figures that matter most and say why.",
    "Find in the page below everything that costs money, put it into a short list with the amounts, and say which of "
    "it could be avoided.",
    "Which statements of the page below are facts, which are opinions? Give two of each, and one that could be "
    "either.",
};

constexpr std::string_view kAboutPagesEnglish[] = {
    "Below are four pages that have nothing to do with one another. Give each a title, sum each up in two sentences, "
    "and end with the one that asks most urgently for a decision, and why.",
    "Read the four pages below. Which numbers in them belong to money, which to time and which to weather? Make "
    "three short lists and name the page of each entry.",
    "Below are four pages from four archives. Write for each the three most important facts, then one question that "
    "the page leaves open.",
};

}  // namespace

extern const Texts kEnglishTexts = {kShortEnglish, kPagesEnglish, kAboutPageEnglish, kAboutPagesEnglish};

}  // namespace tenfold::load

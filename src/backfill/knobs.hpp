// The table behind Settings: one row per knob.
//
// What: how a knob is called, what it takes, how it is read into a Settings and written. Why a table: reading, writing,
// error texts and the list of names cannot drift apart. Captureless functions, so the table needs no constructor and
// nothing runs when the library is loaded or the process ends.
#pragma once

#include <span>
#include <string>

#include "backfill/settings.hpp"

namespace migration::backfill {

enum class Form { text, number, list };

struct Knob {
  const char* name;
  bool tunable;
  Form form;            ///< in JSON; a number or list may also be a word such as "off"
  const char* range;    ///< for people: what it takes, with units
  const char* example;  ///< a value that is accepted, as JSON
  bool (*set)(Settings&, const std::string&);
  std::string (*show)(const Settings&);
};

std::span<const Knob> all_knobs();

/// A JSON string.
std::string quote(const std::string& text);

}  // namespace migration::backfill

// Reading and writing Settings; see settings.hpp.
#include "backfill/settings.hpp"

#include "backfill/knobs.hpp"
#include "statement/error.hpp"
#include "statement/formatted.hpp"

namespace migration::backfill {

namespace {

using Text = std::string;

const Knob* find(const Text& name) {
  for (const Knob& knob : all_knobs()) {
    if (name == knob.name) return &knob;
  }
  return nullptr;
}

/// At most about 100 bytes, not cut inside a character.
Text shortened(const Text& text) {
  if (text.size() <= 100) return text;
  std::size_t n = 97;
  while (n > 0 && (static_cast<unsigned char>(text[n]) & 0xC0) == 0x80) --n;
  return text.substr(0, n) + "...";
}

Text json_of(const Knob& knob, const Settings& settings) {
  const Text value = knob.show(settings);
  const bool number = knob.form == Form::number && value.find_first_not_of("0123456789-") == Text::npos;
  return number || knob.form == Form::list ? value : quote(value);
}

Text list_of_names(Use use) {
  Text out;
  for (const Knob& knob : all_knobs()) {
    if (use == Use::tune && !knob.tunable) continue;
    out += (out.empty() ? "" : ", ") + Text(knob.name);
  }
  return out;
}

Text hint(const Text& example, const Knob& knob) {
  const Text json = formatted("{{\"{}\": {}}}", knob.name, knob.example);
  const std::size_t at = example.find("{}");
  return at == Text::npos ? example : example.substr(0, at) + json + example.substr(at + 2);
}

}  // namespace

void apply(Settings& settings, const Settings& base, const Entries& given, Use use, const Text& example) {
  for (const auto& [key, value] : given) {
    const Knob* knob = find(key);
    if (knob == nullptr) {
      throw MigrationError(sqlstate::invalid_parameter, formatted("unknown backfill setting \"{}\"", shortened(key)),
                           formatted("There are: {}.", list_of_names(use)), hint(example, *find("batch_target")));
    }
    if (use == Use::tune && !knob->tunable) {
      throw MigrationError(
          sqlstate::invalid_parameter, formatted("backfill setting \"{}\" is fixed when the backfill is made", key),
          formatted("Those that can change are: {}.", list_of_names(Use::tune)), hint(example, *find("batch_target")));
    }
    const Text text = value ? *value : knob->show(base);
    if (knob->set(settings, text)) continue;
    throw MigrationError(sqlstate::invalid_parameter,
                         formatted("invalid value for backfill setting \"{}\": \"{}\"", key, shortened(text)),
                         formatted("It takes {}.", knob->range), hint(example, *knob));
  }
}

std::vector<std::pair<Text, Text>> entries(const Settings& settings, Use use) {
  std::vector<std::pair<Text, Text>> out;
  for (const Knob& knob : all_knobs()) {
    if (use == Use::create || knob.tunable) out.emplace_back(knob.name, knob.show(settings));
  }
  return out;
}

Text to_json(const Settings& settings, Use use) {
  Text out = "{";
  for (const Knob& knob : all_knobs()) {
    if (use == Use::tune && !knob.tunable) continue;
    out += formatted("{}{}: {}", out.size() > 1 ? ", " : "", quote(knob.name), json_of(knob, settings));
  }
  return out + "}";
}

Text to_json(const Settings& settings, const Entries& of) {
  Text out = "{";
  for (const auto& [key, value] : of) {
    const Knob* knob = find(key);
    if (knob == nullptr) continue;
    out += formatted("{}{}: {}", out.size() > 1 ? ", " : "", quote(key), value ? json_of(*knob, settings) : "null");
  }
  return out + "}";
}

bool is_tunable(const Text& key) {
  const Knob* knob = find(key);
  return knob != nullptr && knob->tunable;
}

}  // namespace migration::backfill

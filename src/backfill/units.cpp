// Reading and writing amounts; see units.hpp.
#include "backfill/units.hpp"

#include "statement/formatted.hpp"

#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdint>

namespace migration::backfill {

namespace {

constexpr double largest = 9.0e18;

char lower(char c) {
  return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// A number without sign at the front of `text`, which loses it.
std::optional<double> take_number(std::string_view& text) {
  double value = 0;
  if (text.empty() || !(is_digit(text[0]) || text[0] == '.')) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

std::string_view take_word(std::string_view& text) {
  std::size_t n = 0;
  while (n < text.size() && std::isalpha(static_cast<unsigned char>(text[n])) != 0) ++n;
  const std::string_view word = text.substr(0, n);
  text.remove_prefix(n);
  return word;
}

struct Unit {
  const char* name;
  long long size;
};

constexpr Unit byte_units[] = {{"PB", 1LL << 50}, {"TB", 1LL << 40}, {"GB", 1LL << 30},
                               {"MB", 1LL << 20}, {"kB", 1LL << 10}, {"B", 1}};
constexpr Unit time_units[] = {{"d", 86400000}, {"h", 3600000}, {"min", 60000}, {"s", 1000}, {"ms", 1}};
constexpr Unit time_names[] = {{"us", 0},           {"ms", 1},           {"millisecond", 1}, {"milliseconds", 1},
                               {"s", 1000},         {"sec", 1000},       {"secs", 1000},     {"second", 1000},
                               {"seconds", 1000},   {"min", 60000},      {"mins", 60000},    {"minute", 60000},
                               {"minutes", 60000},  {"m", 60000},        {"h", 3600000},     {"hour", 3600000},
                               {"hours", 3600000},  {"d", 86400000},     {"day", 86400000},  {"days", 86400000},
                               {"week", 604800000}, {"weeks", 604800000}};

/// HH:MM or HH:MM:SS; hours may exceed a day when `open_ended`.
std::optional<long long> parse_clock(std::string_view text, bool open_ended) {
  long long parts[3] = {0, 0, 0};
  int n = 0;
  while (n < 3) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), parts[n]);
    if (error != std::errc() || parts[n] < 0 || !is_digit(text[0])) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    ++n;
    if (text.empty()) break;
    if (text[0] != ':') return std::nullopt;
    text.remove_prefix(1);
    if (text.empty()) return std::nullopt;
  }
  if (!text.empty() || n < 2 || parts[1] > 59 || parts[2] > 59 || parts[0] > (open_ended ? 100000 : 24)) {
    return std::nullopt;
  }
  return (parts[0] * 60 + parts[1]) * 60 + parts[2];
}

constexpr const char* day_names[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};

std::optional<int> day_number(std::string_view word) {
  for (int i = 0; i < 7; ++i) {
    if (word.size() >= 3 && same_word(word.substr(0, 3), day_names[i])) return i;
  }
  return std::nullopt;
}

std::optional<Window> parse_window(std::string_view text) {
  Window window;
  text = trim(text);
  if (!text.empty() && !is_digit(text[0])) {
    const auto first = day_number(take_word(text));
    if (!first) return std::nullopt;
    int last = *first;
    if (!text.empty() && text[0] == '-') {
      text.remove_prefix(1);
      const auto day = day_number(take_word(text));
      if (!day) return std::nullopt;
      last = *day;
    }
    window.days = 0;
    for (int day = *first;; day = (day + 1) % 7) {
      window.days |= 1U << day;
      if (day == last) break;
    }
    text = trim(text);
  }
  const std::size_t end = text.find(' ');
  const std::string_view hours = text.substr(0, end);
  const std::size_t dash = hours.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto from = parse_clock(hours.substr(0, dash), false);
  const auto to = parse_clock(hours.substr(dash + 1), false);
  if (!from || !to || *from % 60 != 0 || *to % 60 != 0) return std::nullopt;
  window.from = static_cast<int>(*from / 60);
  window.to = static_cast<int>(*to / 60);
  if (window.from >= 1440 || window.to > 1440 || window.from == window.to) return std::nullopt;
  if (end != std::string_view::npos) window.zone = std::string(trim(text.substr(end)));
  return window;
}

}  // namespace

std::string_view trim(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) text.remove_suffix(1);
  return text;
}

bool same_word(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

std::optional<long long> parse_bytes(std::string_view text) {
  text = trim(text);
  const auto number = take_number(text);
  if (!number) return std::nullopt;
  text = trim(text);
  long long size = text.empty() ? 1 : 0;
  for (const Unit& unit : byte_units) {
    if (same_word(text, unit.name)) size = unit.size;
  }
  const double bytes = std::round(*number * static_cast<double>(size));
  if (size == 0 || bytes > largest) return std::nullopt;
  return static_cast<long long>(bytes);
}

std::string show_bytes(long long bytes) {
  for (const Unit& unit : byte_units) {
    if (bytes != 0 && bytes % unit.size == 0) return formatted("{}{}", bytes / unit.size, unit.name);
  }
  return formatted("{}B", bytes);
}

std::string about_bytes(double bytes) {
  for (const Unit& unit : byte_units) {
    const double n = bytes / static_cast<double>(unit.size);
    if (n >= 10 || (n >= 1 && unit.size == 1)) return formatted("{:.0f} {}", n, unit.name);
    if (n >= 1) return formatted("{:.1f} {}", n, unit.name);
  }
  return "0 B";
}

std::optional<long long> parse_duration(std::string_view text, long long bare) {
  text = trim(text);
  if (text.find(':') != std::string_view::npos) {
    const auto seconds = parse_clock(text, true);
    if (!seconds) return std::nullopt;
    return *seconds * 1000;
  }
  if (text.empty()) return std::nullopt;
  double total = 0;
  while (!text.empty()) {
    const auto number = take_number(text);
    if (!number) return std::nullopt;
    text = trim(text);
    const std::string_view word = take_word(text);
    text = trim(text);
    if (word.empty()) {
      if (!text.empty() || total != 0 || (bare == 0 && *number != 0)) return std::nullopt;
      total = *number * static_cast<double>(bare);
      break;
    }
    bool known = false;
    for (const Unit& unit : time_names) {
      if (!same_word(word, unit.name)) continue;
      known = true;
      total += *number * (unit.size == 0 ? 0.001 : static_cast<double>(unit.size));
    }
    if (!known) return std::nullopt;
  }
  if (total > largest / 1e6) return std::nullopt;
  return static_cast<long long>(std::round(total));
}

std::string show_duration(long long ms) {
  for (const Unit& unit : time_units) {
    if (ms != 0 && ms % unit.size == 0) return formatted("{}{}", ms / unit.size, unit.name);
  }
  return formatted("{}ms", ms);
}

std::string about_duration(double ms) {
  const auto seconds = static_cast<long long>(ms / 1000.0);
  if (ms < 1000) return formatted("{:.0f} ms", ms);
  if (seconds < 60) return formatted("{} s", seconds);
  if (seconds < 3600) return formatted("{} min {} s", seconds / 60, seconds % 60);
  if (seconds < 86400) return formatted("{} h {} min", seconds / 3600, seconds / 60 % 60);
  return formatted("{} d {} h", seconds / 86400, seconds / 3600 % 24);
}

std::optional<std::vector<Window>> parse_windows(std::string_view text) {
  std::vector<Window> windows;
  for (std::size_t start = 0; start <= text.size();) {
    std::size_t comma = text.find(',', start);
    if (comma == std::string_view::npos) comma = text.size();
    auto window = parse_window(text.substr(start, comma - start));
    if (!window) return std::nullopt;
    windows.push_back(std::move(*window));
    start = comma + 1;
  }
  for (std::size_t i = windows.size() - 1; i-- > 0;) {
    if (windows[i].zone.empty()) windows[i].zone = windows[i + 1].zone;
  }
  for (const Window& window : windows) {
    if (window.zone.empty()) return std::nullopt;
  }
  return windows;
}

std::string show_windows(const std::vector<Window>& windows) {
  std::string out;
  for (const Window& w : windows) {
    if (!out.empty()) out += ", ";
    if ((w.days & 0x7f) != 0x7f) {
      // A run of days, perhaps over the end of the week: it starts where the day before is not in it.
      int first = 0;
      while ((w.days >> first & 1) == 0 || (w.days >> ((first + 6) % 7) & 1) != 0) ++first;
      int last = first;
      while ((w.days >> ((last + 1) % 7) & 1) != 0) last = (last + 1) % 7;
      out += day_names[first];
      if (last != first) out += formatted("-{}", day_names[last]);
      out += ' ';
    }
    out += formatted("{:02}:{:02}-{:02}:{:02} {}", w.from / 60, w.from % 60, w.to / 60, w.to % 60, w.zone);
  }
  return out;
}

bool is_open(const Window& w, int weekday, int minute) {
  const auto on = [&](int day) { return (w.days >> ((day + 6) % 7) & 1) != 0; };
  if (w.from < w.to) return on(weekday) && minute >= w.from && minute < w.to;
  return (on(weekday) && minute >= w.from) || (on(weekday + 6) && minute < w.to);
}

}  // namespace migration::backfill

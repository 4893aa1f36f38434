// Amounts and times of day as people write them.
//
// What: bytes with units ('256MB'), durations ('200ms', '1h 30min', '01:30:00'), time windows with a zone
// ('22:00-05:00 Europe/Berlin'), each read and written. Why here and not by the server's own types: settings are
// checked where no server is, and what is stored must mean the same under every DateStyle and IntervalStyle. Invariant:
// what show writes, parse reads to the same value. The zone of a window is only carried along: which time it is there
// is the server's knowledge.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace migration::backfill {

/// Bytes; units B, kB, MB, GB, TB, PB (powers of 1024), whatever the case; none means bytes.
std::optional<long long> parse_bytes(std::string_view text);
/// In the greatest unit that leaves no remainder: '256MB', '1500kB'.
std::string show_bytes(long long bytes);
/// For people, rounded: '311 MB'.
std::string about_bytes(double bytes);

/// Milliseconds. Units us, ms, s, min, h, d, week and their English names, several parts, or HH:MM[:SS]. A bare number
/// is read in `bare` milliseconds each; 0 = a unit is needed (except for 0 itself).
std::optional<long long> parse_duration(std::string_view text, long long bare = 0);
/// In the greatest unit that leaves no remainder: '200ms', '90min'.
std::string show_duration(long long ms);
/// For people: '14 s', '3 min 20 s', '2 h 5 min'.
std::string about_duration(double ms);

/// An opening on some weekdays; `to` not after `from` reaches into the next day, which belongs to the day it opened.
struct Window {
  int from = 0, to = 0;  ///< minutes of the day; to may be 1440
  unsigned days = 0x7f;  ///< bit 0 = Monday
  std::string zone;
};
/// '[Mon-Fri ]22:00-05:00[ Zone], ...'; an item without a zone has that of the next one with one.
std::optional<std::vector<Window>> parse_windows(std::string_view text);
std::string show_windows(const std::vector<Window>& windows);
/// `weekday` 1 = Monday .. 7 = Sunday, `minute` of the day, both in the window's zone.
bool is_open(const Window& window, int weekday, int minute);

std::string_view trim(std::string_view text);
bool same_word(std::string_view a, std::string_view b);

}  // namespace migration::backfill

// The rows of the table; see knobs.hpp. Ranges and units stand here once.
#include "backfill/knobs.hpp"

#include <algorithm>
#include <charconv>
#include <initializer_list>

#include "backfill/list_text.hpp"
#include "statement/formatted.hpp"

namespace migration::backfill {

namespace {

using Text = std::string;

template <class Integer>
bool set_number(Integer& to, const Text& text, long long low, long long high) {
  long long value = 0;
  const std::string_view t = trim(text);
  const auto [end, error] = std::from_chars(t.data(), t.data() + t.size(), value);
  if (error != std::errc() || end != t.data() + t.size() || value < low || value > high) return false;
  to = static_cast<Integer>(value);
  return true;
}

bool is_off(const Text& text) {
  return same_word(trim(text), "off");
}

bool set_limit(std::optional<long long>& to, const Text& text, long long low, long long high) {
  if (is_off(text)) {
    to.reset();
    return true;
  }
  long long value = 0;
  if (!set_number(value, text, low, high)) return false;
  to = value;
  return true;
}

bool set_bytes(std::optional<long long>& to, const Text& text, long long low) {
  if (is_off(text)) {
    to.reset();
    return true;
  }
  const auto bytes = parse_bytes(text);
  if (!bytes || *bytes < low) return false;
  to = *bytes;
  return true;
}

bool set_duration(std::optional<long long>& to, const Text& text, long long low, long long high) {
  if (is_off(text)) {
    to.reset();
    return true;
  }
  const auto ms = parse_duration(text);
  if (!ms || *ms < low || *ms > high) return false;
  to = *ms;
  return true;
}

bool set_word(Text& to, const Text& text, std::initializer_list<const char*> words) {
  for (const char* word : words) {
    if (!same_word(trim(text), word)) continue;
    to = word;
    return true;
  }
  return false;
}

bool set_bool(bool& to, const Text& text) {
  const std::string_view t = trim(text);
  const bool yes = same_word(t, "on") || same_word(t, "true") || same_word(t, "yes");
  if (!yes && !same_word(t, "off") && !same_word(t, "false") && !same_word(t, "no")) return false;
  to = yes;
  return true;
}

bool set_text(Text& to, const Text& text, std::size_t longest) {
  if (text.size() > longest) return false;
  to = is_off(text) ? Text() : Text(trim(text));
  return true;
}

bool set_list(std::vector<Text>& to, const Text& text) {
  auto items = parse_list(text);
  if (!items) return false;
  to = std::move(*items);
  return true;
}

Text or_off(const std::optional<long long>& value, Text (*show)(long long)) {
  return value ? show(*value) : Text("off");
}
Text plain(long long value) {
  return std::to_string(value);
}
Text or_off(const Text& text) {
  return text.empty() ? Text("off") : text;
}

#define SET [](Settings & s, const Text& t) -> bool
#define SHOW [](const Settings& s) -> Text

constexpr long long hour = 3600000, day = 24 * hour;

constexpr Knob knobs[] = {{"action", false, Form::text, "'update', 'delete' or 'copy'", "\"update\"",
                           SET{return set_word(s.action, t, {"update", "delete", "copy"});
}  // namespace
, SHOW {
  return s.action;
}
}  // namespace migration::backfill
, {"into", false, Form::text, "the name of a table", "\"archive.item\"",
   SET{return !trim(t).empty() && set_text(s.into, t, 300);
}
, SHOW {
  return or_off(s.into);
}
}
, {"columns", false, Form::list, "an array of column names", "[\"id\", \"name\"]", SET{return set_list(s.columns, t);
}
, SHOW {
  return show_list(s.columns);
}
}
, {"on_conflict", false, Form::text, "'error' or 'nothing'", "\"nothing\"",
   SET{return set_word(s.on_conflict, t, {"error", "nothing"});
}
, SHOW {
  return s.on_conflict;
}
}
, {"from", false, Form::text, "a table with or without an alias", "\"country AS k\"",
   SET{return !trim(t).empty() && set_text(s.from, t, 10000);
}
, SHOW {
  return or_off(s.from);
}
}
, {"cursor", false, Form::text, "'auto', 'ctid' or 'keyset'", "\"keyset\"",
   SET{return set_word(s.cursor, t, {"auto", "ctid", "keyset"});
}
, SHOW {
  return s.cursor;
}
}
, {"key", false, Form::list, "an array of column names", "[\"id\"]", SET{return set_list(s.key, t);
}
, SHOW {
  return show_list(s.key);
}
}
, {"trigger", false, Form::text, "'auto', 'on' or 'off'", "\"on\"",
   SET{return set_word(s.trigger, t, {"auto", "on", "off"});
}
, SHOW {
  return s.trigger;
}
}
, {"verify", false, Form::text, "'off', 'constraint' or 'scan'", "\"scan\"",
   SET{return set_word(s.verify, t, {"off", "constraint", "scan"});
}
, SHOW {
  return s.verify;
}
}
, {"after", false, Form::list, "an array of run ids", "[7]", SET{std::vector<Text> items;
std::vector<long long> ids;
if (!set_list(items, t)) return false;
for (const Text& item : items) {
  if (!set_number(ids.emplace_back(), item, 1, 9223372036854775807LL)) return false;
}
s.after = std::move(ids);
return true;
}
, SHOW {
  Text out = "[";
  for (const long long id : s.after) out += (out.size() > 1 ? ", " : "") + std::to_string(id);
  return out + "]";
}
}
, {"batch_target", true, Form::text, "a duration from 1ms to 1h; a number is milliseconds", "\"200ms\"",
   SET{const auto ms = parse_duration(t, 1);
if (!ms || *ms < 1 || *ms > hour) return false;
s.batch_target_ms = static_cast<int>(*ms);
return true;
}
, SHOW {
  return show_duration(s.batch_target_ms);
}
}
, {"max_batch_rows", true, Form::number, "a number of rows from 1 to 100000000", "100000",
   SET{return set_number(s.max_batch_rows, t, 1, 100000000);
}
, SHOW {
  return plain(s.max_batch_rows);
}
}
, {"max_batch_wal", true, Form::text, "bytes from 8kB on, with a unit (kB, MB, GB), or 'off'", "\"64MB\"",
   SET{return set_bytes(s.max_batch_wal, t, 8192);
}
, SHOW {
  return or_off(s.max_batch_wal, show_bytes);
}
}
, {"passes", true, Form::number, "'auto', 'off' or a number from 2 to 64", "\"auto\"",
   SET{if (same_word(trim(t), "auto")) return s.passes = 0, true;
if (is_off(t)) return s.passes = 1, true;
return set_number(s.passes, t, 2, 64);
}
, SHOW {
  return s.passes == 0 ? Text("auto") : s.passes == 1 ? Text("off") : plain(s.passes);
}
}
, {"window_blocks", true, Form::number, "'auto' or a number of blocks from 8 to 131072", "500",
   SET{if (same_word(trim(t), "auto")) return s.window_blocks = 0, true;
return set_number(s.window_blocks, t, 8, 131072);
}
, SHOW {
  return s.window_blocks == 0 ? Text("auto") : plain(s.window_blocks);
}
}
, {"vacuum", true, Form::text, "'auto', 'off' or percents of the table from '1%' to '100%'", "\"20%\"",
   SET{if (same_word(trim(t), "auto")) return s.vacuum = -1, true;
if (is_off(t)) return s.vacuum = 0, true;
const std::string_view n = trim(t);
return n.ends_with('%') && set_number(s.vacuum, Text(n.substr(0, n.size() - 1)), 1, 100);
}
, SHOW {
  return s.vacuum < 0 ? Text("auto") : s.vacuum == 0 ? Text("off") : formatted("{}%", s.vacuum);
}
}
, {"workers", true, Form::number, "a number from 1 to 64", "2", SET{return set_number(s.workers, t, 1, 64);
}
, SHOW {
  return plain(s.workers);
}
}
, {"synchronous_commit", true, Form::text, "'on', 'off', 'local', 'remote_write' or 'remote_apply'", "\"off\"",
   SET{return set_word(s.synchronous_commit, t, {"on", "off", "local", "remote_write", "remote_apply"});
}
, SHOW {
  return s.synchronous_commit;
}
}
, {"max_errors", true, Form::number, "a number of rows from 0 to 1000000", "100",
   SET{return set_number(s.max_errors, t, 0, 1000000);
}
, SHOW {
  return plain(s.max_errors);
}
}
, {"priority", true, Form::number, "a number from -1000 to 1000", "10",
   SET{return set_number(s.priority, t, -1000, 1000);
}
, SHOW {
  return plain(s.priority);
}
}
, {"max_lag", true, Form::text, "bytes of WAL, with a unit (kB, MB, GB), or 'off'", "\"256MB\"",
   SET{return set_bytes(s.max_lag, t, 0);
}
, SHOW {
  return or_off(s.max_lag, show_bytes);
}
}
, {"max_lag_time", true, Form::text, "a duration from 1s to 30d, with a unit (s, min, h), or 'off'", "\"10s\"",
   SET{return set_duration(s.max_lag_time_ms, t, 1000, 30 * day);
}
, SHOW {
  return or_off(s.max_lag_time_ms, show_duration);
}
}
, {"max_slot_retention", true, Form::text, "bytes of WAL, with a unit (kB, MB, GB), or 'off'", "\"16GB\"",
   SET{return set_bytes(s.max_slot_retention, t, 0);
}
, SHOW {
  return or_off(s.max_slot_retention, show_bytes);
}
}
, {"max_archive_backlog", true, Form::number, "a number of WAL files from 0 to 1000000, or 'off'", "64",
   SET{return set_limit(s.max_archive_backlog, t, 0, 1000000);
}
, SHOW {
  return or_off(s.max_archive_backlog, plain);
}
}
, {"max_wal_rate", true, Form::text, "bytes per second from 8kB on, with a unit (kB, MB, GB), or 'off'", "\"20MB\"",
   SET{return set_bytes(s.max_wal_rate, t, 8192);
}
, SHOW {
  return or_off(s.max_wal_rate, show_bytes);
}
}
, {"max_active", true, Form::number, "a number of sessions from 0 to 1000000, or 'off'", "16",
   SET{return set_limit(s.max_active, t, 0, 1000000);
}
, SHOW {
  return or_off(s.max_active, plain);
}
}
, {"max_waiters", true, Form::number, "a number of sessions from 0 to 1000000, or 'off'", "0",
   SET{return set_limit(s.max_waiters, t, 0, 1000000);
}
, SHOW {
  return or_off(s.max_waiters, plain);
}
}
, {"autovacuum", true, Form::text, "'yield' or 'ignore'", "\"yield\"",
   SET{return set_word(s.autovacuum, t, {"yield", "ignore"});
}
, SHOW {
  return s.autovacuum;
}
}
, {"max_xmin_age", true, Form::text, "a duration from 1s to 365d, with a unit (s, min, h), or 'off'", "\"10min\"",
   SET{return set_duration(s.max_xmin_age_ms, t, 1000, 365 * day);
}
, SHOW {
  return or_off(s.max_xmin_age_ms, show_duration);
}
}
, {"max_size", true, Form::text, "bytes from 8kB on, with a unit (MB, GB, TB), or 'off'", "\"500GB\"",
   SET{return set_bytes(s.max_size, t, 8192);
}
, SHOW {
  return or_off(s.max_size, show_bytes);
}
}
, {"check", true, Form::text, "a boolean SQL expression of at most 10000 bytes (true = go on), or 'off'",
   "\"extract(hour FROM now()) < 6\"", SET{return set_text(s.check, t, 10000);
}
, SHOW {
  return or_off(s.check);
}
}
, {"throttle", true, Form::text, "'on' or 'off'", "\"on\"", SET{return set_bool(s.throttle, t);
}
, SHOW {
  return Text(s.throttle ? "on" : "off");
}
}
, {"window", true, Form::text, "'[Mon-Fri ]HH:MM-HH:MM zone', several with commas, or 'off'",
   "\"22:00-05:00 Europe/Berlin\"", SET{if (is_off(t)) return s.windows.clear(), true;
auto windows = t.size() > 2000 ? std::nullopt : parse_windows(t);
if (!windows) return false;
s.windows = std::move(*windows);
return true;
}
, SHOW {
  return s.windows.empty() ? Text("off") : show_windows(s.windows);
}
}
, {"start_at", true, Form::text, "a timestamp with time zone, or 'off'", "\"2030-01-31 22:00 Europe/Berlin\"",
   SET{return set_text(s.start_at, t, 100);
}
, SHOW {
  return or_off(s.start_at);
}
}
, {"every", true, Form::text, "a duration from 1min to 365d, with a unit (min, h, d), or 'off'", "\"1d\"",
   SET{return set_duration(s.every_ms, t, 60000, 365 * day);
}
, SHOW {
  return or_off(s.every_ms, show_duration);
}
}
,
}
;

#undef SET
#undef SHOW

}  // namespace

std::span<const Knob> all_knobs() {
  return knobs;
}

std::string quote(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      out += formatted("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

}  // namespace migration::backfill

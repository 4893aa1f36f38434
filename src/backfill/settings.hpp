// Every knob of a backfill: names, ranges, defaults and their reasons.
//
// What: Settings is what a backfill obeys; apply() lays a JSON object's entries over it and refuses what it cannot
// mean. The same names serve the options of migration_backfill (all of them) and migration_tune (those that may change
// while it runs). Defaults are chosen so that nobody has to set anything: a limit is on where going on would harm
// others whatever the machine (standbys left behind, disk filled by retained WAL), and off where only the owner of the
// system can know the number. Invariants: what entries() writes, apply() reads to the same Settings; a JSON null puts
// the default back; 'off' switches a limit off. Pure: zones, timestamps and SQL texts are checked by whoever has a
// server.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "backfill/units.hpp"

namespace migration::backfill {

struct Settings {
  // ---- what is done: fixed when the backfill is made ----
  std::string action = "update";      ///< update, delete, copy
  std::string into;                   ///< copy: table that receives the rows
  std::vector<std::string> columns;   ///< copy: its columns
  std::string on_conflict = "error";  ///< copy: error (the row fails), nothing (what is there stays)
  std::string from;                   ///< FROM of an update, USING of a delete: a lookup table
  std::string cursor = "auto";        ///< auto, ctid, keyset
  std::vector<std::string> key;       ///< columns of the keyset; empty: chosen
  std::string trigger = "auto";       ///< fill trigger: auto (where later steps need it), on, off
  std::string verify = "off";         ///< proof at the end: off, constraint, scan
  std::vector<long long> after;       ///< runs that must have succeeded before it starts

  // ---- how it is done: may change at any time, obeyed from the next batch on ----
  /// 200 ms: short enough that a writer who meets a locked row hardly notices, long enough that commits cost nothing.
  int batch_target_ms = 200;
  /// What a batch may change at most; bounds the work lost with one crash.
  long long max_batch_rows = 1000000;
  /// 64 MB: a standby gets a transaction's commit only behind all of its WAL.
  std::optional<long long> max_batch_wal = 64LL << 20;
  int passes = 0;         ///< interleaved passes per window: 0 auto, 1 off, 2-64
  int window_blocks = 0;  ///< blocks of a window of passes: 0 auto
  int vacuum = -1;        ///< VACUUM between windows: -1 auto, 0 off, else after that many percent
  /// 1: one process leaves the machine to the application.
  int workers = 1;
  /// on: a synchronous standby is waited for, which is a natural brake. Off is safe too: rows and cursor go together.
  std::string synchronous_commit = "on";
  /// 0: the first row that fails stops the job and says which it was.
  long long max_errors = 0;
  int priority = 0;  ///< higher starts first

  // ---- when it holds back; an empty optional = off ----
  /// 256 MB of WAL not yet replayed by the slowest standby: a second or a few of its work.
  std::optional<long long> max_lag = 256LL << 20;
  std::optional<long long> max_lag_time_ms;  ///< off: bytes say more, and delayed standbys exist
  /// 16 GB of WAL kept for the slowest slot: past this the disk of the WAL is in danger.
  std::optional<long long> max_slot_retention = 16LL << 30;
  /// 64 files (1 GB) not yet archived: the archive does not keep up, or has failed.
  std::optional<long long> max_archive_backlog = 64;
  std::optional<long long> max_wal_rate;  ///< bytes per second of the whole server, ours included; off
  std::optional<long long> max_active;    ///< active client sessions of the server; off
  /// 0: whoever waits for a lock on the table goes first.
  std::optional<long long> max_waiters = 0;
  /// ignore: autovacuum of the table is mostly our own dead rows, and what it frees we use. Wraparound always counts.
  std::string autovacuum = "ignore";
  std::optional<long long> max_xmin_age_ms;  ///< age of the oldest snapshot, which keeps our dead rows alive; off
  std::optional<long long> max_size;         ///< size of the table with its indexes and TOAST; off
  std::string check;                         ///< SQL expression, true = go on; empty: none
  bool throttle = false;                     ///< the manual brake
  std::vector<Window> windows;               ///< empty: always
  std::string start_at;                      ///< timestamptz; empty: at once
  std::optional<long long> every_ms;         ///< repeat
};

/// Key and value as jsonb_each_text gives them; no value for a JSON null.
using Entry = std::pair<std::string, std::optional<std::string>>;
using Entries = std::vector<Entry>;

enum class Use { create, tune };

/// Lays entries over `settings`; a null takes the value from `base`. `example` is the statement of the HINT with one
/// {} for the JSON text, e.g. "SELECT migration_tune(7, '{}');". Errors: 22023 naming key, range and units.
void apply(Settings& settings, const Settings& base, const Entries& entries, Use use, const std::string& example);

/// All knobs with their values as text, in a fixed order; with Use::tune only those that may change.
std::vector<std::pair<std::string, std::string>> entries(const Settings& settings, Use use);
/// The same as the text of a JSON object, numbers as numbers.
std::string to_json(const Settings& settings, Use use);
/// Only the given keys, with the text that stands for their value in `settings`; nulls stay nulls.
std::string to_json(const Settings& settings, const Entries& of);

bool is_tunable(const std::string& key);

}  // namespace migration::backfill

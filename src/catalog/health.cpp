// The statements that look at the server; see health.hpp.
#include "catalog/health.hpp"

#include "pg/settings.hpp"
#include "pg/sql.hpp"
#include "statement/formatted.hpp"

namespace migration::catalog {

using backfill::Settings;
using pg::Row;
using pg::Rows;
using pg::Scope;
using pg::sql_bool;
using pg::sql_int;
using pg::Value;

namespace {

std::optional<double> to_double(const Value& v) {
  if (!v || v->empty()) return std::nullopt;
  return std::stod(*v);
}

std::optional<long long> to_optional(const Value& v) {
  if (!v || v->empty()) return std::nullopt;
  return std::stoll(*v);
}

/// Rows of {what, name, whole number, fraction, word}. A branch whose switch is off is never started.
Rows look(const Settings& s, unsigned relation) {
  std::vector<std::string> zones;
  for (const backfill::Window& window : s.windows) zones.push_back(window.zone);
  return pg::query(
      "WITH RECURSIVE tables(oid) AS (SELECT $5::oid UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN tables "
      "t "
      "ON i.inhparent = t.oid) "
      "SELECT 'rights', pg_catalog.quote_ident(current_user), NULL::text, NULL::text, "
      "pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')::text "
      "UNION ALL SELECT 'wal', NULL, pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), '0/0')::text, NULL, "
      "NULL "
      "UNION ALL SELECT 'standby', r.application_name, pg_catalog.pg_wal_lsn_diff(coalesce(r.replay_lsn, r.flush_lsn, "
      "r.write_lsn), '0/0')::text, extract(epoch FROM r.replay_lag)::text, "
      // Backups and the first copy of a subscription's tables end by themselves. Who only takes the WAL replays
      // nothing.
      "(r.replay_lsn IS NOT NULL AND r.application_name NOT IN ('pg_basebackup', 'pg_receivewal') AND "
      "r.application_name !~ "
      "'^pg_[0-9]+_sync_')::text "
      "FROM pg_catalog.pg_stat_replication r WHERE $1::boolean AND r.state <> 'backup' "
      "UNION ALL SELECT 'slot', l.slot_name, pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), "
      "l.restart_lsn)::text, NULL, l.active::text FROM pg_catalog.pg_replication_slots l WHERE $2::boolean AND "
      "l.restart_lsn IS NOT NULL AND l.wal_status IS DISTINCT FROM 'lost' "
      "UNION ALL SELECT 'active', NULL, count(*)::text, NULL, NULL FROM pg_catalog.pg_stat_activity a WHERE "
      "$3::boolean "
      // Who waits in migration_wait() is active by name only.
      "AND a.state = 'active' AND a.backend_type = 'client backend' AND a.wait_event_type IS DISTINCT FROM 'Extension' "
      "UNION ALL SELECT 'waiters', min(pg_catalog.format('process %s (%s)', l.pid, l.mode)), count(DISTINCT "
      "l.pid)::text, NULL, NULL FROM pg_catalog.pg_locks l WHERE $4::boolean AND NOT l.granted AND l.locktype = "
      "'relation' AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = "
      "pg_catalog.current_database()) AND l.relation IN (SELECT t.oid FROM tables t) AND l.pid <> "
      "pg_catalog.pg_backend_pid() "
      "UNION ALL SELECT 'vacuum', NULL, NULL, NULL, (a.query ~ '\\(to prevent wraparound\\)$')::text FROM "
      "pg_catalog.pg_stat_progress_vacuum p JOIN pg_catalog.pg_stat_activity a ON a.pid = p.pid WHERE p.datname = "
      "pg_catalog.current_database() AND p.relid IN (SELECT t.oid FROM tables t) AND a.backend_type IN ('autovacuum "
      "worker', 'client backend') AND p.pid <> pg_catalog.pg_backend_pid() "
      // Whoever may not see what autovacuum does still sees its lock, and the age that makes it one that nothing may
      // hold up.
      "UNION ALL SELECT 'vacuum', NULL, NULL, NULL, 'true' FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON "
      "c.oid = l.relation WHERE NOT pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AND l.locktype "
      "= "
      "'relation' AND l.granted AND l.mode = 'ShareUpdateExclusiveLock' AND l.database = (SELECT d.oid FROM "
      "pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()) AND l.relation IN (SELECT t.oid FROM "
      "tables t) AND l.pid <> pg_catalog.pg_backend_pid() AND c.relkind IN ('r', 'm', 't') AND "
      "(pg_catalog.age(c.relfrozenxid) > pg_catalog.current_setting('autovacuum_freeze_max_age')::bigint OR "
      "pg_catalog.mxid_age(c.relminmxid) > "
      "pg_catalog.current_setting('autovacuum_multixact_freeze_max_age')::bigint) "
      "UNION ALL SELECT 'xmin', pg_catalog.format('process %s (%s)', a.pid, coalesce(nullif(a.application_name, ''), "
      "a.backend_type)), NULL, extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)::text, NULL FROM "
      "pg_catalog.pg_stat_activity a WHERE $6::boolean AND a.backend_xmin IS NOT NULL AND a.xact_start IS NOT NULL AND "
      "a.datname = pg_catalog.current_database() AND a.backend_type <> 'autovacuum worker' AND a.pid <> "
      "pg_catalog.pg_backend_pid() "
      "UNION ALL SELECT 'xmin', pg_catalog.format('prepared transaction %s', x.gid), NULL, extract(epoch FROM "
      "pg_catalog.clock_timestamp() - x.prepared)::text, NULL FROM pg_catalog.pg_prepared_xacts x WHERE $6::boolean "
      "AND "
      "x.database = pg_catalog.current_database() "
      "UNION ALL SELECT 'archive', NULL, NULL, NULL, CASE WHEN pg_catalog.current_setting('archive_mode') = 'off' THEN "
      "'off' WHEN pg_catalog.has_function_privilege('pg_catalog.pg_ls_archive_statusdir()', 'EXECUTE') THEN 'on' ELSE "
      "'refused' END WHERE $7::boolean "
      "UNION ALL SELECT 'local', z.n::text, extract(isodow FROM z.t)::text, extract(hour FROM z.t) * 60 + "
      "extract(minute "
      "FROM z.t) || '', extract(second FROM z.t)::text FROM (SELECT u.n, pg_catalog.clock_timestamp() AT TIME ZONE "
      "u.zone FROM "
      "pg_catalog.unnest($8::text[]) WITH ORDINALITY u(zone, n)) z(n, t) "
      "UNION ALL SELECT 'start', NULL, NULL, extract(epoch FROM $9::timestamptz - pg_catalog.clock_timestamp())::text, "
      "NULL WHERE $9 IS NOT NULL",
      {sql_bool(s.max_lag || s.max_lag_time_ms), sql_bool(s.max_slot_retention.has_value()),
       sql_bool(s.max_active.has_value()), sql_bool(s.max_waiters.has_value()), sql_int(relation),
       sql_bool(s.max_xmin_age_ms.has_value()), sql_bool(s.max_archive_backlog.has_value()), pg::sql_array(zones),
       s.start_at.empty() ? Value() : Value(s.start_at)});
}

void take(Signals& out, const Settings& s, const Row& row, std::string& archive) {
  const std::string& what = *row[0];
  if (what == "rights") {
    if (pg::to_bool(row[4])) return;
    const std::string cure = formatted("role {} lacks pg_read_all_stats: GRANT pg_monitor TO {}", *row[1], *row[1]);
    for (const char* key : {"max_lag", "max_lag_time"}) out.unreadable.push_back({key, "how far standbys are", cure});
    out.unreadable.push_back({"max_active", "what sessions do", cure});
    out.unreadable.push_back({"autovacuum", "what autovacuum does", cure});
    out.unreadable.push_back({"max_xmin_age", "the age of snapshots", cure});
  } else if (what == "wal") {
    out.wal_position = pg::to_integer(row[2]);
  } else if (what == "standby") {
    out.standbys.push_back({pg::text_or_empty(row[1]), to_optional(row[2]), to_double(row[3]), pg::to_bool(row[4])});
  } else if (what == "slot") {
    out.slots.push_back({*row[1], pg::to_integer(row[2]), pg::to_bool(row[4])});
  } else if (what == "active") {
    if (s.max_active) out.active = pg::to_integer(row[2]);
  } else if (what == "waiters") {
    if (s.max_waiters) out.waiters = pg::to_integer(row[2]);
    out.first_waiter = pg::text_or_empty(row[1]);
  } else if (what == "vacuum") {
    if (pg::to_bool(row[4])) {
      out.vacuum = TableVacuum::wraparound;
    } else if (out.vacuum == TableVacuum::none) {
      out.vacuum = TableVacuum::ordinary;
    }
  } else if (what == "xmin") {
    const double age = to_double(row[3]).value_or(0);
    if (out.xmin_age_s && *out.xmin_age_s >= age) return;
    out.xmin_age_s = age;
    out.xmin_holder = pg::text_or_empty(row[1]);
  } else if (what == "archive") {
    archive = pg::text_or_empty(row[4]);
  } else if (what == "local") {
    out.local_times.push_back({static_cast<int>(pg::to_integer(row[2])), static_cast<int>(pg::to_integer(row[3])),
                               to_double(row[4]).value_or(0)});
  } else if (what == "start") {
    out.starts_in_s = to_double(row[3]);
  }
}

}  // namespace

Signals read_signals(const Settings& s, unsigned relation) {
  Signals out;
  Scope scope;
  std::string archive, owner;
  for (const Row& row : look(s, relation)) {
    if (*row[0] == "rights") owner = *row[1];
    take(out, s, row, archive);
  }
  if (archive == "on") {
    const Rows rows = pg::query(
        "SELECT count(*), (SELECT a.last_failed_time > coalesce(a.last_archived_time, '-infinity') FROM "
        "pg_catalog.pg_stat_archiver a) FROM pg_catalog.pg_ls_archive_statusdir() f WHERE f.name LIKE '%.ready'");
    out.archive_backlog = pg::to_integer(rows[0][0]);
    out.archiver_failing = pg::to_bool(rows[0][1]);
  } else if (archive == "refused") {
    out.unreadable.push_back(
        {"max_archive_backlog", "the backlog of the archive",
         formatted("role {} may not execute pg_ls_archive_statusdir(): GRANT pg_monitor TO {}", owner, owner)});
  }
  if (s.max_size) {
    // It opens the table: whoever holds it exclusively is not waited for, and holds us back all the same.
    pg::set_local("lock_timeout", "100");
    const Rows rows = pg::query(
        "WITH RECURSIVE tables(oid) AS (SELECT $1::oid UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN "
        "tables "
        "t ON i.inhparent = t.oid) SELECT sum(pg_catalog.pg_total_relation_size(t.oid))::bigint FROM tables t",
        {sql_int(relation)});
    out.table_bytes = to_optional(rows[0][0]);
  }
  return out;
}

}  // namespace migration::catalog

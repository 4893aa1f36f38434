// Revisions, approvals and the applied set; see revisions.hpp.
#include "catalog/revisions.hpp"

#include <string_view>

#include "pg/settings.hpp"
#include "pg/sql.hpp"

namespace migration::catalog {

using pg::Row;
using pg::Rows;
using pg::Scope;
using pg::sql_array;
using pg::sql_int;
using pg::Value;

RevisionGraph load_graph() {
  Rows rows;
  {
    Scope scope;
    rows = pg::query(
        "SELECT revision, down_revision, depends_on, labels, message FROM migration_ext.revision ORDER BY ordinal");
  }
  std::vector<Revision> revisions;
  revisions.reserve(rows.size());
  for (Row& row : rows) {
    revisions.push_back(Revision{*row[0], pg::parse_array(row[1]), pg::parse_array(row[2]), pg::parse_array(row[3]),
                                 std::move(*row[4])});
  }
  return RevisionGraph(std::move(revisions));
}

namespace {

std::string take(Value& value) {
  return value ? std::move(*value) : std::string();
}

StoredRevision to_revision(Row& row) {
  StoredRevision r;
  r.node =
      Revision{take(row[0]), pg::parse_array(row[1]), pg::parse_array(row[2]), pg::parse_array(row[3]), take(row[4])};
  r.upgrade = take(row[5]);
  r.downgrade = std::move(row[6]);
  r.downgrade_kind = take(row[7]);
  r.fingerprint = take(row[8]);
  r.options = take(row[9]);
  r.script_path = take(row[10]);
  r.registered_by = take(row[11]);
  r.registered_oid = static_cast<unsigned>(pg::to_integer(row[12]));
  r.registered_at = take(row[13]);
  r.online = pg::to_bool(row[14]);
  return r;
}

}  // namespace

std::optional<StoredRevision> load_revision(const std::string& id) {
  Scope scope;
  Rows rows = pg::query(
      "SELECT revision, down_revision, depends_on, labels, message, upgrade, downgrade, downgrade_kind, fingerprint, "
      "options, script_path, registered_by, registered_oid, registered_at, "
      "coalesce(options->>'online', 'true') <> 'false' "
      "FROM migration_ext.revision WHERE revision = $1 COLLATE \"C\"",
      {id});
  if (rows.empty()) return std::nullopt;
  return to_revision(rows[0]);
}

std::vector<StoredRevision> load_revisions(const std::vector<std::string>& ids) {
  std::vector<StoredRevision> out;
  out.reserve(ids.size());
  if (ids.size() < 8) {
    for (const std::string& id : ids) {
      auto r = load_revision(id);
      if (!r)
        throw MigrationError(sqlstate::undefined_object, "revision \"" + id + "\" is not registered", {},
                             "SELECT * FROM migration_history();");
      out.push_back(std::move(*r));
    }
    return out;
  }
  std::unordered_map<std::string_view, std::size_t> wanted;
  wanted.reserve(ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) wanted.emplace(ids[i], i);
  out.resize(ids.size());
  {
    Scope scope;
    // A join, because `= ANY ($1::text[])` would read the array again for every row. The plan is kept from a time when
    // the table was small; a nested loop would be a scan per revision.
    pg::set_local("enable_nestloop", "off");
    Rows rows = pg::query(
        "SELECT revision, down_revision, NULL, NULL, message, upgrade, downgrade, downgrade_kind, fingerprint, "
        "NULL, script_path, registered_by, registered_oid, NULL, "
        "coalesce(options->>'online', 'true') <> 'false' "
        "FROM migration_ext.revision WHERE revision IN (SELECT pg_catalog.unnest($1::text[]))",
        {sql_array(ids)});
    for (Row& row : rows) {
      StoredRevision& place = out[wanted.at(*row[0])];
      place = to_revision(row);
    }
  }
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (out[i].node.id.empty()) {
      throw MigrationError(sqlstate::undefined_object, "revision \"" + ids[i] + "\" is not registered", {},
                           "SELECT * FROM migration_history();");
    }
  }
  return out;
}

void insert_revision(const StoredRevision& r) {
  Scope scope;
  pg::query(
      "INSERT INTO migration_ext.revision (revision, message, down_revision, depends_on, labels, upgrade, downgrade, "
      "downgrade_kind, fingerprint, options, script_path, registered_by, registered_oid, registered_at) VALUES "
      "($1, $2, $3::text[], $4::text[], $5::text[], $6, $7, $8, $9, $10::jsonb, $11, $12, $13::oid, "
      "pg_catalog.clock_timestamp())",
      {r.node.id, r.node.message, sql_array(r.node.down), sql_array(r.node.depends_on), sql_array(r.node.labels),
       r.upgrade, r.downgrade ? Value(*r.downgrade) : Value(), r.downgrade_kind, r.fingerprint, r.options,
       r.script_path, r.registered_by, sql_int(r.registered_oid)});
}

void update_revision(const StoredRevision& r) {
  Scope scope;
  pg::query(
      "UPDATE migration_ext.revision SET message = $2, down_revision = $3::text[], depends_on = $4::text[], "
      "labels = $5::text[], upgrade = $6, downgrade = $7, downgrade_kind = $8, fingerprint = $9, options = $10::jsonb, "
      "script_path = $11, registered_by = $12, registered_oid = $13::oid, registered_at = pg_catalog.clock_timestamp() "
      "WHERE revision = $1 COLLATE \"C\"",
      {r.node.id, r.node.message, sql_array(r.node.down), sql_array(r.node.depends_on), sql_array(r.node.labels),
       r.upgrade, r.downgrade ? Value(*r.downgrade) : Value(), r.downgrade_kind, r.fingerprint, r.options,
       r.script_path, r.registered_by, sql_int(r.registered_oid)});
}

void lock_revisions() {
  Scope scope;
  pg::query("LOCK TABLE migration_ext.revision IN SHARE ROW EXCLUSIVE MODE");
}

bool references_resolve(const std::string& id, const std::vector<std::string>& down,
                        const std::vector<std::string>& depends_on) {
  std::vector<std::string> names = down;
  names.insert(names.end(), depends_on.begin(), depends_on.end());
  Scope scope;
  // The plan is kept from a time when the table was small; it must not become a scan per registration.
  pg::set_local("enable_seqscan", "off");
  Rows rows = pg::query(
      "SELECT (SELECT count(*) FROM migration_ext.revision WHERE revision = ANY ($1::text[])), EXISTS (SELECT FROM "
      "migration_ext.revision WHERE down_revision @> ARRAY[$2] OR depends_on @> ARRAY[$2] OR labels @> ARRAY[$2])",
      {sql_array(names), id});
  return pg::to_integer(rows[0][0]) == static_cast<long long>(names.size()) && !pg::to_bool(rows[0][1]);
}

bool delete_revision(const std::string& id) {
  Scope scope;
  pg::query("DELETE FROM migration_ext.approval WHERE revision = $1 COLLATE \"C\"", {id});
  pg::query("DELETE FROM migration_ext.revision WHERE revision = $1 COLLATE \"C\"", {id});
  return pg::rows_processed() > 0;
}

namespace {

std::vector<std::string> first_column(const Rows& rows) {
  std::vector<std::string> out;
  for (const Row& row : rows) out.push_back(*row[0]);
  return out;
}

}  // namespace

std::vector<std::string> revisions_without_downgrade() {
  Scope scope;
  return first_column(
      pg::query("SELECT revision FROM migration_ext.revision WHERE downgrade_kind = 'none' ORDER BY ordinal"));
}

std::vector<std::string> edited_revisions() {
  Scope scope;
  return first_column(
      pg::query("SELECT r.revision FROM migration_ext.revision r JOIN migration_ext.applied a USING (revision) "
                "WHERE a.fingerprint <> r.fingerprint ORDER BY r.ordinal"));
}

std::unordered_set<std::string> load_applied() {
  Scope scope;
  Rows rows = pg::query("SELECT revision FROM migration_ext.applied");
  std::unordered_set<std::string> out;
  out.reserve(rows.size());
  for (Row& row : rows) out.insert(std::move(*row[0]));
  return out;
}

namespace {

AppliedRevision to_applied(const Row& row) {
  return AppliedRevision{pg::text_or_empty(row[0]),
                         pg::text_or_empty(row[1]),
                         pg::text_or_empty(row[2]),
                         pg::text_or_empty(row[3]),
                         row[4],
                         pg::to_bool(row[5])};
}

}  // namespace

std::vector<AppliedRevision> load_applied_rows() {
  Scope scope;
  std::vector<AppliedRevision> out;
  for (const Row& row :
       pg::query("SELECT revision, fingerprint, applied_at, applied_by, took, stamped FROM migration_ext.applied")) {
    out.push_back(to_applied(row));
  }
  return out;
}

std::optional<AppliedRevision> load_applied_row(const std::string& id) {
  Scope scope;
  Rows rows = pg::query(
      "SELECT revision, fingerprint, applied_at, applied_by, took, stamped FROM migration_ext.applied "
      "WHERE revision = $1 COLLATE \"C\"",
      {id});
  if (rows.empty()) return std::nullopt;
  return to_applied(rows[0]);
}

void mark_applied(const std::string& id, const std::string& fingerprint, const std::string& role,
                  std::optional<long long> run_id, double took_ms) {
  Scope scope;
  pg::query(
      "INSERT INTO migration_ext.applied (revision, fingerprint, applied_at, applied_by, took, run_id, stamped) VALUES "
      "($1, $2, pg_catalog.clock_timestamp(), $3, $4::double precision * interval '1 millisecond', $5::bigint, "
      "$4 IS NULL)",
      {id, fingerprint, role, took_ms < 0 ? Value() : Value(std::to_string(took_ms)),
       run_id ? sql_int(*run_id) : Value()});
}

void unmark_applied(const std::string& id) {
  Scope scope;
  pg::query("DELETE FROM migration_ext.applied WHERE revision = $1 COLLATE \"C\"", {id});
}

void replace_applied(const std::vector<std::string>& remove,
                     const std::vector<std::pair<std::string, std::string>>& add_with_fingerprint,
                     const std::string& role) {
  if (!remove.empty()) {
    Scope scope;
    pg::set_local("enable_nestloop", "off");
    pg::query("DELETE FROM migration_ext.applied WHERE revision IN (SELECT pg_catalog.unnest($1::text[]))",
              {sql_array(remove)});
  }
  for (const auto& [id, fingerprint] : add_with_fingerprint) mark_applied(id, fingerprint, role, std::nullopt, -1);
}

std::vector<Approval> load_approvals(const std::string& id, const std::string& fingerprint) {
  Scope scope;
  std::vector<Approval> out;
  for (const Row& row : pg::query("SELECT approved_by, approved_oid FROM migration_ext.approval "
                                  "WHERE revision = $1 COLLATE \"C\" AND fingerprint = $2 ORDER BY approved_at",
                                  {id, fingerprint})) {
    out.push_back(Approval{*row[0], static_cast<unsigned>(pg::to_integer(row[1]))});
  }
  return out;
}

void store_approval(const std::string& id, const std::string& fingerprint, const std::string& role, unsigned role_oid) {
  Scope scope;
  pg::query(
      "INSERT INTO migration_ext.approval (revision, fingerprint, approved_by, approved_oid, approved_at) VALUES "
      "($1, $2, $3, $4::oid, pg_catalog.clock_timestamp()) ON CONFLICT (revision, approved_by) DO UPDATE SET "
      "fingerprint = excluded.fingerprint, approved_oid = excluded.approved_oid, approved_at = excluded.approved_at",
      {id, fingerprint, role, sql_int(role_oid)});
}

}  // namespace migration::catalog

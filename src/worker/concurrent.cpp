// Top-level statements that commit inside themselves: CREATE / DROP INDEX CONCURRENTLY, REINDEX CONCURRENTLY, DETACH
// PARTITION CONCURRENTLY, VACUUM.
//
// What: observe, clean up, commit the intent, run, observe again. Why: such a statement can be half done after any
// crash or cancel, so its success is what the catalogs say (index valid, partition detached), never the command's
// return; what is left of a failed attempt is found by OID against the list of indexes that existed before the first
// one, and dropped concurrently. Locks: lock_timeout is off, because it would also count the waits for other
// transactions; a watchdog gives up waits for table locks instead. Invariant: an index that was valid before the step
// is never dropped here. Source: PostgreSQL documentation, CREATE INDEX, "Building Indexes Concurrently".
#include <algorithm>
#include <regex>

#include "catalog/facts.hpp"
#include "pg/parse.hpp"
#include "pg/portal.hpp"
#include "pg/process.hpp"
#include "pg/settings.hpp"
#include "pg/sql.hpp"
#include "pg/watchdog.hpp"
#include "statement/formatted.hpp"
#include "worker/executor.hpp"
#include "worker/partitioned_index.hpp"
#include "worker/planning.hpp"
#include "worker/transact.hpp"

namespace migration {

using catalog::IndexState;
using catalog::StepRecord;

namespace {

/// One line of a before-image: oid:valid:name.
std::string image_line(const IndexState& index) {
  return formatted("{}:{}:{}", index.oid, index.valid ? "t" : "f", index.name);
}

struct Before {
  bool known = false, valid = false;
};

Before before_of(const StepRecord& step, unsigned oid) {
  const std::string prefix = std::to_string(oid) + ":";
  for (const std::string& line : step.before_image) {
    if (line.rfind(prefix, 0) == 0) return {true, line[prefix.size()] == 't'};
  }
  return {};
}

bool has_rebuild_suffix(const std::string& name) {
  static const std::regex suffix("_cc(new|old)[0-9]*\"?$");
  return std::regex_search(name, suffix);
}

class ConcurrentStep {
 public:
  ConcurrentStep(const catalog::RunRecord& run, StepRecord& step, Statement statement)
      : run_(run), step_(step), s_(std::move(statement)) {}

  void run() {
    bool done = false;
    pg::in_transaction([&] {
      prepare_names();
      if (step_.attempts == 0) {
        const bool tree = s_.kind == StatementKind::create_index && partitioned_;
        for (const IndexState& index : tree ? catalog::indexes_of(table_, true) : indexes()) {
          step_.before_image.push_back(image_line(index));
        }
        if (s_.kind == StatementKind::drop || s_.kind == StatementKind::detach_concurrently) {
          step_.before_image.push_back(target_present() ? "present" : "absent");
        }
      } else {
        done = is_done();
      }
    });
    if (done) return;
    heal_leftovers();
    pg::in_transaction([&] {
      pg::set_local("synchronous_commit", "on");
      catalog::start_step(run_.run_id, step_.step, step_.before_image);
    });
    ++step_.attempts;
    pg::crash_point("step:before", step_.step);
    std::exception_ptr error;
    try {
      if (s_.kind == StatementKind::create_index && partitioned_) {
        PartitionedIndex(run_, step_, s_, table_).build();
      } else if (s_.kind == StatementKind::detach_concurrently && detach_pending_) {
        top_level(finalize_text());
      } else if (!(skip_existing())) {
        top_level(step_.statements.front());
      }
    } catch (...) {
      error = std::current_exception();
    }
    if (error) {
      clean_up_after(error);
      std::rethrow_exception(error);
    }
    pg::crash_point("step:after_effect", step_.step);
    pg::in_transaction([&] { require_done(); });
  }

 private:
  /// Resolves what the statement is about, under the script's path.
  void prepare_names() {
    pg::SettingsFrame frame;
    apply_script_path(step_.script_path);
    const std::string& name =
        !s_.relation.empty() ? s_.relation : (s_.dropped.empty() ? s_.object : s_.dropped[0].name);
    object_ = catalog::resolve_relation(name);
    table_ = object_;
    if (s_.kind == StatementKind::detach_concurrently) child_ = catalog::resolve_relation(child_name());
    if (object_ != 0) {
      pg::Scope scope;
      pg::Rows rows = pg::query(
          "SELECT c.relkind, coalesce(x.indrelid, c.oid), (SELECT i.inhdetachpending FROM pg_catalog.pg_inherits i "
          "WHERE i.inhparent = c.oid AND i.inhrelid = $2::oid AND i.inhdetachpending) FROM pg_catalog.pg_class c "
          "LEFT JOIN pg_catalog.pg_index x ON x.indexrelid = c.oid WHERE c.oid = $1::oid",
          {pg::sql_int(object_), pg::sql_int(child_)});
      if (!rows.empty()) {
        partitioned_ = *rows[0][0] == "p";
        table_ = static_cast<unsigned>(pg::to_integer(rows[0][1]));
        detach_pending_ = pg::to_bool(rows[0][2]);
      }
    }
  }

  /// The partition of a DETACH.
  std::string child_name() const { return s_.actions.empty() ? s_.object : s_.actions.front().name; }

  std::vector<IndexState> indexes() const {
    if (s_.kind == StatementKind::create_index && partitioned_) return catalog::indexes_of(table_, false);
    return catalog::indexes_of(table_, s_.kind == StatementKind::reindex);
  }

  bool target_present() const {
    if (s_.kind == StatementKind::drop) return object_ != 0;
    return is_partition();
  }

  bool is_partition() const {
    pg::Scope scope;
    return !pg::query("SELECT 1 FROM pg_catalog.pg_inherits WHERE inhparent = $1::oid AND inhrelid = $2::oid",
                      {pg::sql_int(table_), pg::sql_int(child_)})
                .empty();
  }

  /// The index this statement makes, as far as it is there: by name, or the only new one.
  std::optional<IndexState> made_index() const {
    std::optional<IndexState> found;
    for (const IndexState& index : indexes()) {
      if (!s_.object.empty()) {
        const std::size_t dot = index.name.size() - std::min(index.name.size(), s_.object.size());
        if (index.name.substr(dot) == s_.object && dot > 0 && index.name[dot - 1] == '.') return index;
      } else if (!before_of(step_, index.oid).known) {
        if (found) return std::nullopt;
        found = index;
      }
    }
    return found;
  }

  /// Did an earlier attempt reach the goal, although nobody lived to write it down?
  bool is_done() const {
    switch (s_.kind) {
      case StatementKind::create_index: {
        const auto index = made_index();
        return index && index->valid && !before_of(step_, index->oid).known;
      }
      case StatementKind::drop:
        return object_ == 0 && was_present();
      case StatementKind::detach_concurrently:
        return was_present() && child_ != 0 && !is_partition();
      default:
        return false;
    }
  }

  bool was_present() const {
    return std::find(step_.before_image.begin(), step_.before_image.end(), "present") != step_.before_image.end();
  }

  /// IF NOT EXISTS over a valid index that was there before: nothing to do, as the server itself would say.
  bool skip_existing() const {
    if (s_.kind != StatementKind::create_index || !s_.if_exists || s_.object.empty()) return false;
    bool skip = false;
    pg::in_transaction([&] {
      const auto index = made_index();
      skip = index && index->valid;
    });
    if (skip) pg::report(NOTICE, "42P07", formatted("index {} already exists and is valid, skipping", s_.object));
    return skip;
  }

  /// Indexes that an earlier attempt (or, for the same name, another tool) left INVALID.
  std::vector<IndexState> leftovers() const {
    std::vector<IndexState> out;
    const auto made = s_.kind == StatementKind::create_index ? made_index() : std::nullopt;
    for (const IndexState& index : indexes()) {
      if (index.valid || index.being_built) continue;
      const Before before = before_of(step_, index.oid);
      const bool same_name = made && made->oid == index.oid && !s_.object.empty();
      if (s_.kind == StatementKind::create_index && !partitioned_ &&
          (same_name || (!before.known && step_.attempts > 0))) {
        out.push_back(index);
      } else if (s_.kind == StatementKind::reindex && step_.attempts > 0 && has_rebuild_suffix(index.name) &&
                 (!before.known || before.valid)) {
        out.push_back(index);
      }
    }
    return out;
  }

  void heal_leftovers(bool patient = true) {
    std::vector<IndexState> left;
    pg::in_transaction([&] { left = leftovers(); });
    for (const IndexState& index : left) {
      pg::report(NOTICE, "00000", formatted("dropping invalid index {}, left by an earlier attempt", index.name));
      run_top_level(run_, step_, "DROP INDEX CONCURRENTLY IF EXISTS " + index.name, nullptr, patient);
      pg::in_transaction([&] {
        catalog::log_event({run_.run_id,
                            step_.revision,
                            step_.step,
                            "cleaned",
                            run_.role_name,
                            -1,
                            {"", "dropped invalid index " + index.name, "", ""}});
      });
    }
  }

  /// After a failure: what it left goes at once, because an invalid unique index keeps refusing rows. Shutting down,
  /// that is left to the next attempt.
  void clean_up_after(std::exception_ptr error) {
    bool dying = false;
    try {
      std::rethrow_exception(error);
    } catch (const pg::PgError& e) {
      dying = e.state() == "57P01";
    } catch (...) {
    }
    if (dying) return;
    try {
      // Whoever held up the build may hold up this too: a run that was cancelled must not wait for them once more.
      heal_leftovers(false);
      bool nothing_left = true;
      if (s_.kind == StatementKind::create_index && partitioned_) {
        nothing_left = PartitionedIndex(run_, step_, s_, table_).clean_up();
      }
      if (nothing_left) forget_attempts();
    } catch (const pg::PgError&) {
      // Named by migration_check() and healed before the next attempt.
    } catch (const MigrationError&) {
      // The same.
    }
  }

  /// When the catalogs show nothing of this step, it has not been tried: the revision is not half done because of it.
  void forget_attempts() {
    pg::in_transaction([&] {
      prepare_names();
      if (!is_absent()) return;
      catalog::forget_attempts(run_.run_id, step_.step);
      step_.attempts = 0;
      step_.before_image.clear();
    });
  }

  bool is_absent() const {
    switch (s_.kind) {
      case StatementKind::create_index: {
        const auto index = made_index();
        return leftovers().empty() && (!index || before_of(step_, index->oid).known);
      }
      case StatementKind::drop: {
        if (!was_present()) return true;
        pg::Scope scope;
        return object_ != 0 && !pg::query(
                                    "SELECT 1 FROM pg_catalog.pg_index WHERE indexrelid = $1::oid AND indisvalid "
                                    "AND indislive",
                                    {pg::sql_int(object_)})
                                    .empty();
      }
      case StatementKind::detach_concurrently:
        return !was_present() || (is_partition() && !detach_pending_);
      default:
        return leftovers().empty();
    }
  }

  void require_done() {
    prepare_names();
    if (s_.kind != StatementKind::create_index) return;
    const auto index = made_index();
    if (index && index->valid) return;
    if (!index && s_.object.empty()) return;  // unnamed, and others made indexes meanwhile: the command's word counts
    throw MigrationError(sqlstate::step_failed,
                         formatted("step {} of revision \"{}\" failed: index {} is not valid", step_.step,
                                   step_.revision, index ? index->name : s_.object),
                         "The command ended without an error, but the catalogs do not show a valid index.",
                         formatted("SELECT migration_resume({});", run_.run_id));
  }

  std::string finalize_text() const {
    return formatted("ALTER TABLE {} DETACH PARTITION {} FINALIZE", s_.relation, child_name());
  }

  void top_level(const std::string& sql) { run_top_level(run_, step_, sql); }

  const catalog::RunRecord& run_;
  StepRecord& step_;
  Statement s_;
  unsigned object_ = 0, table_ = 0, child_ = 0;
  bool partitioned_ = false, detach_pending_ = false;
};

/// Session settings for a statement that cannot run under SET LOCAL; undone by RESET ALL to the worker's pinned values.
class SessionSettings {
 public:
  SessionSettings(const catalog::RunRecord&, const StepRecord& step) {
    pg::in_transaction([&] {
      std::string path = step.script_path.empty() ? "pg_catalog" : step.script_path;
      if (path.find("pg_temp") == std::string::npos) path += ", pg_temp";
      pg::set_session("search_path", path);
      for (const std::string& setting : step.settings) pg::run_statement(setting, false);
      pg::set_session("lock_timeout", "0");
      pg::set_session("statement_timeout", "0");
    });
  }
  static void undo() {
    pg::in_transaction([] { pg::run_statement("RESET ALL", false); });
  }
};

}  // namespace

void run_top_level(const catalog::RunRecord& run, const StepRecord& step, const std::string& sql,
                   const pg::IndexRewrite* rewrite, bool patient) {
  SessionSettings settings(run, step);
  std::exception_ptr error;
  try {
    pg::start_transaction();
    pg::report_activity(formatted("migration run {} step {}: {}", run.run_id, step.step, sql.substr(0, 200)));
    pg::Watchdog watchdog(run.lock_timeout_ms, !patient);
    if (rewrite != nullptr) {
      pg::run_index_statement(sql, true, *rewrite);
    } else {
      pg::run_statement(sql, true);
    }
    pg::commit_transaction();
  } catch (...) {
    error = std::current_exception();
  }
  if (error) pg::abort_transaction();
  pg::report_idle();
  std::optional<MigrationError> failure;
  if (error) {
    bool fatal = false;
    try {
      std::rethrow_exception(error);
    } catch (const pg::PgError& e) {
      fatal = e.state() == "57P01";
      if (e.state() == "57014" && pg::Watchdog::fired()) {
        failure.emplace(sqlstate::lock_not_available, "gave up waiting for a table lock");
      } else if (!fatal && e.state() != "57014") {
        const StepText text{step.step, step.revision, step.settings, step.statements, {}, step.script_path};
        failure.emplace(step_error(text, 1, sql, e, "The steps before it are done.",
                                   formatted("SELECT migration_resume({});", run.run_id)));
      }
    }
    if (fatal) std::rethrow_exception(error);
  }
  SessionSettings::undo();
  if (failure) throw *failure;
  if (error) std::rethrow_exception(error);
}

void run_concurrent(const catalog::RunRecord& run, StepRecord& step) {
  std::vector<Statement> statements;
  pg::in_transaction([&] { statements = parse_step(step); });
  if (statements.size() != 1) {
    throw MigrationError(sqlstate::data_corrupted, formatted("step {} must hold one statement", step.step));
  }
  ConcurrentStep(run, step, std::move(statements[0])).run();
}

}  // namespace migration

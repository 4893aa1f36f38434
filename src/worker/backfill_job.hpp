// One backfill job as its worker knows it: what is changed, where, and under whose path and rights.
//
// What: makes the job of a backfill step at the first start, finds it again at every later one, and runs its texts the
// way the script would run them. Invariants: the end of the work (blocks, greatest key) is fixed when the job is made;
// texts of users run under the script's search_path and settings, as the owner of their table (owner_rights.hpp) and
// without any right to change roles; a job that came from another database looks its tables up anew. Locks: ACCESS
// SHARE on the table of a text. Memory: plain values.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "backfill/batch.hpp"
#include "backfill/settings.hpp"
#include "catalog/facts.hpp"
#include "catalog/jobs.hpp"
#include "catalog/ranges.hpp"
#include "catalog/runs.hpp"
#include "pg/guard.hpp"
#include "pg/prepared.hpp"
#include "pg/row_update.hpp"
#include "statement/statement.hpp"

namespace migration {

class BackfillJob {
 public:
  BackfillJob(const catalog::RunRecord& run, catalog::StepRecord& step) : run(run), step(step) {}

  /// Inside a transaction: makes or loads the job and claims it for this owner. Errors: 42P01 (table gone), 0A000.
  void prepare();
  /// The same for a job that is not to be gone on with, or that another process leads.
  void prepare_again();
  /// Runs texts of the user: `f` under the script's frame and with the rights of the owner of `table` (0: the job's),
  /// errors turned into the step's. Errors: 42501 when the run's role may not act as the owner.
  void as_script(const std::function<void()>& f, unsigned table = 0);
  /// Inside as_script: runs a changing statement and returns the number of rows; when rows are watched, refuses those
  /// that still meet the condition. Errors: 0A000.
  long long change(pg::Prepared& statement, const std::vector<pg::Parameter>& parameters);
  long long change(pg::RowUpdate& statement, const std::vector<pg::RowId>& ids);
  long long change(pg::RowUpdate& statement, pg::RowSource& rows);
  /// At the start of each batch's transaction: locks the table as its statements do and looks whether it is still the
  /// one the job was made for. Errors: 42P01 (gone), 55000 (a column's type has changed), 55P03.
  void hold_table();
  /// After met_again, in a transaction of its own: goes on by key, from the start: rows changed so far no longer meet
  /// the condition, the others are met once. False when there is no key to go by.
  bool switch_to_keys();
  /// The table whose rows are made or changed.
  unsigned written_table() const { return record.into_oid != 0 ? record.into_oid : record.relation_oid; }
  /// The same with the server's own errors, for use in a subtransaction.
  void as_script_raw(const std::function<void()>& f, unsigned table = 0);
  /// As the run's own role, which owns what the run makes; errors turned into the step's.
  void as_run(const std::function<void()>& f);
  /// Takes note of a row that fails; `key` or `row_id` says which. Errors: the row's own, naming it, when more rows
  /// fail than max_errors allows.
  void set_aside(const std::string& relation, const std::vector<std::string>& key, const std::string& row_id,
                 const pg::PgError& error);
  /// Says it to whoever waits for the run, and keeps it in the log for everybody else. Inside a transaction.
  void tell(const std::string& text, const std::string& detail = {}) const;
  /// Inside as_script: keys come out in the one form that reads the same under every setting.
  static void plain_keys();
  /// Stores the cursor: of the range that this worker has, or of the whole job. Fenced: errors are 57P01 when another
  /// owner has the job, 40001 when another worker has the range.
  void advance(double busy_ms);

  // ---- with several workers (shares.cpp): `record` then holds the cursor and the counts of the range in hand ----
  /// Takes a range that nobody has, or the next one. False when all has been handed out. Errors: 57P01.
  bool take_range(int worker, int workers);
  /// Is what has not been handed out worth a second worker?
  bool worth_sharing();
  /// Is there anything that nobody has?
  bool work_left();
  /// After take_range: `record` holds the cursor and the counts of the whole job again.
  void load_whole();
  /// In the transaction of the last batch of the range.
  void finish_range();
  /// The leaf (from 1) in work was rewritten: nobody goes on with its ranges, all of it is handed out again.
  void restart_leaf(int leaf, unsigned file, long long blocks);
  /// The last block of the leaf (from 1) in work, or of the range in hand.
  long long end_of_leaf() const;

  const catalog::RunRecord& run;
  catalog::StepRecord& step;
  catalog::JobRecord record;
  backfill::Target target;
  backfill::Settings settings;           ///< in force: defaults, the run's, the options, what was tuned
  backfill::Key key;                     ///< of a keyset cursor
  std::vector<std::string> set_columns;  ///< unquoted
  int generation = 0;                    ///< counts renames of the table: texts made before are of no use
  long long rows_in_all = 0;             ///< of the table, estimated; `record` may be of a range
  bool met_again = false;                ///< a watched row still met the condition; its batch was rolled back
  bool watched = false;                  ///< each batch shows that its rows no longer meet the condition
  std::vector<std::string> step_before;  ///< statements of the step before this one, which makes its fill trigger
  std::string own_trigger;               ///< that trigger, unquoted; empty: it has none
  bool sweeps_keys = false;              ///< by key, and a last look at all rows does no harm
  bool whole = false;                    ///< runs as one statement, no job
  std::optional<catalog::Claim> range;   ///< that this worker has; nothing: it has the whole job
  bool range_gone = false;               ///< its leaf was rewritten: it is not gone on with

 private:
  template <class Statement, class Rows>
  long long run_watched(Statement& statement, Rows& rows);
  void require_unmet(std::uint64_t rows, std::uint64_t marked);
  MigrationError failure(const pg::PgError& error, const std::string& detail, const std::string& hint) const;
  void create(const RowChange& change);
  void use_keys(const std::vector<std::string>& columns);
  bool proven(unsigned relation, const RowChange& change);
  void find_tables_again();
  void load();
  catalog::TableIdentity shape_now() const;
  std::string order_now() const;
  /// Keeps in the ledger what is not known yet of the tables, so that a change is noticed after a pause, too. Errors:
  /// 55000 when the key has another order, so that nothing is where the cursor says.
  void remember_shape();
  void refuse_gone() const;
  // ---- rows are copied (backfill_copy.cpp) ----
  void create_copy(const RowChange& change);
  std::string find_into(const RowChange& change);
  struct IntoShape {
    catalog::TableIdentity table;
    std::string files;
  };
  IntoShape into_shape_now() const;
  void hold_into();
  void retarget();
  [[noreturn]] void refuse_into_gone(const std::string& name) const;
  RowChange change_;            ///< what the step says
  bool lookup_wanted_ = false;  ///< by option: as one statement is no answer
  std::string into_name_;

  std::uint64_t known_changes_ = 0;  ///< pg::catalog_changes() when the table was looked at
  long long usual_size_ = 0;         ///< of batches, from one range to the next
  void enter_script();
  void turn_errors(const std::function<void()>& f);
  std::optional<std::string> image_of(const std::string& relation, const std::vector<std::string>& key,
                                      const std::string& row_id);
};

}  // namespace migration

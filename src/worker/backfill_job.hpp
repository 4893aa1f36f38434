// One backfill job as its worker knows it: what is changed, where, and under whose path and rights.
//
// What: makes the job of a backfill step at the first start, finds it again at every later one, and runs its texts the
// way the script would run them. Invariants: the end of the work (blocks, greatest key) is fixed when the job is made;
// texts of users run under the script's search_path and settings and without any right to change roles; a job that
// came from another database looks its tables up anew. Locks: none of its own. Memory: plain values.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "backfill/batch.hpp"
#include "backfill/settings.hpp"
#include "catalog/jobs.hpp"
#include "catalog/runs.hpp"
#include "statement/statement.hpp"

namespace migration {

class BackfillJob {
 public:
  BackfillJob(const catalog::RunRecord& run, catalog::StepRecord& step) : run(run), step(step) {}

  /// Inside a transaction: makes or loads the job and claims it for this owner. Errors: 42P01 (table gone), 0A000.
  void prepare();
  /// Runs texts of the user: `f` under the script's frame, errors turned into the step's.
  void as_script(const std::function<void()>& f);
  /// Inside as_script: keys come out in the one form that reads the same under every setting.
  static void plain_keys();
  /// Stores the cursor, fenced by the owner's epoch. Errors: 57P01 when another owner has the job.
  void advance(double busy_ms);

  const catalog::RunRecord& run;
  catalog::StepRecord& step;
  catalog::JobRecord record;
  backfill::Target target;
  backfill::Settings settings;           ///< in force: defaults, the run's, the options, what was tuned
  backfill::Key key;                     ///< of a keyset cursor
  std::vector<std::string> set_columns;  ///< unquoted
  bool whole = false;                    ///< runs as one statement, no job

 private:
  void create(const RowChange& change);
  void find_tables_again();
  void enter_script();
};

}  // namespace migration

// Running statements of users, as the server itself would.
//
// What: run_script_statement() takes one SQL text through parse, analysis, planning and a portal. Why a portal and
// never SPI or a bare ProcessUtility: only a portal with isTopLevel runs CREATE INDEX CONCURRENTLY and its kin, and
// parse trees must outlive the commits such statements make inside themselves. Invariant: in a worker (top_level) no
// snapshot, SPI connection or subtransaction is open around the call; inside a caller's transaction the portal is
// nested and never top level, so that COMMIT inside a DO block is refused (2D000). Memory: everything lives in a
// context of its own that is deleted afterwards.
#pragma once

#include <string>

namespace migration::pg {

enum class Forms {
  as_written,
  plain,  ///< CONCURRENTLY taken out, so that the statement may run inside a transaction
};

/// Runs one statement. Inside the caller's transaction when !top_level; as a transaction's only statement otherwise.
/// Errors: whatever the statement raises, as PgError with the position inside `sql`.
void run_statement(const std::string& sql, bool top_level, Forms forms = Forms::as_written);

/// A CREATE INDEX turned onto one member of a partition tree.
struct IndexRewrite {
  std::string schema, table;  ///< unquoted
  std::string index;          ///< unquoted; empty: the server chooses
  bool only = false;          ///< ON ONLY: the parent's entry, without the partitions
  bool concurrently = false;
};
/// Runs a CREATE INDEX with its relation, name and mode replaced.
void run_index_statement(const std::string& sql, bool top_level, const IndexRewrite& rewrite);

/// The script's own frame: changes of role are refused (42501) while it is alive.
class ScriptRights {
 public:
  ScriptRights();
  ~ScriptRights();
  ScriptRights(const ScriptRights&) = delete;
  ScriptRights& operator=(const ScriptRights&) = delete;

 private:
  int exceptions_;
  unsigned user_;
  int context_;
};

}  // namespace migration::pg

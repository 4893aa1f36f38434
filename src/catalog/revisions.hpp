// The ledger's revisions, approvals and applied set, typed.
//
// What: reads and writes of migration_ext.revision, .applied and .approval. Why: SQL text that names the ledger lives
// in this room only. Invariant: every call opens its own pg::Scope, so it must not be made while text of a user runs.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "revision/graph.hpp"

namespace migration::catalog {

struct StoredRevision {
  Revision node;
  std::string upgrade;
  std::optional<std::string> downgrade;
  std::string downgrade_kind;  ///< given, derived, irreversible, none
  std::string fingerprint, options, script_path;
  std::string registered_by;
  unsigned registered_oid = 0;
  std::string registered_at;
  bool online = true;  ///< options => '{"online": false}' turns rewriting into batches off
};

struct AppliedRevision {
  std::string revision, fingerprint, applied_at, applied_by;
  std::optional<std::string> took;
  bool stamped = false;
};

struct Approval {
  std::string approved_by;
  unsigned approved_oid = 0;
};

/// The graph of all registered revisions (no scripts). Errors: MX003 when stored rows contradict each other.
RevisionGraph load_graph();
/// One revision with its scripts; missing when not registered.
std::optional<StoredRevision> load_revision(const std::string& id);
/// Several at once, in the order of `ids`, for running them: of many, depends_on, labels, options and registered_at
/// stay empty. Errors: 42704 when one is missing.
std::vector<StoredRevision> load_revisions(const std::vector<std::string>& ids);
void insert_revision(const StoredRevision& r);
void update_revision(const StoredRevision& r);
/// Until the end of the transaction nobody else registers or forgets revisions; waits for those who do.
void lock_revisions();
/// Are all the names registered ids, and does nobody refer to `id` or use it as a label yet? Then a new revision `id`
/// closes no circle and clashes with nothing.
bool references_resolve(const std::string& id, const std::vector<std::string>& down,
                        const std::vector<std::string>& depends_on);
bool delete_revision(const std::string& id);

/// Ids whose downgrade could not be derived and was not given.
std::vector<std::string> revisions_without_downgrade();
/// Applied ids whose registered text is not the one that was applied.
std::vector<std::string> edited_revisions();

std::unordered_set<std::string> load_applied();
std::vector<AppliedRevision> load_applied_rows();
std::optional<AppliedRevision> load_applied_row(const std::string& id);
/// `took_ms` negative: stamped.
void mark_applied(const std::string& id, const std::string& fingerprint, const std::string& role,
                  std::optional<long long> run_id, double took_ms);
void unmark_applied(const std::string& id);
void replace_applied(const std::vector<std::string>& remove,
                     const std::vector<std::pair<std::string, std::string>>& add_with_fingerprint,
                     const std::string& role);

std::vector<Approval> load_approvals(const std::string& id, const std::string& fingerprint);
void store_approval(const std::string& id, const std::string& fingerprint, const std::string& role, unsigned role_oid);

}  // namespace migration::catalog

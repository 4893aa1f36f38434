// migration_stamp: marking revisions as applied without running them.
//
// What: the adoption path. The applied set becomes what the target stands for; with purge the old set is cleared first
// and may even hold ids nobody knows. Invariant: refused while a run is active or a revision is half done, because then
// the database is neither here nor there.
#include <unordered_set>

#include "catalog/revisions.hpp"
#include "catalog/runs.hpp"
#include "pg/function.hpp"
#include "pg/identity.hpp"
#include "pg/lock.hpp"
#include "revision/target.hpp"
#include "statement/formatted.hpp"
#include "worker/planning.hpp"

using namespace migration;

/// migration_stamp(target, purge) -> text[]: the heads afterwards. Errors: 42704, MX001, MX004 (target), MX040 (a run
/// is active).
MIGRATION_FUNCTION(migration_stamp) {
  pg::require_writable("migration_stamp");
  const std::string target = pg::required_text(fcinfo, 0, "target", "SELECT migration_stamp('heads');");
  const bool purge = pg::bool_argument(fcinfo, 1, false);
  if (!pg::try_run_lock(pg::LockLife::transaction)) {
    throw MigrationError(sqlstate::run_active, "a run is active, nothing can be stamped", {},
                         "SELECT * FROM migration_status();");
  }
  const RevisionGraph graph = catalog::load_graph();
  const auto before = catalog::load_applied();
  const AppliedSet applied(graph, std::vector<std::string>(before.begin(), before.end()));
  const StampResult result = stamp(graph, applied, target, purge);
  std::unordered_set<std::string> after;
  for (std::size_t i : result.applied) after.insert(graph.id(i));
  std::vector<std::string> remove;
  for (const std::string& id : before) {
    const bool unknown = !graph.index_of(id).has_value();
    if (after.count(id) == 0 && (!unknown || purge)) remove.push_back(id);
  }
  std::vector<std::string> new_ids;
  for (std::size_t i : result.applied) {
    if (before.count(graph.id(i)) == 0) new_ids.push_back(graph.id(i));
  }
  std::vector<std::pair<std::string, std::string>> add;
  for (const catalog::StoredRevision& r : catalog::load_revisions(new_ids)) add.emplace_back(r.node.id, r.fingerprint);
  const std::string role = pg::current_role().name;
  catalog::replace_applied(remove, add, role);
  for (const StampMove& move : result.moves) {
    std::string from, to;
    for (std::size_t i : move.from) from += (from.empty() ? "" : ", ") + graph.id(i);
    for (std::size_t i : move.to) to += (to.empty() ? "" : ", ") + graph.id(i);
    pg::report(NOTICE, "00000", formatted("Running stamp_revision {} -> {}", from, to));
  }
  std::vector<std::string> heads;
  for (std::size_t i : result.heads) heads.push_back(graph.id(i));
  std::string now;
  for (const std::string& h : heads) now += (now.empty() ? "" : ", ") + h;
  catalog::log_event(
      {std::nullopt, "", 0, "stamped", role, -1, {"", "current is now: " + (now.empty() ? "base" : now), "", ""}});
  return pg::array_result(fcinfo, heads);
}

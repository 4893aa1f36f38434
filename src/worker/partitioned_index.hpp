// CREATE INDEX CONCURRENTLY on a partitioned table, which the server itself refuses.
//
// What: the parent's entry ON ONLY, then for every member of the tree, top down, an index of its own (CONCURRENTLY on
// those with storage) and ATTACH; the parent becomes valid with the last one. The result is that of a plain CREATE
// INDEX on the parent: names are chosen by the server, and an index that a partition has already is attached if it
// fits. Invariant: every action is looked up before it is taken, so the walk can be repeated after any interruption; it
// meets its own work by what an index is, not by its name. Partitions created meanwhile get their index from the parent
// by themselves.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "catalog/facts.hpp"
#include "pg/portal.hpp"
#include "worker/executor.hpp"

namespace migration {

/// Runs one statement at top level under the step's session settings and the watchdog. Errors: MigrationError with its
/// place in the plan; cancels and shutdowns as PgError. Not `patient`: gives up (55P03) also when other transactions do
/// not end within lock_timeout.
void run_top_level(const catalog::RunRecord& run, const catalog::StepRecord& step, const std::string& sql,
                   const pg::IndexRewrite* rewrite = nullptr, bool patient = true);

class PartitionedIndex {
 public:
  PartitionedIndex(const catalog::RunRecord& run, const catalog::StepRecord& step, const Statement& statement,
                   unsigned parent)
      : run_(run), step_(step), s_(statement), parent_(parent) {}
  void build();
  /// After a failure: drops the invalid indexes of partitions, and the parent's entry when no partition has one
  /// attached. True when nothing is left.
  bool clean_up();

 private:
  struct Member {
    unsigned oid = 0, parent = 0;
    bool leaf = false;
    std::string schema, name;
  };
  unsigned parent_index() const;
  std::vector<Member> members() const;
  unsigned attached_index(const Member& m, unsigned parent_index) const;
  /// Was the index there before the first attempt?
  bool was_there(unsigned index) const;
  /// Indexes of a member, not attached anywhere, that could be attached to this one; in the order the server tries
  /// them.
  std::vector<catalog::IndexState> fitting(const Member& m, unsigned above) const;
  void drop_leftovers(const Member& m, unsigned above, bool patient);
  void build_member(const Member& m, unsigned parent_index);
  void in_locked_transaction(const std::function<void()>& f) const;

  const catalog::RunRecord& run_;
  const catalog::StepRecord& step_;
  const Statement& s_;
  unsigned parent_;
};

}  // namespace migration

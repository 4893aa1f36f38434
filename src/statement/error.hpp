// Errors of the product, as plain data.
//
// What: MigrationError carries everything a PostgreSQL client can see of an error: SQLSTATE, message, detail,
// hint and, for script errors, a position. Why here: `statement` is the leftmost room, so every room may throw it;
// only the fence in `pg/boundary.hpp` turns it into an ereport. Invariant: a MigrationError never owns server
// memory. The codes of class MX are our own (letters I-Z of the class are free for applications, SQL:2016 24.1);
// where a standard code has a typed exception in drivers, the standard code is used.
#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <utility>

namespace migration {

/// The one table of SQLSTATEs this product raises by itself. `docs/errors.md` has one anchor for each.
namespace sqlstate {
inline constexpr const char* multiple_heads = "MX001";      ///< several heads where one is needed
inline constexpr const char* edited_after_apply = "MX002";  ///< script differs from what was applied
inline constexpr const char* broken_graph = "MX003";        ///< missing parent, cycle, illegal lineage
inline constexpr const char* bad_target = "MX004";          ///< target text cannot be resolved (relative, range)
inline constexpr const char* step_failed = "MX010";         ///< a step failed and has no better code of its own
inline constexpr const char* run_not_finished = "MX011";    ///< the awaited run ended other than succeeded
inline constexpr const char* suspected_crasher = "MX012";   ///< a step took the server down repeatedly
inline constexpr const char* foreign_origin = "MX013";      ///< the run belongs to another cluster or database
inline constexpr const char* check_failed = "MX020";        ///< migration_check(raise => true) found errors
inline constexpr const char* irreversible = "MX030";        ///< no downgrade, or it would lose data
inline constexpr const char* run_active = "MX040";          ///< another run is active
inline constexpr const char* undefined_object = "42704";    ///< unknown revision, run, ...
inline constexpr const char* duplicate_object = "42710";
inline constexpr const char* undefined_table = "42P01";
inline constexpr const char* syntax_error = "42601";
inline constexpr const char* feature_not_supported = "0A000";
inline constexpr const char* invalid_parameter = "22023";
inline constexpr const char* null_not_allowed = "22004";
inline constexpr const char* active_transaction = "25001";
inline constexpr const char* read_only = "25006";
inline constexpr const char* insufficient_privilege = "42501";
inline constexpr const char* invalid_authorization = "28000";
inline constexpr const char* not_in_prerequisite_state = "55000";
inline constexpr const char* object_in_use = "55006";
inline constexpr const char* lock_not_available = "55P03";
inline constexpr const char* deadlock_detected = "40P01";
inline constexpr const char* query_canceled = "57014";
inline constexpr const char* admin_shutdown = "57P01";
inline constexpr const char* insufficient_resources = "53000";
inline constexpr const char* program_limit = "54000";
inline constexpr const char* data_corrupted = "XX001";
inline constexpr const char* internal_error = "XX000";
}  // namespace sqlstate

/// An error with everything a client sees. `position` is a 1-based character offset into the script, 0 = none.
class MigrationError : public std::exception {
 public:
  MigrationError(std::string state, std::string message, std::string detail = {}, std::string hint = {},
                 int position = 0)
      : state_(std::move(state)),
        message_(std::move(message)),
        detail_(std::move(detail)),
        hint_(std::move(hint)),
        position_(position) {}

  const char* what() const noexcept override { return message_.c_str(); }
  const std::string& state() const noexcept { return state_; }
  const std::string& message() const noexcept { return message_; }
  const std::string& detail() const noexcept { return detail_; }
  const std::string& hint() const noexcept { return hint_; }
  int position() const noexcept { return position_; }
  /// The script that `position` counts in; empty when the error is not about a script.
  const std::string& query() const noexcept { return query_; }
  MigrationError& in_query(std::string script) {
    query_ = std::move(script);
    return *this;
  }

 private:
  std::string state_, message_, detail_, hint_, query_;
  int position_;
};

}  // namespace migration

// What the functions that control a run have in common.
//
// What: finding the run they are about, with the right to act on it. Why one place: who may pause a run may tune it,
// and nobody else.
#pragma once

#include <optional>

#include "catalog/runs.hpp"
#include "pg/function.hpp"

namespace migration {

/// The run named by argument 0; NULL means the unfinished one. Errors: 25006; 42704; 42501 when it belongs to a role
/// this one could not act for.
catalog::RunRecord the_run(FunctionCallInfo fcinfo, const char* function);
catalog::RunRecord the_run(std::optional<long long> given, const char* function);

/// 55000: "run 7 cannot be VERB: it is succeeded".
[[noreturn]] void refuse_ended(const catalog::RunRecord& run, const char* verb);

/// Does a live worker have it?
bool is_owned(const catalog::RunRecord& run);

}  // namespace migration

// One member of a JSON object, without a query.
//
// What: json_member() reads a member of a JSON text with the server's own functions. Why not by SQL: a script is parsed
// without a look at any table, also where no query may run. Invariant: a text that is no JSON object has no members;
// who needs to tell the user so parses it by itself. Memory: the tree lives in the current context. Locks: none.
#pragma once

#include <optional>
#include <string>

namespace migration::pg {

/// A string without its quotes, anything else as JSON has it; nullopt: not there, null, or no JSON object.
std::optional<std::string> json_member(const std::string& json, const char* name);

}  // namespace migration::pg

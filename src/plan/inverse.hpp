// The downgrade that follows from an upgrade's statements alone.
//
// What: derive_downgrade() puts the inverses of a script's statements together in reverse order. Why: most revisions
// add things, and their downgrade is the same list read backwards; a person should not have to write it. Invariant:
// a script is given only when every statement is undone by it; otherwise every statement in the way is named. Rows
// written into what the script itself created need no undoing: they go with it. Pure: no server.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "statement/statement.hpp"

namespace migration {

struct DerivedDowngrade {
  /// One statement per line, closed by semicolons; empty text: there is nothing to undo.
  std::optional<std::string> script;
  /// 'statement 3 (UPDATE) cannot be derived: the old values are not known'
  std::vector<std::string> why_not;
};

DerivedDowngrade derive_downgrade(const std::vector<Statement>& statements);

}  // namespace migration

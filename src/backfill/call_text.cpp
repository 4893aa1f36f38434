// Texts of calls; see call_text.hpp.
#include "backfill/call_text.hpp"

#include "statement/formatted.hpp"

namespace migration::backfill {

std::string text_to_parse(const BackfillCall& call) {
  const bool deletes = call.assignments.empty();
  std::string text = deletes ? formatted("DELETE FROM {}\n", call.relation)
                             : formatted("UPDATE {} SET {}\n", call.relation, call.assignments);
  if (!call.from.empty()) text += formatted("{} {}\n", deletes ? "USING" : "FROM", call.from);
  if (call.condition) text += formatted("WHERE {}\n", *call.condition);
  return text;
}

Target target_of(const RowChange& change, const std::string& relation, const std::string& into,
                 const std::vector<std::string>& columns) {
  Target target;
  target.deletes = change.set_columns.empty() && !change.copy;
  target.relation = relation;
  target.alias = change.alias;
  target.assignments = change.assignments;
  target.condition = change.condition;
  target.from = change.from;
  if (!change.copy) return target;
  const RowCopy& copy = *change.copy;
  std::string list;
  for (const std::string& column : columns) list += (list.empty() ? "" : ", ") + column;
  target.into = formatted("{} ({})", into, list);
  // Values that were asked for by name are what counts, also where the table would make its own.
  if (!copy.columns.empty()) target.into += " OVERRIDING SYSTEM VALUE";
  target.assignments = copy.values.empty() ? list : copy.values;
  target.keeps_present = copy.keeps_present;
  return target;
}

std::string one_statement(const Statement& call, const std::vector<std::string>& columns) {
  if (!call.change || (!call.change->copy && call.change->from.empty() && !call.change->set_columns.empty())) {
    std::string text = formatted("UPDATE {} SET {}\n", call.backfill->relation, call.backfill->assignments);
    if (call.backfill->condition) text += formatted("WHERE ({}\n)", *call.backfill->condition);
    return text;
  }
  const RowChange& change = *call.change;
  if (!change.copy) return whole(target_of(change, change.relation, "", {}));
  return whole(target_of(change, change.relation, change.copy->into,
                         change.copy->columns.empty() ? columns : change.copy->columns));
}

}  // namespace migration::backfill

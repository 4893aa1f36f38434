// Which names a revision or a label may have.
//
// What: the checks behind validate_revision_id and validate_label. Why strict: the target grammar gives `@ - + :` and
// the list separators a meaning, and an id called `head` would silently shadow the symbol. Invariant: whatever passes
// here is read by the target grammar as exactly this name. Memory: none kept.
#include <algorithm>

#include "revision/graph.hpp"
#include "statement/formatted.hpp"

namespace migration {

namespace {

constexpr std::size_t longest_name = 200;

[[noreturn]] void refuse(std::string message, std::string detail) {
  throw GraphError(GraphErrorKind::illegal_rev_id, std::move(message), std::move(detail),
                   "SELECT substr(md5(random()::text), 1, 12) AS free_revision_id;");
}

bool illegal(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte <= ' ' || byte == 0x7f || c == '@' || c == '-' || c == '+' || c == ':' || c == ',';
}

void validate(std::string_view name, std::string_view what) {
  if (name.empty()) refuse(formatted("A {} cannot be empty", what), "");
  if (name.size() > longest_name) {
    refuse(formatted("A {} cannot be longer than {} bytes", what, longest_name),
           formatted("This one has {} bytes.", name.size()));
  }
  std::string bad;
  std::copy_if(name.begin(), name.end(), std::back_inserter(bad), illegal);
  std::sort(bad.begin(), bad.end());
  bad.erase(std::unique(bad.begin(), bad.end()), bad.end());
  if (!bad.empty()) {
    std::string listed;
    for (char c : bad) listed += formatted("{}{}", listed.empty() ? "" : ", ", c);
    refuse(formatted("Character(s) '{}' not allowed in {} '{}'", listed, what, name),
           "@ - + : are operators of the target grammar; comma and white space separate targets.");
  }
  if (is_reserved_name(name)) {
    refuse(formatted("'{}' is reserved and not allowed as {}", name, what),
           "head, heads, base and current are symbols of the target grammar.");
  }
}

}  // namespace

bool is_reserved_name(std::string_view name) noexcept {
  return name == "head" || name == "heads" || name == "base" || name == "current";
}

void validate_revision_id(std::string_view id) {
  validate(id, "revision identifier");
}

void validate_label(std::string_view label) {
  validate(label, "branch label");
}

}  // namespace migration

// Cutting a script into statements, with the server's own parser and scanner.
//
// What: parse_script() gives every statement of a script as plain data; fingerprint() identifies a script by its
// tokens. Why the server's: dollar quotes, comments, DO blocks, E'' strings and every new syntax come out right on
// the server that will run them. Invariant: no catalog is read here, so the result depends on the text (and on
// standard_conforming_strings, which is pinned to on) alone. Memory: parse trees live in a context that is deleted
// before return.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "statement/statement.hpp"

namespace migration::pg {

/// Statements of a script in order; empty for a script of comments only.
/// Errors: 42601 with position in the script (syntax), 0A000 (transaction control, COPY FROM STDIN, role changes),
/// 42601 (psql backslash lines), 54001/53200 as the server's parser raises them.
/// `what` names the script in messages: 'upgrade script of revision "a1b2"'. `hint` replaces the hints of the errors,
/// which show a call of migration_register.
std::vector<Statement> parse_script(std::string_view script, std::string_view what, std::string_view hint = {});

/// sha256 over the scanner's tokens, hex. Comments, white space, CRLF and letter case of keywords do not count.
std::string fingerprint(std::string_view script);

/// Number (1-based) and text of the first statement in which two scripts differ by tokens; 0 when they do not.
struct Difference {
  int number = 0;
  std::string stored, given;
};
Difference first_difference(std::string_view stored, std::string_view given);

/// The statement with its CONCURRENTLY taken out (CREATE/DROP INDEX, REINDEX, DETACH PARTITION, REFRESH).
std::string without_concurrently(std::string_view statement);

/// A quoted identifier, by the server's rules. Quotes only where needed.
std::string quote_identifier(std::string_view name);
std::string quote_literal(std::string_view text);

}  // namespace migration::pg

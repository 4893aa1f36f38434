// Cutting a script and refusing what a revision cannot contain.
//
// Order: the scanner first (it gives the tokens that everything else needs, as far as it gets), then the refusals that
// only tokens can tell (a script of pg_dump with COPY data does not parse), then the parser, then the refusals that
// its trees tell. Of an early refusal and an error of the parser the one that stands first in the script is raised, so
// a message never points behind the real mistake. Positions are characters; they are counted on from statement to
// statement, never from the beginning, so a long script costs linear time.
#include "pg/parse.hpp"

#include <cctype>
#include <optional>

#include "pg/classify.hpp"
#include "pg/script.hpp"
#include "statement/formatted.hpp"

extern "C" {
#include "mb/pg_wchar.h"
#include "parser/parser.h"
}

namespace migration::pg {

namespace {

/// DETAIL of an error in a script: which line of which script, and its text.
std::string where(const Scan& script, std::string_view what, int offset) {
  std::string_view const text(script.text, static_cast<size_t>(script.length));
  auto const at = static_cast<size_t>(offset < script.length ? offset : script.length);
  size_t line = 1, begin = 0;
  for (size_t i = 0; i < at; ++i)
    if (text[i] == '\n') {
      ++line;
      begin = i + 1;
    }
  size_t stop = text.find('\n', begin);
  if (stop == std::string_view::npos) stop = text.size();
  while (stop > begin && isspace(static_cast<unsigned char>(text[stop - 1]))) --stop;
  std::string shown(text.substr(begin, stop - begin));
  if (shown.size() > 200) {
    const char* const base = script.text + begin;
    int const keep = pg_call([&] { return pg_mbcliplen(base, 1000, 200); });
    shown.resize(static_cast<size_t>(keep));
    shown += "...";
  }
  return formatted("Line {} of the {}: {}", line, what, shown);
}

/// Clients draw the place of the mistake in the script; one that is too long for a screen is left to the DETAIL.
MigrationError with_script(MigrationError e, const Scan& script) {
  constexpr int longest_shown = 65536;
  if (script.length <= longest_shown) e.in_query(std::string(script.text, static_cast<size_t>(script.length)));
  return e;
}

/// The hint of a refusal: a call that holds what can stand in its place.
std::string form(const char* script, const char* remark) {
  return formatted("SELECT migration_register('my_revision', 'message', NULL, $${}$$);  -- {}", script, remark);
}

constexpr const char* rows_instead = "rows as INSERT, or COPY ... FROM a file on the server";

/// A refusal that has not been raised yet.
struct Refusal {
  const char* state;
  std::string message, hint;
  int offset;

  MigrationError error(const Scan& script, std::string_view what, std::string_view other_hint) const {
    MigrationError e(state, message, where(script, what, offset), other_hint.empty() ? hint : std::string(other_hint),
                     count_characters(script.text, offset) + 1);
    return with_script(std::move(e), script);
  }
};

/// COPY ... FROM STDIN, or a line for psql: the first of them, told by tokens alone.
std::optional<Refusal> early_refusal(const Scan& script) {
  bool opens = true, copy = false;
  const Token* start = nullptr;
  for (const Token& token : script.tokens) {
    if (opens) {
      copy = token.is("copy");
      start = &token;
    }
    opens = token.is(';');
    if (copy && token.is("stdin") && (&token - 1)->is("from"))
      return Refusal{sqlstate::feature_not_supported, "COPY FROM STDIN cannot be part of a revision",
                     form("INSERT INTO t VALUES (1, 'one')", rows_instead), start->start};
    if (!token.is('\\')) continue;
    const char* const next = script.text + token.end;
    bool const word = isalpha(static_cast<unsigned char>(*next)) != 0;
    if (!word && (*next == 0 || strchr(".!?;", *next) == nullptr)) continue;
    int before = token.start;
    while (before > 0 && script.text[before - 1] != '\n' &&
           isspace(static_cast<unsigned char>(script.text[before - 1])))
      --before;
    if (!word && before > 0 && script.text[before - 1] != '\n') continue;
    const char* stop = next;
    while (*stop != 0 && !isspace(static_cast<unsigned char>(*stop))) ++stop;
    return Refusal{sqlstate::syntax_error,
                   formatted("\"\\{}\" is a command of psql, not SQL", std::string_view(next, size_t(stop - next))),
                   form("CREATE TABLE t (id int)", "SQL only: leave the line out, or write what it does in SQL"),
                   token.start};
  }
  return std::nullopt;
}

/// What no revision may contain although it parses.
std::optional<Refusal> refusal(const Piece& piece) {
  auto make = [&](const char* state, std::string message, std::string hint) {
    return Refusal{state, std::move(message), std::move(hint), piece.first->start};
  };
  switch (nodeTag(piece.node)) {
    case T_TransactionStmt:
      return make(
          sqlstate::feature_not_supported, "transaction control cannot be part of a revision",
          form("CREATE TABLE t (id int)", "no BEGIN, no COMMIT: a revision is split into transactions by itself"));
    case T_CopyStmt: {
      auto* copy = reinterpret_cast<CopyStmt*>(piece.node);
      if (copy->filename != nullptr) return std::nullopt;
      if (copy->is_from)
        return make(sqlstate::feature_not_supported, "COPY FROM STDIN cannot be part of a revision",
                    form("INSERT INTO t VALUES (1, 'one')", rows_instead));
      return make(sqlstate::feature_not_supported, "COPY TO STDOUT cannot be part of a revision",
                  form("COPY t TO '/tmp/t.csv'", "to a file on the server, or not at all"));
    }
    case T_VariableSetStmt: {
      auto* set = reinterpret_cast<VariableSetStmt*>(piece.node);
      if (set->name == nullptr) return std::nullopt;
      std::string_view const name(set->name);
      if (name == "role" || name == "session_authorization")
        return make(
            sqlstate::insufficient_privilege,
            formatted("{} cannot be part of a revision", name == "role" ? "SET ROLE" : "SET SESSION AUTHORIZATION"),
            form("ALTER TABLE t OWNER TO somebody", "a revision runs as the role that starts it; OWNER TO gives away"));
      return std::nullopt;
    }
    case T_DiscardStmt:
      if (reinterpret_cast<DiscardStmt*>(piece.node)->target != DISCARD_ALL) return std::nullopt;
      return make(sqlstate::feature_not_supported, "DISCARD ALL cannot be part of a revision",
                  form("RESET search_path", "only the settings that the revision has changed"));
    default:
      return std::nullopt;
  }
}

/// Walks what is between two statements; the offset of the directive comment, or -1.
int find_directive(const char* text, int from, int to) {
  int found = -1;
  for (int i = from; i < to;) {
    if (text[i] == '-' && text[i + 1] == '-') {
      while (i < to && text[i] != '\n' && text[i] != '\r') ++i;
    } else if (text[i] == '/' && text[i + 1] == '*') {
      int const begin = i;
      int depth = 0;
      do {
        if (text[i] == '/' && text[i + 1] == '*') {
          ++depth;
          i += 2;
        } else if (text[i] == '*' && text[i + 1] == '/') {
          --depth;
          i += 2;
        } else {
          ++i;
        }
      } while (depth > 0 && i < to);
      std::string words;
      for (int k = begin + 2; k < i - 2; ++k) {
        auto const c = static_cast<unsigned char>(text[k]);
        if (isspace(c) == 0) words += static_cast<char>(tolower(c));
        if (words.size() > 40) break;
      }
      if (words == "migration:aswritten") found = begin;
    } else {
      ++i;
    }
  }
  return found;
}

}  // namespace

std::vector<Piece> cut(const Scan& script) {
  List* trees = nullptr;
  {
    ScannerSettings const pinned;
    trees = pg_call([&] { return raw_parser(script.text, RAW_PARSE_DEFAULT); });
  }
  std::vector<Piece> pieces;
  pieces.reserve(static_cast<size_t>(list_length(trees)));
  const Token* next = script.tokens.begin();
  const Token* const end = script.tokens.end();
  int gap = 0;
  for (int i = 0; i < list_length(trees); ++i) {
    auto* raw = static_cast<RawStmt*>(list_nth(trees, i));
    int const from = raw->stmt_location > 0 ? raw->stmt_location : 0;
    int const to = raw->stmt_len > 0 ? from + raw->stmt_len : script.length;
    while (next < end && (next->start < from || next->is(';'))) ++next;
    Piece piece;
    piece.script = &script;
    piece.node = raw->stmt;
    piece.first = next;
    while (next < end && next->start < to) ++next;
    piece.last = next;
    while (piece.last > piece.first && (piece.last - 1)->is(';')) --piece.last;
    if (piece.first >= piece.last) continue;
    int const directive = find_directive(script.text, gap, piece.first->start);
    piece.as_written = directive >= 0;
    piece.start = directive >= 0 ? directive : piece.first->start;
    gap = (piece.last - 1)->end;
    pieces.push_back(piece);
  }
  return pieces;
}

std::vector<Statement> parse_script(std::string_view text, std::string_view what, std::string_view hint) {
  Scratch const scratch;
  Scan const script = scan(text, true);
  std::optional<Refusal> const early = early_refusal(script);
  std::vector<Piece> pieces;
  std::optional<PgError> failed;
  try {
    pieces = cut(script);
  } catch (const PgError& e) {
    failed = e;
  }
  int const mistake = failed ? byte_offset(script.text, script.length, failed->position()) : script.length;
  if (early && (!failed || failed->position() == 0 || early->offset <= mistake)) throw early->error(script, what, hint);
  if (failed) {
    if (failed->position() == 0) throw *failed;
    std::string detail = where(script, what, mistake);
    if (std::string const own = failed->detail(); !own.empty()) detail = own + "\n" + detail;
    std::string cure(hint);
    if (cure.empty()) {
      // What the server has to say about it is no statement, but worth its words.
      if (std::string const own = failed->hint(); !own.empty()) detail += "\n" + own;
      cure = form("CREATE TABLE t (id int)", "between $$ and $$ quotes need no doubling");
    }
    throw with_script(MigrationError(failed->state(), failed->message(), detail, cure, failed->position()), script);
  }
  std::vector<Statement> statements;
  statements.reserve(pieces.size());
  int done = 0, characters = 0;
  for (const Piece& piece : pieces) {
    check_interrupts();
    if (auto const no = refusal(piece)) throw no->error(script, what, hint);
    characters += count_characters(script.text + done, piece.first->start - done);
    done = piece.first->start;
    Statement& statement = statements.emplace_back();
    statement.number = static_cast<int>(statements.size());
    statement.position = characters + 1;
    statement.text = piece.text();
    statement.as_written = piece.as_written;
    try {
      classify(piece, statement);
    } catch (const Unfit& unfit) {
      throw Refusal{unfit.state, unfit.message, unfit.hint, unfit.offset}.error(script, what, hint);
    }
  }
  return statements;
}

}  // namespace migration::pg

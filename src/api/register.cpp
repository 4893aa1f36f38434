// Writing revisions: migration_register, migration_unregister, migration_merge, migration_approve, migration_export.
//
// What: checks a revision in full before it is stored: id, labels, graph (cycles), both scripts through the server's
// parser. Registering is idempotent and free of order: the same text again is 'unchanged', other text is 'updated'
// while the revision is not applied and MX002 afterwards; a parent that is not there yet is a NOTICE now and an error
// at plan time. Invariant: nothing is written before everything has been checked.
#include "api/arguments.hpp"
#include "catalog/revisions.hpp"
#include "pg/function.hpp"
#include "pg/identity.hpp"
#include "pg/parse.hpp"
#include "pg/settings.hpp"
#include "plan/inverse.hpp"
#include "statement/formatted.hpp"
#include "worker/backfill_options.hpp"
#include "worker/planning.hpp"

namespace migration {

namespace {

constexpr const char* which_revision = "SELECT * FROM migration_history();";
constexpr std::size_t max_script = 128UL * 1024 * 1024;
constexpr std::size_t max_message = 10000;

std::string first_line(const std::string& text) {
  std::string line = text.substr(0, text.find('\n'));
  return line.size() > 200 ? line.substr(0, 197) + "..." : line;
}

/// What a call of migration_register looks like, for hints; `more` follows the scripts.
std::string register_form(const char* more, const char* remark) {
  return formatted("SELECT migration_register('my_revision', 'message', NULL, $$CREATE TABLE t (id int)$${});{}", more,
                   remark);
}

void require_size(const std::string& text, std::size_t limit, const char* what) {
  if (text.size() <= limit) return;
  throw MigrationError(sqlstate::program_limit, formatted("{} is too long", what),
                       formatted("It has {} bytes; the limit is {}.", text.size(), limit),
                       register_form("", "  -- split a long script into several revisions"));
}

/// Options are few and have types; a misspelt one would silently do nothing.
void require_known_options(const std::string& options) {
  if (options == "{}") return;
  const std::string form = register_form(", options => '{\"online\": false}'", "");
  pg::Scope scope;
  for (const pg::Row& row : pg::query("SELECT o.key, pg_catalog.jsonb_typeof(o.value), pg_catalog.left(o.value::text, "
                                      "100) FROM pg_catalog.jsonb_each($1::jsonb) o",
                                      {options})) {
    const std::string &key = *row[0], &type = *row[1];
    if (key == "source" || (key == "online" && type == "boolean")) continue;
    if (key != "online") {
      throw MigrationError(sqlstate::invalid_parameter,
                           formatted("unknown option \"{}\" of migration_register", key.substr(0, 200)),
                           "Options are \"online\" (true or false) and \"source\" (anything you want to keep).", form);
    }
    throw MigrationError(sqlstate::invalid_parameter, "option \"online\" must be true or false",
                         formatted("Given is {}, of type {}.", *row[2], type), form);
  }
}

/// Both scripts as one thing that is either the same or not. The separator cannot occur in a fingerprint.
std::string fingerprint_of(const std::string& upgrade, const std::optional<std::string>& downgrade,
                           const std::string& kind) {
  std::string all = pg::fingerprint(upgrade) + ":" + kind;
  if (downgrade && kind != "derived") all += ":" + pg::fingerprint(*downgrade);
  return pg::fingerprint(pg::quote_literal(all));
}

/// The directive `as written` is a comment, so the fingerprint does not see it; the planner does.
bool same_directives(const std::string& a, const std::string& b) {
  if (a == b) return true;
  const auto flags = [](const std::string& script) {
    std::vector<bool> out;
    for (const Statement& s : pg::parse_script(script, "script")) out.push_back(s.as_written);
    return out;
  };
  return flags(a) == flags(b);
}

bool same_text(const catalog::StoredRevision& a, const catalog::StoredRevision& b, bool applied) {
  return (applied || same_directives(a.upgrade, b.upgrade)) && a.fingerprint == b.fingerprint &&
         a.node.down == b.node.down && a.node.depends_on == b.node.depends_on && a.node.labels == b.node.labels;
}

std::string in_words(const pg::Difference& d, const char* script, const char* had) {
  if (d.given.empty()) {
    return formatted("Statement {} of the {} script was removed: {} \"{}\".", d.number, script, had,
                     first_line(d.stored));
  }
  if (d.stored.empty()) {
    return formatted("Statement {} of the {} script was added: \"{}\".", d.number, script, first_line(d.given));
  }
  return formatted("Statement {} of the {} script differs: {} \"{}\", given is \"{}\".", d.number, script, had,
                   first_line(d.stored), first_line(d.given));
}

void refuse_edit(const catalog::StoredRevision& old, const catalog::StoredRevision& now) {
  std::string detail;
  const pg::Difference up = pg::first_difference(old.upgrade, now.upgrade);
  if (up.number > 0) {
    detail = in_words(up, "upgrade", "applied was");
  } else if (old.node.down != now.node.down) {
    detail = "Its down_revision differs.";
  } else if (old.node.depends_on != now.node.depends_on || old.node.labels != now.node.labels) {
    detail = "Its dependencies or labels differ.";
  } else {
    const pg::Difference down =
        pg::first_difference(old.downgrade.value_or(std::string()), now.downgrade.value_or(std::string()));
    detail = down.number > 0 ? in_words(down, "downgrade", "stored is") : "Its downgrade differs.";
  }
  throw MigrationError(sqlstate::edited_after_apply,
                       formatted("revision \"{}\" was changed after it was applied", now.node.id), detail,
                       formatted("SELECT migration_downgrade({});  -- or register the change as a new revision",
                                 literal(now.node.down.empty() ? "base" : now.node.down[0])));
}

/// The graph with this revision in it: cycles and label clashes show here.
void check_graph(const catalog::StoredRevision& r) {
  const RevisionGraph graph = catalog::load_graph();
  std::vector<Revision> nodes;
  nodes.reserve(graph.size() + 1);
  bool replaced = false;
  for (std::size_t i = 0; i < graph.size(); ++i) {
    if (graph.id(i) == r.node.id) {
      nodes.push_back(r.node);
      replaced = true;
    } else {
      nodes.push_back(graph.at(i));
    }
  }
  if (!replaced) nodes.push_back(r.node);
  const RevisionGraph with(std::move(nodes));
  for (const MissingReference& missing : with.missing()) {
    if (with.id(missing.revision) != r.node.id) continue;
    pg::report(NOTICE, sqlstate::undefined_object,
               formatted("revision \"{}\" refers to \"{}\", which is not registered yet", r.node.id, missing.missing));
  }
}

/// Can this revision be part of a cycle or clash? Only when somebody refers to it or it has labels. A chain registered
/// in order never pays for the whole graph.
bool needs_graph_check(const catalog::StoredRevision& r, bool exists) {
  if (exists || !r.node.labels.empty()) return true;
  for (const std::string& p : r.node.down) {
    if (p == r.node.id) return true;
  }
  for (const std::string& d : r.node.depends_on) {
    if (d == r.node.id) return true;
  }
  return !catalog::references_resolve(r.node.id, r.node.down, r.node.depends_on);
}

std::string store(const catalog::StoredRevision& r) {
  // What is checked here must still hold when this transaction commits: two that are each fine could make a cycle.
  catalog::lock_revisions();
  const auto old = catalog::load_revision(r.node.id);
  if (old) {
    const bool applied = catalog::load_applied_row(r.node.id).has_value();
    if (same_text(*old, r, applied)) {
      if (old->node.message == r.node.message && old->options == r.options) return "unchanged";
      catalog::StoredRevision renamed = *old;
      renamed.node.message = r.node.message;
      renamed.options = r.options;
      if (!applied) renamed.script_path = r.script_path;
      catalog::update_revision(renamed);
      return "updated";
    }
    if (applied) refuse_edit(*old, r);
  }
  if (needs_graph_check(r, old.has_value())) check_graph(r);
  if (old) {
    catalog::update_revision(r);
    return "updated";
  }
  catalog::insert_revision(r);
  return "registered";
}

}  // namespace

}  // namespace migration

using namespace migration;

/// migration_register(revision, message, down_revision, upgrade, downgrade, branch_label, depends_on, options) -> text.
/// Errors: 22004, 22023 (id, label, options), 42601 with position (scripts), 0A000 (transaction control and the like),
/// MX002 (changed after it was applied), MX003 (cycle), 54000 (too long).
MIGRATION_FUNCTION(migration_register) {
  pg::require_writable("migration_register");
  catalog::StoredRevision r;
  r.node.id = pg::required_text(fcinfo, 0, "revision", register_form("", "").c_str());
  r.node.message = pg::text_argument(fcinfo, 1).value_or("");
  require_size(r.node.id, 10000, "the revision id");
  validate_revision_id(r.node.id);
  require_size(r.node.message, max_message, "the message");
  if (auto parents = pg::text_argument(fcinfo, 2)) r.node.down = split_names(*parents);
  r.upgrade = pg::text_argument(fcinfo, 3).value_or("");
  require_size(r.upgrade, max_script, "the upgrade script");
  const auto downgrade = pg::text_argument(fcinfo, 4);
  if (auto label = pg::text_argument(fcinfo, 5)) r.node.labels = split_names(*label);
  for (const std::string& label : r.node.labels) validate_label(label);
  if (auto dependencies = pg::text_argument(fcinfo, 6)) r.node.depends_on = split_names(*dependencies);
  r.options = json_argument(fcinfo, 7);
  require_known_options(r.options);

  std::string remark, remark_detail;
  const auto statements = pg::parse_script(r.upgrade, formatted("upgrade script of revision \"{}\"", r.node.id));
  check_options(statements);
  if (downgrade && is_word(*downgrade, "irreversible")) {
    r.downgrade_kind = "irreversible";
  } else if (downgrade) {
    require_size(*downgrade, max_script, "the downgrade script");
    check_options(pg::parse_script(*downgrade, formatted("downgrade script of revision \"{}\"", r.node.id)));
    r.downgrade_kind = "given";
    r.downgrade = *downgrade;
  } else {
    DerivedDowngrade derived = derive_downgrade(statements);
    r.downgrade_kind = derived.script ? "derived" : "none";
    r.downgrade = derived.script;
    if (derived.script) {
      pg::parse_script(*derived.script, formatted("derived downgrade of revision \"{}\"", r.node.id));
      if (!derived.script->empty()) {
        remark = formatted("downgrade of revision \"{}\" derived from its statements", r.node.id);
        remark_detail = *derived.script;
      }
    } else {
      remark = formatted("revision \"{}\" has no downgrade", r.node.id);
      for (const std::string& reason : derived.why_not) remark_detail += (remark_detail.empty() ? "" : "; ") + reason;
    }
  }
  r.fingerprint = fingerprint_of(r.upgrade, r.downgrade, r.downgrade_kind);
  r.script_path = pg::get_setting("search_path");
  const pg::Role role = pg::current_role();
  r.registered_by = role.name;
  r.registered_oid = role.oid;
  const std::string result = store(r);
  // A deployment registers everything again; what is known already deserves no words.
  if (!remark.empty() && result != "unchanged") pg::report(NOTICE, "00000", remark, remark_detail);
  return pg::text_result(fcinfo, result);
}

/// migration_unregister(revision) -> boolean. False when there is no such revision. Errors: 55000 when it is applied or
/// others build on it.
MIGRATION_FUNCTION(migration_unregister) {
  pg::require_writable("migration_unregister");
  const std::string id = pg::required_text(fcinfo, 0, "revision", which_revision);
  catalog::lock_revisions();
  if (!catalog::load_revision(id)) return pg::bool_result(false);
  if (catalog::load_applied_row(id)) {
    throw MigrationError(sqlstate::not_in_prerequisite_state, formatted("revision \"{}\" is applied", id),
                         "Only revisions that are not applied can be forgotten.",
                         formatted("SELECT migration_downgrade({});", literal(id + "-1")));
  }
  const RevisionGraph graph = catalog::load_graph();
  std::string users;
  for (std::size_t i = 0; i < graph.size(); ++i) {
    const Revision& r = graph.at(i);
    for (const auto* list : {&r.down, &r.depends_on}) {
      for (const std::string& name : *list) {
        if (name == id) users += (users.empty() ? "" : ", ") + r.id;
      }
    }
  }
  if (!users.empty()) {
    throw MigrationError(sqlstate::not_in_prerequisite_state, formatted("other revisions build on \"{}\"", id),
                         "They are: " + users + ".",
                         formatted("SELECT migration_unregister({});", literal(users.substr(0, users.find(',')))));
  }
  return pg::bool_result(catalog::delete_revision(id));
}

/// migration_merge(message, revisions, revision) -> text: the id of a new revision with an empty script that joins
/// them.
MIGRATION_FUNCTION(migration_merge) {
  pg::require_writable("migration_merge");
  const std::string message = pg::text_argument(fcinfo, 0).value_or("");
  require_size(message, max_message, "the message");
  const std::string which = pg::text_argument(fcinfo, 1).value_or("heads");
  const RevisionGraph graph = catalog::load_graph();
  const std::vector<std::size_t> heads = select_revisions(graph, which);
  if (heads.size() < 2) {
    throw MigrationError(sqlstate::invalid_parameter, "a merge needs at least two revisions",
                         heads.empty() ? "There are none." : formatted("Given is \"{}\" alone.", graph.id(heads[0])),
                         "SELECT * FROM migration_heads();");
  }
  catalog::StoredRevision r;
  for (std::size_t i : heads) r.node.down.push_back(graph.id(i));
  const auto wanted = pg::text_argument(fcinfo, 2);
  r.node.id = wanted ? *wanted : new_revision_id(r.node.down);
  validate_revision_id(r.node.id);
  if (catalog::load_revision(r.node.id)) {
    throw MigrationError(sqlstate::duplicate_object, formatted("revision \"{}\" exists already", r.node.id), {},
                         formatted("SELECT * FROM migration_show({});", literal(r.node.id)));
  }
  r.node.message = message;
  r.downgrade = "";
  r.downgrade_kind = "derived";
  r.options = "{}";
  r.fingerprint = fingerprint_of("", r.downgrade, r.downgrade_kind);
  r.script_path = pg::get_setting("search_path");
  const pg::Role role = pg::current_role();
  r.registered_by = role.name;
  r.registered_oid = role.oid;
  const std::string id = r.node.id;
  store(r);
  return pg::text_result(fcinfo, id);
}

/// migration_approve(revision) -> boolean. True when this role had not approved this very text before.
MIGRATION_FUNCTION(migration_approve) {
  pg::require_writable("migration_approve");
  const std::string id = pg::required_text(fcinfo, 0, "revision", which_revision);
  const RevisionGraph graph = catalog::load_graph();
  const auto applied = catalog::load_applied();
  const auto found = show_one(graph, AppliedSet(graph, std::vector<std::string>(applied.begin(), applied.end())), id);
  if (!found) throw no_such_revision(id);
  const auto r = catalog::load_revision(graph.id(*found));
  const pg::Role role = pg::current_role();
  for (const catalog::Approval& a : catalog::load_approvals(r->node.id, r->fingerprint)) {
    if (a.approved_by == role.name && a.approved_oid == role.oid) return pg::bool_result(false);
  }
  catalog::store_approval(r->node.id, r->fingerprint, role.name, role.oid);
  return pg::bool_result(true);
}

/// migration_export(revision) -> text: one migration_register call that gives the same revision.
MIGRATION_FUNCTION(migration_export) {
  const std::string id = pg::required_text(fcinfo, 0, "revision", which_revision);
  const RevisionGraph graph = catalog::load_graph();
  const auto applied = catalog::load_applied();
  const auto found = show_one(graph, AppliedSet(graph, std::vector<std::string>(applied.begin(), applied.end())), id);
  if (!found) throw no_such_revision(id);
  const auto r = catalog::load_revision(graph.id(*found));
  return pg::text_result(fcinfo, export_text(*r));
}

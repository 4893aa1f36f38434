// Runs all resolution vectors recorded from Alembic. Each one agrees, or its id stands in the first column of
// alembic_deviations.md with the reason; a listed vector that agrees after all fails, so the list stays honest.
#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "revision/target.hpp"

namespace migration {
namespace {

using nlohmann::json;
using Names = std::vector<std::string>;

json load(const std::string& name) {
  std::ifstream in(std::string(TEST_DATA_DIR) + "/" + name);
  return json::parse(in);
}

std::set<std::string> listed_deviations() {
  std::ifstream in(std::string(TEST_DATA_DIR) + "/alembic_deviations.md");
  std::set<std::string> out;
  for (std::string line; std::getline(in, line);) {
    if (line.rfind("| h", 0) != 0) continue;
    std::istringstream column(line.substr(1, line.find('|', 1) - 1));
    for (std::string id; column >> id;) out.insert(id);
  }
  return out;
}

std::vector<Revision> revisions_of(const json& graph) {
  std::vector<Revision> out;
  for (const json& r : graph) {
    out.push_back({r["rev"], r["down"].get<Names>(), r["depends_on"].get<Names>(), r["labels"].get<Names>(), ""});
  }
  return out;
}

Names names(const RevisionGraph& graph, const std::vector<std::size_t>& list, bool sorted = false) {
  Names out;
  for (std::size_t i : list) out.push_back(graph.id(i));
  if (sorted) std::sort(out.begin(), out.end());
  return out;
}

Names sorted(Names list) {
  std::sort(list.begin(), list.end());
  return list;
}

/// The line Alembic prints for a revision, made from what the graph answers.
std::string line_of(const RevisionGraph& graph, std::size_t i, bool parents, bool labels, bool heads_only) {
  std::string out;
  if (parents) {
    out = graph.at(i).down.empty() ? "<base>" : fmt::format("{}", fmt::join(graph.at(i).down, ", "));
    const IndexSpan needs = graph.dependencies(i);
    if (!needs.empty()) {
      out += fmt::format(" ({})", fmt::join(names(graph, {needs.begin(), needs.end()}), ", "));
    }
    out += " -> ";
  }
  out += graph.id(i);
  const Names own = sorted(graph.propagated_labels()[i]);
  if (labels && !own.empty()) out += fmt::format(" ({})", fmt::join(own, ", "));
  if (graph.is_head(i)) out += " (head)";
  if (!heads_only && graph.is_branch_point(i)) out += " (branchpoint)";
  if (!heads_only && graph.is_merge_point(i)) out += " (mergepoint)";
  if (parents) out += ", ";
  return out;
}

struct Case {
  const json& v;
  const RevisionGraph& graph;
  AppliedSet applied;
  std::string target;
  std::vector<std::string> wrong;

  template <typename T>
  void same(const char* what, const T& expected, const T& actual) {
    if (expected != actual)
      wrong.push_back(fmt::format("{}: {} != {}", what, json(expected).dump(), json(actual).dump()));
  }

  void path(bool up) {
    const json& expect = v["expect"];
    std::vector<std::size_t> steps;
    AppliedSet start = applied;
    if (v.value("sql", false)) {
      steps = up ? offline_upgrade_path(graph, target) : offline_downgrade_path(graph, target);
      const std::size_t colon = target.find(':');
      const std::string from = colon == std::string::npos ? "base" : target.substr(0, colon);
      start = AppliedSet(graph, show(graph, applied, from));
    } else {
      steps = up ? upgrade_path(graph, applied, target) : downgrade_path(graph, applied, target);
    }
    std::vector<std::pair<std::string, std::string>> expected, actual;
    for (const json& step : expect.at("steps")) expected.emplace_back(step[0], step[1]);
    for (std::size_t i : steps) actual.emplace_back(up ? "up" : "down", graph.id(i));
    json heads_after = json::array();
    std::set<std::size_t> now;
    for (std::size_t i : members(start.marks())) now.insert(i);
    for (std::size_t i : steps) {
      up ? (void)now.insert(i) : (void)now.erase(i);
      Marks marks(graph.size(), 0);
      for (std::size_t k : now) marks[k] = 1;
      heads_after.push_back(names(graph, maximal(graph, marks, Edges::effective), true));
    }
    auto normal = [](json lists) {
      for (json& list : lists) list = sorted(list.get<Names>());
      return lists;
    };
    json options = json::array();
    options.push_back(expect);
    for (const json& other : v.value("alternatives", json::array())) options.push_back(other);
    for (const json& option : options) {
      std::vector<std::pair<std::string, std::string>> wanted;
      for (const json& step : option.at("steps")) wanted.emplace_back(step[0], step[1]);
      if (wanted == actual &&
          (!option.contains("heads_after_each") || normal(option.at("heads_after_each")) == heads_after)) {
        return;
      }
    }
    same("steps", expected, actual);
    if (expect.contains("heads_after_each")) same("heads", normal(expect.at("heads_after_each")), heads_after);
  }

  void stamped() {
    const json& expect = v["expect"];
    const StampResult result = stamp(graph, applied, target, v.value("purge", false));
    const bool by_rule = v.contains("end_heads_by_rule");
    const json& heads = by_rule ? v["end_heads_by_rule"] : expect.at("end_heads");
    same("heads", sorted(heads.get<Names>()), names(graph, result.heads, true));
    if (by_rule) return;  // the moves are the bug
    std::vector<std::pair<Names, Names>> wanted, moves;
    for (const json& move : expect.at("stamp_moves")) {
      wanted.emplace_back(sorted(move[0].get<Names>()), sorted(move[1].get<Names>()));
    }
    for (const StampMove& move : result.moves) {
      moves.emplace_back(names(graph, move.from, true), names(graph, move.to, true));
    }
    same("moves", wanted, moves);
  }

  void info() {
    const json& expect = v["expect"];
    same("heads", expect.at("heads").get<Names>(), names(graph, graph.heads()));
    same("real_heads", expect.at("real_heads").get<Names>(), names(graph, graph.real_heads()));
    same("bases", expect.at("bases").get<Names>(), names(graph, graph.bases()));
    same("branch_points", sorted(expect.at("branch_points").get<Names>()), names(graph, graph.branch_points(), true));
    same("merge_points", sorted(expect.at("merge_points").get<Names>()), names(graph, graph.merge_points(), true));
    const auto labels = graph.propagated_labels();
    for (std::size_t i = 0; i < graph.size(); ++i) {
      same("labels", expect.at("labels").value(graph.id(i), Names{}), sorted(labels[i]));
      const IndexSpan row = graph.effective_parents(i);
      same("effective", sorted(expect.at("effective_down")[graph.id(i)].get<Names>()),
           names(graph, {row.begin(), row.end()}, true));
    }
  }

  void listing() {
    const json& expect = v["expect"];
    const auto rows = history(graph, applied, target);
    same("revs", expect.at("revs").get<Names>(), names(graph, rows));
    Names lines;
    for (std::size_t i : rows) lines.push_back(line_of(graph, i, true, true, false));
    if (expect.contains("lines")) same("lines", expect.at("lines").get<Names>(), lines);
  }

  void parents() {
    if (v.contains("rev_id")) validate_revision_id(v["rev_id"].get<std::string>());
    const json& expect = v["expect"];
    const auto chosen = select_revisions(graph, target, v.value("splice", false));
    Names needs;
    for (const std::string& name : v.value("depends_on", Names{})) {
      for (const std::string& full : select_dependencies(graph, name)) needs.push_back(full);
    }
    if (!expect.contains("new")) return wrong.push_back("no error");
    same("down", expect.at("new")["down"].get<Names>(), names(graph, chosen));
    same("depends_on", expect.at("new")["depends_on"].get<Names>(), needs);
  }

  void run() {
    const std::string command = v["command"];
    const json& expect = v["expect"];
    if (command == "upgrade" || command == "downgrade") return path(command == "upgrade");
    if (command == "stamp") return stamped();
    if (command == "info") return info();
    if (command == "history") return listing();
    if (command == "revision" || command == "merge") return parents();
    if (command == "show") {
      const auto rows = show(graph, applied, target);
      return same("revs", expect.at("revs").get<Names>(), names(graph, rows));
    }
    if (command == "show_one") {
      const auto one = show_one(graph, applied, target);
      return same("revs", expect.at("revs").get<Names>(), one ? Names{graph.id(*one)} : Names{});
    }
    if (command == "current") {
      const auto rows = current_revisions(graph, applied);
      same("set", expect.at("set").get<Names>(), names(graph, rows, true));
      Names lines;
      for (std::size_t i : rows) lines.push_back(line_of(graph, i, false, false, true));
      return same("lines", sorted(expect.at("lines_set").get<Names>()), sorted(lines));
    }
    if (command == "current_check_heads") {
      return same("ok", expect.at("ok").get<bool>(), is_up_to_date(graph, applied));
    }
    if (command == "heads_lines") {
      Names lines;
      const bool real = v.value("resolve_dependencies", false);
      for (std::size_t i : real ? graph.real_heads() : graph.heads()) {
        lines.push_back(line_of(graph, i, false, true, true));
      }
      return same("lines", expect.at("lines").get<Names>(), lines);
    }
    if (command == "build") return;
    wrong.push_back("unknown command " + command);
  }
};

std::vector<std::string> differences(const json& v, const json& graphs) {
  const json& expect = v["expect"];
  const bool wants_error = expect.contains("error");
  try {
    const RevisionGraph graph(revisions_of(graphs[v["graph"].get<std::string>()]));
    std::string target;
    if (v.contains("target") && v["target"].is_array()) {
      target = fmt::format("{}", fmt::join(v["target"].get<Names>(), ", "));
    } else if (v.contains("target") && v["target"].is_string()) {
      target = v["target"];
    }
    Case test{v, graph, AppliedSet(graph, v["current"].get<Names>()), target, {}};
    if (wants_error) {
      // An expected error must come from the call itself, so the comparison of results is never reached.
      test.run();
      return {"no error, expected " + expect.at("error").get<std::string>()};
    }
    test.run();
    return test.wrong;
  } catch (const GraphError& error) {
    if (!wants_error) return {"unexpected error: " + error.message()};
    std::vector<std::string> wrong;
    if (to_text(error.kind()) != expect.at("error").get<std::string>())
      wrong.push_back(fmt::format("kind {}", to_text(error.kind())));
    bool text = error.message() == expect.at("message").get<std::string>();
    for (const json& other : v.value("alternatives", json::array())) {
      text = text || error.message() == other.at("message").get<std::string>();
    }
    if (!text) wrong.push_back("message: " + error.message());
    // The cause of range errors is a slip in Alembic ("Revision Nothing to drop is not an ancestor"): not compared.
    if (expect.contains("cause") && expect.at("error").get<std::string>() != "range_not_ancestor" &&
        error.detail().find(expect.at("cause").get<std::string>()) == std::string::npos) {
      wrong.push_back("detail: " + error.detail());
    }
    if (error.hint().rfind("SELECT ", 0) != 0) wrong.push_back("hint: " + error.hint());
    return wrong;
  } catch (const json::exception& error) {
    return {wants_error ? std::string("no error") : std::string(error.what())};
  }
}

TEST(AlembicVectors, AgreeOrAreListed) {
  const json data = load("alembic_vectors.json");
  const std::set<std::string> listed = listed_deviations();
  std::set<std::string> seen;
  int agreeing = 0, deviating = 0, by_rule = 0;
  for (const json& v : data["vectors"]) {
    const std::string id = v["id"];
    seen.insert(id);
    const auto wrong = differences(v, data["graphs"]);
    if (listed.count(id)) {
      ++deviating;
      EXPECT_FALSE(wrong.empty()) << id << " agrees; take it off the list of deviations";
    } else {
      ++agreeing;
      by_rule += v.contains("end_heads_by_rule");
      EXPECT_TRUE(wrong.empty()) << v.dump().substr(0, 300) << "\n  " << fmt::format("{}", fmt::join(wrong, "\n  "));
    }
  }
  for (const std::string& id : listed) EXPECT_TRUE(seen.count(id)) << id << " is listed but no vector";
  EXPECT_EQ(seen.size(), 505u);
  RecordProperty("agreeing", agreeing);
  RecordProperty("deviating", deviating);
  std::ostringstream summary;
  summary << agreeing << " vectors agree (" << by_rule << " by the rule), " << deviating << " deviate as listed\n";
  std::fputs(summary.str().c_str(), stdout);
}

}  // namespace
}  // namespace migration

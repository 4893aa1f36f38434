// Targets beyond the recorded vectors: lists, `current`, labels in dependencies, and what an error offers its reader.
#include <functional>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "revision/target.hpp"

namespace migration {
namespace {

using Names = std::vector<std::string>;

RevisionGraph branched() {
  return RevisionGraph({{"aaaa", {}, {}, {}, ""},
                        {"bbbb", {"aaaa"}, {}, {}, ""},
                        {"c1c1", {"bbbb"}, {}, {"c1branch"}, ""},
                        {"d1d1", {"c1c1"}, {}, {}, ""},
                        {"c2c2", {"bbbb"}, {}, {"c2branch"}, ""},
                        {"d2d2", {"c2c2"}, {}, {}, ""}});
}

std::string text(const RevisionGraph& graph, const std::vector<std::size_t>& list) {
  Names out;
  for (std::size_t i : list) out.push_back(graph.id(i));
  return fmt::format("{}", fmt::join(out, " "));
}

AppliedSet at(const RevisionGraph& graph, const Names& ids) {
  return {graph, ids};
}

GraphError caught(const std::function<void()>& work) {
  try {
    work();
  } catch (const GraphError& error) {
    return error;
  }
  ADD_FAILURE() << "no error";
  return {GraphErrorKind::revision_error, "", "", ""};
}

TEST(Target, SeveralTargetsAreAUnion) {
  const RevisionGraph graph = branched();
  EXPECT_EQ(text(graph, upgrade_path(graph, at(graph, {"aaaa"}), "c1branch@head, d2")), "bbbb c2c2 d2d2 c1c1 d1d1");
}

TEST(Target, SeveralTargetsMayBeRelative) {
  const RevisionGraph graph = branched();
  EXPECT_EQ(text(graph, upgrade_path(graph, at(graph, {"bbbb"}), "c1branch@+1,c2branch@+1")), "c2c2 c1c1");
}

TEST(Target, CurrentIsWhereTheDatabaseStands) {
  const RevisionGraph graph = branched();
  const AppliedSet start = at(graph, {"c1c1"});
  EXPECT_EQ(text(graph, upgrade_path(graph, start, "current")), "");
  EXPECT_EQ(text(graph, upgrade_path(graph, start, "current+1")), "d1d1");
  EXPECT_EQ(text(graph, downgrade_path(graph, start, "current-2")), "c1c1 bbbb");
  EXPECT_EQ(text(graph, downgrade_path(graph, start, "current")), "");
  EXPECT_EQ(text(graph, show(graph, start, "current")), "c1c1");
  EXPECT_EQ(text(graph, history(graph, start, "current-1:current")), "c1c1 bbbb");
  EXPECT_EQ(text(graph, history(graph, start, "-1:current")), "c1c1 bbbb");
}

TEST(Target, DowngradeFromSeveralHeadsListsThem) {
  const RevisionGraph graph = branched();
  const GraphError error = caught([&] { downgrade_path(graph, at(graph, {"d1d1", "d2d2"}), "-1"); });
  EXPECT_EQ(error.state(), sqlstate::multiple_heads);
  EXPECT_EQ(error.detail(), "Applied heads: d1d1, d2d2.");
  EXPECT_EQ(error.hint(), "SELECT migration_downgrade('d1d1@-1');");
  EXPECT_EQ(text(graph, downgrade_path(graph, at(graph, {"d1d1", "d2d2"}), "d1d1@-1")), "d1d1");
}

TEST(Target, TrailingJunkIsRefused) {
  const RevisionGraph graph = branched();
  for (const char* junk : {"+1abc", "aaaa+", "aaaa+1+1", "-", "head-1 ", "+ 1", "c1branch@+x"}) {
    const GraphError error = caught([&] { upgrade_path(graph, at(graph, {}), junk); });
    EXPECT_EQ(error.kind(), GraphErrorKind::revision_error) << junk;
    EXPECT_EQ(error.state(), sqlstate::bad_target) << junk;
  }
}

TEST(Target, OvershootIsAnErrorHoweverFar) {
  const RevisionGraph graph = branched();
  for (const char* far : {"d1d1+6", "d1d1+99999999999999999999999", "aaaa-2", "base-1"}) {
    const GraphError error = caught([&] { upgrade_path(graph, at(graph, {}), far); });
    EXPECT_EQ(error.kind(), GraphErrorKind::relative_out_of_range) << far;
  }
  EXPECT_EQ(caught([&] { downgrade_path(graph, at(graph, {"d1d1"}), "base-1"); }).kind(),
            GraphErrorKind::walked_too_far);
}

TEST(Target, LabelMustExistAndFit) {
  const RevisionGraph graph = branched();
  const AppliedSet start = at(graph, {"d1d1", "d2d2"});
  EXPECT_EQ(caught([&] { downgrade_path(graph, start, "nobranch@base"); }).state(), sqlstate::undefined_object);
  EXPECT_EQ(caught([&] { downgrade_path(graph, start, "c1branch@c2c2"); }).kind(),
            GraphErrorKind::not_member_of_branch);
  EXPECT_EQ(caught([&] { upgrade_path(graph, start, "@head"); }).state(), sqlstate::undefined_object);
  EXPECT_EQ(caught([&] { upgrade_path(graph, start, "head@head"); }).state(), sqlstate::undefined_object);
}

TEST(Target, RelativeDowngradeOfABranchStopsAtTheBranchPoint) {
  const RevisionGraph graph = branched();
  const AppliedSet start = at(graph, {"d1d1", "d2d2"});
  EXPECT_EQ(text(graph, downgrade_path(graph, start, "c1branch@-2")), "d1d1 c1c1");
  const GraphError error = caught([&] { downgrade_path(graph, start, "c1branch@-3"); });
  EXPECT_EQ(error.hint(), "SELECT migration_downgrade('aaaa');");
  EXPECT_EQ(text(graph, downgrade_path(graph, start, "aaaa")), "d1d1 c1c1 d2d2 c2c2 bbbb");
}

TEST(Target, UnknownAppliedIdBlocksMovesButNotLooking) {
  const RevisionGraph graph = branched();
  const AppliedSet start = at(graph, {"c1c1", "gone"});
  EXPECT_EQ(text(graph, current_heads(graph, start)), "c1c1");
  EXPECT_FALSE(is_up_to_date(graph, start));
  EXPECT_EQ(text(graph, history(graph, start, "c1c1:")), "d1d1 c1c1");
  const GraphError error = caught([&] { upgrade_path(graph, start, "heads"); });
  EXPECT_EQ(error.message(), "Can't locate revision identified by 'gone'");
  EXPECT_EQ(error.state(), sqlstate::undefined_object);
  EXPECT_EQ(text(graph, stamp(graph, start, "c1c1", true).heads), "c1c1");
}

TEST(Target, MissingParentFailsOnlyThePathThatNeedsIt) {
  const RevisionGraph graph({{"aaaa", {}, {}, {}, ""}, {"bbbb", {"nope"}, {}, {}, "hello"}});
  ASSERT_EQ(graph.missing().size(), 1u);
  EXPECT_EQ(graph.missing()[0].missing, "nope");
  EXPECT_EQ(text(graph, upgrade_path(graph, at(graph, {}), "aaaa")), "aaaa");
  const GraphError error = caught([&] { upgrade_path(graph, at(graph, {}), "heads"); });
  EXPECT_EQ(error.message(), "Revision nope referenced from nope -> bbbb (head), hello is not present");
  EXPECT_EQ(error.state(), sqlstate::broken_graph);
  EXPECT_EQ(text(graph, downgrade_path(graph, at(graph, {"aaaa", "bbbb"}), "base")), "aaaa bbbb");
}

TEST(Target, MergesOfMerges) {
  const RevisionGraph graph({{"r", {}, {}, {}, ""},
                             {"a", {"r"}, {}, {}, ""},
                             {"b", {"r"}, {}, {}, ""},
                             {"c", {"r"}, {}, {}, ""},
                             {"ab", {"a", "b"}, {}, {}, ""},
                             {"bc", {"b", "c"}, {}, {}, ""},
                             {"top", {"ab", "bc"}, {}, {}, ""}});
  EXPECT_EQ(text(graph, upgrade_path(graph, at(graph, {}), "head")), "r b c bc a ab top");
  EXPECT_EQ(text(graph, downgrade_path(graph, at(graph, {"top"}), "ab")), "top");
  EXPECT_EQ(text(graph, downgrade_path(graph, at(graph, {"top"}), "b")), "top ab bc");
  EXPECT_EQ(caught([&] { downgrade_path(graph, at(graph, {"top"}), "-1"); }).kind(), GraphErrorKind::ambiguous_walk);
}

TEST(Target, DependencyByLabelComesFirst) {
  const RevisionGraph graph(
      {{"app1", {}, {"core"}, {"app"}, ""}, {"core1", {}, {}, {"core"}, ""}, {"core2", {"core1"}, {}, {}, ""}});
  EXPECT_EQ(text(graph, upgrade_path(graph, at(graph, {}), "app@head")), "core1 app1");
  EXPECT_EQ(text(graph, downgrade_path(graph, at(graph, {"app1", "core2"}), "core@base")), "app1 core2 core1");
  EXPECT_EQ(text(graph, current_revisions(graph, at(graph, {"app1"}))), "app1 core1");
  EXPECT_EQ(text(graph, current_heads(graph, at(graph, {"app1"}))), "app1");
}

TEST(Target, SelectRevisions) {
  const RevisionGraph graph = branched();
  EXPECT_EQ(text(graph, select_revisions(graph, "heads")), "d1d1 d2d2");
  EXPECT_EQ(text(graph, select_revisions(graph, "d2 , d1d1")), "d2d2 d1d1");
}

TEST(Target, Branches) {
  const RevisionGraph graph = branched();
  const auto list = branches(graph);
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(graph.id(list[0].first), "bbbb");
  EXPECT_EQ(text(graph, list[0].second), "c1c1 c2c2");
}

TEST(Stamp, LabelledDestinationReplacesItsLine) {
  const RevisionGraph graph = branched();
  const AppliedSet start = at(graph, {"d1d1", "d2d2"});
  const StampResult result = stamp(graph, start, "c1branch@base c2c2", false);
  EXPECT_EQ(text(graph, result.heads), "c2c2");
  EXPECT_EQ(text(graph, result.applied), "aaaa bbbb c2c2");
  EXPECT_EQ(caught([&] { stamp(graph, start, "head", false); }).state(), sqlstate::multiple_heads);
}

TEST(Hints, QuoteWhatTheyRepeat) {
  EXPECT_EQ(sql_literal("it's"), "'it''s'");
  EXPECT_EQ(sql_literal("a\\b"), "E'a\\\\b'");
}

}  // namespace
}  // namespace migration

// The graph alone: legal names, loops, labels, effective edges.
#include <functional>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "revision/graph.hpp"
#include "revision/order.hpp"

namespace migration {
namespace {

GraphErrorKind kind_of(std::vector<Revision> revisions, std::string* detail = nullptr) {
  try {
    RevisionGraph graph(std::move(revisions));
  } catch (const GraphError& error) {
    if (detail) *detail = error.detail();
    return error.kind();
  }
  ADD_FAILURE() << "built";
  return GraphErrorKind::revision_error;
}

TEST(Identifier, RefusesWhatTheGrammarMeans) {
  for (const char* bad :
       {"", "a@b", "a-b", "a+b", "a:b", "a,b", "a b", "a\tb", "a\nb", "head", "heads", "base", "current"}) {
    EXPECT_THROW(validate_revision_id(bad), GraphError) << bad;
    EXPECT_THROW(validate_label(bad), GraphError) << bad;
  }
  EXPECT_THROW(validate_revision_id(std::string(201, 'x')), GraphError);
  validate_revision_id(std::string(200, 'x'));
  validate_revision_id("2024_01_31.add'orders");
  validate_label("überbau");
}

TEST(Identifier, NamesEachBadCharacterOnce) {
  try {
    validate_revision_id("a@-@b");
    FAIL();
  } catch (const GraphError& error) {
    EXPECT_EQ(error.message(), "Character(s) '-, @' not allowed in revision identifier 'a@-@b'");
    EXPECT_EQ(error.state(), sqlstate::invalid_parameter);
  }
}

TEST(Graph, RefusesLoopsAndSaysWhere) {
  std::string detail;
  EXPECT_EQ(kind_of({{"a", {"c"}, {}, {}, ""}, {"b", {"a"}, {}, {}, ""}, {"c", {"b"}, {}, {}, ""}}, &detail),
            GraphErrorKind::cycle);
  EXPECT_EQ(detail, "a needs c needs b needs a");
  EXPECT_EQ(kind_of({{"a", {}, {"b"}, {}, ""}, {"b", {"a"}, {}, {}, ""}, {"c", {"b"}, {}, {}, ""}}, &detail),
            GraphErrorKind::dependency_cycle);
  EXPECT_EQ(detail, "a needs b needs a");
  EXPECT_EQ(kind_of({{"a", {}, {"own"}, {"own"}, ""}}), GraphErrorKind::dependency_self_loop);
  EXPECT_EQ(kind_of({{"a", {}, {}, {"x"}, ""}, {"x", {}, {}, {}, ""}}), GraphErrorKind::duplicate_label);
}

TEST(Graph, RegistrationOrderDoesNotMatterForEdges) {
  const RevisionGraph graph({{"b", {"a"}, {}, {}, ""}, {"a", {}, {}, {}, ""}});
  ASSERT_EQ(graph.parents(0).size(), 1u);
  EXPECT_EQ(graph.parents(0)[0], 1u);
  EXPECT_EQ(graph.bases(), std::vector<std::size_t>{1});
  EXPECT_EQ(graph.generation(0), 1u);
}

TEST(Graph, ImpliedDependencyIsNoEffectiveEdge) {
  const RevisionGraph graph({{"lib", {}, {}, {}, ""},
                             {"a", {}, {"lib"}, {}, ""},
                             {"b", {"a"}, {}, {}, ""},
                             {"c", {"b"}, {"lib"}, {}, ""},
                             {"d", {}, {"lib"}, {}, ""}});
  EXPECT_EQ(graph.effective_parents(3).size(), 1u);
  EXPECT_EQ(graph.effective_parents(4).size(), 1u);
  EXPECT_EQ(graph.dependencies(3).size(), 1u);
}

TEST(Graph, NamesKeepWorkingAfterAMove) {
  RevisionGraph first({{"a", {}, {}, {"label"}, ""}});
  const RevisionGraph second = std::move(first);
  EXPECT_EQ(second.index_of("a"), 0u);
  EXPECT_EQ(second.index_of("label"), std::nullopt);
  EXPECT_EQ(second.find("label"), 0u);
}

TEST(Graph, PrefixesMatchIdsThenLabelsOfFourOrMore) {
  const RevisionGraph graph({{"abcd", {}, {}, {"abcdef"}, ""}, {"abc", {"abcd"}, {}, {}, ""}});
  const auto matches = graph.names_with_prefix("ab");
  EXPECT_EQ(fmt::format("{}", fmt::join(matches, " ")), "abcd abcdef");
}

TEST(Graph, LabelsReachDescendantsAndTheOwnLineBelow) {
  const RevisionGraph graph({{"root", {}, {}, {}, ""},
                             {"own1", {"root"}, {}, {}, ""},
                             {"own2", {"own1"}, {}, {"tag"}, ""},
                             {"own3", {"own2"}, {}, {}, ""},
                             {"other", {"root"}, {}, {}, ""}});
  const auto labels = graph.propagated_labels();
  EXPECT_TRUE(labels[0].empty());
  EXPECT_EQ(labels[1], std::vector<std::string>{"tag"});
  EXPECT_EQ(labels[3], std::vector<std::string>{"tag"});
  EXPECT_TRUE(labels[4].empty());
}

TEST(Graph, DepthIsNoRecursion) {
  std::vector<Revision> list;
  for (int i = 0; i < 200000; ++i) {
    list.push_back({"r" + std::to_string(i),
                    i ? std::vector<std::string>{"r" + std::to_string(i - 1)} : std::vector<std::string>{},
                    {},
                    {},
                    ""});
  }
  const RevisionGraph graph(std::move(list));
  EXPECT_EQ(depth_first_order(graph, Marks(graph.size(), 1)).front(), graph.size() - 1);
}

}  // namespace
}  // namespace migration

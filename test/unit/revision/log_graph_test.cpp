// Drawings: golden shapes, and a reader that follows the drawn edges and must find exactly the parents that went in.
#include <algorithm>
#include <random>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "revision/log_graph.hpp"
#include "revision/order.hpp"

namespace migration {
namespace {

using Rows = std::vector<std::vector<std::size_t>>;

std::string drawn(const Rows& rows) {
  std::string out;
  for (const std::string& cell : draw_log_graph(rows)) out += cell + "\n";
  return out;
}

TEST(LogGraph, Empty) {
  EXPECT_EQ(drawn({}), "");
}

TEST(LogGraph, Linear) {
  EXPECT_EQ(drawn({{1}, {2}, {}}), "*\n*\n*\n");
}

TEST(LogGraph, Branch) {
  EXPECT_EQ(drawn({{4}, {3}, {3}, {4}, {}}),
            "*\n"
            "| *\n"
            "| | *\n"
            "| |/\n"
            "| *\n"
            "|/\n"
            "*\n");
}

TEST(LogGraph, Merge) {
  EXPECT_EQ(drawn({{1, 2}, {3}, {3}, {}}),
            "*\n"
            "|\\\n"
            "* |\n"
            "| *\n"
            "|/\n"
            "*\n");
}

TEST(LogGraph, OctopusMerge) {
  EXPECT_EQ(drawn({{1, 2, 3}, {4}, {4}, {4}, {}}),
            "*\n"
            "|\\\n"
            "| |\\\n"
            "* | |\n"
            "| * |\n"
            "|/ /\n"
            "| *\n"
            "|/\n"
            "*\n");
}

TEST(LogGraph, SeveralRoots) {
  EXPECT_EQ(drawn({{2}, {3}, {}, {}}),
            "*\n"
            "| *\n"
            "* |\n"
            " /\n"
            "*\n");
}

TEST(LogGraph, CrissCross) {
  EXPECT_EQ(drawn({{2, 3}, {3, 2}, {4}, {4}, {}}),
            "*\n"
            "|\\\n"
            "| | *\n"
            "| |/|\n"
            "|/| |\n"
            "| |/\n"
            "* |\n"
            "| *\n"
            "|/\n"
            "*\n");
}

TEST(LogGraph, LongJoin) {
  EXPECT_EQ(drawn({{4}, {5}, {6}, {4}, {7}, {7}, {7}, {}}),
            "*\n"
            "| *\n"
            "| | *\n"
            "| | | *\n"
            "| |_|/\n"
            "|/| |\n"
            "* | |\n"
            "| * |\n"
            "|/ /\n"
            "| *\n"
            "|/\n"
            "*\n");
}

TEST(LogGraph, UnrelatedHistoriesDoNotTouch) {
  EXPECT_EQ(drawn({{1}, {}, {3}, {}}), "*\n*\n\n*\n*\n");
}

TEST(LogGraph, RefusesParentsAboveChildren) {
  EXPECT_THROW(draw_log_graph(Rows{{0}}), MigrationError);
}

/// Reads a drawing back.
class Reader {
 public:
  explicit Reader(const std::vector<std::string>& cells) {
    for (const std::string& cell : cells) {
      row_line_.push_back(lines_.size());
      std::istringstream in(cell + "\n");
      for (std::string line; std::getline(in, line);) lines_.push_back(line);
    }
  }

  std::vector<std::set<std::size_t>> parents() {
    std::vector<std::set<std::size_t>> out;
    for (std::size_t row = 0; row < row_line_.size(); ++row) {
      found_.clear();
      const std::size_t column = lines_[row_line_[row]].find('*');
      lane(row_line_[row], column);
      out.push_back(found_);
    }
    return out;
  }

 private:
  char at(std::size_t line, std::size_t column) const {
    return line < lines_.size() && column < lines_[line].size() ? lines_[line][column] : ' ';
  }

  // On a lane at this column of this line; follow it and whatever leaves it downwards.
  void lane(std::size_t line, std::size_t column) {
    const std::size_t below = line + 1;
    // A slope that comes from the upper right passes this lane; it starts here only if nothing comes from there.
    const bool crossing = at(line, column + 1) == '/' || at(line, column + 1) == '_';
    const char straight = at(below, column);
    if (straight == '*') {
      for (std::size_t row = 0; row < row_line_.size(); ++row) {
        if (row_line_[row] == below) found_.insert(row);
      }
    } else if (straight == '|') {
      lane(below, column);
    }
    if (at(below, column + 1) == '\\') lane(below, column + 2);
    if (column > 0 && at(below, column - 1) == '/' && (!crossing || straight == ' ')) slope(below, column - 1);
  }

  void slope(std::size_t line, std::size_t column) {
    if (column >= 2 && at(line, column - 2) == '_') {
      while (column >= 2 && at(line, column - 2) == '_') column -= 2;
      return slope(line + 1, column - 2);
    }
    // Straight on through the lane to the left, if the slope continues there and that lane goes on by itself.
    if (column >= 2 && at(line + 1, column - 2) == '/' && at(line, column - 1) == '|')
      return slope(line + 1, column - 2);
    lane(line, column - 1);
  }

  std::vector<std::string> lines_;
  std::vector<std::size_t> row_line_;
  std::set<std::size_t> found_;
};

TEST(LogGraph, EveryEdgeCanBeFollowed) {
  std::mt19937 rng(3);
  auto pick = [&](std::size_t below) { return std::uniform_int_distribution<std::size_t>(0, below - 1)(rng); };
  for (int round = 0; round < 3000; ++round) {
    const std::size_t count = 1 + pick(14);
    Rows rows(count);
    for (std::size_t row = 0; row + 1 < count; ++row) {
      for (std::size_t k = pick(8) == 0 ? 0 : 1 + (pick(3) == 0 ? pick(4) : 0); k > 0; --k) {
        rows[row].push_back(row + 1 + pick(count - row - 1));
      }
    }
    const auto cells = draw_log_graph(rows);
    ASSERT_EQ(cells.size(), count);
    std::vector<std::set<std::size_t>> expected;
    for (const auto& row : rows) expected.emplace_back(row.begin(), row.end());
    ASSERT_EQ(Reader(cells).parents(), expected) << drawn(rows);
  }
}

}  // namespace
}  // namespace migration

// Drawing lanes.
//
// What and why: see the header. Lane k is drawn at character 2k; the odd characters between belong to edges that
// change lane. A crossing edge keeps its slope, so at a crossing the straight line is the one to follow.
// Invariant: after each row no two lanes wait for the same parent. Memory: see the header.
#include "revision/log_graph.hpp"

#include <algorithm>

#include "statement/formatted.hpp"

namespace migration {

namespace {

class Drawing {
 public:
  /// The row's own line and all edge lines below it.
  std::string draw(std::size_t row, const std::vector<std::size_t>& row_parents, bool last) {
    cell_.clear();
    std::size_t lane = lane_of(row);
    if (lane == lanes_.size()) lanes_.push_back(row);
    std::string line = straight();
    line[2 * lane] = '*';
    put(std::move(line));

    std::vector<std::size_t> parents;
    for (std::size_t parent : row_parents) {
      if (parent <= row) {
        throw MigrationError(sqlstate::internal_error, "a history drawing needs children before parents",
                             formatted("Row {} has parent row {}.", row, parent), "");
      }
      if (std::find(parents.begin(), parents.end(), parent) == parents.end()) parents.push_back(parent);
    }
    if (parents.empty()) {
      end_lane(lane, !last && lane_of(row + 1) == lanes_.size());
      return std::move(cell_);
    }
    lanes_[lane] = parents.front();
    // A further parent that a lane to the left waits for is reached directly; the others open lanes to the right, one
    // from the other. Only when all stand may strangers join them: earlier, a stranger's edge would seem to fork too.
    std::size_t tail = lane;
    for (std::size_t k = 1; k < parents.size(); ++k) {
      const std::size_t known = lane_of(parents[k]);
      if (known < lane) join(lane, known, false);
    }
    for (std::size_t k = 1; k < parents.size(); ++k) {
      if (lane_of(parents[k]) >= lane) fork(tail++, parents[k]);
    }
    for (std::size_t own = lane + 1; own <= tail; ++own) {
      const std::size_t other = lane_of(lanes_[own], own + 1);
      if (other < lanes_.size()) join(other, own, true);
    }
    // The first parent last: joining it may take the lane away.
    for (std::size_t other = 0; other < lanes_.size(); ++other) {
      if (other == lane || lanes_[other] != lanes_[lane]) continue;
      join(std::max(lane, other), std::min(lane, other), true);
      break;
    }
    return std::move(cell_);
  }

 private:
  std::size_t lane_of(std::size_t row, std::size_t first = 0) const {
    const auto start = lanes_.begin() + static_cast<std::ptrdiff_t>(first);
    return static_cast<std::size_t>(std::find(start, lanes_.end(), row) - lanes_.begin());
  }

  std::string straight() const {
    std::string line(lanes_.size() * 2 + 2, ' ');
    for (std::size_t k = 0; k < lanes_.size(); ++k) line[2 * k] = '|';
    return line;
  }

  void put(std::string line) {
    line.erase(line.find_last_not_of(' ') + 1);
    if (!cell_.empty()) cell_ += '\n';
    cell_ += line;
  }

  // Lanes to the right move up into the gap. Without any, a new tip would come to stand right below this root and
  // look like its parent: a line without it keeps them apart.
  void end_lane(std::size_t lane, bool tip_follows) {
    std::string line = straight();
    line[2 * lane] = ' ';
    for (std::size_t k = lane + 1; k < lanes_.size(); ++k) {
      line[2 * k] = ' ';
      line[2 * k - 1] = '/';
    }
    const bool visible = lane + 1 < lanes_.size();
    lanes_.erase(lanes_.begin() + static_cast<std::ptrdiff_t>(lane));
    if (visible || tip_follows) put(std::move(line));
  }

  // A new lane to the right of `tail`, coming out of it.
  void fork(std::size_t tail, std::size_t parent) {
    std::string line = straight();
    line[2 * tail + 1] = '\\';
    for (std::size_t k = tail + 1; k < lanes_.size(); ++k) {
      line[2 * k] = ' ';
      line[2 * k + 1] = '\\';
    }
    put(std::move(line));
    lanes_.insert(lanes_.begin() + static_cast<std::ptrdiff_t>(tail + 1), parent);
  }

  // An edge from lane `from` leftwards into lane `to`; if it takes the lane with it, the rest moves up.
  void join(std::size_t from, std::size_t to, bool close) {
    std::string line = straight();
    const std::size_t distance = from - to;
    line[2 * from - 1] = '/';
    if (close) {
      line[2 * from] = ' ';
      for (std::size_t k = from + 1; k < lanes_.size(); ++k) {
        line[2 * k] = ' ';
        line[2 * k - 1] = '/';
      }
      lanes_.erase(lanes_.begin() + static_cast<std::ptrdiff_t>(from));
    }
    for (std::size_t k = to + 2; k < from; ++k) line[2 * k - 1] = '_';
    put(std::move(line));
    if (distance == 1) return;
    line = straight();
    line[2 * to + 1] = '/';
    put(std::move(line));
  }

  std::vector<std::size_t> lanes_;  ///< the row each lane waits for
  std::string cell_;
};

}  // namespace

std::vector<std::string> draw_log_graph(const std::vector<std::vector<std::size_t>>& parents) {
  std::vector<std::string> cells;
  cells.reserve(parents.size());
  Drawing drawing;
  for (std::size_t row = 0; row < parents.size(); ++row) {
    cells.push_back(drawing.draw(row, parents[row], row + 1 == parents.size()));
  }
  return cells;
}

std::vector<std::string> draw_log_graph(const RevisionGraph& graph, const std::vector<std::size_t>& order) {
  std::vector<std::size_t> row_of(graph.size(), graph.size());
  for (std::size_t row = 0; row < order.size(); ++row) row_of[order[row]] = row;
  std::vector<std::vector<std::size_t>> parents(order.size());
  for (std::size_t row = 0; row < order.size(); ++row) {
    for (std::size_t parent : graph.effective_parents(order[row])) {
      if (row_of[parent] < order.size()) parents[row].push_back(row_of[parent]);
    }
  }
  return draw_log_graph(parents);
}

}  // namespace migration

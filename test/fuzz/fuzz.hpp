// What every fuzz target needs: input cut into values, and a check that stops the fuzzer.
//
// What: Input hands out bytes, numbers and lines of what libFuzzer made up; CHECK ends the process when a property does
// not hold, so that the fuzzer keeps the input. Why not assert: it must hold whatever NDEBUG says. Invariant: the same
// bytes give the same values.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#define CHECK(property)                                                                  \
  do {                                                                                   \
    if (!(property)) {                                                                   \
      std::fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #property); \
      std::abort();                                                                      \
    }                                                                                    \
  } while (false)

namespace migration::fuzz {

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}

  explicit Input(std::string_view rest) : rest_(rest) {}

  bool empty() const { return rest_.empty(); }
  std::string rest() const { return std::string(rest_); }
  /// 0 when nothing is left.
  std::uint64_t number(std::size_t bytes) {
    std::uint64_t value = 0;
    for (; bytes > 0 && !rest_.empty(); --bytes, rest_.remove_prefix(1)) {
      value = value << 8 | static_cast<std::uint8_t>(rest_.front());
    }
    return value;
  }
  std::string until(char end) { return std::string(cut(end)); }
  /// What stands before the next `end`, to be cut further.
  Input part(char end) { return Input(cut(end)); }

 private:
  std::string_view cut(char end) {
    const std::size_t n = rest_.find(end);
    const std::string_view out = rest_.substr(0, n);
    rest_.remove_prefix(n == std::string_view::npos ? rest_.size() : n + 1);
    return out;
  }

  std::string_view rest_;
};

}  // namespace migration::fuzz

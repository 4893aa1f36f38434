// What show writes, parse reads to the same value.
#include "backfill/units.hpp"

#include "fuzz.hpp"

using namespace migration::backfill;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  migration::fuzz::Input in(data, size);
  const std::string text = in.rest();
  if (const auto bytes = parse_bytes(text)) {
    CHECK(*bytes >= 0);
    CHECK(parse_bytes(show_bytes(*bytes)) == bytes);
  }
  for (const long long bare : {0LL, 1LL, 1000LL}) {
    if (const auto ms = parse_duration(text, bare)) {
      CHECK(*ms >= 0);
      CHECK(parse_duration(show_duration(*ms)) == ms);
    }
  }
  if (const auto windows = parse_windows(text)) {
    const auto again = parse_windows(show_windows(*windows));
    CHECK(again && again->size() == windows->size());
    for (std::size_t i = 0; i < windows->size(); ++i) {
      const Window &a = (*windows)[i], &b = (*again)[i];
      CHECK(a.from == b.from && a.to == b.to && a.days == b.days && a.zone == b.zone);
      CHECK(a.days != 0 && a.days <= 0x7f && a.from < 1440 && a.to <= 1440);
    }
  }
  return 0;
}

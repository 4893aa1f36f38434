// apply(entries(x)) is x, and a refusal says what to type. Input: lines KEY=VALUE; a KEY alone is a JSON null. Zero
// bytes are left out, as no text of the server has any.
#include "backfill/settings.hpp"

#include <algorithm>

#include "fuzz.hpp"
#include "statement/error.hpp"

using namespace migration::backfill;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  migration::fuzz::Input in(data, size);
  Settings settings;
  while (!in.empty()) {
    std::string line = in.until('\n');
    line.erase(std::remove(line.begin(), line.end(), '\0'), line.end());
    const std::size_t at = line.find('=');
    Entry entry{line.substr(0, at), std::nullopt};
    if (at != std::string::npos) entry.second = line.substr(at + 1);
    try {
      apply(settings, Settings{}, {entry}, Use::create, "SELECT migration_tune(7, '{}');");
    } catch (const migration::MigrationError& error) {
      CHECK(error.state() == migration::sqlstate::invalid_parameter);
      CHECK(!error.message().empty() && !error.detail().empty());
      CHECK(error.hint().find("SELECT migration_tune(7, '{") == 0);
    }
  }
  const auto written = entries(settings, Use::create);
  Settings again;
  apply(again, Settings{}, Entries(written.begin(), written.end()), Use::create, "{}");
  CHECK(entries(again, Use::create) == written);
  CHECK(to_json(again, Use::create) == to_json(settings, Use::create));
  return 0;
}

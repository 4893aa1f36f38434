// Texts made of parts; see formatted.hpp.
#include "statement/formatted.hpp"

namespace migration {

std::string format_parts(fmt::string_view form, fmt::format_args parts) {
  return fmt::vformat(form, parts);
}

}  // namespace migration

// Texts made of parts.
//
// What: formatted("run {} is {}", id, state), as fmt::format has it: the form is checked by the compiler. Why not
// fmt::format itself: the library is used header-only, and then each file that calls it compiles all of its own copy of
// it, which took most of the time of a build. Here one file does. Memory: the caller's. Errors: none but bad_alloc.
#pragma once

#include <fmt/format.h>

#include <string>

namespace migration {

/// What formatted() comes to once the types of its arguments are put away.
std::string format_parts(fmt::string_view form, fmt::format_args parts);

template <typename... Parts>
std::string formatted(fmt::format_string<Parts...> form, Parts&&... parts) {
  return format_parts(form, fmt::make_format_args(parts...));
}

}  // namespace migration

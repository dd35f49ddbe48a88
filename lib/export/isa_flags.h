// SPDX-License-Identifier: MIT
// How each kernel file is compiled in a program that carries several instruction sets and
// dispatches when it starts (QRT_DISPATCH). The kernel's file name says its set.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace qopt::emit {

struct IsaFlags {
  std::string_view ending;   // of the file: "_dotprod.c"
  std::string_view machine;  // "x86", "aarch64", "arm"
  std::vector<std::string> flags;
};
const std::vector<IsaFlags>& isa_flags();

/// Flags of a kernel file on a machine; none where the base will do.
std::vector<std::string> flags_of(std::string_view file, std::string_view machine);

/// The machine that this program runs on; empty for another.
std::string_view host_machine();

}  // namespace qopt::emit

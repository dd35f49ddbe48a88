// SPDX-License-Identifier: MIT
#include "lib/export/isa_flags.h"

namespace qopt::emit {

const std::vector<IsaFlags>& isa_flags() {
  static const std::vector<IsaFlags> kRows = {
      {"_avx2.c", "x86", {"-mavx2", "-mpopcnt"}},
      {"_vpopcnt.c",
       "x86",
       {"-mavx512vpopcntdq", "-mavx512bw", "-mavx512vl", "-mavx512f", "-mavx2",
        "-mpopcnt"}},
      {"_vnni.c",
       "x86",
       {"-mavx512vnni", "-mavx512bw", "-mavx512vl", "-mavx512f", "-mavx2", "-mpopcnt"}},
      {"_dotprod.c", "aarch64", {"-march=armv8.2-a+dotprod"}},
      {"_i8mm.c", "aarch64", {"-march=armv8.2-a+dotprod+i8mm"}},
      {"_neon.c", "arm", {"-mfpu=neon"}},
  };
  return kRows;
}

std::vector<std::string> flags_of(std::string_view file, std::string_view machine) {
  for (const IsaFlags& row : isa_flags()) {
    if (row.machine == machine && file.ends_with(row.ending)) return row.flags;
  }
  return {};
}

std::string_view host_machine() {
#if defined(__x86_64__) || defined(__i386__)
  return "x86";
#elif defined(__aarch64__)
  return "aarch64";
#elif defined(__arm__)
  return "arm";
#else
  return {};
#endif
}

}  // namespace qopt::emit

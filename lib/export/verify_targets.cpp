// SPDX-License-Identifier: MIT
// The targets as rows.
#include "lib/export/isa_flags.h"
#include "lib/export/verify.h"

#include <fmt/format.h>

#include <set>

#include "lib/core/error.h"
#include "lib/core/names.h"

namespace qopt::emit {

const std::vector<Target>& verify_targets() {
  // Cross targets link statically, so that the emulator needs no library path.
  static const std::vector<Target> kTargets = {
      {"host", "cc", {}, {}},
      {"host-clang", "clang", {}, {}},
      {"portable", "cc", {"-DQRT_FORCE_PORTABLE"}, {}},
      {"x86-avx2", "cc", {"-mavx2"}, {}},
      {"aarch64",
       "aarch64-linux-gnu-gcc",
       {"-static"},
       {"qemu-aarch64", "-cpu", "cortex-a72"}},
      {"aarch64-dotprod",
       "aarch64-linux-gnu-gcc",
       {"-static", "-march=armv8.2-a+dotprod"},
       {"qemu-aarch64", "-cpu", "max"}},
      {"armv7-neon",
       "arm-linux-gnueabihf-gcc",
       {"-static", "-march=armv7-a", "-mfpu=neon", "-mfloat-abi=hard"},
       {"qemu-arm", "-cpu", "cortex-a15"}},
      {"riscv64", "riscv64-linux-gnu-gcc", {"-static"}, {"qemu-riscv64"}},
      // One program, which chooses its kernels when it starts.
      {"host-dispatch", "cc", {"-DQRT_DISPATCH"}, {}, host_machine()},
      {"aarch64-dispatch",
       "aarch64-linux-gnu-gcc",
       {"-static", "-DQRT_DISPATCH"},
       {"qemu-aarch64", "-cpu", "cortex-a72"},
       "aarch64",
       {{"qemu-aarch64", "-cpu", "neoverse-n1"}, {"qemu-aarch64", "-cpu", "max"}}},
      {"armv7-dispatch",
       "arm-linux-gnueabihf-gcc",
       {"-static", "-DQRT_DISPATCH"},
       {"qemu-arm", "-cpu", "cortex-a15"},
       "arm"},
  };
  return kTargets;
}

const Target& find_target(const std::string& name, const std::string& where) {
  std::set<std::string> known;
  for (const Target& target : verify_targets()) {
    if (target.name == name) return target;
    known.insert(target.name);
  }
  const std::string near = nearest(name, known);
  throw Error(ExitCode::Usage, where, fmt::format("unknown target '{}'", printable(name)),
              near.empty() ? std::string() : fmt::format("did you mean '{}'?", near));
}

std::string_view status_name(VerifyStatus status) {
  switch (status) {
    case VerifyStatus::Passed: return "passed";
    case VerifyStatus::Failed: return "failed";
    case VerifyStatus::NotTested: return "not_tested";
  }
  return "not_tested";
}

}  // namespace qopt::emit

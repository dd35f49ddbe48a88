// SPDX-License-Identifier: MIT
#include "lib/export/verify_build.h"

#include <algorithm>

#include "lib/core/error.h"
#include "lib/core/names.h"
#include "lib/core/parallel.h"
#include "lib/export/artifact.h"
#include "lib/export/isa_flags.h"

namespace qopt::emit {
namespace {

using std::chrono::seconds;

constexpr seconds kProbeLimit{60};
constexpr seconds kCompileLimit{300};

/// What every file of an export must survive.
const std::vector<std::string> kStrictFlags = {
    "-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-pedantic"};

/// The first lines of a tool's output, fit for a message.
std::string excerpt(std::string_view output) {
  constexpr std::size_t kMaxExcerpt = 600;
  std::string text;
  for (const char c : output.substr(0, kMaxExcerpt)) {
    text += c == '\n' ? std::string(" | ") : printable(std::string(1, c));
  }
  return text;
}

std::string first_line(std::string_view output) {
  return printable(output.substr(0, std::min<std::size_t>(output.find('\n'), 120)));
}

bool cpu_has_avx2() {
#if defined(__x86_64__) || defined(__i386__)
  return __builtin_cpu_supports("avx2") != 0;
#else
  return false;
#endif
}

std::vector<std::string> compiler_call(const Target& target) {
  std::vector<std::string> call{target.compiler};
  call.insert(call.end(), kStrictFlags.begin(), kStrictFlags.end());
  call.insert(call.end(), target.flags.begin(), target.flags.end());
  return call;
}

}  // namespace

void probe(TargetBuild& build) {
  const Target& target = *build.target;
  if (find_program(target.compiler).empty()) {
    build.not_tested = fmt::format("compiler {} not found", target.compiler);
    return;
  }
  if (!target.runner.empty() && find_program(target.runner[0]).empty()) {
    build.not_tested = fmt::format("emulator {} not found", target.runner[0]);
    return;
  }
  if (target.name == "x86-avx2" && !cpu_has_avx2()) {
    build.not_tested = "this processor has no AVX2";
    return;
  }
  build.compiler_version = first_line(
      run_process({target.compiler, "--version"}, build.work, kProbeLimit).output);
  Artifact empty;
  empty.add("probe.c",
            "#include <stdio.h>\nint main(void) { return puts(\"ok\") < 0; }\n");
  write_files(empty, build.work);
  std::vector<std::string> call = compiler_call(target);
  call.insert(call.end(), {"probe.c", "-o", "probe"});
  const ProcessResult built = run_process(call, build.work, kProbeLimit);
  if (built.exit_code != 0) {
    build.not_tested = fmt::format("{} cannot build an empty program: {}",
                                   target.compiler, excerpt(built.output));
    return;
  }
  std::vector<std::string> run = target.runner;
  run.push_back((build.work / "probe").string());
  const ProcessResult ran = run_process(run, build.work, kProbeLimit);
  if (ran.exit_code != 0) {
    build.not_tested =
        fmt::format("an empty program does not run: {}", excerpt(ran.output));
  }
}

void compile_all(const std::filesystem::path& folder,
                 const std::vector<std::string>& kernel_files,
                 std::vector<TargetBuild>& builds, int threads, const std::string& name) {
  // The largest file first: it is the longest compilation.
  std::vector<std::string> files{name + ".c"};
  files.insert(files.end(), kernel_files.begin(), kernel_files.end());
  std::vector<std::string> faults(builds.size() * files.size());
  const auto count = static_cast<std::int64_t>(faults.size());
  parallel_for(count, threads, [&](std::int64_t item, int) {
    const std::size_t file = static_cast<std::size_t>(item) / builds.size();
    const TargetBuild& build = builds[static_cast<std::size_t>(item) % builds.size()];
    if (!build.not_tested.empty()) return;
    std::vector<std::string> call = compiler_call(*build.target);
    // Quoted includes of selftest.c and bench.c are relative to the folder.
    call.insert(call.end(),
                {"-I" + (folder / "include").string(), "-I" + folder.string(), "-c",
                 (folder / files[file]).string(), "-o", fmt::format("{}.o", file)});
    for (std::string& flag : flags_of(files[file], build.target->machine)) {
      call.push_back(std::move(flag));
    }
    const ProcessResult result = run_process(call, build.work, kCompileLimit);
    if (result.exit_code != 0) {
      faults[static_cast<std::size_t>(item)] =
          fmt::format("{} {}: {}", files[file],
                      result.timed_out ? "does not compile in time" : "does not compile",
                      excerpt(result.output));
    }
  });
  parallel_for(
      static_cast<std::int64_t>(builds.size()), threads, [&](std::int64_t item, int) {
        TargetBuild& build = builds[static_cast<std::size_t>(item)];
        if (!build.not_tested.empty()) return;
        for (std::size_t file = 0; file < files.size() && build.fault.empty(); ++file) {
          build.fault = faults[file * builds.size() + static_cast<std::size_t>(item)];
        }
        if (!build.fault.empty()) return;
        std::vector<std::string> call = compiler_call(*build.target);
        for (std::size_t file = 0; file < files.size(); ++file)
          call.push_back(fmt::format("{}.o", file));
        call.insert(call.end(), {"-o", build.program(name).string()});
        const ProcessResult result = run_process(call, build.work, kCompileLimit);
        if (result.exit_code != 0)
          build.fault = "does not link: " + excerpt(result.output);
      });
}

ProcessResult run_selftest(const TargetBuild& build,
                           const std::vector<std::string>& arguments, seconds limit,
                           const std::vector<std::string>* runner) {
  std::vector<std::string> call = runner != nullptr ? *runner : build.target->runner;
  call.push_back(build.program().string());
  call.insert(call.end(), arguments.begin(), arguments.end());
  return run_process(call, build.work, limit);
}

}  // namespace qopt::emit

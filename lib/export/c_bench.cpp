// SPDX-License-Identifier: MIT
// bench.c and CMakeLists.txt of an export: fixed texts with a few holes.
#include <fmt/ranges.h>

#include "lib/core/error.h"
#include "lib/export/c_files.h"
#include "lib/export/c_template.h"
#include "lib/export/isa_flags.h"

namespace qopt::emit {
namespace {

constexpr std::string_view kBench = R"C(/* SPDX-License-Identifier: MIT */
/* Runs the first golden vector of an exported model N times.
 *   bench FOLDER N             prints what one inference took, median and least
 *   bench FOLDER N --layers    the same for each layer too, in nanoseconds
 *   bench FOLDER N --marks     measures nothing, but marks where layers begin and end by
 *                              closing files that are not open: for an emulator's counter
 * Under an emulator a time says nothing about the processor emulated. model.c is
 * included, not linked, so that its tap can be defined here. */
#define _POSIX_C_SOURCE 199309L /* clock_gettime */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if defined(__unix__)
#include <unistd.h>
#endif

static void on_layer(int layer);
#define @NAME@_TAP(layer, pointer, bytes) on_layer(layer)
#include "src/model.c"

static const size_t input_bytes[] = {@INPUT_BYTES@};
static const size_t output_bytes[] = {@OUTPUT_BYTES@};
/* What kind of kernels runs each layer, where it was chosen. */
static const char* const families[] = {@FAMILIES@};

@KERNELS@@ADAPTER@
/* Moments: the beginning of an iteration, then the end of each layer. */
enum { kMoments = @NAME@_LAYERS + 1 };
static double* moments;
static int has_marks;

static double now(void) {
#if defined(CLOCK_MONOTONIC)
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return 1e9 * (double)time.tv_sec + (double)time.tv_nsec;
#else
  return 1e9 * (double)clock() / (double)CLOCKS_PER_SEC;
#endif
}

static void on_layer(int layer) {
#if defined(__unix__)
  if (has_marks) close(-100001 - layer);
#endif
  if (moments != NULL) moments[layer + 1] = now();
}

static void* allocate(size_t bytes) {
  unsigned char* p = (unsigned char*)calloc(bytes + 64, 1);
  if (p == NULL) {
    fprintf(stderr, "bench: no memory\n");
    exit(2);
  }
  return p + (64u - (size_t)((uintptr_t)p & 63u)) % 64u;
}

static unsigned char* read_file(const char* folder, const char* name, size_t* size) {
  char* path = (char*)allocate(strlen(folder) + strlen(name) + 2);
  unsigned char* bytes;
  FILE* file;
  long length = -1;
  sprintf(path, "%s/%s", folder, name);
  file = fopen(path, "rb");
  if (file != NULL && fseek(file, 0, SEEK_END) == 0) length = ftell(file);
  if (length < 0 || fseek(file, 0, SEEK_SET) != 0) {
    fprintf(stderr, "bench: cannot read %s\n", path);
    exit(2);
  }
  *size = (size_t)length;
  bytes = (unsigned char*)allocate(*size);
  if (fread(bytes, 1, *size, file) != *size) {
    fprintf(stderr, "bench: cannot read %s\n", path);
    exit(2);
  }
  fclose(file);
  return bytes;
}

static int is_less(const void* a, const void* b) {
  const double x = *(const double*)a, y = *(const double*)b;
  return (x > y) - (x < y);
}

/* What passed between two moments of every iteration: median, and least in *least. */
static double median_of(double* values, const double* all, size_t count, int from, int to,
                        double* least) {
  size_t n;
  for (n = 0; n < count; ++n) {
    values[n] = all[n * kMoments + (size_t)to] - all[n * kMoments + (size_t)from];
  }
  qsort(values, count, sizeof *values, is_less);
  *least = values[0];
  return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

int main(int argc, char** argv) {
  const char* folder = argc > 1 ? argv[1] : ".";
  const long count = argc > 2 ? atol(argv[2]) : 10;
  const int has_layers = argc > 3 && strcmp(argv[3], "--layers") == 0;
  const int wants_marks = argc > 3 && strcmp(argv[3], "--marks") == 0;
  size_t size, offset;
  unsigned char *blob, *vectors, *arena;
  unsigned char* in[@NAME@_INPUTS + 1];
  unsigned char* out[@NAME@_OUTPUTS + 1];
  unsigned checksum = 0;
  @name@_model model;
  double *all, *values, median, least;
  long n;
  int i;
  if (count < 1 || argc > 4 || (argc > 3 && !has_layers && !wants_marks)) {
    fprintf(stderr, "usage: bench FOLDER N [--layers|--marks]\n");
    return 2;
  }
  blob = read_file(folder, "model.qpk", &size);
  if (@name@_init(&model, blob, size) != 0) {
    fprintf(stderr, "bench: model.qpk is not this model's\n");
    return 1;
  }
  vectors = read_file(folder, "golden/vectors.bin", &size);
  offset = size < 12 ? 0 : 24 + 32 * ((size_t)vectors[8] | (size_t)vectors[9] << 8);
  for (i = 0; i < @NAME@_INPUTS; ++i) {
    in[i] = (unsigned char*)allocate(input_bytes[i]);
    if (offset <= size && input_bytes[i] <= size - offset) {
      memcpy(in[i], vectors + offset, input_bytes[i]);
    }
    offset += input_bytes[i];
  }
  for (i = 0; i < @NAME@_OUTPUTS; ++i) out[i] = (unsigned char*)allocate(output_bytes[i]);
  arena = (unsigned char*)allocate(@NAME@_ARENA_BYTES);
  all = (double*)allocate((size_t)count * kMoments * sizeof *all);
  values = (double*)allocate((size_t)count * sizeof *values);
  run_model(&model, arena, in, out); /* warm caches */
#if !defined(__unix__)
  if (wants_marks) {
    fprintf(stderr, "bench: no marks on this system\n");
    return 2;
  }
#endif
  has_marks = wants_marks;
  for (n = 0; n < count; ++n) {
#if defined(__unix__)
    if (has_marks) close(-100000);
#endif
    if (!wants_marks) {
      moments = all + (size_t)n * kMoments;
      moments[0] = now();
    }
    run_model(&model, arena, in, out);
  }
  for (i = 0; i < @NAME@_OUTPUTS; ++i) {
    for (offset = 0; offset < output_bytes[i]; ++offset) {
      checksum = checksum * 31u + out[i][offset];
    }
  }
#if defined(QRT_DISPATCH)
  print_kernels();
#endif
  for (i = 0; i < @NAME@_LAYERS && (has_layers || wants_marks); ++i) {
    if (families[i] != NULL) printf("family %d %s\n", i, families[i]);
  }
  if (wants_marks) {
    printf("%ld inferences, checksum %08x\n", count, checksum);
    return 0;
  }
  median = median_of(values, all, (size_t)count, 0, @NAME@_LAYERS, &least);
  printf("%ld inferences, %.1f us each, at least %.1f, checksum %08x\n", count,
         median / 1e3, least / 1e3, checksum);
  if (!has_layers) return 0;
  printf("total median %.1f min %.1f\n", median, least);
  for (i = 0; i < @NAME@_LAYERS; ++i) {
    median = median_of(values, all, (size_t)count, i, i + 1, &least);
    printf("layer %d median %.1f min %.1f\n", i, median, least);
  }
  return 0;
}
)C";

constexpr std::string_view kBuild = R"(# SPDX-License-Identifier: MIT
# Builds the exported model alone. Kernels follow the compiler's target flags, for example
#   cmake -S . -B build -DCMAKE_C_FLAGS=-mavx2
#   cmake -S . -B build -DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc \
#         -DCMAKE_C_FLAGS=-march=armv8.2-a+dotprod
# or with -DQRT_DISPATCH=ON the processor's features when the program starts (Linux, x86).
# Threads are optional: -DTHREADS=pthreads or -DTHREADS=openmp adds the hook of that name to the
# library and lets selftest take --threads N.
cmake_minimum_required(VERSION 3.10)
project(@name@ C)
set(CMAKE_C_STANDARD 99)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
option(QRT_DISPATCH "Carry the kernels of several instruction sets, choose when it starts" OFF)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

add_library(@name@_kernels OBJECT
@KERNELS@)
if(QRT_DISPATCH)
  # Each file for its own instruction set; another machine's compiler refuses the first flag.
  include(CheckCCompilerFlag)
  function(qrt_flags file first)
    string(MAKE_C_IDENTIFIER "QRT_HAS${first}" is_known)
    check_c_compiler_flag(${first} ${is_known})
    if(${is_known})
      set_property(SOURCE ${file} APPEND PROPERTY COMPILE_OPTIONS ${first} ${ARGN})
    endif()
  endfunction()
@FLAGS@endif()
add_library(@name@ STATIC src/model.c $<TARGET_OBJECTS:@name@_kernels>)
add_executable(@name@_selftest selftest.c $<TARGET_OBJECTS:@name@_kernels>)
add_executable(@name@_bench bench.c $<TARGET_OBJECTS:@name@_kernels>)
target_include_directories(@name@_selftest PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
target_include_directories(@name@_bench PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
foreach(target @name@_kernels @name@ @name@_selftest @name@_bench)
  if(QRT_DISPATCH)
    target_compile_definitions(${target} PUBLIC QRT_DISPATCH)
  endif()
  target_include_directories(${target} PUBLIC ${CMAKE_CURRENT_SOURCE_DIR}/include)
  if(CMAKE_C_COMPILER_ID MATCHES "GNU|Clang")
    target_compile_options(${target} PRIVATE -Wall -Wextra -Werror -Wconversion -pedantic)
  endif()
endforeach()

set(THREADS none CACHE STRING "none, pthreads or openmp")
if(NOT THREADS STREQUAL "none")
  target_sources(@name@ PRIVATE threads/qrt_${THREADS}.c)
  target_include_directories(@name@ PUBLIC ${CMAKE_CURRENT_SOURCE_DIR}/threads)
  if(THREADS STREQUAL "pthreads")
    set(THREADS_PREFER_PTHREAD_FLAG ON)
    find_package(Threads REQUIRED)
    set(threads Threads::Threads)
    target_compile_definitions(@name@_selftest PRIVATE SELFTEST_PTHREADS)
  else()
    find_package(OpenMP REQUIRED)
    set(threads OpenMP::OpenMP_C)
    target_compile_definitions(@name@_selftest PRIVATE SELFTEST_OPENMP)
  endif()
  target_link_libraries(@name@ PUBLIC ${threads})
  target_link_libraries(@name@_selftest PRIVATE ${threads})
endif()

enable_testing()
add_test(NAME selftest COMMAND @name@_selftest ${CMAKE_CURRENT_SOURCE_DIR})
)";

std::string byte_list(const std::vector<PortCode>& ports) {
  std::string text;
  for (const PortCode& port : ports) {
    text += (text.empty() ? "" : ", ") + fmt::format("{}", port.bytes);
  }
  return text.empty() ? "0" : text;
}

}  // namespace

const char* const kPrintKernels = R"C(#if defined(QRT_DISPATCH)
static void print_kernels(void) {
  const char* names[QRT_ISA_COUNT];
  const int count = qrt_kernel_isas(names);
  int i;
  printf("kernels");
  for (i = 0; i < count; ++i) printf(" %s", names[i]);
  printf("\n");
}
#endif
)C";

std::string fill_template(std::string_view text,
                          const std::map<std::string, std::string, std::less<>>& holes) {
  std::string out;
  while (true) {
    const std::size_t open = text.find('@');
    out += text.substr(0, open);
    if (open == std::string_view::npos) return out;
    const std::size_t close = text.find('@', open + 1);
    QOPT_CHECK(close != std::string_view::npos, "unclosed hole in a template");
    const auto hole = holes.find(text.substr(open + 1, close - open - 1));
    QOPT_CHECK(hole != holes.end(), "unknown hole '{}'",
               text.substr(open + 1, close - open - 1));
    out += hole->second;
    text.remove_prefix(close + 1);
  }
}

namespace {

/// One C string or NULL for each layer.
std::string family_list(const CodeContext& context) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < context.choices.size(); ++i) {
    if (std::holds_alternative<op::Input>(context.graph.nodes()[i].op)) continue;
    const std::optional<LayerChoice>& choice = context.choices[i];
    names.push_back(choice ? fmt::format("\"{}\"", family_name(choice->chosen.family))
                           : "NULL");
  }
  if (names.empty()) names.emplace_back("NULL");
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace

std::string bench_source(const CodeContext& context) {
  CWriter adapter;
  write_adapter(adapter, context, false);
  return fill_template(kBench, {{"name", context.names.prefix},
                                {"NAME", context.names.macro_prefix},
                                {"INPUT_BYTES", byte_list(context.names.inputs)},
                                {"OUTPUT_BYTES", byte_list(context.names.outputs)},
                                {"FAMILIES", family_list(context)},
                                {"KERNELS", kPrintKernels},
                                {"ADAPTER", adapter.text()}});
}

std::string build_file(const CodeContext& context,
                       const std::vector<std::string>& kernel_files) {
  std::string list;
  for (const std::string& path : kernel_files)
    list += (list.empty() ? "  " : "\n  ") + path;
  std::string flags;
  for (const std::string& path : kernel_files) {
    for (const IsaFlags& row : isa_flags()) {
      if (!path.ends_with(row.ending)) continue;
      flags += fmt::format("  qrt_flags({} {})\n", path, fmt::join(row.flags, " "));
    }
  }
  return fill_template(
      kBuild, {{"name", context.names.prefix}, {"KERNELS", list}, {"FLAGS", flags}});
}

}  // namespace qopt::emit

// SPDX-License-Identifier: MIT
// selftest.c: the exported folder's own check. A fixed program text around a few
// generated tables; runs hosted (stdio, malloc), unlike model.c.
#include "lib/core/names.h"
#include "lib/export/c_files.h"
#include "lib/export/c_template.h"

namespace qopt::emit {
namespace {

constexpr std::string_view kText = R"C(/* SPDX-License-Identifier: MIT */
/* Runs the golden vectors of an exported model and compares every layer's integers; bit
 * planes are read as the codes that they hold.
 *   selftest FOLDER [--vectors N]             all (or the first N) vectors; prints the first
 *                                             difference and exits with 1
 *   selftest FOLDER --vector K --dump FILE    writes every layer's bytes, then the outputs
 *   selftest FOLDER --threads N ...           the same on N threads; compiled with
 *                                             -DSELFTEST_PTHREADS -pthread, or
 *                                             -DSELFTEST_OPENMP -fopenmp
 * model.c is included, not linked, so that its tap can be defined here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_layer(int layer, const void* pointer, size_t bytes);
#define @NAME@_TAP(layer, pointer, bytes) on_layer((layer), (pointer), (size_t)(bytes))
#include "src/model.c"
#if defined(SELFTEST_PTHREADS)
#include "threads/qrt_pthreads.c"
#elif defined(SELFTEST_OPENMP)
#include "threads/qrt_openmp.c"
#endif

/* How a result lies in bit planes (qrt.h): codes lowest + A, A in `bits` planes. */
typedef struct {
  int bits; /* 0: as codes */
  int lowest, outside;
  size_t images, positions, channels;
} plane_form;

typedef struct {
  const char* name;
  size_t bytes; /* of its codes */
  int width;    /* bytes an element */
  plane_form planes;
} tensor_info;

@TABLES@
@KERNELS@
/* Guards on both sides of the arena must survive every run. */
enum { kGuardBytes = 64 };

/* The run in progress, for on_layer. */
static struct {
  const unsigned char* crc;    /* expected CRC-32s, 4 bytes a layer */
  const unsigned char* values; /* expected codes, or NULL: CRCs only */
  unsigned char* unpacked;     /* room for the codes of any layer in bit planes */
  FILE* dump;
  long vector;
  int next_layer;
  int failed;
} state;

static uint32_t load32(const unsigned char* p) {
  return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t load64(const unsigned char* p) {
  return (uint64_t)load32(p) | (uint64_t)load32(p + 4) << 32;
}

static long long element(const unsigned char* p, size_t index, int width) {
  long long value = 0;
  int i;
  p += index * (size_t)width;
  for (i = width - 1; i >= 0; --i) value = value * 256 + p[i];
  if (width < 8 && p[width - 1] >= 128) value -= 1LL << (8 * width);
  return value;
}

/* Prints the first differing element and returns 1; 0 where all are equal. */
static int differs(const char* what, int number, const tensor_info* info,
                   const unsigned char* expected, const unsigned char* got) {
  size_t i;
  if (memcmp(expected, got, info->bytes) == 0) return 0;
  for (i = 0; expected[i] == got[i]; ++i) continue;
  i /= (size_t)info->width;
  printf("FAIL vector=%ld %s=%d index=%lu expected=%lld got=%lld (%s)\n", state.vector, what,
         number, (unsigned long)i, element(expected, i, info->width),
         element(got, i, info->width), info->name);
  return 1;
}

static size_t stored_bytes(const tensor_info* info) {
  const plane_form* f = &info->planes;
  if (f->bits == 0) return info->bytes;
  return f->images * qrt_bit_plane_size((int64_t)f->positions, (int32_t)f->channels, f->bits);
}

/* The codes that planes hold. Returns 1, or 0 where the position behind the last one is not
 * `outside` in every channel or a channel beyond the last one is not 0. */
static int unpack(const plane_form* f, const void* pointer, unsigned char* codes) {
  const size_t words = (f->channels + 63) / 64, plane = (f->positions + 1) * words;
  const uint64_t* p = (const uint64_t*)pointer;
  size_t image, at, c;
  int is_sound = 1;
  for (image = 0; image < f->images; ++image, p += (size_t)f->bits * plane) {
    for (at = 0; at <= f->positions; ++at) {
      for (c = 0; c < 64 * words; ++c) {
        const int in_word = (int)(8 * (c % 8) + c % 64 / 8);
        int code = 0, i;
        for (i = 0; i < f->bits; ++i) {
          code |= (int)(p[(size_t)i * plane + at * words + c / 64] >> in_word & 1) << i;
        }
        if (c >= f->channels) {
          if (code != 0) is_sound = 0;
        } else if (at == f->positions) {
          if (f->lowest + code != f->outside) is_sound = 0;
        } else {
          *codes++ = (unsigned char)(f->lowest + code);
        }
      }
    }
  }
  return is_sound;
}

static void on_layer(int layer, const void* pointer, size_t bytes) {
  const tensor_info* info = &layers[layer];
  const unsigned char* codes = (const unsigned char*)pointer;
  int is_sound = 1;
  if (state.failed) return;
  if (bytes != stored_bytes(info) || (state.dump == NULL && layer != state.next_layer)) {
    printf("FAIL vector=%ld layer=%d out of order\n", state.vector, layer);
    state.failed = 1;
    return;
  }
  if (info->planes.bits != 0) {
    is_sound = unpack(&info->planes, pointer, state.unpacked);
    codes = state.unpacked;
  }
  if (state.dump != NULL) {
    if (fwrite(codes, 1, info->bytes, state.dump) != info->bytes) state.failed = 1;
    return;
  }
  ++state.next_layer;
  if (state.values != NULL) {
    state.failed = differs("layer", layer, info, state.values, codes);
    state.values += info->bytes;
  } else if (qrt_crc32(0, codes, info->bytes) != load32(state.crc + 4 * (size_t)layer)) {
    printf("FAIL vector=%ld layer=%d crc (%s)\n", state.vector, layer, info->name);
    state.failed = 1;
  }
  if (!state.failed && !is_sound) {
    printf("FAIL vector=%ld layer=%d outside (%s)\n", state.vector, layer, info->name);
    state.failed = 1;
  }
}

/* The hook that runs `threads` parts at a time; NULL for one. Ends the program where this
 * build has none. */
static qrt_parallel* start_threads(long threads) {
  int error = -1;
  if (threads == 1) return NULL;
#if defined(SELFTEST_PTHREADS)
  {
    static qrt_pthreads pool;
    if (threads > 1 && threads <= QRT_MAX_THREADS) {
      error = qrt_pthreads_start(&pool, (int32_t)threads);
    }
    if (error == 0) return &pool.parallel;
  }
#elif defined(SELFTEST_OPENMP)
  {
    static qrt_parallel parallel;
    if (threads > 1 && threads <= QRT_MAX_THREADS) {
      qrt_openmp_init(&parallel, (int32_t)threads);
      return &parallel;
    }
  }
#endif
  fprintf(stderr, "selftest: cannot run on %ld threads (%d)\n", threads, error);
  exit(2);
}

static void* allocate(size_t bytes) {
  void* p = malloc(bytes > 0 ? bytes : 1);
  if (p == NULL) {
    fprintf(stderr, "selftest: no memory for %lu bytes\n", (unsigned long)bytes);
    exit(2);
  }
  return p;
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
    fprintf(stderr, "selftest: cannot read %s\n", path);
    exit(2);
  }
  *size = (size_t)length;
  /* 64 bytes of slack: the blob is aligned inside. */
  bytes = (unsigned char*)allocate(*size + 64);
  bytes += (64u - (size_t)((uintptr_t)bytes & 63u)) % 64u;
  if (fread(bytes, 1, *size, file) != *size) {
    fprintf(stderr, "selftest: cannot read %s\n", path);
    exit(2);
  }
  fclose(file);
  free(path);
  return bytes;
}

static void require(int condition, const char* what) {
  if (condition) return;
  printf("FAIL file %s\n", what);
  exit(1);
}

/* The requantiser alone, at ties and limits. */
static void check_requant(const char* folder) {
  size_t size, row, rows;
  const unsigned char* p = read_file(folder, "golden/requant.bin", &size);
  require(size >= 16 && memcmp(p, "QOPTGR1", 8) == 0, "golden/requant.bin");
  rows = load32(p + 8);
  require((size - 16) / 16 == rows && size % 16 == 0, "golden/requant.bin");
  for (row = 0; row < rows; ++row) {
    const unsigned char* r = p + 16 + 16 * row;
    const int32_t acc = (int32_t)load32(r), multiplier = (int32_t)load32(r + 4);
    const int32_t shift = (int32_t)load32(r + 8), expected = (int32_t)load32(r + 12);
    const int32_t got = qrt_requant(acc, multiplier, (int)shift);
    if (got != expected) {
      printf("FAIL requant row=%lu acc=%ld multiplier=%ld shift=%ld expected=%ld got=%ld\n",
             (unsigned long)row, (long)acc, (long)multiplier, (long)shift, (long)expected,
             (long)got);
      exit(1);
    }
  }
}

static int is_filled(const unsigned char* p, size_t count, int byte) {
  size_t i;
  for (i = 0; i < count; ++i) {
    if (p[i] != byte) return 0;
  }
  return 1;
}

int main(int argc, char** argv) {
  const char* folder = argc > 1 ? argv[1] : ".";
  const char* dump_path = NULL;
  long limit = -1, only = -1, threads = 1, vectors, v;
  size_t blob_size, inputs_size, expected_size, input_bytes = 0, layer_bytes = 0;
  size_t output_bytes = 0, plane_codes = 0, arena_bytes, at;
  unsigned char *blob, *inputs, *expected, *arena, *aligned;
  unsigned char* in[@NAME@_INPUTS + 1];
  unsigned char* out[@NAME@_OUTPUTS + 1];
  @name@_model model;
  qrt_parallel* parallel;
  int i, status;
  for (i = 2; i + 1 < argc; i += 2) {
    if (strcmp(argv[i], "--vectors") == 0) {
      limit = atol(argv[i + 1]);
    } else if (strcmp(argv[i], "--vector") == 0) {
      only = atol(argv[i + 1]);
    } else if (strcmp(argv[i], "--threads") == 0) {
      threads = atol(argv[i + 1]);
    } else if (strcmp(argv[i], "--dump") == 0) {
      dump_path = argv[i + 1];
    } else {
      break;
    }
  }
  if (i != argc && argc > 2) {
    fprintf(stderr,
            "usage: selftest FOLDER [--vectors N] [--vector K --dump FILE] [--threads N]\n");
    return 2;
  }
  parallel = start_threads(threads);
  arena_bytes = @NAME@_ARENA_BYTES_FOR(threads);

  blob = read_file(folder, "model.qpk", &blob_size);
  status = @name@_init(&model, blob, blob_size);
  if (status != 0) {
    printf("FAIL blob status=%d (%s)\n", status,
           status == @NAME@_WRONG_BLOB ? "not the blob this code was written with"
                                       : qrt_status_text((qrt_status)status));
    return 1;
  }
#if defined(QRT_DISPATCH)
  print_kernels();
#endif
  for (i = 0; i < @NAME@_INPUTS; ++i) {
    in[i] = (unsigned char*)allocate(input_info[i].bytes);
    input_bytes += input_info[i].bytes;
  }
  for (i = 0; i < @NAME@_OUTPUTS; ++i) {
    out[i] = (unsigned char*)allocate(output_info[i].bytes);
    output_bytes += output_info[i].bytes;
  }
  for (i = 0; i < @NAME@_LAYERS; ++i) {
    layer_bytes += layers[i].bytes;
    if (layers[i].planes.bits != 0 && layers[i].bytes > plane_codes) {
      plane_codes = layers[i].bytes;
    }
  }
  state.unpacked = (unsigned char*)allocate(plane_codes);
  check_requant(folder);

  inputs = read_file(folder, "golden/vectors.bin", &inputs_size);
  require(inputs_size >= 24 && memcmp(inputs, "QOPTGV1", 8) == 0, "golden/vectors.bin");
  vectors = (long)load32(inputs + 8);
  require(load32(inputs + 12) == @NAME@_INPUTS && load64(inputs + 16) == input_bytes &&
              (inputs_size - 24) / (32 + input_bytes) >= (size_t)vectors,
          "golden/vectors.bin");
  expected = read_file(folder, "golden/expected.bin", &expected_size);
  require(expected_size >= 32 && memcmp(expected, "QOPTGE1", 8) == 0, "golden/expected.bin");
  require((long)load32(expected + 8) == vectors && load32(expected + 12) == @NAME@_LAYERS &&
              load64(expected + 16) == layer_bytes && load64(expected + 24) == output_bytes,
          "golden/expected.bin");
  if (dump_path != NULL) {
    require(only >= 0 && only < vectors, "--vector");
    state.dump = fopen(dump_path, "wb");
    require(state.dump != NULL, dump_path);
  }

  arena = (unsigned char*)allocate(arena_bytes + 2 * kGuardBytes + 64);
  aligned = arena + (64u - (size_t)((uintptr_t)arena & 63u)) % 64u + kGuardBytes;
  at = 32;
  if (limit < 0 || limit > vectors) limit = vectors;
  for (v = 0; v < vectors; ++v) {
    const unsigned char* source = inputs + 24 + 32 * (size_t)vectors + input_bytes * (size_t)v;
    const unsigned char* outputs;
    /* Another filling each time: a kernel that reads what it never wrote shows itself. */
    const int fill = (int)(0xA5u ^ ((unsigned)v & 0xFFu));
    int full;
    require(at + 4 + 4 * (size_t)@NAME@_LAYERS <= expected_size, "golden/expected.bin");
    full = load32(expected + at) != 0;
    state.crc = expected + at + 4;
    at += 4 + 4 * (size_t)@NAME@_LAYERS;
    require((full ? layer_bytes : 0) + output_bytes <= expected_size - at,
            "golden/expected.bin");
    state.values = full ? expected + at : NULL;
    at += full ? layer_bytes : 0;
    outputs = expected + at;
    at += output_bytes;
    if (dump_path != NULL ? v != only : v >= limit) continue;
    state.vector = v;
    state.next_layer = 0;
    for (i = 0; i < @NAME@_INPUTS; ++i) {
      memcpy(in[i], source, input_info[i].bytes);
      source += input_info[i].bytes;
    }
    memset(aligned - kGuardBytes, fill, arena_bytes + 2 * kGuardBytes);
    run_model(&model, aligned, parallel, in, out);
    if (!is_filled(aligned - kGuardBytes, kGuardBytes, fill) ||
        !is_filled(aligned + arena_bytes, kGuardBytes, fill)) {
      printf("FAIL vector=%ld arena was written outside its bounds\n", v);
      return 1;
    }
    if (dump_path != NULL) {
      for (i = 0; i < @NAME@_OUTPUTS; ++i) {
        if (fwrite(out[i], 1, output_info[i].bytes, state.dump) != output_info[i].bytes) {
          state.failed = 1;
        }
      }
      continue;
    }
    for (i = 0; i < @NAME@_OUTPUTS && !state.failed; ++i) {
      state.failed = differs("output", i, &output_info[i], outputs, out[i]);
      outputs += output_info[i].bytes;
    }
    if (state.failed) return 1;
  }
  if (state.dump != NULL) {
    if (fclose(state.dump) != 0 || state.failed) {
      fprintf(stderr, "selftest: cannot write %s\n", dump_path);
      return 2;
    }
    return 0;
  }
  printf("PASS vectors=%ld layers=%d\n", limit, @NAME@_LAYERS);
  return 0;
}
)C";

struct Row {
  std::string name;
  const Value* value;
  const BitPlanes* planes = nullptr;  // null: it lies as codes
};

std::string plane_fields(const Row& row) {
  if (row.planes == nullptr) return "{0, 0, 0, 0, 0, 0}";
  const Shape& shape = row.value->shape;
  return fmt::format("{{{}, {}, {}, {}, {}, {}}}", row.planes->bits, row.planes->lowest,
                     row.planes->outside, shape[0], shape[1] * shape[2], shape[3]);
}

void write_table(CWriter& w, const std::string& table, const std::vector<Row>& rows) {
  const auto block = w.block(fmt::format("static const tensor_info {}[] =", table), "};");
  const auto block_open = [&](const std::string& text) { w.line(text); };
  for (const Row& row : rows) {
    block_open(fmt::format("{{{}, {}, {}, {}}},", c_string(printable(row.name)),
                           static_cast<std::uint64_t>(num_elements(row.value->shape)) *
                               dtype_size(row.value->dtype),
                           dtype_size(row.value->dtype), plane_fields(row)));
  }
  // C has no empty array.
  if (rows.empty()) w.line("{\"\", 0, 1, {0, 0, 0, 0, 0, 0}},");
}

std::string tables(const CodeContext& context) {
  const Graph& graph = context.graph;
  std::vector<Row> layers, inputs, outputs;
  for (const std::size_t at : context.names.layers) {
    const ValueId id = graph.nodes()[at].output;
    const Value& value = graph.value(id);
    const auto planes = context.code.planes.find(id.index);
    layers.push_back({value.name, &value,
                      planes == context.code.planes.end() ? nullptr : &planes->second});
  }
  for (const PortCode& port : context.names.inputs) {
    inputs.push_back({port.label, &graph.value(port.value)});
  }
  for (const PortCode& port : context.names.outputs) {
    outputs.push_back({port.label, &graph.value(port.value)});
  }
  CWriter w;
  write_table(w, "layers", layers);
  write_table(w, "input_info", inputs);
  write_table(w, "output_info", outputs);
  w.blank();
  write_adapter(w, context, true);
  return w.text();
}

}  // namespace

void write_adapter(CWriter& w, const CodeContext& context, bool is_parallel) {
  const std::string& name = context.names.prefix;
  const auto block = w.block(fmt::format(
      "static void run_model(const {}_model* model, void* arena, {}unsigned char* const* "
      "in,\n                      unsigned char* const* out)",
      name, is_parallel ? "qrt_parallel* parallel, " : ""));
  std::vector<std::string> arguments{"model", "arena"};
  if (is_parallel) arguments.emplace_back("parallel");
  for (const PortCode& port : context.names.inputs) {
    arguments.push_back(
        fmt::format("(const {}*)(const void*)in[{}]", port.c_type, port.number));
  }
  for (const PortCode& port : context.names.outputs) {
    arguments.push_back(fmt::format("({}*)(void*)out[{}]", port.c_type, port.number));
  }
  if (context.names.inputs.empty()) w.statement("(void)in");
  if (context.names.outputs.empty()) w.statement("(void)out");
  w.call(name + (is_parallel ? "_run_parallel" : "_run"), arguments);
}

std::string selftest_source(const CodeContext& context) {
  return fill_template(kText, {{"name", context.names.prefix},
                               {"NAME", context.names.macro_prefix},
                               {"KERNELS", kPrintKernels},
                               {"TABLES", tables(context)}});
}

}  // namespace qopt::emit

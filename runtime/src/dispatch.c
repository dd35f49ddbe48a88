/* SPDX-License-Identifier: MIT
 * Programs that carry kernels of several instruction sets (QRT_DISPATCH) choose among
 * them here, once, by what the processor says it has. Empty in every other program. */
#include "qrt/qrt.h"

#if defined(QRT_DISPATCH)

#include <string.h>

#if defined(__linux__) && (defined(__aarch64__) || defined(__arm__))
/* Of Linux' libc: what the kernel told the program of the processor. */
extern unsigned long getauxval(unsigned long type);
#endif

qrt_dispatch qrt;

/* QRT_CPU_<isa>: whether this processor runs it. */
#define QRT_CPU_c 1
#if defined(__x86_64__) || defined(__i386__)
#define QRT_CPU_avx2 (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt"))
#define QRT_CPU_AVX512                                  \
  (QRT_CPU_avx2 && __builtin_cpu_supports("avx512f") && \
   __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
#define QRT_CPU_vpopcnt (QRT_CPU_AVX512 && __builtin_cpu_supports("avx512vpopcntdq"))
#define QRT_CPU_vnni (QRT_CPU_AVX512 && __builtin_cpu_supports("avx512vnni"))
#elif defined(__linux__) && defined(__aarch64__)
/* AdvSIMD is part of the architecture's base; bit 20 of AT_HWCAP is asimddp, bit 13 of
 * AT_HWCAP2 is i8mm. */
#define QRT_CPU_neon 1
#define QRT_CPU_dotprod ((getauxval(16) >> 20 & 1u) != 0)
#define QRT_CPU_i8mm (QRT_CPU_dotprod && (getauxval(26) >> 13 & 1u) != 0)
#elif defined(__linux__) && defined(__arm__)
/* Bit 12 of AT_HWCAP is neon. */
#define QRT_CPU_armv7 ((getauxval(16) >> 12 & 1u) != 0)
#else
/* Nobody to ask: what this file was compiled for. */
#define QRT_CPU_avx2 QRT_HAS_avx2
#define QRT_CPU_vpopcnt QRT_HAS_vpopcnt
#define QRT_CPU_vnni QRT_HAS_vnni
#define QRT_CPU_neon QRT_HAS_neon
#define QRT_CPU_dotprod QRT_HAS_dotprod
#define QRT_CPU_i8mm QRT_HAS_i8mm
#define QRT_CPU_armv7 QRT_HAS_armv7
#endif

void qrt_select_kernels(void) {
  qrt_dispatch chosen;
  memset(&chosen, 0, sizeof chosen);
#if defined(__x86_64__) || defined(__i386__)
  __builtin_cpu_init();
#endif
#define QRT_KERNEL(op, types, isa, symbol) \
  QRT_IF_##isa(if (QRT_CPU_##isa) chosen.op##_##types = symbol;)
#include "qrt/kernels.inc"
#undef QRT_KERNEL
  /* Later calls find the same and write nothing: other threads may be running. */
  if (memcmp(&chosen, &qrt, sizeof qrt) != 0) qrt = chosen;
}

int qrt_kernel_isas(const char** names) {
  int count = 0;
#if defined(__x86_64__) || defined(__i386__)
  __builtin_cpu_init();
#endif
#define QRT_ISA(isa) QRT_IF_##isa(if (QRT_CPU_##isa) names[count++] = #isa;)
  QRT_ISAS
#undef QRT_ISA
  return count;
}

#else
typedef int qrt_dispatch_is_empty;
#endif

/* SPDX-License-Identifier: MIT
 * Moves of elements that never change them: strided copy, fill, table rows. Plain C. */
#include <string.h>

#include "qrt/qrt.h"

typedef struct {
  int32_t rank;
  size_t dims[QRT_MAX_RANK], src_stride[QRT_MAX_RANK],
      dst_stride[QRT_MAX_RANK]; /* bytes */
} qrt_copy_axes;

/* Strides in bytes; axes that lie one after another in both tensors become one. */
static void merge_axes(const qrt_copy_params* p, qrt_copy_axes* axes) {
  int32_t i;
  axes->rank = 0;
  for (i = 0; i < p->rank; ++i) {
    const size_t dim = (size_t)p->dims[i];
    const size_t src = (size_t)p->src_stride[i] * p->bytes;
    const size_t dst = (size_t)p->dst_stride[i] * p->bytes;
    const int32_t last = axes->rank - 1;
    if (dim == 1) continue;
    if (last >= 0 && axes->src_stride[last] == src * dim &&
        axes->dst_stride[last] == dst * dim) {
      axes->dims[last] *= dim;
      axes->src_stride[last] = src;
      axes->dst_stride[last] = dst;
    } else {
      axes->dims[axes->rank] = dim;
      axes->src_stride[axes->rank] = src;
      axes->dst_stride[axes->rank] = dst;
      ++axes->rank;
    }
  }
  if (axes->rank == 0) {
    axes->rank = 1;
    axes->dims[0] = 1;
    axes->src_stride[0] = axes->dst_stride[0] = p->bytes;
  }
}

static void copy_line(const uint8_t* src, size_t src_stride, uint8_t* dst,
                      size_t dst_stride, size_t count, size_t bytes) {
  size_t i;
  if (src_stride == bytes && dst_stride == bytes) {
    memcpy(dst, src, count * bytes);
  } else if (bytes == 1) {
    for (i = 0; i < count; ++i) dst[i * dst_stride] = src[i * src_stride];
  } else if (bytes == 2) {
    for (i = 0; i < count; ++i) memcpy(dst + i * dst_stride, src + i * src_stride, 2);
  } else if (bytes == 4) {
    for (i = 0; i < count; ++i) memcpy(dst + i * dst_stride, src + i * src_stride, 4);
  } else {
    for (i = 0; i < count; ++i) memcpy(dst + i * dst_stride, src + i * src_stride, bytes);
  }
}

void qrt_copy_any_c(const qrt_copy_params* p, const void* src, void* dst) {
  const uint8_t* from = (const uint8_t*)src;
  uint8_t* to = (uint8_t*)dst;
  size_t index[QRT_MAX_RANK] = {0, 0, 0, 0, 0, 0};
  size_t from_offset = 0, to_offset = 0, lines = 1;
  qrt_copy_axes axes;
  int32_t inner, i;
  merge_axes(p, &axes);
  inner = axes.rank - 1;
  for (i = 0; i < inner; ++i) lines *= axes.dims[i];
  for (; lines > 0; --lines) {
    copy_line(from + from_offset, axes.src_stride[inner], to + to_offset,
              axes.dst_stride[inner], axes.dims[inner], p->bytes);
    for (i = inner - 1; i >= 0; --i) {
      from_offset += axes.src_stride[i];
      to_offset += axes.dst_stride[i];
      if (++index[i] < axes.dims[i]) break;
      from_offset -= axes.src_stride[i] * axes.dims[i];
      to_offset -= axes.dst_stride[i] * axes.dims[i];
      index[i] = 0;
    }
  }
}

void qrt_fill_any_c(const qrt_fill_params* p, void* y) {
  const size_t count = (size_t)p->count;
  size_t i;
  if (p->bytes == 1) {
    memset(y, (uint8_t)p->value, count);
  } else if (p->bytes == 2) {
    for (i = 0; i < count; ++i) ((int16_t*)y)[i] = (int16_t)p->value;
  } else {
    for (i = 0; i < count; ++i) ((int32_t*)y)[i] = p->value;
  }
}

void qrt_gather_any_c(const qrt_gather_params* p, const int32_t* indices,
                      const void* table, void* y) {
  const size_t row_bytes = (size_t)p->depth * p->bytes;
  size_t i;
  for (i = 0; i < (size_t)p->count; ++i) {
    const size_t row = (size_t)qrt_clamp(indices[i], 0, p->rows - 1);
    memcpy((uint8_t*)y + i * row_bytes, (const uint8_t*)table + row * row_bytes,
           row_bytes);
  }
}

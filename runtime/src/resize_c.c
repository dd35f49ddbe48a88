/* SPDX-License-Identifier: MIT
 * Nearest and bilinear resizing in plain C. */
#include "codes.h"
#include "qrt/qrt.h"

void qrt_resize_any_c(const qrt_resize_params* p, const void* x, const int32_t* row_index,
                      const int16_t* row_weight, const int32_t* col_index,
                      const int16_t* col_weight, void* y) {
  const size_t channels = (size_t)p->c, width = (size_t)p->w;
  size_t y_index = 0, i;
  int32_t image, oy, ox;
  for (image = 0; image < p->n; ++image) {
    const size_t picture = (size_t)image * (size_t)p->h;
    for (oy = 0; oy < p->oh; ++oy) {
      const int32_t* rows = row_index + 2 * (size_t)oy;
      const int16_t* row_parts = row_weight + 2 * (size_t)oy;
      const size_t line0 = (picture + (size_t)rows[0]) * width;
      const size_t line1 = (picture + (size_t)rows[1]) * width;
      for (ox = 0; ox < p->ow; ++ox) {
        const int32_t* cols = col_index + 2 * (size_t)ox;
        const int16_t* col_parts = col_weight + 2 * (size_t)ox;
        const size_t at[4] = {
            (line0 + (size_t)cols[0]) * channels, (line0 + (size_t)cols[1]) * channels,
            (line1 + (size_t)cols[0]) * channels, (line1 + (size_t)cols[1]) * channels};
        const int32_t weight[4] = {
            row_parts[0] * col_parts[0], row_parts[0] * col_parts[1],
            row_parts[1] * col_parts[0], row_parts[1] * col_parts[1]};
        for (i = 0; i < channels; ++i) {
          int64_t acc = (int64_t)weight[0] * qrt_load(x, at[0] + i, p->bytes);
          acc += (int64_t)weight[1] * qrt_load(x, at[1] + i, p->bytes);
          acc += (int64_t)weight[2] * qrt_load(x, at[2] + i, p->bytes);
          acc += (int64_t)weight[3] * qrt_load(x, at[3] + i, p->bytes);
          qrt_store(y, y_index++, p->bytes,
                    (int32_t)qrt_shift_right64(acc, 2 * QRT_RESIZE_FRACTION));
        }
      }
    }
  }
}

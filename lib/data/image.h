// SPDX-License-Identifier: MIT
// JPEG and PNG files to pixels, through libjpeg-turbo and libpng. Bytes in, picture out.
#pragma once

#include <string>

#include "lib/data/preprocess.h"
#include "lib/data/source.h"

namespace qopt::data {

/// Decodes by the file's magic. JPEG: accurate integer DCT, smooth chroma upsampling;
/// grey stays grey, CMYK becomes RGB. PNG: palette, 1 to 16 bits, grey or colour; alpha
/// is dropped. Throws Error(Data) naming `where` for damaged or cut files and for more
/// than kMaxPixels pixels, which are counted before memory is taken.
Picture decode_image(Bytes file, const std::string& where);

Picture decode_jpeg(Bytes file, const std::string& where);
Picture decode_png(Bytes file, const std::string& where);

}  // namespace qopt::data

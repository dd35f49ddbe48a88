// SPDX-License-Identifier: MIT
// Fixed program texts with a few @HOLES@, and the adapter both hosted programs share.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "lib/export/c_files.h"
#include "lib/export/c_writer.h"

namespace qopt::emit {

/// `text` with every @KEY@ replaced by its value; an unknown key is our bug.
std::string fill_template(std::string_view text,
                          const std::map<std::string, std::string, std::less<>>& holes);

/// print_kernels(), where the program dispatches: which instruction sets it chose from.
extern const char* const kPrintKernels;

/// run_model(): the model's typed run function behind arrays of byte pointers.
void write_adapter(CWriter& w, const CodeContext& context, bool is_parallel);

}  // namespace qopt::emit

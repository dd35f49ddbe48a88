// SPDX-License-Identifier: MIT
// Recorder: runs a scripted or traced module once, operator by operator, and records the
// calls that touch the model's inputs as graph nodes. This is the re-trace: control flow,
// shapes and everything that depends on weights alone become constants on the way.
#pragma once

#include <torch/script.h>

#include <string>
#include <vector>

#include "lib/frontend/builder.h"

namespace qopt::frontend {

/// Something the graph cannot express, and where.
struct Finding {
  std::string op;      // "aten::lstm"
  std::string reason;  // may be empty: the operator is not in the table
  std::string source;  // "models.py:34"
  int count = 1;
};

struct Recording {
  c10::IValue result;  // what forward returned; undefined when it did not finish
  std::vector<Finding> findings;  // in order of first occurrence; empty: all was recorded
};

/// Runs forward on `arguments` (self not included), whose activations are bound in
/// `builder`. The module's own tensors may be written: pass a copy. Throws
/// Error(ModelUnsupported) when the arguments do not fit, with the source line.
Recording record(Builder& builder, torch::jit::Module module,
                 std::vector<c10::IValue> arguments);

}  // namespace qopt::frontend

// SPDX-License-Identifier: MIT
// Silence: LibTorch's warnings go nowhere while it lives; a library prints nothing. The
// one place that knows that LibTorch 2 renamed the interface.
#pragma once

#include <c10/util/Exception.h>
#include <torch/version.h>

#include <string>

namespace qopt::frontend {

class SilentHandler : public c10::WarningHandler {
 public:
#if TORCH_VERSION_MAJOR >= 2
  void process(const c10::Warning&) override {}
#else
  void process(const c10::SourceLocation&, const std::string&, bool) override {}
#endif
};

/// For the calling thread.
class Silence {
 private:
  SilentHandler handler_;
#if TORCH_VERSION_MAJOR >= 2
  c10::WarningUtils::WarningHandlerGuard guard_{&handler_};
#else
  c10::Warning::WarningHandlerGuard guard_{&handler_};
#endif
};

}  // namespace qopt::frontend

// SPDX-License-Identifier: MIT
// Writers: the same description printed, as YAML (the resolved configuration, or a
// commented template) and as a Markdown reference.
#pragma once

#include <functional>
#include <string>

#include "lib/config/fields.h"
#include "lib/config/reader.h"

namespace qopt::config {

enum class YamlStyle {
  Plain,      // every recorded value, nothing else: reads back to the same struct
  Commented,  // each key with its help; what is not set is shown as a comment
};

/// YAML text of what `describe` visits. Paths found in `written` print as written there.
std::string write_yaml(const std::function<void(Fields&)>& describe, YamlStyle style,
                       const WrittenPaths& written = {});

/// Markdown tables, one for each map of keys: key, type, default, meaning.
std::string write_reference(const std::function<void(Fields&)>& describe);

/// `text` as a YAML scalar, quoted where a plain one would read differently.
std::string yaml_scalar(const std::string& text);

}  // namespace qopt::config

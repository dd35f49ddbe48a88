// SPDX-License-Identifier: MIT
// Interruption: Ctrl-C and SIGTERM set a flag that long work polls. The only process-wide
// state, because signals are process-wide.
#pragma once

namespace qopt {

/// Installs handlers for SIGINT and SIGTERM that set the flag; a second signal ends at
/// once.
void install_interrupt_handlers();
/// True once a signal came.
bool interrupted();
/// Throws Error(Interrupted) once a signal came.
void throw_if_interrupted();
/// Sets or clears the flag (for tests).
void set_interrupted(bool value);

}  // namespace qopt

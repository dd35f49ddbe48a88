# Compiler settings shared by all targets, carried by the interface target qopt_options.
add_library(qopt_options INTERFACE)
target_compile_options(qopt_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wshadow;-Wnon-virtual-dtor>
  $<$<COMPILE_LANGUAGE:C>:-Wall;-Wextra;-Wconversion>)
if(QOPT_WERROR)
  target_compile_options(qopt_options INTERFACE -Werror)
endif()
if(QOPT_SANITIZE)
  target_compile_options(qopt_options INTERFACE
    -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  target_link_options(qopt_options INTERFACE -fsanitize=address,undefined)
endif()
find_program(QOPT_CCACHE ccache)
if(QOPT_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${QOPT_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${QOPT_CCACHE})
endif()

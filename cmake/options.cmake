# Compiler settings shared by all targets, carried by the interface target qopt_options.
add_library(qopt_options INTERFACE)
target_compile_options(qopt_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wshadow;-Wnon-virtual-dtor>
  $<$<COMPILE_LANGUAGE:C>:-Wall;-Wextra;-Wconversion>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC 12 warns falsely on `"literal" + std::string` (GCC bug 105651).
  target_compile_options(qopt_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
endif()
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
  # Without these two, ccache refuses every file that uses the precompiled LibTorch header.
  set(CMAKE_CXX_COMPILER_LAUNCHER
    ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${QOPT_CCACHE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(qopt_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)
  endif()
endif()

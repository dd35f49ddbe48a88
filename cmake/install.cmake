# `cmake --install`: program, libraries, headers and the package for find_package(qopt).
include(CMakePackageConfigHelpers)
get_property(rooms GLOBAL PROPERTY QOPT_ROOMS)

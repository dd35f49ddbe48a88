# `cmake --install`: the program, the libraries and their headers, and the package files for
#   find_package(qopt)                     rooms without LibTorch: qopt::core ... qopt::export
#   find_package(qopt COMPONENTS torch)    and qopt::aten ... qopt::pipeline
include(CMakePackageConfigHelpers)

get_property(rooms GLOBAL PROPERTY QOPT_ROOMS)
get_property(torch_rooms GLOBAL PROPERTY QOPT_TORCH_ROOMS)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/qopt)

set(targets qopt_sodium qopt_blas qopt_runtime_headers qopt_runtime_sources)
foreach(room IN LISTS rooms)
  if(NOT room IN_LIST torch_rooms)
    list(APPEND targets qopt_${room})
  endif()
endforeach()
install(TARGETS ${targets} EXPORT qoptTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT qoptTargets NAMESPACE qopt:: DESTINATION ${package_dir})

if(QOPT_TORCH)
  set(targets qopt_torch)
  foreach(room IN LISTS torch_rooms)
    list(APPEND targets qopt_${room})
  endforeach()
  install(TARGETS ${targets} EXPORT qoptTorchTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(EXPORT qoptTorchTargets NAMESPACE qopt:: DESTINATION ${package_dir})
  if(TARGET qopt)
    install(TARGETS qopt RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endif()
endif()

install(DIRECTORY lib runtime DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/qopt
  FILES_MATCHING PATTERN "*.h" PATTERN "*.inc")
configure_package_config_file(cmake/qoptConfig.cmake.in ${CMAKE_BINARY_DIR}/qoptConfig.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/qoptConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/qoptConfig.cmake ${CMAKE_BINARY_DIR}/qoptConfigVersion.cmake
  DESTINATION ${package_dir})

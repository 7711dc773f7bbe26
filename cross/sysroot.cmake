# A gateway lacks flash and memory before it lacks cycles: -Os, and nothing that nobody calls.
set(CMAKE_CXX_FLAGS_INIT "-ffunction-sections -fdata-sections")
set(CMAKE_EXE_LINKER_FLAGS_INIT "-Wl,--gc-sections")

# Libraries and headers come from the sysroot alone, programs (protoc) from the machine that builds.
macro(ledgerline_sysroot arch)
  set(CMAKE_SYSROOT ${CMAKE_CURRENT_LIST_DIR}/../build/cross/${arch}/sysroot)
  if(NOT EXISTS ${CMAKE_SYSROOT}/usr/include)
    message(FATAL_ERROR "${CMAKE_SYSROOT} is not there. Run cross/build ${arch}, which makes it")
  endif()
  set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
  set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
  set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
  set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
endmacro()

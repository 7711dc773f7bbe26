# 32-bit ARM (ARMv7-A, VFPv3-D16 as Debian's armhf) with Debian's cross compiler, against the folder that cross/build extracts.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR arm)
set(CMAKE_CXX_COMPILER arm-linux-gnueabihf-g++)
set(CMAKE_LIBRARY_ARCHITECTURE arm-linux-gnueabihf)
include(${CMAKE_CURRENT_LIST_DIR}/sysroot.cmake)
ledgerline_sysroot(armhf)

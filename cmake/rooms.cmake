# tenfold_room(NAME [DEPS room...] [LIBS target...])
#
# Makes the static library tenfold_NAME from src/NAME/**/*.cc and, from src/NAME/**/*_test.cc, one test program NAME_test
# that ctest runs as NAME. Files under src/kernels/<isa>/ get that instruction set's flags and at least -O2, so that no
# inline function is left out of line there (a weak symbol compiled for a wide ISA could replace the baseline's copy).
set(TENFOLD_ISA_FLAGS_avx2 -mavx2 -mfma -mf16c -mbmi2)
set(TENFOLD_ISA_FLAGS_avxvnni -mavx2 -mfma -mf16c -mbmi2 -mavxvnni)
set(TENFOLD_ISA_FLAGS_avx512vnni
    -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mavx2 -mfma -mf16c -mbmi2 -mprefer-vector-width=512)

function(tenfold_room NAME)
  cmake_parse_arguments(ROOM "" "" "DEPS;LIBS" ${ARGN})
  set(dir ${CMAKE_SOURCE_DIR}/src/${NAME})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${dir}/*.cc)
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")

  list(TRANSFORM ROOM_DEPS PREPEND tenfold_)
  if(sources)
    add_library(tenfold_${NAME} STATIC ${sources})
    target_include_directories(tenfold_${NAME} PUBLIC ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(tenfold_${NAME} PUBLIC ${ROOM_DEPS} ${ROOM_LIBS} fmt::fmt)
  else()
    add_library(tenfold_${NAME} INTERFACE)
    target_include_directories(tenfold_${NAME} INTERFACE ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(tenfold_${NAME} INTERFACE ${ROOM_DEPS} ${ROOM_LIBS} fmt::fmt)
  endif()

  foreach(isa avx2 avxvnni avx512vnni)
    set(isa_sources ${sources})
    list(FILTER isa_sources INCLUDE REGEX "/${isa}/[^/]*\\.cc$")
    if(isa_sources)
      set_source_files_properties(${isa_sources} PROPERTIES COMPILE_OPTIONS "${TENFOLD_ISA_FLAGS_${isa}};-O2;-ffp-contract=off")
    endif()
  endforeach()

  if(tests)
    add_executable(${NAME}_test ${tests})
    target_link_libraries(${NAME}_test PRIVATE tenfold_${NAME} GTest::gtest GTest::gmock GTest::gtest_main)
    add_test(NAME ${NAME} COMMAND ${NAME}_test)
    set_tests_properties(${NAME} PROPERTIES LABELS unit TIMEOUT 600)
  endif()
endfunction()

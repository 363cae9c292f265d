# Writes OUTPUT, a header with the commit of the source tree, if that changed. Run at every build:
#   cmake -DSOURCE=DIR -DOUTPUT=FILE -P commit.cmake
execute_process(COMMAND git -C ${SOURCE} rev-parse --short=12 HEAD OUTPUT_VARIABLE commit ERROR_QUIET
                OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed)
if(failed)
  set(commit unknown)
else()
  execute_process(COMMAND git -C ${SOURCE} status --porcelain --untracked-files=no OUTPUT_VARIABLE changes ERROR_QUIET)
  if(changes)
    string(APPEND commit -dirty)
  endif()
endif()
set(text "// Made by cmake/commit.cmake at every build.\n#pragma once\n
namespace tenfold::bench {\ninline constexpr char kCommit[] = \"${commit}\";\n}  // namespace tenfold::bench\n")
if(EXISTS ${OUTPUT})
  file(READ ${OUTPUT} before)
endif()
if(NOT "${before}" STREQUAL "${text}")
  file(WRITE ${OUTPUT} "${text}")
endif()

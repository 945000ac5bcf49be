# One static library a folder of src/, made from the table in src/LAYERS: sources are the folder's
# *.cc files, links follow the folder's row, so that an include the rule forbids also fails to link.
# *_test.cc files of a folder become one test program.

function(inferneo_target_name folder result)
  string(REPLACE "/" "_" name "inferneo_${folder}")
  set(${result} ${name} PARENT_SCOPE)
endfunction()

# Generates <build>/generated/<folder>/registry.cc with a table of every
# `const <type> k...` that the folder's files define, in order of name.
# The folder is a row of the table, or a part of the row given after the function's name.
function(inferneo_registry folder type header table_function)
  set(owner ${folder})
  if(ARGC GREATER 4)
    set(owner ${ARGV4})
  endif()
  string(REPLACE "/" "::" namespace "inferneo::${owner}")
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${folder}/*.cc)
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  set(symbols "")
  foreach(source ${sources})
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
    file(STRINGS ${source} lines REGEX "^(constinit )?const ${type} k[A-Za-z0-9_]+")
    foreach(line ${lines})
      string(REGEX REPLACE "^(constinit )?const ${type} (k[A-Za-z0-9_]+).*" "\\2" symbol "${line}")
      list(APPEND symbols ${symbol})
    endforeach()
  endforeach()
  list(SORT symbols)
  list(LENGTH symbols count)
  set(declarations "")
  set(entries "")
  foreach(symbol ${symbols})
    string(APPEND declarations "extern const ${type} ${symbol};\n")
    string(APPEND entries "      &${symbol},\n")
  endforeach()
  set(file ${CMAKE_BINARY_DIR}/generated/${folder}/registry.cc)
  file(CONFIGURE OUTPUT ${file} @ONLY CONTENT
"// Generated from the files of src/${folder}; do not edit.
#include \"${header}\"

#include <array>

namespace ${namespace} {

${declarations}
std::span<const ${type}* const> ${table_function}() {
  static constexpr std::array<const ${type}*, ${count}> kTable = {
${entries}  };
  return kTable;
}

}  // namespace ${namespace}
")
  inferneo_target_name(${owner} target)
  target_sources(${target} PRIVATE ${file})
endfunction()

function(inferneo_add_folder folder dependencies libraries)
  inferneo_target_name(${folder} target)
  set(dir ${CMAKE_SOURCE_DIR}/src/${folder})
  file(GLOB sources CONFIGURE_DEPENDS ${dir}/*.cc)
  file(GLOB headers CONFIGURE_DEPENDS ${dir}/*.h)
  # Parts of a folder that are not folders of the table themselves (kernels/cpu, text/template).
  file(GLOB subdirs LIST_DIRECTORIES true CONFIGURE_DEPENDS ${dir}/*)
  foreach(subdir ${subdirs})
    file(RELATIVE_PATH name ${CMAKE_SOURCE_DIR}/src ${subdir})
    if(IS_DIRECTORY ${subdir} AND NOT name IN_LIST INFERNEO_FOLDERS)
      set(nested FALSE)
      foreach(other ${INFERNEO_FOLDERS})
        if(other MATCHES "^${name}/")
          set(nested TRUE)
        endif()
      endforeach()
      if(NOT nested)
        file(GLOB_RECURSE more CONFIGURE_DEPENDS ${subdir}/*.cc)
        list(APPEND sources ${more})
        file(GLOB_RECURSE more CONFIGURE_DEPENDS ${subdir}/*.h)
        list(APPEND headers ${more})
      endif()
    endif()
  endforeach()
  list(FILTER headers EXCLUDE REGEX "-inl\\.h$")
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "_(test|bench)\\.cc$")
  set(main ${sources})
  list(FILTER main INCLUDE REGEX "/main\\.cc$")
  list(FILTER sources EXCLUDE REGEX "/main\\.cc$")

  if(NOT sources)
    # Why not file(WRITE): it would touch the file, and so compile it, each time CMake runs.
    file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/generated/empty.cc CONTENT "")
    set(sources ${CMAKE_BINARY_DIR}/generated/empty.cc)
  endif()
  add_library(${target} STATIC ${sources})
  target_link_libraries(${target} PUBLIC inferneo_options)
  target_link_libraries(${target} PRIVATE ${libraries})
  if(headers)
    target_sources(${target} PUBLIC FILE_SET HEADERS BASE_DIRS ${CMAKE_SOURCE_DIR}/src
      FILES ${headers})
    set_target_properties(${target} PROPERTIES VERIFY_INTERFACE_HEADER_SETS ON)
  endif()
  if(NOT folder STREQUAL "base")
    target_link_libraries(${target} PUBLIC inferneo_base)
  endif()
  foreach(dependency ${dependencies})
    if(NOT dependency MATCHES "\\.h$")
      inferneo_target_name(${dependency} dependency_target)
      target_link_libraries(${target} PUBLIC ${dependency_target})
    endif()
  endforeach()
  if(main)
    add_executable(${folder}_main ${main})
    set_target_properties(${folder}_main PROPERTIES OUTPUT_NAME inferneo
      RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
    target_link_libraries(${folder}_main PRIVATE ${target})
  endif()
  if(INFERNEO_TESTS AND tests)
    set_property(GLOBAL APPEND PROPERTY INFERNEO_TESTED_FOLDERS ${folder})
    set_property(GLOBAL PROPERTY INFERNEO_TESTS_${target} ${tests})
    set_property(GLOBAL PROPERTY INFERNEO_LIBRARIES_${target} ${libraries})
  endif()
endfunction()

function(inferneo_add_folders table)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${table})
  file(STRINGS ${table} rows REGEX "^[^#]")
  set(INFERNEO_FOLDERS "")
  foreach(row ${rows})
    string(REGEX REPLACE "^([^ ]+) +:.*" "\\1" folder "${row}")
    list(APPEND INFERNEO_FOLDERS ${folder})
  endforeach()
  foreach(row ${rows})
    if(NOT row MATCHES "^([^ ]+) +: ?(.*) : ?(.*)$")
      string(REGEX MATCH "^([^ ]+) +: ?(.*) :$" matched "${row}")
      if(NOT matched)
        message(FATAL_ERROR "src/LAYERS: cannot read the row '${row}'")
      endif()
    endif()
    set(folder ${CMAKE_MATCH_1})
    separate_arguments(dependencies UNIX_COMMAND "${CMAKE_MATCH_2}")
    separate_arguments(libraries UNIX_COMMAND "${CMAKE_MATCH_3}")
    if(dependencies STREQUAL "*")
      set(dependencies ${INFERNEO_FOLDERS})
      list(REMOVE_ITEM dependencies ${folder})
    endif()
    inferneo_add_folder(${folder} "${dependencies}" "${libraries}")
  endforeach()
  inferneo_registry(gateway/endpoints Endpoint gateway/endpoints/endpoint.h endpoint_table)
  inferneo_registry(arch ArchSpec arch/arch.h arch_table)
  inferneo_registry(tensor/quant QuantFormat tensor/quant/quant_format.h quant_format_table tensor)
  inferneo_registry(text/reasoning ReasoningFormat text/reasoning/reasoning_format.h
    reasoning_formats text)
  inferneo_registry(text/tools ToolFormat text/tools/tool_format.h tool_formats text)
  inferneo_registry(app Verb app/verb.h verb_table)
endfunction()

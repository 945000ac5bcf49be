#include "text/grammar/json_schema.h"

#include "text/grammar/schema_compiler.h"

namespace inferneo::text::grammar {

Status add_schema(Grammar& grammar,
                  const Value& schema,
                  const SchemaOptions& options,
                  std::uint32_t& root) {
  if (schema.as_dict() == nullptr && schema.as_bool() == nullptr) {
    return invalid_argument("a schema must be an object or a boolean").with_where("#");
  }
  return SchemaCompiler(grammar, schema, options).compile(schema, root);
}

}  // namespace inferneo::text::grammar

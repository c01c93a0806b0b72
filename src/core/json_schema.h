/* json_schema.h: whether a JSON value is as a JSON schema says, for what pydantic makes of types
 * and the like. Pure.
 *
 * Read are: type, enum, const, properties, required, additionalProperties, minProperties,
 * maxProperties, items, prefixItems, minItems, maxItems, minimum, maximum, exclusiveMinimum,
 * exclusiveMaximum, multipleOf of whole numbers, minLength, maxLength, anyOf, oneOf, allOf, not,
 * and $ref to places of the same schema (#/$defs/X, #/definitions/X, or any pointer). Whatever else
 * is in a schema is passed over: what is refused is wrong for certain, what is let through may
 * still be refused by the function itself. A schema that leads nowhere ($ref in a circle, more work
 * than a cap) lets everything through. */
#ifndef PENSTOCK_CORE_JSON_SCHEMA_H
#define PENSTOCK_CORE_JSON_SCHEMA_H

#include "base/buf.h"
#include "base/err.h"

/* `schema` and `value` are valid JSON. `name` is what the value is called in errors ("parameters"):
 * ERR_INVALID, "parameters.x: expected an integer, not \"a\"". */
MUST_CHECK bool json_schema_check(struct str schema, struct str value, const char *name,
                                  struct err *err);
/* The same of an object that is not whole yet: what the schema requires of it may be missing, at
 * its own level. */
MUST_CHECK bool json_schema_check_given(struct str schema, struct str object, const char *name,
                                        struct err *err);
/* Whether both are the same value: numbers by value, members in any order. Valid JSON. */
bool json_same(struct str a, struct str b);

/* The properties of the schema of an object, one by one; `given` is what was configured, `defaults`
 * what else is known (objects, or empty). Whether each required property is in one of them or has a
 * default in the schema; else *missing is the first that is not: its raw name, borrowed from the
 * schema. */
bool json_schema_complete(struct str schema, struct str given, struct str defaults,
                          struct str *missing);
/* Appends the object that a function is called with: what was given, else the default of
 * `defaults`, else that of the schema. Members of `given` that the schema does not know stay. */
void json_schema_fill(struct str schema, struct str given, struct str defaults, struct buf *out);

#endif

/* json_names.h: the names that an object has had so far, so that one that comes twice is noticed.
 *
 *     struct json_names seen = {0};
 *     while (json_member(&j, &name) && json_value(&j, &raw))
 *         if (!json_names_add(&seen, name))
 *             return ...
 *
 * For objects of few members, of which unknown ones are refused: each is compared with all.
 * Threads: any. */
#ifndef PENSTOCK_BASE_JSON_NAMES_H
#define PENSTOCK_BASE_JSON_NAMES_H

#include "base/buf.h"

enum { JSON_NAMES_MAX = 32 };

/* Zeroed: none. */
struct json_names {
    size_t count;
    struct str raw[JSON_NAMES_MAX]; /* borrowed */
};

/* False when the object has had that name; of more than JSON_NAMES_MAX the rest is not remembered.
 * `raw_name` is as json_member gave it and must stay as it is; names are compared with their
 * escapes undone. */
bool json_names_add(struct json_names *seen, struct str raw_name);

#endif

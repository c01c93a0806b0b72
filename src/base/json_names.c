/* json_names.c: see json_names.h. */
#include "base/json_names.h"

#include "base/json.h"
#include "base/own.h"

#include <string.h>

static bool has_escapes(struct str raw)
{
    return memchr(raw.ptr, '\\', raw.len) != NULL;
}

static bool is_same(struct str a, struct str b)
{
    if (str_eq(a, b))
        return true;
    if (!has_escapes(a) && !has_escapes(b))
        return false;
    OWNED_BUF struct buf one, other;
    buf_init(&one, BUF_NO_CAP);
    buf_init(&other, BUF_NO_CAP);
    return json_text(a, &one) && json_text(b, &other) && str_eq(buf_str(&one), buf_str(&other));
}

bool json_names_add(struct json_names *seen, struct str raw_name)
{
    for (size_t i = 0; i < seen->count; i++)
        if (is_same(seen->raw[i], raw_name))
            return false;
    if (seen->count < JSON_NAMES_MAX)
        seen->raw[seen->count++] = raw_name;
    return true;
}

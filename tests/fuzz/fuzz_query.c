/* Query strings and path segments: every text is a query, and all that comes out is UTF-8 in its
 * own memory, found again by its name. */
#include "fuzz.h"
#include "http/query.h"

static void look_at_query(struct str raw)
{
    struct query q;
    query_parse(raw, &q);
    HOLDS(q.count <= raw.len / 2 + 1);
    for (size_t i = 0; i < q.count; i++) {
        struct query_param p = q.params[i];
        HOLDS(str_is_utf8(p.name) && str_is_utf8(p.value));
        HOLDS(p.name.ptr[p.name.len] == '\0' && p.value.ptr[p.value.len] == '\0');
        if (memchr(p.name.ptr, '\0', p.name.len))
            continue;
        const struct query_param *last = query_find(&q, p.name.ptr);
        HOLDS(last && last >= &q.params[i] && str_eq(last->name, p.name));
    }
    query_release(&q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str raw = {(const char *)data, size};
    look_at_query(raw);
    char *out = xcalloc(1, size + 1);
    size_t len = 0;
    if (query_decode_segment(raw, out, &len))
        HOLDS(len > 0 && len <= size && strlen(out) == len && str_is_utf8((struct str){out, len}));
    free(out);
    return 0;
}

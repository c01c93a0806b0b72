/* Fragments in bulk: what is taken lies within the body, and its data is an object. */
#include "base/json.h"
#include "base/own.h"
#include "fuzz.h"
#include "http/native/native_fragment_lines.h"

static void look_at(const char *body, size_t size, const struct fragment_slice *s)
{
    HOLDS(s->id_len > 0 && s->id_len <= FRAGMENT_NAME_MAX_BYTES);
    HOLDS((size_t)s->id_at + s->id_len <= size && (size_t)s->origin_at + s->origin_len <= size);
    HOLDS((size_t)s->fragment_at + s->fragment_len <= size);
    HOLDS((size_t)s->data_at + s->data_len <= size);
    struct str id = {body + s->id_at, s->id_len}, data = {body + s->data_at, s->data_len};
    HOLDS(str_is_utf8(id) && !memchr(id.ptr, '\0', id.len));
    HOLDS(json_type_of(data) == JSON_OBJECT && json_check(data, NULL, NULL));
    HOLDS(!memchr(data.ptr, '\n', data.len) && !memchr(data.ptr, '\r', data.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fragment_lines lines = {0};
    struct err err = {.code = ERR_NONE};
    OWNED_MEM char *body = xcalloc(size + !size, 1);
    if (size)
        memcpy(body, data, size);
    if (fragment_lines_read(&lines, body, size, &err))
        for (size_t i = 0; i < lines.count; i++)
            look_at(body, size, &lines.slices[i]);
    else
        HOLDS(err.code == ERR_INVALID);
    fragment_lines_release(&lines);
    return 0;
}

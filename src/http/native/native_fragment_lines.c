/* native_fragment_lines.c: see native_fragment_lines.h. */
#include "http/native/native_fragment_lines.h"

#include "base/json.h"

#include <stdlib.h>

enum { SLICES_FIRST = 64 };

void fragment_lines_release(struct fragment_lines *lines)
{
    free(lines->slices);
    *lines = (struct fragment_lines){0};
}

/* Undone, a text is never longer than it was written. */
static bool undo_escapes(char *body, struct str raw, struct str *out, struct err *err)
{
    OWNED_BUF struct buf text;
    buf_init(&text, raw.len);
    if (!json_text(raw, &text) || text.full)
        return err_set(err, ERR_INVALID, "expected a text");
    char *place = body + (raw.ptr - body) + 1;
    if (text.len > 0)
        memcpy(place, text.data, text.len);
    *out = (struct str){place, text.len};
    return true;
}

bool fragment_name_read(char *body, struct str raw, struct str *out, struct err *err)
{
    if (json_type_of(raw) != JSON_STRING)
        return err_set(err, ERR_INVALID, "expected a text");
    struct str text = {raw.ptr + 1, raw.len - 2};
    if (memchr(text.ptr, '\\', text.len) && !undo_escapes(body, raw, &text, err))
        return false;
    if (text.len > FRAGMENT_NAME_MAX_BYTES)
        return err_set(err, ERR_INVALID, "it has more than %d bytes", FRAGMENT_NAME_MAX_BYTES);
    if (memchr(text.ptr, '\0', text.len))
        return err_set(err, ERR_INVALID, "it may not hold U+0000");
    *out = text;
    return true;
}

static bool read_values(struct str line, struct str values[4], struct err *err)
{
    struct json j;
    size_t count = 0;
    struct str value;
    json_open(&j, line);
    if (json_enter(&j, '['))
        while (json_item(&j)) {
            if (!json_value(&j, &value))
                break;
            if (count < 4)
                values[count] = value;
            count++;
        }
    if (!json_end(&j))
        return err_set(err, ERR_INVALID, "byte %zu: %s", json_fault_at(&j), j.fault);
    if (count != 4)
        return err_set(err, ERR_INVALID,
                       "expected [\"id\",\"origin\",\"fragment\",{data}], not %zu values", count);
    return true;
}

/* Carriage returns, which JSON allows between tokens only, would look like line ends. */
static void make_line(char *body, struct str raw)
{
    char *at = body + (raw.ptr - body), *end = at + raw.len;
    while (at < end && (at = memchr(at, '\r', (size_t)(end - at))))
        *at++ = ' ';
}

static bool read_line(char *body, struct str line, struct fragment_slice *out, struct err *err)
{
    static const char *const names[] = {"id", "origin", "fragment"};
    struct str values[4] = {{0}}, read[3] = {{0}};
    if (!read_values(line, values, err))
        return false;
    for (size_t i = 0; i < 3; i++)
        if (!fragment_name_read(body, values[i], &read[i], err))
            return err_add(err, "%s", names[i]);
    if (read[0].len == 0)
        return err_set(err, ERR_INVALID, "id: it is empty");
    if (json_type_of(values[3]) != JSON_OBJECT)
        return err_set(err, ERR_INVALID, "data: expected an object");
    make_line(body, values[3]);
    *out = (struct fragment_slice){.id_at = (uint32_t)(read[0].ptr - body),
                                   .origin_at = (uint32_t)(read[1].ptr - body),
                                   .fragment_at = (uint32_t)(read[2].ptr - body),
                                   .data_at = (uint32_t)(values[3].ptr - body),
                                   .data_len = (uint32_t)values[3].len,
                                   .id_len = (uint16_t)read[0].len,
                                   .origin_len = (uint16_t)read[1].len,
                                   .fragment_len = (uint16_t)read[2].len};
    return true;
}

bool fragment_lines_read(struct fragment_lines *lines, char *body, size_t len, struct err *err)
{
    if (len > UINT32_MAX)
        return err_set(err, ERR_LIMIT, "more than 4 GiB of fragments at once");
    size_t number = 1;
    for (size_t at = 0; at < len; number++) {
        const char *end = memchr(body + at, '\n', len - at);
        size_t line_len = end ? (size_t)(end - (body + at)) : len - at;
        struct str line = {body + at, line_len};
        at += line_len + 1;
        if (str_trim(line).len == 0)
            continue;
        if (lines->count == lines->cap) {
            lines->cap = lines->cap ? 2 * lines->cap : SLICES_FIRST;
            lines->slices = xrealloc(lines->slices, lines->cap * sizeof *lines->slices);
        }
        if (!read_line(body, line, &lines->slices[lines->count], err))
            return err_add(err, "line %zu", number);
        lines->count++;
    }
    return true;
}

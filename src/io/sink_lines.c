/* sink_lines.c: see sink_lines.h. */
#include "io/sink_lines.h"

#include "io/csv_row.h"

#include <string.h>

static int64_t count_ends(struct str text)
{
    int64_t count = 0;
    for (const char *end = NULL; text.len && (end = memchr(text.ptr, '\n', text.len)); count++) {
        text.len -= (size_t)(end + 1 - text.ptr);
        text.ptr = end + 1;
    }
    return count;
}

bool sink_lines_count(struct source_bytes *b, bool csv, int64_t *lines, struct err *err)
{
    struct csv_count rows = {.rows = 0};
    int64_t count = 0;
    char last = '\n';
    for (bool ended = false; !ended;) {
        if (!source_bytes_fill(b, &ended, err))
            return false;
        struct str text = {source_bytes_at(b), source_bytes_left(b)};
        if (csv)
            csv_count_add(&rows, text);
        else
            count += count_ends(text);
        last = text.len ? text.ptr[text.len - 1] : last;
        source_bytes_pass(b, text.len);
    }
    *lines = csv ? csv_count_end(&rows) : count + (last != '\n');
    return true;
}

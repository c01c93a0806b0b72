/* CSV outputs: whatever JSON a worker sends, what is accepted becomes one row each, of the same
 * number of cells; what is refused changes nothing. The input is lines, each a result. */
#include "base/json.h"
#include "fuzz.h"
#include "io/csv_row.h"
#include "io/sink_rows.h"

/* Cells in each row of the text; returns how many rows there are. */
static int64_t look_at_rows(struct str text, size_t width)
{
    struct csv_cells cells = {0};
    int64_t rows = 0;
    while (text.len) {
        struct csv_scan scan;
        struct str cell;
        size_t used, count = 0;
        csv_scan_init(&scan);
        HOLDS(csv_scan(&scan, text, &used));
        HOLDS(!scan.blank);
        HOLDS(scan.cells == (int64_t)width);
        csv_cells_open(&cells, (struct str){text.ptr, used - 1});
        while (csv_cells_next(&cells, &cell))
            count++;
        HOLDS(count == width);
        text.ptr += used;
        text.len -= used;
        rows++;
    }
    csv_cells_release(&cells);
    return rows;
}

static size_t width_of(struct sink_rows *rows)
{
    struct json j;
    struct str unused;
    size_t width = 0;
    const char *columns = sink_rows_columns(rows);
    if (!columns)
        return 0;
    json_open(&j, str_of(columns));
    HOLDS(json_enter(&j, '['));
    while (json_item(&j) && json_value(&j, &unused))
        width++;
    HOLDS(json_end(&j) && width > 0);
    return width;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err;
    struct str text = {(const char *)data, size};
    OWNED(sink_rows) struct sink_rows *rows = sink_rows_new(NULL, &err);
    int64_t accepted = 0;
    while (text.len) {
        const char *end = memchr(text.ptr, '\n', text.len);
        struct str line = {text.ptr, end ? (size_t)(end - text.ptr) : text.len};
        text.ptr += line.len + (end != NULL);
        text.len -= line.len + (end != NULL);
        if (!json_check(line, NULL, NULL))
            continue;
        size_t before = sink_rows_group(rows).len;
        if (sink_rows_add(rows, line, &err))
            accepted++;
        else
            HOLDS(sink_rows_group(rows).len == before);
    }
    size_t width = width_of(rows);
    HOLDS(look_at_rows(sink_rows_group(rows), width) == accepted);
    struct str header = sink_rows_header(rows);
    HOLDS(look_at_rows(header, width) == (header.len ? 1 : 0));
    OWNED_MEM char *columns = width ? xstrdup(sink_rows_columns(rows)) : NULL;
    HOLDS(sink_rows_restore(rows, columns, &err));
    HOLDS(width_of(rows) == width);
    HOLDS(!columns || strcmp(columns, sink_rows_columns(rows)) == 0);
    return 0;
}

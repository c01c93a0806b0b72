/* fragments.c: reading fragments, a portion an op, and the list of datasets. What changes them is
 * in store_op.c. */
#include "base/json.h"
#include "engine/engine_state.h"

#include <stdlib.h>

/* What is read in one go: some milliseconds. */
enum { PORTION_BYTES = 256 << 10, PORTION_IDS = 2000 };

void fragment_op_init(struct op *op)
{
    if (op->kind == OP_FRAGMENTS_READ) {
        buf_init(&op->fragments_read.lines, BUF_NO_CAP);
        buf_init(&op->fragments_read.last, BUF_NO_CAP);
        fragment_place_init(&op->fragments_read.place);
    }
    if (op->kind == OP_FRAGMENTS_DELETE)
        fragment_place_init(&op->fragments_delete.place);
}

void fragment_op_release(struct op *op)
{
    switch (op->kind) {
    case OP_FRAGMENTS_READ:
        buf_release(&op->fragments_read.lines);
        buf_release(&op->fragments_read.last);
        fragment_place_release(&op->fragments_read.place);
        break;
    case OP_FRAGMENTS_DELETE:
        fragment_place_release(&op->fragments_delete.place);
        break;
    case OP_DATASETS:
        for (size_t i = 0; i < op->datasets.count; i++)
            free(op->datasets.views[i].name);
        free(op->datasets.views);
        break;
    default:
        break;
    }
}

/* Adds a line, or, when the portion is full, notes where the next one begins. */
static bool add_line(void *context, const struct fragment_row *row)
{
    struct op_fragments_read *read = context;
    if (read->lines.len >= PORTION_BYTES) {
        fragment_place_set(&read->place, row->id, row->origin, row->fragment);
        read->more = true;
        return false;
    }
    struct json_out o;
    json_out_init(&o, &read->lines);
    json_out_open(&o, '[');
    json_out_str(&o, row->id);
    json_out_str(&o, row->origin);
    json_out_str(&o, row->fragment);
    json_out_raw(&o, row->data);
    json_out_close(&o, ']');
    buf_add_char(&read->lines, '\n');
    return true;
}

static bool read_ids(struct tx *tx, int64_t dataset, struct op_fragments_read *read,
                     struct err *err)
{
    for (int looked = 0; read->at < read->id_count; read->at++, looked++) {
        struct str id = read->ids[read->at];
        bool goes_on = read->begun && str_eq(buf_str(&read->place.id), id);
        struct str origin = goes_on ? buf_str(&read->place.origin) : STR("");
        struct str fragment = goes_on ? buf_str(&read->place.fragment) : STR("");
        read->more = looked == PORTION_IDS;
        if (read->more)
            break;
        if (!fragment_store_of_id(tx, dataset, id, origin, fragment, add_line, read, err))
            return false;
        if (read->more)
            break;
    }
    return true;
}

/* The first and the last id of the range, and whether one follows. */
static bool bound_range(struct tx *tx, int64_t dataset, struct op_fragments_read *read, bool *empty,
                        struct err *err)
{
    OWNED_BUF struct buf next;
    buf_init(&next, BUF_NO_CAP);
    bool found = true;
    buf_add_str(&next, read->after);
    for (int64_t i = 0; i <= read->limit && found; i++) {
        if (!fragment_store_next_id(tx, dataset, buf_str(&next), &next, &found, err))
            return false;
        if (i == read->limit) {
            read->has_next = found;
        } else if (found) {
            if (i == 0)
                fragment_place_set(&read->place, buf_str(&next), STR(""), STR(""));
            read->last.len = 0;
            buf_add_str(&read->last, buf_str(&next));
        }
    }
    *empty = read->last.len == 0;
    return true;
}

static bool read_range(struct tx *tx, int64_t dataset, struct op_fragments_read *read,
                       struct err *err)
{
    bool empty = false;
    if (!read->begun && !bound_range(tx, dataset, read, &empty, err))
        return false;
    if (empty)
        return true;
    OWNED_BUF struct buf from;
    OWNED_BUF struct buf origin;
    OWNED_BUF struct buf fragment;
    buf_init(&from, BUF_NO_CAP);
    buf_init(&origin, BUF_NO_CAP);
    buf_init(&fragment, BUF_NO_CAP);
    buf_add_str(&from, buf_str(&read->place.id));
    buf_add_str(&origin, buf_str(&read->place.origin));
    buf_add_str(&fragment, buf_str(&read->place.fragment));
    return fragment_store_range(tx, dataset, buf_str(&from), buf_str(&origin), buf_str(&fragment),
                                buf_str(&read->last), add_line, read, err);
}

static bool read_portion(struct engine *e, struct op_fragments_read *read, struct err *err)
{
    OWNED(tx) struct tx *tx = NULL;
    int64_t dataset = 0;
    if (!tx_begin(e->store, &tx, err) || !dataset_store_find(tx, read->dataset, &dataset, err))
        return false;
    if (!dataset)
        return err_set(err, ERR_NOT_FOUND, "there is no dataset of that name");
    read->lines.len = 0;
    read->more = false;
    if (!(read->ids ? read_ids(tx, dataset, read, err) : read_range(tx, dataset, read, err)))
        return false;
    read->begun = true;
    return !read->lines.full || err_set(err, ERR_BUSY, "memory is out");
}

enum op_fate op_fragments_read(struct engine *e, struct op *op)
{
    if (!read_portion(e, &op->fragments_read, &op->err))
        (void)err_add(&op->err, "fragments");
    return FATE_NOW;
}

/* --- datasets --- */

static void add_view(void *context, const struct dataset_row *row)
{
    struct op_datasets *all = context;
    if ((int64_t)all->count == all->limit) {
        all->more = true;
        return;
    }
    all->views = xrealloc(all->views, (all->count + 1) * sizeof *all->views);
    all->views[all->count++] = (struct dataset_view){.name = xstrndup(row->name.ptr, row->name.len),
                                                     .fragments = row->fragments,
                                                     .created_at_us = row->created_at_us,
                                                     .updated_at_us = row->updated_at_us};
}

static bool list_datasets(struct engine *e, struct op_datasets *all, struct err *err)
{
    OWNED(tx) struct tx *tx = NULL;
    return tx_begin(e->store, &tx, err) &&
           dataset_store_list(tx, all->after, all->limit + 1, add_view, all, err);
}

enum op_fate op_datasets(struct engine *e, struct op *op)
{
    if (!list_datasets(e, &op->datasets, &op->err))
        (void)err_add(&op->err, "datasets");
    return FATE_NOW;
}

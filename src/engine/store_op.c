/* store_op.c: ops that do nothing but change rows of the store: fragments, blobs, ticks,
 * logs.
 *
 * They wait in a queue. Each group takes the next portions of some of them along in its
 * transaction, up to a size that is written in a few milliseconds, and what is left of an op goes
 * behind the others: nobody waits long for somebody's hundred thousand fragments. An op is answered
 * when its last portion is durable, or with the error of the group that failed. What it points to
 * is its poster's and stays as it is until then, so that nothing needs to be copied. */
#include "engine/engine_state.h"
#include "store/blob_store.h"
#include "store/schedule_store.h"

#include <stdlib.h>

enum {
    GROUP_BYTES = 1 << 20,   /* of one group */
    SHARE_BYTES = 256 << 10, /* of one op in it, */
    SHARE_ROWS = 2000,       /* and so many rows */
    ROW_BYTES = 100          /* what a row costs beside its data */
};

/* --- the next portion of each kind: how many bytes it has. The engine's thread. --- */

static size_t put_portion(struct op *op)
{
    struct op_fragments_put *put = &op->fragments_put;
    size_t bytes = 0;
    put->portion = 0;
    while (put->stored + put->portion < put->count && put->portion < SHARE_ROWS &&
           bytes < SHARE_BYTES)
        bytes += ROW_BYTES + put->slices[put->stored + put->portion++].data_len;
    return bytes;
}

static size_t delete_portion(struct op *op)
{
    struct op_fragments_delete *gone = &op->fragments_delete;
    if (!gone->begun)
        fragment_place_set(&gone->place, gone->id, STR(""), STR(""));
    gone->begun = true;
    gone->portion = SHARE_ROWS;
    return SHARE_ROWS * ROW_BYTES;
}

static size_t row_portion(struct op *op)
{
    (void)op;
    return ROW_BYTES;
}

static size_t value_portion(struct op *op)
{
    return ROW_BYTES + op->flow_put.value.len;
}

static size_t report_portion(struct op *op)
{
    const struct op_step_report *report = &op->step_report;
    size_t bytes = ROW_BYTES + report->metrics.len;
    for (size_t i = 0; i < report->count; i++)
        bytes += ROW_BYTES + report->lines[i].message.len;
    return bytes;
}

/* --- storing it: the committer's thread. What an op alone has done wrong goes into its err. --- */

static struct str slice(const struct op_fragments_put *put, uint32_t at, uint32_t len)
{
    return (struct str){put->bytes + at, len};
}

static bool store_put(struct tx *tx, struct op *op, int64_t now_us, struct err *err)
{
    const struct op_fragments_put *put = &op->fragments_put;
    struct fragment_row rows[SHARE_ROWS];
    int64_t dataset = 0, added = 0;
    for (size_t i = 0; i < put->portion; i++) {
        const struct fragment_slice *s = &put->slices[put->stored + i];
        rows[i] = (struct fragment_row){.id = slice(put, s->id_at, s->id_len),
                                        .origin = slice(put, s->origin_at, s->origin_len),
                                        .fragment = slice(put, s->fragment_at, s->fragment_len),
                                        .data = slice(put, s->data_at, s->data_len)};
    }
    return dataset_store_need(tx, put->dataset, now_us, &dataset, err) &&
           fragment_store_put(tx, dataset, rows, put->portion, now_us, &added, err) &&
           dataset_store_count(tx, dataset, added, now_us, err);
}

static bool store_delete(struct tx *tx, struct op *op, int64_t now_us, struct err *err)
{
    struct op_fragments_delete *gone = &op->fragments_delete;
    int64_t dataset = 0, deleted = 0;
    if (!dataset_store_find(tx, gone->dataset, &dataset, err))
        return false;
    gone->more = false;
    if (!dataset) {
        err_set(&op->err, ERR_NOT_FOUND, "there is no dataset of that name");
        return true;
    }
    if (!fragment_store_delete(tx, dataset, gone->id, gone->origin, &gone->place, gone->portion,
                               &deleted, &gone->more, err))
        return false;
    gone->deleted += deleted;
    return dataset_store_count(tx, dataset, -deleted, now_us, err) &&
           (gone->more || dataset_store_forget(tx, dataset, err));
}

static bool store_note(struct tx *tx, struct op *op, int64_t now_us, struct err *err)
{
    return blob_store_note(tx, op->blob_note.hash.bytes, op->blob_note.bytes, op->blob_note.kept,
                           now_us, err);
}

static bool store_tick(struct tx *tx, struct op *op, int64_t now_us, struct err *err)
{
    const struct op_schedule_tick *tick = &op->schedule_tick;
    (void)now_us;
    return schedule_store_tick(tx, tick->name, tick->at_us, tick->task_id, err);
}

/* --- and after the commit: whether something is left. The engine's thread. --- */

static bool put_goes_on(struct op *op)
{
    op->fragments_put.stored += op->fragments_put.portion;
    return op->fragments_put.stored < op->fragments_put.count;
}

static bool delete_goes_on(struct op *op)
{
    return op->fragments_delete.more;
}

static bool row_goes_on(struct op *op)
{
    (void)op;
    return false;
}

static const struct store_verb {
    enum op_kind kind;
    size_t (*portion)(struct op *op);
    bool (*store)(struct tx *tx, struct op *op, int64_t now_us, struct err *err);
    bool (*goes_on)(struct op *op);
} verbs[] = {
    {OP_FRAGMENTS_PUT, put_portion, store_put, put_goes_on},
    {OP_FRAGMENTS_DELETE, delete_portion, store_delete, delete_goes_on},
    {OP_BLOB_NOTE, row_portion, store_note, row_goes_on},
    {OP_SCHEDULE_TICK, row_portion, store_tick, row_goes_on},
    {OP_FLOW_PUT, value_portion, flow_put_store, row_goes_on},
    {OP_STEP_REPORT, report_portion, step_report_store, row_goes_on},
};

static const struct store_verb *verb_of(const struct op *op)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (verbs[i].kind == op->kind)
            return &verbs[i];
    abort(); /* it stores nothing: our mistake */
}

enum op_fate op_store(struct engine *e, struct op *op)
{
    if (op->kind == OP_BLOB_NOTE)
        blobs_stir(e);
    list_add(&e->store_ops, op);
    return FATE_WAITS;
}

void store_ops_build(struct engine *e)
{
    struct group *g = &e->building;
    size_t bytes = 0, taken = 0;
    while (taken < e->store_ops.count && bytes < GROUP_BYTES) {
        struct op *op = e->store_ops.items[taken++];
        bytes += verb_of(op)->portion(op);
        list_add(&g->stores, op);
    }
    g->stores_at_us = e->now.wall_us;
    if (taken == 0)
        return;
    e->store_ops.count -= taken;
    memmove(e->store_ops.items, e->store_ops.items + taken,
            e->store_ops.count * sizeof *e->store_ops.items);
}

bool store_ops_write(struct tx *tx, const struct group *g, struct err *err)
{
    for (size_t i = 0; i < g->stores.count; i++) {
        struct op *op = g->stores.items[i];
        if (!verb_of(op)->store(tx, op, g->stores_at_us, err))
            return false;
    }
    return true;
}

void store_ops_finish(struct engine *e, const struct group *g)
{
    for (size_t i = 0; i < g->stores.count; i++) {
        struct op *op = g->stores.items[i];
        if (g->err.code != ERR_NONE)
            op->err = g->err;
        if (op->err.code == ERR_NONE && verb_of(op)->goes_on(op))
            list_add(&e->store_ops, op);
        else
            op->done(op);
    }
}

void store_ops_end(struct engine *e, const struct err *why)
{
    for (size_t i = 0; i < e->building.stores.count; i++)
        list_add(&e->store_ops, e->building.stores.items[i]);
    e->building.stores.count = 0;
    for (size_t i = 0; i < e->store_ops.count; i++) {
        struct op *op = e->store_ops.items[i];
        op->err = *why;
        op->done(op);
    }
    e->store_ops.count = 0;
}

/* flow_context.c: the values that a flow's Workers share. They are rows: a change rides in a
 * group's transaction (store_op.c), where it is seen whether it may be. */
#include "engine/engine_state.h"

#include "store/flow_context_store.h"

#include <inttypes.h>
#include <stdlib.h>

/* Protocol 2: the opcode of a UTF-8 text with four bytes of length, lowest first. */
void flow_pickle_text(struct str text, struct buf *out)
{
    buf_add(out, "\x80\x02X", 3);
    for (int shift = 0; shift < 32; shift += 8)
        buf_add_char(out, (char)(unsigned char)(text.len >> shift));
    buf_add_str(out, text);
    buf_add_char(out, '.');
}

static bool check_key(struct str key, struct err *err)
{
    bool fine = key.len > 0 && key.len <= FLOW_KEY_MAX_BYTES && str_is_utf8(key);
    return fine ||
           err_set(err, ERR_INVALID, "a key has 1 to %d bytes of UTF-8", FLOW_KEY_MAX_BYTES);
}

enum op_fate op_flow_put(struct engine *e, struct op *op)
{
    struct op_flow_put *put = &op->flow_put;
    const struct flow_job *flow = tasks_are_ready(e, op, true) ? flow_find(e, op) : NULL;
    if (!flow || !check_key(put->key, &op->err))
        return FATE_NOW;
    put->flow = flow->row.id;
    blobs_stir(e);
    return op_store(e, op);
}

static void refuse_version(struct op *op)
{
    op_refuse(op, REFUSED_VERSION, ERR_CONFLICT, "key %.*s has another version by now",
              op->flow_put.key.len > 100 ? 100 : (int)op->flow_put.key.len, op->flow_put.key.ptr);
}

static bool store_gone(struct tx *tx, struct op *op, int64_t now_us, struct err *err)
{
    const struct op_flow_put *put = &op->flow_put;
    bool found = false, done = false;
    if (!flow_context_store_delete(tx, put->flow, put->key, put->only_if, now_us, &found, &done,
                                   err))
        return false;
    if (!found)
        op_refuse(op, REFUSED_OTHERWISE, ERR_NOT_FOUND, "there is no key %.*s",
                  put->key.len > 100 ? 100 : (int)put->key.len, put->key.ptr);
    else if (!done)
        refuse_version(op);
    return true;
}

bool flow_put_store(struct tx *tx, struct op *op, int64_t now_us, struct err *err)
{
    struct op_flow_put *put = &op->flow_put;
    bool found = false, done = false;
    /* It may have been deleted since the op came. */
    if (!flow_store_exists(tx, put->flow, &found, err))
        return false;
    if (!found) {
        op_refuse(op, REFUSED_FLOW_UNKNOWN, ERR_NOT_FOUND, "there is no flow %" PRId64, put->flow);
        return true;
    }
    if (put->gone)
        return store_gone(tx, op, now_us, err);
    struct flow_context_row row = {.key = put->key, .bytes = put->bytes, .value = put->value};
    memcpy(row.hash, put->hash.bytes, sizeof row.hash);
    if (!flow_context_store_put(tx, put->flow, &row, put->only_if, now_us, &done, &put->version,
                                err))
        return false;
    if (!done)
        refuse_version(op);
    return true;
}

/* --- reading --- */

static bool take_value(void *context, const struct flow_context_row *row, struct err *err)
{
    struct op_flow_get *get = context;
    (void)err;
    get->version = row->version;
    get->bytes = row->bytes;
    get->in_blob = !row->value.ptr;
    memcpy(get->hash.bytes, row->hash, sizeof row->hash);
    buf_add_str(&get->value, row->value);
    return true;
}

static bool take_key(void *context, const struct flow_context_row *row, struct err *err)
{
    struct op_flow_get *get = context;
    (void)err;
    get->values = xrealloc(get->values, (get->count + 1) * sizeof *get->values);
    get->values[get->count++] = (struct flow_value_view){
        .key = xstrndup(row->key.ptr, row->key.len), .version = row->version, .bytes = row->bytes};
    return true;
}

enum op_fate op_flow_get(struct engine *e, struct op *op)
{
    struct op_flow_get *get = &op->flow_get;
    bool found = false;
    const struct flow_job *flow = tasks_are_ready(e, op, false) ? flow_find(e, op) : NULL;
    OWNED(tx) struct tx *tx = NULL;
    if (!flow || !tx_begin(e->store, &tx, &op->err))
        return FATE_NOW;
    if (get->key.len == 0) {
        (void)!flow_context_store_list(tx, flow->row.id, take_key, get,
                                       &op->err); /* or its error */
        return FATE_NOW;
    }
    if (!flow_context_store_get(tx, flow->row.id, get->key, &found, take_value, get, &op->err))
        return FATE_NOW;
    if (!found)
        return op_refuse(op, REFUSED_OTHERWISE, ERR_NOT_FOUND, "there is no key %.*s",
                         get->key.len > 100 ? 100 : (int)get->key.len, get->key.ptr);
    return FATE_NOW;
}

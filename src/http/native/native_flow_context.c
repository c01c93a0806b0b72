/* native_flow_context.c: the values that a flow's Workers share (native.h). Bytes as they are: up
 * to 64 KiB they go with the op into the row, what is larger goes to a blob as it comes, and from
 * it. */
#include "base/log.h"
#include "base/parse.h"
#include "engine/engine.h"
#include "http/native/native.h"
#include "http/native/native_flow.h"
#include "http/problems.h"
#include "store/flow_context_store.h"

#include <stdio.h>
#include <stdlib.h>

static struct op *context_op(struct request *req, enum op_kind kind, struct err *err)
{
    struct job_ref ref;
    if (!native_flow_ref(req, &ref, err))
        return NULL;
    struct op *op = request_op(req, kind);
    op->job = ref;
    return op;
}

/* --- versions --- */

static void version_text(int64_t version, char out[32])
{
    snprintf(out, 32, "\"%lld\"", (long long)version);
}

/* If-Match with a version, quoted or not; If-None-Match with *. */
static bool read_condition(struct request *req, int64_t *only_if, struct err *err)
{
    const char *match = request_header(req, "If-Match"),
               *none = request_header(req, "If-None-Match");
    struct err ignored;
    *only_if = -1;
    if (none && !str_is(str_trim(str_of(none)), "*"))
        return err_set(err, ERR_INVALID, "If-None-Match: expected *");
    if (none && match)
        return err_set(err, ERR_INVALID, "If-Match: goes without If-None-Match");
    if (none)
        *only_if = 0;
    if (!match)
        return true;
    struct str text = str_trim(str_of(match));
    if (text.len >= 2 && text.ptr[0] == '"' && text.ptr[text.len - 1] == '"')
        text = (struct str){text.ptr + 1, text.len - 2};
    return parse_i64(text, 1, INT64_MAX, only_if, &ignored) ||
           err_set(err, ERR_INVALID, "If-Match: expected a version, not %.40s", match);
}

/* Somebody was quicker: 412, which no code of ours means. */
static bool refuse_version(const struct op *op, struct reply *reply, struct err *err)
{
    if (op->refusal != REFUSED_VERSION) {
        *err = op->err;
        return false;
    }
    problem_reply_named("version", "The value has another version", 412, op->err.text, reply);
    return true;
}

/* --- putting --- */

/* A value on its way in. */
struct incoming {
    struct job_ref flow;
    struct str key;
    int64_t only_if;
    struct buf first; /* its bytes, as long as there are few */
    struct blob_writer *writer;
    struct blob_pin *pin;
};

static void incoming_end(void *thing)
{
    struct incoming *v = thing;
    blob_writer_free(v->writer);
    blob_pin_free(v->pin, false);
    buf_release(&v->first);
}

static bool incoming_take(struct request *req, struct str piece, struct err *err)
{
    struct incoming *v = request_state(req);
    if (!v->writer && v->first.len + piece.len <= FLOW_CONTEXT_ROW_BYTES) {
        buf_add_str(&v->first, piece);
        return !v->first.full || err_set(err, ERR_BUSY, "memory is out");
    }
    if (!v->writer) {
        if (!blob_begin(engine_blobs(request_engine(req)), &v->writer, err) ||
            !blob_write(v->writer, buf_str(&v->first), err))
            return false;
        buf_release(&v->first);
        buf_init(&v->first, FLOW_CONTEXT_ROW_BYTES);
    }
    return blob_write(v->writer, piece, err);
}

static bool finish_put(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    struct incoming *v = request_state(req);
    char version[32];
    if (op->err.code != ERR_NONE)
        return refuse_version(op, reply, err);
    blob_pin_free(TAKE(v->pin), true);
    version_text(op->flow_put.version, version);
    reply_header(reply, "ETag", version);
    OWNED_BUF struct buf b;
    struct json_out o;
    native_reply_begin(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, "version");
    json_out_i64(&o, op->flow_put.version);
    json_out_close(&o, '}');
    return native_reply_end(reply, &b, err);
}

static bool ask_put(struct request *req)
{
    struct incoming *v = request_state(req);
    struct op *op = request_op(req, OP_FLOW_PUT);
    struct op_flow_put *put = &op->flow_put;
    op->job = v->flow;
    put->key = v->key;
    put->only_if = v->only_if;
    if (v->pin) {
        put->hash = *blob_pin_hash(v->pin);
        put->bytes = blob_pin_bytes(v->pin);
    } else {
        put->value = v->first.len ? buf_str(&v->first) : STR("");
        put->bytes = (int64_t)v->first.len;
    }
    return request_ask(req, finish_put);
}

/* A helper's thread. */
static bool incoming_finish(struct request *req, struct err *err)
{
    struct incoming *v = request_state(req);
    return blob_finish(v->writer, NULL, &v->pin, err);
}

static bool incoming_synced(struct request *req, struct op *finished, struct reply *reply,
                            struct err *err)
{
    (void)finished, (void)reply, (void)err;
    return ask_put(req);
}

static bool incoming_whole(struct request *req, struct reply *reply, struct err *err)
{
    const struct incoming *v = request_state(req);
    (void)reply, (void)err;
    if (!v->writer)
        return ask_put(req);
    (void)request_op(req, OP_FLOW_PUT);
    return request_hand_over(req, incoming_finish, incoming_synced);
}

bool native_context_put(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    struct incoming *v = request_alloc(req, sizeof *v);
    if (!v)
        return err_set(err, ERR_BUSY, "memory is out");
    buf_init(&v->first, FLOW_CONTEXT_ROW_BYTES);
    request_own(req, v, incoming_end);
    request_set_state(req, v);
    v->key = request_path_param(req, "key");
    return native_flow_ref(req, &v->flow, err) && read_condition(req, &v->only_if, err) &&
           request_take_body(req, incoming_take, incoming_whole);
}

/* --- deleting --- */

static bool finish_deleted(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req;
    if (op->err.code != ERR_NONE)
        return refuse_version(op, reply, err);
    reply_status(reply, 204);
    return true;
}

bool native_context_delete(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    struct op *op = context_op(req, OP_FLOW_PUT, err);
    if (!op || !read_condition(req, &op->flow_put.only_if, err))
        return false;
    op->flow_put.gone = true;
    op->flow_put.key = request_path_param(req, "key");
    return request_ask(req, finish_deleted);
}

/* --- reading --- */

static ssize_t download_take(void *reader, char *out, size_t max)
{
    struct err err;
    size_t got = 0;
    if (blob_read(reader, out, max, &got, &err))
        return got ? (ssize_t)got : -1;
    LOG1(LOG_ERROR, "blob.not-read", "reason", "%s", err.text);
    return -2;
}

static void download_end(void *reader)
{
    blob_reader_free(reader);
}

static bool send_blob(struct request *req, const struct op_flow_get *get, struct reply *reply,
                      struct err *err)
{
    const struct blobs *blobs = engine_blobs(request_engine(req));
    OWNED(blob_reader) struct blob_reader *r = NULL;
    if (!blob_open(blobs, &get->hash, &r, err))
        return false;
    int64_t bytes = blob_reader_bytes(r);
    reply_stream_whole(reply, bytes, download_take, download_end, TAKE(r));
    return true;
}

static bool finish_got(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    struct op_flow_get *get = &op->flow_get;
    char version[32];
    if (get->in_blob && !send_blob(req, get, reply, err))
        return false;
    version_text(get->version, version);
    /* Whatever it holds, a browser is not to run it. */
    reply_content_type(reply, "application/octet-stream");
    reply_header(reply, "ETag", version);
    reply_header(reply, "X-Content-Type-Options", "nosniff");
    reply_header(reply, "Content-Disposition", "attachment");
    if (!get->in_blob)
        reply_add_buf(reply, &get->value);
    return true;
}

bool native_context_get(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    struct op *op = context_op(req, OP_FLOW_GET, err);
    if (!op)
        return false;
    op->flow_get.key = request_path_param(req, "key");
    return request_call(req, finish_got);
}

static bool finish_listed(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    const struct op_flow_get *get = &op->flow_get;
    (void)req;
    OWNED_BUF struct buf b;
    struct json_out o;
    buf_init(&b, BUF_NO_CAP);
    json_out_init(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, "keys");
    json_out_open(&o, '[');
    for (size_t i = 0; i < get->count; i++) {
        json_out_open(&o, '{');
        json_out_name(&o, "key");
        json_out_text(&o, get->values[i].key);
        json_out_name(&o, "version");
        json_out_i64(&o, get->values[i].version);
        json_out_name(&o, "bytes");
        json_out_i64(&o, get->values[i].bytes);
        json_out_close(&o, '}');
    }
    json_out_close(&o, ']');
    json_out_close(&o, '}');
    return native_reply_end(reply, &b, err);
}

bool native_context_list(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return context_op(req, OP_FLOW_GET, err) && request_call(req, finish_listed);
}

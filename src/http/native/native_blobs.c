/* native_blobs.c: blobs up and down (native.h). Bytes go between the connection and the file by
 * themselves; the engine is asked to note one that has come, and to forget one. */
#include "base/log.h"
#include "engine/engine.h"
#include "http/native/native.h"
#include "http/native/native_body.h"

#include <stdio.h>

/* Up to here a blob is read whole and verified before a byte of it is sent. */
enum { AT_ONCE_BYTES = 64 << 10 };

/* --- up --- */

/* A blob on its way in. */
struct upload {
    struct blob_writer *writer;
    struct blob_pin *pin; /* from the end of the bytes on */
    int64_t keep;         /* whether it stays until it is deleted */
    bool has_want;        /* the client has said what it must be: */
    struct blob_hash want;
};

static void upload_end(void *thing)
{
    struct upload *u = thing;
    blob_writer_free(u->writer);
    blob_pin_free(u->pin, false);
}

static bool upload_take(struct request *req, struct str piece, struct err *err)
{
    struct upload *u = request_state(req);
    return blob_write(u->writer, piece, err);
}

static bool finish_put(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    struct upload *u = request_state(req);
    char name[BLOB_NAME_SIZE], place[sizeof "/v1/blobs/" + BLOB_NAME_SIZE];
    OWNED_BUF struct buf b;
    struct json_out o;
    blob_pin_free(TAKE(u->pin), true);
    blob_name(&op->blob_note.hash, name);
    snprintf(place, sizeof place, "/v1/blobs/%s", name);
    native_reply_begin(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, "sha256");
    json_out_text(&o, name);
    json_out_name(&o, "bytes");
    json_out_i64(&o, op->blob_note.bytes);
    json_out_close(&o, '}');
    reply_status(reply, 201);
    reply_header(reply, "Location", place);
    return native_reply_end(reply, &b, err);
}

/* A helper's thread. */
static bool upload_finish(struct request *req, struct err *err)
{
    struct upload *u = request_state(req);
    return blob_finish(u->writer, u->has_want ? &u->want : NULL, &u->pin, err);
}

static bool upload_note(struct request *req, struct op *finished, struct reply *reply,
                        struct err *err)
{
    const struct upload *u = request_state(req);
    (void)finished, (void)reply, (void)err;
    struct op *op = request_op(req, OP_BLOB_NOTE);
    op->blob_note.hash = *blob_pin_hash(u->pin);
    op->blob_note.bytes = blob_pin_bytes(u->pin);
    op->blob_note.kept = u->keep != 0;
    return request_call(req, finish_put);
}

static bool upload_whole(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply, (void)err;
    (void)request_op(req, OP_BLOB_NOTE);
    return request_hand_over(req, upload_finish, upload_note);
}

bool native_blob_put(struct request *req, struct reply *reply, struct err *err)
{
    char *want = NULL;
    (void)reply;
    struct upload *u = request_alloc(req, sizeof *u);
    if (!u)
        return err_set(err, ERR_BUSY, "memory is out");
    const struct member members[] = {
        {.name = "sha256", .type = MEMBER_TEXT, .out = &want},
        {.name = "keep", .type = MEMBER_I64, .max = 1, .out = &u->keep},
    };
    if (!native_query_read(req, members, sizeof members / sizeof *members, err) ||
        (want && !blob_name_read(str_of(want), &u->want, err)))
        return false;
    u->has_want = want != NULL;
    request_own(req, u, upload_end);
    request_set_state(req, u);
    return blob_begin(engine_blobs(request_engine(req)), &u->writer, err) &&
           request_take_body(req, upload_take, upload_whole);
}

/* --- down --- */

static bool hash_in_path(const struct request *req, struct blob_hash *hash, struct err *err)
{
    return blob_name_read(request_path_param(req, "sha256"), hash, err);
}

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

static bool send_at_once(const struct blobs *blobs, const struct blob_hash *hash,
                         struct reply *reply, struct err *err)
{
    OWNED_BUF struct buf b;
    buf_init(&b, AT_ONCE_BYTES);
    if (!blob_load(blobs, hash, &b, err)) {
        LOG1(LOG_ERROR, "blob.not-read", "reason", "%s", err->text);
        return false;
    }
    reply_add_buf(reply, &b);
    return true;
}

bool native_blob_get(struct request *req, struct reply *reply, struct err *err)
{
    const struct blobs *blobs = engine_blobs(request_engine(req));
    struct blob_hash hash;
    OWNED(blob_reader) struct blob_reader *r = NULL;
    if (!hash_in_path(req, &hash, err) || !blob_open(blobs, &hash, &r, err))
        return false;
    int64_t bytes = blob_reader_bytes(r);
    bool at_once = bytes <= AT_ONCE_BYTES && str_is(request_method(req), "GET");
    if (at_once && !send_at_once(blobs, &hash, reply, err))
        return false;
    /* Whatever it holds, a browser is not to run it. */
    reply_content_type(reply, "application/octet-stream");
    reply_header(reply, "X-Content-Type-Options", "nosniff");
    reply_header(reply, "Content-Disposition", "attachment");
    if (!at_once)
        reply_stream_whole(reply, bytes, download_take, download_end, TAKE(r));
    return true;
}

/* --- away --- */

static bool finish_deleted(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req, (void)op, (void)err;
    reply_status(reply, 204);
    return true;
}

bool native_blob_delete(struct request *req, struct reply *reply, struct err *err)
{
    struct blob_hash hash;
    (void)reply;
    if (!hash_in_path(req, &hash, err))
        return false;
    struct op *op = request_op(req, OP_BLOB_FORGET);
    op->blob_forget.hash = hash;
    return request_call(req, finish_deleted);
}

/* native_artifact_bytes.c: the bytes of artifacts, up and down (native.h). They go between the
 * connection and the file by themselves; the engine is asked to make an artifact of what has come,
 * and says which blob one is. */
#include "base/log.h"
#include "base/parse.h"
#include "engine/engine.h"
#include "http/native/native.h"
#include "http/native/step_body.h"
#include "http/native/step_json.h"
#include "http/problems.h"

#include <inttypes.h>
#include <stdio.h>

/* Up to here an artifact is read whole and verified before a byte of it is sent. */
enum { AT_ONCE_BYTES = 64 << 10 };

/* --- up --- */

/* An artifact on its way in. */
struct coming {
    struct blob_writer *writer;
    struct blob_pin *pin; /* from the end of the bytes on */
    struct step_upload_query query;
    struct str media_type;
    int64_t job; /* of an output; 0 */
    struct str slot;
};

static void coming_end(void *thing)
{
    struct coming *c = thing;
    blob_writer_free(c->writer);
    blob_pin_free(c->pin, false);
}

static bool take(struct request *req, struct str piece, struct err *err)
{
    struct coming *c = request_state(req);
    return blob_write(c->writer, piece, err);
}

static bool finish_added(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    struct coming *c = request_state(req);
    OWNED_BUF struct buf b;
    struct json_out o;
    char place[sizeof "/v1/artifacts/" + 20];
    blob_pin_free(TAKE(c->pin), true);
    snprintf(place, sizeof place, "/v1/artifacts/%" PRId64, op->artifact_add.artifact->id);
    native_reply_begin(&o, &b);
    artifact_json_write(&o, op->artifact_add.artifact);
    reply_status(reply, 201);
    reply_header(reply, "Location", place);
    return native_reply_end(reply, &b, err);
}

/* A helper's thread. */
static bool sync_blob(struct request *req, struct err *err)
{
    struct coming *c = request_state(req);
    return blob_finish(c->writer, NULL, &c->pin, err);
}

static bool add(struct request *req, struct op *finished, struct reply *reply, struct err *err)
{
    const struct coming *c = request_state(req);
    (void)finished, (void)reply, (void)err;
    struct op *op = request_op(req, OP_ARTIFACT_ADD);
    struct op_artifact_add *ask = &op->artifact_add;
    request_step_asker(req, &ask->by);
    memcpy(ask->hash, blob_pin_hash(c->pin)->bytes, sizeof ask->hash);
    ask->bytes = blob_pin_bytes(c->pin);
    ask->name = c->query.name;
    ask->media_type = c->media_type;
    ask->comment = c->query.comment;
    ask->folder = c->query.folder;
    ask->tags = c->query.tags;
    ask->tag_count = c->query.tag_count;
    ask->secret = c->query.secret;
    ask->job = c->job;
    ask->fence = c->query.fence;
    ask->slot = -1;
    ask->slot_name = c->slot;
    ask->place = c->query.place;
    return request_call(req, finish_added);
}

static bool whole(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply, (void)err;
    (void)request_op(req, OP_ARTIFACT_ADD);
    return request_hand_over(req, sync_blob, add);
}

static struct coming *coming_new(struct request *req, struct err *err)
{
    struct coming *c = request_alloc(req, sizeof *c);
    if (!c) {
        err_set(err, ERR_BUSY, "memory is out");
        return NULL;
    }
    request_own(req, c, coming_end);
    request_set_state(req, c);
    c->media_type = str_of(request_header(req, "Content-Type"));
    return step_upload_query_read(req, &c->query, err) ? c : NULL;
}

static bool begin(struct request *req, struct coming *c, struct err *err)
{
    return blob_begin(engine_blobs(request_engine(req)), &c->writer, err) &&
           request_take_body(req, take, whole);
}

/* What cannot be right is refused before its bytes come. */
static bool check_named(const struct coming *c, struct err *err)
{
    struct step_tags tags = {NULL, 0};
    char *folder = NULL;
    bool good = artifact_name_check(c->query.name, err) &&
                (!c->media_type.len || artifact_media_type_check(c->media_type, err)) &&
                (!c->query.folder.ptr || step_folder_make(c->query.folder, &folder, err)) &&
                step_tags_make(c->query.tags, c->query.tag_count, &tags, err);
    step_tags_release(&tags);
    mem_drop(&folder);
    return good;
}

bool native_artifact_upload(struct request *req, struct reply *reply, struct err *err)
{
    struct coming *c = coming_new(req, err);
    (void)reply;
    return c && check_named(c, err) && begin(req, c, err);
}

bool native_step_output_put(struct request *req, struct reply *reply, struct err *err)
{
    struct coming *c = coming_new(req, err);
    (void)reply;
    if (!c || !step_path_id(req, "job", &c->job, err))
        return false;
    c->slot = request_path_param(req, "slot");
    if (!c->query.fence)
        return err_set(err, ERR_INVALID, "fence: which run of the job is it?");
    return begin(req, c, err);
}

/* --- down --- */

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

/* What a Range asks for, of so many bytes: one range. False: the header says nothing that is
 * understood, and all is sent. *from beyond the end: there is no such part. */
static bool read_range(const char *header, int64_t bytes, int64_t *from, int64_t *count)
{
    struct err ignored;
    struct str text = str_of(header);
    if (text.len < 6 || memcmp(text.ptr, "bytes=", 6) != 0)
        return false;
    text = (struct str){text.ptr + 6, text.len - 6};
    const char *dash = memchr(text.ptr, '-', text.len);
    if (!dash)
        return false;
    struct str first = {text.ptr, (size_t)(dash - text.ptr)};
    struct str last = {dash + 1, text.len - first.len - 1};
    int64_t begins = 0, ends = bytes - 1;
    if (first.len == 0) {
        if (!parse_i64(last, 0, INT64_MAX, &ends, &ignored))
            return false;
        begins = ends < bytes ? bytes - ends : 0;
        ends = ends ? bytes - 1 : -1;
    } else if (!parse_i64(first, 0, INT64_MAX, &begins, &ignored) ||
               (last.len && !parse_i64(last, begins, INT64_MAX, &ends, &ignored))) {
        return false;
    }
    if (ends >= bytes)
        ends = bytes - 1;
    *from = begins;
    *count = ends >= begins ? ends - begins + 1 : 0;
    return true;
}

static void say_range(struct reply *reply, int64_t from, int64_t count, int64_t bytes)
{
    char range[80];
    snprintf(range, sizeof range, "bytes %" PRId64 "-%" PRId64 "/%" PRId64, from, from + count - 1,
             bytes);
    reply_status(reply, 206);
    reply_header(reply, "Content-Range", range);
}

static bool refuse_range(struct reply *reply, int64_t bytes)
{
    char range[80];
    problem_reply_named("range", "There is no such part", 416, "the range is behind the end",
                        reply);
    snprintf(range, sizeof range, "bytes */%" PRId64, bytes);
    reply_header(reply, "Content-Range", range);
    return true;
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

bool native_artifact_send(struct request *req, const struct artifact *a, struct reply *reply,
                          struct err *err)
{
    const struct blobs *blobs = engine_blobs(request_engine(req));
    const char *header = request_header(req, "Range");
    struct blob_hash hash;
    int64_t from = 0, count = 0;
    OWNED(blob_reader) struct blob_reader *r = NULL;
    memcpy(hash.bytes, a->hash, sizeof hash.bytes);
    if (!blob_open(blobs, &hash, &r, err))
        return false;
    int64_t bytes = count = blob_reader_bytes(r);
    bool part = header && read_range(header, bytes, &from, &count);
    if (part && !count)
        return refuse_range(reply, bytes);
    bool at_once = !part && bytes <= AT_ONCE_BYTES && str_is(request_method(req), "GET");
    if (at_once && !send_at_once(blobs, &hash, reply, err))
        return false;
    char *type = request_strdup(req, str_of(a->media_type));
    reply_content_type(reply, type ? type : "application/octet-stream");
    reply_header(reply, "X-Content-Type-Options", "nosniff");
    reply_header(reply, "Content-Disposition", "attachment");
    reply_header(reply, "Accept-Ranges", "bytes");
    if (part) {
        say_range(reply, from, count, bytes);
        blob_reader_limit(r, from, count);
    }
    if (!at_once)
        reply_stream_whole(reply, count, download_take, download_end, TAKE(r));
    return true;
}

static bool finish_found(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    return native_artifact_send(req, op->artifact_show.artifact, reply, err);
}

bool native_artifact_content(struct request *req, struct reply *reply, struct err *err)
{
    int64_t id = 0;
    (void)reply;
    if (!step_path_id(req, "artifact", &id, err))
        return false;
    struct op *op = request_op(req, OP_ARTIFACT_SHOW);
    request_step_asker(req, &op->artifact_show.by);
    op->artifact_show.id = id;
    return request_call(req, finish_found);
}

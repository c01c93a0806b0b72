/* native_artifact_bytes.c: the bytes of artifacts, up and down (native.h). They go between the
 * connection and the file by themselves; the engine is asked to make an artifact of what has come,
 * and says which blob one is. */
#include "engine/engine.h"
#include "http/artifact_send.h"
#include "http/native/native.h"
#include "http/native/step_body.h"
#include "http/native/step_json.h"

#include <inttypes.h>
#include <stdio.h>

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

static bool finish_found(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    return artifact_send(req, op->artifact_show.artifact, op->artifact_show.artifact->media_type,
                         reply, err);
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

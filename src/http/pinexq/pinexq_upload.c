/* pinexq_upload.c: forms with a file: work data, and manifests of steps (pinexq.h). A file goes to
 * the blobs as it comes, a manifest into memory. What is said of the file comes before it in the
 * form; where it is wrong nothing is stored. */
#include "base/json.h"
#include "engine/engine.h"
#include "http/multipart.h"
#include "http/pinexq/pinexq.h"
#include "http/pinexq/pinexq_body.h"
#include "io/blob.h"

#define FILE_PART "upload-file"
#define PARAMETERS_PART "UploadWorkDataParameters"

enum { PARAMETERS_MAX_BYTES = 4 << 20, MANIFEST_MAX_BYTES = 16 << 20 };

struct upload {
    struct multipart *form;
    bool is_work_data;
    enum { BETWEEN_PARTS, IN_PARAMETERS, IN_FILE } at;
    bool has_parameters, has_file;
    struct buf bytes; /* of the parameters; of a manifest */
    struct blob_writer *writer;
    struct blob_pin *pin; /* from the end of the bytes on */
    struct str name, media_type;
    struct pinexq_texts tags;
    int64_t folder_id; /* 0: the root */
    bool secret;
};

static void upload_end(void *thing)
{
    struct upload *u = thing;
    multipart_free(u->form);
    buf_release(&u->bytes);
    blob_writer_free(u->writer);
    blob_pin_free(u->pin, false);
}

/* --- its parts --- */

static bool check_tags(const struct pinexq_texts *texts, struct err *err)
{
    struct step_tags tags = {NULL, 0};
    bool good = step_tags_make(texts->items, texts->count, &tags, err);
    step_tags_release(&tags);
    return good;
}

static bool read_parameters(struct request *req, struct upload *u, struct err *err)
{
    const struct pinexq_member members[] = {
        {"Tags", PINEXQ_TEXTS, false, &u->tags, 0},
        {"Secret", PINEXQ_BOOL, false, &u->secret, 0},
        {"Folder", PINEXQ_URL, false, &u->folder_id, PINEXQ_FOLDER},
    };
    /* Texts are decoded where they lie, and the parameters stay as long as the request. */
    char *copy = request_strdup(req, buf_str(&u->bytes));
    if (!copy)
        return err_set(err, ERR_BUSY, "memory is out");
    if (!pinexq_object_read(req, PARAMETERS_PART, (struct str){copy, u->bytes.len}, members,
                            sizeof members / sizeof *members, err))
        return false;
    return check_tags(&u->tags, err) || err_add(err, PARAMETERS_PART ".Tags");
}

/* Keeps a text of the form's. */
static bool keep(struct request *req, struct str text, struct str *out, struct err *err)
{
    char *copy = request_strdup(req, text);
    *out = (struct str){copy, text.len};
    return copy || err_set(err, ERR_BUSY, "memory is out");
}

static bool begin_file(struct request *req, struct upload *u, const struct multipart_part *part,
                       struct err *err)
{
    if (u->has_file)
        return err_set(err, ERR_INVALID, FILE_PART ": there is more than one");
    u->has_file = true;
    u->at = IN_FILE;
    if (!u->is_work_data) {
        buf_init(&u->bytes, MANIFEST_MAX_BYTES);
        return true;
    }
    struct str type = part->content_type.len ? part->content_type : STR("application/octet-stream");
    if (!artifact_name_check(part->filename, err) || !artifact_media_type_check(type, err))
        return err_add(err, FILE_PART);
    return keep(req, part->filename, &u->name, err) && keep(req, type, &u->media_type, err) &&
           blob_begin(engine_blobs(request_engine(req)), &u->writer, err);
}

static bool part_begins(void *context, const struct multipart_part *part, struct err *err)
{
    struct request *req = context;
    struct upload *u = request_state(req);
    if (str_is(part->name, FILE_PART))
        return begin_file(req, u, part, err);
    if (!u->is_work_data || !str_is(part->name, PARAMETERS_PART))
        return err_set(err, ERR_INVALID, "the form has a part that is not known: \"%.*s\"",
                       part->name.len > 60 ? 60 : (int)part->name.len, part->name.ptr);
    if (u->has_parameters)
        return err_set(err, ERR_INVALID, PARAMETERS_PART ": there is more than one");
    u->has_parameters = true;
    u->at = IN_PARAMETERS;
    buf_init(&u->bytes, PARAMETERS_MAX_BYTES);
    return true;
}

static bool part_bytes(void *context, struct str piece, struct err *err)
{
    struct upload *u = request_state(context);
    if (u->writer && u->at == IN_FILE)
        return blob_write(u->writer, piece, err);
    buf_add_str(&u->bytes, piece);
    return !u->bytes.full || err_set(err, ERR_LIMIT, "%s: more than %zu bytes",
                                     u->at == IN_FILE ? FILE_PART : PARAMETERS_PART, u->bytes.max);
}

static bool part_ends(void *context, struct err *err)
{
    struct request *req = context;
    struct upload *u = request_state(req);
    bool parameters = u->at == IN_PARAMETERS;
    u->at = BETWEEN_PARTS;
    return !parameters || read_parameters(req, u, err);
}

/* --- the request --- */

static bool take(struct request *req, struct str piece, struct err *err)
{
    struct upload *u = request_state(req);
    return multipart_take(u->form, piece, err);
}

static bool begin(struct request *req, bool is_work_data, route_handler *whole, struct err *err)
{
    struct upload *u = request_alloc(req, sizeof *u);
    if (!u)
        return err_set(err, ERR_BUSY, "memory is out");
    u->is_work_data = is_work_data;
    buf_init(&u->bytes, 0);
    request_own(req, u, upload_end);
    request_set_state(req, u);
    const struct multipart_taker taker = {part_begins, part_bytes, part_ends, req};
    return multipart_new(request_header(req, "Content-Type"), &taker, &u->form, err) &&
           request_take_body(req, take, whole);
}

static bool is_whole(const struct upload *u, struct err *err)
{
    return multipart_end(u->form, err) &&
           (u->has_file || err_set(err, ERR_INVALID, FILE_PART ": is missing"));
}

/* --- work data --- */

static bool finish_added(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    struct upload *u = request_state(req);
    struct pinexq_href href = pinexq_thing(PINEXQ_WORK_DATA, op->artifact_add.artifact->id);
    blob_pin_free(TAKE(u->pin), true);
    return pinexq_created(req, reply, &href, err);
}

/* A helper's thread. */
static bool sync_blob(struct request *req, struct err *err)
{
    struct upload *u = request_state(req);
    return blob_finish(u->writer, NULL, &u->pin, err);
}

static bool add(struct request *req, struct op *finished, struct reply *reply, struct err *err)
{
    const struct upload *u = request_state(req);
    (void)finished, (void)reply, (void)err;
    struct op_artifact_add *ask = &request_op(req, OP_ARTIFACT_ADD)->artifact_add;
    request_step_asker(req, &ask->by);
    memcpy(ask->hash, blob_pin_hash(u->pin)->bytes, sizeof ask->hash);
    ask->bytes = blob_pin_bytes(u->pin);
    ask->name = u->name;
    ask->media_type = u->media_type;
    ask->tags = u->tags.items;
    ask->tag_count = u->tags.count;
    ask->folder_id = u->folder_id;
    ask->secret = u->secret;
    ask->slot = -1;
    return request_call(req, finish_added);
}

static bool work_data_whole(struct request *req, struct reply *reply, struct err *err)
{
    const struct upload *u = request_state(req);
    (void)reply;
    if (!is_whole(u, err))
        return false;
    (void)request_op(req, OP_ARTIFACT_ADD);
    return request_hand_over(req, sync_blob, add);
}

bool pinexq_upload(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return begin(req, true, work_data_whole, err);
}

/* --- manifests --- */

static bool finish_registered(struct request *req, struct op *op, struct reply *reply,
                              struct err *err)
{
    struct pinexq_href href = pinexq_thing(PINEXQ_STEP, op->steps.views[0].step->id);
    return pinexq_created(req, reply, &href, err);
}

static bool manifest_whole(struct request *req, struct reply *reply, struct err *err)
{
    const struct upload *u = request_state(req);
    (void)reply;
    if (!is_whole(u, err))
        return false;
    struct op_steps *ask = &request_op(req, OP_STEPS)->steps;
    ask->verb = STEPS_REGISTER;
    request_step_asker(req, &ask->by);
    ask->manifest = buf_str(&u->bytes);
    return request_call(req, finish_registered);
}

bool pinexq_step_register(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    return begin(req, false, manifest_whole, err);
}

/* step_body.c: see step_body.h: bodies. */
#include "http/native/step_body.h"

#include "base/parse.h"
#include "http/native/native_value.h"

#include <stdlib.h>

/* --- values --- */

static bool is_null(struct str raw)
{
    return json_type_of(raw) == JSON_NULL;
}

/* Any text, null for none. */
static bool read_text(const char *name, struct str raw, struct str *out, struct err *err)
{
    *out = (struct str){NULL, 0};
    if (is_null(raw))
        return true;
    if (!value_decode(raw, out))
        return value_wrong(err, name, "a text", raw);
    if (!out->ptr)
        out->ptr = "";
    return true;
}

static size_t count_items(struct str list)
{
    struct json j;
    struct str item;
    size_t count = 0;
    json_open(&j, list);
    if (json_enter(&j, '['))
        while (json_item(&j) && json_value(&j, &item))
            count++;
    return count;
}

static bool read_tags(struct request *req, struct str raw, const struct str **out, size_t *count,
                      struct err *err)
{
    struct json j;
    struct str item;
    if (json_type_of(raw) != JSON_ARRAY)
        return value_wrong(err, "tags", "a list of texts", raw);
    struct str *list = request_alloc(req, (count_items(raw) + 1) * sizeof *list);
    if (!list)
        return err_set(err, ERR_BUSY, "memory is out");
    *count = 0;
    json_open(&j, raw);
    (void)json_enter(&j, '[');
    while (json_item(&j) && json_value(&j, &item))
        if (json_type_of(item) != JSON_STRING || !value_decode(item, &list[(*count)++]))
            return value_wrong(err, "tags", "a list of texts", item);
    *out = list;
    return true;
}

static bool read_object(const char *name, struct str raw, struct str *out, struct err *err)
{
    *out = is_null(raw) ? (struct str){NULL, 0} : raw;
    return is_null(raw) || json_type_of(raw) == JSON_OBJECT ||
           value_wrong(err, name, "an object", raw);
}

/* A member of a body, by its name. */
struct reader {
    const char *name;
    bool (*read)(struct request *req, void *ask, struct str raw, struct err *err);
};

static bool read_member(struct request *req, void *ask, const struct reader *readers, size_t count,
                        struct str name, struct str raw, struct err *err)
{
    for (size_t i = 0; i < count; i++)
        if (json_name_is(name, readers[i].name))
            return readers[i].read(req, ask, raw, err);
    return value_unknown(err, name);
}

static bool read_body(struct request *req, void *ask, const struct reader *readers, size_t count,
                      struct err *err)
{
    struct json_names seen = {0};
    struct json j;
    struct str name, raw, body = {NULL, 0};
    body.ptr = request_body(req, &body.len);
    json_open(&j, str_trim(body).len ? body : STR("{}"));
    if (json_enter(&j, '{'))
        while (json_member(&j, &name) && json_value(&j, &raw))
            if (!value_once(&seen, name, err) ||
                !read_member(req, ask, readers, count, name, raw, err))
                return false;
    return json_end(&j) || value_fault(err, &j);
}

#define READER(type, name)                                                                         \
    static bool type##_##name(struct request *req, void *to, struct str raw, struct err *err)

/* --- steps --- */

READER(step, title)
{
    struct op_steps *ask = to;
    (void)req;
    ask->sets |= STEP_SETS_TITLE;
    return read_text("title", raw, &ask->title, err);
}

READER(step, tags)
{
    struct op_steps *ask = to;
    ask->sets |= STEP_SETS_TAGS;
    return read_tags(req, raw, &ask->tags, &ask->tag_count, err);
}

READER(step, hidden)
{
    struct op_steps *ask = to;
    (void)req;
    ask->sets |= STEP_SETS_HIDDEN;
    return value_bool("hidden", raw, &ask->hidden, err);
}

READER(step, public)
{
    struct op_steps *ask = to;
    (void)req;
    ask->sets |= STEP_SETS_PUBLIC;
    return value_bool("public", raw, &ask->is_public, err);
}

READER(step, deprecated)
{
    struct op_steps *ask = to;
    struct str reason;
    (void)req;
    ask->sets |= STEP_SETS_DEPRECATION;
    ask->deprecation = (struct str){NULL, 0};
    if (is_null(raw))
        return true;
    ask->deprecation = STR("");
    if (json_type_of(raw) != JSON_OBJECT)
        return value_wrong(err, "deprecated", "null or an object", raw);
    return !json_find(raw, "reason", &reason) || is_null(reason) ||
           read_text("deprecated.reason", reason, &ask->deprecation, err);
}

READER(step, defaults)
{
    struct op_steps *ask = to;
    (void)req;
    ask->sets |= STEP_SETS_DEFAULTS;
    return read_object("defaults", raw, &ask->defaults, err);
}

READER(step, code_hash)
{
    struct op_steps *ask = to;
    (void)req;
    ask->sets |= STEP_SETS_CODE_HASH;
    return read_text("code_hash", raw, &ask->code_hash, err);
}

READER(step, folder)
{
    struct op_steps *ask = to;
    (void)req;
    ask->sets |= STEP_SETS_FOLDER;
    return read_text("folder", raw, &ask->folder, err);
}

bool step_body_read(struct request *req, struct op_steps *ask, struct err *err)
{
    static const struct reader readers[] = {
        {"title", step_title},         {"tags", step_tags},         {"hidden", step_hidden},
        {"public", step_public},       {"defaults", step_defaults}, {"deprecated", step_deprecated},
        {"code_hash", step_code_hash}, {"folder", step_folder},
    };
    return read_body(req, ask, readers, sizeof readers / sizeof *readers, err);
}

void step_name_read(struct str text, int64_t *id, struct str *name, struct str *version)
{
    struct err ignored;
    const char *colon = text.len ? memchr(text.ptr, ':', text.len) : NULL;
    *id = -1;
    *version = (struct str){NULL, 0};
    *name = text;
    if (parse_i64(text, 1, INT64_MAX, id, &ignored) || !colon)
        return;
    *name = (struct str){text.ptr, (size_t)(colon - text.ptr)};
    *version = (struct str){colon + 1, text.len - name->len - 1};
}

bool step_path_id(const struct request *req, const char *param, int64_t *out, struct err *err)
{
    struct str text = request_path_param(req, param);
    struct err ignored;
    return parse_i64(text, 1, INT64_MAX, out, &ignored) ||
           err_set(err, ERR_NOT_FOUND, "%s %.*s: expected an id", param, value_shown(text),
                   text.ptr);
}

/* --- jobs --- */

/* Options are one object in the engine. */
static void add_option(struct request *req, struct op_step_job_edit *ask, const char *name,
                       struct str raw)
{
    struct str before = ask->options;
    size_t size = before.len + strlen(name) + raw.len + 8;
    char *text = request_alloc(req, size);
    struct buf b;
    if (!text || is_null(raw))
        return;
    buf_init(&b, size);
    buf_add_char(&b, '{');
    if (before.len > 2) {
        buf_add(&b, before.ptr + 1, before.len - 2);
        buf_add_char(&b, ',');
    }
    buf_add_format(&b, "\"%s\":", name);
    buf_add_str(&b, raw);
    buf_add_char(&b, '}');
    memcpy(text, b.data, b.len);
    ask->options = (struct str){text, b.len};
    buf_release(&b);
}

READER(job, name)
{
    struct op_step_job_edit *ask = to;
    (void)req;
    ask->sets |= STEP_JOB_SETS_NAME;
    return read_text("name", raw, &ask->name, err);
}

READER(job, step)
{
    struct op_step_job_edit *ask = to;
    struct str text;
    (void)req;
    ask->sets |= STEP_JOB_SETS_STEP;
    ask->step = 0;
    if (is_null(raw) || json_i64(raw, 1, INT64_MAX, &ask->step))
        return true;
    if (!read_text("step", raw, &text, err))
        return value_wrong(err, "step", "an id or NAME:VERSION", raw);
    step_name_read(text, &ask->step, &ask->step_name, &ask->step_version);
    return true;
}

READER(job, parameters)
{
    struct op_step_job_edit *ask = to;
    (void)req;
    ask->sets |= STEP_JOB_SETS_PARAMETERS;
    return read_object("parameters", raw, &ask->parameters, err);
}

READER(job, tags)
{
    struct op_step_job_edit *ask = to;
    ask->sets |= STEP_JOB_SETS_TAGS;
    return read_tags(req, raw, &ask->tags, &ask->tag_count, err);
}

READER(job, parent)
{
    struct op_step_job_edit *ask = to;
    (void)req;
    if (ask->id)
        return err_set(err, ERR_INVALID, "parent: is set when a job is made");
    return value_i64("parent", raw, 1, INT64_MAX, &ask->parent, err);
}

READER(job, hidden)
{
    struct op_step_job_edit *ask = to;
    (void)req;
    ask->sets |= STEP_JOB_SETS_HIDDEN;
    return value_bool("hidden", raw, &ask->hidden, err);
}

READER(job, output_deletable)
{
    struct op_step_job_edit *ask = to;
    (void)req;
    ask->sets |= STEP_JOB_SETS_OUTPUT_DELETABLE;
    return value_bool("output_deletable", raw, &ask->output_deletable, err);
}

READER(job, folder)
{
    struct op_step_job_edit *ask = to;
    (void)req;
    ask->sets |= STEP_JOB_SETS_FOLDER;
    return read_text("folder", raw, &ask->folder, err);
}

READER(job, priority)
{
    struct op_step_job_edit *ask = to;
    (void)req;
    ask->sets |= STEP_JOB_SETS_OPTIONS;
    return value_i64("priority", raw, TASK_PRIORITY_MIN, TASK_PRIORITY_MAX, &ask->priority, err);
}

READER(job, max_attempts)
{
    struct op_step_job_edit *ask = to;
    (void)req;
    ask->sets |= STEP_JOB_SETS_OPTIONS;
    return value_i64("max_attempts", raw, 1, TASK_ATTEMPTS_MAX, &ask->max_attempts, err);
}

READER(job, retry)
{
    struct op_step_job_edit *ask = to;
    ask->sets |= STEP_JOB_SETS_OPTIONS;
    if (!value_retry("retry", raw, err))
        return false;
    add_option(req, ask, "retry", raw);
    return true;
}

READER(job, timeout_s)
{
    struct op_step_job_edit *ask = to;
    int64_t ignored_us = 0;
    ask->sets |= STEP_JOB_SETS_OPTIONS;
    if (!value_seconds("timeout_s", raw, 1, INT64_C(86400) * 366 * 1000000, &ignored_us, err))
        return false;
    add_option(req, ask, "timeout_s", raw);
    return true;
}

READER(job, start)
{
    struct op_step_job_edit *ask = to;
    bool starts = false;
    (void)req;
    if (!value_bool("start", raw, &starts, err))
        return false;
    ask->sets |= starts ? STEP_JOB_STARTS : 0u;
    return true;
}

static bool read_fill(struct request *req, struct step_fill_ask *fill, struct str raw,
                      struct err *err)
{
    struct json j;
    struct str item;
    if (is_null(raw))
        return true;
    if (json_type_of(raw) != JSON_ARRAY)
        return value_wrong(err, "inputs", "lists of artifacts' ids", raw);
    int64_t *ids = request_alloc(req, (count_items(raw) + 1) * sizeof *ids);
    if (!ids)
        return err_set(err, ERR_BUSY, "memory is out");
    json_open(&j, raw);
    (void)json_enter(&j, '[');
    while (json_item(&j) && json_value(&j, &item))
        if (!json_i64(item, 1, INT64_MAX, &ids[fill->count++]))
            return value_wrong(err, "inputs", "lists of artifacts' ids", item);
    fill->ids = ids;
    return true;
}

READER(job, inputs)
{
    struct op_step_job_edit *ask = to;
    struct json j;
    struct str name, list;
    if (json_type_of(raw) != JSON_OBJECT)
        return value_wrong(err, "inputs", "an object of lists", raw);
    struct step_fill_ask *fills = request_alloc(req, STEP_SLOTS_MAX * sizeof *fills);
    if (!fills)
        return err_set(err, ERR_BUSY, "memory is out");
    ask->fill_count = 0;
    json_open(&j, raw);
    (void)json_enter(&j, '{');
    while (json_member(&j, &name) && json_value(&j, &list)) {
        if (ask->fill_count == STEP_SLOTS_MAX)
            return err_set(err, ERR_INVALID, "inputs: more than %d slots", STEP_SLOTS_MAX);
        struct step_fill_ask *fill = &fills[ask->fill_count++];
        fill->slot = -1;
        if (!read_fill(req, fill, list, err) || !value_decode(name, &fill->name))
            return err->code != ERR_NONE ? false
                                         : value_wrong(err, "inputs", "names of slots", name);
    }
    ask->fills = fills;
    return true;
}

bool step_job_body_read(struct request *req, struct op_step_job_edit *ask, struct err *err)
{
    static const struct reader readers[] = {
        {"name", job_name},
        {"step", job_step},
        {"parameters", job_parameters},
        {"inputs", job_inputs},
        {"tags", job_tags},
        {"parent", job_parent},
        {"hidden", job_hidden},
        {"output_deletable", job_output_deletable},
        {"folder", job_folder},
        {"priority", job_priority},
        {"max_attempts", job_max_attempts},
        {"retry", job_retry},
        {"timeout_s", job_timeout_s},
        {"start", job_start},
    };
    return read_body(req, ask, readers, sizeof readers / sizeof *readers, err);
}

/* --- artifacts --- */

READER(artifact, name)
{
    struct op_artifact_edit *ask = to;
    (void)req;
    ask->sets |= ARTIFACT_SETS_NAME;
    return read_text("name", raw, &ask->name, err);
}

READER(artifact, comment)
{
    struct op_artifact_edit *ask = to;
    (void)req;
    ask->sets |= ARTIFACT_SETS_COMMENT;
    return read_text("comment", raw, &ask->comment, err);
}

READER(artifact, tags)
{
    struct op_artifact_edit *ask = to;
    ask->sets |= ARTIFACT_SETS_TAGS;
    return read_tags(req, raw, &ask->tags, &ask->tag_count, err);
}

READER(artifact, hidden)
{
    struct op_artifact_edit *ask = to;
    (void)req;
    ask->sets |= ARTIFACT_SETS_HIDDEN;
    return value_bool("hidden", raw, &ask->hidden, err);
}

READER(artifact, deletable)
{
    struct op_artifact_edit *ask = to;
    (void)req;
    ask->sets |= ARTIFACT_SETS_DELETABLE;
    return value_bool("deletable", raw, &ask->deletable, err);
}

READER(artifact, secret)
{
    struct op_artifact_edit *ask = to;
    (void)req;
    ask->sets |= ARTIFACT_SETS_SECRET;
    return value_bool("secret", raw, &ask->secret, err);
}

READER(artifact, folder)
{
    struct op_artifact_edit *ask = to;
    (void)req;
    ask->sets |= ARTIFACT_SETS_FOLDER;
    return read_text("folder", raw, &ask->folder, err);
}

bool artifact_body_read(struct request *req, struct op_artifact_edit *ask, struct err *err)
{
    static const struct reader readers[] = {
        {"name", artifact_name},     {"comment", artifact_comment},
        {"tags", artifact_tags},     {"hidden", artifact_hidden},
        {"secret", artifact_secret}, {"deletable", artifact_deletable},
        {"folder", artifact_folder},
    };
    return read_body(req, ask, readers, sizeof readers / sizeof *readers, err);
}

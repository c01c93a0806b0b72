/* error_line.c: see error_line.h. */
#include "engine/error_line.h"

#include "base/json.h"

/* A member of a reason that is an object, or the reason itself as its message. */
static bool part_of(struct str reason, const char *name, struct str *out)
{
    bool whole = reason.len && json_type_of(reason) == JSON_STRING && strcmp(name, "message") == 0;
    if (!reason.len)
        return false;
    if (whole)
        *out = reason;
    return whole || (json_find(reason, name, out) && json_type_of(*out) == JSON_STRING);
}

static void write_text(struct json_out *o, const char *name, struct str reason, const char *part,
                       const char *otherwise)
{
    struct str raw;
    json_out_name(o, name);
    if (part_of(reason, part, &raw))
        json_out_raw(o, raw);
    else
        json_out_text(o, otherwise);
}

/* The id as it stands in the record; without one its number. */
static void write_id(const struct data_job *job, struct json_out *o, int64_t record,
                     struct str original)
{
    struct json_wanted id = {job->spec.id_key, 0, {NULL, 0}};
    json_out_name(o, "record_id");
    if (job->spec.id_key && record >= 0) {
        id.name_len = strlen(id.name);
        if (original.len && json_check_members(original, &id, 1, NULL, NULL) && id.value.ptr) {
            json_out_raw(o, id.value);
            return;
        }
    } else if (record >= 0) {
        json_out_i64(o, record);
        return;
    }
    json_out_null(o);
}

void error_record_line(const struct data_job *job, struct buf *out, const struct error_record *told,
                       int64_t at_us)
{
    struct json_out o;
    char at[CLOCK_TEXT_SIZE];
    struct str original = told->original;
    const struct held_record *held =
        told->record >= 0 ? in_hand_find(job->in_hand, told->record) : NULL;
    if (held && held->bytes)
        original = (struct str){held->bytes, held->len};
    clock_text(at_us, at);
    json_out_init(&o, out);
    json_out_open(&o, '{');
    write_id(job, &o, told->record, original);
    write_text(&o, "error_message", told->reason_json, "message", told->reason);
    write_text(&o, "error_type", told->reason_json, "type", told->type);
    if (told->attempts > 0) {
        json_out_name(&o, "attempts");
        json_out_i64(&o, told->attempts);
    }
    json_out_name(&o, "at");
    json_out_text(&o, at);
    if (told->file) {
        json_out_name(&o, "file");
        json_out_text(&o, told->file);
    }
    if (told->line > 0) {
        json_out_name(&o, "line");
        json_out_i64(&o, told->line);
    }
    json_out_name(&o, "original_record");
    if (original.len)
        json_out_raw(&o, original);
    else
        json_out_null(&o);
    json_out_close(&o, '}');
    buf_add_char(out, '\n');
}

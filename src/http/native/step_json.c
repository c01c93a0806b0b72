/* step_json.c: see step_json.h. */
#include "http/native/step_json.h"

#include "http/native/native.h"
#include "io/blob.h"

static void text(struct json_out *o, const char *name, const char *value)
{
    json_out_name(o, name);
    json_out_text(o, value);
}

static void number(struct json_out *o, const char *name, int64_t value)
{
    json_out_name(o, name);
    json_out_i64(o, value);
}

/* null for 0. */
static void reference(struct json_out *o, const char *name, int64_t id)
{
    json_out_name(o, name);
    if (id)
        json_out_i64(o, id);
    else
        json_out_null(o);
}

static void flag(struct json_out *o, const char *name, bool value)
{
    json_out_name(o, name);
    json_out_bool(o, value);
}

static void raw(struct json_out *o, const char *name, const char *json)
{
    json_out_name(o, name);
    if (json)
        json_out_raw(o, str_of(json));
    else
        json_out_null(o);
}

static void moment(struct json_out *o, const char *name, int64_t at_us)
{
    json_out_name(o, name);
    native_time_write(o, at_us);
}

void step_tags_json_write(struct json_out *o, const struct step_tags *list)
{
    json_out_name(o, "tags");
    json_out_open(o, '[');
    for (size_t i = 0; i < list->count; i++)
        json_out_text(o, list->items[i]);
    json_out_close(o, ']');
}

/* --- steps --- */

static void slots(struct json_out *o, const char *name, const struct step_slot *list, size_t count)
{
    json_out_name(o, name);
    json_out_open(o, '[');
    for (size_t i = 0; i < count; i++) {
        const struct step_slot *slot = &list[i];
        json_out_open(o, '{');
        text(o, "name", slot->name);
        text(o, "title", slot->title);
        text(o, "description", slot->description);
        text(o, "media_type", slot->media_type);
        number(o, "min", slot->min);
        json_out_name(o, "max");
        if (slot->max >= 0)
            json_out_i64(o, slot->max);
        else
            json_out_null(o);
        flag(o, "collection", step_slot_is_collection(slot));
        json_out_close(o, '}');
    }
    json_out_close(o, ']');
}

static void deprecation(struct json_out *o, const struct step *s)
{
    json_out_name(o, "deprecated");
    if (!s->deprecated_at_us) {
        json_out_null(o);
        return;
    }
    json_out_open(o, '{');
    moment(o, "at", s->deprecated_at_us);
    text(o, "reason", s->deprecation);
    json_out_close(o, '}');
}

void step_json_write(struct json_out *o, const struct step_view *view)
{
    const struct step *s = view->step;
    const struct step_manifest *m = &s->manifest;
    json_out_open(o, '{');
    number(o, "id", s->id);
    text(o, "name", m->name);
    text(o, "version", m->version);
    text(o, "title", s->title ? s->title : m->title);
    text(o, "short_description", m->short_description);
    text(o, "long_description", m->long_description);
    raw(o, "parameters", m->parameters);
    raw(o, "returns", m->returns);
    raw(o, "defaults", s->defaults);
    slots(o, "inputs", m->inputs, m->input_count);
    slots(o, "outputs", m->outputs, m->output_count);
    step_tags_json_write(o, &s->tags);
    flag(o, "hidden", s->hidden);
    flag(o, "public", s->is_public);
    deprecation(o, s);
    text(o, "code_hash", s->code_hash);
    text(o, "procon_version", m->procon_version);
    text(o, "folder", s->folder);
    text(o, "owner", s->owner);
    text(o, "created_by", s->created_by);
    moment(o, "created_at", s->created_at_us);
    moment(o, "modified_at", s->modified_at_us);
    number(o, "jobs", view->jobs);
    if (view->workers >= 0)
        number(o, "workers", view->workers);
    json_out_close(o, '}');
}

/* --- artifacts --- */

void artifact_json_write(struct json_out *o, const struct artifact *a)
{
    char name[BLOB_NAME_SIZE];
    struct blob_hash hash;
    memcpy(hash.bytes, a->hash, sizeof hash.bytes);
    blob_name(&hash, name);
    json_out_open(o, '{');
    number(o, "id", a->id);
    text(o, "name", a->name);
    text(o, "media_type", a->media_type);
    number(o, "bytes", a->bytes);
    text(o, "sha256", name);
    text(o, "kind", artifact_kind_names[a->kind]);
    step_tags_json_write(o, &a->tags);
    text(o, "comment", a->comment);
    flag(o, "hidden", a->hidden);
    flag(o, "secret", a->secret);
    flag(o, "deletable", a->deletable);
    text(o, "folder", a->folder);
    number(o, "used", a->used);
    reference(o, "job", a->job);
    reference(o, "step", a->step);
    json_out_name(o, "slot");
    if (a->kind == ARTIFACT_OUTPUT && a->slot >= 0)
        json_out_i64(o, a->slot);
    else
        json_out_null(o);
    text(o, "owner", a->owner);
    text(o, "created_by", a->created_by);
    moment(o, "created_at", a->created_at_us);
    json_out_close(o, '}');
}

/* --- jobs --- */

static void inputs(struct json_out *o, const struct step_job_view *view)
{
    size_t at = 0;
    json_out_name(o, "inputs");
    json_out_open(o, '{');
    for (size_t i = 0; view->step && i < view->job->input_count; i++) {
        json_out_name(o, view->step->manifest.inputs[i].name);
        json_out_open(o, '[');
        for (size_t k = 0; k < view->job->inputs[i].count && at < view->input_count; k++)
            artifact_json_write(o, view->inputs[at++]);
        json_out_close(o, ']');
    }
    json_out_close(o, '}');
}

static void outputs(struct json_out *o, const struct step_job_view *view)
{
    json_out_name(o, "outputs");
    json_out_open(o, '{');
    for (size_t i = 0; view->step && i < view->step->manifest.output_count; i++) {
        json_out_name(o, view->step->manifest.outputs[i].name);
        json_out_open(o, '[');
        for (size_t k = 0; k < view->output_count; k++)
            if (view->outputs[k]->slot == (int64_t)i)
                artifact_json_write(o, view->outputs[k]);
        json_out_close(o, ']');
    }
    json_out_close(o, '}');
}

static void step(struct json_out *o, const struct step *s)
{
    json_out_name(o, "step");
    if (!s) {
        json_out_null(o);
        return;
    }
    json_out_open(o, '{');
    number(o, "id", s->id);
    text(o, "name", s->manifest.name);
    text(o, "version", s->manifest.version);
    text(o, "title", s->title ? s->title : s->manifest.title);
    text(o, "code_hash", s->code_hash);
    json_out_close(o, '}');
}

/* Of what it was started with only the parameters are the caller's. */
static void arguments(struct json_out *o, const struct step_job *job)
{
    struct str all = str_of(job->arguments), parameters;
    json_out_name(o, "arguments");
    if (all.len && json_find(all, "parameters", &parameters))
        json_out_raw(o, parameters);
    else
        json_out_null(o);
}

static void options(struct json_out *o, const struct step_job *job)
{
    struct str all = str_of(job->options), value;
    static const char *const names[] = {"retry", "timeout_s"};
    number(o, "priority", job->priority);
    number(o, "max_attempts", step_job_attempts(job));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        json_out_name(o, names[i]);
        if (all.len && json_find(all, names[i], &value))
            json_out_raw(o, value);
        else
            json_out_null(o);
    }
}

void step_job_json_write(struct json_out *o, const struct step_job_view *view)
{
    const struct step_job *job = view->job;
    json_out_open(o, '{');
    number(o, "id", job->id);
    text(o, "name", job->name);
    text(o, "state", job_state_name(job->state));
    step(o, view->step);
    raw(o, "parameters", job->parameters);
    arguments(o, job);
    inputs(o, view);
    outputs(o, view);
    step_tags_json_write(o, &job->tags);
    reference(o, "parent", job->parent);
    number(o, "sub_jobs", job->sub_jobs);
    flag(o, "hidden", job->hidden);
    flag(o, "output_deletable", job->output_deletable);
    text(o, "folder", job->folder);
    options(o, job);
    text(o, "owner", job->owner);
    text(o, "created_by", job->created_by);
    moment(o, "created_at", job->created_at_us);
    moment(o, "scheduled_at", job->scheduled_at_us);
    moment(o, "started_at", job->started_at_us);
    moment(o, "ended_at", job->ended_at_us);
    text(o, "worker", job->worker);
    number(o, "fence", job->fence);
    raw(o, "result", job->result);
    raw(o, "error", job->error);
    if (view->explained)
        native_explain_write(view->hold, view->held_by, o);
    json_out_close(o, '}');
}

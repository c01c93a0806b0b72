/* step_artifacts.c: artifacts come, change and go. Their bytes are blobs, which the asker has put
 * and pinned; the row that refers to them is the artifact's. */
#include "engine/engine_state.h"

#include <inttypes.h>
#include <stdlib.h>

static char *text_of(struct str text)
{
    return xstrndup(text.ptr ? text.ptr : "", text.len);
}

/* --- coming --- */

static bool set_tags(struct step_tags *to, const struct str *tags, size_t count, struct err *err)
{
    struct step_tags made;
    if (!step_tags_make(tags, count, &made, err))
        return false;
    step_tags_release(to);
    *to = made;
    return true;
}

/* What the asker says of it. `slot`: the output slot it is for, NULL. */
static bool describe(struct engine *e, struct artifact *a, const struct op_artifact_add *ask,
                     const struct step_slot *slot, struct err *err)
{
    struct str type = ask->media_type, name = ask->name;
    if (type.len == 0)
        type =
            slot && slot->media_type ? str_of(slot->media_type) : STR("application/octet-stream");
    if (name.len == 0 && slot)
        name = str_of(slot->name);
    if (!artifact_name_check(name, err) || !artifact_media_type_check(type, err) ||
        !set_tags(&a->tags, ask->tags, ask->tag_count, err) ||
        !steps_folder_wanted(e, &ask->by, ask->folder, ask->folder_id, &a->folder, err))
        return false;
    a->name = text_of(name);
    a->media_type = text_of(type);
    a->comment = ask->comment.len ? text_of(ask->comment) : NULL;
    a->secret = ask->secret;
    return true;
}

static struct artifact *make(struct engine *e, const struct op_artifact_add *ask,
                             const struct step_slot *slot, struct err *err)
{
    struct artifact *a = artifact_new();
    a->owner = text_of(ask->by.owner);
    a->created_by = text_of(ask->by.name);
    a->kind = ARTIFACT_UPLOAD;
    a->deletable = true;
    a->created_at_us = e->now.wall_us;
    a->bytes = ask->bytes;
    memcpy(a->hash, ask->hash, sizeof a->hash);
    if (describe(e, a, ask, slot, err))
        return a;
    artifact_free(a);
    return NULL;
}

static void answer(struct op_artifact_add *ask, const struct artifact *a)
{
    ask->artifact = artifact_hold(a);
}

static bool add_upload(struct engine *e, struct op_artifact_add *ask, struct err *err)
{
    struct artifact *a = make(e, ask, NULL, err);
    if (!a)
        return false;
    a->id = steps_new_id(e);
    answer(ask, a);
    steps_put_artifact(e, a->id, a);
    return true;
}

/* --- outputs --- */

static bool find_slot(const struct step *step, const struct op_artifact_add *ask, int64_t *slot,
                      struct err *err)
{
    const struct step_manifest *m = &step->manifest;
    *slot =
        ask->slot >= 0 ? ask->slot : step_slot_find(m->outputs, m->output_count, ask->slot_name);
    if (*slot < 0 || *slot >= (int64_t)m->output_count)
        return err_set(err, ERR_NOT_FOUND, "step %s:%s has no output slot %.*s", m->name,
                       m->version, ask->slot_name.len > 100 ? 100 : (int)ask->slot_name.len,
                       ask->slot_name.ptr ? ask->slot_name.ptr : "");
    int64_t max = m->outputs[*slot].max;
    if (ask->place < 0 || ask->place >= STEP_JOB_INPUTS_MAX || (max >= 0 && ask->place >= max))
        return err_set(err, ERR_INVALID, "output slot %s has no place %" PRId64,
                       m->outputs[*slot].name, ask->place);
    return true;
}

/* The job, if it is in that very run. */
static const struct step_job *running(struct engine *e, const struct op_artifact_add *ask,
                                      struct err *err)
{
    const struct step_job *job = steps_job_for(e, &ask->by, ask->job, err);
    if (!job || (job->state == JOB_RUNNING && job->fence == ask->fence))
        return job;
    err_set(err, ERR_CONFLICT, "run %" PRId64 " of job %" PRId64 " is over", ask->fence, ask->job);
    return NULL;
}

/* What was in its place goes, unless somebody uses it: then it stands beside. */
static void replace(struct engine *e, int64_t id)
{
    struct err ignored;
    const struct artifact *old = id ? steps_artifact(e, id, &ignored) : NULL;
    if (!old)
        return;
    if (old->used == 0) {
        steps_put_artifact(e, id, NULL);
        return;
    }
    struct artifact *aside = artifact_copy(old);
    aside->slot = -1;
    steps_put_artifact(e, id, aside);
}

static void put_output(struct engine *e, const struct step_job *job, struct artifact *a)
{
    int64_t before = 0, ignored = 0;
    struct err err;
    struct step_job *copy = step_job_copy(job);
    step_job_add_output(copy, a->id, a->slot, a->place, &before);
    replace(e, before);
    const struct artifact *kept = before ? steps_artifact(e, before, &err) : NULL;
    if (kept)
        step_job_add_output(copy, before, -1, kept->place, &ignored);
    steps_put_artifact(e, a->id, a);
    steps_put_job(e, copy->id, copy);
}

static bool add_output(struct engine *e, struct op_artifact_add *ask, struct err *err)
{
    int64_t slot = 0;
    const struct step_job *job = running(e, ask, err);
    const struct step *step = job ? steps_step_of(e, job) : NULL;
    if (!job || !step)
        return job ? err_set(err, ERR_INTERNAL, "job %" PRId64 " has no step", ask->job) : false;
    if (!find_slot(step, ask, &slot, err))
        return false;
    struct artifact *a = make(e, ask, &step->manifest.outputs[slot], err);
    if (!a)
        return false;
    free(a->owner);
    a->owner = xstrdup(job->owner);
    a->id = steps_new_id(e);
    a->kind = ARTIFACT_OUTPUT;
    a->deletable = job->output_deletable;
    a->job = job->id;
    a->step = job->step;
    a->slot = slot;
    a->place = ask->place;
    a->fence = ask->fence;
    answer(ask, a);
    put_output(e, job, a);
    return true;
}

enum op_fate op_artifact_add(struct engine *e, struct op *op)
{
    struct op_artifact_add *ask = &op->artifact_add;
    if (!steps_are_ready(e, op, &ask->by, true))
        return FATE_NOW;
    bool good = ask->job ? add_output(e, ask, &op->err) : add_upload(e, ask, &op->err);
    return good ? steps_fate(e) : FATE_NOW;
}

/* --- going, changing --- */

void steps_drop_artifact(struct engine *e, const struct artifact *a)
{
    struct err ignored;
    int64_t id = a->id;
    const struct step_job *job = a->job ? steps_job(e, a->job, &ignored) : NULL;
    if (job) {
        struct step_job *copy = step_job_copy(job);
        step_job_drop_output(copy, id);
        steps_put_job(e, copy->id, copy);
    }
    steps_put_artifact(e, id, NULL);
}

static bool change(struct engine *e, struct artifact *a, const struct op_artifact_edit *ask,
                   struct err *err)
{
    if (ask->sets & ARTIFACT_SETS_NAME) {
        if (!artifact_name_check(ask->name, err))
            return false;
        free(a->name);
        a->name = text_of(ask->name);
    }
    if ((ask->sets & ARTIFACT_SETS_TAGS) && !set_tags(&a->tags, ask->tags, ask->tag_count, err))
        return false;
    if (ask->sets & ARTIFACT_SETS_FOLDER) {
        char *folder = NULL;
        if (!steps_folder_wanted(e, &ask->by, ask->folder, ask->folder_id, &folder, err))
            return false;
        free(a->folder);
        a->folder = folder;
    }
    if (ask->sets & ARTIFACT_SETS_COMMENT) {
        free(a->comment);
        a->comment = ask->comment.ptr ? text_of(ask->comment) : NULL;
    }
    if (ask->sets & ARTIFACT_SETS_HIDDEN)
        a->hidden = ask->hidden;
    if (ask->sets & ARTIFACT_SETS_DELETABLE)
        a->deletable = ask->deletable;
    if (ask->sets & ARTIFACT_SETS_SECRET)
        a->secret = ask->secret;
    return true;
}

static bool edit(struct engine *e, struct op *op)
{
    struct op_artifact_edit *ask = &op->artifact_edit;
    const struct artifact *a = steps_artifact_for(e, &ask->by, ask->id, &op->err);
    if (!a)
        return false;
    if (ask->sets & ARTIFACT_DELETES) {
        if (!artifact_may_go(a, &op->err))
            return false;
        steps_drop_artifact(e, a);
        return true;
    }
    struct artifact *copy = artifact_copy(a);
    if (!change(e, copy, ask, &op->err)) {
        artifact_free(copy);
        return false;
    }
    ask->artifact = artifact_hold(copy);
    steps_put_artifact(e, copy->id, copy);
    return true;
}

enum op_fate op_artifact_edit(struct engine *e, struct op *op)
{
    if (!steps_are_ready(e, op, &op->artifact_edit.by, true))
        return FATE_NOW;
    return edit(e, op) ? steps_fate(e) : FATE_NOW;
}

enum op_fate op_artifact_show(struct engine *e, struct op *op)
{
    struct op_artifact_show *ask = &op->artifact_show;
    if (!steps_are_ready(e, op, &ask->by, false))
        return FATE_NOW;
    const struct artifact *a = steps_artifact_for(e, &ask->by, ask->id, &op->err);
    if (!a)
        return FATE_NOW;
    ask->artifact = artifact_hold(a);
    return steps_fate(e);
}

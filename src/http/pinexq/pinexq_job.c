/* pinexq_job.c: see pinexq_job.h. */
#include "http/pinexq/pinexq_job.h"

#include "http/pinexq/pinexq_folder.h"
#include "http/pinexq/pinexq_work_data.h"

const char *pinexq_job_state(enum job_state state)
{
    static const char *const names[JOB_STATE_COUNT] = {
        [JOB_DRAFT] = "Created",      [JOB_READY] = "ReadyForProcessing",
        [JOB_BLOCKED] = "Pending",    [JOB_PENDING] = "Pending",
        [JOB_RUNNING] = "Processing", [JOB_COMPLETED] = "Completed",
        [JOB_FAILED] = "Error",       [JOB_CANCELLED] = "Error",
    };
    return names[state] ? names[state] : "Undefined";
}

/* --- properties --- */

/* Of the last attempt; while others may follow it says nothing yet. */
static void write_error(struct siren *s, const struct step_job *job)
{
    struct str message = {NULL, 0};
    struct json_out *o = siren_property(s, "ErrorDescription");
    if (job->state == JOB_CANCELLED)
        json_out_text(o, "it was cancelled");
    else if (job->state == JOB_FAILED && job->error &&
             json_find(str_of(job->error), "message", &message))
        json_out_raw(o, message);
    else
        json_out_null(o);
}

static void write_processing(struct siren *s, const struct step *step)
{
    struct json_out *o = siren_property(s, "Processing");
    if (!step) {
        json_out_null(o);
        return;
    }
    const struct step_manifest *m = &step->manifest;
    const struct {
        const char *name, *text;
    } texts[] = {{"Title", step->title ? step->title : m->title},
                 {"Description", m->short_description},
                 {"FunctionName", m->name},
                 {"Version", m->version}};
    json_out_open(o, '{');
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        json_out_name(o, texts[i].name);
        json_out_text(o, texts[i].text);
    }
    json_out_name(o, "NumberOfInputDataSlots");
    json_out_i64(o, (int64_t)m->input_count);
    json_out_name(o, "NumberOfOutputDataSlots");
    json_out_i64(o, (int64_t)m->output_count);
    json_out_close(o, '}');
}

static void write_properties(struct siren *s, const struct step_job_view *view)
{
    const struct step_job *job = view->job;
    siren_text(s, "Name", job->name);
    siren_text(s, "State", pinexq_job_state(job->state));
    siren_text(s, "OwnerId", job->owner);
    siren_text(s, "CreatedBy", job->created_by);
    siren_text(s, "WorkerId", job->worker);
    siren_tags(s, &job->tags);
    siren_flag(s, "Hidden", job->hidden);
    siren_flag(s, "OutputIsDeletable", job->output_deletable);
    siren_time(s, "CreatedAt", job->created_at_us);
    siren_time(s, "ScheduledAt", job->scheduled_at_us);
    siren_time(s, "StartedAt", job->started_at_us);
    siren_time(s, "CompletedAt", job->ended_at_us);
    write_error(s, job);
    /* JSON as texts: not the values themselves. */
    siren_text(s, "Result", job->state == JOB_COMPLETED ? job->result : NULL);
    siren_text(s, "ConfiguredParameters", job->parameters);
    write_processing(s, view->step);
    siren_text(s, "FolderPath", job->folder);
}

/* --- slots --- */

static void slot_properties(struct siren *s, const struct step_slot *slot)
{
    siren_text(s, "Name", slot->name);
    siren_text(s, "Title", slot->title);
    siren_text(s, "Description", slot->description);
    siren_text(s, "MediaType", slot->media_type);
}

static void slot_actions(struct siren *s, const struct step_job *job, const struct step_slot *slot,
                         size_t place)
{
    static const struct siren_action one = {.name = "SelectWorkData",
                                            .method = "POST",
                                            .parameters = "SelectWorkDataForDataSlotParameters"};
    static const struct siren_action many = {.name = "SelectWorkDataCollection",
                                             .method = "POST",
                                             .parameters =
                                                 "SelectWorkDataCollectionForDataSlotParameters"};
    static const struct siren_action clear = {.name = "Clear", .method = "POST"};
    struct pinexq_href href = pinexq_thing(PINEXQ_JOB, job->id);
    href.slot = "/InputDataSlot/";
    href.place = (int64_t)place;
    href.action = one.name;
    siren_act(s, &one, &href);
    if (step_slot_is_collection(slot)) {
        href.action = many.name;
        siren_act(s, &many, &href);
    }
    if (job->inputs[place].count) {
        href.action = clear.name;
        siren_act(s, &clear, &href);
    }
}

static void write_inputs(struct siren *s, const struct step_job_view *view, bool may_work)
{
    const struct step_job *job = view->job;
    size_t at = 0;
    struct err ignored;
    bool may_fill = may_work && step_job_may(job, view->step, STEP_JOB_FILL, &ignored);
    for (size_t i = 0; view->step && i < job->input_count; i++) {
        const struct step_slot *slot = &view->step->manifest.inputs[i];
        size_t count = job->inputs[i].count;
        siren_entity(s, "InputDataSlot", "InputDataSlot");
        slot_properties(s, slot);
        siren_flag(s, "IsConfigured", (int64_t)count >= slot->min);
        for (size_t k = 0; k < count && at < view->input_count; k++)
            pinexq_write_work_data(s, view->inputs[at++], "Selected", may_work);
        if (may_fill)
            slot_actions(s, job, slot, i);
        siren_end(s);
    }
}

static void write_outputs(struct siren *s, const struct step_job_view *view, bool may_work)
{
    for (size_t i = 0; view->step && i < view->step->manifest.output_count; i++) {
        siren_entity(s, "OutputDataSlot", "OutputDataSlot");
        slot_properties(s, &view->step->manifest.outputs[i]);
        for (size_t k = 0; k < view->output_count; k++)
            if (view->outputs[k]->slot == (int64_t)i)
                pinexq_write_work_data(s, view->outputs[k], "Assigned", may_work);
        siren_end(s);
    }
}

/* --- the whole --- */

static void write_actions(struct siren *s, const struct step_job_view *view)
{
    static const struct siren_action delete_it = {
        .name = "Delete", .method = "DELETE", .destroys = true};
    struct pinexq_href href = pinexq_thing(PINEXQ_JOB, view->job->id);
    struct err ignored;
    if (step_job_may(view->job, view->step, STEP_JOB_DELETE, &ignored))
        siren_act(s, &delete_it, &href);
    for (size_t i = 0; i < pinexq_job_action_count; i++) {
        const struct pinexq_job_action *action = &pinexq_job_actions[i];
        href.action = action->siren.name;
        if (!action->may || action->may(view))
            siren_act(s, &action->siren, &href);
    }
}

void pinexq_write_job(struct siren *s, const struct step_job_view *view, const char *rel,
                      bool may_work)
{
    const struct step_job *job = view->job;
    struct pinexq_href self = pinexq_thing(PINEXQ_JOB, job->id);
    siren_entity(s, "Job", rel);
    write_properties(s, view);
    write_inputs(s, view, may_work);
    write_outputs(s, view, may_work);
    if (may_work)
        write_actions(s, view);
    siren_link(s, "self", &self);
    if (job->parent)
        siren_link(s, "ParentJob", &(struct pinexq_href){.kind = PINEXQ_JOB, .id = job->parent});
    pinexq_folder_link(s, job->folder_id);
    if (view->step)
        siren_link(s, "SelectedProcessingStep",
                   &(struct pinexq_href){.kind = PINEXQ_STEP, .id = view->step->id});
    if (job->scheduled_at_us) {
        siren_link(s, "Metrics",
                   &(struct pinexq_href){.kind = PINEXQ_JOB, .id = job->id, .action = "Metrics"});
        siren_link(s, "Logs",
                   &(struct pinexq_href){.kind = PINEXQ_JOB, .id = job->id, .action = "Logs"});
    }
    siren_end(s);
}

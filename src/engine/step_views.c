/* step_views.c: answers about steps, jobs and artifacts: made, and let go of. */
#include "engine/engine_state.h"
#include "engine/step_seek.h"

#include <stdlib.h>

static void release_artifacts(const struct artifact **list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        artifact_free(list[i]);
    free(list);
}

void step_job_view_release(struct step_job_view *view)
{
    step_job_free(view->job);
    step_free(view->step);
    release_artifacts(view->inputs, view->input_count);
    release_artifacts(view->outputs, view->output_count);
    *view = (struct step_job_view){0};
}

static bool add(struct engine *e, const struct artifact **list, size_t *count, int64_t id,
                struct err *err)
{
    const struct artifact *a = steps_artifact(e, id, err);
    if (!a)
        return false;
    list[(*count)++] = artifact_hold(a);
    return true;
}

static bool add_all(struct engine *e, const struct step_job *job, struct step_job_view *view,
                    struct err *err)
{
    size_t inputs = 0;
    for (size_t i = 0; i < job->input_count; i++)
        inputs += job->inputs[i].count;
    view->inputs = inputs ? xcalloc(inputs, sizeof(void *)) : NULL;
    view->outputs = job->output_count ? xcalloc(job->output_count, sizeof(void *)) : NULL;
    for (size_t i = 0; i < job->input_count; i++)
        for (size_t k = 0; k < job->inputs[i].count; k++)
            if (!add(e, view->inputs, &view->input_count, job->inputs[i].ids[k], err))
                return false;
    for (size_t i = 0; i < job->output_count; i++)
        if (!add(e, view->outputs, &view->output_count, job->outputs[i].artifact, err))
            return false;
    return true;
}

bool step_job_view_make(struct engine *e, const struct step_job *job, struct step_job_view *view,
                        struct err *err)
{
    const struct step *step = steps_step_of(e, job);
    const struct task *t = dispatch_find(e->tasks->dispatch, job->id);
    *view = (struct step_job_view){.job = step_job_hold(job),
                                   .step = step ? step_hold(step) : NULL,
                                   .attempts = t ? (int64_t)t->attempts : 0};
    if (add_all(e, job, view, err))
        return true;
    step_job_view_release(view);
    return false;
}

void step_job_view_explain(const struct engine *e, struct step_job_view *view)
{
    const struct task *t = dispatch_find(e->tasks->dispatch, view->job->id);
    if (!t || job_state_is_final(view->job->state))
        return;
    view->explained = true;
    view->hold = task_explain(e, t, &view->held_by);
}

static void release_views(struct step_job_view *views, size_t count)
{
    for (size_t i = 0; i < count; i++)
        step_job_view_release(&views[i]);
    free(views);
}

static void release_place(struct step_place *place)
{
    if (place)
        free(place->text);
    free(place);
}

static void release_edit(struct op_step_job_edit *edit)
{
    if (edit->view)
        step_job_view_release(edit->view);
    free(edit->view);
}

static void release_steps(struct op_steps *steps)
{
    for (size_t i = 0; i < steps->count; i++)
        step_free(steps->views[i].step);
    free(steps->views);
    step_tags_release(&steps->found);
}

static void release_report(struct op_step_report_show *report)
{
    for (size_t i = 0; i < report->count; i++)
        free((char *)(uintptr_t)report->lines[i].message.ptr);
    free(report->lines);
    step_metrics_release(&report->metrics);
}

void step_op_release(struct op *op)
{
    switch (op->kind) {
    case OP_STEPS:
        release_steps(&op->steps);
        break;
    case OP_STEP_JOB_EDIT:
        release_edit(&op->step_job_edit);
        break;
    case OP_STEP_JOB_SHOW:
        step_job_view_release(&op->step_job_show.view);
        break;
    case OP_STEP_JOBS:
        release_views(op->step_jobs.views, op->step_jobs.count);
        step_seek_free(op->step_jobs.seek);
        release_place(op->step_jobs.last);
        step_tags_release(&op->step_jobs.tags);
        break;
    case OP_ARTIFACT_ADD:
        artifact_free(op->artifact_add.artifact);
        break;
    case OP_ARTIFACT_EDIT:
        artifact_free(op->artifact_edit.artifact);
        break;
    case OP_ARTIFACT_SHOW:
        artifact_free(op->artifact_show.artifact);
        break;
    case OP_ARTIFACTS:
        release_artifacts(op->artifacts.artifacts, op->artifacts.count);
        step_seek_free(op->artifacts.seek);
        release_place(op->artifacts.last);
        step_tags_release(&op->artifacts.tags);
        break;
    case OP_LINEAGE:
        release_views(op->lineage.jobs, op->lineage.count);
        artifact_free(op->lineage.of);
        break;
    case OP_STEP_REPORT:
        step_job_free(op->step_report.of);
        break;
    case OP_STEP_REPORT_SHOW:
        release_report(&op->step_report_show);
        break;
    case OP_FOLDERS:
        folder_op_release(&op->folders);
        break;
    case OP_STEP_TAGS:
        step_tags_release(&op->step_tags.tags);
        break;
    default:
        break;
    }
}

/* engine_doctor.c: holds store, ledger and outputs against each other and says what it finds. It
 * changes nothing; what it finds is what a promise would have been broken by. */
#include "base/json.h"
#include "engine/engine_state.h"

struct findings {
    struct json_out out;
    int64_t faults;
};

static void find(struct findings *f, bool fault, const struct data_job *job, const char *check,
                 const char *text)
{
    f->faults += fault;
    json_out_open(&f->out, '{');
    json_out_name(&f->out, "level");
    json_out_text(&f->out, fault ? "error" : "ok");
    json_out_name(&f->out, "job");
    json_out_text(&f->out, job ? job->row.name : NULL);
    json_out_name(&f->out, "check");
    json_out_text(&f->out, check);
    json_out_name(&f->out, "text");
    json_out_text(&f->out, text);
    json_out_close(&f->out, '}');
}

static void say_fault(void *context, const char *fault)
{
    find(context, true, NULL, "store", fault);
}

static void check_store(struct engine *e, struct findings *f)
{
    struct err err = {0};
    int64_t before = f->faults;
    if (!store_verify(e->store, say_fault, f, &err))
        find(f, true, NULL, "store", err.text);
    else if (f->faults == before)
        find(f, false, NULL, "store", "the store is sound");
}

static void check_ledger(struct data_job *job, struct findings *f)
{
    ledger_check(job->ledger);
    int64_t known = ledger_known(job->ledger), done = ledger_count(job->ledger, RECORD_DONE),
            failed = ledger_count(job->ledger, RECORD_FAILED);
    /* Done and written may differ: results sent with overwrite are written again, and a clean takes
     * the output away from under what is done. check_output holds written against the file. */
    OWNED_MEM char *text =
        xasprintf("%lld records known, %lld done, %lld failed, %lld written", (long long)known,
                  (long long)done, (long long)failed, (long long)job->live.written);
    find(f, false, job, "ledger", text);
}

static void check_input(struct engine *e, struct data_job *job, struct findings *f)
{
    struct err err = {0};
    if (job->spec.source_format == FORMAT_NONE || job->spec.source_format == FORMAT_PROGRAM)
        return;
    bool ok = data_job_check_input(e, job, &err);
    find(f, !ok, job, "input", ok ? "the input is the file that the job was started on" : err.text);
}

/* What the store still has of the output must be what the output holds. */
static void check_tail(struct engine *e, struct data_job *job, struct findings *f)
{
    struct err err = {0};
    const struct data_progress *p = &job->row.progress;
    OWNED_BUF struct buf tail;
    bool holds = false;
    buf_init(&tail, BUF_NO_CAP);
    if (!data_job_load_tail(e, job, &tail, &err) ||
        !sink_holds(job->sink, p->sink_bytes - p->tail_bytes, buf_str(&tail), &holds, &err)) {
        find(f, true, job, "output", err.text);
        return;
    }
    OWNED_MEM char *text =
        xasprintf("the last %lld bytes of the output are in the store too, and %s",
                  (long long)p->tail_bytes, holds ? "the same" : "others");
    find(f, !holds, job, "output", text);
}

static void check_output(struct engine *e, struct data_job *job, struct findings *f)
{
    struct err err = {0};
    int64_t lines = 0;
    if (job->spec.sink_format == FORMAT_NONE || job->row.progress.sink_bytes < 0)
        return;
    if (!data_job_need_sink(e, job, &err) || !sink_count_lines(job->sink, &lines, &err)) {
        find(f, true, job, "output", err.text);
        return;
    }
    OWNED_MEM char *text = xasprintf(
        "%lld lines in %lld committed bytes, %lld of them written by this job", (long long)lines,
        (long long)sink_length(job->sink), (long long)job->live.written);
    find(f, lines + order_count(job->order) < job->live.written, job, "output", text);
    if (job->row.progress.tail_bytes)
        check_tail(e, job, f);
}

static void say_task(void *context, const char *fault)
{
    find(context, true, NULL, "tasks", fault);
}

static void say_step(void *context, const char *fault)
{
    find(context, true, NULL, "steps", fault);
}

/* Counts against rows, edges, sessions; then memory against the store. */
static void check_tasks(struct engine *e, struct findings *f)
{
    struct err err = {0};
    int64_t before = f->faults, open = 0;
    OWNED(tx) struct tx *tx = NULL;
    if (!tx_begin(e->store, &tx, &err) || !task_store_check(tx, say_task, f, &err) ||
        !task_store_count_open(tx, &open, &err) || !step_job_store_check(tx, say_step, f, &err)) {
        find(f, true, NULL, "tasks", err.text);
        return;
    }
    int64_t known = e->tasks->unreadable ? -1 : (int64_t)dispatch_count(e->tasks->dispatch);
    OWNED_MEM char *text = xasprintf("%lld tasks have not ended, %lld are in memory",
                                     (long long)open, (long long)known);
    if (open != known || f->faults == before)
        find(f, open != known, NULL, "tasks", text);
}

static void say_flow(void *context, const char *fault)
{
    find(context, true, NULL, "flows", fault);
}

/* Counts against nodes; an open node has a task, and no other. */
static void check_flows(struct engine *e, struct findings *f)
{
    struct err err = {0};
    int64_t before = f->faults, open = 0, tasks = 0;
    const struct flows *flows = e->tasks->flows;
    OWNED(tx) struct tx *tx = NULL;
    if (!tx_begin(e->store, &tx, &err) || !flow_store_check(tx, say_flow, f, &err)) {
        find(f, true, NULL, "flows", err.text);
        return;
    }
    for (size_t i = 0; i < flows->count; i++) {
        const struct flow_job *flow = flows->list[i];
        open += flow->marks ? flow_marks_open(flow->marks) : 0;
        for (int64_t k = 0; k < flow->row.tasks; k++)
            tasks += dispatch_find(e->tasks->dispatch, flow->row.first_task + k) != NULL;
    }
    OWNED_MEM char *text =
        xasprintf("%zu flows: %lld of their nodes have not ended, and %lld tasks", flows->count,
                  (long long)open, (long long)tasks);
    if (open != tasks || f->faults == before)
        find(f, open != tasks, NULL, "flows", text);
}

static void say_blob(void *context, const char *fault)
{
    find(context, true, NULL, "blobs", fault);
}

static void check_blobs(struct engine *e, struct findings *f)
{
    struct err err = {0};
    int64_t before = f->faults, count = 0;
    if (!blobs_check(e, say_blob, f, &count, &err)) {
        find(f, true, NULL, "blobs", err.text);
        return;
    }
    OWNED_MEM char *text = xasprintf("%lld blobs have their files", (long long)count);
    if (f->faults == before)
        find(f, false, NULL, "blobs", text);
}

enum op_fate op_doctor(struct engine *e, struct op *op)
{
    struct findings f = {.faults = 0};
    if (!engine_flush(e, &op->err))
        return FATE_NOW;
    json_out_init(&f.out, &op->doctor.findings);
    json_out_open(&f.out, '[');
    check_store(e, &f);
    check_tasks(e, &f);
    if (!e->tasks->unreadable)
        check_flows(e, &f);
    check_blobs(e, &f);
    for (size_t i = 0; i < e->jobs.count; i++) {
        struct data_job *job = e->jobs.jobs[i];
        if (job->unreadable) {
            find(&f, true, job, "job", job->row.failure);
            continue;
        }
        check_ledger(job, &f);
        check_input(e, job, &f);
        check_output(e, job, &f);
        if (job_state_is_final(job->row.state))
            data_job_rest(job);
    }
    json_out_close(&f.out, ']');
    op->doctor.faults = f.faults;
    return FATE_NOW;
}

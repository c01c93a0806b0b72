/* native_task_view.c: how a task is shown (native.h). */
#include "http/native/native.h"
#include "http/native/native_large.h"

#include <math.h>

/* Why a task does not run, for programs and for people. */
static const struct {
    const char *word, *text;
} holds[] = {
    [HOLD_NOTHING] = {"next", "it is next, as soon as a worker asks for such tasks"},
    [HOLD_RUNS] = {"running", "it runs"},
    [HOLD_PARENTS] = {"parents", "it waits for other tasks to end"},
    [HOLD_PARENT_FAILED] =
        {"parent-failed", "a task that it waits for has not completed: it goes on when that one is "
                          "retried and does"},
    [HOLD_TIME] = {"time", "its time has not come"},
    [HOLD_LOCK] = {"lock", "another task has its lock, or comes before it"},
    [HOLD_QUEUE_PAUSED] = {"queue-paused", "its queue is paused"},
    [HOLD_FUNCTION_PAUSED] = {"function-paused", "its function is paused"},
    [HOLD_QUEUE_LIMIT] = {"queue-limit", "its queue's limit is used up"},
    [HOLD_FUNCTION_LIMIT] = {"function-limit", "its function's limit is used up"},
    [HOLD_KEY_LIMIT] = {"key-limit", "its key's limit is used up"},
    [HOLD_BEHIND] = {"behind", "another task comes before it"},
    [HOLD_NO_WORKER] = {"no-worker", "no worker that takes such tasks is connected"},
};

static void write_text(struct json_out *o, const char *name, const char *text)
{
    json_out_name(o, name);
    json_out_text(o, text);
}

static void write_number(struct json_out *o, const char *name, int64_t number)
{
    json_out_name(o, name);
    json_out_i64(o, number);
}

static void write_time(struct json_out *o, const char *name, int64_t at_us)
{
    json_out_name(o, name);
    native_time_write(o, at_us);
}

/* JSON as it is stored; null when there is none. */
static void write_raw(struct json_out *o, const char *name, const char *json)
{
    json_out_name(o, name);
    json_out_raw(o, json ? str_of(json) : STR("null"));
}

/* A text that lies in a blob: null when that cannot be read, which *fault says then. */
static void write_large(struct json_out *o, const char *name, struct task_texts *texts,
                        struct large_opened *opened, const char **fault)
{
    json_out_name(o, name);
    if (opened->reader) {
        large_answer_splice(texts->answer, o, opened);
        return;
    }
    *fault = opened->err.text;
    json_out_null(o);
}

static void write_texts(struct json_out *o, const struct task_view *v, struct task_texts *texts)
{
    const char *fault = NULL;
    if (v->arguments_blob.bytes)
        write_large(o, "arguments", texts, &texts->arguments, &fault);
    else
        write_raw(o, "arguments", v->arguments ? v->arguments : "{}");
    if (v->result_blob.bytes)
        write_large(o, "result", texts, &texts->result, &fault);
    else
        write_raw(o, "result", v->result);
    if (fault)
        write_text(o, "blob_error", fault);
}

static void write_options(struct json_out *o, const char *options)
{
    static const char *const names[] = {"retry", "timeout_s", "keep_s"};
    struct str raw = {NULL, 0};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        json_out_name(o, names[i]);
        if (options && json_find(str_of(options), names[i], &raw))
            json_out_raw(o, raw);
        else
            json_out_null(o);
    }
}

void native_explain_write(enum task_hold hold, int64_t by, struct json_out *o)
{
    json_out_name(o, "explain");
    if ((size_t)hold >= sizeof holds / sizeof *holds) {
        json_out_null(o);
        return;
    }
    json_out_open(o, '{');
    write_text(o, "hold", holds[hold].word);
    write_text(o, "text", holds[hold].text);
    json_out_name(o, "by");
    if (by > 0)
        json_out_i64(o, by);
    else
        json_out_null(o);
    json_out_close(o, '}');
}

static void write_parents(struct json_out *o, const struct task_view *v)
{
    json_out_name(o, "after");
    json_out_open(o, '[');
    for (size_t i = 0; i < v->parent_count; i++)
        json_out_i64(o, v->parents[i]);
    json_out_close(o, ']');
    write_number(o, "after_open", (int64_t)v->parents_open);
}

static void write_run(struct json_out *o, const struct task_view *v)
{
    write_text(o, "worker", v->worker);
    json_out_name(o, "progress");
    json_out_double(o, v->state == JOB_RUNNING && v->progress >= 0 ? v->progress : (double)NAN);
    write_text(o, "progress_text", v->progress_text);
    write_text(o, "abort", v->abort == ABORT_NOT ? NULL : task_abort_name(v->abort));
}

void native_task_write(const struct task_view *v, bool whole, struct task_texts *texts,
                       struct json_out *o)
{
    json_out_open(o, '{');
    write_number(o, "id", v->id);
    write_text(o, "function", v->function);
    write_text(o, "queue", v->queue);
    write_text(o, "state", job_state_name(v->state));
    write_number(o, "priority", v->priority);
    write_text(o, "key", v->key);
    write_text(o, "batch", v->batch);
    write_text(o, "lock", v->lock);
    write_text(o, "unique", v->unique);
    write_number(o, "attempts", v->attempts);
    write_number(o, "max_attempts", v->max_attempts);
    write_number(o, "fence", v->fence);
    write_run(o, v);
    write_raw(o, "error", v->error);
    write_time(o, "created_at", v->created_at_us);
    write_time(o, "run_at", v->run_at_us);
    write_time(o, "started_at", v->started_at_us);
    write_time(o, "ended_at", v->ended_at_us);
    if (whole) {
        native_explain_write(job_state_is_final(v->state) ? HOLD_COUNT : v->hold, v->held_by, o);
        write_parents(o, v);
        write_options(o, v->options);
        write_texts(o, v, texts);
    }
    json_out_close(o, '}');
}

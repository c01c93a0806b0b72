/* new_tasks.c: see new_tasks.h. */
#include "http/native/new_tasks.h"

#include "core/task.h"
#include "http/native/native_value.h"

#include <stdlib.h>

#define SECOND_US INT64_C(1000000)
#define YEAR_US (366 * 24 * 3600 * SECOND_US)
#define DELAY_MAX_US (100 * YEAR_US)
#define TIMEOUT_MIN_US (SECOND_US / 1000)
enum { TASKS_FIRST = 4 };

/* The members that are kept as they are: they make the task's options. */
enum option { OPTION_RETRY, OPTION_TIMEOUT, OPTION_KEEP, OPTION_COUNT };
static const char *const option_names[] = {"retry", "timeout_s", "keep_s"};

/* A task on its way. */
struct reading {
    struct new_tasks *list;
    bool settled; /* within a settlement */
    struct task_new *task;
    struct str options[OPTION_COUNT]; /* raw; empty: not given */
};

void new_tasks_release(struct new_tasks *l)
{
    free(l->tasks);
    free(l->after);
    if (l->tasks)
        buf_release(&l->options);
    *l = (struct new_tasks){0};
}

/* --- members, a function each --- */

static bool read_function(struct reading *r, const char *name, struct str raw, struct err *err)
{
    return value_name(name, raw, &r->task->function, err);
}

static bool read_queue(struct reading *r, const char *name, struct str raw, struct err *err)
{
    return value_name(name, raw, &r->task->queue, err);
}

static bool read_arguments(struct reading *r, const char *name, struct str raw, struct err *err)
{
    (void)name, (void)err;
    r->task->arguments = raw;
    return true;
}

static bool read_priority(struct reading *r, const char *name, struct str raw, struct err *err)
{
    return value_i64(name, raw, TASK_PRIORITY_MIN, TASK_PRIORITY_MAX, &r->task->priority, err);
}

static bool read_key(struct reading *r, const char *name, struct str raw, struct err *err)
{
    return value_name(name, raw, &r->task->key, err);
}

static bool read_batch(struct reading *r, const char *name, struct str raw, struct err *err)
{
    return value_name(name, raw, &r->task->batch, err);
}

static bool read_lock(struct reading *r, const char *name, struct str raw, struct err *err)
{
    return value_name(name, raw, &r->task->lock, err);
}

static bool read_run_at(struct reading *r, const char *name, struct str raw, struct err *err)
{
    int64_t at_us = 0;
    if (!value_time(name, raw, &at_us, err))
        return false;
    /* What is long ago is now. */
    r->task->run_at_us = at_us > 0 ? at_us : 0;
    return true;
}

static bool read_delay(struct reading *r, const char *name, struct str raw, struct err *err)
{
    return value_seconds(name, raw, 0, DELAY_MAX_US, &r->task->delay_us, err);
}

static bool read_attempts(struct reading *r, const char *name, struct str raw, struct err *err)
{
    return value_i64(name, raw, 1, TASK_ATTEMPTS_MAX, &r->task->max_attempts, err);
}

/* One member of `unique`. */
static bool read_unique_member(struct task_new *t, struct str name, struct str raw, struct err *err)
{
    static const char *const whiles[] = {"pending", "unfinished", "stored", NULL},
                             *const clashes[] = {"existing", "refuse", "replace", NULL};
    int word = -1;
    if (json_name_is(name, "key"))
        return value_name("unique.key", raw, &t->unique, err);
    if (json_name_is(name, "while")) {
        if (!value_word("unique.while", raw, whiles, &word, err))
            return false;
        if (word >= 0)
            t->unique_while = (enum unique_while)word;
        return true;
    }
    if (json_name_is(name, "on_clash")) {
        if (!value_word("unique.on_clash", raw, clashes, &word, err))
            return false;
        if (word >= 0)
            t->on_clash = (enum unique_clash)word;
        return true;
    }
    return err_set(err, ERR_INVALID, "unique: expected key, while and on_clash only, not %.*s",
                   value_shown(name), name.ptr);
}

static bool read_unique(struct reading *r, const char *name, struct str raw, struct err *err)
{
    struct json_names seen = {0};
    struct json j;
    struct str member, value;
    if (json_type_of(raw) == JSON_NULL)
        return true;
    if (json_type_of(raw) != JSON_OBJECT)
        return value_wrong(err, name, "an object", raw);
    json_open(&j, raw);
    json_enter(&j, '{');
    while (json_member(&j, &member) && json_value(&j, &value))
        if (!value_once(&seen, member, err))
            return value_within(err, name);
        else if (!read_unique_member(r->task, member, value, err))
            return false;
    return r->task->unique.len > 0 || err_set(err, ERR_INVALID, "unique.key: is required");
}

static bool read_after(struct reading *r, const char *name, struct str raw, struct err *err)
{
    struct new_tasks *l = r->list;
    size_t before = l->after_count;
    if (!value_ids(name, raw, INT64_MIN, &l->after, &l->after_count, &l->after_cap, err))
        return false;
    r->task->after_count = l->after_count - before;
    if (r->task->after_count > TASK_AFTER_MAX || l->after_count > NEW_TASKS_AFTER_MAX)
        return err_set(err, ERR_LIMIT, "%s: more than %d tasks to wait for", name,
                       r->task->after_count > TASK_AFTER_MAX ? TASK_AFTER_MAX
                                                             : NEW_TASKS_AFTER_MAX);
    return true;
}

static bool read_after_when(struct reading *r, const char *name, struct str raw, struct err *err)
{
    static const char *const words[] = {"completed", "ended", NULL};
    int word = 0;
    if (!value_word(name, raw, words, &word, err))
        return false;
    r->task->after_when = (enum after_when)word;
    return true;
}

static bool read_retry(struct reading *r, const char *name, struct str raw, struct err *err)
{
    r->options[OPTION_RETRY] = raw;
    return value_retry(name, raw, err);
}

static bool read_timeout(struct reading *r, const char *name, struct str raw, struct err *err)
{
    int64_t us = 0;
    r->options[OPTION_TIMEOUT] = raw;
    return value_seconds(name, raw, TIMEOUT_MIN_US, YEAR_US, &us, err);
}

static bool read_keep(struct reading *r, const char *name, struct str raw, struct err *err)
{
    int64_t us = 0;
    r->options[OPTION_KEEP] = raw;
    return value_seconds(name, raw, 0, DELAY_MAX_US, &us, err);
}

static bool read_of(struct reading *r, const char *name, struct str raw, struct err *err)
{
    if (!r->settled)
        return err_set(err, ERR_INVALID, "%s: goes with a settlement only", name);
    return value_i64(name, raw, 1, INT64_MAX, &r->task->of, err);
}

static const struct task_member {
    struct str name;
    bool (*read)(struct reading *r, const char *name, struct str raw, struct err *err);
} members[] = {
    {STR_INIT("function"), read_function},
    {STR_INIT("queue"), read_queue},
    {STR_INIT("arguments"), read_arguments},
    {STR_INIT("priority"), read_priority},
    {STR_INIT("key"), read_key},
    {STR_INIT("batch"), read_batch},
    {STR_INIT("lock"), read_lock},
    {STR_INIT("max_attempts"), read_attempts},
    {STR_INIT("retry"), read_retry},
    {STR_INIT("unique"), read_unique},
    {STR_INIT("after"), read_after},
    {STR_INIT("after_when"), read_after_when},
    {STR_INIT("delay_s"), read_delay},
    {STR_INIT("run_at"), read_run_at},
    {STR_INIT("timeout_s"), read_timeout},
    {STR_INIT("keep_s"), read_keep},
    {STR_INIT("of"), read_of},
};

/* Names are seldom written with escapes. */
static bool is_named(struct str raw_name, struct str name)
{
    if (raw_name.len == name.len + 2 && memcmp(raw_name.ptr + 1, name.ptr, name.len) == 0)
        return true;
    return memchr(raw_name.ptr, '\\', raw_name.len) && json_name_is(raw_name, name.ptr);
}

static bool read_member(struct reading *r, struct str raw_name, struct str raw, struct err *err)
{
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (is_named(raw_name, members[i].name))
            return members[i].read(r, members[i].name.ptr, raw, err);
    return value_unknown(err, raw_name);
}

/* --- a task, a list --- */

static void keep_options(struct reading *r)
{
    struct json_out o;
    struct buf *b = &r->list->options;
    size_t before = b->len;
    json_out_init(&o, b);
    for (size_t i = 0; i < OPTION_COUNT; i++)
        if (r->options[i].len > 0 && json_type_of(r->options[i]) != JSON_NULL) {
            if (b->len == before)
                json_out_open(&o, '{');
            json_out_name(&o, option_names[i]);
            json_out_raw(&o, r->options[i]);
        }
    if (b->len > before)
        json_out_close(&o, '}');
    /* Where they will be is known when all are there: point_into. */
    r->task->options = (struct str){NULL, b->len - before};
}

static struct task_new *add_task(struct new_tasks *l)
{
    if (l->count == l->cap) {
        if (!l->tasks)
            buf_init(&l->options, BUF_NO_CAP);
        l->cap = l->cap ? 2 * l->cap : TASKS_FIRST;
        l->tasks = xrealloc(l->tasks, l->cap * sizeof *l->tasks);
    }
    struct task_new *t = &l->tasks[l->count++];
    *t = (struct task_new){.unique_while = UNIQUE_UNFINISHED};
    return t;
}

/* The members of a task, which the cursor stands before; a fault of it is the caller's to see. */
static bool read_members(struct new_tasks *l, struct json *j, bool settled, struct err *err)
{
    struct reading r = {.list = l, .settled = settled, .task = add_task(l)};
    struct json_names seen = {0};
    struct str name, raw;
    json_enter(j, '{');
    while (json_member(j, &name) && json_value(j, &raw))
        if (!value_once(&seen, name, err) || !read_member(&r, name, raw, err))
            return false;
    if (j->fault)
        return true;
    if (r.task->function.len == 0)
        return err_set(err, ERR_INVALID, "function: is required");
    if (r.task->run_at_us && r.task->delay_us)
        return err_set(err, ERR_INVALID, "delay_s: goes without run_at");
    keep_options(&r);
    return true;
}

static bool read_task(struct new_tasks *l, struct json *j, bool settled, const char *list,
                      size_t index, struct err *err)
{
    struct str raw;
    if (json_peek(j) == JSON_OBJECT)
        return read_members(l, j, settled, err) || value_place(err, list, index);
    return !json_value(j, &raw) ||
           err_set(err, ERR_INVALID, "%s[%zu]: expected an object, not %.*s", list, index,
                   value_shown(raw), raw.ptr);
}

/* Everything is read and moves no more. Parents in this list must be in it. */
static bool point_into(struct new_tasks *l, const char *list, struct err *err)
{
    const int64_t *after = l->after;
    const char *options = l->options.data;
    for (size_t i = 0; i < l->count; i++) {
        struct task_new *t = &l->tasks[i];
        for (size_t k = 0; k < t->after_count; k++)
            if (after[k] == 0 || after[k] < -(int64_t)l->count) {
                err_set(err, ERR_INVALID,
                        "after[%zu]: %lld is neither an id nor a place in this list of %zu (-1 to "
                        "-%zu)",
                        k, (long long)after[k], l->count, l->count);
                return value_place(err, list, i);
            }
        t->after = t->after_count ? after : NULL;
        after = t->after_count ? after + t->after_count : after;
        t->options.ptr = t->options.len ? options : NULL;
        options = t->options.len ? options + t->options.len : options;
    }
    return true;
}

bool new_tasks_read_list(struct new_tasks *l, struct json *j, const char *name, bool settled,
                         struct err *err)
{
    struct str raw;
    if (json_peek(j) != JSON_ARRAY)
        return !json_value(j, &raw) || json_type_of(raw) == JSON_NULL ||
               value_wrong(err, name, "a list of tasks", raw);
    json_enter(j, '[');
    for (size_t i = 0; json_item(j); i++) {
        if (i == NEW_TASKS_MAX)
            return err_set(err, ERR_LIMIT, "%s: more than %d tasks at once", name, NEW_TASKS_MAX);
        if (!read_task(l, j, settled, name, i, err))
            return false;
    }
    return j->fault || point_into(l, name, err);
}

bool new_tasks_read(struct new_tasks *l, char *body, size_t len, struct err *err)
{
    struct json j;
    struct str name;
    bool given = false;
    json_open(&j, (struct str){body, len});
    if (json_enter(&j, '{'))
        while (json_member(&j, &name)) {
            if (!json_name_is(name, "tasks"))
                return value_unknown(err, name);
            if (given)
                return err_set(err, ERR_INVALID, "tasks: is given twice");
            given = json_peek(&j) != JSON_NULL;
            if (!new_tasks_read_list(l, &j, "tasks", false, err))
                return false;
        }
    if (!json_end(&j))
        return value_fault(err, &j);
    return given || err_set(err, ERR_INVALID, "tasks: is required");
}

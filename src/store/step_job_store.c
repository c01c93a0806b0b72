/* step_job_store.c: see step_job_store.h. */
#include "store/step_job_store.h"

#include "store/step_list.h"
#include "store/step_log_store.h"
#include "store/step_store.h"

#include <inttypes.h>
#include <stdlib.h>

/* --- rows --- */

static const char sql_insert[] =
    "INSERT INTO step_job (id, owner, state, name, step_id, parent, hidden, output_deletable,"
    " sub_jobs, priority, max_attempts, fence, created_at_us, scheduled_at_us, started_at_us,"
    " ended_at_us, created_by, folder, tags, options, worker, error, parameters, arguments, result)"
    " VALUES (:id, :owner, :state, :name, :step, :parent, :hidden, :output_deletable, :sub_jobs,"
    " :priority, :max_attempts, :fence, :created_at_us, :scheduled_at_us, :started_at_us,"
    " :ended_at_us, :created_by, :folder, :tags, :options, :worker, :error, :parameters,"
    " :arguments, :result)";
/* What changes in a job's life once it is configured. */
static const char sql_move[] =
    "UPDATE step_job SET state = :state, sub_jobs = :sub_jobs, fence = :fence,"
    " started_at_us = :started_at_us, ended_at_us = :ended_at_us, worker = :worker,"
    " error = :error, result = :result WHERE id = :id";
static const char sql_update[] =
    "UPDATE step_job SET state = :state, name = :name, step_id = :step, hidden = :hidden,"
    " output_deletable = :output_deletable, sub_jobs = :sub_jobs, priority = :priority,"
    " max_attempts = :max_attempts, fence = :fence, scheduled_at_us = :scheduled_at_us,"
    " started_at_us = :started_at_us, ended_at_us = :ended_at_us, folder = :folder, tags = :tags,"
    " options = :options, worker = :worker, error = :error, parameters = :parameters,"
    " arguments = :arguments, result = :result WHERE id = :id";
static const char sql_delete[] = "DELETE FROM step_job WHERE id = :id";
static const char sql_read[] =
    "SELECT id, owner, state, name, step_id, parent, hidden, output_deletable, sub_jobs, priority,"
    " max_attempts, fence, created_at_us, scheduled_at_us, started_at_us, ended_at_us, created_by,"
    " folder, tags, options, worker, error, parameters, arguments, result"
    " FROM step_job WHERE id = :id";
static const char sql_add_input[] = "INSERT INTO step_input (job, slot, place, artifact)"
                                    " VALUES (:job, :slot, :place, :artifact)";
static const char sql_drop_inputs[] = "DELETE FROM step_input WHERE job = :job";
static const char sql_inputs[] =
    "SELECT slot, artifact FROM step_input WHERE job = :job ORDER BY slot, place";
static const char sql_outputs[] =
    "SELECT id, slot, place FROM artifact INDEXED BY artifact_job WHERE job = :job AND job > 0"
    " ORDER BY slot, place";
static const char sql_last_time[] = "SELECT coalesce(max(created_at_us), 0) FROM step_job"
                                    " WHERE id = (SELECT max(id) FROM step_job)";

static void bind_moves(struct stmt *q, const struct step_job *job)
{
    stmt_bind_i64(q, ":id", job->id);
    stmt_bind_i64(q, ":state", job->state);
    stmt_bind_i64(q, ":sub_jobs", job->sub_jobs);
    stmt_bind_i64(q, ":fence", job->fence);
    stmt_bind_i64(q, ":started_at_us", job->started_at_us);
    stmt_bind_i64(q, ":ended_at_us", job->ended_at_us);
    stmt_bind_text(q, ":worker", job->worker);
    stmt_bind_text(q, ":error", job->error);
    stmt_bind_str(q, ":result", str_of(job->result));
}

static void bind_configuration(struct stmt *q, const struct step_job *job, const struct buf *tags)
{
    stmt_bind_text(q, ":name", job->name);
    stmt_bind_i64(q, ":step", job->step);
    stmt_bind_i64(q, ":hidden", job->hidden);
    stmt_bind_i64(q, ":output_deletable", job->output_deletable);
    stmt_bind_i64(q, ":priority", job->priority);
    stmt_bind_i64(q, ":max_attempts", job->max_attempts);
    stmt_bind_i64(q, ":scheduled_at_us", job->scheduled_at_us);
    stmt_bind_text(q, ":folder", job->folder);
    stmt_bind_str(q, ":tags", buf_str(tags));
    stmt_bind_text(q, ":options", job->options);
    stmt_bind_str(q, ":parameters", str_of(job->parameters));
    stmt_bind_str(q, ":arguments", str_of(job->arguments));
}

static bool text_same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Whether only its life went on. */
static bool only_moved(const struct step_job *a, const struct step_job *b)
{
    return a->step == b->step && a->hidden == b->hidden &&
           a->output_deletable == b->output_deletable && a->priority == b->priority &&
           a->max_attempts == b->max_attempts && a->scheduled_at_us == b->scheduled_at_us &&
           text_same(a->name, b->name) && text_same(a->folder, b->folder) &&
           text_same(a->options, b->options) && text_same(a->parameters, b->parameters) &&
           text_same(a->arguments, b->arguments) && step_tags_same(&a->tags, &b->tags);
}

static bool put_row(struct tx *tx, const struct step_job *before, const struct step_job *job,
                    struct err *err)
{
    bool moves = before && only_moved(before, job);
    OWNED_BUF struct buf tags;
    OWNED(stmt)
    struct stmt *q = tx_query(tx, moves ? sql_move : before ? sql_update : sql_insert, err);
    buf_init(&tags, BUF_NO_CAP);
    if (!q)
        return false;
    bind_moves(q, job);
    if (!moves) {
        step_tags_write(&job->tags, &tags);
        bind_configuration(q, job, &tags);
    }
    if (!before) {
        stmt_bind_text(q, ":owner", job->owner);
        stmt_bind_i64(q, ":parent", job->parent);
        stmt_bind_i64(q, ":created_at_us", job->created_at_us);
        stmt_bind_text(q, ":created_by", job->created_by);
    }
    return stmt_run(q, NULL, err);
}

static bool run_with_job(struct tx *tx, const char *sql, const char *name, int64_t id,
                         struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql, err);
    if (!q)
        return false;
    stmt_bind_i64(q, name, id);
    return stmt_run(q, NULL, err);
}

/* --- inputs --- */

static bool inputs_same(const struct step_job *a, const struct step_job *b)
{
    if (a->input_count != b->input_count)
        return false;
    for (size_t i = 0; i < a->input_count; i++) {
        const struct step_fill *x = &a->inputs[i], *y = &b->inputs[i];
        if (x->count != y->count ||
            (x->count && memcmp(x->ids, y->ids, x->count * sizeof *x->ids) != 0))
            return false;
    }
    return true;
}

static bool has_inputs(const struct step_job *job)
{
    for (size_t i = 0; job && i < job->input_count; i++)
        if (job->inputs[i].count)
            return true;
    return false;
}

static bool add_inputs(struct tx *tx, const struct step_job *job, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_add_input, err);
    if (!q)
        return false;
    for (size_t slot = 0; slot < job->input_count; slot++)
        for (size_t place = 0; place < job->inputs[slot].count; place++) {
            stmt_bind_i64(q, ":job", job->id);
            stmt_bind_i64(q, ":slot", (int64_t)slot);
            stmt_bind_i64(q, ":place", (int64_t)place);
            stmt_bind_i64(q, ":artifact", job->inputs[slot].ids[place]);
            if (!stmt_run(q, NULL, err))
                return false;
        }
    return true;
}

static bool change_inputs(struct tx *tx, const struct step_job *before,
                          const struct step_job *after, struct err *err)
{
    if (before && after && inputs_same(before, after))
        return true;
    return (!has_inputs(before) || run_with_job(tx, sql_drop_inputs, ":job", before->id, err)) &&
           (!has_inputs(after) || add_inputs(tx, after, err));
}

/* A job that was never started has logged nothing. */
static bool forget(struct tx *tx, const struct step_job *job, struct err *err)
{
    return run_with_job(tx, sql_delete, ":id", job->id, err) &&
           (!job->scheduled_at_us || step_log_store_forget(tx, job->id, err));
}

bool step_job_store_change(struct tx *tx, const struct step_job *before,
                           const struct step_job *after, struct err *err)
{
    const struct step_job *any = after ? after : before;
    if (!any)
        return true;
    if ((after ? put_row(tx, before, after, err) : forget(tx, before, err)) &&
        change_inputs(tx, before, after, err) &&
        step_tag_store_change(tx, STEP_THING_JOB, any->id, str_of(any->owner),
                              before ? &before->tags : NULL, after ? &after->tags : NULL, err))
        return true;
    return err_add(err, "store step job %" PRId64, any->id);
}

/* --- reading --- */

static struct step_job *job_of_row(struct stmt *q)
{
    struct step_job *job = step_job_new();
    job->id = stmt_i64(q, 0);
    job->owner = stmt_take_text(q, 1);
    job->state = (enum job_state)stmt_i64(q, 2);
    job->name = stmt_take_text(q, 3);
    job->step = stmt_i64(q, 4);
    job->parent = stmt_i64(q, 5);
    job->hidden = stmt_i64(q, 6) != 0;
    job->output_deletable = stmt_i64(q, 7) != 0;
    job->sub_jobs = stmt_i64(q, 8);
    job->priority = stmt_i64(q, 9);
    job->max_attempts = stmt_i64(q, 10);
    job->fence = stmt_i64(q, 11);
    job->created_at_us = stmt_i64(q, 12);
    job->scheduled_at_us = stmt_i64(q, 13);
    job->started_at_us = stmt_i64(q, 14);
    job->ended_at_us = stmt_i64(q, 15);
    job->created_by = stmt_take_text(q, 16);
    job->folder = stmt_take_text(q, 17);
    step_tags_read(stmt_text(q, 18), &job->tags);
    job->options = stmt_take_text(q, 19);
    job->worker = stmt_take_text(q, 20);
    job->error = stmt_take_text(q, 21);
    job->parameters = stmt_take_text(q, 22);
    job->arguments = stmt_take_text(q, 23);
    job->result = stmt_take_text(q, 24);
    return job;
}

static void add_to_fill(struct step_job *job, int64_t slot, int64_t artifact)
{
    if (slot < 0 || slot >= STEP_SLOTS_MAX)
        return;
    if ((size_t)slot >= job->input_count) {
        job->inputs = xrealloc(job->inputs, ((size_t)slot + 1) * sizeof *job->inputs);
        for (; job->input_count <= (size_t)slot; job->input_count++)
            job->inputs[job->input_count] = (struct step_fill){NULL, 0};
    }
    struct step_fill *fill = &job->inputs[slot];
    fill->ids = xrealloc(fill->ids, (fill->count + 1) * sizeof *fill->ids);
    fill->ids[fill->count++] = artifact;
}

static bool read_inputs(struct tx *tx, struct step_job *job, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_inputs, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":job", job->id);
    enum row got = ROW_FAILED;
    while ((got = stmt_step(q, err)) == ROW_HERE)
        add_to_fill(job, stmt_i64(q, 0), stmt_i64(q, 1));
    return got == ROW_NONE;
}

static bool read_outputs(struct tx *tx, struct step_job *job, struct err *err)
{
    int64_t ignored = 0;
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_outputs, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":job", job->id);
    enum row got = ROW_FAILED;
    while ((got = stmt_step(q, err)) == ROW_HERE)
        step_job_add_output(job, stmt_i64(q, 0), stmt_i64(q, 1), stmt_i64(q, 2), &ignored);
    return got == ROW_NONE;
}

static bool read_row(struct tx *tx, int64_t id, struct step_job **out, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_read, err);
    if (!q)
        return false;
    stmt_bind_i64(q, ":id", id);
    enum row got = stmt_step(q, err);
    *out = got == ROW_HERE ? job_of_row(q) : NULL;
    return got != ROW_FAILED;
}

bool step_job_store_read(struct tx *tx, int64_t id, struct step_job **out, struct err *err)
{
    struct step_job *job = NULL;
    bool ok = read_row(tx, id, &job, err) &&
              (!job || (read_inputs(tx, job, err) && read_outputs(tx, job, err)));
    if (!ok) {
        step_job_free(job);
        return err_add(err, "read step job %" PRId64, id);
    }
    *out = job;
    return true;
}

bool step_job_store_last_time(struct tx *tx, int64_t *out, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_last_time, err);
    return q && stmt_only_i64(q, out, err) == ROW_HERE;
}

/* --- lists --- */

#define JOBS_THAT                                                                                  \
    STEP_LIST_WHERE("j", "1")                                                                      \
    " AND (:state IS NULL OR j.state = :state)"                                                    \
    " AND (:parent = 0 OR j.parent = :parent)"                                                     \
    " AND (:sub_job IS NULL OR (j.parent > 0) = :sub_job)"                                         \
    " AND (:artifact = 0"                                                                          \
    "  OR EXISTS (SELECT 1 FROM step_input i WHERE i.artifact = :artifact AND i.job = j.id))"

#define OWNED_BY(index) " FROM step_job j INDEXED BY " index " WHERE j.owner = :owner AND"
#define IN_STATE                                                                                   \
    " FROM step_job j INDEXED BY step_job_state WHERE j.owner = :owner AND j.state = :state AND"
#define IN_FOLDER                                                                                  \
    " FROM step_job j INDEXED BY step_job_folder WHERE j.owner = :owner AND j.folder = :folder"    \
    " AND"
#define TAGGED STEP_LIST_TAGGED("step_job", "j", "1")
#define WITH_TAG STEP_LIST_WITH_TAG("step_job", "j", "1")
#define UNDER_PARENT                                                                               \
    " FROM step_job j INDEXED BY step_job_parent WHERE j.parent = :parent AND j.parent > 0"        \
    " AND j.owner = :owner AND"
#define OF_STEP                                                                                    \
    " FROM step_job j INDEXED BY step_job_step WHERE j.step_id = :step AND j.step_id > 0"          \
    " AND j.owner = :owner AND"
#define WITH_INPUT                                                                                 \
    " FROM (SELECT DISTINCT i.job AS id FROM step_input i WHERE i.artifact = :artifact) g"         \
    " CROSS JOIN step_job j ON j.id = g.id WHERE j.owner = :owner AND"

#define BY_CREATED(from)                                                                           \
    {                                                                                              \
        "SELECT j.id" from JOBS_THAT STEP_ORDER_OLD("j"),                                          \
            "SELECT j.id" from JOBS_THAT STEP_ORDER_NEW("j")                                       \
    }
/* The same where the tags' index leads. */
#define BY_TAG                                                                                     \
    {                                                                                              \
        "SELECT j.id" WITH_TAG JOBS_THAT STEP_ORDER_OLD("g"),                                      \
            "SELECT j.id" WITH_TAG JOBS_THAT STEP_ORDER_NEW("g")                                   \
    }
#define BY_COLUMN(from, column, after)                                                             \
    {                                                                                              \
        "SELECT j.id, j." column from JOBS_THAT STEP_ORDER_UP("j", column, after),                 \
            "SELECT j.id, j." column from JOBS_THAT STEP_ORDER_DOWN("j", column, after)            \
    }
#define ALL_ORDERS(from)                                                                           \
    {                                                                                              \
        BY_CREATED(from), BY_COLUMN(from, "name", ":after_text"),                                  \
            BY_COLUMN(from, "ended_at_us", ":after_number")                                        \
    }

/* How a list is found: by what narrows it most. */
enum way {
    WAY_ALL,
    WAY_STATE,
    WAY_TAG,
    WAY_TAGS,
    WAY_PARENT,
    WAY_STEP,
    WAY_FOLDER,
    WAY_INPUT,
    WAY_COUNT
};
enum { SORTS = STEP_SORT_ENDED + 1 };

static const char *const sql_list[WAY_COUNT][SORTS][2] = {
    [WAY_ALL] = {BY_CREATED(OWNED_BY("step_job_owner")),
                 BY_COLUMN(OWNED_BY("step_job_name"), "name", ":after_text"),
                 BY_COLUMN(OWNED_BY("step_job_ended"), "ended_at_us", ":after_number")},
    [WAY_STATE] = ALL_ORDERS(IN_STATE),
    [WAY_TAG] = {BY_TAG, BY_COLUMN(WITH_TAG, "name", ":after_text"),
                 BY_COLUMN(WITH_TAG, "ended_at_us", ":after_number")},
    [WAY_TAGS] = ALL_ORDERS(TAGGED),
    [WAY_PARENT] = ALL_ORDERS(UNDER_PARENT),
    [WAY_STEP] = ALL_ORDERS(OF_STEP),
    [WAY_FOLDER] = ALL_ORDERS(IN_FOLDER),
    [WAY_INPUT] = ALL_ORDERS(WITH_INPUT),
};
#define INPUT_IN_RANGE                                                                             \
    " FROM (SELECT DISTINCT i.job AS id FROM step_input i WHERE i.artifact = :artifact"            \
    "  AND i.job > :range_after AND i.job <= :range_to) g"                                         \
    " CROSS JOIN step_job j ON j.id = g.id WHERE j.owner = :owner AND"
/* What a filter finds in a range, by each way in. */
#define FOUND_ALL OWNED_BY("step_job_owner") JOBS_THAT STEP_RANGE("j")
#define FOUND_STATE IN_STATE JOBS_THAT STEP_RANGE("j")
#define FOUND_TAG WITH_TAG JOBS_THAT STEP_RANGE("g")
#define FOUND_TAGS STEP_RANGE_TAGGED("step_job", "j", "1") JOBS_THAT
#define FOUND_PARENT UNDER_PARENT JOBS_THAT STEP_RANGE("j")
#define FOUND_STEP OF_STEP JOBS_THAT STEP_RANGE("j")
#define FOUND_FOLDER IN_FOLDER JOBS_THAT STEP_RANGE("j")
#define FOUND_INPUT INPUT_IN_RANGE JOBS_THAT

static const char *const sql_count[WAY_COUNT] = {
    [WAY_ALL] = STEP_RANGE_COUNT(FOUND_ALL),       [WAY_STATE] = STEP_RANGE_COUNT(FOUND_STATE),
    [WAY_TAG] = STEP_RANGE_COUNT(FOUND_TAG),       [WAY_TAGS] = STEP_RANGE_COUNT(FOUND_TAGS),
    [WAY_PARENT] = STEP_RANGE_COUNT(FOUND_PARENT), [WAY_STEP] = STEP_RANGE_COUNT(FOUND_STEP),
    [WAY_FOLDER] = STEP_RANGE_COUNT(FOUND_FOLDER), [WAY_INPUT] = STEP_RANGE_COUNT(FOUND_INPUT),
};
#define FOUND(found) STEP_RANGE_FOUND("j", "j.name, j.ended_at_us", found)
static const char *const sql_found[WAY_COUNT] = {
    [WAY_ALL] = FOUND(FOUND_ALL),       [WAY_STATE] = FOUND(FOUND_STATE),
    [WAY_TAG] = FOUND(FOUND_TAG),       [WAY_TAGS] = FOUND(FOUND_TAGS),
    [WAY_PARENT] = FOUND(FOUND_PARENT), [WAY_STEP] = FOUND(FOUND_STEP),
    [WAY_FOLDER] = FOUND(FOUND_FOLDER), [WAY_INPUT] = FOUND(FOUND_INPUT),
};
static const char *const sql_tags[WAY_COUNT] = {
    [WAY_ALL] = STEP_RANGE_TAGS("j", FOUND_ALL),
    [WAY_STATE] = STEP_RANGE_TAGS("j", FOUND_STATE),
    [WAY_TAG] = STEP_RANGE_TAGS("j", FOUND_TAG),
    [WAY_TAGS] = STEP_RANGE_TAGS("j", FOUND_TAGS),
    [WAY_PARENT] = STEP_RANGE_TAGS("j", FOUND_PARENT),
    [WAY_STEP] = STEP_RANGE_TAGS("j", FOUND_STEP),
    [WAY_FOLDER] = STEP_RANGE_TAGS("j", FOUND_FOLDER),
    [WAY_INPUT] = STEP_RANGE_TAGS("j", FOUND_INPUT),
};
static const char *const sql_range_end[WAY_COUNT] = {
    [WAY_ALL] = STEP_RANGE_END("j", " FROM step_job j INDEXED BY step_job_owner"
                                    " WHERE j.owner = :owner"),
    [WAY_STATE] = STEP_RANGE_END("j", " FROM step_job j INDEXED BY step_job_state"
                                      " WHERE j.owner = :owner AND j.state = :state"),
    [WAY_TAG] = STEP_RANGE_END_WITH_TAG("1"),
    [WAY_TAGS] = STEP_RANGE_END_TAGGED("1"),
    [WAY_PARENT] = STEP_RANGE_END("j", " FROM step_job j INDEXED BY step_job_parent"
                                       " WHERE j.parent = :parent AND j.parent > 0"),
    [WAY_STEP] = STEP_RANGE_END("j", " FROM step_job j INDEXED BY step_job_step"
                                     " WHERE j.step_id = :step AND j.step_id > 0"),
    [WAY_FOLDER] = STEP_RANGE_END("j", " FROM step_job j INDEXED BY step_job_folder"
                                       " WHERE j.owner = :owner AND j.folder = :folder"),
    [WAY_INPUT] = ("SELECT i.job FROM step_input i WHERE i.artifact = :artifact"
                   " AND i.job > :range_after ORDER BY i.job LIMIT 1 OFFSET :rows"),
};
static const char sql_tally[] = "SELECT owner, state, count(*) FROM step_job"
                                " INDEXED BY step_job_state GROUP BY owner, state";

static enum way way_of(const struct step_filter *filter, bool has_tag)
{
    if (filter->parent)
        return WAY_PARENT;
    if (filter->artifact)
        return WAY_INPUT;
    if (has_tag)
        return WAY_TAG;
    if (filter->tags_any.ptr)
        return WAY_TAGS;
    if (filter->by_state)
        return WAY_STATE;
    if (filter->step)
        return WAY_STEP;
    return filter->folder.ptr && !filter->below ? WAY_FOLDER : WAY_ALL;
}

/* Only what leads into the list. */
static void bind_way(struct stmt *q, const struct step_filter *filter, enum way way,
                     const struct buf *tag)
{
    if (way != WAY_PARENT && way != WAY_STEP && way != WAY_INPUT)
        stmt_bind_str(q, ":owner", step_list_owner(filter));
    if (way == WAY_FOLDER)
        stmt_bind_str(q, ":folder", filter->folder);
    if (way == WAY_STATE)
        stmt_bind_i64(q, ":state", filter->state);
    if (way == WAY_PARENT)
        stmt_bind_i64(q, ":parent", filter->parent);
    if (way == WAY_STEP)
        stmt_bind_i64(q, ":step", filter->step);
    if (way == WAY_INPUT)
        stmt_bind_i64(q, ":artifact", filter->artifact);
    if (way == WAY_TAG)
        stmt_bind_str(q, ":with_tag", buf_str(tag));
    if (way == WAY_TAGS)
        stmt_bind_str(q, ":tags", filter->tags_any);
}

static void bind(struct stmt *q, const struct step_filter *filter, enum way way,
                 const struct buf *tag)
{
    step_list_bind(q, filter);
    if (filter->by_state)
        stmt_bind_i64(q, ":state", filter->state);
    else
        stmt_bind_text(q, ":state", NULL);
    stmt_bind_i64(q, ":parent", filter->parent);
    stmt_bind_i64(q, ":artifact", filter->artifact);
    step_list_bind_only(q, ":sub_job", filter->sub_job);
    if (way == WAY_TAG)
        stmt_bind_str(q, ":with_tag", buf_str(tag));
    if (way == WAY_TAGS)
        stmt_bind_str(q, ":tags", filter->tags_any);
}

static const enum step_key keys[SORTS] = {STEP_KEY_ID, STEP_KEY_TEXT, STEP_KEY_NUMBER};

bool step_job_store_list(struct tx *tx, const struct step_filter *filter,
                         const struct step_page *page, struct step_place *places, size_t *count,
                         struct err *err)
{
    OWNED_BUF struct buf tag;
    buf_init(&tag, BUF_NO_CAP);
    enum way way = way_of(filter, step_list_tag(filter, &tag));
    if ((int)page->sort >= (int)SORTS)
        return err_set(err, ERR_INVALID, "jobs have no such order");
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_list[way][page->sort][page->descending], err);
    if (!q)
        return false;
    bind(q, filter, way, &tag);
    step_list_bind_page(q, page, keys[page->sort]);
    return step_list_rows(q, keys[page->sort], page->limit, places, count, err);
}

bool step_filter_is_plain(const struct step_filter *f)
{
    return !f->name.ptr && !f->tags_all.ptr && !f->tags_any.ptr && f->hidden == STEP_BOTH &&
           !f->created_from_us && !f->created_before_us && !f->folder.ptr && !f->step &&
           !f->artifact && !f->parent && f->sub_job == STEP_BOTH;
}

/* A statement about a range, its filter bound; NULL with err. */
static struct stmt *in_range(struct tx *tx, const char *const sql[WAY_COUNT],
                             const struct step_filter *filter, const struct step_range *range,
                             struct buf *tag, struct err *err)
{
    enum way way = way_of(filter, step_list_tag(filter, tag));
    struct stmt *q = tx_query(tx, sql[way], err);
    if (!q)
        return NULL;
    bind(q, filter, way, tag);
    step_list_bind_range(q, range);
    return q;
}

bool step_job_store_count(struct tx *tx, const struct step_filter *filter,
                          const struct step_range *range, int64_t *out, struct err *err)
{
    OWNED_BUF struct buf tag;
    buf_init(&tag, BUF_NO_CAP);
    OWNED(stmt) struct stmt *q = in_range(tx, sql_count, filter, range, &tag, err);
    return q && stmt_only_i64(q, out, err) == ROW_HERE;
}

bool step_job_store_found(struct tx *tx, const struct step_filter *filter,
                          const struct step_range *range, enum step_sort sort,
                          void (*each)(void *context, int64_t id, struct str text, int64_t number),
                          void *context, struct err *err)
{
    OWNED_BUF struct buf tag;
    buf_init(&tag, BUF_NO_CAP);
    OWNED(stmt) struct stmt *q = in_range(tx, sql_found, filter, range, &tag, err);
    return q && step_list_found(q, keys[sort], (int)sort, each, context, err);
}

bool step_job_store_tags(struct tx *tx, const struct step_filter *filter,
                         const struct step_range *range,
                         void (*each)(void *context, struct str tag), void *context,
                         struct err *err)
{
    OWNED_BUF struct buf tag;
    buf_init(&tag, BUF_NO_CAP);
    OWNED(stmt) struct stmt *q = in_range(tx, sql_tags, filter, range, &tag, err);
    return q && step_list_texts(q, each, context, err);
}

bool step_job_store_range(struct tx *tx, const struct step_filter *filter,
                          const struct step_range *range, int64_t rows, int64_t *to,
                          struct err *err)
{
    OWNED_BUF struct buf tag;
    buf_init(&tag, BUF_NO_CAP);
    enum way way = way_of(filter, step_list_tag(filter, &tag));
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_range_end[way], err);
    if (!q)
        return false;
    bind_way(q, filter, way, &tag);
    return step_list_range_end(q, range, rows, to, err);
}

bool step_job_store_tally(struct tx *tx,
                          void (*each)(void *context, struct str owner, enum job_state state,
                                       int64_t count),
                          void *context, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_tally, err);
    if (!q)
        return false;
    enum row got = ROW_FAILED;
    while ((got = stmt_step(q, err)) == ROW_HERE) {
        int64_t state = stmt_i64(q, 1);
        if (state >= 0 && state < JOB_STATE_COUNT)
            each(context, stmt_text(q, 0), (enum job_state)state, stmt_i64(q, 2));
    }
    return got == ROW_NONE || err_add(err, "count step jobs");
}

/* --- what must fit --- */

static const char sql_check[] =
    "SELECT 'step job ' || id || ' has ended and has no time of it, or the other way round'"
    " FROM step_job WHERE (state IN (5, 6, 7)) <> (ended_at_us > 0)"
    " UNION ALL SELECT 'step job ' || j.id || ' is not in the state of its task' FROM step_job j"
    "  JOIN task t ON t.id = j.id WHERE j.state IN (3, 4) AND t.state <> j.state"
    " UNION ALL SELECT 'step job ' || id || ' waits or runs and has no task' FROM step_job"
    "  WHERE state IN (3, 4) AND id NOT IN (SELECT id FROM task)"
    " UNION ALL SELECT 'artifact ' || id || ' is used otherwise than told' FROM artifact"
    "  WHERE used <> (SELECT count(DISTINCT job) FROM step_input WHERE artifact = artifact.id)"
    " UNION ALL SELECT 'step job ' || job || ' has an input that is not there' FROM step_input"
    "  WHERE artifact NOT IN (SELECT id FROM artifact) OR job NOT IN (SELECT id FROM step_job)"
    " UNION ALL SELECT 'artifact ' || id || ' has no producer any more' FROM artifact"
    "  WHERE job > 0 AND job NOT IN (SELECT id FROM step_job)"
    " UNION ALL SELECT 'step job ' || id || ' has other sub jobs than told' FROM step_job"
    "  WHERE sub_jobs <> (SELECT count(*) FROM step_job s WHERE s.parent = step_job.id"
    "   AND s.parent > 0)"
    " UNION ALL SELECT 'step job ' || id || ' has a step that is not there' FROM step_job"
    "  WHERE step_id > 0 AND step_id NOT IN (SELECT id FROM step)"
    " UNION ALL SELECT 'step job ' || job || ' has a log and is not there' FROM step_report"
    "  WHERE job NOT IN (SELECT id FROM step_job)"
    " LIMIT 100";

bool step_job_store_check(struct tx *tx, void (*say)(void *context, const char *fault),
                          void *context, struct err *err)
{
    OWNED(stmt) struct stmt *q = tx_query(tx, sql_check, err);
    if (!q)
        return false;
    enum row got = ROW_FAILED;
    while ((got = stmt_step(q, err)) == ROW_HERE) {
        OWNED_MEM char *fault = stmt_take_text(q, 0);
        say(context, fault ? fault : "a step job is damaged");
    }
    return got == ROW_NONE ? true : err_add(err, "check step jobs");
}

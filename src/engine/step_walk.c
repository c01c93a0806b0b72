/* step_walk.c: what lists of jobs and artifacts say of all that they find: how many, and which
 * tags; and the page, where few of many rows fit and no index leads to them.
 *
 * A million rows take some tenths of a second. So they are looked at a range a step, and one list
 * at a time: whoever else asks something is answered in between. The page itself is found when the
 * walk is over, in a walk of its own if it has to be. What comes or goes meanwhile may be counted
 * or not, be on the page or not. */
#include "engine/engine_state.h"
#include "engine/step_seek.h"

#include <stdlib.h>

/* Some milliseconds each; tags of rows are lists that are read. */
enum { SLICE_ROWS = 4000, SLICE_TAGGED_ROWS = 1000 };

/* What a walk does for the op that asks. */
struct walk {
    enum step_thing thing;
    const struct step_filter *filter;
    const struct step_page *page;
    struct step_seek **seek;
    bool wants_total, wants_tags;
    int64_t *total, *reached;
    struct step_tags *found;
    bool (*range)(struct tx *tx, const struct step_filter *filter, const struct step_range *range,
                  int64_t rows, int64_t *to, struct err *err);
    bool (*count)(struct tx *tx, const struct step_filter *filter, const struct step_range *range,
                  int64_t *out, struct err *err);
    bool (*tags)(struct tx *tx, const struct step_filter *filter, const struct step_range *range,
                 void (*each)(void *context, struct str tag), void *context, struct err *err);
    bool (*all)(struct tx *tx, const struct step_filter *filter, const struct step_range *range,
                enum step_sort sort,
                void (*each)(void *context, int64_t id, struct str text, int64_t number),
                void *context, struct err *err);
};

static struct walk walk_of(struct op *op)
{
    struct op_step_jobs *jobs = &op->step_jobs;
    struct op_artifacts *artifacts = &op->artifacts;
    if (op->kind == OP_STEP_JOBS)
        return (struct walk){.thing = STEP_THING_JOB,
                             .filter = &jobs->filter,
                             .page = &jobs->page,
                             .seek = &jobs->seek,
                             .wants_total = jobs->wants_total,
                             .wants_tags = jobs->wants_tags,
                             .total = &jobs->total,
                             .reached = &jobs->reached,
                             .found = &jobs->tags,
                             .range = step_job_store_range,
                             .count = step_job_store_count,
                             .tags = step_job_store_tags,
                             .all = step_job_store_found};
    return (struct walk){.thing = STEP_THING_ARTIFACT,
                         .filter = &artifacts->filter,
                         .page = &artifacts->page,
                         .seek = &artifacts->seek,
                         .wants_total = artifacts->wants_total,
                         .wants_tags = artifacts->wants_tags,
                         .total = &artifacts->total,
                         .reached = &artifacts->reached,
                         .found = &artifacts->tags,
                         .range = artifact_store_range,
                         .count = artifact_store_count,
                         .tags = artifact_store_tags,
                         .all = artifact_store_found};
}

/* --- tags --- */

void steps_sum_tag(struct step_tags *tags, struct str tag)
{
    size_t low = 0, high = tags->count;
    OWNED_MEM char *text = xstrndup(tag.ptr ? tag.ptr : "", tag.len);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(tags->items[middle], text);
        if (order == 0)
            return;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == STEP_SUM_TAGS_MAX)
        return;
    if (tags->count == STEP_SUM_TAGS_MAX)
        free(tags->items[--tags->count]);
    tags->items = xrealloc(tags->items, (tags->count + 2) * sizeof *tags->items);
    memmove(tags->items + low + 1, tags->items + low, (tags->count - low) * sizeof *tags->items);
    tags->items[low] = TAKE(text);
    tags->items[++tags->count] = NULL;
}

static void add_tag(void *context, struct str tag)
{
    steps_sum_tag(context, tag);
}

/* Those that all must have narrow nothing. */
static void drop_asked(struct step_tags *tags, struct str asked)
{
    struct step_tags all = {NULL, 0};
    size_t kept = 0;
    step_tags_read(asked, &all);
    for (size_t i = 0; i < tags->count; i++)
        if (step_tags_have(&all, str_of(tags->items[i])))
            free(tags->items[i]);
        else
            tags->items[kept++] = tags->items[i];
    tags->count = kept;
    if (tags->items)
        tags->items[kept] = NULL;
    step_tags_release(&all);
}

/* --- the walk --- */

static bool sum_range(struct tx *tx, const struct walk *w, const struct step_range *range,
                      struct err *err)
{
    int64_t count = 0;
    if ((w->wants_total && !w->count(tx, w->filter, range, &count, err)) ||
        (w->wants_tags && !w->tags(tx, w->filter, range, add_tag, w->found, err)))
        return false;
    *w->total += count;
    return true;
}

/* True with *done when all was looked at. */
static bool slice(struct engine *e, const struct walk *w, bool *done, struct err *err)
{
    struct step_range range = {.after = *w->reached};
    int64_t usual = w->wants_tags && !*w->seek ? SLICE_TAGGED_ROWS : SLICE_ROWS;
    int64_t rows = e->options.slice_rows ? e->options.slice_rows : usual;
    OWNED(tx) struct tx *tx = NULL;
    if (!tx_begin(e->store, &tx, err) || !w->range(tx, w->filter, &range, rows, &range.to, err))
        return false;
    if (*w->seek ? !w->all(tx, w->filter, &range, w->page->sort, step_seek_add, *w->seek, err)
                 : !sum_range(tx, w, &range, err))
        return false;
    *w->reached = range.to;
    *done = range.to == INT64_MAX;
    return true;
}

/* What is known without looking at rows; true: that is all that was asked for. */
static bool is_known(struct engine *e, const struct walk *w, struct err *err)
{
    const struct step_filter *filter = w->filter;
    if (w->thing != STEP_THING_JOB || !step_filter_is_plain(filter) ||
        (w->wants_tags && filter->by_state))
        return false;
    if (w->wants_total)
        *w->total =
            steps_tally(e, filter->owner, filter->by_state ? filter->state : JOB_STATE_COUNT);
    OWNED(tx) struct tx *tx = NULL;
    return !w->wants_tags || (tx_begin(e->store, &tx, err) &&
                              step_tag_store_list(tx, w->thing, filter->owner, STEP_SUM_TAGS_MAX,
                                                  add_tag, w->found, err));
}

static void wait_on(struct engine *e, struct op *op)
{
    struct op **at = &e->steps->walks;
    while (*at)
        at = &(*at)->next;
    op->next = NULL;
    *at = op;
}

/* A slice; false: the op waits for the next. */
static bool go_on(struct engine *e, struct op *op)
{
    struct walk w = walk_of(op);
    bool done = false;
    if (slice(e, &w, &done, &op->err) && !done) {
        wait_on(e, op);
        return false;
    }
    if (!*w.seek)
        drop_asked(w.found, w.filter->tags_all);
    return true;
}

bool steps_sum_up(struct engine *e, struct op *op)
{
    struct walk w = walk_of(op);
    *w.total = w.wants_total ? 0 : -1;
    *w.reached = 0;
    if ((!w.wants_total && !w.wants_tags) || is_known(e, &w, &op->err) || op->err.code != ERR_NONE)
        return true;
    return go_on(e, op);
}

enum op_fate steps_seek(struct engine *e, struct op *op)
{
    struct walk w = walk_of(op);
    *w.seek = step_seek_new(w.page);
    *w.reached = 0;
    wait_on(e, op);
    return FATE_WAITS;
}

void steps_walk_step(struct engine *e)
{
    struct op *op = e->steps->walks;
    if (!op)
        return;
    e->steps->walks = op->next;
    op->next = NULL;
    if (go_on(e, op))
        op_meet_fate(e, op, steps_list_page(e, op));
}

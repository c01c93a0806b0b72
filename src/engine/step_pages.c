/* step_pages.c: lists of jobs and artifacts, page by page; which tags are in use. The store finds
 * the ids; what they are comes from memory, so that a page shows what is true now.
 *
 * Mostly an index leads to the page. Where it does not, because few of many rows fit, the store
 * gives up after some milliseconds, and the page is picked out in slices (step_walk.c). */
#include "engine/engine_state.h"
#include "engine/step_seek.h"

#include <stdlib.h>

enum { PAGE_MAX = 1000 };
/* Some milliseconds: thousands of rows that do not fit. */
enum { LIST_WORK = 1000 };

typedef bool find_page(struct tx *tx, const struct step_filter *filter,
                       const struct step_page *page, struct step_place *places, size_t *count,
                       struct err *err);

/* A page of ids and one more, which tells whether there are any behind it. */
struct found {
    struct step_place *places;
    size_t count;
    bool more;
    bool far; /* it takes long: nothing was found yet */
};

static void found_release(struct found *f)
{
    for (size_t i = 0; i < f->count; i++)
        free(f->places[i].text);
    free(f->places);
}

/* Only so many are shown, and whether there are more. */
static void cut(struct found *f, int64_t limit)
{
    f->more = (int64_t)f->count > limit;
    if (!f->more)
        return;
    f->count--;
    free(TAKE(f->places[f->count].text));
}

static bool find(struct engine *e, find_page *pages, const struct step_filter *filter,
                 const struct step_page *asked, int64_t total, struct found *out, struct err *err)
{
    struct step_page page = *asked;
    struct err why;
    /* It is known already that there is nothing on it. */
    if (total >= 0 && !page.goes_on && total <= page.offset)
        return true;
    if (page.offset <= STEP_SEEK_MAX - page.limit)
        page.work = e->options.list_work ? e->options.list_work : LIST_WORK;
    page.limit++;
    out->places = xcalloc((size_t)page.limit, sizeof *out->places);
    OWNED(tx) struct tx *tx = NULL;
    if (!tx_begin(e->store, &tx, err))
        return false;
    if (pages(tx, filter, &page, out->places, &out->count, &why)) {
        cut(out, asked->limit);
        return true;
    }
    out->far = why.code == ERR_LIMIT;
    if (!out->far)
        *err = why;
    return out->far;
}

/* What the walk has picked out, or else what the store finds at once. */
static bool find_or_take(struct engine *e, find_page *pages, const struct step_filter *filter,
                         struct step_page *page, struct step_seek *seek, int64_t total,
                         struct found *out, struct err *err)
{
    if (page->limit < 0 || page->limit > PAGE_MAX)
        page->limit = PAGE_MAX;
    if (!seek)
        return find(e, pages, filter, page, total, out, err);
    out->places = step_seek_take(seek, &out->count);
    cut(out, page->limit);
    return true;
}

/* Where the page ends; takes the place's text. */
static struct step_place *take_last(struct found *f)
{
    if (f->count == 0)
        return NULL;
    struct step_place *last = xcalloc(1, sizeof *last), *place = &f->places[f->count - 1];
    *last = *place;
    place->text = NULL;
    return last;
}

static void fill_jobs(struct engine *e, const struct found *f, struct op_step_jobs *ask)
{
    struct err ignored;
    ask->views = xcalloc(f->count + 1, sizeof *ask->views);
    for (size_t i = 0; i < f->count; i++) {
        const struct step_job *job = steps_job(e, f->places[i].id, &ignored);
        if (job && step_job_view_make(e, job, &ask->views[ask->count], &ignored))
            ask->count++;
    }
}

/* *far: the page was not found yet, and takes long. */
static bool list_jobs(struct engine *e, struct op *op, bool *far)
{
    struct op_step_jobs *ask = &op->step_jobs;
    struct found f = {0};
    bool good = find_or_take(e, step_job_store_list, &ask->filter, &ask->page, ask->seek,
                             ask->total, &f, &op->err);
    *far = f.far;
    if (good && !f.far) {
        fill_jobs(e, &f, ask);
        ask->more = f.more;
        ask->last = take_last(&f);
    }
    found_release(&f);
    return good;
}

static void fill_artifacts(struct engine *e, const struct found *f, struct op_artifacts *ask)
{
    struct err ignored;
    ask->artifacts = xcalloc(f->count + 1, sizeof(void *));
    for (size_t i = 0; i < f->count; i++) {
        const struct artifact *a = steps_artifact(e, f->places[i].id, &ignored);
        if (a)
            ask->artifacts[ask->count++] = artifact_hold(a);
    }
}

static bool list_artifacts(struct engine *e, struct op *op, bool *far)
{
    struct op_artifacts *ask = &op->artifacts;
    struct found f = {0};
    bool good = find_or_take(e, artifact_store_list, &ask->filter, &ask->page, ask->seek,
                             ask->total, &f, &op->err);
    *far = f.far;
    if (good && !f.far) {
        fill_artifacts(e, &f, ask);
        ask->more = f.more;
        ask->last = take_last(&f);
    }
    found_release(&f);
    return good;
}

enum op_fate steps_list_page(struct engine *e, struct op *op)
{
    bool jobs = op->kind == OP_STEP_JOBS, far = false;
    const struct step_asker *by = jobs ? &op->step_jobs.by : &op->artifacts.by;
    if (op->err.code != ERR_NONE || !steps_are_ready(e, op, by, false) ||
        !(jobs ? list_jobs(e, op, &far) : list_artifacts(e, op, &far)))
        return FATE_NOW;
    return far ? steps_seek(e, op) : steps_fate(e);
}

enum op_fate op_step_jobs(struct engine *e, struct op *op)
{
    struct op_step_jobs *ask = &op->step_jobs;
    ask->filter.owner = ask->by.owner;
    if (!steps_are_ready(e, op, &ask->by, false))
        return FATE_NOW;
    return steps_sum_up(e, op) ? steps_list_page(e, op) : FATE_WAITS;
}

enum op_fate op_artifacts(struct engine *e, struct op *op)
{
    struct op_artifacts *ask = &op->artifacts;
    ask->filter.owner = ask->by.owner;
    if (!steps_are_ready(e, op, &ask->by, false))
        return FATE_NOW;
    return steps_sum_up(e, op) ? steps_list_page(e, op) : FATE_WAITS;
}

/* --- tags, usage --- */

static void add_tag(void *context, struct str tag)
{
    struct step_tags *tags = context;
    tags->items = xrealloc(tags->items, (tags->count + 2) * sizeof *tags->items);
    tags->items[tags->count++] = xstrndup(tag.ptr, tag.len);
    tags->items[tags->count] = NULL;
}

enum op_fate op_step_tags(struct engine *e, struct op *op)
{
    struct op_step_tags *ask = &op->step_tags;
    if (!steps_are_ready(e, op, &ask->by, false))
        return FATE_NOW;
    OWNED(tx) struct tx *tx = NULL;
    (void)!(tx_begin(e->store, &tx, &op->err) &&
            step_tag_store_list(tx, (enum step_thing)ask->thing, ask->by.owner, ask->limit, add_tag,
                                &ask->tags, &op->err));
    return FATE_NOW;
}

enum op_fate op_step_usage(struct engine *e, struct op *op)
{
    struct op_step_usage *ask = &op->step_usage;
    if (steps_are_ready(e, op, &ask->by, false))
        ask->artifact_bytes = steps_artifact_bytes(e, ask->by.owner);
    return FATE_NOW;
}

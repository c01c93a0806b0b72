/* share.c: see share.h. */
#include "engine/share.h"

#include "base/log.h"
#include "engine/engine_state.h"

#include <stdlib.h>

void share_release(struct share *s)
{
    free(s->chosen);
    *s = (struct share){0};
}

void share_begin(struct data_job *job, const struct portion *asked)
{
    OWNED_BUF struct buf text;
    buf_init(&text, BUF_NO_CAP);
    share_release(&job->share);
    job->share.asked = *asked;
    job->share.on = portion_is_part(asked);
    /* By ids those that failed are known by theirs. */
    job->share.is_chosen = asked->sample > 0 || (asked->only_failed && !job->spec.id_key);
    job->share.known_before = ledger_known(job->ledger);
    free(TAKE(job->row.portion));
    if (!job->share.on)
        return;
    portion_write(asked, &text);
    job->row.portion = buf_take(&text);
}

void share_choose(struct data_job *job, int64_t number)
{
    struct share *s = &job->share;
    if (s->chosen_count == s->chosen_cap) {
        s->chosen_cap = s->chosen_cap ? 2 * s->chosen_cap : 64;
        s->chosen = xrealloc(s->chosen, s->chosen_cap * sizeof *s->chosen);
    }
    s->chosen[s->chosen_count++] = number;
}

static int by_number(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

void share_chosen(struct data_job *job)
{
    struct share *s = &job->share;
    size_t kept = 0;
    if (s->chosen_count)
        qsort(s->chosen, s->chosen_count, sizeof *s->chosen, by_number);
    for (size_t i = 0; i < s->chosen_count; i++)
        if (kept == 0 || s->chosen[kept - 1] != s->chosen[i])
            s->chosen[kept++] = s->chosen[i];
    s->chosen_count = kept;
}

static bool is_chosen(const struct share *s, int64_t number)
{
    if (!s->is_chosen)
        return true;
    return s->chosen_count &&
           bsearch(&number, s->chosen, s->chosen_count, sizeof *s->chosen, by_number);
}

static bool is_full(const struct share *s)
{
    return s->asked.limit > 0 && s->taken >= s->asked.limit;
}

/* A record that was known before the run began is taken as it is met for the first time, which
 * happens in growing order; one that was read since was taken then. */
static bool has(struct data_job *job, int64_t number)
{
    struct share *s = &job->share;
    if (!is_chosen(s, number))
        return false;
    if (number >= s->known_before || number < s->old_below)
        return true;
    if (is_full(s))
        return false;
    s->taken++;
    s->old_below = number + 1;
    return true;
}

int64_t share_next_unread(struct data_job *job, int64_t from)
{
    int64_t record = ledger_next_unread(job->ledger, from);
    while (job->share.on && record >= 0 && !has(job, record))
        record = ledger_next_unread(job->ledger, record + 1);
    return record;
}

bool share_reads_on(struct data_job *job)
{
    struct share *s = &job->share;
    if (!s->on)
        return true;
    bool behind = s->is_chosen && (s->chosen_count == 0 ||
                                   s->chosen[s->chosen_count - 1] < ledger_known(job->ledger));
    s->ended = s->ended || is_full(s) || behind;
    return !s->ended;
}

enum source_got share_judge(struct data_job *job, int64_t number, unsigned known,
                            enum record_state *as)
{
    struct share *s = &job->share;
    bool wanted =
        is_chosen(s, number) && (!s->asked.only_failed || !job->spec.id_key || (known & ID_FAILED));
    if (!s->on || *as != RECORD_SERVED)
        return SOURCE_RECORD;
    if (wanted) {
        s->taken++;
        return SOURCE_RECORD;
    }
    if (job->spec.id_key) {
        job->row.progress.left_out++;
        *as = RECORD_DONE;
    } else {
        *as = RECORD_UNREAD;
    }
    return SOURCE_BAD;
}

bool share_leaves_out(const struct data_job *job, int64_t number)
{
    return job->share.on && !is_chosen(&job->share, number);
}

bool share_left_nothing(const struct data_job *job)
{
    return job->at_end && job->row.progress.left_out == 0 &&
           ledger_count(job->ledger, RECORD_UNREAD) == 0;
}

void share_advance(struct engine *e, struct data_job *job)
{
    if (job->portion_over || job->touched || job->resume ||
        ledger_count(job->ledger, RECORD_SERVED) || share_next_unread(job, 0) >= 0)
        return;
    if (data_job_tidy_up(e, job))
        return;
    job->portion_over = true;
    job->row.paused = true;
    engine_touch(e, job);
    engine_event(e, job, "job.portion-over", str_of(job->row.portion));
    LOG1(LOG_INFO, "job.portion-over", "job", "%s", job->row.name);
    claims_end(job, NULL);
}

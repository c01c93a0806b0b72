/* flow_marks.c: see flow_marks.h. */
#include "core/flow_marks.h"

#include <assert.h>
#include <stdlib.h>

struct marked {
    int32_t id;
    uint8_t mark;
    bool open;
    int64_t ahead_us, since_us;
};

struct flow_marks {
    size_t count;
    int64_t open, of[FLOW_MARK_COUNT];
    struct marked nodes[];
};

static const char letters[FLOW_MARK_COUNT] = {'P', 'R', 'C', 'F', 'D', 'N', 'A'};

char flow_mark_letter(enum flow_mark mark)
{
    return letters[mark];
}

bool flow_mark_read(struct str letter, enum flow_mark *out)
{
    for (int i = 0; letter.len == 1 && i < FLOW_MARK_COUNT; i++)
        if (letters[i] == letter.ptr[0]) {
            *out = (enum flow_mark)i;
            return true;
        }
    return false;
}

struct flow_marks *flow_marks_new(size_t count)
{
    struct flow_marks *m = xcalloc(1, sizeof *m + count * sizeof m->nodes[0]);
    m->count = count;
    m->of[FLOW_PENDING] = (int64_t)count;
    return m;
}

void flow_marks_free(struct flow_marks *m)
{
    free(m);
}

void flow_marks_put(struct flow_marks *m, size_t place, int32_t id, enum flow_mark mark, bool open,
                    int64_t ahead_us)
{
    assert(place < m->count && (!open || mark == FLOW_PENDING));
    struct marked *n = &m->nodes[place];
    m->of[n->mark]--;
    m->open -= n->open;
    *n = (struct marked){id, (uint8_t)mark, open, ahead_us, 0};
    m->of[mark]++;
    m->open += open;
}

bool flow_marks_move(struct flow_marks *m, size_t place, enum flow_step step, int64_t now_us)
{
    enum { NEVER = FLOW_MARK_COUNT };
    static const uint8_t moves[2][FLOW_STEP_COUNT] = {
        [FLOW_PENDING] = {[FLOW_START] = FLOW_RUNNING,
                          [FLOW_GIVE_BACK] = FLOW_PENDING,
                          [FLOW_COMPLETE] = NEVER,
                          [FLOW_FAIL] = FLOW_FAILED,
                          [FLOW_DEFAULT] = FLOW_DEFAULTED,
                          [FLOW_ABORT] = FLOW_ABORTED,
                          [FLOW_LEAVE] = FLOW_PENDING},
        [FLOW_RUNNING] = {[FLOW_START] = NEVER,
                          [FLOW_GIVE_BACK] = FLOW_PENDING,
                          [FLOW_COMPLETE] = FLOW_COMPLETED,
                          [FLOW_FAIL] = FLOW_FAILED,
                          [FLOW_DEFAULT] = NEVER,
                          [FLOW_ABORT] = FLOW_ABORTED,
                          [FLOW_LEAVE] = NEVER},
    };
    assert(place < m->count);
    struct marked *n = &m->nodes[place];
    if (!n->open || moves[n->mark][step] == NEVER)
        return false;
    m->of[n->mark]--;
    n->mark = moves[n->mark][step];
    m->of[n->mark]++;
    n->since_us = step == FLOW_START ? now_us : 0;
    if (step != FLOW_START && step != FLOW_GIVE_BACK) {
        n->open = false;
        m->open--;
    }
    return true;
}

size_t flow_marks_count(const struct flow_marks *m)
{
    return m->count;
}

int32_t flow_marks_id(const struct flow_marks *m, size_t place)
{
    return m->nodes[place].id;
}

const int32_t *flow_marks_ids(const struct flow_marks *m, size_t *stride_bytes)
{
    *stride_bytes = sizeof m->nodes[0];
    return &m->nodes[0].id;
}

enum flow_mark flow_marks_get(const struct flow_marks *m, size_t place)
{
    return (enum flow_mark)m->nodes[place].mark;
}

bool flow_marks_is_open(const struct flow_marks *m, size_t place)
{
    return m->nodes[place].open;
}

int64_t flow_marks_since_us(const struct flow_marks *m, size_t place)
{
    return m->nodes[place].since_us;
}

int64_t flow_marks_of(const struct flow_marks *m, enum flow_mark mark)
{
    return m->of[mark];
}

int64_t flow_marks_open(const struct flow_marks *m)
{
    return m->open;
}

size_t flow_marks_next(const struct flow_marks *m, enum flow_mark mark, size_t from)
{
    while (from < m->count && m->nodes[from].mark != mark)
        from++;
    return from;
}

int64_t flow_marks_eta_us(const struct flow_marks *m, int64_t now_us)
{
    int64_t longest_us = -1;
    for (size_t i = 0; i < m->count; i++) {
        const struct marked *n = &m->nodes[i];
        if (!n->open || n->ahead_us <= 0)
            continue;
        int64_t left_us = n->ahead_us;
        if (n->mark == FLOW_RUNNING && now_us > n->since_us)
            left_us -= now_us - n->since_us;
        if (left_us < 0)
            left_us = 0;
        if (left_us > longest_us)
            longest_us = left_us;
    }
    return longest_us;
}

enum job_state flow_marks_outcome(const struct flow_marks *m, bool stopped, int64_t kept)
{
    assert(m->open == 0);
    int64_t well = m->of[FLOW_COMPLETED] + m->of[FLOW_NORUN] + kept;
    if (stopped)
        return JOB_CANCELLED;
    return well == (int64_t)m->count ? JOB_COMPLETED : JOB_FAILED;
}

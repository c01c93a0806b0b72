/* line_scout.c: see line_scout.h. The two threads share a ring of blocks: the scout fills one while
 * the engine's thread uses another. A block belongs to whoever has it; only how many are filled and
 * used is shared. */
#include "engine/line_scout.h"

#include "base/json.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_LINES = 1024, BLOCKS = 4, BLOCK_BYTES = 1 << 20 };

struct block {
    struct scouted lines[BLOCK_LINES];
    size_t count;
    enum line_got then; /* behind the last line: LINE_HERE when the block was full */
    struct err fault;   /* of LINE_FAILED */
};

struct line_scout {
    struct output_form form; /* of texts of its own */
    char *id_key, *rerun_key, *name;
    pthread_t thread;
    struct line_reader reader; /* the scout's */
    struct block *blocks;      /* `filled % BLOCKS` is the scout's, `used % BLOCKS` the engine's */
    size_t next;               /* line in the engine's block; the engine's */

    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t changed;
    uint64_t filled, used; /* blocks so far */
    bool stop;
};

void output_line_read(const struct output_form *form, struct str text, bool too_long,
                      struct output_line *out)
{
    const char *rerun_key = form->rerun_key;
    struct json_wanted wanted[2] = {
        {form->id_key, strlen(form->id_key), {NULL, 0}},
        {rerun_key, rerun_key ? strlen(rerun_key) : 0, {NULL, 0}},
    };
    *out = (struct output_line){.why = too_long ? "it is longer than 64 MiB" : NULL};
    if (too_long || text.len == 0)
        return;
    out->why = "it is no object";
    if (!json_check_members(text, wanted, rerun_key ? 2 : 1, NULL, &out->why) || text.ptr[0] != '{')
        return;
    out->is_record = true;
    out->has_id = wanted[0].value.ptr && id_of(wanted[0].value, &form->ids, &out->id);
    out->again = out->has_id && wanted[1].value.ptr;
}

/* --- the scout's thread --- */

static void fill_block(struct line_scout *s, struct block *b)
{
    struct line line;
    b->count = 0;
    b->then = LINE_HERE;
    line_reader_allow(&s->reader, BLOCK_BYTES);
    while (b->count < BLOCK_LINES) {
        b->then = line_reader_next(&s->reader, &line, &b->fault);
        if (b->then != LINE_HERE)
            return;
        struct scouted *out = &b->lines[b->count++];
        output_line_read(&s->form, str_trim(line.text), line.too_long, &out->said);
        out->at_bytes = line.at_bytes;
        out->end_bytes = line_reader_at(&s->reader);
        out->ended = line.ended;
    }
}

/* Waits for a block that is free; NULL when there is nothing more to do. */
static struct block *free_block(struct line_scout *s)
{
    pthread_mutex_lock(&s->lock);
    while (!s->stop && s->filled - s->used == BLOCKS)
        pthread_cond_wait(&s->changed, &s->lock);
    struct block *b = s->stop ? NULL : &s->blocks[s->filled % BLOCKS];
    pthread_mutex_unlock(&s->lock);
    return b;
}

static void *run(void *context)
{
    struct line_scout *s = context;
    for (struct block *b = NULL; (b = free_block(s));) {
        fill_block(s, b);
        pthread_mutex_lock(&s->lock);
        s->filled++;
        pthread_cond_signal(&s->changed);
        pthread_mutex_unlock(&s->lock);
        if (b->then == LINE_NONE || b->then == LINE_FAILED)
            break;
    }
    return NULL;
}

/* --- the engine's --- */

static void release(struct line_scout *s)
{
    line_reader_release(&s->reader);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s->blocks);
    free(s->id_key);
    free(s->rerun_key);
    free(s->name);
    free(s);
}

struct line_scout *line_scout_new(const struct output_form *form, int fd, const char *name,
                                  int64_t limit_bytes)
{
    struct line_scout *s = xcalloc(1, sizeof *s);
    s->id_key = xstrdup(form->id_key);
    s->rerun_key = xstrdup_or_null(form->rerun_key);
    s->name = xstrdup(name);
    s->form = (struct output_form){s->id_key, s->rerun_key, form->ids};
    s->blocks = xcalloc(BLOCKS, sizeof *s->blocks);
    line_reader_init(&s->reader, fd, s->name, limit_bytes, false);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    if (pthread_create(&s->thread, NULL, run, s) == 0)
        return s;
    release(s);
    return NULL;
}

void line_scout_free(struct line_scout *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    release(s);
}

/* The block that the engine's thread is in, once it is filled. */
static struct block *filled_block(struct line_scout *s)
{
    pthread_mutex_lock(&s->lock);
    while (s->filled == s->used)
        pthread_cond_wait(&s->changed, &s->lock);
    struct block *b = &s->blocks[s->used % BLOCKS];
    pthread_mutex_unlock(&s->lock);
    return b;
}

static void pass_block(struct line_scout *s)
{
    s->next = 0;
    pthread_mutex_lock(&s->lock);
    s->used++;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

enum line_got line_scout_next(struct line_scout *s, struct scouted *out, struct err *err)
{
    for (;;) {
        /* Within a block nothing is shared: the lock is for its first line. */
        const struct block *b = s->next ? &s->blocks[s->used % BLOCKS] : filled_block(s);
        if (s->next < b->count) {
            *out = b->lines[s->next++];
            return LINE_HERE;
        }
        enum line_got then = b->then;
        if (then == LINE_FAILED)
            *err = b->fault;
        if (then == LINE_NONE || then == LINE_FAILED)
            return then;
        bool empty = b->count == 0;
        pass_block(s);
        if (empty)
            return LINE_PAUSE;
    }
}

/* helper.c: see helper.h. */
#include "http/helper.h"

#include <pthread.h>
#include <stdlib.h>

/* Syncs of several files go to the disk as one, if they are asked for at the same time. */
enum { THREADS = 4 };

struct chore {
    struct chore *next;
    struct request *req;
    struct op *op;
    request_work *work;
};

struct helper {
    pthread_t threads[THREADS];
    size_t started;
    pthread_mutex_t lock; /* guards the rest */
    pthread_cond_t more;
    struct chore *first, **end;
    bool stopping;
};

/* The next one; NULL when the helper is stopping and nothing is left. */
static struct chore *next_chore(struct helper *h)
{
    pthread_mutex_lock(&h->lock);
    while (!h->first && !h->stopping)
        pthread_cond_wait(&h->more, &h->lock);
    struct chore *t = h->first;
    if (t)
        h->first = t->next;
    if (!h->first)
        h->end = &h->first;
    pthread_mutex_unlock(&h->lock);
    return t;
}

static void *run(void *helper)
{
    for (struct chore *t = NULL; (t = next_chore(helper));) {
        struct chore chore = *t;
        struct err err = {0};
        free(t);
        if (!chore.work(chore.req, &err))
            chore.op->err = err;
        chore.op->done(chore.op);
    }
    return NULL;
}

bool helper_start(struct helper **out, struct err *err)
{
    OWNED(helper) struct helper *h = xcalloc(1, sizeof *h);
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->more, NULL);
    h->end = &h->first;
    for (; h->started < THREADS; h->started++)
        if (pthread_create(&h->threads[h->started], NULL, run, h) != 0)
            return err_set(err, ERR_INTERNAL, "a thread cannot be started");
    *out = TAKE(h);
    return true;
}

void helper_take(struct helper *h, struct request *req, struct op *op, request_work *work)
{
    struct chore *t = xcalloc(1, sizeof *t);
    *t = (struct chore){.req = req, .op = op, .work = work};
    pthread_mutex_lock(&h->lock);
    *h->end = t;
    h->end = &t->next;
    pthread_cond_signal(&h->more);
    pthread_mutex_unlock(&h->lock);
}

void helper_free(struct helper *h)
{
    if (!h)
        return;
    pthread_mutex_lock(&h->lock);
    h->stopping = true;
    pthread_cond_broadcast(&h->more);
    pthread_mutex_unlock(&h->lock);
    for (size_t i = 0; i < h->started; i++)
        pthread_join(h->threads[i], NULL);
    pthread_cond_destroy(&h->more);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

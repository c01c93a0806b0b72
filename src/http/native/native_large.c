/* native_large.c: see native_large.h. */
#include "http/native/native_large.h"

#include "base/log.h"

#include <stdlib.h>

/* --- in --- */

bool large_text(struct str text)
{
    return text.len > TASK_TEXT_MAX_BYTES;
}

bool large_put(struct large_put *l, struct blobs *blobs, struct str *text,
               struct task_blob_ref *ref, struct err *err)
{
    struct blob_pin *pin = NULL;
    if (!large_text(*text))
        return true;
    if (!blob_put(blobs, *text, &pin, err))
        return false;
    if (l->count == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 4;
        l->pins = xrealloc(l->pins, l->cap * sizeof(void *));
    }
    l->pins[l->count++] = pin;
    *ref = (struct task_blob_ref){*blob_pin_hash(pin), blob_pin_bytes(pin)};
    *text = (struct str){NULL, 0};
    return true;
}

bool large_tasks(const struct task_new *tasks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (large_text(tasks[i].arguments))
            return true;
    return false;
}

bool large_put_tasks(struct large_put *l, struct blobs *blobs, struct task_new *tasks, size_t count,
                     struct err *err)
{
    for (size_t i = 0; i < count; i++)
        if (!large_put(l, blobs, &tasks[i].arguments, &tasks[i].arguments_blob, err))
            return false;
    return true;
}

void large_put_release(struct large_put *l)
{
    for (size_t i = 0; i < l->count; i++)
        blob_pin_free(l->pins[i], l->known);
    free(l->pins);
    *l = (struct large_put){0};
}

/* --- out --- */

void large_open(struct large_opened *o, const struct blobs *blobs, const struct task_blob_ref *ref)
{
    OWNED(blob_reader) struct blob_reader *r = NULL;
    if (blob_open(blobs, &ref->hash, &r, &o->err) && blob_verify(r, &o->err))
        o->reader = TAKE(r);
    else
        LOG1(LOG_ERROR, "blob.not-read", "reason", "%s", o->err.text);
}

void large_opened_release(struct large_opened *o)
{
    blob_reader_free(TAKE(o->reader));
}

struct splice {
    size_t at; /* in the text: the blob comes there */
    struct blob_reader *reader;
};

struct large_answer {
    struct buf text;
    struct splice *splices;
    size_t count, cap;
    /* on its way: */
    size_t next, sent; /* splices and bytes of the text that were sent */
};

struct large_answer *large_answer_new(struct json_out *o)
{
    struct large_answer *a = xcalloc(1, sizeof *a);
    buf_init(&a->text, BUF_NO_CAP);
    json_out_init(o, &a->text);
    return a;
}

void large_answer_free(struct large_answer *a)
{
    if (!a)
        return;
    for (size_t i = 0; i < a->count; i++)
        blob_reader_free(a->splices[i].reader);
    free(a->splices);
    buf_release(&a->text);
    free(a);
}

void large_answer_splice(struct large_answer *a, struct json_out *o, struct large_opened *opened)
{
    json_out_raw(o, STR(""));
    if (a->count == a->cap) {
        a->cap = a->cap ? 2 * a->cap : 4;
        a->splices = xrealloc(a->splices, a->cap * sizeof *a->splices);
    }
    a->splices[a->count++] = (struct splice){a->text.len, TAKE(opened->reader)};
}

/* Of the text before the next blob. */
static size_t take_text(struct large_answer *a, char *out, size_t max)
{
    size_t end = a->next < a->count ? a->splices[a->next].at : a->text.len;
    size_t n = end - a->sent < max ? end - a->sent : max;
    if (n > 0)
        memcpy(out, a->text.data + a->sent, n);
    a->sent += n;
    return n;
}

static ssize_t answer_take(void *answer, char *out, size_t max)
{
    struct large_answer *a = answer;
    struct err err;
    for (;;) {
        size_t got = take_text(a, out, max);
        if (got > 0)
            return (ssize_t)got;
        if (a->next == a->count)
            return -1;
        if (!blob_read(a->splices[a->next].reader, out, max, &got, &err)) {
            LOG1(LOG_ERROR, "blob.not-read", "reason", "%s", err.text);
            return -2;
        }
        if (got > 0)
            return (ssize_t)got;
        a->next++;
    }
}

static void answer_end(void *answer)
{
    large_answer_free(answer);
}

void large_answer_send(struct large_answer *a, struct reply *reply)
{
    int64_t bytes = (int64_t)a->text.len;
    for (size_t i = 0; i < a->count; i++)
        bytes += blob_reader_bytes(a->splices[i].reader);
    reply_stream_whole(reply, bytes, answer_take, answer_end, a);
}

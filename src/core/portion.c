/* portion.c: see portion.h. */
#include "core/portion.h"

#include "base/json.h"

#include <stdlib.h>
#include <xxhash.h>

static bool wrong(struct err *err, const char *member, const char *expected, struct str raw)
{
    return err_set(err, ERR_INVALID, "portion.%s: expected %s, not %.*s", member, expected,
                   raw.len > 60 ? 60 : (int)raw.len, raw.ptr);
}

static bool read_member(struct str name, struct str raw, struct portion *p, struct err *err)
{
    int64_t seed = 0;
    if (json_type_of(raw) == JSON_NULL)
        return true;
    if (json_name_is(name, "limit"))
        return json_i64(raw, 0, INT64_MAX, &p->limit) || wrong(err, "limit", "a whole number", raw);
    if (json_name_is(name, "sample"))
        return json_i64(raw, 0, PORTION_SAMPLE_MAX, &p->sample) ||
               wrong(err, "sample", "a whole number up to 10000000", raw);
    if (json_name_is(name, "only_failed"))
        return json_bool(raw, &p->only_failed) || wrong(err, "only_failed", "true or false", raw);
    if (json_name_is(name, "retry_skipped"))
        return json_bool(raw, &p->retry_skipped) ||
               wrong(err, "retry_skipped", "true or false", raw);
    if (!json_name_is(name, "seed"))
        return err_set(err, ERR_INVALID, "portion: unknown member %.*s",
                       name.len > 60 ? 60 : (int)name.len, name.ptr);
    if (!json_i64(raw, INT64_MIN, INT64_MAX, &seed))
        return wrong(err, "seed", "a whole number", raw);
    p->seed = (uint64_t)seed;
    return true;
}

bool portion_read(struct str json, struct portion *out, struct err *err)
{
    struct portion p = {0};
    struct json j;
    struct str name, raw;
    json_open(&j, json);
    if (json_enter(&j, '{'))
        while (json_member(&j, &name) && json_value(&j, &raw))
            if (!read_member(name, raw, &p, err))
                return false;
    if (!json_end(&j))
        return err_set(err, ERR_INVALID, "portion: byte %zu: %s", json_fault_at(&j), j.fault);
    if ((p.limit > 0) + (p.sample > 0) > 1)
        return err_set(err, ERR_INVALID, "portion: limit and sample exclude each other");
    if (p.sample > 0 && p.only_failed)
        return err_set(err, ERR_INVALID, "portion: sample and only_failed exclude each other");
    *out = p;
    return true;
}

void portion_write(const struct portion *p, struct buf *out)
{
    struct json_out o;
    json_out_init(&o, out);
    json_out_open(&o, '{');
    json_out_name(&o, "limit");
    json_out_i64(&o, p->limit);
    json_out_name(&o, "sample");
    json_out_i64(&o, p->sample);
    json_out_name(&o, "seed");
    json_out_i64(&o, (int64_t)p->seed);
    json_out_name(&o, "only_failed");
    json_out_bool(&o, p->only_failed);
    json_out_name(&o, "retry_skipped");
    json_out_bool(&o, p->retry_skipped);
    json_out_close(&o, '}');
}

bool portion_is_part(const struct portion *p)
{
    return p->limit > 0 || p->sample > 0 || p->only_failed;
}

/* --- samples: a heap of the smallest hashes, the largest of them on top --- */

struct drawn {
    uint64_t rank;
    int64_t number;
};

struct sample {
    struct drawn *heap;
    size_t count, cap, size;
    uint64_t seed;
};

struct sample *sample_new(int64_t size, uint64_t seed)
{
    struct sample *s = xcalloc(1, sizeof *s);
    s->size = (size_t)size;
    s->seed = seed;
    return s;
}

void sample_free(struct sample *s)
{
    if (!s)
        return;
    free(s->heap);
    free(s);
}

static void swap(struct drawn *a, struct drawn *b)
{
    struct drawn c = *a;
    *a = *b;
    *b = c;
}

static void sink_down(struct sample *s)
{
    for (size_t at = 0;;) {
        size_t child = 2 * at + 1;
        if (child >= s->count)
            return;
        if (child + 1 < s->count && s->heap[child + 1].rank > s->heap[child].rank)
            child++;
        if (s->heap[at].rank >= s->heap[child].rank)
            return;
        swap(&s->heap[at], &s->heap[child]);
        at = child;
    }
}

static void add(struct sample *s, struct drawn one)
{
    if (s->count == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 64;
        s->heap = xrealloc(s->heap, s->cap * sizeof *s->heap);
    }
    size_t at = s->count++;
    s->heap[at] = one;
    for (; at && s->heap[(at - 1) / 2].rank < s->heap[at].rank; at = (at - 1) / 2)
        swap(&s->heap[at], &s->heap[(at - 1) / 2]);
}

void sample_offer(struct sample *s, int64_t number)
{
    struct drawn one = {XXH3_64bits_withSeed(&number, sizeof number, s->seed), number};
    if (s->count < s->size) {
        add(s, one);
    } else if (s->count && one.rank < s->heap[0].rank) {
        s->heap[0] = one;
        sink_down(s);
    }
}

static int by_number(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int64_t *sample_take(struct sample *s, size_t *count)
{
    int64_t *numbers = xcalloc(s->count, sizeof *numbers);
    for (size_t i = 0; i < s->count; i++)
        numbers[i] = s->heap[i].number;
    qsort(numbers, s->count, sizeof *numbers, by_number);
    *count = s->count;
    return numbers;
}

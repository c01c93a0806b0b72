/* record_queue.c: see record_queue.h.
 *
 * In an answer, `[[17,{...}],[18,{...}]]`, every record has at least four bytes before it that are
 * not its own; so the lines can be moved together where they lie, while the reader goes on behind
 * them. What is fed is then one piece of bytes for many records. */
#include "run/record_queue.h"

#include "base/json.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

struct batch {
    struct batch *next;
    struct buf text;
    uint64_t end; /* sequence number behind its last record */
};

struct record_queue {
    struct queued_record *ring; /* of `room` places, a power of two */
    size_t room;
    /* Sequence numbers of records. */
    uint64_t head, fed, end;
    size_t torn;  /* bytes of the record `fed` that are written */
    size_t bytes; /* of the lines from head to end */
    struct batch *first, **last;
    struct buf spare; /* room of a batch that has ended */
};

static const size_t answer_max_bytes = (size_t)256 << 20;
enum { ROOM_FIRST = 1024 };

struct record_queue *record_queue_new(void)
{
    struct record_queue *q = xcalloc(1, sizeof *q);
    q->room = ROOM_FIRST;
    q->ring = xcalloc(q->room, sizeof *q->ring);
    q->last = &q->first;
    buf_init(&q->spare, answer_max_bytes);
    return q;
}

static void drop_first(struct record_queue *q)
{
    struct batch *b = q->first;
    q->first = b->next;
    if (!q->first)
        q->last = &q->first;
    if (b->text.cap > q->spare.cap) {
        struct buf taken = q->spare;
        q->spare = b->text;
        b->text = taken;
    }
    buf_release(&b->text);
    free(b);
}

void record_queue_free(struct record_queue *q)
{
    if (!q)
        return;
    while (q->first)
        drop_first(q);
    buf_release(&q->spare);
    free(q->ring);
    free(q);
}

static struct queued_record *at(const struct record_queue *q, uint64_t sequence)
{
    return &q->ring[sequence & (q->room - 1)];
}

static struct queued_record *push(struct record_queue *q)
{
    if (q->end - q->head == q->room) {
        struct queued_record *ring = xcalloc(2 * q->room, sizeof *ring);
        for (uint64_t s = q->head; s < q->end; s++)
            ring[s & (2 * q->room - 1)] = *at(q, s);
        free(q->ring);
        q->ring = ring;
        q->room *= 2;
    }
    return at(q, q->end++);
}

struct pace {
    bool set;
    double first_us, every_us;
    double clock_us; /* by the server's clock, when the answer was made; < 0: not told */
    double alone_us; /* so long from then on nobody else starts */
};

/* A member in seconds that a server may leave out: *us stays then. */
static bool read_span(struct str raw, const char *name, double *us)
{
    struct str span;
    double seconds = 0;
    if (!json_find(raw, name, &span))
        return true;
    if (!json_double(span, &seconds) || !(seconds >= 0 && seconds <= 1e12))
        return false;
    *us = seconds * 1e6;
    return true;
}

static bool read_pace(struct str raw, struct pace *out)
{
    double *first_us = &out->first_us, *every_us = &out->every_us;
    struct str first, every;
    if (!json_find(raw, "first_s", &first) || !json_find(raw, "every_s", &every) ||
        !json_double(first, first_us) || !json_double(every, every_us) || *first_us < 0 ||
        *every_us < 0 || *first_us > 1e9 || *every_us > 1e9)
        return false;
    *first_us *= 1e6;
    *every_us *= 1e6;
    out->clock_us = -1;
    out->alone_us = 0;
    return out->set = read_span(raw, "clock_s", &out->clock_us) &&
                      read_span(raw, "alone_s", &out->alone_us);
}

/* Moves the record to `to`, as a line: line breaks, which JSON allows between tokens only, become
 * blanks. */
static char *put_line(char *to, struct str record)
{
    memmove(to, record.ptr, record.len);
    for (char *p = to; (p = memchr(p, '\n', record.len - (size_t)(p - to)));)
        *p = ' ';
    to += record.len;
    *to++ = '\n';
    return to;
}

/* `[17,{...}]`: a record and its number. */
static bool read_record(struct json *j, int64_t *number, struct str *record)
{
    struct str raw;
    return json_enter(j, '[') && json_item(j) && json_value(j, &raw) &&
           json_i64(raw, 0, INT64_MAX, number) && json_item(j) && json_value(j, record) &&
           !json_item(j) && !j->fault;
}

/* A task, whole, and its id. */
static bool read_task(struct json *j, int64_t *number, struct str *task)
{
    struct str raw;
    return json_value(j, task) && json_find(*task, "id", &raw) &&
           json_i64(raw, 1, INT64_MAX, number);
}

/* The items of an answer, moved together as lines at the beginning of what held them. Before each
 * stands at least a bracket or a comma. */
static bool read_items(struct record_queue *q, struct json *j,
                       bool (*read)(struct json *j, int64_t *number, struct str *item))
{
    char *to = NULL;
    struct str item;
    int64_t number = 0;
    if (json_peek(j) != JSON_ARRAY)
        return false;
    to = (char *)(uintptr_t)j->at;
    if (!json_enter(j, '['))
        return false;
    while (json_item(j)) {
        if (!read(j, &number, &item))
            return false;
        struct queued_record *r = push(q);
        *r = (struct queued_record){.number = number, .line = to, .len = item.len + 1};
        to = put_line(to, item);
        q->bytes += r->len;
    }
    return !j->fault;
}

static bool read_member(struct record_queue *q, struct json *j, struct str name,
                        struct claim_answer *out, struct pace *pace)
{
    struct str raw, token;
    if (json_name_is(name, "records"))
        return read_items(q, j, read_record);
    if (json_name_is(name, "tasks"))
        return read_items(q, j, read_task);
    if (!json_value(j, &raw))
        return false;
    if (json_name_is(name, "finished"))
        return json_bool(raw, &out->finished);
    if (json_name_is(name, "alone"))
        return json_bool(raw, &out->alone);
    if (json_type_of(raw) == JSON_NULL)
        return true;
    if (json_name_is(name, "lease"))
        return json_find(raw, "token", &token) && (out->lease = json_take_text(token));
    if (json_name_is(name, "slots"))
        return json_i64(raw, 0, INT64_MAX, &out->slots);
    if (json_name_is(name, "again_s"))
        return json_double(raw, &out->again_s) && out->again_s >= 0;
    if (json_name_is(name, "starts"))
        return read_pace(raw, pace);
    return true; /* of a later version */
}

static bool read_answer(struct record_queue *q, struct str text, struct claim_answer *out,
                        struct pace *pace)
{
    struct json j;
    struct str name;
    json_open(&j, text);
    if (!json_enter(&j, '{'))
        return false;
    while (json_member(&j, &name))
        if (!read_member(q, &j, name, out, pace))
            return false;
    return json_end(&j);
}

bool record_queue_add(struct record_queue *q, struct buf *answer, int64_t at_us, bool same_clock,
                      struct claim_answer *out, struct err *err)
{
    uint64_t before = q->end;
    size_t bytes = q->bytes;
    struct pace pace = {0};
    *out = (struct claim_answer){.slots = -1, .again_s = -1};
    if (!read_answer(q, buf_str(answer), out, &pace)) {
        q->end = before;
        q->bytes = bytes;
        free(TAKE(out->lease));
        return err_set(err, ERR_INTERNAL, "the server's answer to a claim makes no sense");
    }
    if (pace.set && same_clock && pace.clock_us >= 0)
        at_us = llround(pace.clock_us);
    out->paced = pace.set;
    out->alone_until_us = at_us + llround(pace.alone_us);
    out->count = (size_t)(q->end - before);
    for (uint64_t s = before; s < q->end; s++) {
        struct queued_record *r = at(q, s);
        r->alone = out->alone;
        r->every_us = pace.every_us;
        if (pace.set)
            r->not_before_us =
                at_us + llround(pace.first_us + pace.every_us * (double)(s - before));
    }
    if (!out->count)
        return true;
    struct batch *b = xcalloc(1, sizeof *b);
    b->text = *answer;
    b->end = q->end;
    *q->last = b;
    q->last = &b->next;
    *answer = q->spare;
    answer->len = 0;
    buf_init(&q->spare, answer_max_bytes);
    return true;
}

size_t record_queue_fed(const struct record_queue *q)
{
    return (size_t)(q->fed - q->head);
}

size_t record_queue_unfed(const struct record_queue *q)
{
    return (size_t)(q->end - q->fed);
}

size_t record_queue_bytes(const struct record_queue *q)
{
    return q->bytes;
}

const struct queued_record *record_queue_head(const struct record_queue *q)
{
    return q->head < q->end ? at(q, q->head) : NULL;
}

const struct queued_record *record_queue_next(const struct record_queue *q)
{
    return q->fed < q->end ? at(q, q->fed) : NULL;
}

struct str record_queue_piece(const struct record_queue *q, size_t most)
{
    assert(most > 0);
    if (q->fed == q->end)
        return (struct str){NULL, 0};
    const struct queued_record *first = at(q, q->fed);
    const char *start = first->line + q->torn, *end = first->line + first->len;
    for (uint64_t s = q->fed + 1; s < q->end && s - q->fed < most; s++) {
        const struct queued_record *r = at(q, s);
        if (r->line != end || r->not_before_us)
            break;
        end += r->len;
    }
    return (struct str){start, (size_t)(end - start)};
}

size_t record_queue_wrote(struct record_queue *q, size_t bytes)
{
    size_t begun = 0;
    while (bytes > 0) {
        assert(q->fed < q->end);
        size_t left = at(q, q->fed)->len - q->torn;
        begun += q->torn == 0;
        if (bytes < left) {
            q->torn += bytes;
            break;
        }
        bytes -= left;
        q->torn = 0;
        q->fed++;
    }
    return begun;
}

bool record_queue_is_torn(const struct record_queue *q)
{
    return q->torn > 0;
}

void record_queue_pop(struct record_queue *q)
{
    assert(q->head < q->end);
    q->bytes -= at(q, q->head)->len;
    if (q->fed == q->head++) {
        q->fed++;
        q->torn = 0;
    }
    while (q->first && q->first->end <= q->head)
        drop_first(q);
}

void record_queue_rewind(struct record_queue *q)
{
    q->fed = q->head;
    q->torn = 0;
}

static uint64_t find(const struct record_queue *q, int64_t number)
{
    uint64_t s = q->head;
    while (s < q->end && at(q, s)->number != number)
        s++;
    return s;
}

bool record_queue_has(const struct record_queue *q, int64_t number)
{
    return find(q, number) < q->end;
}

void record_queue_remove(struct record_queue *q, int64_t number)
{
    uint64_t s = find(q, number);
    assert(q->fed == q->head && !q->torn && s < q->end);
    q->bytes -= at(q, s)->len;
    for (struct batch *b = q->first; b; b = b->next)
        b->end -= b->end > s;
    for (q->end--; s < q->end; s++)
        *at(q, s) = *at(q, s + 1);
    q->fed = q->head;
    while (q->first && q->first->end <= q->head)
        drop_first(q);
}

size_t record_queue_drop_before(struct record_queue *q, int64_t before_us)
{
    uint64_t to = q->fed + (q->torn > 0), from = to;
    struct batch *b = q->first;
    for (; from < q->end; from++) {
        for (; b && b->end <= from; b = b->next)
            b->end -= from - to;
        const struct queued_record *r = at(q, from);
        if (r->not_before_us && r->not_before_us < before_us)
            q->bytes -= r->len;
        else
            *at(q, to++) = *r;
    }
    for (; b; b = b->next)
        b->end -= from - to;
    q->end = to;
    while (q->first && q->first->end <= q->head)
        drop_first(q);
    return (size_t)(from - to);
}

void record_queue_clear(struct record_queue *q)
{
    q->head = q->fed = q->end;
    q->torn = q->bytes = 0;
    while (q->first)
        drop_first(q);
}

void record_queue_each(const struct record_queue *q, void (*each)(void *context, int64_t number),
                       void *context)
{
    for (uint64_t s = q->head; s < q->end; s++)
        each(context, at(q, s)->number);
}

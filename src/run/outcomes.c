/* outcomes.c: see outcomes.h. Results are spliced in as they come; `{"lease":..,"results":[` (of
 * tasks: "completed") is written in front of them at the end, when it is known, into room that was
 * left for it. */
#include "run/outcomes.h"

#include "base/json.h"

#include <assert.h>

/* What stands in front, with a token of any length that makes sense. */
enum { HEAD_ROOM = 256 };
static const size_t body_max_bytes = (size_t)256 << 20;

void outcomes_init(struct outcomes *o, enum work_kind kind)
{
    *o = (struct outcomes){.kind = kind};
    buf_init(&o->results, body_max_bytes);
    buf_init(&o->numbers, body_max_bytes);
    buf_init(&o->failures, body_max_bytes);
    buf_init(&o->enqueue, body_max_bytes);
    outcomes_clear(o);
}

void outcomes_release(struct outcomes *o)
{
    buf_release(&o->results);
    buf_release(&o->numbers);
    buf_release(&o->failures);
    buf_release(&o->enqueue);
}

void outcomes_clear(struct outcomes *o)
{
    static const char room[HEAD_ROOM] = {0};
    struct buf *all[] = {&o->results, &o->numbers, &o->failures, &o->enqueue};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        all[i]->len = 0;
        all[i]->full = false;
    }
    buf_add(&o->results, room, HEAD_ROOM);
    o->result_count = o->number_count = o->failed_count = o->results_end = 0;
}

/* `[record,`, with a comma before it unless it is the first: by hand, as this is done for every
 * record there is. */
static void begin_pair(struct buf *to, int64_t record, bool first)
{
    char text[24];
    size_t at = sizeof text;
    uint64_t left = (uint64_t)record;
    text[--at] = ',';
    do
        text[--at] = (char)('0' + left % 10);
    while (left /= 10);
    text[--at] = '[';
    if (!first)
        text[--at] = ',';
    buf_add(to, text + at, sizeof text - at);
}

void outcomes_result(struct outcomes *o, int64_t record, struct str value)
{
    assert(record >= 0 && !o->results_end);
    begin_pair(&o->results, record, o->result_count == 0);
    buf_add_str(&o->results, value);
    buf_add_char(&o->results, ']');
    o->result_count++;
}

static void add_number(struct outcomes *o, int64_t number)
{
    if (o->numbers.len)
        buf_add_char(&o->numbers, ',');
    buf_add_i64(&o->numbers, number);
    o->number_count++;
}

void outcomes_skip(struct outcomes *o, int64_t record)
{
    if (o->kind == WORK_TASKS) {
        outcomes_result(o, record, STR("null"));
        return;
    }
    add_number(o, record);
}

void outcomes_abort(struct outcomes *o, int64_t task)
{
    assert(o->kind == WORK_TASKS);
    add_number(o, task);
}

void outcomes_enqueue(struct outcomes *o, int64_t task, struct str tasks)
{
    struct json j;
    struct str one;
    assert(o->kind == WORK_TASKS);
    json_open(&j, tasks);
    if (json_enter(&j, '['))
        while (json_item(&j) && json_value(&j, &one)) {
            struct str rest = str_trim((struct str){one.ptr + 1, one.len - 1});
            buf_add_text(&o->enqueue, o->enqueue.len ? ",{\"of\":" : "{\"of\":");
            buf_add_i64(&o->enqueue, task);
            buf_add_text(&o->enqueue, rest.len > 1 ? "," : "");
            buf_add_str(&o->enqueue, rest);
        }
    assert(!j.fault);
}

static void add_member(struct json_out *out, const char *name, struct str text)
{
    if (!text.len)
        return;
    json_out_name(out, name);
    json_out_str(out, text);
}

void outcomes_fail(struct outcomes *o, int64_t record, const struct failure *why)
{
    struct json_out out;
    begin_pair(&o->failures, record, o->failures.len == 0);
    json_out_init(&out, &o->failures);
    json_out_open(&out, '{');
    json_out_name(&out, "message");
    json_out_str(&out, why->message);
    add_member(&out, "type", why->type);
    if (why->final) {
        json_out_name(&out, "final");
        json_out_bool(&out, true);
    }
    if (why->throttled && o->kind == WORK_RECORDS) {
        json_out_name(&out, "throttled");
        json_out_bool(&out, true);
    }
    if (why->lost && o->kind == WORK_TASKS) {
        json_out_name(&out, "lost");
        json_out_bool(&out, true);
    }
    if (why->retry_after_s > 0) {
        json_out_name(&out, "retry_after_s");
        json_out_double(&out, why->retry_after_s);
    }
    json_out_close(&out, '}');
    buf_add_char(&o->failures, ']');
    o->failed_count++;
}

size_t outcomes_count(const struct outcomes *o)
{
    return o->result_count + o->number_count + o->failed_count;
}

size_t outcomes_bytes(const struct outcomes *o)
{
    return o->results.len + o->numbers.len + o->failures.len + o->enqueue.len;
}

static void add_list(struct buf *body, const char *name, const struct buf *items)
{
    buf_add_format(body, ",\"%s\":[", name);
    buf_add_str(body, buf_str(items));
    buf_add_char(body, ']');
}

bool outcomes_body(struct outcomes *o, const char *lease, struct str *out, struct err *err)
{
    OWNED_BUF struct buf head;
    struct json_out json;
    buf_init(&head, HEAD_ROOM);
    json_out_init(&json, &head);
    json_out_open(&json, '{');
    json_out_name(&json, "lease");
    json_out_text(&json, lease);
    json_out_name(&json, o->kind == WORK_TASKS ? "completed" : "results");
    buf_add_char(&head, '[');
    if (!o->results_end)
        o->results_end = o->results.len;
    o->results.len = o->results_end;
    buf_add_char(&o->results, ']');
    add_list(&o->results, o->kind == WORK_TASKS ? "aborted" : "skipped", &o->numbers);
    add_list(&o->results, "failures", &o->failures);
    if (o->enqueue.len)
        add_list(&o->results, "enqueue", &o->enqueue);
    buf_add_char(&o->results, '}');
    if (head.full || o->results.full || o->numbers.full || o->failures.full || o->enqueue.full)
        return err_set(err, ERR_BUSY, "no memory for the answers of %zu records",
                       outcomes_count(o));
    char *start = o->results.data + HEAD_ROOM - head.len;
    memcpy(start, head.data, head.len);
    *out = (struct str){start, o->results.len - HEAD_ROOM + head.len};
    return true;
}

/* A copy of the pairs that stand in `list` from `from` to `end`, as one array. */
static void copy_pairs(const struct buf *list, size_t from, size_t end, struct buf *out)
{
    buf_init(out, BUF_NO_CAP);
    buf_add_char(out, '[');
    if (end > from)
        buf_add(out, list->data + from, end - from);
    buf_add_char(out, ']');
}

/* Calls `each` for all [record, value] of an array, in order. */
static void walk(const struct buf *pairs,
                 void (*each)(void *context, int64_t record, struct str value), void *context)
{
    struct json j;
    struct str raw, value;
    int64_t record = 0;
    json_open(&j, buf_str(pairs));
    if (json_enter(&j, '['))
        while (json_item(&j) && json_enter(&j, '[') && json_item(&j) && json_value(&j, &raw) &&
               json_i64(raw, 0, INT64_MAX, &record) && json_item(&j) && json_value(&j, &value) &&
               !json_item(&j))
            each(context, record, value);
    assert(!j.fault); /* all was checked before it was put here */
}

/* The results, taken out as an array. */
static void take_results(struct outcomes *o, struct buf *out)
{
    static const char room[HEAD_ROOM] = {0};
    size_t end = o->results_end ? o->results_end : o->results.len;
    copy_pairs(&o->results, HEAD_ROOM, end, out);
    o->results.len = 0;
    buf_add(&o->results, room, HEAD_ROOM);
    o->result_count = o->results_end = 0;
}

struct halves {
    struct outcomes *to[2];
    size_t left;       /* for the first */
    struct json asked; /* what tasks ask for, in the order of their results: the next is */
    struct str next;   /* this one; empty: none is left */
};

static void read_next(struct halves *h)
{
    if (!json_item(&h->asked) || !json_value(&h->asked, &h->next))
        h->next = (struct str){0};
}

static void give(void *context, int64_t record, struct str value)
{
    struct halves *h = context;
    struct outcomes *to = h->to[h->left ? 0 : 1];
    struct str raw;
    int64_t of = 0;
    while (h->next.len && json_find(h->next, "of", &raw) && json_i64(raw, 0, INT64_MAX, &of) &&
           of == record) {
        if (to->enqueue.len)
            buf_add_char(&to->enqueue, ',');
        buf_add_str(&to->enqueue, h->next);
        read_next(h);
    }
    outcomes_result(to, record, value);
    if (h->left)
        h->left--;
}

/* What is asked for, taken out as an array. */
static void take_enqueue(struct outcomes *o, struct buf *out)
{
    copy_pairs(&o->enqueue, 0, o->enqueue.len, out);
    o->enqueue.len = 0;
}

void outcomes_halve(struct outcomes *o, struct outcomes *other)
{
    OWNED_BUF struct buf pairs, asked;
    struct halves halves = {.to = {o, other}, .left = o->result_count / 2};
    assert(o->result_count > 1 && outcomes_count(other) == 0);
    take_results(o, &pairs);
    take_enqueue(o, &asked);
    json_open(&halves.asked, buf_str(&asked));
    if (json_enter(&halves.asked, '['))
        read_next(&halves);
    walk(&pairs, give, &halves);
}

struct refusal {
    struct outcomes *to;
    const struct failure *why;
};

static void refuse(void *context, int64_t record, struct str value)
{
    struct refusal *r = context;
    (void)value;
    outcomes_fail(r->to, record, r->why);
}

void outcomes_refuse(struct outcomes *o, const struct failure *why)
{
    OWNED_BUF struct buf pairs;
    struct refusal refusal = {o, why};
    take_results(o, &pairs);
    o->enqueue.len = 0;
    walk(&pairs, refuse, &refusal);
}

struct visit {
    void (*each)(void *context, int64_t record);
    void *context;
};

static void visit(void *context, int64_t record, struct str value)
{
    struct visit *v = context;
    (void)value;
    v->each(v->context, record);
}

void outcomes_each(const struct outcomes *o, void (*each)(void *context, int64_t record),
                   void *context)
{
    OWNED_BUF struct buf results, failures, numbers;
    struct visit v = {each, context};
    struct json j;
    struct str raw;
    int64_t record = 0;
    copy_pairs(&o->results, HEAD_ROOM, o->results_end ? o->results_end : o->results.len, &results);
    copy_pairs(&o->failures, 0, o->failures.len, &failures);
    copy_pairs(&o->numbers, 0, o->numbers.len, &numbers);
    walk(&results, visit, &v);
    walk(&failures, visit, &v);
    json_open(&j, buf_str(&numbers));
    if (json_enter(&j, '['))
        while (json_item(&j) && json_value(&j, &raw) && json_i64(raw, 0, INT64_MAX, &record))
            each(context, record);
}

/* native_settle.c: a worker reports results and failures (native.h).
 *
 * The body is read once, as bytes: each result stays where it came in and is made a line there (its
 * line breaks, which JSON allows between tokens only, become blanks; the byte behind it, which
 * closed its pair or was a blank, becomes the line's end). The engine writes those lines to the
 * sink. */
#include "core/ledger.h"
#include "http/native/native.h"

#include <stdlib.h>

/* Twice what one claim can give: results and failures of all of it. */
enum { ENTRIES_MAX = 200000, ENTRIES_FIRST = 128 };

struct settlement {
    struct settle_entry *entries;
    size_t count, cap;
    char *body;
    struct str lease; /* as it came, a JSON text; empty: none given */
};

static void settlement_release(void *thing)
{
    struct settlement *s = thing;
    free(s->entries);
}

static bool settlement_add(struct settlement *s, struct settle_entry entry, struct err *err)
{
    if (s->count == ENTRIES_MAX)
        return err_set(err, ERR_LIMIT, "more than %d results and failures at once", ENTRIES_MAX);
    if (s->count == s->cap) {
        s->cap = s->cap ? 2 * s->cap : ENTRIES_FIRST;
        s->entries = xrealloc(s->entries, s->cap * sizeof *s->entries);
    }
    s->entries[s->count++] = entry;
    return true;
}

/* The value at `raw`, inside the body, as a line: one byte longer. */
static void make_line(char *body, struct str raw)
{
    char *line = body + (raw.ptr - body);
    for (const char *c = "\n\r"; *c; c++)
        for (char *at = line; (at = memchr(at, *c, (size_t)(line + raw.len - at)));)
            *at = ' ';
    line[raw.len] = '\n';
}

static bool wrong_pair(struct err *err, const char *what, size_t index, const char *why)
{
    return err_set(err, ERR_INVALID, "%s[%zu]: %s", what, index, why);
}

/* One [number, value]; the cursor stands before it. A fault of the cursor is the caller's to see.
 */
static bool read_pair(struct json *j, const char *what, size_t index, struct settlement *s,
                      struct err *err)
{
    struct str raw[2] = {{NULL, 0}, {NULL, 0}}, more;
    size_t parts = 0;
    if (json_peek(j) != JSON_ARRAY)
        return j->fault || wrong_pair(err, what, index, "expected a pair of number and value");
    json_enter(j, '[');
    while (json_item(j) && json_value(j, parts < 2 ? &raw[parts] : &more))
        parts++;
    if (j->fault)
        return true;
    if (parts != 2)
        return wrong_pair(err, what, index, "expected a pair of number and value");
    struct settle_entry entry = {.failed = what[0] == 'f'};
    if (!json_i64(raw[0], 0, LEDGER_RECORDS_MAX - 1, &entry.record))
        return wrong_pair(err, what, index, "expected a record's number");
    enum json_type type = json_type_of(raw[1]);
    if (entry.failed && type != JSON_STRING && type != JSON_NULL)
        return wrong_pair(err, what, index, "expected a reason, a text or null");
    if (!entry.failed || type == JSON_STRING) {
        make_line(s->body, raw[1]);
        entry.at = (uint32_t)(raw[1].ptr - s->body);
        entry.len = (uint32_t)raw[1].len + 1;
    }
    return settlement_add(s, entry, err);
}

static bool read_pairs(struct json *j, const char *what, struct settlement *s, struct err *err)
{
    struct str ignored;
    if (json_peek(j) == JSON_NULL)
        return json_value(j, &ignored) || j->fault;
    if (json_peek(j) != JSON_ARRAY)
        return j->fault || err_set(err, ERR_INVALID, "%s: expected a list of pairs", what);
    json_enter(j, '[');
    for (size_t i = 0; json_item(j); i++)
        if (!read_pair(j, what, i, s, err))
            return false;
    return true;
}

static bool read_member(struct json *j, struct str name, struct settlement *s, struct err *err)
{
    if (json_name_is(name, "results"))
        return read_pairs(j, "results", s, err);
    if (json_name_is(name, "failures"))
        return read_pairs(j, "failures", s, err);
    if (!json_name_is(name, "lease"))
        return err_set(err, ERR_INVALID, "unknown member %.*s", name.len > 60 ? 60 : (int)name.len,
                       name.ptr);
    struct str raw;
    if (json_value(j, &raw) && json_type_of(raw) != JSON_NULL)
        s->lease = raw;
    return true;
}

static bool read_settlement(struct settlement *s, size_t len, struct err *err)
{
    struct json j;
    struct str name;
    json_open(&j, (struct str){s->body, len});
    if (json_enter(&j, '{'))
        while (json_member(&j, &name))
            if (!read_member(&j, name, s, err))
                return false;
    if (!json_end(&j))
        return err_set(err, ERR_INVALID, "body: byte %zu: %s", json_fault_at(&j), j.fault);
    return true;
}

static bool finish_settled(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req;
    const struct {
        const char *name;
        int64_t count;
    } counts[] = {{"written", op->settle.written},
                  {"repeats", op->settle.repeats},
                  {"failed", op->settle.failed},
                  {"retried", op->settle.retried}};
    OWNED_BUF struct buf b;
    struct json_out o;
    native_reply_begin(&o, &b);
    json_out_open(&o, '{');
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        json_out_name(&o, counts[i].name);
        json_out_i64(&o, counts[i].count);
    }
    json_out_close(&o, '}');
    return native_reply_end(reply, &b, err);
}

static bool ask_to_settle(struct request *req, struct op *op, const struct settlement *s)
{
    op->settle.entries = s->entries;
    op->settle.count = s->count;
    op->settle.lines = s->body;
    return request_call(req, finish_settled);
}

/* Without a lease: only jobs that give none. */
static bool finish_looked(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)reply;
    const struct job_view *view = &op->report.view;
    if (view->spec.mode != MODE_WRITE && view->spec.lease_us > 0)
        return err_set(err, ERR_INVALID, "lease: is required");
    struct job_ref ref = {.id = view->id};
    struct op_right right = op->right;
    op = request_op(req, OP_SETTLE);
    op->job = ref;
    op->right = right;
    return ask_to_settle(req, op, request_state(req));
}

static bool read_lease(const struct settlement *s, uint8_t out[LEASE_TOKEN_BYTES], struct err *err)
{
    OWNED_MEM char *token = json_take_text(s->lease);
    return native_token_read(token ? str_of(token) : s->lease, out, err);
}

bool native_settle(struct request *req, struct reply *reply, struct err *err)
{
    (void)reply;
    struct settlement *s = request_alloc(req, sizeof *s);
    if (!s)
        return err_set(err, ERR_BUSY, "memory is out");
    request_own(req, s, settlement_release);
    request_set_state(req, s);
    size_t len = 0;
    s->body = request_body(req, &len);
    if (len > UINT32_MAX)
        return err_set(err, ERR_LIMIT, "a body of more than 4 GiB");
    uint8_t token[LEASE_TOKEN_BYTES];
    if (!read_settlement(s, len, err) || (s->lease.len && !read_lease(s, token, err)))
        return false;
    struct op *op = native_job_op(req, s->lease.len ? OP_SETTLE : OP_REPORT, SCOPE_WORK, err);
    if (!op)
        return false;
    if (!s->lease.len)
        return request_call(req, finish_looked);
    op->settle.has_lease = true;
    memcpy(op->settle.token, token, sizeof token);
    return ask_to_settle(req, op, s);
}

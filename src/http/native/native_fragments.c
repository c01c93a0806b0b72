/* native_fragments.c: datasets and fragments (native.h).
 *
 * What is read may be long: its first portion comes with the answer to the request's own op, the
 * others with ops of the reading's own, each asked for when the client has taken the one before. A
 * reading is counted: by its request, its stream and an op under way; the last to end frees it. */
#include "core/job.h"
#include "engine/intake.h"
#include "http/native/native.h"
#include "http/native/native_body.h"
#include "http/native/native_fragment_lines.h"

#include <stdatomic.h>
#include <stdlib.h>

enum {
    LIMIT_DEFAULT = 1000,
    LIMIT_MAX = 10000,
    NAME_ESCAPED_SIZE = 3 * FRAGMENT_NAME_MAX_BYTES + 1
};

static bool dataset_in_path(const struct request *req, struct str *out, struct err *err)
{
    *out = request_path_param(req, "dataset");
    return job_name_check(*out, err) || err_add(err, "the dataset's name");
}

/* {"name": count} */
static bool reply_count(struct reply *reply, const char *name, int64_t count, struct err *err)
{
    OWNED_BUF struct buf b;
    struct json_out o;
    native_reply_begin(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, name);
    json_out_i64(&o, count);
    json_out_close(&o, '}');
    return native_reply_end(reply, &b, err);
}

/* --- putting --- */

static void lines_end(void *thing)
{
    fragment_lines_release(thing);
}

static bool finish_put(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req;
    return reply_count(reply, "stored", (int64_t)op->fragments_put.stored, err);
}

bool native_fragments_put(struct request *req, struct reply *reply, struct err *err)
{
    struct str dataset;
    size_t len = 0;
    char *body = request_body(req, &len);
    struct fragment_lines *lines = request_alloc(req, sizeof *lines);
    if (!lines)
        return err_set(err, ERR_BUSY, "memory is out");
    request_own(req, lines, lines_end);
    if (!dataset_in_path(req, &dataset, err) || !fragment_lines_read(lines, body, len, err))
        return false;
    if (lines->count == 0)
        return reply_count(reply, "stored", 0, err);
    struct op *op = request_op(req, OP_FRAGMENTS_PUT);
    op->fragments_put.dataset = dataset;
    op->fragments_put.bytes = body;
    op->fragments_put.slices = lines->slices;
    op->fragments_put.count = lines->count;
    return request_call(req, finish_put);
}

/* --- reading --- */

struct reading {
    atomic_int holders;
    struct intake *intake;
    struct waker *waker; /* once it is streamed */
    struct buf names;    /* the dataset's, then the ids' */
    struct str *ids;
    size_t id_count, id_cap;
    struct op op;       /* the engine's while asking, else the HTTP thread's */
    size_t sent;        /* bytes of its lines */
    atomic_bool asking; /* op is with the engine */
    bool failed;        /* what it answered; read when not asking */
};

static struct reading *reading_new(struct request *req)
{
    struct reading *r = xcalloc(1, sizeof *r);
    atomic_init(&r->holders, 1);
    buf_init(&r->names, BUF_NO_CAP);
    op_init(&r->op, OP_FRAGMENTS_READ);
    r->intake = request_intake(req);
    return r;
}

static void reading_let_go(void *reading)
{
    struct reading *r = reading;
    if (atomic_fetch_sub(&r->holders, 1) > 1)
        return;
    op_release(&r->op);
    waker_free(r->waker);
    buf_release(&r->names);
    free(r->ids);
    free(r);
}

/* The engine's thread. */
static void portion_came(struct op *op)
{
    struct reading *r = op->context;
    r->failed = op->err.code != ERR_NONE;
    r->sent = 0;
    atomic_store(&r->asking, false);
    waker_wake(r->waker);
    reading_let_go(r);
}

static void ask_for_more(struct reading *r)
{
    atomic_fetch_add(&r->holders, 1);
    atomic_store(&r->asking, true);
    r->op.done = portion_came;
    r->op.context = r;
    intake_post(r->intake, &r->op);
}

static ssize_t reading_take(void *reading, char *out, size_t max)
{
    struct reading *r = reading;
    if (atomic_load(&r->asking))
        return 0;
    if (r->failed)
        return -2;
    const struct op_fragments_read *read = &r->op.fragments_read;
    size_t left = read->lines.len - r->sent, n = left < max ? left : max;
    if (n == 0 && !read->more)
        return -1;
    if (n > 0)
        memcpy(out, read->lines.data + r->sent, n);
    r->sent += n;
    if (n == 0)
        ask_for_more(r);
    return (ssize_t)n;
}

/* An id as it may stand in a query. */
static void escape(struct str id, char out[NAME_ESCAPED_SIZE])
{
    static const char digits[] = "0123456789ABCDEF",
                      plain[] =
                          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    for (size_t i = 0; i < id.len && i < FRAGMENT_NAME_MAX_BYTES; i++) {
        unsigned char c = (unsigned char)id.ptr[i];
        if (strchr(plain, c)) {
            *out++ = (char)c;
        } else {
            *out++ = '%';
            *out++ = digits[c >> 4];
            *out++ = digits[c & 15];
        }
    }
    *out = '\0';
}

static bool finish_read(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    struct reading *r = request_state(req);
    struct op_fragments_read *read = &op->fragments_read;
    (void)err;
    reply_content_type(reply, "application/x-ndjson; charset=utf-8");
    if (read->has_next) {
        char next[NAME_ESCAPED_SIZE];
        escape(buf_str(&read->last), next);
        reply_header(reply, "Penstock-Next", next);
    }
    if (!read->more) {
        reply_add_buf(reply, &read->lines);
        return true;
    }
    /* What it owns goes over to the reading's own op. */
    op_release(&r->op);
    r->op.fragments_read = *read;
    op_init(op, OP_FRAGMENTS_READ);
    r->waker = waker_new(req);
    atomic_fetch_add(&r->holders, 1);
    reply_stream_whole(reply, -1, reading_take, reading_let_go, r);
    return true;
}

/* Asks for the first portion. */
static bool reading_begin(struct request *req, struct reading *r, struct str dataset,
                          struct str after, int64_t limit)
{
    struct op *op = request_op(req, OP_FRAGMENTS_READ);
    op->fragments_read.dataset = dataset;
    op->fragments_read.ids = r->ids;
    op->fragments_read.id_count = r->id_count;
    op->fragments_read.after = after;
    op->fragments_read.limit = limit;
    return request_call(req, finish_read);
}

static struct reading *reading_of(struct request *req)
{
    struct reading *r = reading_new(req);
    request_own(req, r, reading_let_go);
    request_set_state(req, r);
    return r;
}

/* --- by ids --- */

static int compare_ids(const void *a, const void *b)
{
    const struct str *x = a, *y = b;
    size_t len = x->len < y->len ? x->len : y->len;
    int by = len ? memcmp(x->ptr, y->ptr, len) : 0;
    return by ? by : (x->len > y->len) - (x->len < y->len);
}

static void sort_ids(struct reading *r)
{
    size_t kept = 0;
    if (r->id_count > 1)
        qsort(r->ids, r->id_count, sizeof *r->ids, compare_ids);
    for (size_t i = 0; i < r->id_count; i++)
        if (kept == 0 || !str_eq(r->ids[kept - 1], r->ids[i]))
            r->ids[kept++] = r->ids[i];
    r->id_count = kept;
}

static bool add_id(struct reading *r, char *body, struct str raw, struct err *err)
{
    if (r->id_count == r->id_cap) {
        r->id_cap = r->id_cap ? 2 * r->id_cap : 64;
        r->ids = xrealloc(r->ids, r->id_cap * sizeof *r->ids);
    }
    return fragment_name_read(body, raw, &r->ids[r->id_count++], err);
}

static bool read_ids(struct reading *r, char *body, struct str raw, struct err *err)
{
    struct json j;
    struct str value;
    if (json_type_of(raw) != JSON_ARRAY)
        return err_set(err, ERR_INVALID, "ids: expected a list of texts");
    json_open(&j, raw);
    if (json_enter(&j, '['))
        while (json_item(&j) && json_value(&j, &value))
            if (!add_id(r, body, value, err))
                return err_add(err, "ids[%zu]", r->id_count - 1);
    sort_ids(r);
    return true;
}

/* The request's body goes before an op of the reading may end: copies what its texts say. */
static void keep_texts(struct reading *r, struct str *dataset)
{
    size_t at = dataset->len;
    buf_add_str(&r->names, *dataset);
    for (size_t i = 0; i < r->id_count; i++)
        buf_add_str(&r->names, r->ids[i]);
    if (r->names.full)
        return;
    dataset->ptr = r->names.data;
    for (size_t i = 0; i < r->id_count; at += r->ids[i++].len)
        r->ids[i].ptr = r->names.data + at;
}

bool native_fragments_load(struct request *req, struct reply *reply, struct err *err)
{
    struct str dataset, ids = {0};
    const struct member members[] = {
        {.name = "ids", .type = MEMBER_RAW, .required = true, .out = &ids},
    };
    size_t len = 0;
    struct reading *r = reading_of(req);
    if (!dataset_in_path(req, &dataset, err) || !native_body_read(req, members, 1, err) ||
        !read_ids(r, request_body(req, &len), ids, err))
        return false;
    if (r->id_count == 0) {
        reply_content_type(reply, "application/x-ndjson; charset=utf-8");
        return true;
    }
    keep_texts(r, &dataset);
    if (r->names.full)
        return err_set(err, ERR_BUSY, "memory is out");
    return reading_begin(req, r, dataset, (struct str){0}, 0);
}

/* --- in order --- */

bool native_fragments_list(struct request *req, struct reply *reply, struct err *err)
{
    struct str dataset;
    char *after = NULL;
    int64_t limit = LIMIT_DEFAULT;
    const struct member members[] = {
        {.name = "after", .type = MEMBER_TEXT, .out = &after},
        {.name = "limit", .type = MEMBER_I64, .min = 1, .max = LIMIT_MAX, .out = &limit},
    };
    (void)reply;
    struct reading *r = reading_of(req);
    if (!dataset_in_path(req, &dataset, err) ||
        !native_query_read(req, members, sizeof members / sizeof *members, err))
        return false;
    keep_texts(r, &dataset);
    if (r->names.full)
        return err_set(err, ERR_BUSY, "memory is out");
    return reading_begin(req, r, dataset, str_of(after), limit);
}

/* --- deleting, datasets --- */

static bool finish_deleted(struct request *req, struct op *op, struct reply *reply, struct err *err)
{
    (void)req;
    return reply_count(reply, "deleted", op->fragments_delete.deleted, err);
}

bool native_fragments_delete(struct request *req, struct reply *reply, struct err *err)
{
    struct str dataset;
    char *id = NULL, *origin = NULL;
    const struct member members[] = {
        {.name = "id", .type = MEMBER_TEXT, .out = &id},
        {.name = "origin", .type = MEMBER_TEXT, .out = &origin},
    };
    (void)reply;
    if (!dataset_in_path(req, &dataset, err) ||
        !native_query_read(req, members, sizeof members / sizeof *members, err))
        return false;
    if (id && !*id)
        return err_set(err, ERR_INVALID, "id: it is empty");
    struct op *op = request_op(req, OP_FRAGMENTS_DELETE);
    op->fragments_delete.dataset = dataset;
    op->fragments_delete.id = str_of(id);
    op->fragments_delete.origin = str_of(origin);
    return request_call(req, finish_deleted);
}

static bool finish_datasets(struct request *req, struct op *op, struct reply *reply,
                            struct err *err)
{
    const struct op_datasets *all = &op->datasets;
    OWNED_BUF struct buf b;
    struct json_out o;
    (void)req;
    native_reply_begin(&o, &b);
    json_out_open(&o, '{');
    json_out_name(&o, "datasets");
    json_out_open(&o, '[');
    for (size_t i = 0; i < all->count; i++) {
        json_out_open(&o, '{');
        json_out_name(&o, "name");
        json_out_text(&o, all->views[i].name);
        json_out_name(&o, "fragments");
        json_out_i64(&o, all->views[i].fragments);
        json_out_name(&o, "created_at");
        native_time_write(&o, all->views[i].created_at_us);
        json_out_name(&o, "updated_at");
        native_time_write(&o, all->views[i].updated_at_us);
        json_out_close(&o, '}');
    }
    json_out_close(&o, ']');
    json_out_name(&o, "more");
    json_out_bool(&o, all->more);
    json_out_close(&o, '}');
    return native_reply_end(reply, &b, err);
}

bool native_datasets(struct request *req, struct reply *reply, struct err *err)
{
    char *after = NULL;
    int64_t limit = LIMIT_DEFAULT;
    const struct member members[] = {
        {.name = "after", .type = MEMBER_TEXT, .out = &after},
        {.name = "limit", .type = MEMBER_I64, .min = 1, .max = LIMIT_MAX, .out = &limit},
    };
    (void)reply;
    if (!native_query_read(req, members, sizeof members / sizeof *members, err))
        return false;
    struct op *op = request_op(req, OP_DATASETS);
    op->datasets.after = str_of(after);
    op->datasets.limit = limit;
    return request_call(req, finish_datasets);
}

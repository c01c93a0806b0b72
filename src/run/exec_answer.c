/* exec_answer.c: see exec_answer.h. */
#include "run/exec_answer.h"

#include "base/json.h"

enum { SHOWN_BYTES = 80, TEXT_MAX_BYTES = 64 << 10 };
static const double retry_after_max_s = 24 * 3600;

static void add_shown(struct buf *text, struct str bytes)
{
    buf_add(text, bytes.ptr, bytes.len > SHOWN_BYTES ? SHOWN_BYTES : bytes.len);
    buf_add_text(text, bytes.len > SHOWN_BYTES ? "..." : "");
}

static void fail(int64_t record, const char *type, const struct buf *why, struct outcomes *out)
{
    outcomes_fail(out, record, &(struct failure){.message = buf_str(why), .type = str_of(type)});
}

static void not_json(struct str line, size_t at, const char *fault, struct buf *why)
{
    buf_add_format(why, "the program's answer is no JSON: byte %zu: %s: ", at, fault);
    add_shown(why, line);
}

/* `member` is the one that is wrong, empty when it is none. */
static void bad_word(struct str member, struct buf *why)
{
    buf_add_text(why, "the program's answer, \"penstock\": ");
    add_shown(why, member);
    buf_add_text(why,
                 member.len ? " is unknown or of another type" : "neither \"fail\" nor \"skip\"");
}

/* What stands in {"penstock":{...}}. */
struct word {
    struct failure failure;
    bool fails, skips;
    bool of_task; /* then these may be said, too: */
    struct str enqueue, result;
    struct buf *message, type;
};

static bool read_text(struct str raw, struct buf *out)
{
    out->len = 0;
    return json_text(raw, out) && !out->full;
}

/* A list of objects; what must be in them the server knows. */
static bool read_tasks(struct str raw, struct str *out)
{
    struct json j;
    struct str task;
    json_open(&j, raw);
    if (!json_enter(&j, '['))
        return false;
    while (json_item(&j))
        if (!json_value(&j, &task) || json_type_of(task) != JSON_OBJECT)
            return false;
    *out = raw;
    return true;
}

static bool read_member(struct str name, struct str raw, struct word *w)
{
    if (json_name_is(name, "fail"))
        return w->fails = read_text(raw, w->message);
    if (json_name_is(name, "type"))
        return read_text(raw, &w->type);
    if (json_name_is(name, "skip"))
        return json_bool(raw, &w->skips);
    if (json_name_is(name, "final"))
        return json_bool(raw, &w->failure.final);
    if (json_name_is(name, "throttled"))
        return json_bool(raw, &w->failure.throttled);
    if (w->of_task && json_name_is(name, "enqueue"))
        return read_tasks(raw, &w->enqueue);
    if (w->of_task && json_name_is(name, "result")) {
        w->result = raw;
        return true;
    }
    if (json_name_is(name, "retry_after_s"))
        return json_double(raw, &w->failure.retry_after_s) && w->failure.retry_after_s >= 0 &&
               w->failure.retry_after_s <= retry_after_max_s;
    return false;
}

static bool take_word(struct str raw, int64_t record, struct outcomes *out, struct buf *why)
{
    struct json j;
    struct str name = {0}, value;
    struct word w = {.message = why, .of_task = out->kind == WORK_TASKS};
    bool good = true;
    buf_init(&w.type, TEXT_MAX_BYTES);
    json_open(&j, raw);
    if (json_enter(&j, '{'))
        while (good && json_member(&j, &name) && json_value(&j, &value))
            good = read_member(name, value, &w);
    w.failure.message = buf_str(why);
    w.failure.type = buf_str(&w.type);
    bool done = good && !w.fails && (w.skips || w.result.len || w.enqueue.len);
    if (done && w.enqueue.len)
        outcomes_enqueue(out, record, w.enqueue);
    if (done && w.result.len)
        outcomes_result(out, record, w.result);
    else if (done)
        outcomes_skip(out, record);
    else if (good && w.fails)
        outcomes_fail(out, record, &w.failure);
    else {
        why->len = 0;
        bad_word(good ? (struct str){0} : name, why);
        fail(record, "BadAnswer", why, out);
    }
    buf_release(&w.type);
    return done;
}

/* Whether a valid object is {"penstock":{...}} and nothing else; *raw is then what stands in it.
 * The first look is cheap: nearly none is. */
static bool is_word(struct str line, struct str *raw)
{
    struct json j;
    struct str name, other;
    size_t at = 1;
    while (at < line.len && (line.ptr[at] == ' ' || line.ptr[at] == '\t'))
        at++;
    if (line.len < at + 10 || memcmp(line.ptr + at, "\"penstock\"", 10) != 0)
        return false;
    json_open(&j, line);
    return json_enter(&j, '{') && json_member(&j, &name) && json_value(&j, raw) &&
           json_type_of(*raw) == JSON_OBJECT && !json_member(&j, &other);
}

bool exec_answer_take(struct str line, int64_t record, struct outcomes *out, struct buf *why)
{
    size_t at = 0;
    const char *fault = NULL;
    struct str raw;
    line = str_trim(line);
    why->len = 0;
    if (line.len == 0 || str_is(line, "null"))
        outcomes_skip(out, record);
    else if (!json_check(line, &at, &fault)) {
        not_json(line, at, fault, why);
        fail(record, "NotJson", why, out);
        return false;
    } else if (line.ptr[0] == '{' && is_word(line, &raw))
        return take_word(raw, record, out, why);
    else
        outcomes_result(out, record, line);
    return true;
}

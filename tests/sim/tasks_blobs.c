/* tasks_blobs.c: blobs in the simulation of the queue: what a task needs is there, and what nothing
 * needs goes. */
#include "tasks_sim.h"

#include "io/blob.h"

#include <string.h>

enum { TEXTS = 4, ROUNDS_MAX = 200 };

/* Some are put again and again; some are what tasks have, too. */
static char *some_text(void)
{
    if (world->task_count && pick(2))
        return xasprintf("{\"n\":%d}", pick(world->task_count));
    return xasprintf("text %d", pick(TEXTS));
}

struct blob_pin *put_text(const char *text, struct task_blob_ref *ref)
{
    static const char *const plans[] = {"blob.sync:1:fail",   "blob.sync:2:full",
                                        "blob.marked:1:full", "blob.marked:1:kill",
                                        "blob.placed:1:kill", "blob.written:1:kill"};
    struct blob_pin *pin = NULL;
    struct err err;
    if (!world->ending && pick(12) == 0)
        plan(plans[pick((int)(sizeof plans / sizeof *plans))]);
    bool ok = blob_put(engine_blobs(sim_engine), str_of(text), &pin, &err);
    no_faults();
    MUST(ok || err.code == ERR_IO || err.code == ERR_NO_SPACE, "put: %s", err.text);
    if (ok)
        *ref = (struct task_blob_ref){*blob_pin_hash(pin), blob_pin_bytes(pin)};
    return pin;
}

char *text_or_blob(struct str text, const struct task_blob_ref *ref)
{
    struct buf out;
    struct err err;
    if (!ref->bytes)
        return xstrndup(text.len ? text.ptr : "", text.len);
    buf_init(&out, 1000);
    MUST(blob_load(engine_blobs(sim_engine), &ref->hash, &out, &err), "%s", err.text);
    MUST((int64_t)out.len == ref->bytes, "a blob is longer or shorter than is said");
    return buf_take(&out);
}

int64_t number_in(const char *text, const char *name)
{
    struct str raw;
    int64_t number = -1;
    if (json_find(str_of(text), name, &raw))
        MUST(json_i64(raw, 0, INT64_MAX, &number), "%s", text);
    return number;
}

static bool is_needed(const struct blob_hash *hash)
{
    for (int i = 0; i < world->task_count; i++) {
        const struct known *k = &world->tasks[i];
        struct blob_hash own;
        if (k->state == KNOWN_NOT || k->state == KNOWN_GONE || k->schedule ||
            !world->tasks[k->arguments].large)
            continue;
        OWNED_MEM char *text = xasprintf("{\"n\":%d}", k->arguments);
        blob_hash_of(str_of(text), &own);
        if (blob_hash_same(&own, hash))
            return true;
    }
    return false;
}

static void forget(const char *text, bool dares)
{
    struct op op;
    op_init(&op, OP_BLOB_FORGET);
    blob_hash_of(str_of(text), &op.blob_forget.hash);
    bool needed = is_needed(&op.blob_forget.hash);
    if (dares)
        dare(&op);
    else
        ask(&op);
    SAY("  forget %s: %s\n", text, op.err.code == ERR_NONE ? "well" : op.err.text);
    MUST(!needed || op.err.code != ERR_NONE, "%s is forgotten, and a task needs it", text);
    MUST(op.err.code == ERR_NONE || op.err.code == ERR_NOT_FOUND || op.err.code == ERR_CONFLICT ||
             (dares && (op.err.code == ERR_STORE || op.err.code == ERR_NO_SPACE)),
         "forget: %s", op.err.text);
    op_release(&op);
}

void verb_blob(void)
{
    struct task_blob_ref ref;
    OWNED_MEM char *text = some_text();
    if (pick(4) == 0) {
        forget(text, true);
        return;
    }
    struct blob_pin *pin = put_text(text, &ref);
    struct op op;
    bool known = false;
    if (pin && pick(3)) {
        op_init(&op, OP_BLOB_NOTE);
        op.blob_note.hash = ref.hash;
        op.blob_note.bytes = ref.bytes;
        op.blob_note.kept = strncmp(text, "text", 4) == 0 && pick(2);
        dare(&op);
        known = op.err.code == ERR_NONE;
        op_release(&op);
    }
    blob_pin_free(pin, known);
}

void blobs_check_needed(void)
{
    for (int i = 0; i < world->task_count; i++) {
        const struct known *k = &world->tasks[i];
        if (k->state == KNOWN_NOT || k->state == KNOWN_GONE || k->schedule)
            continue;
        struct task_view view = show(k->id);
        OWNED_MEM char *text =
            text_or_blob(str_of(view.arguments ? view.arguments : ""), &view.arguments_blob);
        MUST(number_in(text, "n") == k->arguments, "task %lld has %s", (long long)k->id, text);
        task_view_release(&view);
    }
}

static void count_one(void *context, const struct blob_hash *hash, int64_t bytes)
{
    (void)hash, (void)bytes;
    ++*(int *)context;
}

void blobs_check_collected(void)
{
    struct err err;
    int left = 1;
    for (int i = 0; i < TEXTS; i++) {
        OWNED_MEM char *text = xasprintf("text %d", i);
        forget(text, false);
    }
    for (int rounds = 0; left > 0; rounds++) {
        left = 0;
        pass(BLOB_GRACE_US / 4);
        MUST(blobs_each(engine_blobs(sim_engine), count_one, &left, &err), "%s", err.text);
        MUST(rounds < ROUNDS_MAX, "%d blobs stay for ever", left);
    }
}

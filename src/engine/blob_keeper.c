/* blob_keeper.c: what becomes of blobs that nothing refers to.
 *
 * Their rows are deleted when their grace is over, some a step; the files go after that is durable
 * (io/blob.h). Nobody can refer to a blob in between: references are rows, which this thread alone
 * writes, and whoever has put one anew holds a pin. */
#include "base/log.h"
#include "engine/engine_state.h"
#include "store/blob_store.h"

/* So many are removed a step: each costs some syncs of folders. */
enum { STEP_BLOBS = 16 };
#define STEP_PAUSE_US INT64_C(20000)
#define AGAIN_US INT64_C(60000000)
#define GRACE_DEFAULT_US (INT64_C(24) * 3600 * 1000000)

static int64_t grace_us(const struct engine *e)
{
    return e->options.blob_grace_us > 0 ? e->options.blob_grace_us : GRACE_DEFAULT_US;
}

static int is_known(void *context, const struct blob_hash *hash, struct err *err)
{
    struct tx *tx = context;
    struct blob_row row = {0};
    bool found = false;
    return blob_store_find(tx, hash->bytes, &row, &found, err) ? found : -1;
}

/* Removes the files of what has no row. */
static bool sweep(struct engine *e, struct err *err)
{
    OWNED(tx) struct tx *tx = NULL;
    return tx_begin(e->store, &tx, err) && blobs_sweep(e->blobs, is_known, tx, err);
}

/* --- forgetting one --- */

static bool forget(struct engine *e, const struct blob_hash *hash, struct err *err)
{
    OWNED(tx) struct tx *tx = NULL;
    return tx_begin(e->store, &tx, err) && blob_store_forget(tx, hash->bytes, err) &&
           blobs_mark(e->blobs, hash, err) && tx_commit(tx, err);
}

enum op_fate op_blob_forget(struct engine *e, struct op *op)
{
    struct err err;
    if (!forget(e, &op->blob_forget.hash, &op->err))
        return FATE_NOW;
    /* It is forgotten; its bytes go now or with a later sweep. */
    if (!sweep(e, &err))
        LOG1(LOG_WARN, "blob.not-removed", "reason", "%s", err.text);
    return FATE_NOW;
}

/* --- collecting --- */

struct collecting {
    struct engine *engine;
    int64_t count;
    bool failed;
    struct err *err;
};

static void mark(void *context, const uint8_t hash[BLOB_STORE_HASH_BYTES])
{
    struct collecting *c = context;
    struct blob_hash marked;
    memcpy(marked.bytes, hash, sizeof marked.bytes);
    c->count++;
    c->failed = c->failed || !blobs_mark(c->engine->blobs, &marked, c->err);
}

/* When the longest unused one may go. */
static bool set_due(struct engine *e, struct tx *tx, struct err *err)
{
    int64_t first_us = 0, now_us = e->now.wall_us;
    bool found = false;
    if (!blob_store_first_unused(tx, &first_us, &found, err))
        return false;
    /* After a wall clock was set back nobody waits longer than the whole grace, twice. */
    int64_t from_us = first_us < now_us ? first_us : now_us;
    int64_t wait_us = from_us + grace_us(e) - now_us + 1;
    if (found)
        e->blobs_due_us = e->now.mono_us + (wait_us > STEP_PAUSE_US ? wait_us : STEP_PAUSE_US);
    else
        e->blobs_due_us = NEVER_US;
    return true;
}

/* Forgets some, and sets when to look again. */
static bool collect(struct engine *e, struct err *err)
{
    OWNED(tx) struct tx *tx = NULL;
    struct collecting c = {.engine = e, .err = err};
    int64_t hastened = 0;
    if (!tx_begin(e->store, &tx, err) || !blob_store_hasten(tx, e->now.wall_us, &hastened, err) ||
        !blob_store_collect(tx, e->now.wall_us - grace_us(e), STEP_BLOBS, mark, &c, err) ||
        c.failed || !set_due(e, tx, err))
        return false;
    if ((c.count || hastened) && !tx_commit(tx, err))
        return false;
    tx_free(TAKE(tx));
    return !blobs_left(e->blobs) || sweep(e, err);
}

void blobs_stir(struct engine *e)
{
    int64_t due_us = e->now.mono_us + grace_us(e);
    if (due_us < e->blobs_due_us)
        e->blobs_due_us = due_us;
}

void blobs_collect_due(struct engine *e)
{
    struct err err;
    /* What was put for something that came to nothing. */
    if (e->blobs_due_us == NEVER_US && blobs_left(e->blobs))
        blobs_stir(e);
    if (e->blobs_due_us > e->now.mono_us)
        return;
    if (collect(e, &err))
        return;
    e->blobs_due_us = e->now.mono_us + AGAIN_US;
    LOG1(LOG_WARN, "blob.not-collected", "reason", "%s", err.text);
    if (err.code == ERR_FATAL) {
        e->fatal = true;
        e->failure = err;
    }
}

/* --- comparing --- */

struct comparing {
    struct engine *engine;
    struct tx *tx;
    void (*say)(void *context, const char *fault);
    void *context;
    int64_t count;
    bool failed;
    struct err *err;
};

static void say(struct comparing *c, const struct blob_hash *hash, const char *what)
{
    char name[BLOB_NAME_SIZE];
    blob_name(hash, name);
    OWNED_MEM char *text = xasprintf("blob %s %s", name, what);
    c->say(c->context, text);
}

static void compare_row(void *context, const uint8_t hash[BLOB_STORE_HASH_BYTES], int64_t bytes)
{
    struct comparing *c = context;
    struct blob_hash name;
    struct err err;
    OWNED(blob_reader) struct blob_reader *r = NULL;
    memcpy(name.bytes, hash, sizeof name.bytes);
    c->count++;
    if (!blob_open(c->engine->blobs, &name, &r, &err))
        say(c, &name, err.code == ERR_NOT_FOUND ? "has no file" : err.text);
    else if (blob_reader_bytes(r) != bytes)
        say(c, &name, "is of another length in its file than in the store");
}

/* What neither a row nor a mark tells of would stay for ever. */
static void compare_file(void *context, const struct blob_hash *hash, int64_t bytes)
{
    struct comparing *c = context;
    struct blob_row row;
    bool known = false, marked = false;
    (void)bytes;
    if (c->failed)
        return;
    if (!blob_store_find(c->tx, hash->bytes, &row, &known, c->err) ||
        (!known && !blob_is_marked(c->engine->blobs, hash, &marked, c->err)))
        c->failed = true;
    else if (!known && !marked)
        say(c, hash, "has a file, and the store does not know of it");
}

bool blobs_check(struct engine *e, void (*tell)(void *context, const char *fault), void *context,
                 int64_t *count, struct err *err)
{
    OWNED(tx) struct tx *tx = NULL;
    struct comparing c = {.engine = e, .say = tell, .context = context, .err = err};
    if (!tx_begin(e->store, &tx, err))
        return false;
    c.tx = tx;
    if (!blob_store_each(tx, compare_row, &c, err) ||
        !blobs_each(e->blobs, compare_file, &c, err) || c.failed)
        return false;
    *count = c.count;
    return true;
}

static bool look(struct engine *e, struct err *err)
{
    OWNED(tx) struct tx *tx = NULL;
    return tx_begin(e->store, &tx, err) && blobs_sweep(e->blobs, is_known, tx, err) &&
           set_due(e, tx, err);
}

bool blobs_take_up(struct engine *e, struct err *err)
{
    return blobs_open(e->state_fd, &e->blobs, err) && (look(e, err) || err_add(err, "blobs"));
}

struct blobs *engine_blobs(const struct engine *e)
{
    return e->blobs;
}

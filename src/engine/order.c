/* order.c: see order.h.
 *
 * Exactly once. A held result is in the store from the commit on that makes its record done, and
 * leaves it with the commit that tells of the output's length with its line in it: whatever is
 * killed and when, its line is either behind the committed length, and the result in the store, or
 * before it, and not.
 *
 * Nobody waits for ever. Results are never refused, only new records are held back, and only while
 * something waits. Then there is a record before it that is neither done nor failed. If it is
 * unread, it is the lowest unread one, and claims give that first, full or not. If it is served, it
 * comes back settled, or by the end of its lease, by a release or by a repair as unread, since
 * whoever holds it needs no other record for it. If it waits to be tried again, it will be unread.
 * Each of these is given out again or settled, until the lowest one that waits goes out. Full, the
 * records before that one are served as well: they were in somebody's hands before, so that what is
 * held exceeds the bound by no more than what was in flight when it was met.
 *
 * What waits is a heap by record number. What the group being built brings is beside it, in the
 * order it came: an op that is refused takes back what it brought, and most of it goes out at once,
 * from the memory it came in. */
#include "engine/order.h"

#include "base/fault.h"
#include "engine/engine_state.h"
#include "engine/error_file.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>

enum { ID_BYTES = 16 };

struct row {
    struct held *items;
    size_t count, cap;
};

struct order {
    int64_t max_records;
    int64_t next;       /* all records below are settled, and what they gave is out */
    struct row heap;    /* what waits, the lowest record first */
    struct row fresh;   /* of the group being built */
    struct row parked;  /* of records of an earlier run, known by their ids; those taken since have
                           no key */
    size_t parked_left; /* not taken */
    bool parked_sorted;
    int64_t bytes; /* in the heap */
};

static void row_add(struct row *row, const struct held *h)
{
    if (row->count == row->cap) {
        row->cap = row->cap ? 2 * row->cap : 64;
        row->items = xrealloc(row->items, row->cap * sizeof *row->items);
    }
    row->items[row->count++] = *h;
}

static void held_drop(struct held *h)
{
    if (h->owned)
        free((void *)(uintptr_t)h->line.ptr);
}

static void row_release(struct row *row)
{
    for (size_t i = 0; i < row->count; i++)
        held_drop(&row->items[i]);
    free(row->items);
    *row = (struct row){0};
}

struct order *order_new(int64_t max_records)
{
    struct order *o = xcalloc(1, sizeof *o);
    o->max_records = max_records > 0 ? max_records : ORDER_RECORDS_MAX;
    return o;
}

void order_clear(struct order *o)
{
    if (!o)
        return;
    row_release(&o->heap);
    row_release(&o->fresh);
    row_release(&o->parked);
    o->next = o->bytes = 0;
    o->parked_left = 0;
}

void order_free(struct order *o)
{
    order_clear(o);
    free(o);
}

/* --- the heap --- */

static void swap(struct held *a, struct held *b)
{
    struct held c = *a;
    *a = *b;
    *b = c;
}

static void heap_push(struct order *o, const struct held *h)
{
    row_add(&o->heap, h);
    o->bytes += (int64_t)h->line.len;
    struct held *items = o->heap.items;
    for (size_t i = o->heap.count - 1; i && items[i].record < items[(i - 1) / 2].record;
         i = (i - 1) / 2)
        swap(&items[i], &items[(i - 1) / 2]);
}

static struct held heap_pop(struct order *o)
{
    struct held *items = o->heap.items, top = items[0];
    size_t count = --o->heap.count;
    o->bytes -= (int64_t)top.line.len;
    items[0] = items[count];
    for (size_t i = 0, least = 0;; i = least) {
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < count; child++)
            if (items[child].record < items[least].record)
                least = child;
        if (least == i)
            return top;
        swap(&items[i], &items[least]);
    }
}

/* Keeps those of the heap that `keeps` says yes of. */
static void heap_filter(struct order *o, bool (*keeps)(void *context, struct held *h),
                        void *context)
{
    struct row all = o->heap;
    o->heap = (struct row){0};
    o->bytes = 0;
    for (size_t i = 0; i < all.count; i++)
        if (keeps(context, &all.items[i]))
            heap_push(o, &all.items[i]);
    free(all.items);
}

static void park(struct order *o, const struct held *h)
{
    row_add(&o->parked, h);
    o->parked_left++;
    o->parked_sorted = false;
}

/* --- asking and adding --- */

void order_add(struct order *o, int64_t record, const struct id *id, struct str line)
{
    struct held h = {.record = record, .key = HELD_NOWHERE, .line = line};
    if (id) {
        h.has_id = true;
        h.id = *id;
    }
    row_add(&o->fresh, &h);
}

size_t order_mark(const struct order *o)
{
    return o->fresh.count;
}

void order_rewind(struct order *o, size_t mark)
{
    assert(mark <= o->fresh.count);
    o->fresh.count = mark;
}

void order_look_again(struct order *o, int64_t record)
{
    if (o && record < o->next)
        o->next = record;
}

int64_t order_count(const struct order *o)
{
    return o ? (int64_t)(o->heap.count + o->fresh.count + o->parked_left) : 0;
}

bool order_is_full(const struct order *o)
{
    return o && ((int64_t)o->heap.count >= o->max_records || o->bytes >= ORDER_BYTES_MAX);
}

bool order_lets(const struct order *o, int64_t record)
{
    return !order_is_full(o) || record < o->heap.items[0].record;
}

/* --- a group --- */

static int by_record(const void *a, const void *b)
{
    int64_t x = ((const struct held *)a)->record, y = ((const struct held *)b)->record;
    return (x > y) - (x < y);
}

static void sort_fresh(struct row *fresh)
{
    for (size_t i = 1; i < fresh->count; i++)
        if (fresh->items[i].record < fresh->items[i - 1].record) {
            qsort(fresh->items, fresh->count, sizeof *fresh->items, by_record);
            return;
        }
}

/* The lowest of what waits and of the fresh from `at` on; NULL when there is none. */
static struct held *lowest(struct order *o, size_t at)
{
    struct held *fresh = at < o->fresh.count ? &o->fresh.items[at] : NULL;
    struct held *waits = o->heap.count ? o->heap.items : NULL;
    return !waits || (fresh && fresh->record < waits->record) ? fresh : waits;
}

/* Whether all before the record are settled, but for those that this run leaves out. */
static bool is_its_turn(struct order *o, const struct data_job *job, int64_t record)
{
    for (; o->next < record; o->next++) {
        enum record_state state = ledger_get(job->ledger, o->next);
        bool open = state == RECORD_UNREAD || state == RECORD_SERVED;
        if (open && !share_leaves_out(job, o->next))
            return false;
    }
    return true;
}

/* Hands one to the sink; what does not fit there has failed. */
static bool put_out(struct engine *e, struct data_job *job, struct row *out, const struct held *h,
                    struct err *err)
{
    row_add(out, h);
    if (sink_add(job->sink, h->line, err))
        return true;
    if (err->code != ERR_INVALID || h->record < 0)
        return false;
    if (job->ids && h->has_id)
        id_set_unmark(job->ids, h->id, ID_IN_OUTPUT);
    job->live.written--;
    data_job_set_attempts(job, h->record, attempts_get(job->attempts, h->record) + 1);
    data_job_set(job, h->record, RECORD_FAILED);
    data_job_error_line(job, &job->bad_lines, "failed", h->record, NULL, 0, err->text,
                        (struct str){0}, attempts_get(job->attempts, h->record), e->now.wall_us);
    *err = (struct err){0};
    return true;
}

/* Whether nothing is left that a parked result could belong to. */
static bool is_over(const struct data_job *job)
{
    return job->exhausted && ledger_count(job->ledger, RECORD_UNREAD) == 0 &&
           ledger_count(job->ledger, RECORD_SERVED) == 0;
}

/* Results whose records did not come again are written all the same, unless somebody has put a line
 * with their id there meanwhile. */
static bool put_parked(struct engine *e, struct data_job *job, struct row *out, struct err *err)
{
    struct row *parked = &job->order->parked;
    while (parked->count) {
        struct held h = parked->items[--parked->count];
        if (h.key == HELD_NOWHERE)
            continue;
        job->order->parked_left--;
        bool there = job->ids && (id_set_get(job->ids, h.id) & ID_IN_OUTPUT);
        if (there)
            row_add(out, &h);
        else if (!put_out(e, job, out, &h, err))
            return false;
    }
    return true;
}

/* Takes the fresh from `at` on into the heap, each with a line of its own. */
static void keep_fresh(struct order *o, size_t at, struct row *kept)
{
    for (; at < o->fresh.count; at++) {
        struct held h = o->fresh.items[at];
        if (!h.owned)
            h.line.ptr = xstrndup(h.line.ptr, h.line.len);
        h.owned = true;
        row_add(kept, &h);
        h.key = h.record;
        heap_push(o, &h);
    }
    o->fresh.count = 0;
}

static bool stage_out(struct engine *e, struct data_job *job, size_t *at, struct row *out,
                      struct err *err)
{
    struct order *o = job->order;
    /* The output of a job that has ended is its owner's until it is stored that the job goes on. */
    if (job_state_is_final(job->stored_state))
        return true;
    /* While files are looked through nothing is written to them: it goes on waiting. */
    if (job->resume && !job->sink)
        return true;
    for (struct held *h = NULL; (h = lowest(o, *at)) && is_its_turn(o, job, h->record);) {
        if (!job->sink && !data_job_need_sink(e, job, err))
            return false;
        bool fresh = h >= o->fresh.items && h < o->fresh.items + o->fresh.count;
        struct held taken = fresh ? *h : heap_pop(o);
        *at += fresh;
        if (!put_out(e, job, out, &taken, err))
            return false;
        if (o->next == taken.record)
            o->next++;
    }
    if (!is_over(job) || !o->parked_left)
        return true;
    return (job->sink || data_job_need_sink(e, job, err)) && put_parked(e, job, out, err);
}

bool order_stage(struct engine *e, struct data_job *job, struct order_part *part, struct err *err)
{
    struct order *o = job->order;
    if (!o)
        return true;
    struct row out = {0}, kept = {0};
    size_t at = 0;
    part->next_before = o->next;
    sort_fresh(&o->fresh);
    bool fine = stage_out(e, job, &at, &out, err);
    keep_fresh(o, at, &kept);
    part->out = out.items;
    part->out_count = out.count;
    part->kept = kept.items;
    part->kept_count = kept.count;
    return fine;
}

static bool remove_old(struct tx *tx, int64_t job_id, const struct held *held, size_t count,
                       struct err *err)
{
    OWNED_MEM int64_t *keys = xcalloc(count, sizeof *keys);
    size_t stored = 0;
    for (size_t i = 0; i < count; i++)
        if (held[i].key != HELD_NOWHERE)
            keys[stored++] = held[i].key;
    return held_store_remove(tx, job_id, keys, stored, err);
}

bool order_store(struct tx *tx, int64_t job_id, const struct order_part *part, struct err *err)
{
    if (!part->out_count && !part->kept_count)
        return true;
    OWNED_MEM struct held_row *rows = xcalloc(part->kept_count, sizeof *rows);
    OWNED_MEM uint64_t *ids = xcalloc(2 * part->kept_count, sizeof *ids);
    for (size_t i = 0; i < part->kept_count; i++) {
        const struct held *h = &part->kept[i];
        ids[2 * i] = htole64(h->id.high);
        ids[2 * i + 1] = htole64(h->id.low);
        rows[i] = (struct held_row){
            h->record, {(const char *)&ids[2 * i], h->has_id ? ID_BYTES : 0}, h->line};
    }
    bool fine = remove_old(tx, job_id, part->out, part->out_count, err) &&
                remove_old(tx, job_id, part->kept, part->kept_count, err) &&
                held_store_add(tx, job_id, rows, part->kept_count, err);
    (void)FAULT("order.stored"); /* what waits is in the transaction, which is not committed */
    return fine;
}

void order_part_release(struct order_part *part)
{
    free(part->out);
    free(part->kept);
    *part = (struct order_part){0};
}

void order_committed(struct data_job *job, struct order_part *part)
{
    for (size_t i = 0; i < part->out_count; i++) {
        const struct held *h = &part->out[i];
        if (h->record < 0 && h->has_id && job->ids)
            id_set_mark(job->ids, h->id, ID_IN_OUTPUT);
        held_drop(&part->out[i]);
    }
    part->out_count = 0;
}

static bool was_not_kept(void *context, struct held *h)
{
    const struct order_part *part = context;
    return !part->kept_count ||
           !bsearch(h, part->kept, part->kept_count, sizeof *part->kept, by_record);
}

/* Puts back one that the group took: where it was, or nowhere when its op has brought it. */
static void put_back(struct order *o, struct held *h)
{
    if (h->key == HELD_NOWHERE)
        held_drop(h);
    else if (h->record < 0)
        park(o, h);
    else if (h->key == h->record)
        heap_push(o, h);
    else
        row_add(&o->fresh, h);
}

void order_reverted(struct order *o, struct order_part *part)
{
    if (!o || (!part->out_count && !part->kept_count))
        return;
    if (part->kept_count)
        heap_filter(o, was_not_kept, part);
    for (size_t i = 0; i < part->kept_count; i++)
        put_back(o, &part->kept[i]);
    for (size_t i = 0; i < part->out_count; i++)
        put_back(o, &part->out[i]);
    part->out_count = part->kept_count = 0;
    order_look_again(o, part->next_before);
}

/* --- a restart, another run --- */

static void load_one(void *context, const struct held_row *row)
{
    struct order *o = context;
    struct held h = {.record = row->key < 0 ? -1 : row->key, .key = row->key, .owned = true};
    h.line = (struct str){xstrndup(row->line.ptr, row->line.len), row->line.len};
    h.has_id = row->id.len == ID_BYTES;
    if (h.has_id) {
        uint64_t halves[2];
        memcpy(halves, row->id.ptr, sizeof halves);
        h.id = (struct id){le64toh(halves[0]), le64toh(halves[1])};
    }
    if (h.record < 0)
        park(o, &h);
    else
        heap_push(o, &h);
}

void order_fit(const struct engine *e, struct data_job *job)
{
    if (job->spec.ordered && !job->order)
        job->order = order_new(e->options.held_records);
    else if (!job->spec.ordered && order_count(job->order) == 0)
        order_free(TAKE(job->order));
}

bool order_load(const struct engine *e, struct data_job *job, struct tx *tx, struct err *err)
{
    if (!job->order)
        job->order = order_new(e->options.held_records);
    bool fine = held_store_load(tx, job->row.id, load_one, job->order, err);
    order_fit(e, job);
    return fine;
}

static int compare_ids(const struct id *a, const struct id *b)
{
    if (a->high != b->high)
        return a->high < b->high ? -1 : 1;
    return (a->low > b->low) - (a->low < b->low);
}

static int by_id(const void *a, const void *b)
{
    const struct held *x = a, *y = b;
    return compare_ids(&x->id, &y->id);
}

/* The first that is not below the id; the count when there is none. */
static size_t first_parked(struct order *o, const struct id *id)
{
    if (!o->parked_sorted && o->parked.count)
        qsort(o->parked.items, o->parked.count, sizeof *o->parked.items, by_id);
    o->parked_sorted = true;
    size_t low = 0, high = o->parked.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_ids(&o->parked.items[middle].id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct held *find_parked(struct order *o, struct id id)
{
    if (!o || !o->parked_left)
        return NULL;
    for (size_t i = first_parked(o, &id); i < o->parked.count; i++) {
        struct held *h = &o->parked.items[i];
        if (!id_same(h->id, id))
            return NULL;
        if (h->has_id && h->key != HELD_NOWHERE)
            return h;
    }
    return NULL;
}

bool order_has_parked(struct order *o, struct id id)
{
    return find_parked(o, id) != NULL;
}

bool order_take_parked(struct order *o, struct id id, int64_t record)
{
    struct held *h = find_parked(o, id);
    if (!h)
        return false;
    h->record = record;
    row_add(&o->fresh, h);
    h->key = HELD_NOWHERE;
    h->owned = false;
    o->parked_left--;
    return true;
}

static bool is_not_written(void *context, struct held *h)
{
    struct data_job *job = context;
    if (!h->has_id || !(id_set_mark(job->ids, h->id, ID_IN_OUTPUT) & ID_IN_OUTPUT))
        return true;
    /* It goes with the next group: as one that went out with this key. */
    h->record = -1;
    park(job->order, h);
    return false;
}

void order_drop_written(struct data_job *job)
{
    if (job->order && job->order->heap.count)
        heap_filter(job->order, is_not_written, job);
}

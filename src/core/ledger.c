/* ledger.c: see ledger.h. Counts are always those of the bits below `known`; every writer goes
 * through put(), so they cannot part. */
#include "core/ledger.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct page {
    uint8_t bits[LEDGER_PAGE_BYTES];
    struct place place;
    uint16_t counts[RECORD_STATE_COUNT]; /* of its known records */
    bool changed;
};

struct ledger {
    struct page **pages;
    size_t page_count, page_cap;
    int64_t known;
    int64_t counts[RECORD_STATE_COUNT];
    size_t *changed; /* page numbers, in the order they changed */
    size_t changed_count, changed_cap;
};

struct ledger *ledger_new(void)
{
    return xcalloc(1, sizeof(struct ledger));
}

void ledger_clear(struct ledger *l)
{
    for (size_t i = 0; i < l->page_count; i++)
        free(l->pages[i]);
    free(l->pages);
    free(l->changed);
    *l = (struct ledger){0};
}

void ledger_free(struct ledger *l)
{
    if (!l)
        return;
    ledger_clear(l);
    free(l);
}

int64_t ledger_known(const struct ledger *l)
{
    return l->known;
}

int64_t ledger_count(const struct ledger *l, enum record_state state)
{
    return l->counts[state];
}

static struct page *page_of(const struct ledger *l, int64_t record)
{
    return l->pages[(size_t)record / LEDGER_PAGE_RECORDS];
}

static enum record_state bits_get(const uint8_t *bits, size_t slot)
{
    return (enum record_state)(bits[slot / 4] >> (slot % 4 * 2) & 3);
}

static void bits_put(uint8_t *bits, size_t slot, enum record_state state)
{
    unsigned shift = (unsigned)(slot % 4 * 2);
    bits[slot / 4] = (uint8_t)((bits[slot / 4] & ~(3u << shift)) | (unsigned)state << shift);
}

static size_t slot_of(int64_t record)
{
    return (size_t)(record % LEDGER_PAGE_RECORDS);
}

enum record_state ledger_get(const struct ledger *l, int64_t record)
{
    if (record < 0 || record >= l->known)
        return RECORD_UNREAD;
    return bits_get(page_of(l, record)->bits, slot_of(record));
}

static void note_changed(struct ledger *l, size_t number)
{
    struct page *page = l->pages[number];
    if (page->changed)
        return;
    page->changed = true;
    if (l->changed_count == l->changed_cap) {
        l->changed_cap = l->changed_cap ? l->changed_cap * 2 : 16;
        l->changed = xrealloc(l->changed, l->changed_cap * sizeof *l->changed);
    }
    l->changed[l->changed_count++] = number;
}

enum record_state ledger_set(struct ledger *l, int64_t record, enum record_state state)
{
    assert(record >= 0 && record < l->known);
    struct page *page = page_of(l, record);
    enum record_state before = bits_get(page->bits, slot_of(record));
    if (before == state)
        return before;
    bits_put(page->bits, slot_of(record), state);
    page->counts[before]--;
    page->counts[state]++;
    l->counts[before]--;
    l->counts[state]++;
    note_changed(l, (size_t)record / LEDGER_PAGE_RECORDS);
    return before;
}

static struct page *page_add(struct ledger *l, struct place place)
{
    if (l->page_count == l->page_cap) {
        l->page_cap = l->page_cap ? l->page_cap * 2 : 16;
        l->pages = xrealloc(l->pages, l->page_cap * sizeof *l->pages);
    }
    struct page *page = xcalloc(1, sizeof *page);
    page->place = place;
    l->pages[l->page_count++] = page;
    return page;
}

void ledger_append(struct ledger *l, struct place from, enum record_state state)
{
    int64_t record = l->known++;
    size_t slot = slot_of(record);
    assert(record < LEDGER_RECORDS_MAX);
    if (slot == 0) {
        assert(from.record <= record);
        page_add(l, from);
    }
    struct page *page = page_of(l, record);
    bits_put(page->bits, slot, state);
    page->counts[state]++;
    l->counts[state]++;
    note_changed(l, (size_t)record / LEDGER_PAGE_RECORDS);
}

int64_t ledger_next_unread(const struct ledger *l, int64_t from)
{
    if (l->counts[RECORD_UNREAD] == 0)
        return -1;
    for (int64_t record = from < 0 ? 0 : from; record < l->known;) {
        const struct page *page = page_of(l, record);
        int64_t page_end = (record / LEDGER_PAGE_RECORDS + 1) * LEDGER_PAGE_RECORDS;
        if (page_end > l->known)
            page_end = l->known;
        if (page->counts[RECORD_UNREAD])
            for (; record < page_end; record++)
                if (bits_get(page->bits, slot_of(record)) == RECORD_UNREAD)
                    return record;
        record = page_end;
    }
    return -1;
}

struct place ledger_place(const struct ledger *l, int64_t record)
{
    assert(record >= 0 && record < l->known);
    return page_of(l, record)->place;
}

/* Visits every record in `from` and puts it into `to`; pages without any cost one look. */
static int64_t move_all(struct ledger *l, enum record_state from, enum record_state to)
{
    int64_t moved = l->counts[from];
    for (size_t p = 0; p < l->page_count && l->counts[from]; p++) {
        int64_t first = (int64_t)p * LEDGER_PAGE_RECORDS;
        for (size_t s = 0; s < LEDGER_PAGE_RECORDS && l->pages[p]->counts[from]; s++)
            if (first + (int64_t)s < l->known && bits_get(l->pages[p]->bits, s) == from)
                ledger_set(l, first + (int64_t)s, to);
    }
    return moved;
}

int64_t ledger_unserve(struct ledger *l)
{
    return move_all(l, RECORD_SERVED, RECORD_UNREAD);
}

int64_t ledger_unfail(struct ledger *l)
{
    return move_all(l, RECORD_FAILED, RECORD_UNREAD);
}

size_t ledger_changed_count(const struct ledger *l)
{
    return l->changed_count;
}

void ledger_change_page(struct ledger *l, int64_t page)
{
    if ((size_t)page < l->page_count)
        note_changed(l, (size_t)page);
}

void ledger_changed(const struct ledger *l, bool keep_served, struct ledger_page *out)
{
    for (size_t i = 0; i < l->changed_count; i++) {
        const struct page *page = l->pages[l->changed[i]];
        struct ledger_page *stored = &out[i];
        stored->number = (int64_t)l->changed[i];
        stored->place = page->place;
        memcpy(stored->bits, page->bits, sizeof stored->bits);
        if (!keep_served && page->counts[RECORD_SERVED])
            /* Of each pair of bits, served is 01: clear it where the high bit is clear. */
            for (size_t b = 0; b < sizeof stored->bits; b++) {
                unsigned bits = stored->bits[b];
                stored->bits[b] = (uint8_t)(bits & (0xaau | (bits >> 1 & 0x55u)));
            }
    }
}

void ledger_stored(struct ledger *l)
{
    for (size_t i = 0; i < l->changed_count; i++)
        l->pages[l->changed[i]]->changed = false;
    l->changed_count = 0;
}

bool ledger_load_page(struct ledger *l, const struct ledger_page *stored)
{
    const struct place *at = &stored->place;
    int64_t number = (int64_t)l->page_count;
    if (stored->number != number || number >= LEDGER_RECORDS_MAX / LEDGER_PAGE_RECORDS ||
        at->record < 0 || at->record > number * LEDGER_PAGE_RECORDS || at->bytes < 0 ||
        at->line < 1)
        return false;
    struct page *page = page_add(l, stored->place);
    memcpy(page->bits, stored->bits, sizeof page->bits);
    return true;
}

bool ledger_load_known(struct ledger *l, int64_t known)
{
    if (known < 0 || known > LEDGER_RECORDS_MAX)
        return false;
    size_t need = (size_t)((known + LEDGER_PAGE_RECORDS - 1) / LEDGER_PAGE_RECORDS);
    if (need != l->page_count)
        return false;
    /* Nothing is said of records that were not reached. */
    for (size_t slot = slot_of(known); slot > 0 && slot < LEDGER_PAGE_RECORDS; slot++)
        if (bits_get(l->pages[need - 1]->bits, slot) != RECORD_UNREAD)
            return false;
    l->known = known;
    for (int64_t record = 0; record < known; record++) {
        struct page *page = page_of(l, record);
        enum record_state state = bits_get(page->bits, slot_of(record));
        page->counts[state]++;
        l->counts[state]++;
    }
    return true;
}

void ledger_check(const struct ledger *l)
{
    int64_t total[RECORD_STATE_COUNT] = {0};
    for (size_t p = 0; p < l->page_count; p++) {
        int64_t counts[RECORD_STATE_COUNT] = {0};
        int64_t first = (int64_t)p * LEDGER_PAGE_RECORDS;
        for (size_t s = 0; s < LEDGER_PAGE_RECORDS && first + (int64_t)s < l->known; s++)
            counts[bits_get(l->pages[p]->bits, s)]++;
        for (int state = 0; state < RECORD_STATE_COUNT; state++) {
            assert(counts[state] == l->pages[p]->counts[state]);
            total[state] += counts[state];
        }
        assert(l->pages[p]->place.record <= first);
    }
    int64_t sum = 0;
    for (int state = 0; state < RECORD_STATE_COUNT; state++) {
        assert(total[state] == l->counts[state]);
        sum += total[state];
    }
    assert(sum == l->known);
}

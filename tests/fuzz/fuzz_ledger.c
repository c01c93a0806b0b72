/* Ledger pages as a damaged store might hold them: they are taken or refused, and what was taken is
 * a ledger that can be worked with.
 *
 * Input: 8 bytes for the known count; then pages, each 8 bytes number, 8 record, 8 bytes, 8 line,
 * and its bits, cut off where the input ends (the rest is zero). */
#include "core/ledger.h"
#include "fuzz.h"

#include <string.h>

enum { PAGES_MAX = 8, HEAD = 32 };

static int64_t take_i64(const uint8_t **data, size_t *len)
{
    int64_t number = 0;
    size_t n = *len < sizeof number ? *len : sizeof number;
    memcpy(&number, *data, n);
    *data += n;
    *len -= n;
    return number;
}

static bool load(struct ledger *l, const uint8_t *data, size_t len)
{
    int64_t known = take_i64(&data, &len);
    for (int i = 0; i < PAGES_MAX && len >= HEAD; i++) {
        struct ledger_page page = {.number = take_i64(&data, &len)};
        page.place.record = take_i64(&data, &len);
        page.place.bytes = take_i64(&data, &len);
        page.place.line = take_i64(&data, &len);
        size_t n = len < sizeof page.bits ? len : sizeof page.bits;
        memcpy(page.bits, data, n);
        data += n;
        len -= n;
        if (!ledger_load_page(l, &page))
            return false;
    }
    return ledger_load_known(l, known);
}

/* Stored and loaded again it is the same, but for what was in flight. */
static void check_round_trip(struct ledger *l)
{
    OWNED(ledger) struct ledger *again = ledger_new();
    int64_t count = (ledger_known(l) + LEDGER_PAGE_RECORDS - 1) / LEDGER_PAGE_RECORDS;
    for (int64_t i = 0; i < count; i++)
        ledger_change_page(l, i);
    HOLDS(ledger_changed_count(l) == (size_t)count);
    OWNED_MEM struct ledger_page *pages = xcalloc((size_t)count, sizeof *pages);
    ledger_changed(l, false, pages);
    /* A page that was changed before comes where it was noted first. */
    for (int64_t number = 0; number < count; number++)
        for (int64_t i = 0; i < count; i++)
            if (pages[i].number == number)
                HOLDS(ledger_load_page(again, &pages[i]));
    HOLDS(ledger_load_known(again, ledger_known(l)));
    ledger_check(again);
    HOLDS(ledger_count(again, RECORD_DONE) == ledger_count(l, RECORD_DONE));
    HOLDS(ledger_count(again, RECORD_SERVED) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    OWNED(ledger) struct ledger *l = ledger_new();
    if (!load(l, data, size))
        return 0;
    ledger_check(l);
    check_round_trip(l);
    int64_t unread = ledger_next_unread(l, 0), known = ledger_known(l);
    HOLDS((unread < 0) == (ledger_count(l, RECORD_UNREAD) == 0));
    ledger_append(l, (struct place){known, 0, 1}, RECORD_SERVED);
    ledger_unserve(l);
    ledger_unfail(l);
    HOLDS(ledger_count(l, RECORD_UNREAD) + ledger_count(l, RECORD_DONE) == known + 1);
    ledger_check(l);
    return 0;
}

/* Bodies of /receive and /mark-errors: what is taken is one valid value on each line, the lines
 * one after the other, and the ids are what a ledger can hold. */
#include "base/json.h"
#include "core/ledger.h"
#include "fuzz.h"
#include "http/planchet/planchet_items.h"

static void look_at_results(const struct planchet_items *items, size_t size)
{
    size_t at = 0;
    for (size_t i = 0; i < items->count; i++) {
        const struct settle_entry *e = &items->entries[i];
        HOLDS(e->at == at && e->len >= 3 && at + e->len <= size);
        HOLDS(e->record >= -1 && e->record < LEDGER_RECORDS_MAX && !e->failed);
        const char *line = items->lines + at;
        HOLDS(memchr(line, '\n', e->len) == line + e->len - 1 && !memchr(line, '\r', e->len));
        HOLDS(json_check((struct str){line, e->len}, NULL, NULL));
        HOLDS(*line == '{' || *line == '[');
        at += e->len;
    }
}

static void read_as(const uint8_t *data, size_t size, bool ids)
{
    struct str text = {(const char *)data, size};
    bool valid = json_check(text, NULL, NULL);
    char *body = xcalloc(1, size + 1);
    if (size > 0)
        memcpy(body, data, size);
    struct planchet_items items;
    struct planchet_faults faults;
    planchet_faults_init(&faults);
    bool ok = ids ? planchet_ids_read(body, size, &items, &faults)
                  : planchet_items_read(body, size, &items, &faults);
    HOLDS(ok || !valid); /* a body may be deeper than a record by what it puts around it */
    HOLDS(faults.count == 0 || faults.entries.len > 0);
    if (ok && faults.count == 0 && !ids)
        look_at_results(&items, size);
    planchet_items_release(&items);
    planchet_faults_release(&faults);
    free(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_as(data, size, false);
    read_as(data, size, true);
    return 0;
}

/* What a worker reports: each entry of what is taken is one line of JSON within the body, and a
 * body that is taken was JSON. */
#include "base/json.h"
#include "base/own.h"
#include "core/ledger.h"
#include "fuzz.h"
#include "http/native/native_settlement.h"

static void look_at_entry(const struct settlement *s, const struct settle_entry *entry, size_t size)
{
    HOLDS(entry->record >= 0 && entry->record < LEDGER_RECORDS_MAX);
    if (entry->failed && entry->len == 0)
        return;
    HOLDS(entry->len > 1 && (size_t)entry->at + entry->len <= size);
    const char *line = s->body + entry->at;
    HOLDS(memchr(line, '\n', entry->len) == line + entry->len - 1);
    HOLDS(!memchr(line, '\r', entry->len));
    HOLDS(json_check((struct str){line, entry->len - 1}, NULL, NULL));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct settlement s = {0};
    struct err err = {.code = ERR_NONE};
    bool json = json_check((struct str){(const char *)data, size}, NULL, NULL);
    OWNED_MEM char *body = xcalloc(size + !size, 1);
    if (size)
        memcpy(body, data, size);
    if (settlement_read(&s, body, size, &err)) {
        HOLDS(json);
        for (size_t i = 0; i < s.count; i++)
            look_at_entry(&s, &s.entries[i], size);
    } else {
        HOLDS(err.code == ERR_INVALID || err.code == ERR_LIMIT);
    }
    settlement_release(&s);
    return 0;
}

#include "http/planchet/planchet_items.h"

#include "base/json.h"
#include "core/ledger.h"
#include "http/planchet/planchet_params.h"

#include <stdlib.h>

/* Like the values of struct settle_entry's `at` and `len`, a body ends before 4 GiB. */
#define BODY_MAX_BYTES UINT32_MAX

/* NULL when there are too many. */
static struct settle_entry *next_entry(struct planchet_items *items)
{
    items->full = items->count == PLANCHET_ITEMS_MAX;
    if (items->full)
        return NULL;
    if (items->count == items->cap) {
        items->cap = items->cap ? items->cap * 2 : 256;
        items->entries = xrealloc(items->entries, items->cap * sizeof *items->entries);
    }
    struct settle_entry *entry = &items->entries[items->count++];
    *entry = (struct settle_entry){0};
    return entry;
}

/* Plain digits, the usual form, cheaper than the general way; few enough for any ledger. */
static bool short_number(struct str raw, int64_t *id)
{
    if (raw.len == 0 || raw.len > 13)
        return false;
    int64_t value = 0;
    for (size_t i = 0; i < raw.len; i++) {
        if (raw.ptr[i] < '0' || raw.ptr[i] > '9')
            return false;
        value = value * 10 + (raw.ptr[i] - '0');
    }
    *id = value;
    return true;
}

/* int() of a number with a point or an exponent: cut towards zero. False for 1e999. */
static bool cut_number(struct str raw, int64_t *id)
{
    double value = 0;
    if (!json_double(raw, &value) || value - value != 0)
        return false;
    *id = value > -1 && value < (double)LEDGER_RECORDS_MAX ? (int64_t)value : -1;
    return true;
}

static bool number_of(struct str raw, int64_t *id)
{
    bool whole = !memchr(raw.ptr, '.', raw.len) && !memchr(raw.ptr, 'e', raw.len) &&
                 !memchr(raw.ptr, 'E', raw.len);
    return whole ? planchet_int(raw, id) : cut_number(raw, id);
}

static bool number_of_text(struct str raw, int64_t *id)
{
    OWNED_BUF struct buf text;
    buf_init(&text, raw.len);
    return json_text(raw, &text) && planchet_int(buf_str(&text), id);
}

/* Reads one id. False when it is none: told to `faults`, unless that is NULL. */
static bool read_id(struct str raw, struct planchet_place at, int64_t *id,
                    struct planchet_faults *faults)
{
    if (short_number(raw, id))
        return true;
    enum json_type type = json_type_of(raw);
    bool ok = false;
    if (type == JSON_TRUE || type == JSON_FALSE) {
        *id = type == JSON_TRUE;
        ok = true;
    } else if (type == JSON_NUMBER) {
        ok = number_of(raw, id);
    } else if (type == JSON_STRING) {
        ok = number_of_text(raw, id);
    }
    if (!ok)
        planchet_faults_add(faults, at, type == JSON_NULL ? FAULT_NULL : FAULT_NO_INTEGER);
    else if (*id < 0 || *id >= LEDGER_RECORDS_MAX)
        *id = -1;
    return ok;
}

/* Between tokens a line break is as good as a blank, and within them it cannot be. */
static void join_lines(char *text, size_t len)
{
    for (char *p = text, *end = text + len; (p = memchr(p, '\n', (size_t)(end - p)));)
        *p++ = ' ';
    for (char *p = text, *end = text + len; (p = memchr(p, '\r', (size_t)(end - p)));)
        *p++ = ' ';
}

/* A body being read: where the next line goes. It stays behind the cursor, as each item is preceded
 * by at least `[`, an id and a comma. */
struct moving {
    char *body;
    size_t at;
};

static void take_item(struct moving *to, struct str item, struct settle_entry *entry)
{
    char *line = to->body + to->at;
    memmove(line, item.ptr, item.len);
    join_lines(line, item.len);
    line[item.len] = '\n';
    entry->at = (uint32_t)to->at;
    entry->len = (uint32_t)(item.len + 1);
    to->at += item.len + 1;
}

static void refuse_item(struct str item, struct planchet_place at, struct planchet_faults *faults)
{
    at.field = 1;
    if (json_type_of(item) == JSON_NULL) {
        planchet_faults_add(faults, at, FAULT_NULL);
        return;
    }
    planchet_faults_add(faults, at, FAULT_NO_OBJECT);
    planchet_faults_add(faults, at, FAULT_NO_LIST);
}

/* Reads one pair, the cursor stands before its bracket. */
static void read_pair(struct json *j, struct planchet_place at, struct moving *to,
                      struct planchet_items *out, struct planchet_faults *faults)
{
    struct str parts[2] = {0};
    int64_t length = 0;
    json_enter(j, '[');
    while (json_item(j)) {
        struct str value;
        if (!json_value(j, &value))
            return;
        if (length < 2)
            parts[length] = value;
        length++;
    }
    if (j->fault)
        return;
    if (length != 2) {
        planchet_faults_add_length(faults, at, length);
        return;
    }
    int64_t id = -1;
    struct planchet_place id_at = at;
    id_at.field = 0;
    bool ok = read_id(parts[0], id_at, &id, faults);
    if (*parts[1].ptr != '{' && *parts[1].ptr != '[') {
        refuse_item(parts[1], at, faults);
    } else if (ok && faults->count == 0) {
        struct settle_entry *entry = next_entry(out);
        if (!entry)
            return;
        entry->record = id;
        take_item(to, parts[1], entry);
    }
}

static void refuse_value(struct json *j, struct planchet_place at, enum planchet_fault fault,
                         struct planchet_faults *faults)
{
    struct str raw;
    if (json_value(j, &raw))
        planchet_faults_add(faults, at, json_type_of(raw) == JSON_NULL ? FAULT_NULL : fault);
}

/* The list itself; false (and told) when the body is something else. */
static bool enter_list(struct json *j, const char *name, struct planchet_faults *faults)
{
    enum json_type type = json_peek(j);
    if (type == JSON_ARRAY)
        return json_enter(j, '[');
    struct str raw;
    if (json_value(j, &raw))
        planchet_faults_add(faults, (struct planchet_place){"body", name, -1, -1},
                            type == JSON_NULL ? FAULT_MISSING : FAULT_NO_LIST);
    return false;
}

bool planchet_items_read(char *body, size_t len, struct planchet_items *out,
                         struct planchet_faults *faults)
{
    *out = (struct planchet_items){.lines = body};
    struct planchet_place at = {"body", "items", -1, -1};
    struct moving to = {.body = body};
    struct json j;
    if (len > BODY_MAX_BYTES)
        return false;
    json_open(&j, (struct str){body, len});
    if (enter_list(&j, at.name, faults))
        while (json_item(&j)) {
            at.index++;
            if (json_peek(&j) == JSON_ARRAY)
                read_pair(&j, at, &to, out, faults);
            else
                refuse_value(&j, at, FAULT_NO_PAIR, faults);
        }
    return json_end(&j);
}

bool planchet_ids_read(const char *body, size_t len, struct planchet_items *out,
                       struct planchet_faults *faults)
{
    *out = (struct planchet_items){.lines = body};
    struct planchet_place at = {"body", "ids", -1, -1};
    struct json j;
    struct str raw;
    json_open(&j, (struct str){body, len});
    if (enter_list(&j, at.name, faults))
        while (json_item(&j) && json_value(&j, &raw)) {
            int64_t id = -1;
            at.index++;
            if (!read_id(raw, at, &id, faults) || faults->count > 0)
                continue;
            struct settle_entry *entry = next_entry(out);
            if (!entry)
                continue;
            entry->record = id;
            entry->failed = true;
        }
    return json_end(&j);
}

void planchet_items_release(struct planchet_items *items)
{
    free(items->entries);
    *items = (struct planchet_items){0};
}

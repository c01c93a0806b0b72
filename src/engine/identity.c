/* identity.c: see identity.h. */
#include "engine/identity.h"

#include "base/json.h"
#include "base/log.h"
#include "engine/engine_state.h"

#include <endian.h>
#include <stdlib.h>

enum { DUPLICATES_TOLD = 10, AHEAD_BYTES = 4096, HELD_MIN = 1024 };

void identity_form(const struct engine *e, struct data_job *job)
{
    uint8_t key[TOKEN_HASH_BYTES];
    engine_token_hash(e, STR("ids of records"), key);
    memcpy(&job->id_form.seed, key, sizeof job->id_form.seed);
    /* What one of the ends cannot tell apart is one id. */
    job->id_form.by_text =
        job->spec.source_format == FORMAT_CSV || job->spec.sink_format == FORMAT_CSV;
}

bool identity_ready(const struct data_job *job)
{
    return !job->spec.id_key || job->ids;
}

static bool find_id(const struct data_job *job, struct str json, struct str *raw)
{
    struct json_wanted id = {job->spec.id_key, strlen(job->spec.id_key), {NULL, 0}};
    if (!json_check_members(json, &id, 1, NULL, NULL) || !id.value.ptr)
        return false;
    *raw = id.value;
    return true;
}

bool identity_of(const struct data_job *job, struct str json, struct id *out)
{
    struct str raw;
    return find_id(job, json, &raw) && id_of(raw, &job->id_form, out);
}

/* Of many only the first are told one by one. */
static void tell_duplicate(struct data_job *job, const struct source_record *record)
{
    if (++job->row.progress.duplicates > DUPLICATES_TOLD)
        return;
    struct log_line *line = log_begin(LOG_WARN, "record.duplicate");
    log_value(line, "job", "%s", job->row.name);
    if (record->id.ptr)
        log_value(line, "id", "%.*s", record->id.len > 200 ? 200 : (int)record->id.len,
                  record->id.ptr);
    if (record->file)
        log_value(line, "file", "%s", record->file);
    log_value(line, "line", "%lld", (long long)record->line);
    log_value(line, "reason", "%s", "an earlier record has the same id: only that one counts");
    log_end(line);
}

static enum source_got without_id(struct engine *e, struct data_job *job,
                                  struct source_record *record, enum record_state *as)
{
    struct str raw;
    bool has = find_id(job, record->json, &raw) && json_type_of(raw) != JSON_NULL;
    record->reason = has ? "its id is a list or an object" : "it has no id";
    job->row.progress.no_id++;
    data_job_note_bad(e, job, record, "NoId");
    *as = RECORD_FAILED;
    return SOURCE_BAD;
}

/* --- what is told by a line's beginning --- */

/* Most files have their ids where the line before has it. The raw id that stands there, when it
 * ends within the line; false: this line has to be read. */
static bool guess_id(struct str line, struct str before, struct str *raw)
{
    if (line.len <= before.len || memcmp(line.ptr, before.ptr, before.len) != 0)
        return false;
    const char *value = line.ptr + before.len, *end = line.ptr + line.len, *p = value + 1;
    if (*value == '"') {
        p = memchr(p, '"', (size_t)(end - p));
        if (!p || memchr(value, '\\', (size_t)(p - value)))
            return false;
        p++;
    } else {
        while (p < end && *p >= '0' && *p <= '9')
            p++;
    }
    *raw = (struct str){value, (size_t)(p - value)};
    return true;
}

/* The set is larger than any cache: a look at it waits for memory, unless it is told early. */
static void look_ahead(struct data_job *job, const struct source_record *record)
{
    int64_t at = 0;
    struct str ahead = source_ahead(job->reader, &at),
               before = {record->json.ptr, (size_t)(record->id.ptr - record->json.ptr)};
    if (job->ahead_bytes < at || job->ahead_bytes > at + (int64_t)ahead.len)
        job->ahead_bytes = at;
    size_t from = (size_t)(job->ahead_bytes - at);
    while (from < AHEAD_BYTES && from < ahead.len) {
        struct id id;
        struct str raw;
        const char *line = ahead.ptr + from, *end = memchr(line, '\n', ahead.len - from);
        if (!end)
            break;
        if (guess_id((struct str){line, (size_t)(end - line)}, before, &raw) &&
            id_of(raw, &job->id_form, &id))
            id_set_prefetch(job->ids, id);
        from = (size_t)(end + 1 - ahead.ptr);
    }
    job->ahead_bytes = at + (int64_t)from;
}

/* --- records --- */

/* Most readers find it on their way. */
static bool record_id(const struct data_job *job, const struct source_record *record,
                      struct id *out)
{
    return record->id.ptr ? id_of(record->id, &job->id_form, out)
                          : identity_of(job, record->json, out);
}

enum source_got identity_judge(struct engine *e, struct data_job *job, struct source_record *record,
                               unsigned *known, enum record_state *as)
{
    struct id id;
    if (!record_id(job, record, &id))
        return without_id(e, job, record, as);
    if (record->id.ptr)
        look_ahead(job, record);
    *known = id_set_mark(job->ids, id, ID_SEEN);
    /* Its result waits for its turn since an earlier run. */
    if (!(*known & (ID_SEEN | ID_IN_OUTPUT)) && order_take_parked(job->order, id, record->number)) {
        id_set_mark(job->ids, id, ID_IN_OUTPUT); /* where it will be: an old line is replaced */
        engine_touch(e, job);
        job->row.progress.done_before++;
        *as = RECORD_DONE;
        return SOURCE_BAD;
    }
    bool done = (*known & ID_IN_OUTPUT) || ((*known & ID_NOTED) && !(*known & ID_RERUN));
    if (!done && !(*known & ID_SEEN))
        return SOURCE_RECORD;
    if (*known & ID_SEEN)
        tell_duplicate(job, record);
    else
        job->row.progress.done_before++;
    *as = RECORD_DONE;
    return SOURCE_BAD;
}

static bool is_in_flight(void *context, int64_t number)
{
    const struct data_job *job = context;
    return ledger_get(job->ledger, number) == RECORD_SERVED;
}

void identity_remember(struct data_job *job, const struct source_record *record)
{
    static const struct str nothing;
    struct id id = {0};
    if (!job->spec.id_key && !job->spec.errors_records)
        return;
    if (job->spec.id_key && !record_id(job, record, &id))
        return;
    if (in_hand_count(job->in_hand) > 2 * ledger_count(job->ledger, RECORD_SERVED) + HELD_MIN)
        in_hand_sweep(job->in_hand, is_in_flight, job);
    in_hand_put(job->in_hand, record->number, id,
                job->spec.errors_records ? record->json : nothing);
}

static void note(struct data_job *job, enum note_kind kind, struct id id)
{
    uint64_t bytes[2] = {htole64(id.high), htole64(id.low)};
    _Static_assert(sizeof bytes == NOTE_BYTES, "a note is an id");
    buf_add(&job->notes[kind], bytes, sizeof bytes);
}

void identity_settled(struct data_job *job, int64_t record, struct str line)
{
    struct id id;
    if (!job->spec.id_key) {
        if (line.len == 0)
            note(job, NOTE_SKIPPED, (struct id){0, (uint64_t)record});
        return;
    }
    const struct held_record *held = in_hand_find(job->in_hand, record);
    if (!held)
        return;
    bool tells = line.len && identity_of(job, line, &id) && id_same(id, held->id);
    if (!tells)
        note(job, line.len ? NOTE_WRITTEN : NOTE_SKIPPED, held->id);
    /* Who puts the files in order wants to know. */
    if (job->untidy && job->ids)
        id_set_mark(job->ids, held->id, tells ? ID_IN_OUTPUT : ID_NOTED);
}

void identity_taken_back(struct data_job *job, int64_t record)
{
    const struct held_record *held = in_hand_find(job->in_hand, record);
    if (held && job->untidy && job->ids)
        id_set_unmark(job->ids, held->id, ID_IN_OUTPUT | ID_NOTED);
}

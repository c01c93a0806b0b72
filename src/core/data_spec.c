/* data_spec.c: what a data job is made of: defaults, the stored JSON shape, and whether it fits
 * together (job.h). */
#include "base/json.h"
#include "core/job.h"

#include <math.h>
#include <stdlib.h>

void data_spec_init(struct data_spec *spec)
{
    *spec = (struct data_spec){.chunk_rows = CSV_CHUNK_ROWS, .retry_factor = 2};
}

static void drop_more(struct data_spec *spec)
{
    for (size_t i = 0; i < spec->source_more_count; i++)
        free(spec->source_more[i]);
    free(TAKE(spec->source_more));
    spec->source_more_count = 0;
}

void data_spec_release(struct data_spec *spec)
{
    free(spec->source_path);
    drop_more(spec);
    free(spec->source_program);
    free(spec->sink_path);
    free(spec->sink_program);
    free(spec->id_key);
    free(spec->rerun_key);
    free(spec->errors_path);
    data_spec_init(spec);
}

void data_spec_copy(struct data_spec *to, const struct data_spec *from)
{
    *to = *from;
    to->source_path = xstrdup_or_null(from->source_path);
    to->source_more = NULL;
    if (from->source_more_count)
        to->source_more = xcalloc(from->source_more_count, sizeof *to->source_more);
    for (size_t i = 0; i < from->source_more_count; i++)
        to->source_more[i] = xstrdup(from->source_more[i]);
    to->source_program = xstrdup_or_null(from->source_program);
    to->sink_path = xstrdup_or_null(from->sink_path);
    to->sink_program = xstrdup_or_null(from->sink_program);
    to->id_key = xstrdup_or_null(from->id_key);
    to->rerun_key = xstrdup_or_null(from->rerun_key);
    to->errors_path = xstrdup_or_null(from->errors_path);
}

size_t data_spec_input_count(const struct data_spec *spec)
{
    return spec->source_path ? 1 + spec->source_more_count : 0;
}

const char *data_spec_input(const struct data_spec *spec, size_t i)
{
    return i == 0 ? spec->source_path : spec->source_more[i - 1];
}

enum compression compression_of_path(const char *path)
{
    size_t len = path ? strlen(path) : 0;
    if (len > 3 && strcmp(path + len - 3, ".gz") == 0)
        return COMPRESS_GZIP;
    if (len > 4 && strcmp(path + len - 4, ".zst") == 0)
        return COMPRESS_ZSTD;
    return COMPRESS_NONE;
}

enum data_format data_format_of_path(const char *path)
{
    static const struct {
        const char *ending;
        enum data_format format;
    } endings[] = {{".csv", FORMAT_CSV}, {".jsonl", FORMAT_JSONL}, {".ndjson", FORMAT_JSONL}};
    size_t len = strlen(path);
    enum compression packed = compression_of_path(path);
    len -= packed == COMPRESS_GZIP ? 3 : packed == COMPRESS_ZSTD ? 4 : 0;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t ending = strlen(endings[i].ending);
        if (len > ending && strncasecmp(path + len - ending, endings[i].ending, ending) == 0)
            return endings[i].format;
    }
    return FORMAT_NONE;
}

static void write_inputs(const struct data_spec *spec, struct json_out *o)
{
    if (spec->source_program || !spec->source_more_count) {
        json_out_name(o, spec->source_program ? "program" : "path");
        json_out_text(o, spec->source_program ? spec->source_program : spec->source_path);
        return;
    }
    json_out_name(o, "paths");
    json_out_open(o, '[');
    for (size_t i = 0; i < data_spec_input_count(spec); i++)
        json_out_text(o, data_spec_input(spec, i));
    json_out_close(o, ']');
}

static void write_limits(const struct data_spec *spec, struct json_out *o)
{
    if (spec->concurrency == 0 && !(spec->rpm > 0) && !spec->adaptive)
        return;
    json_out_name(o, "limits");
    json_out_open(o, '{');
    json_out_name(o, "concurrency");
    json_out_i64(o, spec->concurrency);
    json_out_name(o, "rpm");
    json_out_double(o, spec->rpm);
    json_out_name(o, "adaptive");
    json_out_bool(o, spec->adaptive);
    json_out_close(o, '}');
}

static void write_retry(const struct data_spec *spec, struct json_out *o)
{
    if (spec->retry_delay_us == 0)
        return;
    json_out_name(o, "retry");
    json_out_open(o, '{');
    json_out_name(o, "delay_s");
    json_out_double(o, (double)spec->retry_delay_us / 1e6);
    json_out_name(o, "factor");
    json_out_double(o, spec->retry_factor);
    json_out_close(o, '}');
}

static void write_identity(const struct data_spec *spec, struct json_out *o)
{
    if (!spec->id_key)
        return;
    json_out_name(o, "identity");
    json_out_open(o, '{');
    json_out_name(o, "key");
    json_out_text(o, spec->id_key);
    if (spec->rerun_key) {
        json_out_name(o, "rerun_key");
        json_out_text(o, spec->rerun_key);
    }
    json_out_close(o, '}');
}

static void write_errors(const struct data_spec *spec, struct json_out *o)
{
    if (!spec->errors_path && !spec->errors_records)
        return;
    json_out_name(o, "errors");
    json_out_open(o, '{');
    if (spec->errors_path) {
        json_out_name(o, "path");
        json_out_text(o, spec->errors_path);
    }
    json_out_name(o, "records");
    json_out_bool(o, spec->errors_records);
    json_out_close(o, '}');
}

void data_spec_write(const struct data_spec *spec, struct buf *out)
{
    struct json_out o;
    json_out_init(&o, out);
    json_out_open(&o, '{');
    json_out_name(&o, "mode");
    json_out_text(&o, data_mode_name(spec->mode));
    if (spec->source_format != FORMAT_NONE) {
        json_out_name(&o, "source");
        json_out_open(&o, '{');
        json_out_name(&o, "format");
        json_out_text(&o, data_format_name(spec->source_format));
        write_inputs(spec, &o);
        if (spec->csv_objects) {
            json_out_name(&o, "objects");
            json_out_bool(&o, true);
        }
        if (spec->source_format == FORMAT_CSV) {
            json_out_name(&o, "chunk_rows");
            json_out_i64(&o, spec->chunk_rows);
        }
        json_out_close(&o, '}');
    }
    if (spec->sink_format != FORMAT_NONE) {
        json_out_name(&o, "sink");
        json_out_open(&o, '{');
        json_out_name(&o, "format");
        json_out_text(&o, data_format_name(spec->sink_format));
        json_out_name(&o, spec->sink_program ? "program" : "path");
        json_out_text(&o, spec->sink_program ? spec->sink_program : spec->sink_path);
        json_out_name(&o, "overwrite");
        json_out_bool(&o, spec->sink_overwrite);
        if (spec->ordered) {
            json_out_name(&o, "ordered");
            json_out_bool(&o, true);
        }
        json_out_close(&o, '}');
    }
    json_out_name(&o, "lease_s");
    json_out_double(&o, (double)spec->lease_us / 1e6);
    json_out_name(&o, "max_attempts");
    json_out_i64(&o, spec->max_attempts);
    json_out_name(&o, "allow_repeats");
    json_out_bool(&o, spec->allow_repeats);
    write_limits(spec, &o);
    write_retry(spec, &o);
    write_identity(spec, &o);
    write_errors(spec, &o);
    json_out_close(&o, '}');
}

static bool wrong(struct err *err, const char *member, const char *expected, struct str raw)
{
    return err_set(err, ERR_INVALID, "%s: expected %s, not %.*s", member, expected,
                   raw.len > 60 ? 60 : (int)raw.len, raw.ptr);
}

static bool read_text(const char *member, struct str raw, char **out, struct err *err)
{
    char *text = json_take_text(raw);
    if (!text || !*text) {
        free(text);
        return wrong(err, member, "a text", raw);
    }
    free(*out);
    *out = text;
    return true;
}

static bool read_format(const char *member, struct str raw, enum data_format *out, struct err *err)
{
    OWNED_MEM char *name = json_take_text(raw);
    if (!name || !data_format_parse(str_of(name), out) || *out == FORMAT_NONE)
        return wrong(err, member, "\"jsonl\", \"csv\" or \"program\"", raw);
    return true;
}

static bool read_flag(const char *member, struct str raw, bool *out, struct err *err)
{
    return json_bool(raw, out) || wrong(err, member, "true or false", raw);
}

/* Seconds with a fraction, as microseconds. `expected` says the bounds. */
static bool read_seconds(const char *member, struct str raw, int64_t max_us, const char *expected,
                         int64_t *out, struct err *err)
{
    double seconds = NAN;
    if (!json_double(raw, &seconds) || !(seconds >= 0 && seconds <= (double)max_us / 1e6))
        return wrong(err, member, expected, raw);
    *out = (int64_t)llround(seconds * 1e6);
    return true;
}

static bool unknown_member(const char *of, struct str name, struct err *err)
{
    return err_set(err, ERR_INVALID, "%s%sunknown member %.*s", of, *of ? ": " : "",
                   name.len > 60 ? 60 : (int)name.len, name.ptr);
}

static bool read_paths(struct str raw, struct data_spec *spec, struct err *err)
{
    struct json j;
    struct str item;
    size_t cap = 0;
    json_open(&j, raw);
    if (!json_enter(&j, '['))
        return wrong(err, "source.paths", "a list of texts", raw);
    free(TAKE(spec->source_path));
    drop_more(spec);
    for (; json_item(&j) && json_value(&j, &item);) {
        if (!spec->source_path) {
            if (!read_text("source.paths", item, &spec->source_path, err))
                return false;
            continue;
        }
        if (data_spec_input_count(spec) == DATA_INPUTS_MAX)
            return err_set(err, ERR_LIMIT, "source.paths: more than %d files", DATA_INPUTS_MAX);
        if (spec->source_more_count == cap) {
            cap = cap ? 2 * cap : 16;
            spec->source_more = xrealloc(spec->source_more, cap * sizeof *spec->source_more);
        }
        spec->source_more[spec->source_more_count] = NULL;
        if (!read_text("source.paths", item, &spec->source_more[spec->source_more_count], err))
            return false;
        spec->source_more_count++;
    }
    return spec->source_path ? true : wrong(err, "source.paths", "at least one path", raw);
}

static bool read_source_member(struct str name, struct str raw, struct data_spec *spec,
                               struct err *err)
{
    if (json_name_is(name, "format"))
        return read_format("source.format", raw, &spec->source_format, err);
    if (json_name_is(name, "path")) {
        drop_more(spec);
        return read_text("source.path", raw, &spec->source_path, err);
    }
    if (json_name_is(name, "paths"))
        return read_paths(raw, spec, err);
    if (json_name_is(name, "program"))
        return read_text("source.program", raw, &spec->source_program, err);
    if (json_name_is(name, "objects"))
        return read_flag("source.objects", raw, &spec->csv_objects, err);
    if (json_name_is(name, "chunk_rows"))
        return json_i64(raw, 1, CSV_CHUNK_ROWS_MAX, &spec->chunk_rows) ||
               wrong(err, "source.chunk_rows", "a whole number from 1 to 100000", raw);
    return unknown_member("source", name, err);
}

static bool read_sink_member(struct str name, struct str raw, struct data_spec *spec,
                             struct err *err)
{
    if (json_name_is(name, "format"))
        return read_format("sink.format", raw, &spec->sink_format, err);
    if (json_name_is(name, "path"))
        return read_text("sink.path", raw, &spec->sink_path, err);
    if (json_name_is(name, "program"))
        return read_text("sink.program", raw, &spec->sink_program, err);
    if (json_name_is(name, "overwrite"))
        return read_flag("sink.overwrite", raw, &spec->sink_overwrite, err);
    if (json_name_is(name, "ordered"))
        return read_flag("sink.ordered", raw, &spec->ordered, err);
    return unknown_member("sink", name, err);
}

static bool read_limit(struct str name, struct str raw, struct data_spec *spec, struct err *err)
{
    double rpm = NAN;
    if (json_name_is(name, "concurrency"))
        return json_i64(raw, 0, DATA_CONCURRENCY_MAX, &spec->concurrency) ||
               wrong(err, "limits.concurrency", "a whole number from 0 to 1000000", raw);
    if (json_name_is(name, "adaptive"))
        return read_flag("limits.adaptive", raw, &spec->adaptive, err);
    if (!json_name_is(name, "rpm"))
        return unknown_member("limits", name, err);
    if (!json_double(raw, &rpm) || !(rpm >= 0 && rpm <= DATA_RPM_MAX))
        return wrong(err, "limits.rpm", "starts a minute from 0 to 60000000", raw);
    spec->rpm = rpm;
    return true;
}

static bool read_retry_member(struct str name, struct str raw, struct data_spec *spec,
                              struct err *err)
{
    double factor = NAN;
    if (json_name_is(name, "delay_s"))
        return read_seconds("retry.delay_s", raw, DATA_RETRY_DELAY_MAX_US,
                            "seconds from 0 to 86400", &spec->retry_delay_us, err);
    if (!json_name_is(name, "factor"))
        return unknown_member("retry", name, err);
    if (!json_double(raw, &factor) || !(factor >= 1 && factor <= 10))
        return wrong(err, "retry.factor", "a number from 1 to 10", raw);
    spec->retry_factor = factor;
    return true;
}

static bool read_identity(struct str name, struct str raw, struct data_spec *spec, struct err *err)
{
    if (json_name_is(name, "key"))
        return read_text("identity.key", raw, &spec->id_key, err);
    if (json_name_is(name, "rerun_key"))
        return read_text("identity.rerun_key", raw, &spec->rerun_key, err);
    return unknown_member("identity", name, err);
}

static bool read_errors(struct str name, struct str raw, struct data_spec *spec, struct err *err)
{
    if (json_name_is(name, "path"))
        return read_text("errors.path", raw, &spec->errors_path, err);
    if (json_name_is(name, "records"))
        return read_flag("errors.records", raw, &spec->errors_records, err);
    return unknown_member("errors", name, err);
}

typedef bool member_reader(struct str name, struct str raw, struct data_spec *spec,
                           struct err *err);

/* Calls `each` for every member of an object; null members count as not there. */
static bool read_members(const char *what, struct str object, member_reader *each,
                         struct data_spec *spec, struct err *err)
{
    struct json j;
    struct str name, raw;
    json_open(&j, object);
    if (json_enter(&j, '{'))
        while (json_member(&j, &name)) {
            if (!json_value(&j, &raw))
                break;
            if (json_type_of(raw) != JSON_NULL && !each(name, raw, spec, err))
                return false;
        }
    if (!json_end(&j))
        return err_set(err, ERR_INVALID, "%s: byte %zu: %s", what, json_fault_at(&j), j.fault);
    return true;
}

static bool has_member(struct str object, const char *name)
{
    struct str value;
    return json_find(object, name, &value) && json_type_of(value) != JSON_NULL;
}

/* The members that are objects. */
static const struct part {
    const char *name;
    member_reader *read;
} parts[] = {
    {"source", read_source_member}, {"sink", read_sink_member},  {"limits", read_limit},
    {"retry", read_retry_member},   {"identity", read_identity}, {"errors", read_errors},
};

static bool read_member(struct str name, struct str raw, struct data_spec *spec, struct err *err)
{
    if (json_name_is(name, "source") && has_member(raw, "path") && has_member(raw, "paths"))
        return err_set(err, ERR_INVALID, "source: either path or paths");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (json_name_is(name, parts[i].name))
            return read_members(parts[i].name, raw, parts[i].read, spec, err);
    if (json_name_is(name, "mode")) {
        OWNED_MEM char *mode = json_take_text(raw);
        return (mode && data_mode_parse(str_of(mode), &spec->mode)) ||
               wrong(err, "mode", "\"read-write\", \"read\" or \"write\"", raw);
    }
    if (json_name_is(name, "lease_s"))
        return read_seconds("lease_s", raw, DATA_LEASE_MAX_US, "seconds from 0 to 604800",
                            &spec->lease_us, err);
    if (json_name_is(name, "max_attempts"))
        return json_i64(raw, 0, DATA_ATTEMPTS_MAX, &spec->max_attempts) ||
               wrong(err, "max_attempts", "a whole number from 0 to 1000000", raw);
    if (json_name_is(name, "allow_repeats"))
        return read_flag("allow_repeats", raw, &spec->allow_repeats, err);
    return unknown_member("", name, err);
}

/* A format that was not named follows from the program or the path's ending. */
static enum data_format guess_format(enum data_format format, const char *path, const char *program)
{
    if (format != FORMAT_NONE)
        return format;
    if (program)
        return FORMAT_PROGRAM;
    if (!path)
        return FORMAT_NONE;
    format = data_format_of_path(path);
    return format == FORMAT_NONE ? FORMAT_JSONL : format;
}

bool data_spec_read(struct str json, struct data_spec *out, struct err *err)
{
    struct data_spec spec;
    data_spec_copy(&spec, out);
    if (!read_members("job", json, read_member, &spec, err)) {
        data_spec_release(&spec);
        return false;
    }
    spec.source_format = guess_format(spec.source_format, spec.source_path, spec.source_program);
    spec.sink_format = guess_format(spec.sink_format, spec.sink_path, spec.sink_program);
    data_spec_release(out);
    *out = spec;
    return true;
}

/* Whether one end names exactly what its format needs. */
static bool check_end(const char *what, enum data_format format, const char *path,
                      const char *program, struct err *err)
{
    if (format == FORMAT_PROGRAM && (!program || path))
        return err_set(err, ERR_INVALID, "%s: a program needs `program` and no `path`", what);
    if (format != FORMAT_PROGRAM && (!path || program))
        return err_set(err, ERR_INVALID, "%s: format %s needs `path` and no `program`", what,
                       data_format_name(format));
    return true;
}

static bool check_limits(const struct data_spec *spec, struct err *err)
{
    if (spec->concurrency < 0 || spec->concurrency > DATA_CONCURRENCY_MAX)
        return err_set(err, ERR_INVALID, "limits.concurrency: 0 to %d, not %lld",
                       DATA_CONCURRENCY_MAX, (long long)spec->concurrency);
    if (!(spec->rpm >= 0 && spec->rpm <= DATA_RPM_MAX))
        return err_set(err, ERR_INVALID, "limits.rpm: 0 to %.0f, not %.10g", DATA_RPM_MAX,
                       spec->rpm);
    if (spec->retry_delay_us < 0 || spec->retry_delay_us > DATA_RETRY_DELAY_MAX_US)
        return err_set(err, ERR_INVALID, "retry.delay_s: 0 to 86400, not %.10g",
                       (double)spec->retry_delay_us / 1e6);
    if (!(spec->retry_factor >= 1 && spec->retry_factor <= 10))
        return err_set(err, ERR_INVALID, "retry.factor: 1 to 10, not %.10g", spec->retry_factor);
    if ((spec->concurrency || spec->rpm > 0 || spec->adaptive || spec->retry_delay_us) &&
        spec->mode != MODE_READ_WRITE)
        return err_set(err, ERR_INVALID, "limits and retries are for jobs that read and write");
    return true;
}

static bool check_identity(const struct data_spec *spec, struct err *err)
{
    if (spec->rerun_key && !spec->id_key)
        return err_set(err, ERR_INVALID, "identity.rerun_key needs identity.key");
    if (spec->id_key && spec->mode != MODE_READ_WRITE)
        return err_set(err, ERR_INVALID, "identity is for jobs that read and write");
    if (spec->ordered && spec->mode != MODE_READ_WRITE)
        return err_set(err, ERR_INVALID, "sink.ordered is for jobs that read and write");
    if (spec->ordered && spec->allow_repeats)
        return err_set(err, ERR_INVALID, "sink.ordered takes one result of each record");
    return true;
}

bool data_spec_check(const struct data_spec *spec, struct err *err)
{
    bool reads = spec->source_format != FORMAT_NONE, writes = spec->sink_format != FORMAT_NONE;
    if (spec->mode == MODE_WRITE && reads)
        return err_set(err, ERR_INVALID, "mode write has no use for a source");
    if (spec->mode == MODE_READ && writes)
        return err_set(err, ERR_INVALID, "mode read has no use for a sink");
    if (!reads && spec->mode != MODE_WRITE)
        return err_set(err, ERR_INVALID, "mode %s needs a source", data_mode_name(spec->mode));
    /* Planchet's users may start a read-write job without a writer and only serve from it. */
    if (!writes && spec->mode == MODE_WRITE)
        return err_set(err, ERR_INVALID, "mode write needs a sink");
    if (spec->chunk_rows < 1 || spec->chunk_rows > CSV_CHUNK_ROWS_MAX)
        return err_set(err, ERR_INVALID, "source.chunk_rows: 1 to %d, not %lld", CSV_CHUNK_ROWS_MAX,
                       (long long)spec->chunk_rows);
    if (spec->lease_us < 0 || spec->lease_us > DATA_LEASE_MAX_US)
        return err_set(err, ERR_INVALID, "lease_s: 0 to 604800, not %.10g",
                       (double)spec->lease_us / 1e6);
    if (spec->max_attempts < 0 || spec->max_attempts > DATA_ATTEMPTS_MAX)
        return err_set(err, ERR_INVALID, "max_attempts: 0 to %d, not %lld", DATA_ATTEMPTS_MAX,
                       (long long)spec->max_attempts);
    return check_limits(spec, err) && check_identity(spec, err) &&
           (!reads || check_end("source", spec->source_format, spec->source_path,
                                spec->source_program, err)) &&
           (!writes ||
            check_end("sink", spec->sink_format, spec->sink_path, spec->sink_program, err));
}

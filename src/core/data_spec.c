/* data_spec.c: what a data job is made of: defaults, the stored JSON shape, and whether it fits
 * together (job.h). */
#include "base/json.h"
#include "core/job.h"

#include <math.h>
#include <stdlib.h>

void data_spec_init(struct data_spec *spec)
{
    *spec = (struct data_spec){.chunk_rows = CSV_CHUNK_ROWS};
}

void data_spec_release(struct data_spec *spec)
{
    free(spec->source_path);
    free(spec->source_program);
    free(spec->sink_path);
    free(spec->sink_program);
    data_spec_init(spec);
}

void data_spec_copy(struct data_spec *to, const struct data_spec *from)
{
    *to = *from;
    to->source_path = xstrdup_or_null(from->source_path);
    to->source_program = xstrdup_or_null(from->source_program);
    to->sink_path = xstrdup_or_null(from->sink_path);
    to->sink_program = xstrdup_or_null(from->sink_program);
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
        json_out_name(&o, spec->source_program ? "program" : "path");
        json_out_text(&o, spec->source_program ? spec->source_program : spec->source_path);
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
        json_out_close(&o, '}');
    }
    json_out_name(&o, "lease_s");
    json_out_double(&o, (double)spec->lease_us / 1e6);
    json_out_name(&o, "max_attempts");
    json_out_i64(&o, spec->max_attempts);
    json_out_name(&o, "allow_repeats");
    json_out_bool(&o, spec->allow_repeats);
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

static bool read_source_member(struct str name, struct str raw, struct data_spec *spec,
                               struct err *err)
{
    if (json_name_is(name, "format"))
        return read_format("source.format", raw, &spec->source_format, err);
    if (json_name_is(name, "path"))
        return read_text("source.path", raw, &spec->source_path, err);
    if (json_name_is(name, "program"))
        return read_text("source.program", raw, &spec->source_program, err);
    if (json_name_is(name, "chunk_rows"))
        return json_i64(raw, 1, CSV_CHUNK_ROWS_MAX, &spec->chunk_rows) ||
               wrong(err, "source.chunk_rows", "a whole number from 1 to 100000", raw);
    return err_set(err, ERR_INVALID, "source: unknown member %.*s",
                   name.len > 60 ? 60 : (int)name.len, name.ptr);
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
        return json_bool(raw, &spec->sink_overwrite) ||
               wrong(err, "sink.overwrite", "true or false", raw);
    return err_set(err, ERR_INVALID, "sink: unknown member %.*s",
                   name.len > 60 ? 60 : (int)name.len, name.ptr);
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

static bool read_member(struct str name, struct str raw, struct data_spec *spec, struct err *err)
{
    double seconds = NAN;
    if (json_name_is(name, "mode")) {
        OWNED_MEM char *mode = json_take_text(raw);
        return (mode && data_mode_parse(str_of(mode), &spec->mode)) ||
               wrong(err, "mode", "\"read-write\", \"read\" or \"write\"", raw);
    }
    if (json_name_is(name, "source"))
        return read_members("source", raw, read_source_member, spec, err);
    if (json_name_is(name, "sink"))
        return read_members("sink", raw, read_sink_member, spec, err);
    if (json_name_is(name, "lease_s")) {
        if (!json_double(raw, &seconds) ||
            !(seconds >= 0 && seconds <= (double)DATA_LEASE_MAX_US / 1e6))
            return wrong(err, "lease_s", "seconds from 0 to 604800", raw);
        spec->lease_us = (int64_t)llround(seconds * 1e6);
        return true;
    }
    if (json_name_is(name, "max_attempts"))
        return json_i64(raw, 0, DATA_ATTEMPTS_MAX, &spec->max_attempts) ||
               wrong(err, "max_attempts", "a whole number from 0 to 1000000", raw);
    if (json_name_is(name, "allow_repeats"))
        return json_bool(raw, &spec->allow_repeats) ||
               wrong(err, "allow_repeats", "true or false", raw);
    return err_set(err, ERR_INVALID, "unknown member %.*s", name.len > 60 ? 60 : (int)name.len,
                   name.ptr);
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
    size_t len = strlen(path);
    enum compression packed = compression_of_path(path);
    len -= packed == COMPRESS_GZIP ? 3 : packed == COMPRESS_ZSTD ? 4 : 0;
    return len > 4 && strncasecmp(path + len - 4, ".csv", 4) == 0 ? FORMAT_CSV : FORMAT_JSONL;
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
    return (!reads || check_end("source", spec->source_format, spec->source_path,
                                spec->source_program, err)) &&
           (!writes ||
            check_end("sink", spec->sink_format, spec->sink_path, spec->sink_program, err));
}

#include "http/planchet/planchet_metadata.h"

#include "base/json.h"
#include "base/parse.h"
#include "http/planchet/planchet_params.h"

#include <stdlib.h>

/* Python sends None as a text. */
static bool is_nothing(struct str name)
{
    return name.len == 0 || str_is(name, "None");
}

/* Whether Python calls a value true: everything but null, false, zero and what is empty. */
static bool is_truthy(struct str raw)
{
    double number = 0;
    struct json j;
    struct str member;
    json_open(&j, raw);
    switch (json_type_of(raw)) {
    case JSON_NUMBER:
        return !json_double(raw, &number) || number != 0;
    case JSON_STRING:
        return raw.len > 2;
    case JSON_ARRAY:
        return json_enter(&j, '[') && json_item(&j);
    case JSON_OBJECT:
        return json_enter(&j, '{') && json_member(&j, &member);
    case JSON_TRUE:
        return true;
    default:
        return false;
    }
}

static bool read_path(struct str metadata, const char *name, char **out, struct err *err)
{
    struct str raw;
    if (!json_find(metadata, name, &raw))
        return err_set(err, ERR_INVALID, "metadata: %s is missing", name);
    char *path = json_take_text(raw);
    if (!path || !*path) {
        free(path);
        return err_set(err, ERR_INVALID, "metadata: %s is no path", name);
    }
    *out = path;
    return true;
}

/* A number, or a text that holds one; its bytes appended to `text`. False when it is neither. */
static bool number_text(struct str raw, struct buf *text)
{
    if (json_type_of(raw) == JSON_NUMBER) {
        buf_add_str(text, raw);
        return true;
    }
    return json_text(raw, text);
}

static bool read_chunk(struct str metadata, struct data_spec *out, struct err *err)
{
    struct str raw;
    if (!json_find(metadata, "chunk_size", &raw))
        return true;
    OWNED_BUF struct buf text;
    buf_init(&text, 1024);
    int64_t rows = 0;
    if (!number_text(raw, &text) || !planchet_int(buf_str(&text), &rows) || rows < 1 ||
        rows > CSV_CHUNK_ROWS_MAX)
        return err_set(err, ERR_INVALID, "metadata: chunk_size is 1 to %d", CSV_CHUNK_ROWS_MAX);
    out->chunk_rows = rows;
    return true;
}

static bool read_source(struct str reader, struct str metadata, struct data_spec *out,
                        struct err *err)
{
    if (is_nothing(reader))
        return true;
    if (str_is(reader, "JsonlReader"))
        out->source_format = FORMAT_JSONL;
    else if (str_is(reader, "CsvReader"))
        out->source_format = FORMAT_CSV;
    else
        out->source_format = FORMAT_PROGRAM;
    if (out->source_format == FORMAT_PROGRAM) {
        out->source_program = xstrndup(reader.ptr, reader.len);
        return true;
    }
    return read_path(metadata, "input_file_path", &out->source_path, err) &&
           (out->source_format != FORMAT_CSV || read_chunk(metadata, out, err));
}

static bool read_sink(struct str writer, struct str metadata, struct data_spec *out,
                      struct err *err)
{
    if (is_nothing(writer))
        return true;
    if (str_is(writer, "JsonlWriter"))
        out->sink_format = FORMAT_JSONL;
    else if (str_is(writer, "CsvWriter"))
        out->sink_format = FORMAT_CSV;
    else
        out->sink_format = FORMAT_PROGRAM;
    if (out->sink_format == FORMAT_PROGRAM) {
        out->sink_program = xstrndup(writer.ptr, writer.len);
        return true;
    }
    struct str overwrite;
    out->sink_overwrite = json_find(metadata, "overwrite", &overwrite) && is_truthy(overwrite);
    return read_path(metadata, "output_file_path", &out->sink_path, err);
}

/* The text of a number that stands in the query or, if not there, in the metadata; empty when in
 * neither. */
static bool find_number(struct str query, struct str metadata, const char *name, struct buf *text,
                        struct err *err)
{
    struct str raw;
    if (query.ptr)
        buf_add_str(text, query);
    else if (json_find(metadata, name, &raw) && json_type_of(raw) != JSON_NULL &&
             !number_text(raw, text))
        return err_set(err, ERR_INVALID, "metadata: %s is no number", name);
    return true;
}

static bool read_limits(const struct planchet_request *query, struct str metadata,
                        struct data_spec *out, struct err *err)
{
    OWNED_BUF struct buf lease;
    buf_init(&lease, 1024);
    OWNED_BUF struct buf attempts;
    buf_init(&attempts, 1024);
    if (!find_number(query->lease_s, metadata, "lease_s", &lease, err) ||
        !find_number(query->max_attempts, metadata, "max_attempts", &attempts, err))
        return false;
    if (lease.len > 0 && !parse_seconds(buf_str(&lease), 0, DATA_LEASE_MAX_US, &out->lease_us, err))
        return err_add(err, "lease_s");
    if (attempts.len > 0 &&
        !parse_i64(buf_str(&attempts), 0, DATA_ATTEMPTS_MAX, &out->max_attempts, err))
        return err_add(err, "max_attempts");
    return true;
}

bool planchet_spec(const struct planchet_request *query, struct str metadata, struct data_spec *out,
                   struct err *err)
{
    data_spec_init(out);
    if (!data_mode_parse(query->mode, &out->mode)) {
        out->mode = MODE_READ_WRITE;
        out->allow_repeats = true;
    }
    /* Who only writes may name a reader all the same, and the other way round: it is not used. */
    return (out->mode == MODE_WRITE || read_source(query->reader, metadata, out, err)) &&
           (out->mode == MODE_READ || read_sink(query->writer, metadata, out, err)) &&
           read_limits(query, metadata, out, err) && data_spec_check(out, err);
}

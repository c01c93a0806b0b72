/* source.c: what does not depend on the format. See source.h. */
#include "io/source.h"

#include "base/file.h"
#include "io/csv_header.h"
#include "io/source_kind.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PRINT_BYTES = 4096, HASH_BYTES = 32 };

const char source_too_long[] = "longer than 64 MiB";

bool source_open(const struct data_spec *spec, const struct folders *folders, struct source **out,
                 struct err *err)
{
    return spec->source_more_count
               ? source_many_open(spec, folders, out, err)
               : source_open_file(spec, spec->source_path, spec->source_format, folders, out, err);
}

bool source_open_file(const struct data_spec *spec, const char *path, enum data_format format,
                      const struct folders *folders, struct source **out, struct err *err)
{
    bool csv = format == FORMAT_CSV;
    if (!csv && format != FORMAT_JSONL)
        return err_set(err, ERR_INVALID, "no reader for the format %s", data_format_name(format));
    OWNED_FD int fd = -1;
    if (!folders_open(folders, path, O_RDONLY, &fd, NULL, err))
        return false;
    OWNED(source)
    struct source *s = csv ? source_csv_new(spec->chunk_rows, spec->csv_objects || spec->id_key)
                           : source_jsonl_new();
    s->fd = TAKE_FD(fd);
    s->name = xstrdup(path);
    s->id_key = xstrdup_or_null(spec->id_key);
    source_bytes_init(&s->bytes, s->fd, s->name, -1);
    if (csv && !source_csv_begin(s, err))
        return false;
    *out = TAKE(s);
    return true;
}

void source_free(struct source *s)
{
    if (!s)
        return;
    source_bytes_release(&s->bytes);
    fd_drop(&s->fd);
    free(s->name);
    free(s->id_key);
    s->ops->free(s);
}

void source_allow(struct source *s, int64_t bytes)
{
    s->bytes.allowed = bytes;
}

void source_allow_more(struct source *s, int64_t bytes)
{
    if (s->bytes.allowed < SOURCE_UNLIMITED)
        s->bytes.allowed += bytes;
}

bool source_paused(const struct source *s)
{
    return s->bytes.paused;
}

enum source_got source_next(struct source *s, struct source_record *out, struct err *err)
{
    s->bytes.paused = false;
    enum source_got got = s->ops->next(s, out, err);
    if (got == SOURCE_RECORD || got == SOURCE_BAD || got == SOURCE_TAIL)
        out->file = s->name;
    return got;
}

struct str source_ahead(const struct source *s, int64_t *at_bytes)
{
    *at_bytes = s->bytes.offset;
    if (!s->ops->at_line || !s->ops->at_line(s))
        return (struct str){NULL, 0};
    return (struct str){source_bytes_at(&s->bytes), source_bytes_left(&s->bytes)};
}

struct place source_place(const struct source *s)
{
    return s->ops->place(s);
}

bool source_seek(struct source *s, struct place place, struct err *err)
{
    s->bytes.paused = false;
    return s->ops->seek(s, place, err);
}

bool source_skip_to(struct source *s, int64_t record, struct err *err)
{
    s->bytes.paused = false;
    return s->ops->skip_to(s, record, err);
}

bool source_print_file(int fd, const char *name, int64_t want_bytes, char print[65], int64_t *bytes,
                       struct err *err)
{
    static const char digits[] = "0123456789abcdef";
    char first[PRINT_BYTES];
    size_t len = want_bytes > 0 && want_bytes < PRINT_BYTES ? (size_t)want_bytes : PRINT_BYTES;
    size_t got = 0;
    if (!file_read_at(fd, 0, first, len, &got, name, err))
        return false;
    if ((int64_t)got < want_bytes)
        return err_set(err, ERR_CONFLICT, "%s has become shorter: %zu bytes, there were %lld", name,
                       got, (long long)want_bytes);
    unsigned char hash[EVP_MAX_MD_SIZE];
    if (!EVP_Digest(first, got, hash, NULL, EVP_sha256(), NULL))
        return err_set(err, ERR_INTERNAL, "SHA-256 is not available");
    for (size_t i = 0; i < HASH_BYTES; i++) {
        print[2 * i] = digits[hash[i] >> 4];
        print[2 * i + 1] = digits[hash[i] & 15];
    }
    print[64] = '\0';
    *bytes = (int64_t)got;
    return true;
}

bool source_fingerprint(struct source *s, int64_t want_bytes, char print[65], int64_t *bytes,
                        struct err *err)
{
    return s->ops->fingerprint ? s->ops->fingerprint(s, want_bytes, print, bytes, err)
                               : source_print_file(s->fd, s->name, want_bytes, print, bytes, err);
}

const char *source_name(const struct source *s)
{
    return s->name;
}

bool source_extent(const struct source *s, int64_t *size_bytes, int64_t *at_bytes)
{
    struct stat st;
    if (s->ops->extent)
        return s->ops->extent(s, size_bytes, at_bytes);
    if (fstat(s->fd, &st))
        return false;
    *size_bytes = st.st_size;
    *at_bytes = source_bytes_raw_at(&s->bytes);
    return true;
}

int source_fd(const struct source *s)
{
    return s->ops->fd ? s->ops->fd(s) : s->fd;
}

bool source_inputs(struct source *s, char **out, struct err *err)
{
    *out = NULL;
    return !s->ops->inputs || s->ops->inputs(s, out, err);
}

bool source_check_inputs(struct source *s, const char *before, struct err *err)
{
    if (!s->ops->check_inputs && csv_header_is_text(before))
        return err_set(err, ERR_CONFLICT, "the job was started on a CSV file, not on %s", s->name);
    if (!s->ops->check_inputs)
        return err_set(err, ERR_CONFLICT, "the job was started on several inputs, not on %s alone",
                       s->name);
    return s->ops->check_inputs(s, before, err);
}

bool source_pass_bom(struct source *s, bool *had, struct err *err)
{
    struct source_bytes *b = &s->bytes;
    bool ended = false;
    *had = false;
    while (source_bytes_left(b) < SOURCE_BOM_BYTES && !ended) {
        if (source_bytes_pause(b))
            return true;
        if (!source_bytes_fill(b, &ended, err))
            return false;
    }
    *had = source_bytes_left(b) >= SOURCE_BOM_BYTES &&
           memcmp(source_bytes_at(b), SOURCE_BOM, SOURCE_BOM_BYTES) == 0;
    if (*had)
        source_bytes_pass(b, SOURCE_BOM_BYTES);
    return true;
}

bool source_seek_after(struct source *s, int64_t bytes, char *before, struct err *err)
{
    struct source_bytes *b = &s->bytes;
    if (!source_bytes_seek(b, bytes - 1, err))
        return false;
    if (b->paused)
        return true;
    for (bool ended = false; !source_bytes_left(b) && !ended;)
        if (!source_bytes_fill(b, &ended, err))
            return false;
    if (!source_bytes_left(b))
        return err_set(err, ERR_CONFLICT, "%s has become shorter than %lld bytes", s->name,
                       (long long)bytes);
    *before = *source_bytes_at(b);
    source_bytes_pass(b, 1);
    return true;
}

/* source_many.c: several files, read one after the other as one numbering.
 *
 * One file is open at a time. The numbers of a file begin where those of the one before it ended,
 * so all but the last must stay as they are: their sizes are noted when the input is opened, held
 * against what the job was started on (source_check_inputs), and looked at again when their end is
 * met. A place has the file's index above FILE_SHIFT in `bytes`; its line, which the formats count
 * from 1 in each file, is what a JSONL file numbers its records by, and says nothing to a CSV. */
#include "base/json.h"
#include "io/csv_header.h"
#include "io/source_kind.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    FILE_SHIFT = 48, /* 256 TiB a file */
    FILE_COST = 4096 /* what the opening of a file counts for, in bytes of what is allowed */
};
#define OFFSET_MASK ((INT64_C(1) << FILE_SHIFT) - 1)

struct source_many {
    struct source base;
    const struct folders *folders;
    struct data_spec spec;
    int64_t *sizes; /* of each file as stored, when the input was opened */
    size_t count;
    size_t at;          /* the file being read */
    struct source *now; /* NULL: not opened yet */
    int64_t first;      /* number of its first record */
};

static struct source_many *many_of(struct source *s)
{
    return (struct source_many *)s;
}

static bool is_last(const struct source_many *m)
{
    return m->at + 1 == m->count;
}

static bool open_file(const struct source_many *m, size_t i, struct source **out, struct err *err)
{
    const char *path = data_spec_input(&m->spec, i);
    enum data_format format = data_format_of_path(path);
    return source_open_file(&m->spec, path, format == FORMAT_NONE ? m->spec.source_format : format,
                            m->folders, out, err);
}

static bool size_of(struct source *file, int64_t *bytes, struct err *err)
{
    int64_t at = 0;
    return source_extent(file, bytes, &at) ||
           err_errno(err, errno, "the size of %s", source_name(file));
}

/* Only the last input may grow, none may shrink. */
static bool check_size(const char *name, int64_t before, int64_t now, bool last, struct err *err)
{
    if (now < before)
        return err_set(err, ERR_CONFLICT, "%s has become shorter: %lld bytes, there were %lld",
                       name, (long long)now, (long long)before);
    if (now > before && !last)
        return err_set(err, ERR_CONFLICT,
                       "%s has grown to %lld bytes, there were %lld: only the last of several "
                       "inputs may grow",
                       name, (long long)now, (long long)before);
    return true;
}

/* Makes `i` the file being read, from its start. */
static bool go_to(struct source_many *m, size_t i, struct err *err)
{
    OWNED(source) struct source *file = NULL;
    int64_t bytes = 0;
    if (!open_file(m, i, &file, err) || !size_of(file, &bytes, err) ||
        !check_size(source_name(file), m->sizes[i], bytes, i + 1 == m->count, err))
        return false;
    source_free(m->now);
    m->now = TAKE(file);
    m->at = i;
    free(m->base.name);
    m->base.name = xstrdup(source_name(m->now));
    return true;
}

static bool need_file(struct source_many *m, struct err *err)
{
    return m->now || go_to(m, m->at, err);
}

/* What this source may read is read by the file. */
static void lend(struct source_many *m)
{
    source_allow(m->now, m->base.bytes.allowed);
}

static void take_back(struct source_many *m)
{
    m->base.bytes.allowed = m->now->bytes.allowed;
    m->base.bytes.paused = source_paused(m->now);
}

static enum source_got file_next(struct source_many *m, struct source_record *out, struct err *err)
{
    lend(m);
    enum source_got got = source_next(m->now, out, err);
    take_back(m);
    return got;
}

static int64_t local_number(const struct source_many *m)
{
    return m->now ? m->now->ops->number(m->now) : 0;
}

/* The file is read to its end, `records` of them: on to the next one. */
static bool pass_file(struct source_many *m, int64_t records, struct err *err)
{
    int64_t bytes = 0;
    if (!size_of(m->now, &bytes, err) ||
        !check_size(source_name(m->now), m->sizes[m->at], bytes, false, err))
        return false;
    source_free(TAKE(m->now));
    m->first += records;
    m->at++;
    if (m->base.bytes.allowed < SOURCE_UNLIMITED)
        m->base.bytes.allowed -= FILE_COST;
    return true;
}

/* What was a tail at the end of all is a bad record where another file follows. */
static enum source_got pass_tail(struct source_many *m, struct source_record *out, struct err *err)
{
    snprintf(m->base.reason, sizeof m->base.reason, "unfinished: %.200s", out->reason);
    int64_t records = out->number + 1;
    out->number += m->first;
    out->reason = m->base.reason;
    return pass_file(m, records, err) ? SOURCE_BAD : SOURCE_FAILED;
}

/* What was told of the file, as told of them all; SOURCE_END when the next file is due. */
static enum source_got told(struct source_many *m, enum source_got got, struct source_record *out,
                            struct err *err)
{
    switch (got) {
    case SOURCE_TAIL:
        if (!is_last(m))
            return pass_tail(m, out, err);
        break;
    case SOURCE_END:
        return is_last(m) || pass_file(m, local_number(m), err) ? SOURCE_END : SOURCE_FAILED;
    case SOURCE_PAUSE:
    case SOURCE_FAILED:
        return got;
    case SOURCE_RECORD:
    case SOURCE_BAD:
        break;
    }
    out->number += m->first;
    return got;
}

static enum source_got many_next(struct source *s, struct source_record *out, struct err *err)
{
    struct source_many *m = many_of(s);
    for (;;) {
        if (!need_file(m, err))
            return SOURCE_FAILED;
        enum source_got got = told(m, file_next(m, out, err), out, err);
        if (got != SOURCE_END || m->now)
            return got;
        if (source_bytes_pause(&s->bytes))
            return SOURCE_PAUSE;
    }
}

static struct place many_place(const struct source *s)
{
    const struct source_many *m = (const struct source_many *)s;
    struct place place = m->now ? source_place(m->now) : (struct place){0, 0, 1};
    place.record += m->first;
    place.bytes |= (int64_t)m->at << FILE_SHIFT;
    return place;
}

static bool many_seek(struct source *s, struct place place, struct err *err)
{
    struct source_many *m = many_of(s);
    size_t file = (size_t)(place.bytes >> FILE_SHIFT);
    if (file >= m->count)
        return err_set(err, ERR_CONFLICT,
                       "there are only %zu inputs, record %lld was in number %zu", m->count,
                       (long long)place.record, file + 1);
    if ((file != m->at || !m->now) && !go_to(m, file, err))
        return false;
    struct place local = {place.line - 1, place.bytes & OFFSET_MASK, place.line};
    lend(m);
    bool fine = source_seek(m->now, local, err);
    take_back(m);
    if (fine && !s->bytes.paused)
        m->first = place.record - local_number(m);
    return fine;
}

static bool file_skip_to(struct source_many *m, int64_t record, struct err *err)
{
    lend(m);
    bool fine = source_skip_to(m->now, record, err);
    take_back(m);
    return fine;
}

static bool many_skip_to(struct source *s, int64_t record, struct err *err)
{
    struct source_many *m = many_of(s);
    for (;;) {
        if (!need_file(m, err) || !file_skip_to(m, record - m->first, err))
            return false;
        if (s->bytes.paused || m->first + local_number(m) >= record)
            return true;
        /* It ends before. */
        struct source_record unused;
        switch (told(m, file_next(m, &unused, err), &unused, err)) {
        case SOURCE_FAILED:
            return false;
        case SOURCE_PAUSE:
        case SOURCE_TAIL:
            return true;
        case SOURCE_END:
            if (m->now || source_bytes_pause(&s->bytes))
                return true;
            break;
        case SOURCE_RECORD:
        case SOURCE_BAD:
            break;
        }
    }
}

static int64_t many_number(const struct source *s)
{
    const struct source_many *m = (const struct source_many *)s;
    return m->first + local_number(m);
}

static void many_free(struct source *s)
{
    struct source_many *m = many_of(s);
    source_free(m->now);
    data_spec_release(&m->spec);
    free(m->sizes);
    free(m);
}

static bool many_fingerprint(struct source *s, int64_t want_bytes, char print[65], int64_t *bytes,
                             struct err *err)
{
    struct source_many *m = many_of(s);
    OWNED(source) struct source *first = NULL;
    return open_file(m, 0, &first, err) && source_fingerprint(first, want_bytes, print, bytes, err);
}

static bool many_extent(const struct source *s, int64_t *size_bytes, int64_t *at_bytes)
{
    const struct source_many *m = (const struct source_many *)s;
    int64_t size = 0, at = 0;
    *size_bytes = *at_bytes = 0;
    for (size_t i = 0; i < m->count; i++) {
        *size_bytes += m->sizes[i];
        *at_bytes += i < m->at ? m->sizes[i] : 0;
    }
    if (!m->now)
        return true;
    if (!source_extent(m->now, &size, &at))
        return false;
    *size_bytes += size - m->sizes[m->at];
    *at_bytes += at;
    return true;
}

static int many_fd(const struct source *s)
{
    const struct source_many *m = (const struct source_many *)s;
    return m->now && is_last(m) ? source_fd(m->now) : -1;
}

/* As text: [[bytes,bytes of the print,"print"],...]. */
static bool many_inputs(struct source *s, char **out, struct err *err)
{
    struct source_many *m = many_of(s);
    OWNED_BUF struct buf text;
    struct json_out o;
    buf_init(&text, BUF_NO_CAP);
    json_out_init(&o, &text);
    json_out_open(&o, '[');
    for (size_t i = 0; i < m->count; i++) {
        OWNED(source) struct source *file = NULL;
        char print[65];
        int64_t bytes = 0;
        if (!open_file(m, i, &file, err) || !source_fingerprint(file, 0, print, &bytes, err))
            return false;
        json_out_open(&o, '[');
        json_out_i64(&o, m->sizes[i]);
        json_out_i64(&o, bytes);
        json_out_text(&o, print);
        json_out_close(&o, ']');
    }
    json_out_close(&o, ']');
    *out = xstrndup(text.data, text.len);
    return true;
}

/* What one entry of such a text says. */
struct known_input {
    int64_t bytes, print_bytes;
    struct str print; /* a raw JSON string */
};

static bool read_known(struct json *j, struct known_input *out)
{
    struct str bytes, print_bytes;
    return json_enter(j, '[') && json_item(j) && json_value(j, &bytes) && json_item(j) &&
           json_value(j, &print_bytes) && json_item(j) && json_value(j, &out->print) &&
           !json_item(j) && json_i64(bytes, 0, INT64_MAX, &out->bytes) &&
           json_i64(print_bytes, 0, INT64_MAX, &out->print_bytes);
}

static bool same_file(const struct source_many *m, size_t i, const struct known_input *known,
                      struct err *err)
{
    OWNED(source) struct source *file = NULL;
    char print[65];
    int64_t bytes = 0;
    if (!open_file(m, i, &file, err) ||
        !source_fingerprint(file, known->print_bytes, print, &bytes, err))
        return false;
    /* Of an empty file nothing could be told. */
    if (known->print_bytes == 0 || json_name_is(known->print, print))
        return true;
    return err_set(err, ERR_CONFLICT,
                   "%s is not the file that the job was started on: its first %lld bytes are "
                   "others",
                   source_name(file), (long long)known->print_bytes);
}

static bool many_check_inputs(struct source *s, const char *before, struct err *err)
{
    struct source_many *m = many_of(s);
    struct json j;
    struct str text = str_of(before);
    size_t count = 0;
    if (csv_header_is_text(before)) { /* it had one input, which is the first now */
        OWNED(source) struct source *first = NULL;
        return open_file(m, 0, &first, err) && source_check_inputs(first, before, err);
    }
    json_open(&j, text);
    if (json_enter(&j, '['))
        for (; json_item(&j); count++) {
            struct known_input known;
            struct str last;
            if (!read_known(&j, &known))
                break;
            if (count >= m->count)
                continue;
            struct json ahead = j;
            bool grows = !json_item(&ahead) || !json_value(&ahead, &last);
            if (!check_size(data_spec_input(&m->spec, count), known.bytes, m->sizes[count], grows,
                            err) ||
                !same_file(m, count, &known, err))
                return false;
        }
    if (!json_end(&j))
        return err_set(err, ERR_STORE, "what is stored of the inputs is damaged");
    if (count > m->count)
        return err_set(err, ERR_CONFLICT, "the job was started on %zu inputs, now there are %zu",
                       count, m->count);
    return true;
}

/* One file of the list. */
struct named {
    dev_t device;
    ino_t inode;
    size_t at;
};

static int by_file(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    if (x->device != y->device)
        return x->device < y->device ? -1 : 1;
    return (x->inode > y->inode) - (x->inode < y->inode);
}

/* A file that is named twice, perhaps by a pattern and by itself, would be done twice. */
static bool check_named_once(const struct source_many *m, struct named *names, struct err *err)
{
    qsort(names, m->count, sizeof *names, by_file);
    for (size_t i = 1; i < m->count; i++)
        if (by_file(&names[i - 1], &names[i]) == 0)
            return err_set(err, ERR_INVALID, "%s and %s, two of the inputs, are one file",
                           data_spec_input(&m->spec, names[i - 1].at),
                           data_spec_input(&m->spec, names[i].at));
    return true;
}

/* Looks at each file once: whether it can be read, and how long it is. */
static bool look_at_files(struct source_many *m, struct err *err)
{
    OWNED_MEM struct named *names = xcalloc(m->count, sizeof *names);
    for (size_t i = 0; i < m->count; i++) {
        OWNED(source) struct source *file = NULL;
        struct stat st;
        if (!open_file(m, i, &file, err))
            return false;
        if (fstat(source_fd(file), &st))
            return err_errno(err, errno, "%s", source_name(file));
        m->sizes[i] = st.st_size;
        names[i] = (struct named){st.st_dev, st.st_ino, i};
    }
    return check_named_once(m, names, err);
}

bool source_many_open(const struct data_spec *spec, const struct folders *folders,
                      struct source **out, struct err *err)
{
    static const struct source_ops ops = {.next = many_next,
                                          .place = many_place,
                                          .seek = many_seek,
                                          .skip_to = many_skip_to,
                                          .number = many_number,
                                          .free = many_free,
                                          .fingerprint = many_fingerprint,
                                          .extent = many_extent,
                                          .fd = many_fd,
                                          .inputs = many_inputs,
                                          .check_inputs = many_check_inputs};
    struct source_many *m = xcalloc(1, sizeof *m);
    OWNED(source) struct source *s = &m->base;
    s->ops = &ops;
    s->fd = -1;
    s->name = xstrdup(spec->source_path);
    source_bytes_init(&s->bytes, -1, s->name, -1);
    m->folders = folders;
    data_spec_copy(&m->spec, spec);
    m->count = data_spec_input_count(spec);
    m->sizes = xcalloc(m->count, sizeof *m->sizes);
    if (!look_at_files(m, err))
        return false;
    *out = TAKE(s);
    return true;
}

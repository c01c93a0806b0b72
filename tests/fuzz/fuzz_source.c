/* Inputs: reading on from the place of any record, skipping to any record and reading while the
 * file grows give the same records under the same numbers as reading the whole; every record is one
 * line of JSON.
 *
 * The first byte chooses the format and how many rows a chunk has, the second where the file is cut
 * in two to grow; the rest is the file. */
#include "base/json.h"
#include "fuzz.h"
#include "io/source.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RECORDS_MAX = 40, FILE_MAX = 4096 };

static struct folders *folders;
static struct data_spec spec;
static int fd = -1;

static char dir[64] = "/dev/shm/penstock-fuzz-XXXXXX";

static void clean_up(void)
{
    OWNED_MEM char *path = xasprintf("%s/in", dir);
    unlink(path);
    rmdir(dir);
    folders_free(folders);
    data_spec_release(&spec);
    close(fd);
}

/* One folder and one file for the whole run, in memory where there is such a place. */
static void prepare(void)
{
    struct err err;
    if (!mkdtemp(dir)) {
        strcpy(dir, "/tmp/penstock-fuzz-XXXXXX");
        HOLDS(mkdtemp(dir));
    }
    folders = folders_new();
    HOLDS(folders_add(folders, dir, &err));
    data_spec_init(&spec);
    spec.source_path = xstrdup("in");
    HOLDS(folders_open(folders, "in", O_RDWR | O_CREAT, &fd, NULL, &err));
    HOLDS(atexit(clean_up) == 0);
}

static void put(const uint8_t *data, size_t from, size_t to)
{
    HOLDS(ftruncate(fd, (off_t)from) == 0);
    HOLDS(pwrite(fd, data + from, to - from, (off_t)from) == (ssize_t)(to - from));
}

static struct source *open_in(void)
{
    struct source *s = NULL;
    struct err err;
    return source_open(&spec, folders, &s, &err) ? s : NULL;
}

/* The next record, with a pause wherever one is possible. */
static enum source_got next_paused(struct source *s, struct source_record *r, struct err *err)
{
    for (int64_t allowed = 0;; allowed = 1) {
        source_allow(s, allowed);
        enum source_got got = source_next(s, r, err);
        if (got != SOURCE_PAUSE)
            return got;
    }
}

/* Reads up to the end, pausing when that is allowed at all; tells each record in `out` and, in
 * `starts`, where its telling begins. */
static enum source_got read_on(struct source *s, struct buf *out, size_t *starts, int64_t first,
                               bool paused)
{
    struct source_record r;
    struct err err;
    int64_t line = 0;
    for (;;) {
        enum source_got got = paused ? next_paused(s, &r, &err) : source_next(s, &r, &err);
        if (got != SOURCE_RECORD && got != SOURCE_BAD)
            return got;
        HOLDS(r.number == first);
        HOLDS(r.line > line);
        line = r.line;
        if (starts && first <= RECORDS_MAX)
            starts[first] = out->len;
        if (got == SOURCE_RECORD) {
            HOLDS(json_check(r.json, NULL, NULL));
            HOLDS(!memchr(r.json.ptr, '\n', r.json.len) && !memchr(r.json.ptr, '\r', r.json.len));
            buf_add_str(out, r.json);
        } else {
            HOLDS(r.reason && *r.reason);
            buf_add_text(out, r.reason);
        }
        buf_add_format(out, " %lld\n", (long long)r.line);
        first++;
    }
}

static void assert_same_from(struct source *s, int64_t from, const struct buf *whole,
                             const size_t *starts, enum source_got end, bool paused)
{
    OWNED_BUF struct buf rest;
    buf_init(&rest, BUF_NO_CAP);
    HOLDS(read_on(s, &rest, NULL, from, paused) == end);
    HOLDS(rest.len == whole->len - starts[from]);
    HOLDS(rest.len == 0 || memcmp(rest.data, whole->data + starts[from], rest.len) == 0);
}

/* Goes to a record from a place before it, with pauses. */
static bool go_paused(struct source *s, struct place place, int64_t record, struct err *err)
{
    do {
        source_allow(s, 1);
        HOLDS(source_seek(s, place, err));
    } while (source_paused(s));
    do {
        source_allow(s, 1);
        if (!source_skip_to(s, record, err))
            return false;
    } while (source_paused(s));
    source_allow(s, INT64_MAX / 2);
    return true;
}

/* From the place of every record, and by skipping. */
static void every_place(const struct buf *whole, const size_t *starts, int64_t count,
                        enum source_got end)
{
    struct err err;
    OWNED(source) struct source *walk = open_in();
    OWNED(source) struct source *s = open_in();
    HOLDS(walk && s);
    for (int64_t i = 0; i <= count && i <= RECORDS_MAX; i++) {
        struct place place = source_place(walk);
        struct source_record r;
        HOLDS(place.record <= i);
        HOLDS(source_seek(s, place, &err));
        assert_same_from(s, place.record, whole, starts, end, true);
        if (!go_paused(s, place, i, &err))
            HOLDS(end == SOURCE_FAILED);
        else
            assert_same_from(s, i, whole, starts, end, false);
        if (i < count) {
            enum source_got got = source_next(walk, &r, &err);
            HOLDS(got == SOURCE_RECORD || got == SOURCE_BAD);
        }
    }
}

/* In two pieces: as many records, whatever was there first. Only where the end is a line's end: an
 * unfinished line may count or not. */
static void growing(const uint8_t *data, size_t size, size_t cut, int64_t count)
{
    OWNED_BUF struct buf unused;
    buf_init(&unused, BUF_NO_CAP);
    put(data, 0, cut);
    OWNED(source) struct source *s = open_in();
    if (!s)
        return;
    int64_t first = 0;
    struct source_record r;
    struct err err;
    enum source_got got;
    while ((got = source_next(s, &r, &err)) == SOURCE_RECORD || got == SOURCE_BAD)
        HOLDS(r.number == first++);
    if (got == SOURCE_FAILED)
        return;
    put(data, cut, size);
    HOLDS(read_on(s, &unused, NULL, first, false) == SOURCE_END);
    struct place place = source_place(s);
    HOLDS(source_seek(s, place, &err));
    HOLDS(source_skip_to(s, INT64_MAX, &err));
    put(data, 0, size);
    OWNED(source) struct source *again = open_in();
    HOLDS(again && source_seek(again, place, &err));
    int64_t known = place.record;
    while ((got = source_next(again, &r, &err)) == SOURCE_RECORD || got == SOURCE_BAD)
        known = r.number + 1;
    HOLDS(known == count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (fd < 0)
        prepare();
    if (size < 2 || size > FILE_MAX)
        return 0;
    spec.source_format = data[0] & 1 ? FORMAT_CSV : FORMAT_JSONL;
    spec.chunk_rows = 1 + (data[0] >> 1) % 8;
    size_t cut = data[1] * (size - 2) / 255;
    data += 2;
    size -= 2;
    put(data, 0, size);
    OWNED(source) struct source *s = open_in();
    if (!s)
        return 0;
    OWNED_BUF struct buf whole;
    buf_init(&whole, BUF_NO_CAP);
    size_t starts[RECORDS_MAX + 2] = {0};
    enum source_got end = read_on(s, &whole, starts, 0, false);
    int64_t count = 0;
    for (size_t i = 0; i < whole.len; i++)
        count += whole.data[i] == '\n';
    if (count > RECORDS_MAX)
        return 0;
    starts[count] = whole.len;
    every_place(&whole, starts, count, end);
    bool whole_lines = size && (data[size - 1] == '\n' || data[size - 1] == '\r');
    if (end == SOURCE_END && whole_lines)
        growing(data, size, cut, count);
    return 0;
}

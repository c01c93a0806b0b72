/* source_kind.h: what the formats of a source have in common; only the source's own files know it.
 */
#ifndef PENSTOCK_IO_SOURCE_KIND_H
#define PENSTOCK_IO_SOURCE_KIND_H

#include "io/source.h"
#include "io/source_bytes.h"

/* One format. The functions are those of source.h. */
struct source_ops {
    enum source_got (*next)(struct source *s, struct source_record *out, struct err *err);
    struct place (*place)(const struct source *s);
    bool (*seek)(struct source *s, struct place place, struct err *err);
    bool (*skip_to)(struct source *s, int64_t record, struct err *err);
    int64_t (*number)(const struct source *s); /* of the record that the next call would return */
    void (*free)(struct source *s);            /* frees `s` itself and what only the format knows */
    bool (*at_line)(const struct source *s);   /* its bytes begin with a line; NULL: never */
    /* Of several inputs; NULL: of the one file. */
    bool (*fingerprint)(struct source *s, int64_t want_bytes, char print[65], int64_t *bytes,
                        struct err *err);
    bool (*extent)(const struct source *s, int64_t *size_bytes, int64_t *at_bytes);
    int (*fd)(const struct source *s);
    bool (*inputs)(struct source *s, char **out, struct err *err);
    bool (*check_inputs)(struct source *s, const char *before, struct err *err);
};

/* The first member of each format's struct. */
struct source {
    const struct source_ops *ops;
    int fd;
    char *name;   /* as asked */
    char *id_key; /* of the spec; NULL */
    struct source_bytes bytes;
    char reason[256]; /* of the last bad record, when it is not a static text */
};

/* One file of the spec. */
MUST_CHECK bool source_open_file(const struct data_spec *spec, const char *path,
                                 enum data_format format, const struct folders *folders,
                                 struct source **out, struct err *err);
/* All of them. */
MUST_CHECK bool source_many_open(const struct data_spec *spec, const struct folders *folders,
                                 struct source **out, struct err *err);
/* The fingerprint of one open file. */
MUST_CHECK bool source_print_file(int fd, const char *name, int64_t want_bytes, char print[65],
                                  int64_t *bytes, struct err *err);

/* With an id_key every value that is no object is a bad record. */
struct source *source_jsonl_new(void);
/* With `objects` a row is an object named by the header. */
struct source *source_csv_new(int64_t chunk_rows, bool objects);
/* Reads the header. */
MUST_CHECK bool source_csv_begin(struct source *s, struct err *err);

/* The three bytes of a byte order mark, dropped at the start of an input. */
#define SOURCE_BOM "\xef\xbb\xbf"
#define SOURCE_BOM_BYTES 3
/* Passes a byte order mark at the start of the stream; *had tells. The stream is at its start, and
 * so it is still when a pause came first. */
MUST_CHECK bool source_pass_bom(struct source *s, bool *had, struct err *err);
/* Goes to `bytes` > 0 and tells the byte before it. */
MUST_CHECK bool source_seek_after(struct source *s, int64_t bytes, char *before, struct err *err);

extern const char source_too_long[]; /* the reason of a record longer than SOURCE_LINE_MAX */

#endif

/* line_scout.h: what the lines of a large output say, found ahead by a thread of its own, so that
 * the engine's thread has only to put the ids into the set. Internal to engine/.
 *
 * Nothing is told that the one who asks would not have found by reading himself, and in the same
 * order: only who does the work is another. Lines are JSON; rows of a CSV depend on the header
 * before them and are read where they are used. What lies ready is bounded by some thousand lines.
 * Threads: one calls all of this, the engine's. */
#ifndef PENSTOCK_ENGINE_LINE_SCOUT_H
#define PENSTOCK_ENGINE_LINE_SCOUT_H

#include "core/id_set.h"
#include "io/line_reader.h"

/* What a line of the output says. */
struct output_line {
    bool is_record; /* it can be read */
    bool has_id;
    struct id id;
    bool again;      /* it has the rerun key */
    const char *why; /* it is no record; a static text */
};

/* By what lines are read. All of it is borrowed. */
struct output_form {
    const char *id_key, *rerun_key; /* rerun_key: NULL when there is none */
    struct id_form ids;
};

/* A line of JSON, or one that is too long to be held. `text` has no blanks around it. */
void output_line_read(const struct output_form *form, struct str text, bool too_long,
                      struct output_line *out);

/* A line, and where it stands. */
struct scouted {
    struct output_line said;
    int64_t at_bytes, end_bytes; /* its beginning, and how far the reader was when it had it */
    bool ended;                  /* as struct line's */
};

struct line_scout;

/* Begins to read the file at `fd`, which the caller keeps open until the scout is freed, and does
 * not write to before it has told LINE_NONE. The form's texts and `name` are copied. NULL when no
 * thread can be had. */
struct line_scout *line_scout_new(const struct output_form *form, int fd, const char *name,
                                  int64_t limit_bytes);
/* Its thread has ended when this returns. NULL is fine. */
void line_scout_free(struct line_scout *s);
DEFINE_OWNED(line_scout)
/* The next line, waiting for it if need be; `*out` is the caller's copy. LINE_NONE: that were all.
 * LINE_PAUSE: a mebibyte was read and no line has ended in it: ask again. Errors as
 * line_reader_next. After LINE_NONE and LINE_FAILED it must not be asked again. */
enum line_got line_scout_next(struct line_scout *s, struct scouted *out, struct err *err);

#endif

/* id_set.h: ids of records, and a set of them that stays small.
 *
 * An id is kept as a keyed hash of 128 bits, so that ten million of them take no more than 300 MB,
 * whatever they look like. Ids are the same when Python would say so of the values: 1, 1.0 and true
 * are one id, "1" is another; texts are compared after their escapes are undone. What is null, a
 * list or an object is no id.
 *
 * The set is made of many small tables, so that growing it copies one of them at a time. */
#ifndef PENSTOCK_CORE_ID_SET_H
#define PENSTOCK_CORE_ID_SET_H

#include "base/buf.h"

struct id {
    uint64_t high, low;
};

/* How values become ids. */
struct id_form {
    uint64_t seed; /* ids of different seeds are never compared */
    bool by_text;  /* the values pass through a format without types (CSV): a text that reads like a
                      number, True or False is one */
};

/* The id that a raw, valid JSON value is; false when it is none. */
bool id_of(struct str raw, const struct id_form *form, struct id *out);
/* The id that a text is, as a cell of a CSV has it. */
struct id id_of_text(struct str text, const struct id_form *form);
/* The id of a number of ours (a record, a line), which never is one of a value. */
struct id id_of_number(int64_t number, const struct id_form *form);
bool id_same(struct id a, struct id b);

/* What is known of an id; any of them together. The set keeps no more than these bits. */
enum {
    ID_IN_OUTPUT = 1, /* a line of the output has it and counts as done */
    ID_NOTED = 2,     /* done without such a line: nothing to write, or a result without its id */
    ID_SEEN = 4,      /* met in this input */
    ID_RERUN = 8,     /* a line of the output asks for it to be done again */
    ID_FAILED = 16,   /* the error file tells of it */
    ID_FAILED_AGAIN = 32 /* ... in more than one line */
};

struct id_set;

struct id_set *id_set_new(void);
void id_set_free(struct id_set *s);
DEFINE_OWNED(id_set)
/* About so many ids will be in it: makes room for all of them now, if there is less, so that it
 * need not grow by and by. Any number is right; below 2^36. */
void id_set_expect(struct id_set *s, int64_t count);
/* What is known of it; 0 when it is not in the set. */
unsigned id_set_get(const struct id_set *s, struct id id);
/* Adds it, or these flags to it (at least one). Returns what was known before, 0: it is new. */
unsigned id_set_mark(struct id_set *s, struct id id, unsigned flags);
/* Takes flags off an id; without any left it is as if it were not in the set. */
void id_set_unmark(struct id_set *s, struct id id, unsigned flags);
/* The memory that holds it is wanted soon. */
void id_set_prefetch(const struct id_set *s, struct id id);
int64_t id_set_count(const struct id_set *s);

#endif

/* native_large.h: arguments and results that are too large for a row: into blobs as they come in,
 * out of them as they go out.
 *
 * In: the request's body holds them; a helper's thread puts each into a blob, and the op names the
 * blob. Out: a helper's thread opens each and reads it once, so that nothing is promised that is
 * not there; then the answer is streamed, text and blobs by turns, and holds no large text.
 * Threads: as each says. */
#ifndef PENSTOCK_HTTP_NATIVE_NATIVE_LARGE_H
#define PENSTOCK_HTTP_NATIVE_NATIVE_LARGE_H

#include "base/json.h"
#include "engine/task_op.h"
#include "http/reply.h"

struct blobs;

/* --- in --- */

/* The pins of a request's blobs; zeroed is valid and empty. */
struct large_put {
    struct blob_pin **pins; /* owned */
    size_t count, cap;
    bool known; /* the store has all of them: set when the op went well */
};
bool large_text(struct str text);
/* Puts a text that is large into a blob and empties it. Blocks for the disk. ERR_NO_SPACE, ERR_IO.
 */
MUST_CHECK bool large_put(struct large_put *l, struct blobs *blobs, struct str *text,
                          struct task_blob_ref *ref, struct err *err);
/* The same of all arguments in a list. */
bool large_tasks(const struct task_new *tasks, size_t count);
MUST_CHECK bool large_put_tasks(struct large_put *l, struct blobs *blobs, struct task_new *tasks,
                                size_t count, struct err *err);
void large_put_release(struct large_put *l);

/* --- out --- */

/* One that was opened and verified, or why it could not be. */
struct large_opened {
    struct blob_reader *reader; /* NULL: */
    struct err err;
};
/* Blocks for the disk. */
void large_open(struct large_opened *o, const struct blobs *blobs, const struct task_blob_ref *ref);
void large_opened_release(struct large_opened *o);

/* An answer in which blobs are spliced. */
struct large_answer;
struct large_answer *large_answer_new(struct json_out *o);
void large_answer_free(struct large_answer *a);
DEFINE_OWNED(large_answer)
/* The next value of `o`, which writes the answer's text, is the blob; takes the reader over. */
void large_answer_splice(struct large_answer *a, struct json_out *o, struct large_opened *opened);
/* What of a task that is shown lies in blobs. */
struct task_texts {
    const struct task_view *of;
    struct large_opened arguments, result;
    struct large_answer *answer; /* into which they go */
};
/* It is whole: becomes the reply's. */
void large_answer_send(struct large_answer *a, struct reply *reply);

#endif

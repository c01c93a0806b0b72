/* native_task_filter.h: which tasks are meant: the members that lists, reports and bulk verbs
 * share. Threads: any. */
#ifndef PENSTOCK_HTTP_NATIVE_NATIVE_TASK_FILTER_H
#define PENSTOCK_HTTP_NATIVE_NATIVE_TASK_FILTER_H

#include "engine/task_op.h"
#include "http/native/native_body.h"

/* As the table of members reads them: texts in the request's memory, NULL: any. */
struct filter_texts {
    char *queue, *function, *state, *key, *batch, *lock, *error;
};

/* Rows of a table of members (native_body.h). */
#define FILTER_MEMBERS(texts)                                                                      \
    {.name = "queue", .type = MEMBER_TEXT, .out = &(texts).queue},                                 \
        {.name = "function", .type = MEMBER_TEXT, .out = &(texts).function},                       \
        {.name = "state", .type = MEMBER_TEXT, .out = &(texts).state},                             \
        {.name = "key", .type = MEMBER_TEXT, .out = &(texts).key},                                 \
        {.name = "batch", .type = MEMBER_TEXT, .out = &(texts).batch},                             \
        {.name = "lock", .type = MEMBER_TEXT, .out = &(texts).lock},                               \
    {                                                                                              \
        .name = "error", .type = MEMBER_TEXT, .out = &(texts).error                                \
    }

/* Fills the filter but for ids; what it holds is borrowed from the texts. ERR_INVALID: no such
 * state. */
MUST_CHECK bool filter_texts_apply(const struct filter_texts *texts, struct task_filter *out,
                                   struct err *err);

#endif

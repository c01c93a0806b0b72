/* task_handing.h: the part of an answer that hands out tasks.
 *
 * Most answers hold their tasks' arguments. Where some lie in blobs a helper's thread opens them
 * first, and the answer is streamed. A task whose arguments cannot be read is left out of the
 * answer and has failed, with the reason: the others go on. Threads: the request's. */
#ifndef PENSTOCK_HTTP_NATIVE_TASK_HANDING_H
#define PENSTOCK_HTTP_NATIVE_TASK_HANDING_H

#include "base/json.h"
#include "http/request.h"

struct task_handing;

/* How many of its tasks have arguments in blobs. */
size_t task_handing_large(const struct task_claim *claim);
/* With such: has them opened, then `finish` is called, which ends with task_handing_send. `claim`
 * and the session's token are the request's op's. ERR_BUSY. */
MUST_CHECK bool task_handing_begin(struct request *req, const struct task_claim *claim,
                                   const uint8_t *token, route_finish *finish, struct err *err);
/* Has the answer written, whose tasks go by task_handing_write, and makes it the reply's. Always
 * true. */
bool task_handing_send(struct request *req, const struct op *op, struct reply *reply,
                       void (*write)(struct request *req, struct json_out *o, const struct op *op,
                                     struct task_handing *h));
/* The member `tasks`; h NULL: none of them is large. */
void task_handing_write(struct request *req, struct json_out *o, const struct task_claim *claim,
                        struct task_handing *h);

#endif

/* feed.h: events on their way to those who follow them.
 *
 * A subscription is a bounded buffer of server-sent-event text: the engine's thread appends, the
 * surface takes; one mutex guards it and is never held across a call out. History is read from the
 * store in portions, each asked for when the last was taken, so that a slow reader costs a bounded
 * amount of memory; a reader that is following live and falls more than FEED_BUFFER_MAX behind goes
 * back to reading history. */
#ifndef PENSTOCK_ENGINE_FEED_H
#define PENSTOCK_ENGINE_FEED_H

#include "base/buf.h"

#include <stdint.h>

#define FEED_BUFFER_MAX (256 << 10)

struct subscription;

/* `wake` is called (any thread, must not block) when there is something to take after nothing was.
 */
struct subscription *subscription_new(void (*wake)(void *context), void *context);
/* Only before OP_SUBSCRIBE or after the OP_UNSUBSCRIBE is done. */
void subscription_free(struct subscription *s);
/* Moves what is there into `out` (at most `max` bytes; the last event may come in pieces). Returns
 * false when there was nothing; then `wake` will be called. Thread: any, one at a time. `*refill`
 * says that the engine should be told to read on: post OP_SUBSCRIBE again with after = -2. */
bool subscription_take(struct subscription *s, char *out, size_t max, size_t *len, bool *refill);

#endif

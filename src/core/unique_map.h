/* unique_map.h: which task has a unique key: by a keyed hash of 128 bits, so that long keys cost no
 * more than short ones. Pure. */
#ifndef PENSTOCK_CORE_UNIQUE_MAP_H
#define PENSTOCK_CORE_UNIQUE_MAP_H

#include "base/buf.h"

struct unique_key {
    uint64_t high, low; /* never both 0 */
};
/* Keys of different seeds are never compared. */
struct unique_key unique_key_of(struct str text, uint64_t seed);

struct unique_map;
struct unique_map *unique_map_new(void);
void unique_map_free(struct unique_map *m);
DEFINE_OWNED(unique_map)

/* The task that has it, 0 when none does. */
int64_t unique_map_get(const struct unique_map *m, struct unique_key key);
/* The task, which is > 0, has it from now on. */
void unique_map_put(struct unique_map *m, struct unique_key key, int64_t task);
/* Nobody has it; fine when nobody had. */
void unique_map_remove(struct unique_map *m, struct unique_key key);

#endif

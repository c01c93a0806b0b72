/* Schedules: what is taken as one has a next tick, later than the moment asked for, and on a moment
 * at which all that can be asked of it in its zone holds again. */
#include "core/cron.h"
#include "fuzz.h"

#define SECOND_US INT64_C(1000000)

static void look_in(const struct cron *c, const char *name)
{
    static struct zone *zones[2];
    struct zone **z = &zones[name[0] == 'E'];
    struct err err;
    HOLDS(*z || zone_open(str_of(name), z, &err));
    int64_t at = INT64_C(1790000000) * SECOND_US, next = 0;
    for (int i = 0; i < 4; i++) {
        HOLDS(cron_next(c, *z, at, &next));
        HOLDS(next > at && next % SECOND_US == 0);
        /* Nothing lies between. */
        int64_t again = 0;
        HOLDS(cron_next(c, *z, next - 1, &again) && again == next);
        at = next;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cron c;
    struct err err = {.code = ERR_NONE};
    struct str text = {(const char *)data, size};
    if (cron_read(text, &c, &err)) {
        look_in(&c, "Europe/Vienna");
        look_in(&c, "Pacific/Apia");
    } else {
        HOLDS(err.code == ERR_INVALID && err.text[0]);
    }
    return 0;
}

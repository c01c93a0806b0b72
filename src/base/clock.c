/* clock.c: see clock.h. */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t read_us(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

struct instant clock_now(void)
{
    return (struct instant){read_us(CLOCK_MONOTONIC), read_us(CLOCK_REALTIME)};
}

void clock_text(int64_t wall_us, char out[CLOCK_TEXT_SIZE])
{
    int64_t part_us = wall_us % 1000000;
    time_t seconds = (time_t)(wall_us / 1000000);
    if (part_us < 0) {
        part_us += 1000000;
        seconds--;
    }
    struct tm utc = {0};
    gmtime_r(&seconds, &utc);
    char date[24];
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out, CLOCK_TEXT_SIZE, "%s.%03dZ", date, (int)(part_us / 1000));
}

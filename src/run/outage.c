/* outage.c: see outage.h. */
#include "run/outage.h"

#include <stdio.h>

#define SECOND_US INT64_C(1000000)
/* A server that is started anew is away for less; nobody need hear of that. */
#define FIRST_US SECOND_US
#define AGAIN_US (30 * SECOND_US)
#define AGAIN_MAX_US (600 * SECOND_US)

enum { DURATION_BYTES = 48 };

static const char *duration(int64_t us, char *text)
{
    long long s = (us + SECOND_US / 2) / SECOND_US;
    if (s >= 60)
        snprintf(text, DURATION_BYTES, "%lld min %lld s", s / 60, s % 60);
    else
        snprintf(text, DURATION_BYTES, "%lld s", s);
    return text;
}

bool outage_failed(struct outage *o, int64_t now_us, const char *why, char *text)
{
    char took[DURATION_BYTES];
    if (!o->away)
        *o = (struct outage){.away = true, .since_us = now_us, .next_us = now_us + FIRST_US};
    if (now_us < o->next_us)
        return false;
    if (o->pause_us)
        snprintf(text, OUTAGE_TEXT_BYTES, "waiting for the server, away for %s: %s",
                 duration(now_us - o->since_us, took), why);
    else
        snprintf(text, OUTAGE_TEXT_BYTES, "waiting for the server: %s", why);
    o->pause_us = o->pause_us ? o->pause_us * 2 : AGAIN_US;
    if (o->pause_us > AGAIN_MAX_US)
        o->pause_us = AGAIN_MAX_US;
    o->next_us = now_us + o->pause_us;
    return true;
}

bool outage_answered(struct outage *o, int64_t now_us, char *text)
{
    char took[DURATION_BYTES];
    bool said = o->away && o->pause_us > 0;
    if (said)
        snprintf(text, OUTAGE_TEXT_BYTES, "the server is back, after %s",
                 duration(now_us - o->since_us, took));
    o->away = false;
    return said;
}

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

/* The next `digits` digits as a number, passed; -1 when there are not so many. */
static int take_digits(struct str *s, size_t digits)
{
    int number = 0;
    if (s->len < digits)
        return -1;
    for (size_t i = 0; i < digits; i++) {
        if (s->ptr[i] < '0' || s->ptr[i] > '9')
            return -1;
        number = 10 * number + (s->ptr[i] - '0');
    }
    *s = (struct str){s->ptr + digits, s->len - digits};
    return number;
}

/* Whether one of these characters comes next; it is passed then. */
static bool take_one(struct str *s, const char *of)
{
    if (s->len == 0 || !s->ptr[0] || !strchr(of, s->ptr[0]))
        return false;
    *s = (struct str){s->ptr + 1, s->len - 1};
    return true;
}

/* Two digits, a number from `min` to `max`, behind one of `before`. */
static bool take_pair(struct str *s, const char *before, int min, int max, int *out)
{
    if (!take_one(s, before))
        return false;
    *out = take_digits(s, 2);
    return *out >= min && *out <= max;
}

/* ".123": microseconds; nothing there is none. */
static bool take_fraction(struct str *s, int64_t *out_us)
{
    int digit = 0, count = 0;
    *out_us = 0;
    if (!take_one(s, "."))
        return true;
    for (int64_t worth = 100000; s->len > 0 && (digit = take_digits(s, 1)) >= 0; worth /= 10) {
        *out_us += digit * worth;
        count++;
    }
    return count > 0;
}

/* "Z" or "+01:00", the end of the text: seconds to the east. */
static bool take_offset(struct str *s, int64_t *out_s)
{
    int hours = 0, minutes = 0;
    *out_s = 0;
    if (take_one(s, "Zz"))
        return s->len == 0;
    bool west = s->len > 0 && s->ptr[0] == '-';
    if (!take_pair(s, "+-", 0, 23, &hours) || !take_pair(s, ":", 0, 59, &minutes))
        return false;
    *out_s = (west ? -1 : 1) * (hours * INT64_C(3600) + minutes * INT64_C(60));
    return s->len == 0;
}

bool clock_parse(struct str text, int64_t *wall_us)
{
    static const char month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    struct tm t = {0};
    int64_t part_us = 0, east_s = 0;
    int year = take_digits(&text, 4);
    if (year < 0 || !take_pair(&text, "-", 1, 12, &t.tm_mon) ||
        !take_pair(&text, "-", 1, 31, &t.tm_mday) || !take_pair(&text, "Tt ", 0, 23, &t.tm_hour) ||
        !take_pair(&text, ":", 0, 59, &t.tm_min) || !take_pair(&text, ":", 0, 60, &t.tm_sec) ||
        !take_fraction(&text, &part_us) || !take_offset(&text, &east_s))
        return false;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (t.tm_mday > month_days[t.tm_mon - 1] + (leap && t.tm_mon == 2))
        return false;
    t.tm_year = year - 1900;
    t.tm_mon--;
    *wall_us = ((int64_t)timegm(&t) - east_s) * 1000000 + part_us;
    return true;
}

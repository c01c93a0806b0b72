/* clock.c: see clock.h. */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

/* The year 10000. */
#define PLAIN_END_US (INT64_C(253402300800) * 1000000)

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

/* Two digits of a number below 100. */
static void put_pair(char *to, int number)
{
    to[0] = (char)('0' + number / 10);
    to[1] = (char)('0' + number % 10);
}

/* Times of the years from 1970 to 9999, without the C library's locks and formats: answers tell
 * many. The date is counted in 400 years from a first of March (Fliegel and Van Flandern's way). */
static void write_plain(int64_t wall_us, char out[CLOCK_TEXT_SIZE])
{
    int64_t seconds = wall_us / 1000000;
    int part_ms = (int)(wall_us % 1000000 / 1000), of_day = (int)(seconds % 86400);
    int days = (int)(seconds / 86400) + 719468;
    int era = days / 146097, day_of_era = days % 146097;
    int year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int month = (5 * day_of_year + 2) / 153; /* 0: March */
    int year = 400 * era + year_of_era + (month >= 10);
    memcpy(out, "0000-00-00T00:00:00.000Z", 25);
    put_pair(out, year / 100);
    put_pair(out + 2, year % 100);
    put_pair(out + 5, month < 10 ? month + 3 : month - 9);
    put_pair(out + 8, day_of_year - (153 * month + 2) / 5 + 1);
    put_pair(out + 11, of_day / 3600);
    put_pair(out + 14, of_day / 60 % 60);
    put_pair(out + 17, of_day % 60);
    put_pair(out + 20, part_ms / 10);
    out[22] = (char)('0' + part_ms % 10);
}

void clock_text(int64_t wall_us, char out[CLOCK_TEXT_SIZE])
{
    if (wall_us >= 0 && wall_us < PLAIN_END_US) {
        write_plain(wall_us, out);
        return;
    }
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

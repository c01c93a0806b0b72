/* cron.c: see cron.h.
 *
 * Civil times that fit are found by the calendar alone; zone.h tells when the clocks show them. */
#include "core/cron.h"

#include "base/parse.h"

#include <string.h>
#include <strings.h>

#define SECOND_US INT64_C(1000000)
#define DAY_S INT64_C(86400)
/* After so long no clock is in a pass that began before. */
#define PASS_S (2 * DAY_S)
enum { HORIZON_YEARS = 400 };

/* --- reading --- */

enum { FIELD_SECOND, FIELD_MINUTE, FIELD_HOUR, FIELD_DAY, FIELD_MONTH, FIELD_WEEKDAY, FIELD_COUNT };

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
                                          "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const weekday_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};
static const struct field {
    const char *name;
    int64_t min, max;
    const char *const *names; /* of the numbers from min on; NULL: none */
} fields[FIELD_COUNT] = {
    {"second", 0, 59, NULL},       {"minute", 0, 59, NULL},
    {"hour", 0, 23, NULL},         {"day of the month", 1, 31, NULL},
    {"month", 1, 12, month_names}, {"day of the week", 0, 7, weekday_names},
};

static const struct {
    const char *name, *text;
} known[] = {
    {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}, {"@monthly", "0 0 1 * *"},
    {"@weekly", "0 0 * * 0"}, {"@daily", "0 0 * * *"},    {"@midnight", "0 0 * * *"},
    {"@hourly", "0 * * * *"},
};

/* One of the parts between commas. */
struct part {
    int64_t from, to, step;
    bool last; /* "L", or "5L" with from as the day */
};

static bool wrong(struct err *err, const struct field *f, struct str text)
{
    return err_set(err, ERR_INVALID, "cron: %s: %.*s is none", f->name,
                   text.len > 40 ? 40 : (int)text.len, text.ptr);
}

static bool is_word(struct str text, const char *word)
{
    return text.len == strlen(word) && strncasecmp(text.ptr, word, text.len) == 0;
}

static bool read_number(const struct field *f, struct str text, int64_t *out)
{
    struct err unsaid;
    for (int64_t i = 0; f->names && f->names[i]; i++)
        if (is_word(text, f->names[i])) {
            *out = f->min + i;
            return true;
        }
    bool digits = text.len > 0 && text.ptr[0] >= '0' && text.ptr[0] <= '9';
    return digits && parse_i64(text, f->min, f->max, out, &unsaid);
}

/* Cuts a text at the first `c`; *behind has a NULL pointer when there is none. */
static struct str cut(struct str text, char c, struct str *behind)
{
    const char *at = text.len ? memchr(text.ptr, c, text.len) : NULL;
    *behind = (struct str){0};
    if (!at)
        return text;
    size_t len = (size_t)(at - text.ptr);
    *behind = (struct str){at + 1, text.len - len - 1};
    return (struct str){text.ptr, len};
}

static bool read_last(const struct field *f, struct str text, struct part *p)
{
    if (text.len == 0 || (text.ptr[text.len - 1] | 32) != 'l')
        return false;
    p->last = true;
    struct str day = {text.ptr, text.len - 1};
    return f == &fields[FIELD_DAY] ? day.len == 0
                                   : f == &fields[FIELD_WEEKDAY] && read_number(f, day, &p->from);
}

static bool read_range(const struct field *f, struct str range, bool has_step, struct part *p)
{
    struct str end;
    if (is_word(range, "*")) {
        p->from = f->min;
        p->to = f->max;
        return true;
    }
    struct str begin = cut(range, '-', &end);
    if (!read_number(f, begin, &p->from))
        return false;
    p->to = has_step ? f->max : p->from;
    if (!end.ptr)
        return true;
    if (!read_number(f, end, &p->to))
        return false;
    /* Up to Sunday: it is the seventh day there. */
    if (f == &fields[FIELD_WEEKDAY] && p->to == 0 && p->from > 0)
        p->to = 7;
    return p->from <= p->to;
}

static bool read_part(const struct field *f, struct str text, struct part *p, struct err *err)
{
    struct err unsaid;
    struct str step;
    *p = (struct part){.step = 1};
    if (read_last(f, text, p))
        return true;
    p->last = false;
    struct str range = cut(text, '/', &step);
    if (!read_range(f, range, step.ptr != NULL, p))
        return wrong(err, f, text);
    if (step.ptr && (step.len == 0 || step.ptr[0] < '0' || step.ptr[0] > '9' ||
                     !parse_i64(step, 1, f->max + 1, &p->step, &unsaid)))
        return wrong(err, f, text);
    return true;
}

/* What all fields have in common: a set of numbers, and what else was said. */
struct set {
    uint64_t bits;
    uint8_t last_weekdays;
    bool last_day, star, steps;
};

static bool read_field(const struct field *f, struct str text, struct set *out, struct err *err)
{
    struct str rest = text;
    *out = (struct set){.star = text.len > 0 && text.ptr[0] == '*'};
    while (rest.ptr) {
        struct part p;
        struct str one = cut(rest, ',', &rest);
        if (!read_part(f, one, &p, err))
            return false;
        if (p.last && f == &fields[FIELD_DAY])
            out->last_day = true;
        else if (p.last)
            out->last_weekdays |= (uint8_t)(1U << (p.from % 7));
        for (int64_t i = p.from; !p.last && i <= p.to; i += p.step)
            out->bits |= UINT64_C(1) << i;
        out->steps = out->steps || memchr(one.ptr, '/', one.len) || is_word(one, "*");
    }
    return true;
}

static void take_sets(const struct set sets[FIELD_COUNT], struct cron *out)
{
    const struct set *day = &sets[FIELD_DAY], *weekday = &sets[FIELD_WEEKDAY];
    *out = (struct cron){
        .seconds = sets[FIELD_SECOND].bits,
        .minutes = sets[FIELD_MINUTE].bits,
        .hours = (uint32_t)sets[FIELD_HOUR].bits,
        .by_hours = sets[FIELD_HOUR].steps,
        .days = (uint32_t)day->bits,
        .last_day = day->last_day,
        .any_day = day->star,
        .months = (uint16_t)sets[FIELD_MONTH].bits,
        .weekdays = (uint8_t)((weekday->bits | weekday->bits >> 7) & 127),
        .last_weekdays = weekday->last_weekdays,
        .any_weekday = weekday->star,
    };
}

static struct str next_word(struct str *rest)
{
    *rest = str_trim(*rest);
    size_t len = 0;
    while (len < rest->len && rest->ptr[len] != ' ' && rest->ptr[len] != '\t')
        len++;
    struct str word = {rest->ptr, len};
    *rest = (struct str){rest->ptr + len, rest->len - len};
    return word;
}

static struct str replace_known(struct str text)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (is_word(text, known[i].name))
            return str_of(known[i].text);
    return text;
}

/* --- the calendar --- */

struct date {
    int64_t year;
    int month, day; /* from 1 */
    int weekday;    /* from Sunday, 0 */
};

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int month_days(int64_t year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && is_leap(year));
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Days since 1970; years are counted from March, so that the leap day is their last. */
static struct date date_of(int64_t days)
{
    int64_t since = days + 719468, era = floor_div(since, 146097), of_era = since - era * 146097;
    int64_t years = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * years + years / 4 - years / 100);
    int month = (int)((5 * of_year + 2) / 153);
    struct date d = {.year = years + era * 400 + (month >= 10),
                     .month = month + (month < 10 ? 3 : -9),
                     .day = (int)(of_year - (153 * month + 2) / 5 + 1),
                     .weekday = (int)((days % 7 + 11) % 7)};
    return d;
}

static bool fits_day(const struct cron *c, const struct date *d)
{
    int last = month_days(d->year, d->month);
    bool day = c->days & 1U << d->day || (c->last_day && d->day == last);
    bool weekday = c->weekdays & 1U << d->weekday ||
                   (c->last_weekdays & 1U << d->weekday && d->day + 7 > last);
    return c->any_day || c->any_weekday ? day && weekday : day || weekday;
}

/* The lowest number of a set that is not below `from`; -1: none. */
static int next_in(uint64_t set, int from)
{
    uint64_t left = from < 64 ? set >> from << from : 0;
    return left ? __builtin_ctzll(left) : -1;
}

/* The first second of a day, not before `from`, that fits; -1: none. */
static int64_t next_in_day(const struct cron *c, int64_t from)
{
    int hour = (int)(from / 3600), minute = (int)(from / 60 % 60), second = (int)(from % 60);
    for (int h = next_in(c->hours, hour); h >= 0; h = next_in(c->hours, h + 1)) {
        int from_minute = h == hour ? minute : 0;
        for (int m = next_in(c->minutes, from_minute); m >= 0; m = next_in(c->minutes, m + 1)) {
            int s = next_in(c->seconds, h == hour && m == minute ? second : 0);
            if (s >= 0)
                return h * INT64_C(3600) + m * 60 + s;
        }
    }
    return -1;
}

/* The first civil time that fits, not before `from_s`. */
static bool next_civil(const struct cron *c, int64_t from_s, int64_t *out_s)
{
    int64_t day = floor_div(from_s, DAY_S), of_day = from_s - day * DAY_S;
    struct date d = date_of(day);
    int64_t last_year = d.year + HORIZON_YEARS;
    while (d.year <= last_year) {
        bool month_fits = c->months & 1U << d.month;
        int64_t found = month_fits && fits_day(c, &d) ? next_in_day(c, of_day) : -1;
        if (found >= 0) {
            *out_s = day * DAY_S + found;
            return true;
        }
        day += month_fits ? 1 : month_days(d.year, d.month) - d.day + 1;
        of_day = 0;
        d = date_of(day);
    }
    return false;
}

bool cron_read(struct str text, struct cron *out, struct err *err)
{
    struct str words[FIELD_COUNT], rest = replace_known(str_trim(text));
    struct set sets[FIELD_COUNT] = {[FIELD_SECOND] = {.bits = 1}};
    size_t count = 0;
    for (; str_trim(rest).len > 0; count++) {
        struct str word = next_word(&rest);
        if (count < FIELD_COUNT)
            words[count] = word;
    }
    if (count != FIELD_COUNT && count != FIELD_COUNT - 1)
        return err_set(err, ERR_INVALID,
                       "cron: expected 5 fields, or 6 with seconds, or @daily and its like, not "
                       "%zu fields",
                       count);
    size_t first = FIELD_COUNT - count;
    for (size_t i = 0; i < count; i++)
        if (!read_field(&fields[first + i], words[i], &sets[first + i], err))
            return false;
    struct cron c;
    take_sets(sets, &c);
    int64_t some_s = 0;
    if (!next_civil(&c, 0, &some_s))
        return err_set(err, ERR_INVALID, "cron: no such month has such a day");
    *out = c;
    return true;
}

/* --- ticks --- */

/* Each civil time that fits is one tick. */
static bool next_by_date(const struct cron *c, const struct zone *zone, int64_t from_s,
                         int64_t *out_s)
{
    /* Behind the second before, so that a gap that ends now is not passed over. */
    int64_t civil = from_s + zone_offset_s(zone, from_s - 1);
    while (next_civil(c, civil, &civil)) {
        (void)zone_moment(zone, civil, out_s);
        if (*out_s >= from_s)
            return true;
        civil++; /* it was in the clocks' first pass */
    }
    return false;
}

/* Each moment at which the clocks show what fits is a tick. */
static bool next_by_clock(const struct cron *c, const struct zone *zone, int64_t from_s,
                          int64_t *out_s)
{
    for (int64_t at = from_s, civil = 0;;) {
        int64_t offset = zone_offset_s(zone, at), change = 0;
        if (!next_civil(c, at + offset, &civil))
            return false;
        if (zone_change(zone, at, at + PASS_S, &change) && civil - offset >= change) {
            at = change;
            continue;
        }
        if (civil - offset <= at + PASS_S) {
            *out_s = civil - offset;
            return true;
        }
        if (zone_moment(zone, civil, out_s))
            return true;
        at = *out_s; /* the gap was passed over */
    }
}

bool cron_next(const struct cron *c, const struct zone *zone, int64_t after_us, int64_t *next_us)
{
    int64_t from_s = floor_div(after_us, SECOND_US) + 1, found = 0;
    bool any = c->by_hours ? next_by_clock(c, zone, from_s, &found)
                           : next_by_date(c, zone, from_s, &found);
    if (any)
        *next_us = found * SECOND_US;
    return any;
}

int64_t interval_next(int64_t every_us, int64_t after_us)
{
    return (floor_div(after_us, every_us) + 1) * every_us;
}

/* zone.c: see zone.h. GLib reads tzdata; all that it is asked for is the offset at a moment. */
#include "base/zone.h"

#include <assert.h>
#include <glib.h>
#include <stdlib.h>

enum { NAME_MAX_BYTES = 100 };
#define HOUR_S INT64_C(3600)
/* Clocks are at most 12 hours behind UTC and 14 ahead. */
#define REACH_S (15 * HOUR_S)

struct zone {
    GTimeZone *glib;
};

/* GLib would also read a path, or a rule in the manner of TZ. */
static bool is_name(struct str name)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-/";
    bool letter = false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool fits = c && strchr(plain, c) && !(c == '/' && (i == 0 || i + 1 == name.len));
        if (!fits)
            return false;
        letter = letter || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    }
    return letter && name.len <= NAME_MAX_BYTES;
}

/* Whether GLib has found it in tzdata, and not made it of its text ("UTC+3"). */
static bool is_known(struct str name)
{
    OWNED_MEM char *path = xasprintf("/usr/share/zoneinfo/%.*s", (int)name.len, name.ptr);
    return g_file_test(path, G_FILE_TEST_IS_REGULAR);
}

bool zone_open(struct str name, struct zone **out, struct err *err)
{
    int shown = name.len > NAME_MAX_BYTES ? NAME_MAX_BYTES : (int)name.len;
    if (!is_name(name) || !is_known(name))
        return err_set(err, ERR_INVALID, "there is no time zone %.*s", shown, name.ptr);
    OWNED_MEM char *text = xstrndup(name.ptr, name.len);
    GTimeZone *glib = g_time_zone_new_identifier(text);
    if (!glib)
        return err_set(err, ERR_INVALID, "there is no time zone %s", text);
    struct zone *z = xcalloc(1, sizeof *z);
    z->glib = glib;
    *out = z;
    return true;
}

void zone_free(struct zone *z)
{
    if (!z)
        return;
    g_time_zone_unref(z->glib);
    free(z);
}

int64_t zone_offset_s(const struct zone *z, int64_t utc_s)
{
    gint interval = g_time_zone_find_interval(z->glib, G_TIME_TYPE_UNIVERSAL, utc_s);
    return interval < 0 ? 0 : g_time_zone_get_offset(z->glib, interval);
}

/* Between two moments with different offsets there is a first one with another than before. */
static int64_t bisect(const struct zone *z, int64_t from_s, int64_t to_s)
{
    int64_t before = zone_offset_s(z, from_s);
    while (to_s - from_s > 1) {
        int64_t middle = from_s + (to_s - from_s) / 2;
        if (zone_offset_s(z, middle) == before)
            from_s = middle;
        else
            to_s = middle;
    }
    return to_s;
}

bool zone_change(const struct zone *z, int64_t from_s, int64_t to_s, int64_t *at_s)
{
    int64_t before = zone_offset_s(z, from_s);
    /* No zone has changed twice within an hour. */
    for (int64_t at = from_s; at < to_s; at += HOUR_S) {
        int64_t next = at + HOUR_S < to_s ? at + HOUR_S : to_s;
        if (zone_offset_s(z, next) == before)
            continue;
        *at_s = bisect(z, at, next);
        return true;
    }
    return false;
}

bool zone_moment(const struct zone *z, int64_t civil_s, int64_t *out_s)
{
    int64_t early = zone_offset_s(z, civil_s - REACH_S), late = zone_offset_s(z, civil_s + REACH_S);
    int64_t first = civil_s - (early > late ? early : late),
            second = civil_s - (early > late ? late : early);
    if (zone_offset_s(z, first) == civil_s - first) {
        *out_s = first;
        return true;
    }
    *out_s = second;
    if (zone_offset_s(z, second) == civil_s - second)
        return true;
    int64_t at = 0;
    bool changes = zone_change(z, civil_s - REACH_S, civil_s + REACH_S, &at);
    assert(changes);
    *out_s = at;
    return false;
}

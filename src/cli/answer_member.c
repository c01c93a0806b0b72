/* answer_member.c: see answer_member.h. */
#include "cli/answer_member.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/terminal.h"

struct str answer_raw(struct str object, const char *name)
{
    struct str value;
    bool there = json_find(object, name, &value) && json_type_of(value) != JSON_NULL;
    return there ? value : (struct str){NULL, 0};
}

char *answer_text(struct str object, const char *name)
{
    struct str value = answer_raw(object, name);
    if (value.len == 0)
        return xstrdup("-");
    char *text = json_take_shown(value);
    return text ? text : xstrndup(value.ptr, value.len);
}

int64_t answer_i64(struct str object, const char *name)
{
    int64_t number = 0;
    struct str value = answer_raw(object, name);
    return value.len > 0 && json_i64(value, INT64_MIN, INT64_MAX, &number) ? number : 0;
}

double answer_double(struct str object, const char *name)
{
    double number = 0;
    struct str value = answer_raw(object, name);
    return value.len > 0 && json_double(value, &number) ? number : 0;
}

bool answer_flag(struct str object, const char *name)
{
    bool flag = false;
    struct str value = answer_raw(object, name);
    return value.len > 0 && json_bool(value, &flag) && flag;
}

char *answer_count(int64_t number)
{
    char text[COUNT_TEXT_SIZE];
    count_text(number, text);
    return xstrdup(text);
}

char *answer_ago(struct str object, const char *name)
{
    char text[SPAN_TEXT_SIZE];
    int64_t at_us = 0;
    OWNED_MEM char *at = answer_text(object, name);
    if (!clock_parse(str_of(at), &at_us))
        return xstrdup("-");
    span_text((double)(clock_now().wall_us - at_us) / 1e6, text);
    return xstrdup(text);
}

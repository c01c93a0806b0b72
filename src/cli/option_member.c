/* option_member.c: see option_member.h. */
#include "cli/option_member.h"

void option_member_text(const struct options *options, const char *option, const char *member,
                        struct json_out *o)
{
    const char *text = options_text(options, option);
    if (!text)
        return;
    json_out_name(o, member);
    json_out_text(o, text);
}

static void write_raw(const char *member, const char *text, struct json_out *o)
{
    json_out_name(o, member);
    json_out_raw(o, str_trim(str_of(text)));
}

bool option_member_json(const struct options *options, const char *option, const char *member,
                        struct json_out *o, struct err *err)
{
    const char *text = options_text(options, option);
    if (text && !json_check(str_of(text), NULL, NULL))
        return err_set(err, ERR_INVALID, "--%s: \"%s\" is no JSON", option, text);
    if (text)
        write_raw(member, text, o);
    return true;
}

bool option_member_number(const struct options *options, const char *option, const char *member,
                          struct json_out *o, struct err *err)
{
    const char *text = options_text(options, option);
    double number = 0;
    if (text &&
        !(json_check(str_of(text), NULL, NULL) && json_double(str_trim(str_of(text)), &number)))
        return err_set(err, ERR_INVALID, "--%s: \"%s\" is no number", option, text);
    if (text)
        write_raw(member, text, o);
    return true;
}

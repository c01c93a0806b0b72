/* option_member.h: options that become members of a body in JSON: written where they were given,
 * under a name of their own. `o` stands in the object. Threads: any. */
#ifndef PENSTOCK_CLI_OPTION_MEMBER_H
#define PENSTOCK_CLI_OPTION_MEMBER_H

#include "base/json.h"
#include "cli/option.h"

/* As a text. */
void option_member_text(const struct options *options, const char *option, const char *member,
                        struct json_out *o);
/* As JSON, as it is. ERR_INVALID that names the option: it is none. */
MUST_CHECK bool option_member_json(const struct options *options, const char *option,
                                   const char *member, struct json_out *o, struct err *err);
/* The same of a number. */
MUST_CHECK bool option_member_number(const struct options *options, const char *option,
                                     const char *member, struct json_out *o, struct err *err);

#endif

/* answer_member.h: single members of the objects in the server's answers, for tables that people
 * read. What is missing or null is told as such, never as a fault. Threads: the main one. */
#ifndef PENSTOCK_CLI_ANSWER_MEMBER_H
#define PENSTOCK_CLI_ANSWER_MEMBER_H

#include "base/buf.h"

/* A text's text, of anything else its JSON, "-" when it is missing or null. To be freed. */
char *answer_text(struct str object, const char *name);
/* A whole number; 0 when it is none. */
int64_t answer_i64(struct str object, const char *name);
double answer_double(struct str object, const char *name);
bool answer_flag(struct str object, const char *name);
/* The member's JSON; an empty one when it is missing or null. */
struct str answer_raw(struct str object, const char *name);
/* A number with its thousands apart. To be freed. */
char *answer_count(int64_t number);
/* How long ago a member's time was, as people say it; "-" when it is none. To be freed. */
char *answer_ago(struct str object, const char *name);

#endif

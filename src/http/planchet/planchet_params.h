/* planchet_params.h: query parameters as Planchet takes them: whatever Python makes of a text. */
#ifndef PENSTOCK_HTTP_PLANCHET_PARAMS_H
#define PENSTOCK_HTTP_PLANCHET_PARAMS_H

#include "http/planchet/planchet_faults.h"
#include "http/request.h"

/* An integer as Python's int() reads it: blanks around, a sign, underscores between digits. What is
 * beyond 64 bits becomes INT64_MIN or INT64_MAX. */
bool planchet_int(struct str text, int64_t *out);

/* Each reads one parameter; what is wrong with it goes to `f`. A text that is not there is empty,
 * with ptr NULL. */
struct str planchet_text_param(struct request *req, struct planchet_faults *f, const char *name,
                               bool required);
bool planchet_bool_param(struct request *req, struct planchet_faults *f, const char *name,
                         bool otherwise, bool required);
int64_t planchet_int_param(struct request *req, struct planchet_faults *f, const char *name,
                           int64_t otherwise);

#endif

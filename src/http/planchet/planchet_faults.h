/* planchet_faults.h: what is wrong with a request, all of it, as Planchet's clients know it: the
 * entries of a 422 answer. Plain memory, no I/O. */
#ifndef PENSTOCK_HTTP_PLANCHET_FAULTS_H
#define PENSTOCK_HTTP_PLANCHET_FAULTS_H

#include "base/buf.h"
#include "http/reply.h"

#define PLANCHET_FAULTS_MAX 100 /* told; more are not */

enum planchet_fault {
    FAULT_MISSING,
    FAULT_NO_BOOL,
    FAULT_NO_INTEGER,
    FAULT_NO_OBJECT,
    FAULT_NO_LIST,
    FAULT_NO_PAIR,
    FAULT_NULL,
    FAULT_LENGTH /* of a pair; has its own call */
};

struct planchet_faults {
    struct buf entries; /* {...},{...} */
    size_t count;
};

/* Where: "query" or "body", the name, and the positions below it, -1 where there is none. */
struct planchet_place {
    const char *part, *name;
    int64_t index, field;
};

void planchet_faults_init(struct planchet_faults *f);
void planchet_faults_release(struct planchet_faults *f);
#define OWNED_FAULTS __attribute__((cleanup(planchet_faults_release)))
void planchet_faults_add(struct planchet_faults *f, struct planchet_place at,
                         enum planchet_fault fault);
void planchet_faults_add_length(struct planchet_faults *f, struct planchet_place at,
                                int64_t length);
/* Makes the 422 answer. */
void planchet_faults_reply(struct planchet_faults *f, struct reply *reply);

#endif

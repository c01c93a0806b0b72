/* program_none.c: stands in until program.c is there: no program can be named, none runs. */
#include "io/program.h"

#include <stdlib.h>

#define WEAK __attribute__((weak))

struct programs {
    int none;
};

WEAK struct programs *programs_new(void)
{
    return xcalloc(1, sizeof(struct programs));
}

WEAK void programs_free(struct programs *p)
{
    free(p);
}

WEAK bool programs_add(struct programs *p, const char *rule, struct err *err)
{
    (void)p;
    return err_set(err, ERR_INVALID, "%s: programs cannot be run yet", rule);
}

WEAK const char *programs_find(const struct programs *p, const char *name)
{
    (void)p, (void)name;
    return NULL;
}

WEAK bool program_start_reader(const char *command, const char *spool_path,
                               void (*wake)(void *context), void *context, struct program **out,
                               struct err *err)
{
    (void)spool_path, (void)wake, (void)context, (void)out;
    return err_set(err, ERR_INVALID, "%s: programs cannot be run yet", command);
}

WEAK bool program_start_writer(const char *command, const char *spool_path, int64_t committed_bytes,
                               void (*wake)(void *context), void *context, struct program **out,
                               struct err *err)
{
    (void)spool_path, (void)committed_bytes, (void)wake, (void)context, (void)out;
    return err_set(err, ERR_INVALID, "%s: programs cannot be run yet", command);
}

WEAK void program_consumed(struct program *p, int64_t bytes)
{
    (void)p, (void)bytes;
}

WEAK void program_advance(struct program *p, int64_t committed_bytes)
{
    (void)p, (void)committed_bytes;
}

WEAK void program_finish(struct program *p)
{
    (void)p;
}

WEAK enum program_state program_state(struct program *p)
{
    (void)p;
    return PROGRAM_FAILED;
}

WEAK const char *program_failure(struct program *p)
{
    (void)p;
    return "programs cannot be run yet";
}

WEAK void program_free(struct program *p)
{
    (void)p;
}

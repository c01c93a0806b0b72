/* cmd_flow_variables.c: `penstock flow variables`: what the nodes of a list find in their
 * environment. */
#include "cli/command.h"
#include "cli/flow_place.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct option variables_options[] = {
    {.name = "null", .letter = '0', .help = "end each with a NUL, not a line's end"},
    {0},
};
static const struct option *const variables_tables[] = {variables_options, flow_place_options,
                                                        NULL};

static bool variables_run(const struct options *options, struct err *err)
{
    __attribute__((cleanup(flow_place_release))) struct flow_place place = {0};
    char end = options_has(options, "null") ? '\0' : '\n';
    if (!flow_place_read(&place, options, err))
        return false;
    for (size_t i = 0; i < place.count; i++)
        if (strncmp(place.variables[i], "APP_", 4) == 0)
            printf("%s%c", place.variables[i], end);
    if (fflush(stdout))
        return err_errno(err, errno, "write the variables");
    return true;
}

const struct command cmd_flow_variables = {
    .name = "flow variables",
    .arguments = "LIST",
    .most = 1,
    .summary = "Print the APP_ variables of a task list",
    .text = "As the nodes find them in their environment: set by --env, else by the profile, else\n"
            "by the environment, else their defaults. The list itself is not read.\n",
    .options = variables_tables,
    .examples = "penstock flow variables config/nightly.lst\n",
    .run = variables_run,
};

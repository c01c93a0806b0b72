/* cmd_help.c: `penstock help`, `penstock version`. */
#include "cli/help.h"

#include <string.h>

static const struct option help_options[] = {
    {.name = "man", .help = "print the manual page (roff), to be read by man -l -"},
    {0},
};
static const struct option *const help_tables[] = {help_options, NULL};

static bool help_run(const struct options *options, struct err *err)
{
    if (options_has(options, "man")) {
        help_manual(stdout);
        return true;
    }
    const char *first = options_argument(options, 0), *second = options_argument(options, 1);
    OWNED_MEM char *name = second ? xasprintf("%s %s", first, second) : NULL;
    const char *asked = second ? name : first;
    for (size_t i = 0; asked && commands[i]; i++)
        if (strcmp(commands[i]->name, asked) == 0) {
            help_command(commands[i], stdout);
            return true;
        }
    return help_overview(asked, stdout) ||
           err_set(err, ERR_INVALID, "no command \"%s\"; \"penstock help\" lists them", asked);
}

const struct command cmd_help = {
    .name = "help",
    .arguments = "[COMMAND]",
    .most = 2,
    .summary = "Print the commands, or what one of them does",
    .options = help_tables,
    .examples = "penstock help\n"
                "penstock help job start\n"
                "penstock help --man | man -l -\n",
    .run = help_run,
};

static bool version_run(const struct options *options, struct err *err)
{
    (void)options;
    (void)err;
    puts("penstock " PENSTOCK_VERSION);
    return true;
}

const struct command cmd_version = {
    .name = "version",
    .summary = "Print the version",
    .examples = "penstock version\n",
    .run = version_run,
};

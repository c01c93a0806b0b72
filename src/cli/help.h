/* help.h: --help and the manual page, both made from the tables of commands and options. */
#ifndef PENSTOCK_CLI_HELP_H
#define PENSTOCK_CLI_HELP_H

#include "cli/command.h"

#include <stdio.h>

/* All commands, or those whose name begins with the word `group` (false, and nothing printed, when
 * there are none). */
bool help_overview(const char *group, FILE *out);
void help_command(const struct command *command, FILE *out);
/* The whole manual page, as roff(7). */
void help_manual(FILE *out);

#endif

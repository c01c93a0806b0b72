/* task_colour.h: how states of tasks look. */
#ifndef PENSTOCK_CLI_TASK_COLOUR_H
#define PENSTOCK_CLI_TASK_COLOUR_H

#include "base/terminal.h"

/* COLOUR_NONE when it is no state that stands out. */
enum colour task_state_colour(const char *state);

#endif

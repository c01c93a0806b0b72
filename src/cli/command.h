/* command.h: what a command is, and the one table of them.
 *
 * A command is a row: names, options, examples (from which --help and the manual page are made) and
 * a function. The function says what went wrong in `err`; main() alone prints it and turns its code
 * into the exit status. Threads: the main one. */
#ifndef PENSTOCK_CLI_COMMAND_H
#define PENSTOCK_CLI_COMMAND_H

#include "cli/option.h"

struct command {
    const char *name;      /* "job start" */
    const char *arguments; /* "JOB"; NULL: none */
    size_t least, most;    /* how many arguments it takes */
    const char *summary;   /* one line, begins with a verb, no full stop */
    const char *text;      /* further paragraphs, lines up to 78 columns; NULL: none */
    option_tables options; /* NULL: none but --help */
    bool forwards;         /* what follows is another program's: all of it is arguments */
    const char *examples;  /* lines of commands, each ended by '\n' */
    bool (*run)(const struct options *options, struct err *err);
};

/* In the order in which --help lists them; NULL ends it. */
extern const struct command *const commands[];

/* Finds the command that argv names ("job start" is two words) and runs it, or prints its help.
 * ERR_INVALID: no such command (with the nearest), or its options are wrong. */
MUST_CHECK bool command_run(int argc, char **argv, struct err *err);

/* The rows, each in a file of its own name. */
extern const struct command cmd_serve, cmd_job_start, cmd_job_list, cmd_job_show, cmd_job_errors,
    cmd_job_watch, cmd_job_pause, cmd_job_resume, cmd_job_cancel, cmd_job_repair, cmd_job_clean,
    cmd_job_delete, cmd_key_create, cmd_key_list, cmd_key_revoke, cmd_run, cmd_worker, cmd_doctor,
    cmd_openaleph, cmd_help, cmd_version, cmd_task_list, cmd_task_show, cmd_task_enqueue,
    cmd_task_retry, cmd_task_cancel, cmd_task_delete, cmd_task_errors, cmd_task_status,
    cmd_queue_list, cmd_queue_pause, cmd_queue_resume, cmd_queue_set, cmd_function_list,
    cmd_function_pause, cmd_function_resume, cmd_function_set, cmd_limit_list, cmd_limit_set,
    cmd_limit_delete, cmd_schedule_list, cmd_schedule_set, cmd_schedule_delete, cmd_schedule_run,
    cmd_worker_list, cmd_events, cmd_top, cmd_flow_run, cmd_flow_worker, cmd_flow_check,
    cmd_flow_graph, cmd_flow_setup, cmd_flow_variables, cmd_flow_status, cmd_flow_list,
    cmd_flow_abort, cmd_step_list, cmd_step_show, cmd_step_register, cmd_step_deprecate,
    cmd_lineage;

#endif

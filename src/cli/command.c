/* command.c: see command.h. */
#include "cli/command.h"

#include "cli/help.h"

#include <stdio.h>
#include <string.h>

const struct command *const commands[] = {
    &cmd_run,
    &cmd_worker,
    &cmd_serve,
    &cmd_job_start,
    &cmd_job_list,
    &cmd_job_show,
    &cmd_job_errors,
    &cmd_job_watch,
    &cmd_job_pause,
    &cmd_job_resume,
    &cmd_job_cancel,
    &cmd_job_repair,
    &cmd_job_clean,
    &cmd_job_delete,
    &cmd_task_enqueue,
    &cmd_task_list,
    &cmd_task_show,
    &cmd_task_status,
    &cmd_task_errors,
    &cmd_task_retry,
    &cmd_task_cancel,
    &cmd_task_delete,
    &cmd_queue_list,
    &cmd_queue_pause,
    &cmd_queue_resume,
    &cmd_queue_set,
    &cmd_function_list,
    &cmd_function_pause,
    &cmd_function_resume,
    &cmd_function_set,
    &cmd_limit_list,
    &cmd_limit_set,
    &cmd_limit_delete,
    &cmd_schedule_list,
    &cmd_schedule_set,
    &cmd_schedule_delete,
    &cmd_schedule_run,
    &cmd_worker_list,
    &cmd_events,
    &cmd_top,
    &cmd_key_create,
    &cmd_key_list,
    &cmd_key_revoke,
    &cmd_flow_run,
    &cmd_flow_status,
    &cmd_flow_list,
    &cmd_flow_abort,
    &cmd_flow_worker,
    &cmd_step_list,
    &cmd_step_show,
    &cmd_step_register,
    &cmd_step_deprecate,
    &cmd_lineage,
    &cmd_flow_check,
    &cmd_flow_graph,
    &cmd_flow_setup,
    &cmd_flow_variables,
    &cmd_doctor,
    &cmd_openaleph,
    &cmd_help,
    &cmd_version,
    NULL,
};

enum { NAMES_MAX = 64 };

/* The command whose name is the first word, or the first two; *words says how many. */
static const struct command *find(int argc, char **argv, int *words)
{
    for (int count = 2; count >= 1; count--) {
        if (argc < count)
            continue;
        OWNED_MEM char *name = count == 1 ? xstrdup(argv[0]) : xasprintf("%s %s", argv[0], argv[1]);
        for (size_t i = 0; commands[i]; i++)
            if (strcmp(commands[i]->name, name) == 0) {
                *words = count;
                return commands[i];
            }
    }
    return NULL;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* "job" alone, or "job strat": names the commands that begin with the word, or the nearest. */
static bool refuse_unknown(int argc, char **argv, struct err *err)
{
    const char *names[NAMES_MAX];
    size_t count = 0, length = strlen(argv[0]);
    bool group = false;
    for (size_t i = 0; commands[i] && count < NAMES_MAX; i++) {
        names[count++] = commands[i]->name;
        group |=
            strncmp(commands[i]->name, argv[0], length) == 0 && commands[i]->name[length] == ' ';
    }
    if (group && (argc < 2 || argv[1][0] == '-'))
        return err_set(err, ERR_INVALID, "%s what? \"penstock help %s\" lists it", argv[0],
                       argv[0]);
    bool two = group || (argc > 1 && argv[1][0] != '-');
    OWNED_MEM char *asked = two ? xasprintf("%s %s", argv[0], argv[1]) : xstrdup(argv[0]);
    const char *nearest = option_nearest(asked, names, count);
    if (!nearest)
        nearest = option_nearest(argv[0], names, count);
    if (nearest)
        return err_set(err, ERR_INVALID, "no command \"%s\"; do you mean \"%s\"?", asked, nearest);
    return err_set(err, ERR_INVALID, "no command \"%s\"; \"penstock help\" lists them", asked);
}

static bool check_arguments(const struct command *command, const struct options *options,
                            struct err *err)
{
    size_t count = options_argument_count(options);
    if (count > command->most)
        return err_set(err, ERR_INVALID, "%s: \"%s\" is one argument too many", command->name,
                       options_argument(options, command->most));
    if (count < command->least)
        return err_set(err, ERR_INVALID, "%s needs %s; \"penstock %s --help\" says more",
                       command->name, command->arguments, command->name);
    return true;
}

static bool forward(const struct command *command, int argc, char **argv, struct err *err)
{
    OWNED_MEM char **all = xcalloc((size_t)argc + 1, sizeof *all);
    all[0] = (char[]){"--"};
    for (int i = 0; i < argc; i++)
        all[i + 1] = argv[i];
    OWNED(options) struct options *options = NULL;
    return options_read(command->options, argc + 1, all, &options, err) &&
           command->run(options, err);
}

bool command_run(int argc, char **argv, struct err *err)
{
    if (argc > 0 && strcmp(argv[0], "--version") == 0)
        return cmd_version.run(NULL, err);
    if (argc == 0 || is_help(argv[0])) {
        help_overview(NULL, stdout);
        return argc > 0 || err_set(err, ERR_INVALID, "no command given");
    }
    int words = 0;
    const struct command *command = find(argc, argv, &words);
    if (!command && argc > 1 && is_help(argv[1]) && help_overview(argv[0], stdout))
        return true;
    if (!command)
        return refuse_unknown(argc, argv, err);
    if (command->forwards && !(argc > words && is_help(argv[words])))
        return forward(command, argc - words, argv + words, err);
    for (int i = words; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (is_help(argv[i])) {
            help_command(command, stdout);
            return true;
        }
    OWNED(options) struct options *options = NULL;
    if (!options_read(command->options, argc - words, argv + words, &options, err))
        return err_add(err, "%s", command->name);
    if (!check_arguments(command, options, err))
        return false;
    return command->run(options, err);
}

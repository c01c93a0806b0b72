/* cmd_flow_setup.c: `penstock flow setup`: the folder of a new application of PyRunner's form, with
 * a list that runs at once. */
#include "base/file.h"
#include "base/terminal.h"
#include "cli/command.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_MAX_BYTES = 64 };

/* In the templates, @ stands for the application's name. */
static const char profile[] =
    "# Sourced by bash before a run; its APP_ variables hold, all others do not.\n"
    "export APP_VERSION=0.0.1\n"
    "export APP_NAME=\"@\"\n"
    "export APP_ROOT_DIR=\"$(cd \"$(dirname \"${BASH_SOURCE[0]}\")/..\" && pwd)\"\n"
    "export APP_CONFIG_DIR=\"${APP_ROOT_DIR}/config\"\n"
    "export APP_WORKER_DIR=\"${APP_ROOT_DIR}/workers\"\n"
    "export APP_TEMP_DIR=\"${APP_ROOT_DIR}/temp\"\n"
    "export APP_ROOT_LOG_DIR=\"${APP_ROOT_DIR}/logs\"\n"
    "export APP_LOG_DIR=\"${APP_ROOT_LOG_DIR}/$(date +%Y-%m-%d)\"\n";

static const char list[] =
    "#PYTHON\n"
    "#ID|PARENT_IDS|MAX_ATTEMPTS|RETRY_WAIT_TIME|PROCESS_NAME|MODULE_NAME|WORKER_NAME|ARGUMENTS"
    "|LOGFILE\n"
    "1 |-1 |1|0|Start |steps|Start |     |$ENV{APP_LOG_DIR}/start.log\n"
    "2 |1  |2|5|Left  |steps|Count |left |$ENV{APP_LOG_DIR}/left.log\n"
    "3 |1  |2|5|Right |steps|Count |right|$ENV{APP_LOG_DIR}/right.log\n"
    "4 |2,3|1|0|End   |steps|End   |     |$ENV{APP_LOG_DIR}/end.log\n";

static const char steps[] = "\"\"\"The steps of @: a class each, named in config/@.lst.\"\"\"\n\n"
                            "from pyrunner import Worker\n\n\n"
                            "class Start(Worker):\n"
                            "    def run(self):\n"
                            "        self.context[\"counted\"] = 0\n"
                            "        self.logger.info(\"started\")\n\n\n"
                            "class Count(Worker):\n"
                            "    def run(self):\n"
                            "        number = self.context.incr(\"counted\")\n"
                            "        self.logger.info(f\"{self.argv[0]} is number {number}\")\n\n\n"
                            "class End(Worker):\n"
                            "    def run(self):\n"
                            "        self.logger.success(f\"counted {self.context['counted']}\")\n";

static const char driver[] =
    "#!/usr/bin/env python3\n"
    "\"\"\"Runs the list; takes the options of `penstock flow run`.\"\"\"\n\n"
    "import sys\n"
    "from pathlib import Path\n\n"
    "from penstock.flow import PyRunner\n\n"
    "if __name__ == \"__main__\":\n"
    "    config = Path(__file__).resolve().parent / \"config\"\n"
    "    app = PyRunner(config_file=config / \"app_profile\", proc_file=config / \"@.lst\")\n"
    "    sys.exit(app.run())\n";

static const struct {
    const char *path, *text;
    mode_t mode;
} files[] = {
    {"config/app_profile", profile, 0666},
    {"config/@.lst", list, 0666},
    {"workers/steps.py", steps, 0666},
    {"@.py", driver, 0777},
};

/* ---- what it is called, and where ---- */

/* A line from standard input; the caller's. ERR_INVALID: there is none. */
static char *ask(const char *what, struct err *err)
{
    char *line = NULL;
    size_t room = 0;
    if (terminal_is(stdin)) {
        printf("%s: ", what);
        (void)fflush(stdout);
    }
    ssize_t len = getline(&line, &room, stdin);
    if (len < 0) {
        free(line);
        (void)err_set(err, ERR_INVALID, "nothing was said to \"%s\"", what);
        return NULL;
    }
    while (len > 0 && isspace((unsigned char)line[len - 1]))
        line[--len] = '\0';
    return line;
}

/* As PyRunner makes names of what people type: blanks as _, small letters. */
static bool tidy_name(char *name, struct err *err)
{
    static const char *const taken[] = {"penstock", "pyrunner", "steps"};
    for (char *c = name; *c; c++) {
        *c = *c == ' ' ? '_' : (char)tolower((unsigned char)*c);
        if (!isalnum((unsigned char)*c) && *c != '_' && *c != '-')
            return err_set(err, ERR_INVALID,
                           "a name has letters, digits, _ and -; \"%s\" has others", name);
    }
    if (!*name || strlen(name) > NAME_MAX_BYTES)
        return err_set(err, ERR_INVALID, "a name has 1 to %d letters", NAME_MAX_BYTES);
    /* The driver is a Python file of that name, which stands before all others of it. */
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
        if (strcmp(name, taken[i]) == 0)
            return err_set(err, ERR_INVALID, "%s is the name of a module that it needs", name);
    return true;
}

/* ---- writing ---- */

static char *with_name(const char *template, const char *name)
{
    OWNED_BUF struct buf out;
    buf_init(&out, BUF_NO_CAP);
    for (const char *c = template; *c; c++)
        (void)(*c == '@' ? buf_add(&out, name, strlen(name)) : buf_add(&out, c, 1));
    return xstrndup(out.data, out.len);
}

static bool make_folder(const char *root, const char *name, struct err *err)
{
    OWNED_MEM char *path = *name ? xasprintf("%s/%s", root, name) : xstrdup(root);
    if (mkdir(path, 0777) == 0)
        return true;
    if (errno == EEXIST)
        return err_set(err, ERR_CONFLICT, "%s is there already", path);
    return err_errno(err, errno, "make the folder %s", path);
}

static bool make_file(const char *root, const char *name, size_t i, struct err *err)
{
    OWNED_MEM char *relative = with_name(files[i].path, name);
    OWNED_MEM char *text = with_name(files[i].text, name);
    OWNED_MEM char *path = xasprintf("%s/%s", root, relative);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, files[i].mode);
    if (fd < 0)
        return err_errno(err, errno, "make %s", path);
    bool wrote = file_write_at(fd, 0, text, strlen(text), path, err);
    if (close(fd) && wrote)
        return err_errno(err, errno, "write %s", path);
    if (wrote)
        printf("%s\n", path);
    return wrote;
}

static bool setup_run(const struct options *options, struct err *err)
{
    const char *first = options_argument(options, 0), *second = options_argument(options, 1);
    OWNED_MEM char *name = first ? xstrdup(first) : ask("Name", err);
    if (!name || !tidy_name(name, err))
        return false;
    /* Who names it on the command line has said all. */
    OWNED_MEM char *folder = second  ? xstrdup(second)
                             : first ? xstrdup(".")
                                     : ask("Folder to put it in (empty: this one)", err);
    if (!folder)
        return false;
    OWNED_MEM char *root = xasprintf("%s/%s", *folder ? folder : ".", name);
    if (!make_folder(root, "", err) || !make_folder(root, "config", err) ||
        !make_folder(root, "workers", err))
        return false;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (!make_file(root, name, i, err))
            return false;
    printf("\nIt runs: penstock flow run %s/config/%s.lst\n", root, name);
    return true;
}

const struct command cmd_flow_setup = {
    .name = "flow setup",
    .arguments = "[NAME [FOLDER]]",
    .most = 2,
    .summary = "Make the folder of a new application",
    .text =
        "It is FOLDER/NAME, FOLDER the current one unless it is named; what is not named is\n"
        "asked for. Blanks in the name become _, capitals small letters. In it: a profile and a\n"
        "task list in config, Worker classes in workers, and NAME.py, which runs the list.\n",
    .examples = "penstock flow setup nightly\n"
                "penstock flow setup nightly /srv/batch\n",
    .run = setup_run,
};

/* cmd_openaleph.c: `penstock openaleph`: the command line of the Python package's part for jobs of
 * OpenAleph. It is another program, which this one becomes. */
#include "base/spawn.h"
#include "cli/command.h"
#include "cli/python_program.h"

#include <errno.h>
#include <stdlib.h>

static bool openaleph_run(const struct options *options, struct err *err)
{
    const char *asked = getenv("PENSTOCK_PYTHON");
    OWNED_MEM char *python = python_find(asked && *asked ? asked : NULL, err);
    if (!python)
        return false;
    OWNED_MEM char *path = python_path();
    if (path && setenv("PYTHONPATH", path, 1) != 0)
        return err_errno(err, errno, "PYTHONPATH");
    /* With no server named, the package starts this program. */
    OWNED_MEM char *self = realpath("/proc/self/exe", NULL);
    if (self && setenv("PENSTOCK_BIN", self, 0) != 0)
        return err_errno(err, errno, "PENSTOCK_BIN");
    size_t count = options_argument_count(options);
    OWNED_MEM const char **argv = xcalloc(count + 4, sizeof *argv);
    argv[0] = python;
    argv[1] = "-m";
    argv[2] = "penstock.openaleph";
    for (size_t i = 0; i < count; i++)
        argv[3 + i] = options_argument(options, i);
    return spawn_become(argv, err);
}

const struct command cmd_openaleph = {
    .name = "openaleph",
    .arguments = "COMMAND",
    .forwards = true,
    .summary = "Defer, show, put back and cancel jobs of OpenAleph's kind",
    .text = "COMMAND is one of defer-entities, defer-jobs, status, cancel, requeue-failed,\n"
            "requeue-stalled, init-db, ensure-indexes; \"penstock openaleph COMMAND --help\"\n"
            "says more, --settings prints what the environment says. It needs the Python\n"
            "package with what penstock[openaleph] brings; $PENSTOCK_PYTHON names another\n"
            "Python than the one that would be found.\n",
    .examples = "penstock openaleph defer-entities -i docs.jsonl -d d1 -q ingest -t m.tasks.t\n"
                "penstock openaleph status -d d1\n"
                "penstock openaleph requeue-failed -q ingest\n",
    .run = openaleph_run,
};

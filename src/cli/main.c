/* main.c: the program's entry: the one place that prints an error and chooses the exit status. */
#include "base/err.h"
#include "cli/command.h"
#include "run/keeper.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    struct err err = {.code = ERR_NONE};
    /* What we start ourselves, and no command for people. */
    if (argc == 2 && strcmp(argv[1], KEEPER_COMMAND) == 0)
        return keeper_serve(KEEPER_FD, &err) ? 0 : 1;
    /* How wide characters are, for tables; numbers keep their points. Names are UTF-8, and as wide
     * as they are in that, whatever the locale. */
    if (!setlocale(LC_CTYPE, "") || MB_CUR_MAX == 1)
        setlocale(LC_CTYPE, "C.UTF-8");
    bool good = command_run(argc - 1, argv + 1, &err);
    /* What could not be printed was not done: a full disk behind `> file` must not look well. */
    if (fflush(stdout) != 0 && good)
        good = err_errno(&err, errno, "standard output");
    if (good)
        return 0;
    fprintf(stderr, "penstock: %s\n", err.text);
    return err_exit_status(err.code);
}

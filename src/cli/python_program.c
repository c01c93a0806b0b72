/* python_program.c: see python_program.h. */
#include "cli/python_program.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_program(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* A name without a slash is looked for as a shell does; NULL when it is not found. */
static char *find_program(const char *name)
{
    if (strchr(name, '/'))
        return is_program(name) ? xstrdup(name) : NULL;
    const char *path = getenv("PATH");
    for (path = path ? path : "/usr/bin:/bin"; *path;) {
        int len = (int)strcspn(path, ":");
        char *there = xasprintf("%.*s/%s", len, path, name);
        if (len > 0 && is_program(there))
            return there;
        free(there);
        path += len + (path[len] == ':');
    }
    return NULL;
}

/* The folder in which this program lies, without links; NULL when that cannot be said. */
static char *own_folder(void)
{
    char *path = realpath("/proc/self/exe", NULL);
    char *slash = path ? strrchr(path, '/') : NULL;
    if (slash)
        *slash = '\0';
    return path;
}

char *python_find(const char *asked, struct err *err)
{
    const char *environment = getenv("VIRTUAL_ENV");
    OWNED_MEM char *folder = own_folder();
    OWNED_MEM char *active =
        environment && *environment ? xasprintf("%s/bin/python", environment) : NULL;
    OWNED_MEM char *beside = folder ? xasprintf("%s/python3", folder) : NULL;
    char *found = NULL;
    if (asked) {
        found = find_program(asked);
        if (!found)
            (void)err_set(err, ERR_INVALID, "--python: %s is no program", asked);
        return found;
    }
    if (active && is_program(active))
        return TAKE(active);
    if (beside && is_program(beside))
        return TAKE(beside);
    found = find_program("python3");
    if (!found)
        (void)err_set(err, ERR_INVALID, "no python3 was found; name one with --python PATH");
    return found;
}

char *python_path(void)
{
    OWNED_MEM char *folder = own_folder();
    OWNED_MEM char *root = folder ? xasprintf("%s/../python", folder) : NULL;
    OWNED_MEM char *package = root ? xasprintf("%s/penstock/__init__.py", root) : NULL;
    OWNED_MEM char *whole = package && access(package, R_OK) == 0 ? realpath(root, NULL) : NULL;
    const char *path = getenv("PYTHONPATH");
    return whole ? xasprintf("%s%s%s", whole, path && *path ? ":" : "", path ? path : "") : NULL;
}

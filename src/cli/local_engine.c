/* local_engine.c: see local_engine.h. */
#include "cli/local_engine.h"

#include "base/log.h"
#include "cli/engine_host.h"
#include "cli/server_file.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct local_engine {
    struct folders *folders;
    struct engine_host *host;
};

static bool add_data_dirs(struct local_engine *l, const char *state_dir, struct err *err)
{
    char **dirs = NULL;
    bool good = true;
    if (!server_file_data_dirs(state_dir, &dirs, err))
        return false;
    for (size_t i = 0; good && dirs[i]; i++)
        good = folders_add(l->folders, dirs[i], err);
    server_file_free(dirs);
    return good;
}

bool local_engine_open(const char *state_dir, bool make, struct local_engine **out, struct err *err)
{
    struct stat st;
    if (stat(state_dir, &st) != 0 && (errno != ENOENT || !make))
        return err_errno(err, errno, "state folder %s", state_dir);
    OWNED(local_engine) struct local_engine *l = xcalloc(1, sizeof *l);
    l->folders = folders_new();
    /* What a server would warn of is not this command's business. */
    log_set_level(LOG_ERROR);
    if (!add_data_dirs(l, state_dir, err))
        return false;
    const struct engine_options options = {.state_dir = state_dir, .folders = l->folders};
    if (!engine_host_open(&options, &l->host, err))
        return false;
    *out = TAKE(l);
    return true;
}

void local_engine_free(struct local_engine *l)
{
    if (!l)
        return;
    engine_host_free(l->host);
    folders_free(l->folders);
    free(l);
}

bool local_engine_ask(struct local_engine *l, struct op *op, struct err *err)
{
    return engine_host_ask(l->host, op, err);
}

void local_engine_hash(const struct local_engine *l, struct str token,
                       uint8_t out[TOKEN_HASH_BYTES])
{
    engine_host_hash(l->host, token, out);
}

bool local_or_client(const struct options *options, bool make, struct local_engine **local,
                     struct client **client, struct err *err)
{
    const char *state = options_text(options, "state");
    if (options_text(options, "server") && !options_has(options, "state"))
        return client_open(options, client, err);
    if (local_engine_open(state ? state : STATE_DIR_DEFAULT, make, local, err))
        return true;
    /* The lock says for sure whether a server runs; a file could be left over. */
    return err->code == ERR_BUSY && client_open(options, client, err);
}

/* client.c: see client.h. */
#include "cli/client.h"

const struct option client_options[] = {
    {.name = "server",
     .value = "URL",
     .help = "the server, such as http://host:5005 or unix:///path/penstock.sock (default: the one "
             "of the state folder)",
     .variable = "PENSTOCK_SERVER"},
    {.name = "state",
     .value = "DIR",
     .help = "state folder of the server on this machine (default: .penstock)",
     .variable = "PENSTOCK_STATE"},
    {.name = "key",
     .value = "KEY",
     .help = "API key, or @FILE that holds it; needed over the network when the server asks for "
             "keys",
     .variable = "PENSTOCK_KEY"},
    {.name = "token",
     .value = "TOKEN",
     .help = "token of the job, or @FILE that holds it; for who has no key over the network",
     .variable = "PENSTOCK_TOKEN"},
    {.name = "ca",
     .value = "FILE",
     .help = "certificates to trust instead of the system's, for https"},
    {0},
};

bool client_open(const struct options *options, struct client **out, struct err *err)
{
    const char *state = options_text(options, "state");
    struct client_target target = {.key = options_text(options, "key"),
                                   .token = options_text(options, "token"),
                                   .ca = options_text(options, "ca")};
    if (options_has(options, "server") && options_has(options, "state"))
        return err_set(err, ERR_INVALID, "--server and --state name two servers; give one");
    /* An option is stronger than a variable. */
    if (!options_has(options, "state"))
        target.url = options_text(options, "server");
    if (!target.url)
        target.state_dir = state ? state : STATE_DIR_DEFAULT;
    return client_new(&target, out, err);
}

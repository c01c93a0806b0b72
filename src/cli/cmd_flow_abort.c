/* cmd_flow_abort.c: `penstock flow abort`: stops the run of a flow, and waits until it has ended.
 */
#include "base/json.h"
#include "cli/answer_member.h"
#include "cli/command.h"
#include "cli/flow_seen.h"
#include "cli/run_server.h"

#include <stdio.h>

enum { WAIT_S = 30 };

static const struct option abort_options[] = {
    {.name = "no-wait", .help = "do not wait for its end"},
    {.name = "json", .help = "print the flow as JSON"},
    {0},
};
static const struct option *const abort_tables[] = {abort_options, flow_place_options,
                                                    run_server_options, NULL};

/* How it was left. The engine may be gone with its run. */
static bool watch_end(struct flow_seen *seen, bool wait, struct buf *flow, struct err *err)
{
    for (bool on = true; on;) {
        flow->len = 0;
        if (!flow_seen_show(seen, wait ? WAIT_S : 0, flow, err))
            return false;
        OWNED_MEM char *state = answer_text(buf_str(flow), "state");
        on = wait && strcmp(state, "running") == 0;
    }
    return true;
}

static void print_end(struct str flow)
{
    OWNED_MEM char *name = answer_text(flow, "name");
    OWNED_MEM char *state = answer_text(flow, "state");
    struct str counts = answer_raw(flow, "counts");
    if (strcmp(state, "running") == 0)
        printf("flow %s is being stopped\n", name);
    else
        printf("flow %s is %s: %lld completed, %lld aborted, %lld did not start\n", name, state,
               (long long)answer_i64(counts, "C"), (long long)answer_i64(counts, "A"),
               (long long)answer_i64(counts, "P"));
}

static bool abort_run(const struct options *options, struct err *err)
{
    __attribute__((cleanup(flow_place_release))) struct flow_place place = {0};
    OWNED(flow_seen) struct flow_seen *seen = NULL;
    OWNED_BUF struct buf flow;
    struct err gone;
    buf_init(&flow, BUF_NO_CAP);
    if (!flow_place_read(&place, options, err) || !flow_seen_open(options, &place, &seen, err) ||
        !flow_seen_abort(seen, err))
        return false;
    if (!watch_end(seen, !options_has(options, "no-wait"), &flow, &gone)) {
        /* It ended, and took its server along: its folder tells how. */
        flow_seen_free(TAKE(seen));
        flow.len = 0;
        if (!flow_seen_open(options, &place, &seen, err) || !flow_seen_show(seen, 0, &flow, err))
            return false;
    }
    if (options_has(options, "json"))
        printf("%.*s\n", (int)flow.len, flow.data);
    else
        print_end(buf_str(&flow));
    return true;
}

const struct command cmd_flow_abort = {
    .name = "flow abort",
    .arguments = "LIST",
    .most = 1,
    .summary = "Stop the run of a flow: nothing more starts, what runs is stopped",
    .text = "Waits for its end. What a run has left that was killed is ended, too. With flow run\n"
            "-r it goes on from there.\n",
    .options = abort_tables,
    .examples = "penstock flow abort config/nightly.lst\n",
    .run = abort_run,
};

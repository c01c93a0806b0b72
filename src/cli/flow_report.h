/* flow_report.h: what a run of a flow tells while it goes on: a line for each start and end of a
 * node on standard error, on a terminal a line that says how far it is, or JSON lines on standard
 * output. Threads: the main one. */
#ifndef PENSTOCK_CLI_FLOW_REPORT_H
#define PENSTOCK_CLI_FLOW_REPORT_H

#include "cli/flow_mirror.h"
#include "cli/flow_settings.h"
#include "run/flow_runner.h"

struct flow_report;

/* The mirror must outlive it; NULL: there is none, counts are not told. */
struct flow_report *flow_report_new(const struct flow_settings *settings,
                                    const struct flow_mirror *mirror);
void flow_report_free(struct flow_report *r); /* ends the line that is drawn */
DEFINE_OWNED(flow_report)

void flow_report_started(struct flow_report *r, const struct node_seen *node);
void flow_report_ended(struct flow_report *r, const struct node_seen *node);
/* A sentence for the person. */
void flow_report_say(struct flow_report *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Whether somebody looks at a line that is to be drawn. */
bool flow_report_is_live(const struct flow_report *r);
/* Draws it. eta_s < 0: not known. */
void flow_report_draw(struct flow_report *r, const struct flow_runner *runner, double eta_s);
void flow_report_quiet(struct flow_report *r); /* ends it */
/* The end of the flow: how it ended, in how long. */
void flow_report_end(struct flow_report *r, const char *state, double elapsed_s);

#endif

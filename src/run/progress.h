/* progress.h: how far a run is, for the person who waits: one line that is drawn again on a
 * terminal, else a line now and then. What processes print goes through here too, so that it stands
 * above the line and not in it. Threads: one owner. */
#ifndef PENSTOCK_RUN_PROGRESS_H
#define PENSTOCK_RUN_PROGRESS_H

#include "base/buf.h"

#include <stdio.h>

/* Plain value. */
struct progress_figures {
    int64_t done, failed, skipped; /* of this run; skipped: gave nothing to write */
    int64_t before;                /* done in earlier runs */
    int64_t total;                 /* records of the input; -1: not known */
    bool total_is_exact;
    int64_t retried;            /* attempts that failed and were not the last */
    int64_t in_flight, waiting; /* waiting: to be tried again, later */
    double rate_per_s;          /* 0: not known */
    double eta_s;               /* -1: not known */
    double rpm;                 /* starts a minute allowed at present; 0: no limit */
};

/* Appends the line, without an end. */
void progress_text(const struct progress_figures *f, struct buf *out);

struct progress;

/* Appends them as one JSON object, without a line end. */
void progress_json(const struct progress_figures *f, struct buf *out);

/* How it is told. */
enum progress_form {
    PROGRESS_NONE,  /* not at all */
    PROGRESS_PLAIN, /* a line now and then */
    PROGRESS_LIVE,  /* on a terminal: a line that is drawn again */
    PROGRESS_JSON   /* a line of JSON every second, {"progress":{...}}; {"text":"..."} for whatever
                       else is printed */
};

/* `out` is borrowed. */
struct progress *progress_new(FILE *out, enum progress_form form);
void progress_free(struct progress *p); /* leaves a line that is drawn, ended */
DEFINE_OWNED(progress)
/* When the next line is due (monotonic); NEVER_US when there is none. */
int64_t progress_next_us(const struct progress *p);
/* Shows the figures, if a line is due. */
void progress_show(struct progress *p, const struct progress_figures *f, int64_t now_us);
/* The same with a text of the caller's; on a terminal only, where it is drawn at once. */
void progress_draw(struct progress *p, struct str text);
/* Shows the last figures, where who reads them wants to be told of the end: as JSON. */
void progress_final(struct progress *p, const struct progress_figures *f);
/* Prints a line of somebody else's. */
void progress_print(struct progress *p, struct str line);
/* Ends the line that is drawn: what follows is printed below it. */
void progress_end(struct progress *p);

#endif

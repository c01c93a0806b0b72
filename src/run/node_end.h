/* node_end.h: what became of an attempt of a node: how it is judged, what its log and people are
 * told of it, and the list of ends that wait until they may be told. Threads: one. */
#ifndef PENSTOCK_RUN_NODE_END_H
#define PENSTOCK_RUN_NODE_END_H

#include "run/node_log.h"
#include "run/node_task.h"

enum node_end {
    NODE_COMPLETED,
    NODE_FAILED,  /* its attempts are used up */
    NODE_RETRIED, /* it failed, and is tried again */
    NODE_ABORTED
};

/* Why a node was stopped before its end. */
enum node_stop { STOP_NOT, STOP_TIMEOUT, STOP_ABORT };

/* What an attempt said of itself, or what is known of one that never began. Texts owned, NULL where
 * nothing was said. */
struct node_outcome {
    int64_t code; /* 0: nothing was said */
    bool final;
    char *type, *message, *traceback;
};
/* Takes the texts of an error, a JSON object; nothing from an empty one. */
void node_outcome_take(struct node_outcome *o, struct str error);
void node_outcome_release(struct node_outcome *o);

/* An attempt that is over. Borrowed for the call. */
struct node_past {
    const struct node_task *task;
    const struct node_outcome *outcome;
    enum node_stop stop;
    int status; /* as of waitpid */
};
/* 0 when all is well. */
int64_t node_past_code(const struct node_past *p);
/* How it ended, in a few words: "exit status 3". To be freed. */
char *node_past_words(const struct node_past *p);
/* Of its error; borrowed, or static. */
const char *node_past_type(const struct node_past *p);
/* no_retry_code: after which a node is not tried again; -1: none. */
enum node_end node_past_judge(const struct node_past *p, int64_t no_retry_code);

/* What the banners of its log say, now. */
struct node_banner node_banner_of(const struct node_task *t);

/* An end that is to be told once it is durable. */
struct ended {
    struct ended *next;
    struct node_task *task; /* owned; NULL: of one that was not run here */
    enum node_end end;
    int64_t code;
    char *why, *tail; /* owned */
    double elapsed_s;
    bool untold; /* that it had started, neither */
};
/* Its log is told how it ended; of one that failed the log's last lines are kept, of those behind
 * log_from_bytes. The task is given later. */
struct ended *ended_new(const struct node_past *p, enum node_end end, double elapsed_s,
                        int64_t log_from_bytes);
void ended_free(struct ended *e); /* NULL is fine */
DEFINE_OWNED(ended)

/* In the order in which they were added. Zeroed it is empty. */
struct ended_list {
    struct ended *first, *last;
};
void ended_list_add(struct ended_list *l, struct ended *e); /* takes it over */
/* The first, handed over; NULL: there is none. */
struct ended *ended_list_take(struct ended_list *l);
void ended_list_clear(struct ended_list *l);

#endif

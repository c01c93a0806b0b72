/* flow_op.h: what is asked of the engine about flows, and the answers: members of struct op's union
 * (op.h). Texts and arrays that go in are borrowed until `done`; what comes out is owned and freed
 * by op_release. What each member means is said in docs/flow-run.md.
 *
 * All of them name their flow by op->job: by id when that is > 0, else by name. An unknown one is
 * ERR_NOT_FOUND. */
#ifndef PENSTOCK_ENGINE_FLOW_OP_H
#define PENSTOCK_ENGINE_FLOW_OP_H

#include "core/flow.h"
#include "core/flow_plan.h"
#include "io/blob.h"

#define FLOW_NAME_MAX_BYTES 400 /* with it are made names of queues, keys and limits */
#define FLOW_POOL_MAX_BYTES 100
#define FLOW_KEY_MAX_BYTES 512 /* of a value of the context */
#define FLOW_FUNCTION "penstock.flow.node"

/* --- OP_FLOW_START --- */

/* A node of the list, checked for its shape. */
struct flow_new_node {
    struct str name, logfile, pool; /* logfile, pool: empty: none */
    struct str row;                 /* its JSON object, as its worker gets it */
    struct str after;               /* its JSON list of ids; empty: none */
    int64_t max_attempts;
    int64_t retry_wait_us;
    int64_t timeout_us; /* 0: none */
    bool always;        /* it starts when its parents have ended, in whatever way */
    uint64_t print;     /* of what its row says: any change of it changes this */
};

struct flow_new_pool {
    struct str name;
    int64_t size;
};

/* A value that the context has from the start: a text. */
struct flow_preset {
    struct str key, text;
};

struct op_flow_start {
    struct str name;
    enum flow_mode mode;
    bool restart;
    bool dry_run;      /* says what it would do, and does nothing */
    bool keep_context; /* a fresh run goes on with the context as it is */
    bool
        take_over; /* a run that goes on is ended first, as if its workers were gone: its R are A */
    const struct flow_new_node *nodes;
    const struct flow_web_node *web; /* ids and parents of the same */
    const int32_t *after;
    size_t node_count;
    struct flow_select select;
    int64_t max_running; /* 0: no limit */
    int64_t gap_us;      /* between two starts; 0 */
    const struct flow_new_pool *pools;
    size_t pool_count;
    struct str pools_row, variables; /* JSON objects; empty: {} */
    const struct flow_preset *presets;
    size_t preset_count;
    /* out: */
    int64_t id; /* 0: of a dry run of a flow that is not there */
    int64_t run;
    size_t does[FLOW_DOES_COUNT];
    bool fresh;
    int32_t *edited; /* owned: completed nodes that are kept, and whose rows were edited */
    size_t edited_count;
    struct buf told; /* owned, of a dry run: JSON list of {"id","does","why"} */
};

/* --- OP_FLOW_SHOW, and the answer of OP_FLOW_ABORT --- */

struct flow_running {
    int32_t id;
    char *name; /* owned */
    int64_t since_us;
};

enum { FLOW_LISTED_MAX = 100 }; /* of running and of failed nodes */

struct flow_view {
    int64_t id;
    char *name; /* owned */
    enum flow_mode mode;
    enum job_state state;
    bool stops; /* it was told to stop, and something of it runs still */
    int64_t run, nodes;
    int64_t counts[FLOW_MARK_COUNT];
    int64_t created_at_us, started_at_us, ended_at_us, elapsed_us;
    int64_t max_running, gap_us;
    char *variables, *pools;      /* owned JSON */
    int64_t eta_us;               /* -1: not known */
    struct flow_running *running; /* owned; the first of them, in the order of the list */
    int32_t *failed;              /* owned; likewise */
    size_t running_count, failed_count;
    int64_t lock_task; /* 0: nobody has the lock */
};
void flow_view_release(struct flow_view *view);

struct op_flow_show {
    int64_t wait_until_us; /* monotonic: for its end */
    _Atomic bool given_up;
    struct flow_view view; /* out */
};

struct op_flow_abort {
    bool at_once;          /* nobody runs it (any more): what runs is ended here */
    struct flow_view view; /* out */
};

/* --- OP_FLOW_LIST: in order of ids, above `after`; without what is said of single nodes --- */

struct op_flow_list {
    bool by_state;
    enum job_state state;
    int64_t after, limit;
    struct flow_view *views; /* out */
    size_t count;
    bool more;
};

/* --- OP_FLOW_NODES: in the order of the list --- */

struct flow_node_view {
    int32_t id;
    enum flow_mark mark;
    int64_t task; /* 0 */
    int64_t run, attempts, max_attempts, code;
    bool has_code;
    int64_t started_at_us, ended_at_us;
    int64_t elapsed_us;                   /* -1: it has not ended, or not run */
    char *name, *logfile, *after, *error; /* owned; after and error are JSON; NULL: none */
};

struct op_flow_nodes {
    bool by_mark;
    enum flow_mark mark;
    int32_t after; /* behind this one; 0: from the start */
    int64_t limit;
    struct flow_node_view *views; /* out */
    size_t count;
    bool more;
};

/* --- OP_FLOW_DELETE: no members; ERR_CONFLICT while it runs --- */

/* --- OP_FLOW_PUT: a value of the context --- */

struct op_flow_put {
    struct str key;
    bool gone;        /* the key is deleted */
    int64_t only_if;  /* -1: in any case; 0: when there is none; else when that is its version.
                         Otherwise ERR_CONFLICT with REFUSED_VERSION */
    struct str value; /* ptr NULL: it is in the blob, which the asker holds a pin of */
    struct blob_hash hash;
    int64_t bytes;
    int64_t version; /* out */
    int64_t flow;    /* the engine's */
};

/* --- OP_FLOW_GET: a value, or all keys --- */

struct flow_value_view {
    char *key; /* owned */
    int64_t version, bytes;
};

struct op_flow_get {
    struct str key;                 /* empty: all keys */
    struct flow_value_view *values; /* out, of all keys */
    size_t count;
    int64_t version, bytes;
    struct buf value; /* owned */
    bool in_blob;     /* the value is there */
    struct blob_hash hash;
};

/* --- OP_FLOW_LOCK --- */

struct op_flow_lock {
    bool unlock;
    int64_t task,
        fence; /* whose run asks: ERR_CONFLICT when it is not one of this flow that runs */
    int64_t wait_until_us;
    _Atomic bool given_up;
    bool locked; /* out */
};

#endif

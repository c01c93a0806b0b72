/* steps_sim.h: the parts of the simulation of steps (sim_steps.c) see each other's tools here. */
#ifndef PENSTOCK_TESTS_STEPS_SIM_H
#define PENSTOCK_TESTS_STEPS_SIM_H

#include "base/json.h"
#include "base/rng.h"
#include "engine/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_US INT64_C(1000000)
#define SPAN_US (10 * SECOND_US)   /* a session's lease */
#define REFUSED_US (2 * SECOND_US) /* more than the engine wants after a failure */
#define GRACE_US (20 * SECOND_US)  /* of blobs */

enum { STEPS = 4, JOBS = 48, ARTIFACTS = 64, FOLDERS = 64, OWNERS = 2 };
enum { SLOTS = 2, IN_SLOT = 3, SESSIONS = 3, SESSION_UNKNOWN = SESSIONS, NONE = -1 };
enum { FOLDER_TEXT = 40, TOLD = 120, CONTENTS = 12, NAMES = 3 };

struct step_kind { /* what can be registered */
    const char *manifest, *function;
    int owner;
    bool is_public, has_parameters, needs_x;
    int inputs, least[SLOTS], most[SLOTS];
    int outputs, places; /* of each output slot */
};
extern const struct step_kind step_kinds[STEPS];
extern const char *const owner_names[OWNERS];

/* What is known of each thing. References are places in the lists below; NONE: to nothing. A new
 * thing's id is NONE until it is heard. */
struct known_step {
    int64_t id;
    bool there, is_public;
};
struct known_job {
    int64_t id;
    bool gone;
    int owner, name, step, parent;
    enum job_state state;
    int parameters; /* place in parameter_texts; 0: none */
    int inputs[SLOTS][IN_SLOT], input_counts[SLOTS];
    bool hidden, output_deletable;
    bool has_task; /* it was started, and nobody has deleted its task */
    bool cancel_asked, retries, error;
    int max_attempts, attempts;
    int64_t fence;
    int session; /* that runs it */
    int result;  /* 0: none */
    char folder[FOLDER_TEXT];
    char told[TOLD]; /* what its events are to say, in order, as letters (event_letter) */
};
struct known_artifact {
    int64_t id;
    bool gone;
    int owner, content;
    int job, slot, place; /* job NONE: an upload */
    int64_t fence;
    bool hidden, deletable;
    char folder[FOLDER_TEXT];
};
struct known_folder {
    int64_t id;
    bool gone;
    int owner;
    char path[FOLDER_TEXT];
};
struct model {
    struct known_step steps[STEPS];
    struct known_job jobs[JOBS];
    struct known_artifact artifacts[ARTIFACTS];
    struct known_folder folders[FOLDERS];
    int job_count, artifact_count, folder_count;
};

struct session {
    bool has_token;
    uint8_t token[LEASE_TOKEN_BYTES];
    int64_t ends_us, late_us; /* it lives before the one and is over after the other */
};

/* In memory that outlives the child that is killed. */
struct world {
    struct rng rng;
    struct instant now;
    char folder[128];
    int steps_left;
    bool ending;
    struct model model, asked;
    bool in_doubt;    /* `asked` was asked for and not answered: it is so, or as in `model` */
    bool claim_doubt; /* a claim was: of an owner's, by a session */
    int claim_owner, claim_session;
    int64_t refused_until_us, last_event;
    char heard[JOBS][TOLD];      /* what the events said */
    char heard_files[ARTIFACTS]; /* 0, created, deleted */
    struct session sessions[SESSIONS + 1];
    int crashes, failures, runs, completions;
};
extern struct world *world;
extern uint64_t seed_now;
extern struct engine *sim_engine;

#define SAY(...) printf(__VA_ARGS__)
#define MUST(condition, ...)                                                                       \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "seed %llu: ", (unsigned long long)seed_now);                          \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fprintf(stderr, "\n");                                                                 \
            fflush(stdout);                                                                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* --- steps_engine.c: the engine, asked, stopped and started anew --- */
int pick(int count);
/* One op, until it is answered. */
void ask(struct op *op);
/* Asks with mischief about. `world->asked` is what is so when it goes well, `expected` what it is
 * refused with otherwise. True: it went well, and `world->model` is that now. */
bool dare(struct op *op, enum err_code expected);
/* With mischief about, and nothing said of what it means. */
void dare_quietly(struct op *op);
void pass(int64_t us, bool safely);
/* After a failure changes are refused for a while: waits until they are not. */
void recover(void);
void no_faults(void);
void open_engine(void);
void close_engine(void);
void verb_restart(void);
void verb_time(void);
struct step_asker asker(int owner);
/* A session was heard of: it lives on. */
void session_heard(int session);
/* All of them begin anew, at the latest so long from now. */
void sessions_anew(int64_t late_us);

/* --- steps_model.c: the rules, again --- */
extern const char *const job_names[NAMES], *const parameter_texts[];
enum { PARAMETERS_NONE, PARAMETERS_WHOLE, PARAMETERS_PART, PARAMETERS_WRONG, PARAMETERS_COUNT };
struct edit_ask {
    int owner, job, parent; /* job NONE: a new one; parent NONE: none */
    unsigned sets;
    int name, step, parameters; /* step NONE: none */
    bool hidden, output_deletable, retries;
    int max_attempts;
    char folder[FOLDER_TEXT];
    int fill_count;
    struct {
        int slot, count, artifacts[IN_SLOT + 1];
    } fills[SLOTS];
};
/* Each does it to the model, or says why not and leaves it as it is. */
enum err_code model_edit(struct model *m, const struct edit_ask *ask);
enum err_code model_end(struct model *m, int owner, int job, enum step_job_end how);
enum err_code model_delete_artifact(struct model *m, int owner, int artifact);
void model_retry(struct model *m, int job);
void model_forget_task(struct model *m, int job);
/* A run begins, is lost, given back, completed, failed. */
void model_started(struct model *m, int job, int session, int64_t fence);
void model_lost(struct model *m, int job);
void model_given_back(struct model *m, int job);
void model_completed(struct model *m, int job, int result);
void model_failed(struct model *m, int job, bool final);
/* A new one; NONE: there is no room. */
int model_new_artifact(struct model *m, int owner, int content, const char *folder);
/* It is an output of the job's run now. */
void model_put_output(struct model *m, int artifact, int job, int slot, int place);
bool is_waiting_or_running(const struct known_job *j);
int times_used(const struct model *m, int artifact);
int output_count(const struct model *m, int job);
int sub_job_count(const struct model *m, int job);
void tell(struct known_job *j, char letter);

/* --- steps_places.c: folders --- */
void choose_folder(char path[FOLDER_TEXT]);
/* It is there, and those above it. */
void model_need_folder(struct model *m, int owner, const char *path);
/* Whether a path is in a folder or beneath it. */
bool is_below(const char *path, const char *folder);
void clear_all_of(int owner);
void verb_folder(void);

/* --- steps_look.c: what the engine shows --- */
struct task_view task_of(int64_t id, bool *there); /* task_view_release */
/* Whether all that it shows is as in the model, whose new things get their ids; `why` says what is
 * not. */
bool same_as(struct model *m, char *why, size_t size);
/* Runs whose sessions have ended are lost. */
void observe_losses(void);
/* The process was killed while something was asked: it has happened, or not. */
void resolve(void);
void check_all(void);
/* What is stored, the parts that are looked at only now and then. */
void check_deeply(void);
void check_nothing_is_left(void);

/* --- steps_users.c: people --- */
void verb_edit(void);
void verb_end(void);
void verb_retry(void);
void verb_upload(void);
void verb_artifact(void);
void verb_register(void);
/* At the beginning. */
void register_all(void);
void allow_deletion(int artifact);
/* Deletes a job with all that hangs on it, as far as that may be. */
void delete_whole(int job);
void verb_delete_whole(void);

/* --- steps_hands.c: workers --- */
void claim(int session, int owner, int most);
void settle(int session, bool well);
void verb_claim(void);
void verb_settle(void);
void verb_output(void);
void verb_extend(void);
void verb_release(void);

#endif

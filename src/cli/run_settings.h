/* run_settings.h: what `penstock run` and `penstock worker` are asked for: options first, then what
 * the user's config.py says, then defaults. Threads: the main one. */
#ifndef PENSTOCK_CLI_RUN_SETTINGS_H
#define PENSTOCK_CLI_RUN_SETTINGS_H

#include "base/buf.h"
#include "base/log.h"
#include "cli/option.h"

/* Rows for both commands: what a worker process is made of. */
extern const struct option run_worker_options[];
/* Rows for run alone. */
extern const struct option run_job_options[];

enum { RUN_RETRIES_MAX = 1000 };

/* Texts are owned, NULL where there is nothing. */
enum run_progress { RUN_PROGRESS_AUTO, RUN_PROGRESS_JSON };

struct run_settings {
    char *target;  /* file, folder, module:function; NULL: `exec` */
    char *exec;    /* the program, a shell command */
    char *steps;   /* the program that runs the steps of the manifest `target`; NULL: none */
    char *config;  /* the file with settings, as it is shown; NULL: none */
    char *base;    /* folder that its paths are relative to */
    char **inputs; /* as asked, patterns resolved */
    size_t input_count;
    char *output, *errors, *log, *summary;
    char *id_key, *rerun_key;
    int64_t concurrency; /* 1.. */
    double rpm;          /* 0: no limit */
    enum run_progress progress;
    bool adaptive, ordered, only_failed, retry_skipped, dry_run, quiet;
    int64_t retries, retry_delay_us;
    double retry_factor;
    double timeout_s;   /* of one attempt; 0: none */
    int64_t batch_size; /* 0: what the function says */
    int64_t processes, max_memory_bytes, grace_us;
    int64_t limit, sample, seed;
    enum log_level log_level;
};

/* What the options say. ERR_INVALID names the option. */
MUST_CHECK bool run_settings_read(const struct options *options, bool makes_job,
                                  struct run_settings *out, struct err *err);
void run_settings_release(struct run_settings *s);
#define OWNED_RUN_SETTINGS __attribute__((cleanup(run_settings_release)))

/* Adds an input: a path that exists means itself, whatever letters it holds; else it may be a
 * pattern. ERR_INVALID names `name`: no file matches. */
MUST_CHECK bool run_settings_add_inputs(struct run_settings *s, const char *path, const char *name,
                                        struct err *err);

/* What the worker says of itself (the body of its hello): the settings of config.py and the retries
 * that the function asks for go where no option was given; then the defaults. ERR_INVALID names
 * key, value and file. */
MUST_CHECK bool run_settings_complete(struct run_settings *s, const struct options *options,
                                      struct str hello, struct err *err);

#endif

/* data_job_files.c: what a data job reads and writes is opened (data_job.h): its input, its output,
 * its error file, and the programs in place of one. */
#include "engine/data_job.h"

#include "engine/engine_state.h"
#include "engine/error_file.h"
#include "engine/identity.h"
#include "engine/resume.h"
#include "store/tail_store.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static char *spool_path(const struct engine *e, const struct data_job *job, const char *what)
{
    return xasprintf("%s/job-%lld.%s", e->state_dir, (long long)job->row.id, what);
}

void data_job_source_spec(const struct engine *e, const struct data_job *job,
                          struct data_spec *spec)
{
    data_spec_copy(spec, &job->spec);
    if (spec->source_format != FORMAT_PROGRAM)
        return;
    spec->source_format = FORMAT_JSONL;
    free(spec->source_path);
    spec->source_path = spool_path(e, job, "in.jsonl");
}

void data_job_sink_spec(const struct engine *e, const struct data_job *job, struct data_spec *spec)
{
    data_spec_copy(spec, &job->spec);
    if (spec->sink_format != FORMAT_PROGRAM)
        return;
    spec->sink_format = FORMAT_JSONL;
    spec->sink_overwrite = true;
    free(spec->sink_path);
    spec->sink_path = spool_path(e, job, "out.jsonl");
}

/* The folders that one end of the job lives in. */
static const struct folders *folders_of(const struct engine *e, enum data_format format)
{
    return format == FORMAT_PROGRAM ? e->state_folders : e->options.folders;
}

bool data_job_open_source(struct engine *e, struct data_job *job, struct source **out,
                          struct err *err)
{
    struct data_spec spec;
    data_job_source_spec(e, job, &spec);
    OWNED(source) struct source *source = NULL;
    bool ok = source_open(&spec, folders_of(e, job->spec.source_format), &source, err);
    data_spec_release(&spec);
    struct data_progress *p = &job->row.progress;
    char print[65];
    int64_t bytes = 0;
    if (!ok)
        return false;
    /* A program's spool is compared as it is written again; a print of no bytes says nothing. */
    if (job->spec.source_format != FORMAT_PROGRAM) {
        if (!source_fingerprint(source, p->source_print_bytes, print, &bytes, err))
            return false;
        if (p->source_print_bytes && strcmp(print, p->source_print) != 0)
            return err_set(err, ERR_CONFLICT,
                           "%s is not the file that job %s was started on: its first %lld bytes "
                           "are others",
                           source_name(source), job->row.name, (long long)bytes);
        memcpy(p->source_print, print, sizeof p->source_print);
        p->source_print_bytes = bytes;
        if (job->row.inputs && !source_check_inputs(source, job->row.inputs, err))
            return err_add(err, "job %s", job->row.name);
    }
    *out = TAKE(source);
    return true;
}

bool data_job_need_programs(struct engine *e, struct data_job *job, struct err *err)
{
    struct program_end end;
    if (job->spec.source_format == FORMAT_PROGRAM && !job->feed_in) {
        if (!programs_find(e->options.readers, job->spec.source_program, &end))
            return err_set(err, ERR_INVALID,
                           "no reader is named %s: start the server with "
                           "--reader %s=COMMAND",
                           job->spec.source_program, job->spec.source_program);
        OWNED_MEM char *path = spool_path(e, job, "in.jsonl");
        if (!program_start_reader(&end, path, e->options.wake, e->options.wake_context,
                                  &job->feed_in, err))
            return err_add(err, "reader %s", job->spec.source_program);
        program_consumed(job->feed_in, job->row.progress.reading.bytes);
    }
    if (job->spec.sink_format == FORMAT_PROGRAM && !job->feed_out) {
        if (!programs_find(e->options.writers, job->spec.sink_program, &end))
            return err_set(err, ERR_INVALID,
                           "no writer is named %s: start the server with "
                           "--writer %s=COMMAND",
                           job->spec.sink_program, job->spec.sink_program);
        OWNED_MEM char *path = spool_path(e, job, "out.jsonl");
        int64_t bytes = job->row.progress.sink_bytes;
        if (!program_start_writer(&end, path, bytes < 0 ? 0 : bytes, e->options.wake,
                                  e->options.wake_context, &job->feed_out, err))
            return err_add(err, "writer %s", job->spec.sink_program);
    }
    return true;
}

bool data_job_load_tail(struct engine *e, const struct data_job *job, struct buf *out,
                        struct err *err)
{
    const struct data_progress *p = &job->row.progress;
    OWNED(tx) struct tx *tx = NULL;
    return tx_begin(e->store, &tx, err) &&
           tail_store_load(tx, job->row.id, p->sink_bytes - p->tail_bytes, p->sink_bytes, out, err);
}

static bool load_seal(struct engine *e, const struct data_job *job, struct sink_seal *out,
                      struct err *err)
{
    OWNED_BUF struct buf bytes;
    OWNED(tx) struct tx *tx = NULL;
    buf_init(&bytes, SINK_SEAL_BYTES);
    if (job->spec.id_key)
        return true;
    if (!tx_begin(e->store, &tx, err) ||
        !tail_store_load_seal(tx, job->row.id, &out->end_bytes, &bytes, err))
        return false;
    out->len = bytes.len;
    if (bytes.len)
        memcpy(out->bytes, bytes.data, bytes.len);
    return true;
}

bool data_job_need_sink(struct engine *e, struct data_job *job, struct err *err)
{
    if (identity_ready(job) && !job->resume)
        return data_job_open_sink(e, job, err);
    if (!job->resume)
        resume_begin(e, job, RESUME_GO_ON);
    return err_set(err, ERR_BUSY, "the output of job %s is being looked through: try again",
                   job->row.name);
}

bool data_job_open_sink(struct engine *e, struct data_job *job, struct err *err)
{
    if (job->sink)
        return true;
    if (job->spec.sink_path && !job->out_name)
        return err_set(err, ERR_CONFLICT,
                       "the output of job %s cannot be used: its folder is gone, "
                       "or another job has taken it over",
                       job->row.name);
    struct data_spec spec;
    data_job_sink_spec(e, job, &spec);
    const struct data_progress *p = &job->row.progress;
    OWNED_BUF struct buf tail;
    buf_init(&tail, BUF_NO_CAP);
    if (p->tail_bytes && !data_job_load_tail(e, job, &tail, err)) {
        data_spec_release(&spec);
        return false;
    }
    /* The output of a job that ended while it could not be reached is still to be brought up. */
    struct sink_start start = {.committed_bytes = p->sink_bytes,
                               .columns = p->sink_columns,
                               .tail = buf_str(&tail),
                               .rested = job_state_is_final(job->stored_state) && !tail.len};
    if (!load_seal(e, job, &start.seal, err)) {
        data_spec_release(&spec);
        return false;
    }
    job->sealed_bytes = -1;
    bool ok = sink_open(&spec, folders_of(e, job->spec.sink_format), &start, &job->sink, err);
    data_spec_release(&spec);
    return ok;
}

/* The error file stands beside the output, or, when there is none, in the state folder. */
const struct folders *data_job_errors_folders(const struct engine *e, const struct data_spec *spec)
{
    bool named = spec->errors_path;
    bool beside_output =
        named || spec->sink_format == FORMAT_JSONL || spec->sink_format == FORMAT_CSV;
    return beside_output ? e->options.folders : e->state_folders;
}

bool engine_open_errors(const struct engine *e, const struct job_view *view, int *fd,
                        struct err *err)
{
    if (!view->errors_path)
        return err_set(err, ERR_NOT_FOUND, "job %s has no failed records", view->name);
    return folders_open(data_job_errors_folders(e, &view->spec), view->errors_path, O_RDONLY, fd,
                        NULL, err);
}

bool data_job_need_errors(struct engine *e, struct data_job *job, struct err *err)
{
    if (job->errors)
        return true;
    /* What was not there at the start may be by now. */
    const struct folders *folders = data_job_errors_folders(e, &job->spec);
    if (job->row.progress.errors_bytes < 0 && folders != e->state_folders &&
        !error_file_may_begin(folders, job->errors_path, err))
        return false;
    struct data_spec spec;
    data_spec_init(&spec);
    spec.sink_format = FORMAT_JSONL;
    spec.sink_overwrite = !job->spec.errors_records;
    spec.sink_path = xstrdup(job->errors_path);
    struct sink_start start = {.committed_bytes = job->row.progress.errors_bytes};
    bool ok = sink_open(&spec, folders, &start, &job->errors, err);
    data_spec_release(&spec);
    return ok || err_add(err, "error file");
}

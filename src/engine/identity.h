/* identity.h: records that are known by a member of their own, their id, and not by their number.
 * Internal to engine/; the engine's thread.
 *
 * Done is what the output has a line of, or the notes of: each run looks the output through
 * (resume.h) and then reads the input from its start. Of each record that is read it is decided
 * here whether it is served:
 *
 *   no id, or a list or an object          failed, told of in the error file
 *   an id met before in this input         passed over: the first wins
 *   an id that is done                     passed over
 *   else                                   served
 *
 * What is passed over counts as done in the ledger. */
#ifndef PENSTOCK_ENGINE_IDENTITY_H
#define PENSTOCK_ENGINE_IDENTITY_H

#include "engine/data_job.h"

/* How the values of this job become ids. */
void identity_form(const struct engine *e, struct data_job *job);
/* Whether records can be told apart yet: false while the output was not looked through. A job
 * without ids is always ready. */
bool identity_ready(const struct data_job *job);
/* Decides on a record just read: SOURCE_RECORD to serve it, with what is *known of its id;
 * SOURCE_BAD to pass over it. *as becomes what the ledger says of it, unless it is served. */
enum source_got identity_judge(struct engine *e, struct data_job *job, struct source_record *record,
                               unsigned *known, enum record_state *as);
/* The id of a record's or a result's JSON; false when it has none. */
bool identity_of(const struct data_job *job, struct str json, struct id *out);
/* A record goes into a worker's hands: what will be needed of it is kept. */
void identity_remember(struct data_job *job, const struct source_record *record);
/* A result is on its way to the output, or there was none (`line` empty): what the output does not
 * tell is noted with the group. */
void identity_settled(struct data_job *job, int64_t record, struct str line);
/* The group that it was to go with has failed. */
void identity_taken_back(struct data_job *job, int64_t record);

#endif

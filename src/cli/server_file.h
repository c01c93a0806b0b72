/* server_file.h: server.json in the state folder: which server runs or ran there, for local
 * commands and for people who look. */
#ifndef PENSTOCK_CLI_SERVER_FILE_H
#define PENSTOCK_CLI_SERVER_FILE_H

#include "base/err.h"
#include "base/own.h"

#include <stddef.h>

/* Replaces it in one step: readers see the old or the new one, whole. `url` NULL: no server runs;
 * the data folders stay on record. Not synced: after a power cut no server runs anyway. */
MUST_CHECK bool server_file_write(const char *state_dir, const char *url,
                                  const char *const *data_dirs, size_t count, struct err *err);
/* The data folders on record: a list that NULL ends, to be freed with server_file_free; empty when
 * there is no such file. ERR_STORE when it is damaged. */
MUST_CHECK bool server_file_data_dirs(const char *state_dir, char ***out, struct err *err);
void server_file_free(char **data_dirs);

#endif

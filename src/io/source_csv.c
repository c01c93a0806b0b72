/* source_csv.c */
#include "io/source_kind.h"
struct source *source_csv_new(int64_t chunk_rows)
{
    (void)chunk_rows;
    return NULL;
}
bool source_csv_begin(struct source *s, struct err *err)
{
    (void)s;
    return err_set(err, ERR_INVALID, "CSV is not there yet");
}

#include "http/framing.h"

#include <microhttpd.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

struct seen {
    int hosts, lengths, codings;
    bool blank_in_name, unknown_coding;
};

static enum MHD_Result see(void *context, enum MHD_ValueKind kind, const char *name,
                           const char *value)
{
    struct seen *seen = context;
    (void)kind;
    /* "Content-Length : 5" is a header of another name to us, and a length to others. */
    if (strpbrk(name, " \t"))
        seen->blank_in_name = true;
    if (strcasecmp(name, MHD_HTTP_HEADER_HOST) == 0)
        seen->hosts++;
    if (strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0)
        seen->lengths++;
    if (strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
        seen->codings++;
        seen->unknown_coding |= !value || strcasecmp(value, "chunked") != 0;
    }
    return MHD_YES;
}

const char *framing_fault(struct MHD_Connection *connection)
{
    struct seen seen = {0};
    MHD_get_connection_values(connection, MHD_HEADER_KIND, see, &seen);
    if (seen.blank_in_name)
        return "a header's name has a blank in it";
    if (seen.hosts > 1)
        return "there is more than one Host header";
    if (seen.lengths + seen.codings > 1)
        return "the length of the body is told more than once";
    if (seen.unknown_coding)
        return "the only Transfer-Encoding that is known is chunked";
    return NULL;
}

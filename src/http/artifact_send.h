/* artifact_send.h: the bytes of an artifact as the answer to a GET or HEAD, all or one range. */
#ifndef PENSTOCK_HTTP_ARTIFACT_SEND_H
#define PENSTOCK_HTTP_ARTIFACT_SEND_H

#include "core/artifact.h"
#include "http/reply.h"
#include "http/request.h"

/* Fills the reply: 200, 206, or 416. The bytes go from the file to the connection as the client
 * takes them; what is read whole is verified, and breaks off when it is not what its name says.
 * `media_type` is copied. ERR_NOT_FOUND, ERR_STORE, ERR_IO: the blob cannot be read. */
MUST_CHECK bool artifact_send(struct request *req, const struct artifact *a, const char *media_type,
                              struct reply *reply, struct err *err);

#endif

/* Paths: whatever is asked for finds a surface to answer; a route that is found has its parameters,
 * none of them empty, and every path of the tables finds its own route. */
#include "base/buf.h"
#include "fuzz.h"
#include "http/server_own.h"

static const struct surface *const surfaces[] = {&native_surface, &planchet_surface};
enum { SURFACES = sizeof surfaces / sizeof *surfaces };

static size_t names_in(const char *path)
{
    size_t count = 0;
    for (; *path; path++)
        count += *path == '{';
    return count;
}

static void look_at(const char *method, struct str path)
{
    struct route_match match;
    route_find(surfaces, SURFACES, method, path, &match);
    HOLDS(match.surface);
    HOLDS(!match.route || match.path_known);
    size_t names = match.route ? names_in(match.route->path) : 0;
    for (size_t i = 0; match.route && i < ROUTE_PARAMS_MAX; i++) {
        HOLDS((match.params[i].len > 0) == (i < names));
        HOLDS(i >= names || !memchr(match.params[i].ptr, '/', match.params[i].len));
    }
    OWNED_BUF struct buf allowed;
    buf_init(&allowed, 256);
    route_allowed(match.surface, path, &allowed);
    HOLDS(allowed.len > 0 && allowed.data[allowed.len - 1] == '\0');
    HOLDS((allowed.len > 1) == match.path_known || match.redirects);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str path = {(const char *)data, size};
    look_at("GET", path);
    look_at("POST", path);
    look_at("HEAD", path);
    return 0;
}

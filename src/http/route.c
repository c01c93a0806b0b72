#include "http/server_own.h"

/* The next segment of a path: what stands before the next '/', which is passed. */
static struct str next_segment(struct str *rest)
{
    const char *slash = rest->len == 0 ? NULL : memchr(rest->ptr, '/', rest->len);
    size_t len = slash ? (size_t)(slash - rest->ptr) : rest->len;
    struct str segment = {rest->ptr, len};
    size_t passed = slash ? len + 1 : len;
    rest->ptr += passed;
    rest->len -= passed;
    return segment;
}

/* Whether a path has the pattern's form; `params` gets what stands for the {names}, the rest of it
 * is empty. Most patterns differ from a path in the first letters, and are looked at no further. */
static bool path_matches(const char *pattern, struct str path, struct str params[ROUTE_PARAMS_MAX])
{
    size_t same = 0, count = 0;
    while (same < path.len && pattern[same] == path.ptr[same] && pattern[same] != '{')
        same++;
    if (pattern[same] != '{' && (pattern[same] != '\0' || same < path.len))
        return false;
    memset(params, 0, ROUTE_PARAMS_MAX * sizeof *params);
    if (pattern[same] == '\0')
        return true;
    struct str rest = str_of(pattern);
    while (rest.len > 0 && path.len > 0) {
        struct str want = next_segment(&rest), have = next_segment(&path);
        if (want.len > 0 && want.ptr[0] == '{') {
            if (have.len == 0 || count == ROUTE_PARAMS_MAX)
                return false;
            params[count++] = have;
        } else if (!str_eq(want, have)) {
            return false;
        }
    }
    return rest.len == 0 && path.len == 0;
}

static struct str without_end_slashes(struct str path)
{
    while (path.len > 1 && path.ptr[path.len - 1] == '/')
        path.len--;
    return path;
}

/* Whether a route stands for many paths. A path that another route names as it is, before this one
 * in the table, is not among them. */
static bool is_pattern(const struct route *route)
{
    return strchr(route->path, '{') != NULL;
}

static void look_in(const struct surface *surface, const char *method, struct str path,
                    struct route_match *out)
{
    if (surface->head_allowed && strcmp(method, "HEAD") == 0)
        method = "GET";
    bool ends_in_slash = path.len > 1 && path.ptr[path.len - 1] == '/';
    struct str stripped = without_end_slashes(path), params[ROUTE_PARAMS_MAX];
    bool named = false;
    for (size_t i = 0; i < surface->route_count; i++) {
        const struct route *route = &surface->routes[i];
        if (named && is_pattern(route))
            continue;
        if (path_matches(route->path, path, params)) {
            named = named || !is_pattern(route);
            out->path_known = true;
            out->surface = surface;
            if (strcmp(route->method, method) == 0) {
                out->route = route;
                memcpy(out->params, params, sizeof params);
                return;
            }
        } else if (ends_in_slash && surface->slash_redirects &&
                   path_matches(route->path, stripped, params)) {
            out->redirects = true;
            out->surface = surface;
        }
    }
}

/* The surface with the longest prefix of the path. */
static const struct surface *surface_of(const struct surface *const *surfaces, size_t count,
                                        struct str path)
{
    const struct surface *best = NULL;
    for (size_t i = 0; i < count; i++) {
        struct str prefix = str_of(surfaces[i]->prefix);
        bool begins = path.len >= prefix.len && memcmp(path.ptr, prefix.ptr, prefix.len) == 0;
        if (begins && (!best || prefix.len > strlen(best->prefix)))
            best = surfaces[i];
    }
    return best ? best : surfaces[0];
}

void route_find(const struct surface *const *surfaces, size_t count, const char *method,
                struct str path, struct route_match *out)
{
    *out = (struct route_match){0};
    for (size_t i = 0; i < count && !out->route; i++)
        look_in(surfaces[i], method, path, out);
    if (!out->surface)
        out->surface = surface_of(surfaces, count, path);
}

void route_allowed(const struct surface *surface, struct str path, struct buf *out)
{
    struct str params[ROUTE_PARAMS_MAX];
    bool named = false;
    for (size_t i = 0; i < surface->route_count; i++) {
        const struct route *route = &surface->routes[i];
        if ((named && is_pattern(route)) || !path_matches(route->path, path, params))
            continue;
        named = named || !is_pattern(route);
        buf_add_text(out, out->len > 0 ? ", " : "");
        buf_add_text(out, route->method);
    }
    buf_add_char(out, '\0');
}

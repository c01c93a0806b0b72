/* planchet_routes.c: the Planchet surface: its paths at the root, in both spellings. */
#include "http/planchet/planchet_own.h"

/* Rights are looked at by the handlers: Planchet's tokens travel in the query. */
static const struct route routes[] = {
    {"POST", "/serve", SCOPE_NONE, BODY_NONE, 0, planchet_serve},
    {"POST", "/receive", SCOPE_NONE, BODY_TAKEN, 0, planchet_receive},
    {"POST", "/mark-errors", SCOPE_NONE, BODY_TAKEN, 0, planchet_mark_errors},
    {"POST", "/mark_errors", SCOPE_NONE, BODY_TAKEN, 0, planchet_mark_errors},
    {"POST", "/scramble", SCOPE_NONE, BODY_TAKEN, 1 << 20, planchet_scramble},
    {"GET", "/report", SCOPE_NONE, BODY_NONE, 0, planchet_report},
    {"GET", "/health", SCOPE_NONE, BODY_NONE, 0, planchet_health},
    {"GET", "/health_check", SCOPE_NONE, BODY_NONE, 0, planchet_health},
    {"GET", "/delete", SCOPE_NONE, BODY_NONE, 0, planchet_delete},
    {"GET", "/clean", SCOPE_NONE, BODY_NONE, 0, planchet_clean},
    {"GET", "/purge", SCOPE_NONE, BODY_NONE, 0, planchet_purge},
};

const struct surface planchet_surface = {
    .prefix = "",
    .routes = routes,
    .route_count = sizeof routes / sizeof *routes,
    .slash_redirects = true,
    .head_allowed = false,
    .get_changes = true,
    .fail = planchet_fail,
};

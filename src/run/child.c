/* child.c: see child.h. */
#include "run/child.h"

#include <assert.h>

static const char *const names[CHILD_STATE_COUNT] = {
    [CHILD_RESTING] = "resting", [CHILD_STARTING] = "starting",   [CHILD_WAITING] = "waiting",
    [CHILD_WORKING] = "working", [CHILD_RECYCLING] = "recycling", [CHILD_LEAVING] = "leaving",
    [CHILD_LEFT] = "left",       [CHILD_KILLED] = "killed",       [CHILD_ENDED] = "ended",
    [CHILD_GONE] = "gone",
};

/* The state that follows, plus one; 0: the event cannot come there. */
#define TO(state) ((state) + 1)
static const unsigned char table[CHILD_STATE_COUNT][CHILD_EVENT_COUNT] = {
    [CHILD_RESTING] = {[CHILD_STOP] = TO(CHILD_GONE), [CHILD_DUE] = TO(CHILD_STARTING)},
    [CHILD_STARTING] = {[CHILD_HELLO] = TO(CHILD_WAITING),
                        [CHILD_FAILURE] = TO(CHILD_LEFT),
                        [CHILD_STOP] = TO(CHILD_ENDED),
                        [CHILD_KILL] = TO(CHILD_KILLED),
                        [CHILD_EXIT] = TO(CHILD_RESTING)},
    [CHILD_WAITING] = {[CHILD_GO] = TO(CHILD_WORKING),
                       [CHILD_FAILURE] = TO(CHILD_LEFT),
                       [CHILD_STOP] = TO(CHILD_LEAVING),
                       [CHILD_KILL] = TO(CHILD_KILLED),
                       [CHILD_EXIT] = TO(CHILD_RESTING)},
    [CHILD_WORKING] = {[CHILD_BYE] = TO(CHILD_LEFT),
                       [CHILD_RECYCLE] = TO(CHILD_RECYCLING),
                       [CHILD_FAILURE] = TO(CHILD_LEFT),
                       [CHILD_STOP] = TO(CHILD_LEAVING),
                       [CHILD_KILL] = TO(CHILD_KILLED),
                       [CHILD_EXIT] = TO(CHILD_RESTING)},
    [CHILD_RECYCLING] = {[CHILD_STOP] = TO(CHILD_LEFT),
                         [CHILD_KILL] = TO(CHILD_KILLED),
                         [CHILD_DUE] = TO(CHILD_KILLED),
                         [CHILD_EXIT] = TO(CHILD_RESTING)},
    /* A stop may cross what the process says on its own. */
    [CHILD_LEAVING] = {[CHILD_BYE] = TO(CHILD_LEFT),
                       [CHILD_RECYCLE] = TO(CHILD_LEFT),
                       [CHILD_FAILURE] = TO(CHILD_LEFT),
                       [CHILD_STOP] = TO(CHILD_LEAVING),
                       [CHILD_KILL] = TO(CHILD_ENDED),
                       [CHILD_DUE] = TO(CHILD_ENDED),
                       [CHILD_EXIT] = TO(CHILD_GONE)},
    [CHILD_LEFT] = {[CHILD_FAILURE] = TO(CHILD_LEFT),
                    [CHILD_STOP] = TO(CHILD_LEFT),
                    [CHILD_KILL] = TO(CHILD_ENDED),
                    [CHILD_DUE] = TO(CHILD_ENDED),
                    [CHILD_EXIT] = TO(CHILD_GONE)},
    /* What was said before the kill is still read after it. */
    [CHILD_KILLED] = {[CHILD_HELLO] = TO(CHILD_KILLED),
                      [CHILD_BYE] = TO(CHILD_ENDED),
                      [CHILD_RECYCLE] = TO(CHILD_KILLED),
                      [CHILD_FAILURE] = TO(CHILD_ENDED),
                      [CHILD_STOP] = TO(CHILD_ENDED),
                      [CHILD_KILL] = TO(CHILD_KILLED),
                      [CHILD_EXIT] = TO(CHILD_RESTING)},
    [CHILD_ENDED] = {[CHILD_HELLO] = TO(CHILD_ENDED),
                     [CHILD_BYE] = TO(CHILD_ENDED),
                     [CHILD_RECYCLE] = TO(CHILD_ENDED),
                     [CHILD_FAILURE] = TO(CHILD_ENDED),
                     [CHILD_STOP] = TO(CHILD_ENDED),
                     [CHILD_KILL] = TO(CHILD_ENDED),
                     [CHILD_EXIT] = TO(CHILD_GONE)},
    [CHILD_GONE] = {[CHILD_STOP] = TO(CHILD_GONE)},
};

const char *child_state_name(enum child_state state)
{
    return state < CHILD_STATE_COUNT ? names[state] : "unknown";
}

bool child_next(enum child_state state, enum child_event event, enum child_state *out)
{
    assert(state < CHILD_STATE_COUNT && event < CHILD_EVENT_COUNT);
    unsigned char next = table[state][event];
    if (!next)
        return false;
    *out = (enum child_state)(next - 1);
    return true;
}

bool child_is_there(enum child_state state)
{
    return state != CHILD_RESTING && state != CHILD_GONE;
}

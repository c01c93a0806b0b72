/* watch.c: a claim that waits at the end of a growing file is woken by inotify, not by looking
 * again and again. Best effort: where inotify cannot see (network file systems), the next claim
 * looks anyway. */
#include "engine/engine_state.h"

#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

void watch_job(struct engine *e, struct data_job *job)
{
    if (job->watched || !job->reader || source_fd(job->reader) < 0)
        return;
    if (e->watch_fd < 0)
        e->watch_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", source_fd(job->reader));
    /* One shot: armed again by the next claim that waits. Failure means no wake-up, nothing worse.
     */
    if (e->watch_fd < 0 || inotify_add_watch(e->watch_fd, path, IN_MODIFY | IN_ONESHOT) < 0)
        return;
    job->watched = true;
    job->again_now = true; /* what was appended before the watch stood is found by one more look */
}

void watch_drain(struct engine *e)
{
    char events[4096];
    bool any = false;
    while (e->watch_fd >= 0 && read(e->watch_fd, events, sizeof events) > 0)
        any = true;
    if (!any)
        return;
    /* Several jobs may read one file, and have one watch: it is used up for all of them, also for
     * those that nobody waits for just now. */
    for (size_t i = 0; i < e->jobs.count; i++) {
        struct data_job *job = e->jobs.jobs[i];
        bool watched = job->watched;
        job->watched = false;
        if (watched && job->waiting)
            claims_feed(e, job);
    }
}

int engine_watch_fd(const struct engine *e)
{
    return e->watch_fd;
}

/* fault.c: see fault.h; only test builds compile it. The plan is a handful of rows, so a list under
 * one mutex will do. */
#include "base/fault.h"

#include "base/own.h"
#include "base/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PLAN_MAX = 16, SEEN_MAX = 128, NAME_MAX_LEN = 48 };

struct fault {
    char name[NAME_MAX_LEN], action[8];
    int64_t left; /* passes until it happens */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static struct fault plan[PLAN_MAX];
static size_t plan_count, seen_count;
static const char *seen[SEEN_MAX];
static bool started;

static void read_plan(const char *text)
{
    plan_count = 0;
    while (text && *text && plan_count < PLAN_MAX) {
        struct fault *f = &plan[plan_count];
        long long left = 1;
        if (sscanf(text, "%47[^:,]:%lld:%7[a-z]", f->name, &left, f->action) == 3 && left > 0) {
            f->left = left;
            plan_count++;
        }
        text = strchr(text, ',');
        text = text ? text + 1 : NULL;
    }
}

/* Names are literals, so the pointer can be kept. */
static void note_seen(const char *name)
{
    for (size_t i = 0; i < seen_count; i++)
        if (strcmp(seen[i], name) == 0)
            return;
    if (seen_count < SEEN_MAX)
        seen[seen_count++] = name;
    const char *path = getenv("PENSTOCK_FAULT_LOG");
    if (!path)
        return;
    OWNED_FD int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    OWNED_MEM char *line = xasprintf("%s\n", name);
    if (fd >= 0 && write(fd, line, strlen(line)) < 0)
        errno = 0;
}

bool fault_hit(const char *name)
{
    bool hit = false;
    pthread_mutex_lock(&lock);
    if (!started) {
        started = true;
        read_plan(getenv("PENSTOCK_FAULT"));
    }
    note_seen(name);
    for (size_t i = 0; i < plan_count; i++) {
        struct fault *f = &plan[i];
        if (f->left == 0 || strcmp(f->name, name) != 0 || --f->left > 0)
            continue;
        if (strcmp(f->action, "kill") == 0)
            kill(getpid(), SIGKILL);
        hit = true;
        errno = strcmp(f->action, "full") == 0 ? ENOSPC : EIO;
    }
    int number = errno;
    pthread_mutex_unlock(&lock);
    errno = number;
    return hit;
}

void fault_set(const char *text)
{
    pthread_mutex_lock(&lock);
    started = true;
    read_plan(text);
    pthread_mutex_unlock(&lock);
}

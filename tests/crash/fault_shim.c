/* fault_shim.c: LD_PRELOAD shim that lets a test make the system's calls fail while a server runs.
 *
 * The test and the server share a small file, mapped by both (FAULT_SHIM_FILE): for each kind of
 * call an error number or a quirk, after how many calls it begins and how many it spoils. Only
 * regular files whose path contains `where` are touched, so that the sockets go on working. */
/* So that pwrite and pwrite64 are two names here, as programs link to either. */
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { KIND_WRITE, KIND_SYNC, KIND_CUT, KIND_READ, KIND_COUNT };
enum { QUIRK_NONE, QUIRK_SHORT, QUIRK_INTERRUPT };

/* The file's layout, all int32_t; fault_shim.py writes the same. */
struct rule {
    int32_t error; /* errno to fail with, 0: none */
    int32_t quirk; /* short counts, or EINTR every other call */
    int32_t after; /* calls that still go well */
    int32_t times; /* calls that are spoiled then; -1: all */
    int32_t seen;  /* calls spoiled so far */
};
struct plan {
    struct rule rules[KIND_COUNT];
    char where[64];
};

static struct plan *plan;

__attribute__((constructor)) static void map_plan(void)
{
    const char *path = getenv("FAULT_SHIM_FILE");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *at = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    plan = at == MAP_FAILED ? NULL : at;
}

/* Whether fd is a regular file whose path contains plan->where. */
static bool is_meant(int fd)
{
    struct stat st;
    if (!plan || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return false;
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof path - 1);
    if (len < 0)
        return false;
    path[len] = '\0';
    return strstr(path, plan->where) != NULL;
}

/* The rule to apply to this call, NULL when it is to go well. */
static struct rule *spoil(int kind, int fd)
{
    int saved = errno;
    bool meant = is_meant(fd);
    errno = saved;
    if (!meant)
        return NULL;
    struct rule *r = &plan->rules[kind];
    if (r->error == 0 && r->quirk == QUIRK_NONE)
        return NULL;
    if (__atomic_fetch_sub(&r->after, 1, __ATOMIC_SEQ_CST) > 0)
        return NULL;
    __atomic_store_n(&r->after, 0, __ATOMIC_SEQ_CST);
    int32_t n = __atomic_add_fetch(&r->seen, 1, __ATOMIC_SEQ_CST);
    return r->times < 0 || n <= r->times ? r : NULL;
}

/* True when the call is over already, with the result in *result. `len` may be made shorter. */
static bool ruined(int kind, int fd, size_t *len, ssize_t *result)
{
    const struct rule *r = spoil(kind, fd);
    if (!r)
        return false;
    *result = -1;
    if (r->error) {
        errno = r->error;
        return true;
    }
    if (r->quirk == QUIRK_INTERRUPT && r->seen % 2 == 1) {
        errno = EINTR;
        return true;
    }
    if (r->quirk == QUIRK_SHORT && len && *len > 1)
        *len = (*len + 1) / 2;
    return false;
}

/* The real function, looked up once. */
#define REAL(name)                                                                                 \
    static __typeof__(&name) real;                                                                 \
    if (!real)                                                                                     \
    *(void **)&real = dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *bytes, size_t len)
{
    REAL(write);
    ssize_t result = 0;
    return ruined(KIND_WRITE, fd, &len, &result) ? result : real(fd, bytes, len);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    REAL(pwrite);
    ssize_t result = 0;
    return ruined(KIND_WRITE, fd, &len, &result) ? result : real(fd, bytes, len, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at)
{
    REAL(pwrite64);
    ssize_t result = 0;
    return ruined(KIND_WRITE, fd, &len, &result) ? result : real(fd, bytes, len, at);
}

/* A short count of many pieces is a write of the first one's half. */
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    REAL(pwritev);
    ssize_t result = 0;
    size_t len = count > 0 ? parts[0].iov_len : 0, whole = len;
    if (ruined(KIND_WRITE, fd, &len, &result))
        return result;
    return len < whole ? pwrite(fd, parts[0].iov_base, len, at) : real(fd, parts, count, at);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at)
{
    return pwritev(fd, parts, count, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    REAL(writev);
    ssize_t result = 0;
    size_t len = count > 0 ? parts[0].iov_len : 0, whole = len;
    if (ruined(KIND_WRITE, fd, &len, &result))
        return result;
    return len < whole ? write(fd, parts[0].iov_base, len) : real(fd, parts, count);
}

ssize_t read(int fd, void *out, size_t len)
{
    REAL(read);
    ssize_t result = 0;
    return ruined(KIND_READ, fd, &len, &result) ? result : real(fd, out, len);
}

ssize_t pread(int fd, void *out, size_t len, off_t at)
{
    REAL(pread);
    ssize_t result = 0;
    return ruined(KIND_READ, fd, &len, &result) ? result : real(fd, out, len, at);
}

ssize_t pread64(int fd, void *out, size_t len, off64_t at)
{
    REAL(pread64);
    ssize_t result = 0;
    return ruined(KIND_READ, fd, &len, &result) ? result : real(fd, out, len, at);
}

int fdatasync(int fd)
{
    REAL(fdatasync);
    ssize_t result = 0;
    return ruined(KIND_SYNC, fd, NULL, &result) ? (int)result : real(fd);
}

int fsync(int fd)
{
    REAL(fsync);
    ssize_t result = 0;
    return ruined(KIND_SYNC, fd, NULL, &result) ? (int)result : real(fd);
}

int ftruncate(int fd, off_t length)
{
    REAL(ftruncate);
    ssize_t result = 0;
    return ruined(KIND_CUT, fd, NULL, &result) ? (int)result : real(fd, length);
}

int ftruncate64(int fd, off64_t length)
{
    REAL(ftruncate64);
    ssize_t result = 0;
    return ruined(KIND_CUT, fd, NULL, &result) ? (int)result : real(fd, length);
}

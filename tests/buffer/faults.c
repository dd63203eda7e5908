/* Makes calls that change the disk below one folder fail: preloaded into the real store by a test.
 *
 * The process arms it by `fault_arm(folder, n, errno, lasting)`: the n-th such call fails, and if `lasting` all
 * after it, until `fault_lift()`. `fault_seen()` tells how many calls there were, `fault_fired()` how many failed.
 * Counted are write, pwrite, sendfile, ftruncate, fallocate, open with O_CREAT, mkdir, rename, link, unlink, fsync.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static char folder[4096];
static long at, seen, fired;
static int code, lasting;
static char last[64];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(type, name, ...) static type (*real)(__VA_ARGS__); if (!real) real = dlsym(RTLD_NEXT, #name)

void fault_arm(const char *where, long n, int error, int lasts) {
    pthread_mutex_lock(&lock);
    snprintf(folder, sizeof folder, "%s/", where);
    at = n; code = error; lasting = lasts; seen = fired = 0; last[0] = 0;
    pthread_mutex_unlock(&lock);
}
void fault_lift(void) { pthread_mutex_lock(&lock); folder[0] = 0; pthread_mutex_unlock(&lock); }
long fault_seen(void) { return seen; }
long fault_fired(void) { return fired; }
const char *fault_last(void) { return last; }

static int fails(const char *path, const char *what) {
    if (!folder[0] || !path || strncmp(path, folder, strlen(folder))) return 0;
    pthread_mutex_lock(&lock);
    seen++;
    int now = folder[0] && (seen == at || (lasting && at && seen > at));
    if (now) {
        if (!fired) {
            const char *name = strrchr(path, '/');
            snprintf(last, sizeof last, "%s %s", what, name ? name + 1 : path);
        }
        fired++;
    }
    pthread_mutex_unlock(&lock);
    if (now) errno = code;
    return now;
}
static int fails_fd(int fd, const char *what) {
    if (!folder[0] || fd < 3) return 0;
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int kept = errno;
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = kept;
    if (length < 0) return 0;
    path[length] = 0;
    return fails(path, what);
}

#define OPEN(name) int name(const char *path, int flags, ...) { \
    REAL(int, name, const char *, int, ...); \
    va_list rest; va_start(rest, flags); int mode = va_arg(rest, int); va_end(rest); \
    if ((flags & O_CREAT) && fails(path, "open")) return -1; \
    return real(path, flags, mode); }
OPEN(open)
OPEN(open64)
ssize_t write(int fd, const void *bytes, size_t length) {
    REAL(ssize_t, write, int, const void *, size_t);
    return fails_fd(fd, "write") ? -1 : real(fd, bytes, length);
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
    REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
    return fails_fd(fd, "pwrite") ? -1 : real(fd, bytes, length, offset);
}
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
    REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t);
    return fails_fd(fd, "pwrite") ? -1 : real(fd, bytes, length, offset);
}
ssize_t sendfile(int out, int in, off_t *offset, size_t count) {
    REAL(ssize_t, sendfile, int, int, off_t *, size_t);
    return fails_fd(out, "sendfile") ? -1 : real(out, in, offset, count);
}
ssize_t sendfile64(int out, int in, off64_t *offset, size_t count) {
    REAL(ssize_t, sendfile64, int, int, off64_t *, size_t);
    return fails_fd(out, "sendfile") ? -1 : real(out, in, offset, count);
}
int ftruncate(int fd, off_t length) { REAL(int, ftruncate, int, off_t); return fails_fd(fd, "ftruncate") ? -1 : real(fd, length); }
int ftruncate64(int fd, off64_t length) { REAL(int, ftruncate64, int, off64_t); return fails_fd(fd, "ftruncate") ? -1 : real(fd, length); }
int posix_fallocate(int fd, off_t offset, off_t length) {
    REAL(int, posix_fallocate, int, off_t, off_t);
    return fails_fd(fd, "fallocate") ? code : real(fd, offset, length);
}
int posix_fallocate64(int fd, off64_t offset, off64_t length) {
    REAL(int, posix_fallocate64, int, off64_t, off64_t);
    return fails_fd(fd, "fallocate") ? code : real(fd, offset, length);
}
int fsync(int fd) { REAL(int, fsync, int); return fails_fd(fd, "fsync") ? -1 : real(fd); }
int fdatasync(int fd) { REAL(int, fdatasync, int); return fails_fd(fd, "fdatasync") ? -1 : real(fd); }
int mkdir(const char *path, mode_t mode) { REAL(int, mkdir, const char *, mode_t); return fails(path, "mkdir") ? -1 : real(path, mode); }
int rename(const char *from, const char *to) { REAL(int, rename, const char *, const char *); return fails(to, "rename") ? -1 : real(from, to); }
int link(const char *from, const char *to) { REAL(int, link, const char *, const char *); return fails(to, "link") ? -1 : real(from, to); }
int unlink(const char *path) {
    REAL(int, unlink, const char *);
    /* A full disk still deletes; a read-only or broken one does not. */
    return code != ENOSPC && fails(path, "unlink") ? -1 : real(path);
}

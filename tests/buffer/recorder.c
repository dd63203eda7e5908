/* Records what a process writes below one folder, in order: preloaded into the real store by a test.
 *
 * Every record is: kind (1 byte), length of the name (1), name, offset (8), length (8), bytes. Kinds: w write,
 * t truncate, f make at least so long, s sync, u unlink, a line on standard output is `a`. Shared memory (-shm) is left out: it is made anew at every start.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define FILES 4096
static char names[FILES][64];
static int out = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(type, name, ...) static type (*real)(__VA_ARGS__); if (!real) real = dlsym(RTLD_NEXT, #name)

static const char *wanted(const char *path) {
    const char *folder = getenv("RECORD_FOLDER");
    size_t length = folder ? strlen(folder) : 0;
    if (!folder || strncmp(path, folder, length) || path[length] != '/') return NULL;
    const char *name = path + length + 1;
    if (strstr(name, "-shm") || strchr(name, '/') || strlen(name) > 63) return NULL;
    return name;
}

static void put(char kind, const char *name, uint64_t offset, uint64_t length, const void *bytes) {
    REAL(ssize_t, write, int, const void *, size_t);
    if (out < 0) out = open(getenv("RECORD_OUT"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    size_t named = strlen(name), held = (kind == 'w' || kind == 'a') ? length : 0, total = 2 + named + 16 + held;
    char *record = malloc(total), *at = record;
    *at++ = kind; *at++ = (char)named;
    memcpy(at, name, named); at += named;
    memcpy(at, &offset, 8); at += 8;
    memcpy(at, &length, 8); at += 8;
    if (held) memcpy(at, bytes, held);
    real(out, record, total);
    free(record);
}

static int track(int fd, const char *path) {
    if (fd >= 0 && fd < FILES) {
        const char *name = wanted(path);
        strcpy(names[fd], name ? name : "");
    }
    return fd;
}

#define KNOWN(fd) ((fd) >= 0 && (fd) < FILES && names[fd][0])

int open64(const char *path, int flags, ...) {
    REAL(int, open64, const char *, int, ...);
    va_list rest; va_start(rest, flags); int mode = va_arg(rest, int); va_end(rest);
    return track(real(path, flags, mode), path);
}
int open(const char *path, int flags, ...) {
    REAL(int, open, const char *, int, ...);
    va_list rest; va_start(rest, flags); int mode = va_arg(rest, int); va_end(rest);
    return track(real(path, flags, mode), path);
}
int close(int fd) {
    REAL(int, close, int);
    if (fd >= 0 && fd < FILES) names[fd][0] = 0;
    return real(fd);
}
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
    REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t);
    pthread_mutex_lock(&lock);
    ssize_t done = real(fd, bytes, length, offset);
    if (done > 0 && KNOWN(fd)) put('w', names[fd], offset, done, bytes);
    pthread_mutex_unlock(&lock);
    return done;
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) { return pwrite64(fd, bytes, length, offset); }
static int resized(int fd, off64_t length) {
    if (KNOWN(fd)) { pthread_mutex_lock(&lock); put('t', names[fd], 0, length, 0); pthread_mutex_unlock(&lock); }
    return 0;
}
int ftruncate64(int fd, off64_t length) { REAL(int, ftruncate64, int, off64_t); int r = real(fd, length); return r ? r : resized(fd, length); }
int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }
int posix_fallocate64(int fd, off64_t offset, off64_t length) {
    REAL(int, posix_fallocate64, int, off64_t, off64_t);
    int r = real(fd, offset, length);
    if (!r && KNOWN(fd)) { pthread_mutex_lock(&lock); put('f', names[fd], 0, offset + length, 0); pthread_mutex_unlock(&lock); }
    return r;
}
int posix_fallocate(int fd, off_t offset, off_t length) { return posix_fallocate64(fd, offset, length); }
static void synced(int fd) {
    if (KNOWN(fd)) { pthread_mutex_lock(&lock); put('s', names[fd], 0, 0, 0); pthread_mutex_unlock(&lock); }
}
int fsync(int fd) { REAL(int, fsync, int); int r = real(fd); synced(fd); return r; }
int fdatasync(int fd) { REAL(int, fdatasync, int); int r = real(fd); synced(fd); return r; }
int unlink(const char *path) {
    REAL(int, unlink, const char *);
    int r = real(path);
    const char *name = wanted(path);
    if (!r && name) { pthread_mutex_lock(&lock); put('u', name, 0, 0, 0); pthread_mutex_unlock(&lock); }
    return r;
}
/* What the process under test was told, among the writes: a line on standard output. */
ssize_t write(int fd, const void *bytes, size_t length) {
    REAL(ssize_t, write, int, const void *, size_t);
    if (fd != 1 || !getenv("RECORD_FOLDER")) return real(fd, bytes, length);
    pthread_mutex_lock(&lock);
    put('a', "said", 0, length, bytes);
    pthread_mutex_unlock(&lock);
    return (ssize_t)length;
}

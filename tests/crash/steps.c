/* Numbers the steps of one process and kills it at a chosen one: preloaded into a station by the crash matrix.
 *
 * A step is a call that changes the disk or the network. Its name is what is done and to what, without hashes
 * and numbers: `sync buffer/buffer.db-wal`, `rename spool/e#.json -> spool/.claimed/e#.json`, `send PATCH`.
 * STEPS_FOLDER is the folder whose files count, STEPS_OUT takes one name per line. STEPS_CUT is
 * `before|after|torn:N:NAME`: SIGKILL before or after the N-th step of that name (`*`: of all), or in the
 * middle of it, with half of its bytes gone out.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REAL(type, name, ...) static type (*real)(__VA_ARGS__); if (!real) real = dlsym(RTLD_NEXT, #name)
#define LONGEST 600
enum when { NOT, BEFORE, AFTER, TORN };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int out = -1;
static long seen;

static const char *folder(void) { return getenv("STEPS_FOLDER"); }

static void say(const char *text) {
    char line[LONGEST + 16];
    int length = snprintf(line, sizeof line, "%s\n", text);
    if (out < 0) out = syscall(SYS_openat, AT_FDCWD, getenv("STEPS_OUT"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (syscall(SYS_write, out, line, length) != length) abort();
}

static void die(void) {
    say("CUT");
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) pause();
}

/* Notes a step; tells whether and when this is the one to die at. Dies here for `before`. */
static enum when step(const char *name) {
    enum when found = NOT;
    pthread_mutex_lock(&lock);
    say(name);
    const char *cut = getenv("STEPS_CUT"), *count = cut ? strchr(cut, ':') : NULL;
    const char *wanted = count ? strchr(count + 1, ':') : NULL;
    if (wanted && (!strcmp(wanted + 1, "*") || !strcmp(wanted + 1, name)) && ++seen == atol(count + 1))
        found = cut[0] == 'b' ? BEFORE : cut[0] == 'a' ? AFTER : TORN;
    if (found == BEFORE) die();
    pthread_mutex_unlock(&lock);
    return found;
}

static int hex(const char *at, size_t length) { return strspn(at, "0123456789abcdef") == length; }

/* The path below the folder, without what differs from run to run; 0 when it is elsewhere. */
static int role(const char *path, char *into, size_t room) {
    size_t own = folder() ? strlen(folder()) : 0, at = 0;
    if (!own || strncmp(path, folder(), own) || (path[own] != '/' && path[own])) return 0;
    path += own + (path[own] == '/');
    if (!*path) { snprintf(into, room, "."); return 1; }
    while (*path && at < room - 4) {
        size_t part = strcspn(path, "/");
        if (part >= 32 && hex(path, part)) into[at++] = '*';
        else if (part == 2 && hex(path, part)) { into[at++] = '?'; into[at++] = '?'; }
        else for (size_t i = 0; i < part && at < room - 4; i++) {
            int digit = path[i] >= '0' && path[i] <= '9';
            if (!digit) into[at++] = path[i];
            else if (!at || into[at - 1] != '#') into[at++] = '#';
        }
        path += part;
        if (*path == '/') { into[at++] = '/'; path++; }
    }
    into[at] = 0;
    return 1;
}

static int role_of_fd(int fd, char *into, size_t room) {
    char link[64], path[4096];
    if (!folder()) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return role(path, into, room);
}

static int role_at(int dir, const char *name, char *into, size_t room) {
    char link[64], path[8192];
    if (!folder()) return 0;
    if (name[0] == '/' || dir == AT_FDCWD) return role(name, into, room);
    snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
    ssize_t length = readlink(link, path, 4095);
    if (length <= 0) return 0;
    snprintf(path + length, sizeof path - length, "/%s", name);
    return role(path, into, room);
}

static enum when on_path(const char *what, int dir, const char *path) {
    char place[256], name[LONGEST];
    if (!role_at(dir, path, place, sizeof place)) return NOT;
    snprintf(name, sizeof name, "%s %s", what, place);
    return step(name);
}

static enum when on_file(const char *what, int fd) {
    char place[256], name[LONGEST];
    if (!role_of_fd(fd, place, sizeof place)) return NOT;
    snprintf(name, sizeof name, "%s %s", what, place);
    return step(name);
}

static int finished(int result, enum when when) {
    if (when != NOT) die();
    return result;
}

int fsync(int fd) { REAL(int, fsync, int); enum when w = on_file("sync", fd); return finished(real(fd), w); }
int fdatasync(int fd) { REAL(int, fdatasync, int); enum when w = on_file("sync", fd); return finished(real(fd), w); }
int ftruncate64(int fd, off64_t length) {
    REAL(int, ftruncate64, int, off64_t);
    enum when w = on_file("truncate", fd);
    return finished(real(fd, length), w);
}
int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }
int unlink(const char *path) {
    REAL(int, unlink, const char *);
    enum when w = on_path("unlink", AT_FDCWD, path);
    return finished(real(path), w);
}
int mkdir(const char *path, mode_t mode) {
    REAL(int, mkdir, const char *, mode_t);
    enum when w = on_path("mkdir", AT_FDCWD, path);
    return finished(real(path, mode), w);
}

static enum when on_rename(int from_dir, const char *from, int to_dir, const char *to) {
    char left[256], right[256], name[LONGEST];
    if (!role_at(from_dir, from, left, sizeof left) || !role_at(to_dir, to, right, sizeof right)) return NOT;
    snprintf(name, sizeof name, "rename %s -> %s", left, right);
    return step(name);
}
int rename(const char *from, const char *to) {
    REAL(int, rename, const char *, const char *);
    enum when w = on_rename(AT_FDCWD, from, AT_FDCWD, to);
    return finished(real(from, to), w);
}
int renameat(int from_dir, const char *from, int to_dir, const char *to) {
    REAL(int, renameat, int, const char *, int, const char *);
    enum when w = on_rename(from_dir, from, to_dir, to);
    return finished(real(from_dir, from, to_dir, to), w);
}

#define MODE int mode = 0; if (flags & (O_CREAT | __O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, int); va_end(rest); }
static enum when on_open(const char *path, int flags) {
    return (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL) ? on_path("create", AT_FDCWD, path) : NOT;
}
int open64(const char *path, int flags, ...) {
    MODE REAL(int, open64, const char *, int, ...);
    enum when w = on_open(path, flags);
    return finished(real(path, flags, mode), w);
}
int open(const char *path, int flags, ...) { MODE return open64(path, flags, mode); }

/* Half of the bytes, then nothing more. */
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
    REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t);
    enum when w = on_file("write", fd);
    ssize_t done = real(fd, bytes, w == TORN ? length / 2 : length, offset);
    if (w != NOT) die();
    return done;
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) { return pwrite64(fd, bytes, length, offset); }
ssize_t write(int fd, const void *bytes, size_t length) {
    REAL(ssize_t, write, int, const void *, size_t);
    enum when w = on_file("write", fd);
    ssize_t done = real(fd, bytes, w == TORN ? length / 2 : length);
    if (w != NOT) die();
    return done;
}

static int family(int fd) {
    struct sockaddr_storage own;
    socklen_t size = sizeof own;
    return folder() && !getsockname(fd, (struct sockaddr *)&own, &size) ? own.ss_family : AF_UNSPEC;
}

/* `send POST events`, `recv 201`; at the station's own socket `ask POST`, `answer 202`. Empty: no step. */
static void spoken(int fd, const char *bytes, size_t length, int sent, char *name, size_t room) {
    int kind = family(fd);
    const char *end = memchr(bytes, '\r', length < 300 ? length : 300);
    char line[301] = "", verb[16] = "", path[240] = "";
    *name = 0;
    if (kind != AF_INET && kind != AF_UNIX) return;
    if (end) memcpy(line, bytes, end - bytes);
    sscanf(line, "%15s %239s", verb, path);
    int answer = !strncmp(verb, "HTTP/", 5), request = !!strstr(line, " HTTP/1.");
    if (kind == AF_UNIX) {
        if (sent && answer) snprintf(name, room, "answer %.3s", path);
        else if (!sent && request) snprintf(name, room, "ask %s", verb);
        return;
    }
    const char *last = strrchr(path, '/');
    if (sent && request) snprintf(name, room, "send %s %s", verb, strstr(path, "/upl_") ? "piece" : last ? last + 1 : "");
    else if (sent) snprintf(name, room, "send more");
    else snprintf(name, room, answer ? "recv %.3s" : "recv more", path);
}
ssize_t send(int fd, const void *bytes, size_t length, int flags) {
    REAL(ssize_t, send, int, const void *, size_t, int);
    char name[LONGEST];
    spoken(fd, bytes, length, 1, name, sizeof name);
    enum when w = *name ? step(name) : NOT;
    ssize_t done = real(fd, bytes, w == TORN ? length / 2 : length, flags);
    if (w != NOT) die();
    return done;
}
/* What came in is known only afterwards, so there is no `before`: it is the `after` of the send. */
ssize_t recv(int fd, void *bytes, size_t length, int flags) {
    REAL(ssize_t, recv, int, void *, size_t, int);
    char name[LONGEST];
    ssize_t done = real(fd, bytes, length, flags);
    if (done <= 0) return done;
    spoken(fd, bytes, done, 0, name, sizeof name);
    if (*name && step(name) != NOT) die();
    return done;
}

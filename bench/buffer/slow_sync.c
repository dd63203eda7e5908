/* A library for LD_PRELOAD: every sync takes SLOW_SYNC_MS longer, as on a memory card. Nothing else changes. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

static void wait_for_the_card(void) {
    const char *told = getenv("SLOW_SYNC_MS"); /* read each time: the process switches it on when it is warm */
    long ms = told ? strtol(told, NULL, 10) : 0;
    if (ms <= 0) return;
    struct timespec left = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&left, &left)) ;
}

int fsync(int fd) {
    static int (*real)(int);
    if (!real) real = dlsym(RTLD_NEXT, "fsync");
    wait_for_the_card();
    return real(fd);
}

int fdatasync(int fd) {
    static int (*real)(int);
    if (!real) real = dlsym(RTLD_NEXT, "fdatasync");
    wait_for_the_card();
    return real(fd);
}

/* Shows one process another wall clock than the machine's, and says whether it is synchronised; preloaded.
 *
 * The file that NETFAULTS_CLOCK names holds two int64: seconds to add, and 1 when the clock is synchronised.
 * It is mapped, so that a test can change the time while the process runs. Monotonic clocks stay as they are.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *shown;

__attribute__((constructor)) static void open_shown(void)
{
    const char *path = getenv("NETFAULTS_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *memory = mmap(NULL, 2 * sizeof *shown, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (memory != MAP_FAILED)
        shown = memory;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && shown && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += shown[0];
    return result;
}

time_t time(time_t *where)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (where)
        *where = now.tv_sec;
    return now.tv_sec;
}

int gettimeofday(struct timeval *restrict where, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    where->tv_sec = now.tv_sec;
    where->tv_usec = now.tv_nsec / 1000;
    return 0;
}

int adjtimex(struct timex *asked)
{
    int state = (int)syscall(SYS_adjtimex, asked);
    if (state < 0 || !shown)
        return state;
    if (shown[1]) {
        asked->status &= ~STA_UNSYNC;
        return TIME_OK;
    }
    asked->status |= STA_UNSYNC;
    return TIME_ERROR;
}

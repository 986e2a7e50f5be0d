/* Preloaded into a service: adds the seconds in a file, which may change at any time, to the service's time of day. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define NEXT(name) \
    static __typeof__(&name) next; \
    if (!next) \
        next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

/* Times before this are measured from the host's boot, and are not affected when its clock is set. */
#define TIME_OF_DAY 1000000000

static const char *offset;

__attribute__((constructor)) static void map_offset(void)
{
    int file = open(CLOCK, O_RDONLY | O_CLOEXEC);
    void *content = mmap(NULL, 1, PROT_READ, MAP_SHARED, file, 0);

    if (content != MAP_FAILED)
        offset = content;
    close(file);
}

static long jump(void)
{
    return offset ? atol(offset) : 0;
}

/* Convert a time of this clock to the kernel's. */
static const struct timespec *kernels(const struct timespec *moment, struct timespec *room)
{
    if (!moment || moment->tv_sec < TIME_OF_DAY)
        return moment;
    *room = *moment;
    room->tv_sec -= jump();
    return room;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    NEXT(clock_gettime);
    int failed = next(clock, now);

    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += jump();
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    NEXT(gettimeofday);
    int failed = next(now, zone);

    if (!failed)
        now->tv_sec += jump();
    return failed;
}

time_t time(time_t *result)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (result)
        *result = now.tv_sec;
    return now.tv_sec;
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *wanted, struct timespec *left)
{
    NEXT(clock_nanosleep);
    struct timespec room;

    return next(clock, flags, flags & TIMER_ABSTIME ? kernels(wanted, &room) : wanted, left);
}

int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until)
{
    NEXT(pthread_cond_timedwait);
    struct timespec room;

    return next(condition, mutex, kernels(until, &room));
}

int pthread_cond_clockwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex, clockid_t clock,
                           const struct timespec *restrict until)
{
    NEXT(pthread_cond_clockwait);
    struct timespec room;

    return next(condition, mutex, clock, kernels(until, &room));
}

int pthread_mutex_timedlock(pthread_mutex_t *restrict mutex, const struct timespec *restrict until)
{
    NEXT(pthread_mutex_timedlock);
    struct timespec room;

    return next(mutex, kernels(until, &room));
}

int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict until)
{
    NEXT(sem_timedwait);
    struct timespec room;

    return next(semaphore, kernels(until, &room));
}

int sem_clockwait(sem_t *restrict semaphore, clockid_t clock, const struct timespec *restrict until)
{
    NEXT(sem_clockwait);
    struct timespec room;

    return next(semaphore, clock, kernels(until, &room));
}

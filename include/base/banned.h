/*
 * banned.h: functions with no safe use become compile errors. Force-included by the build after the system's
 * headers that declare them.
 */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Macros of glibc's fortified headers under clang. */
#undef sprintf
#undef vsprintf

#pragma GCC poison strcpy strcat sprintf vsprintf strtok atoi atol atoll gmtime localtime ctime \
    asctime gets

#endif

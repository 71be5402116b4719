/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Ends the process with an error. */
#ifndef ERRORS_H
#define ERRORS_H

#include <linux/types.h>

#define EXIT_USAGE 2

/* Exits with 2, because what it was given is wrong. */
void __attribute__((noreturn)) wrong_usage(const char *what);

/* Prints the errno, and exits with 1. */
void __attribute__((noreturn)) fail(int error, const char *what);
void __attribute__((noreturn)) fail_at(int error, const char *what, __u32 map);

#endif

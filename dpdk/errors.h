/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Says what failed, and ends the process. */
#ifndef ERRORS_H
#define ERRORS_H

enum { EXIT_USAGE = 2 };

/* Exits with 2, because the command line is wrong. */
void __attribute__((noreturn, format(printf, 1, 2)))
wrong_usage(const char *format, ...);

/* Exits with 1. Either line is left out if it is NULL. */
void __attribute__((noreturn, format(printf, 3, 4)))
fail(const char *cause, const char *next, const char *format, ...);

/* One line on stderr. */
void __attribute__((format(printf, 1, 2))) say(const char *format, ...);

#endif

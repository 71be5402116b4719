/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How the process ends when it cannot go on. */
#ifndef ERRORS_H
#define ERRORS_H

/* The command line is wrong: exits with 2. */
void __attribute__((noreturn, format(printf, 1, 2)))
wrong_usage(const char *format, ...);

/* Exits with 1, and prints the errno with its likely cause and what to do. */
void __attribute__((noreturn, format(printf, 2, 3)))
fail(int error, const char *format, ...);

#endif

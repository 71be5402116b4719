/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Ends the process with an error. */
#ifndef ERRORS_H
#define ERRORS_H

#define EXIT_USAGE 2

/* Exits with 2, because the command line is wrong. */
void __attribute__((noreturn)) wrong_usage(const char *what);

/* Prints the errno with its likely cause and the next command, and exits with 1. */
void __attribute__((noreturn)) fail(int error, const char *what);

#endif

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "errors.h"

void wrong_usage(const char *what)
{
	fprintf(stderr, "entries: %s\n(--help explains the file)\n", what);
	exit(EXIT_USAGE);
}

void fail(int error, const char *what)
{
	fprintf(stderr, "entries: %s: %s\n", what, strerror(error));
	exit(EXIT_FAILURE);
}

void fail_at(int error, const char *what, __u32 map)
{
	fprintf(stderr, "entries: %s %u: %s\n", what, map, strerror(error));
	exit(EXIT_FAILURE);
}

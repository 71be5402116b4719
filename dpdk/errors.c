// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "errors.h"

static void tell(const char *format, va_list arguments)
{
	fputs("l4lb-dpdk: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
}

void wrong_usage(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	tell(format, arguments);
	va_end(arguments);
	fputs("(l4lb-dpdk --help explains the options)\n", stderr);
	exit(EXIT_USAGE);
}

void fail(const char *cause, const char *next, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	tell(format, arguments);
	va_end(arguments);
	if (cause)
		fprintf(stderr, "  likely cause: %s\n", cause);
	if (next)
		fprintf(stderr, "  next: %s\n", next);
	exit(EXIT_FAILURE);
}

void say(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	tell(format, arguments);
	va_end(arguments);
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * verified OBJECT: loads the object's program, and prints how many instructions the
 * verifier looked at. `bpftool -d prog load` says so too, but only at the end of half a
 * minute and up to 350 MB of log. The kernel prints the figures alone if asked for
 * nothing else.
 */
#include <bpf/libbpf.h>
#include <stdio.h>
#include <string.h>

/* A log_level for the statistics without a line for each instruction. */
#define STATISTICS 4

int main(int count, char **arguments)
{
	struct bpf_program *program;
	struct bpf_object *object;
	static char log[4096];
	const char *line;
	unsigned long instructions;

	if (count != 2)
		return 2;
	object = bpf_object__open(arguments[1]);
	if (!object)
		return 1;
	program = bpf_object__next_program(object, NULL);
	if (!program)
		return 1;
	bpf_program__set_log_level(program, STATISTICS);
	bpf_program__set_log_buf(program, log, sizeof(log));
	if (bpf_object__load(object)) {
		fputs(log, stderr);
		return 1;
	}
	line = strstr(log, "processed ");
	if (!line || sscanf(line, "processed %lu", &instructions) != 1)
		return 1;
	printf("%lu\n", instructions);
	return 0;
}

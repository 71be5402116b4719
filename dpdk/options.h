/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The command line: what is DPDK's, and what is ours behind the "--". */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <linux/types.h>
#include <stdbool.h>

#define MOST_OWN 16

struct own_address {
	bool is_ipv6;
	__u8 bytes[16];
};

struct options {
	const char *exception; /* the device for what is not ours; NULL: none */
	const char *
		device; /* by which the tools know the tables; NULL: see main.c */
	struct own_address own[MOST_OWN];
	int own_count;
	__u32 nap; /* microseconds; 0: never */
	__u32 sets; /* of connections; 0: as many as the program has */
	__u32 blocks; /* likewise */
};

/*
 * Takes our options off the command line, and adds to DPDK's what is wanted unless the user
 * says otherwise: no card but one that is named, and small pages if there are no huge ones.
 * `eal` gets those, ends with NULL, and has to be freed. Returns how many they are.
 */
int parse_options(int argc, char **argv, struct options *options, char ***eal);

#endif

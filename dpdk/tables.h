/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The tables are the kernel's own maps, those of a program that it has loaded and runs for
 * nobody. The tools find and write them as ever, and this process maps them into its memory,
 * so that each sees at once what the other writes.
 *
 * Only arrays can be mapped. Of hashes, which only answers to clients need, each entry is
 * asked for. What the kernel counts for each processor is counted by each thread in memory
 * of its own, and a thread that has time adds it up.
 */
#ifndef TABLES_H
#define TABLES_H

#include <linux/types.h>

#define MOST_THREADS 128

/* Loads the program, which makes its maps. Returns its descriptor. */
int load_program(__u32 sets, __u32 blocks);
/* Returns the descriptor of a loaded program, or -1 if it is gone. */
int find_program(__u32 id);
__u32 id_of_program(int program);
void name_of_program(int program, char name[16]);

/* Maps the tables of a program into this process. */
void open_tables(int program);
/* Gives the calling thread its view of them; `number` is that of its counters. */
void view_tables(unsigned int number);
/* Adds what threads have counted since the last time to the kernel's counters. */
void add_counters(void);

#endif

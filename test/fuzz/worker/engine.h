/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What runs a program on frames: the kernel, or this process. */
#ifndef ENGINE_H
#define ENGINE_H

#include <linux/types.h>

/* The longest frame that the fuzzer makes, and what an outer header adds. */
#define LONGEST 9018
#define ROOM 256

/*
 * Stands in front of each frame. Where the frame grows over it, what the program does not
 * write is seen: elsewhere it would be zeros.
 */
#define DIRT 0xa5
#define DIRTY_BYTES 64

/* So much of a frame is in its first buffer; programs for jumbo frames see no more. */
#define FIRST_BUFFER 3456

struct table {
	const char *name;
	__u32 entries;
	__u32 key_size;
	__u32 value_size;
	const void *handle; /* of the engine */
};

struct frame {
	__u32 length;
	__u32 action;
	__u8 bytes[LONGEST + ROOM];
};

/* Sizes of tables, as NAME=ENTRIES, take the place of the program's own. */
void engine_open(const char *object, int size_count, char **sizes);
struct table *engine_table(const char *name);
void engine_write(struct table *table, const void *key, const void *value);
void engine_empty(struct table *table);
/* All values of a table, those of this CPU where each has its own. */
void engine_read(struct table *table, void *values);
/* Where the program asks the kernel for sockets, and not a table; only there. */
void engine_close_sockets(void);
__u32 engine_open_socket(const void *key, const void *value);
/* The clock that the program sees; the kernel has its own. */
void engine_set_clock(__u64 nanoseconds);
__u32 engine_seconds(void);
void engine_run(const struct frame *in, struct frame *out);

/* Of NAME=ENTRIES that are for this table, or what it has itself. */
__u32 wanted_entries(const char *name, __u32 own, int size_count, char **sizes);
void fail(const char *format, ...)
	__attribute__((noreturn, format(printf, 1, 2)));

#endif

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The kernel runs a compiled object, in test runs of one frame each. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "engine.h"
#include "sockets.h"

#define MOST_TABLES 32
#define LONGEST_VALUE 256

static struct table tables[MOST_TABLES];
/* Not a map: the kernel has them itself. */
static struct table sockets = {
	.name = SOCKETS_NAME,
	.key_size = SOCKET_KEY,
	.value_size = SOCKET_VALUE,
};
static __u8 *copies; /* a value for each CPU */
static int table_count, program, cpu;

static int say(enum libbpf_print_level level, const char *format, va_list list)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, format, list) : 0;
}

static void stay_on_one_cpu(void)
{
	cpu_set_t one;

	cpu = sched_getcpu();
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		fail("cannot stay on one CPU: %s", strerror(errno));
}

/*
 * The kernel's routes decide whether XDP sends an answer; where there are none, it passes,
 * as it does in a process.
 */
static void have_no_routes(void)
{
	if (unshare(CLONE_NEWNET))
		fail("cannot have a network namespace: %s", strerror(errno));
}

void engine_open(const char *path, int size_count, char **sizes)
{
	struct bpf_object *object;
	struct bpf_program *only;
	struct bpf_map *map;

	libbpf_set_print(say);
	/* Counters and limits are one for each CPU. */
	stay_on_one_cpu();
	object = bpf_object__open_file(path, NULL);
	if (!object)
		fail("cannot open %s: %s", path, strerror(errno));
	bpf_object__for_each_map(map, object)
	{
		struct table *table = &tables[table_count++];

		if (table_count > MOST_TABLES)
			fail("%s has too many maps", path);
		table->name = bpf_map__name(map);
		table->key_size = bpf_map__key_size(map);
		table->value_size = bpf_map__value_size(map);
		table->entries = wanted_entries(table->name,
						bpf_map__max_entries(map),
						size_count, sizes);
		table->handle = map;
		bpf_map__set_max_entries(map, table->entries);
	}
	only = bpf_object__next_program(object, NULL);
	if (!only || bpf_object__load(object))
		fail("cannot load %s: %s", path, strerror(errno));
	program = bpf_program__fd(only);
	copies = calloc(libbpf_num_possible_cpus(), LONGEST_VALUE);
	if (!copies)
		fail("no memory");
	if (bpf_object__find_map_by_name(object, "answers"))
		have_no_routes();
}

struct table *engine_table(const char *name)
{
	for (int i = 0; i < table_count; i++)
		if (!strcmp(tables[i].name, name))
			return &tables[i];
	return strcmp(name, SOCKETS_NAME) ? NULL : &sockets;
}

static bool is_per_cpu(const struct table *table)
{
	return bpf_map__type(table->handle) == BPF_MAP_TYPE_PERCPU_ARRAY;
}

/* The kernel wants each CPU's value at a multiple of 8 bytes. */
static __u8 *copy_of(const struct table *table, int one)
{
	return copies + one * ((table->value_size + 7) & ~7U);
}

void engine_write(struct table *table, const void *key, const void *value)
{
	int fd;

	if (table == &sockets) {
		if (!is_open(key, value))
			fail("a socket is not as it was opened");
		return;
	}
	fd = bpf_map__fd(table->handle);
	if (is_per_cpu(table)) {
		for (int i = 0; i < libbpf_num_possible_cpus(); i++)
			memcpy(copy_of(table, i), value, table->value_size);
		value = copies;
	}
	if (bpf_map_update_elem(fd, key, value, BPF_ANY))
		fail("cannot write %s: %s", table->name, strerror(errno));
}

void engine_empty(struct table *table)
{
	const int fd = bpf_map__fd(table->handle);
	__u8 key[64];

	while (!bpf_map_get_next_key(fd, NULL, key))
		if (bpf_map_delete_elem(fd, key))
			fail("cannot empty %s: %s", table->name,
			     strerror(errno));
}

void engine_close_sockets(void)
{
	close_sockets();
}

__u32 engine_open_socket(const void *key, const void *value)
{
	return open_socket(key, value);
}

/* At once: a call for each entry takes long where there are many. */
static void read_array(const struct table *table, void *values)
{
	const int fd = bpf_map__fd(table->handle);
	__u32 *keys = calloc(table->entries, sizeof(*keys));
	__u32 count = table->entries, next;

	if (!keys)
		fail("no memory");
	if (bpf_map_lookup_batch(fd, NULL, &next, keys, values, &count, NULL) &&
	    errno != ENOENT)
		fail("cannot read %s: %s", table->name, strerror(errno));
	if (count != table->entries)
		fail("%s was read in part", table->name);
	free(keys);
}

void engine_read(struct table *table, void *values)
{
	const int fd = bpf_map__fd(table->handle);
	const int mine = is_per_cpu(table) ? cpu : 0;

	if (bpf_map__type(table->handle) == BPF_MAP_TYPE_ARRAY &&
	    table->value_size % 8 == 0) {
		read_array(table, values);
		return;
	}

	for (__u32 key = 0; key < table->entries; key++) {
		if (bpf_map_lookup_elem(fd, &key, copies))
			fail("cannot read %s: %s", table->name,
			     strerror(errno));
		memcpy(values + key * table->value_size, copy_of(table, mine),
		       table->value_size);
	}
}

void engine_set_clock(__u64 nanoseconds)
{
	(void)nanoseconds;
}

__u32 engine_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return now.tv_sec;
}

void engine_run(const struct frame *in, struct frame *out)
{
	static __u8 data[DIRTY_BYTES + LONGEST];
	static __u8 back[DIRTY_BYTES + LONGEST + ROOM];
	struct xdp_md context = {
		.data = DIRTY_BYTES,
		.data_end = DIRTY_BYTES + in->length,
	};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = data,
		    .data_size_in = DIRTY_BYTES + in->length, .data_out = back,
		    .data_size_out = sizeof(back), .ctx_in = &context,
		    .ctx_size_in = sizeof(context), .repeat = 1);

	memset(data, DIRT, DIRTY_BYTES);
	memcpy(data + DIRTY_BYTES, in->bytes, in->length);
	if (bpf_prog_test_run_opts(program, &options))
		fail("cannot run a frame of %u bytes: %s", in->length,
		     strerror(errno));
	out->action = options.retval;
	out->length = options.data_size_out - DIRTY_BYTES;
	memcpy(out->bytes, back + DIRTY_BYTES, out->length);
}

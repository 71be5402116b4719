// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * This process runs the program that is linked in. Under AddressSanitizer nothing but
 * the frame and the values of tables can be touched: not what is between two values.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datapath/platform/native.h"
#include "engine.h"

#define MOST_TABLES 32

/* From the linker, around what MAP() defines. */
extern map_ref __start_native_maps[], __stop_native_maps[];

/* The program: l4lb_2 or l4lb_decap_1. */
int ENTRY(struct xdp_md *ctx);

static struct table tables[MOST_TABLES];
static int table_count;
static __u64 clock_of_test;

/* Not asked, since a scenario brings its secret along. */
__u32 random_word(void)
{
	return 1;
}

__u64 coarse_nanoseconds(void)
{
	return clock_of_test;
}

/* The clock stands still within a scenario, and may go back between two. */
__u64 ticks(void)
{
	return clock_of_test / 1000000000;
}

void engine_set_clock(__u64 nanoseconds)
{
	clock_of_test = nanoseconds;
}

__u32 engine_seconds(void)
{
	return clock_of_test / 1000000000;
}

#ifdef L4LB_PROVE
void __sanitizer_set_death_callback(void (*callback)(void));

static const struct frame *current;

/* Of what the sanitizers stop at. */
static void tell_frame(void)
{
	if (!current)
		return;
	fprintf(stderr, "the frame, of %u bytes: ", current->length);
	for (__u32 i = 0; i < current->length; i++)
		fprintf(stderr, "%02x", current->bytes[i]);
	fputc('\n', stderr);
}

void proved_wrong(const char *what, const char *file, int line)
{
	tell_frame();
	fail("%s:%d: it should never be, and was: %s", file, line, what);
}
#endif

/* In a hash each value follows its key. */
static __u32 offset_of_value(map_ref map)
{
	return map->kind == BPF_MAP_TYPE_HASH ? map->key_size : 0;
}

static __u32 size_of_entry(map_ref map)
{
	return offset_of_value(map) + map->value_size;
}

static unsigned long stride_of(map_ref map)
{
	return map->kind == BPF_MAP_TYPE_HASH ?
		       ((size_of_entry(map) + 7UL) & ~7UL) + NATIVE_GAP :
		       STRIDE(map);
}

static void *entry_of(map_ref map, __u32 number)
{
	return map->here()->values + number * stride_of(map);
}

/* Compares one entry after the other, because such tables have few entries. */
void *find(map_ref map, const void *key)
{
	for (unsigned long at = 0; at < map->here()->entries; at++) {
		void *entry = entry_of(map, at);

		if (!memcmp(entry, key, map->key_size))
			return entry + map->key_size;
	}
	return NULL;
}

/* An array has all of its entries from the beginning, and a hash none. */
static void make_values(map_ref map, __u32 entries)
{
	struct native_view *view = map->here();

	view->values = calloc(entries, stride_of(map));
	if (!view->values)
		fail("no memory for %s", map->name);
	for (__u32 i = 0; i < entries; i++)
		CLOSE(entry_of(map, i) + size_of_entry(map),
		      stride_of(map) - size_of_entry(map));
	view->entries = map->kind == BPF_MAP_TYPE_HASH ? 0 : entries;
}

void engine_open(const char *object, int size_count, char **sizes)
{
	(void)object;
#ifdef L4LB_PROVE
	__sanitizer_set_death_callback(tell_frame);
#endif
	for (map_ref *known = __start_native_maps; known < __stop_native_maps;
	     known++) {
		struct table *table = &tables[table_count++];
		map_ref map = *known;
		__u32 entries;

		if (table_count > MOST_TABLES)
			fail("too many maps");
		entries = wanted_entries(map->name, map->entries, size_count,
					 sizes);
		make_values(map, entries);
		*table = (struct table){
			.name = map->name,
			.entries = entries,
			.key_size = map->key_size,
			.value_size = map->value_size,
			.handle = map,
		};
	}
}

struct table *engine_table(const char *name)
{
	for (int i = 0; i < table_count; i++)
		if (!strcmp(tables[i].name, name))
			return &tables[i];
	return NULL;
}

void engine_write(struct table *table, const void *key, const void *value)
{
	map_ref map = table->handle;
	void *there;

	if (map->kind == BPF_MAP_TYPE_HASH) {
		there = find(map, key);
		if (!there) {
			if (map->here()->entries == table->entries)
				fail("%s is full", map->name);
			there = entry_of(map, map->here()->entries++);
			memcpy(there, key, map->key_size);
			there += map->key_size;
		}
	} else {
		there = lookup(map, key);
		if (!there)
			fail("%s has no such entry", map->name);
	}
	memcpy(there, value, map->value_size);
}

void engine_empty(struct table *table)
{
	map_ref map = table->handle;

	map->here()->entries = 0;
}

void engine_close_sockets(void)
{
	fail("this program's sockets are in a table");
}

__u32 engine_open_socket(const void *key, const void *value)
{
	(void)key;
	(void)value;
	fail("this program's sockets are in a table");
}

void engine_read(struct table *table, void *values)
{
	map_ref map = table->handle;

	for (__u32 i = 0; i < table->entries; i++)
		memcpy(values + i * map->value_size,
		       entry_of(map, i) + offset_of_value(map),
		       map->value_size);
}

void engine_run(const struct frame *in, struct frame *out)
{
	static __u8 memory[ROOM + LONGEST + 8] __attribute__((aligned(8)));
	__u8 *const at = memory + ROOM;
	__u32 here = in->length;
	struct xdp_md ctx;

	OPEN(memory, sizeof(memory));
	memset(at - DIRTY_BYTES, DIRT, DIRTY_BYTES);
	memcpy(at, in->bytes, in->length);
#ifdef L4LB_FRAGS
	if (here > FIRST_BUFFER)
		here = FIRST_BUFFER;
#endif
	CLOSE(memory, ROOM);
	CLOSE(at + here, sizeof(memory) - ROOM - here);
	ctx = (struct xdp_md){
		.data = at,
		.data_end = at + here,
		.room = memory,
		.length = in->length,
	};
#ifdef L4LB_PROVE
	current = in;
#endif
	out->action = ENTRY(&ctx);
	out->length = ctx.length;
	OPEN(memory, sizeof(memory));
	memcpy(out->bytes, ctx.data, ctx.length);
}

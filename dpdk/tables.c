// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "datapath/l4lb.h" /* before the kernel's own struct xdp_md */

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "datapath/platform/native_map.h"
#include "errors.h"
#include "tables.h"

/* The program for the kernel, as it was compiled with this one. */
__asm__(".section .rodata\n"
	".balign 8\n"
	"object:\n"
	".incbin \"l4lb_xdp_frags.o\"\n"
	"object_end:\n"
	".previous\n");
extern const char object[], object_end[];

/* From the linker, around what MAP() defines. */
extern map_ref __start_native_maps[], __stop_native_maps[];

#define MOST_TABLES 32
#define MOST_PROCESSORS 1024
#define CACHE_LINE 64

/* A map of the program. */
static struct table {
	const char *name;
	int map;
	__u32 kind;
	__u32 entries;
	__u32 key_size;
	__u32 value_size;
	void *values; /* of an array, shared by everyone */
} tables[MOST_TABLES];
static unsigned int table_count;

/* What one thread counts, and how much of it has been added up. */
static struct counted {
	_Atomic(struct l4lb_counter *) counters;
	struct l4lb_counter *added;
} counted[MOST_TABLES][MOST_THREADS];

#define NEW_PROGRAM                                                         \
	"it was loaded by another release. End its process, which forgets " \
	"the tables, and start again"

static bool is_counters(const char *name)
{
	return !strcmp(name, "counters") || !strcmp(name, "verdicts") ||
	       !strcmp(name, "returned");
}

static bool is_per_thread(__u32 kind)
{
	return kind == BPF_MAP_TYPE_PERCPU_ARRAY;
}

static size_t stride_of(const struct table *table)
{
	return (table->value_size + 7UL) & ~7UL;
}

static void *make(size_t bytes)
{
	void *values = NULL;

	bytes = (bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	if (posix_memalign(&values, CACHE_LINE, bytes))
		fail(NULL, NULL, "no memory for tables");
	return memset(values, 0, bytes);
}

static void choose_size(struct bpf_map *map, __u32 sets, __u32 blocks)
{
	const char *name = bpf_map__name(map);
	__u32 entries = 0;

	if (!strcmp(name, "flows"))
		entries = sets;
	else if (!strcmp(name, "claims"))
		entries = blocks * L4LB_CLAIM_SETS;
	else if (!strcmp(name, "ports"))
		entries = blocks * L4LB_BLOCK_PORTS;
	if (entries)
		bpf_map__set_max_entries(map, entries);
}

int load_program(__u32 sets, __u32 blocks)
{
	LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "l4lb");
	struct bpf_object *program;
	struct bpf_map *map;
	int error;

	libbpf_set_print(NULL);
	program = bpf_object__open_mem(object, object_end - object, &options);
	if (!program)
		fail(NULL, NULL, "the kernel's program: %s", strerror(errno));
	bpf_object__for_each_map(map, program)
	{
		if (bpf_map__type(map) == BPF_MAP_TYPE_ARRAY)
			bpf_map__set_map_flags(map, bpf_map__map_flags(map) |
							    BPF_F_MMAPABLE);
		choose_size(map, sets, blocks);
	}
	error = bpf_object__load(program);
	if (error)
		fail(error == -EPERM ?
			     "it takes root, or CAP_BPF and CAP_NET_ADMIN" :
			     "the kernel is older than 5.18, or short of "
			     "memory",
		     "bpftool prog load l4lb_xdp_frags.o /sys/fs/bpf/try type "
		     "xdp, "
		     "to see all that it says",
		     "the kernel does not take the program: %s",
		     strerror(-error));
	return bpf_program__fd(bpf_object__next_program(program, NULL));
}

int find_program(__u32 id)
{
	return bpf_prog_get_fd_by_id(id);
}

static struct bpf_prog_info ask_program(int program)
{
	struct bpf_prog_info info = {};
	__u32 size = sizeof(info);

	if (bpf_obj_get_info_by_fd(program, &info, &size))
		fail(NULL, NULL, "the program that was loaded: %s",
		     strerror(errno));
	return info;
}

__u32 id_of_program(int program)
{
	return ask_program(program).id;
}

void name_of_program(int program, char name[BPF_OBJ_NAME_LEN])
{
	memcpy(name, ask_program(program).name, BPF_OBJ_NAME_LEN);
}

/* The program's own map for one of ours. */
static struct table *table_of(map_ref map)
{
	for (unsigned int i = 0; i < table_count; i++) {
		struct table *table = &tables[i];

		if (!strcmp(table->name, map->name))
			return table->kind == map->kind &&
					       table->key_size ==
						       map->key_size &&
					       table->value_size ==
						       map->value_size ?
				       table :
				       NULL;
	}
	return NULL;
}

static void open_table(int map)
{
	struct table *table = &tables[table_count++];
	struct bpf_map_info info = {};
	__u32 size = sizeof(info);

	if (bpf_obj_get_info_by_fd(map, &info, &size))
		fail(NULL, NULL, "a map of the program: %s", strerror(errno));
	*table = (struct table){
		.name = strdup(info.name),
		.map = map,
		.kind = info.type,
		.entries = info.max_entries,
		.key_size = info.key_size,
		.value_size = info.value_size,
	};
	if (table->kind != BPF_MAP_TYPE_ARRAY)
		return;
	table->values = mmap(NULL, stride_of(table) * table->entries,
			     PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
	if (table->values == MAP_FAILED)
		fail(NULL, NEW_PROGRAM, "the map %s: %s", info.name,
		     strerror(errno));
}

void open_tables(int program)
{
	__u32 ids[MOST_TABLES];
	struct bpf_prog_info info = { .nr_map_ids = MOST_TABLES,
				      .map_ids = (unsigned long)ids };
	__u32 size = sizeof(info);

	if (bpf_obj_get_info_by_fd(program, &info, &size) ||
	    info.nr_map_ids > MOST_TABLES)
		fail(NULL, NEW_PROGRAM, "the program's maps cannot be listed");
	for (__u32 i = 0; i < info.nr_map_ids; i++) {
		const int map = bpf_map_get_fd_by_id(ids[i]);

		if (map < 0)
			fail(NULL, NULL, "a map of the program: %s",
			     strerror(errno));
		open_table(map);
	}
	for (map_ref *known = __start_native_maps; known < __stop_native_maps;
	     known++)
		if (!table_of(*known))
			fail(NULL, NEW_PROGRAM, "the program has no map %s",
			     (*known)->name);
}

/* What a thread counts is never set back, so only it writes there. */
static void *private_values(struct table *table, unsigned int number)
{
	const size_t bytes = stride_of(table) * table->entries;
	struct counted *own = &counted[table - tables][number];
	void *values = make(bytes);

	if (is_counters(table->name)) {
		own->added = make(bytes);
		atomic_store(&own->counters, values);
	}
	return values;
}

void view_tables(unsigned int number)
{
	for (map_ref *known = __start_native_maps; known < __stop_native_maps;
	     known++) {
		struct table *table = table_of(*known);
		struct native_view *view = (*known)->here();

		view->entries = table->entries;
		if (is_per_thread(table->kind))
			view->values = private_values(table, number);
		else if (table->values)
			view->values = table->values;
		else if (table->kind == BPF_MAP_TYPE_DEVMAP)
			view->entries = 0; /* there is one port, and no other */
		else
			*view = (struct native_view){
				.values = make(stride_of(table)),
				.entries = table->map, /* for find() */
			};
	}
}

/* Asks the kernel. Its answer stays until this thread asks for another one of this map. */
void *find(map_ref map, const void *key)
{
	const struct native_view *view = map->here();

	return bpf_map_lookup_elem(view->entries, key, view->values) ?
		       NULL :
		       view->values;
}

/* Adds to what this processor, by its number, has in the kernel's map. */
static bool add(const struct table *table, __u32 key, unsigned int number,
		const struct l4lb_counter *more)
{
	static struct l4lb_counter values[MOST_PROCESSORS];

	if (bpf_map_lookup_elem(table->map, &key, values))
		return false;
	values[number].packets += more->packets;
	values[number].bytes += more->bytes;
	return !bpf_map_update_elem(table->map, &key, values, BPF_ANY);
}

static void add_of_thread(const struct table *table, unsigned int number,
			  struct counted *own)
{
	const volatile struct l4lb_counter *counters =
		atomic_load(&own->counters);

	for (__u32 key = 0; counters && key < table->entries; key++) {
		struct l4lb_counter *added = &own->added[key];
		const struct l4lb_counter now = {
			.packets = counters[key].packets,
			.bytes = counters[key].bytes,
		};
		const struct l4lb_counter more = {
			.packets = now.packets - added->packets,
			.bytes = now.bytes - added->bytes,
		};

		if ((more.packets || more.bytes) &&
		    add(table, key, number, &more))
			*added = now;
	}
}

void add_counters(void)
{
	const unsigned int processors = libbpf_num_possible_cpus();

	if (processors > MOST_PROCESSORS)
		fail(NULL, NULL, "this machine has more than %d processors",
		     MOST_PROCESSORS);
	for (unsigned int i = 0; i < table_count; i++)
		for (unsigned int number = 0; number < MOST_THREADS; number++)
			add_of_thread(&tables[i], number % processors,
				      &counted[i][number]);
}

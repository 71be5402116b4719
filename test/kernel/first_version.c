// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Stands in for the host build of the first version: it has that one's name and maps, in
 * which an entry of `destinations` was one word shorter, and passes all packets.
 */
#define L4LB_HOST
#include "datapath/platform/platform.h"

/* `device` has values of that length too, and one entry. */
#undef MAP
#define MAP(name, kind, entries, key, value)                           \
	struct {                                                       \
		__uint(type, kind);                                    \
		__uint(max_entries, entries);                          \
		__uint(key_size, key);                                 \
		__uint(value_size,                                     \
		       (value) == 56 && (entries) > 1 ? 48 : (value)); \
	} name SEC(".maps")

#include "datapath/maps.h"

/* A program has the maps that it looks into. */
static __always_inline void touch(void *map)
{
	const __u32 first = 0;
	const volatile void *value = lookup(map, &first);

	(void)value;
}

PROGRAM
int l4lb_1(struct xdp_md *ctx)
{
	(void)ctx;
	touch(&device);
	touch(&services);
	touch(&slots);
	touch(&destinations);
	touch(&counters);
	touch(&verdicts);
	touch(&names);
	touch(&memories);
	touch(&flows);
	touch(&secret);
	touch(&kept);
	touch(&limits);
	return XDP_PASS;
}

LICENSE;

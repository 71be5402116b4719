/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* All tables of the balancer: l4lb.h explains their contents. */
#ifndef MAPS_H
#define MAPS_H

#include "counters.h"
#include "l4lb.h"
#include "platform/platform.h"

#define BY_NUMBER(name, kind, entries, value) \
	MAP(name, kind, entries, sizeof(__u32), sizeof(value))

BY_NUMBER(device, BPF_MAP_TYPE_ARRAY, 1, struct l4lb_device);
BY_NUMBER(services, BPF_MAP_TYPE_ARRAY, L4LB_CELLS, struct l4lb_cell);
BY_NUMBER(slots, BPF_MAP_TYPE_ARRAY, L4LB_SLOTS / L4LB_QUAD, struct l4lb_quad);
BY_NUMBER(destinations, BPF_MAP_TYPE_ARRAY, L4LB_DESTINATIONS + 1,
	  struct l4lb_destination);
BY_NUMBER(counters, COUNTER_MAP, L4LB_DESTINATIONS + 1, struct l4lb_counter);
BY_NUMBER(verdicts, COUNTER_MAP, L4LB_VERDICT_ENTRIES, struct l4lb_counter);
BY_NUMBER(names, BPF_MAP_TYPE_ARRAY, L4LB_SLOTS / L4LB_PAIR, struct l4lb_names);
BY_NUMBER(memories, BPF_MAP_TYPE_ARRAY, L4LB_SLOTS, struct l4lb_memory);
#ifdef L4LB_HOST
BY_NUMBER(flows, BPF_MAP_TYPE_ARRAY, L4LB_SETS, struct l4lb_set);
BY_NUMBER(secret, BPF_MAP_TYPE_ARRAY, 1, __u64);
BY_NUMBER(kept, BPF_MAP_TYPE_ARRAY, L4LB_SLOTS, __u32);
BY_NUMBER(exits, BPF_MAP_TYPE_ARRAY, L4LB_EXITS + 1, struct l4lb_exit);
BY_NUMBER(exit_devices, BPF_MAP_TYPE_DEVMAP, L4LB_EXITS + 1, __u32);
BY_NUMBER(exit_numbers, BPF_MAP_TYPE_HASH, L4LB_EXITS, __u32);
MAP(answers, BPF_MAP_TYPE_HASH, L4LB_ANSWERS, sizeof(struct l4lb_answer_key),
    sizeof(struct l4lb_answer));
BY_NUMBER(returned, BPF_MAP_TYPE_PERCPU_ARRAY, L4LB_DESTINATIONS + 1,
	  struct l4lb_counter);
BY_NUMBER(pools, BPF_MAP_TYPE_ARRAY, 1, struct l4lb_pools);
BY_NUMBER(claims, BPF_MAP_TYPE_ARRAY, L4LB_BLOCKS *L4LB_CLAIM_SETS,
	  struct l4lb_set);
BY_NUMBER(ports, BPF_MAP_TYPE_ARRAY, L4LB_BLOCKS *L4LB_BLOCK_PORTS,
	  struct l4lb_port);
BY_NUMBER(clock, BPF_MAP_TYPE_ARRAY, 1, __u64);
BY_NUMBER(limits, BPF_MAP_TYPE_PERCPU_ARRAY, L4LB_LIMITS, struct l4lb_done);
#endif

static __always_inline const struct l4lb_device *this_device(void)
{
	const __u32 only = 0;

	return lookup(&device, &only);
}

#endif

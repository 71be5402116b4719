// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * l4lb: the way of a packet.
 *
 *   frame -> parse -> service -> slot -> destination -> encapsulate -> count -> XDP_TX
 *
 * Each step is one header of datapath/. A step that ends the way returns its
 * verdict, under which the packet is counted; what is not ours passes to the
 * host's stack as it came. datapath/l4lb.h explains maps and verdicts.
 *
 * Compiled twice: as it stands for every mode, a SmartNIC's included, and with
 * L4LB_HOST for the host alone.
 */
#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_helpers.h>

#include "datapath/counters.h"
#include "datapath/l4lb.h"

/* Sizes, not types: type information is what an offloaded map cannot have. */
#define MAP(name, kind, entries, value)            \
	struct {                                   \
		__uint(type, kind);                \
		__uint(max_entries, entries);      \
		__uint(key_size, sizeof(__u32));   \
		__uint(value_size, sizeof(value)); \
	} name SEC(".maps")

MAP(device, BPF_MAP_TYPE_ARRAY, 1, struct l4lb_device);
MAP(services, BPF_MAP_TYPE_ARRAY, L4LB_CELLS, struct l4lb_cell);
MAP(slots, BPF_MAP_TYPE_ARRAY, L4LB_SLOTS, struct l4lb_slot);
MAP(destinations, BPF_MAP_TYPE_ARRAY, L4LB_DESTINATIONS + 1,
    struct l4lb_destination);
MAP(counters, COUNTER_MAP, L4LB_DESTINATIONS + 1, struct l4lb_counter);
MAP(verdicts, COUNTER_MAP, L4LB_VERDICT_ENTRIES, struct l4lb_counter);
#ifdef L4LB_HOST
MAP(flows, BPF_MAP_TYPE_ARRAY, L4LB_SETS, struct l4lb_set);
MAP(kept, BPF_MAP_TYPE_ARRAY, L4LB_SLOTS, __u32);
#endif

#include "datapath/parse.h"
#include "datapath/service.h"
#include "datapath/slot.h"
#include "datapath/encapsulate.h"

static __always_inline const struct l4lb_device *this_device(void)
{
	const __u32 only = 0;

	return bpf_map_lookup_elem(&device, &only);
}

static __always_inline enum l4lb_verdict balance(struct xdp_md *ctx,
						 struct packet *packet)
{
	const struct l4lb_destination *destination;
	const struct l4lb_device *device = this_device();
	enum l4lb_verdict verdict;
	union target target;
	__u64 sent_length;
	__u32 id;

	if (!device)
		return L4LB_NOT_OURS; /* never: the map has its one entry */

	verdict = parse(ctx, packet);
	if (verdict)
		return refuse(ctx, device, packet, verdict);

	verdict = find_service(device, packet, &target);
	if (verdict)
		return verdict;
	verdict = check_mac(ctx, device);
	if (verdict)
		return verdict;

	destination = find_destination(device, packet, target, &id);
	if (!destination)
		return L4LB_EMPTY_SLOT;

	verdict = encapsulate(ctx, device, packet, destination, &sent_length);
	if (verdict)
		return verdict;

	count(&counters, id, sent_length);
	return L4LB_BALANCED;
}

/* The name tells tools the ABI version before they read anything. */
SEC("xdp")
int l4lb_1(struct xdp_md *ctx)
{
	struct packet packet = {};
	enum l4lb_verdict verdict = balance(ctx, &packet);

	/* Balanced packets are counted by destination, and only there. */
	if (verdict == L4LB_BALANCED)
		return XDP_TX;
	count(&verdicts, verdict, packet.frame_length);
	return verdict < L4LB_FIRST_DROP ? XDP_PASS : XDP_DROP;
}

char license_name[] SEC("license") = "Dual BSD/GPL";

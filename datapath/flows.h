/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The slot remembers: which destination a packet of a hot slot goes to.
 *
 * A slot that moves from A to B keeps A as its previous, and is hot. Connections
 * that began before it moved are on A, younger ones on B, and a packet must tell
 * which it is of:
 *
 * - A SYN begins a connection: it goes to the current destination, B, and is
 *   recorded.
 * - Any other TCP packet follows its record. One without a record is of an older
 *   connection and goes to the previous, A. Nothing is written for it.
 *
 * So steady state costs nothing, since a cold slot never comes here; a flood of
 * ACKs writes nothing; and a flood of SYNs can only push out other records that
 * never saw a second packet. What follows from these rules:
 *
 * - A slot that moves again while hot keeps its first previous: connections that
 *   began since are on record, older ones are not, and they are still on A.
 * - When the previous is removed, the slot stays hot with NOBODY to remember,
 *   for the sake of the records.
 * - A record counts only if it was seen since the slot became hot, and while its
 *   destination stands in the same service. The same 5-tuple may come back after
 *   a cold phase, and an id may have a new owner.
 * - A SYN with a young record is sent again because its answer was lost: it goes
 *   where the first one went, if that destination stands and is not drained.
 * - A record becomes established with its second packet. A SYN takes the place
 *   of an empty or outdated record, or else of the oldest that is not
 *   established. Where there is none, the new connection goes to the previous
 *   without a record, for that is where its later packets will be sent.
 * - An ICMP error follows the record of the connection that it quotes, or else
 *   goes to the previous, and writes nothing: anyone can send one. Fragments have
 *   no ports to find a record by, and go to the previous. Those of UDP go where
 *   the rest of UDP goes.
 *
 * The portable build has no flows: on a SmartNIC a program can only add to its
 * maps, and its slots never are hot.
 */
#ifndef FLOWS_H
#define FLOWS_H

#include "hash.h"
#include "parse.h"
#include "service.h"

union slot {
	__u64 word;
	struct l4lb_slot fields;
};

#ifdef L4LB_HOST

union record {
	__u64 word;
	struct l4lb_record fields;
};

/* One packet in a hot slot. */
struct visit {
	union slot slot;
	__u32 signature;
	__u32 now; /* in the units of a record's seen, and wider */
	__u16 service;
};

static __always_inline struct l4lb_set *
find_set(const struct l4lb_device *device, const struct packet *packet,
	 struct visit *visit)
{
	const union way way = {
		.protocol = packet->protocol,
		.version = packet->version == 6 ? 6 : 0,
	};
	const __u32 seed = device->slot_seed;
	const __u32 mixed =
		hash(~seed, fold(seed, packet->source.word, packet->version),
		     packet->ports);
	const __u32 key = mixed & ((1U << device->log2_sets) - 1);

	visit->signature =
		hash(mixed, fold(seed, packet->address.word, packet->version), way.word) ?:
			1;
	return bpf_map_lookup_elem(&flows, &key);
}

static __always_inline union record read_record(const struct l4lb_set *set,
						__u32 place)
{
	union record record;

	record.word = *(const volatile __u64 *)&set->records[place];
	return record;
}

static __always_inline void write_record(struct l4lb_set *set, __u32 place,
					 const struct visit *visit,
					 __u16 destination)
{
	const union record record = { .fields = {
					      .signature = visit->signature,
					      .destination = destination,
					      .seen = visit->now,
				      } };

	*(volatile __u64 *)&set->records[place % L4LB_RECORDS] = record.word;
}

static __always_inline __u16 age(const struct visit *visit, union record record)
{
	return visit->now - record.fields.seen;
}

/* The place of this connection's record, or L4LB_RECORDS. */
static __always_inline __u32 find_record(const struct l4lb_set *set,
					 const struct visit *visit)
{
	__u32 place;

#pragma unroll
	for (place = 0; place < L4LB_RECORDS; place++)
		if (read_record(set, place).fields.signature ==
		    visit->signature)
			break;
	return place;
}

/* The place that a new record may take, or L4LB_RECORDS. */
static __always_inline __u32 find_room(const struct l4lb_set *set,
				       const struct visit *visit)
{
	__u32 place, best = L4LB_RECORDS;
	__s32 best_age = -1;
	union record record;

#pragma unroll
	for (place = 0; place < L4LB_RECORDS; place++) {
		record = read_record(set, place);
		if (!record.fields.signature)
			return place;
		if (record.fields.destination & L4LB_ESTABLISHED &&
		    age(visit, record) <= L4LB_FORGOTTEN)
			continue;
		if ((__s32)age(visit, record) > best_age) {
			best = place;
			best_age = age(visit, record);
		}
	}
	return best;
}

/* The destination of a record that counts, or NULL. */
static __always_inline const struct l4lb_destination *
standing(const struct visit *visit, union record record)
{
	const __u32 id = record.fields.destination & ~L4LB_ESTABLISHED;
	const __u32 hot =
		visit->now - (visit->slot.fields.since >> L4LB_SEEN_SHIFT);
	const struct l4lb_destination *found;

	if (age(visit, record) > hot)
		return NULL;
	found = bpf_map_lookup_elem(&destinations, &id);
	return found && found->service == visit->service ? found : NULL;
}

static __always_inline __u16 begin_connection(struct l4lb_set *set,
					      const struct visit *visit)
{
	const struct l4lb_destination *destination;
	__u32 place = find_record(set, visit);
	union record record;

	if (place < L4LB_RECORDS) {
		record = read_record(set, place);
		destination = standing(visit, record);
		if (destination && destination->weight &&
		    age(visit, record) <= L4LB_YOUNG)
			return record.fields.destination & ~L4LB_ESTABLISHED;
	} else {
		place = find_room(set, visit);
	}
	if (place == L4LB_RECORDS)
		return visit->slot.fields.previous;
	write_record(set, place, visit, visit->slot.fields.current);
	return visit->slot.fields.current;
}

static __always_inline __u16 continue_connection(struct l4lb_set *set,
						 const struct packet *packet,
						 const struct visit *visit)
{
	const __u32 place = find_record(set, visit);
	union record record;

	if (place == L4LB_RECORDS)
		return visit->slot.fields.previous;
	record = read_record(set, place);
	if (!standing(visit, record))
		return visit->slot.fields.previous;
	if (!packet->is_error &&
	    (!(record.fields.destination & L4LB_ESTABLISHED) ||
	     age(visit, record)))
		write_record(set, place, visit,
			     record.fields.destination | L4LB_ESTABLISHED);
	return record.fields.destination & ~L4LB_ESTABLISHED;
}

/* The id of the destination that a packet in a hot slot goes to. */
static __always_inline __u32 follow(const struct l4lb_device *device,
				    const struct packet *packet,
				    union target target, __u32 key,
				    union slot slot)
{
	const __u32 seconds = bpf_ktime_get_ns() / 1000000000;
	struct visit visit = {
		.slot = slot,
		.now = seconds >> L4LB_SEEN_SHIFT,
		.service = target.service,
	};
	__u32 id = slot.fields.current;
	struct l4lb_set *set;
	__u32 *last;

	if (packet->protocol != IPPROTO_TCP) {
		if (target.flags & L4LB_CELL_UDP_STAYS)
			id = slot.fields.previous;
	} else if (packet->is_fragment) {
		id = slot.fields.previous;
	} else {
		set = find_set(device, packet, &visit);
		if (!set)
			return id; /* never: the key is below the size */
		if ((packet->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
			id = begin_connection(set, &visit);
		else
			id = continue_connection(set, packet, &visit);
	}
	if (id == L4LB_NOBODY || id == slot.fields.current)
		return slot.fields.current;
	if (packet->is_error)
		return id;

	last = bpf_map_lookup_elem(&kept, &key);
	if (last && *last != seconds)
		*last = seconds;
	return id;
}

#else

#define follow(device, packet, target, key, slot) \
	((void)(device), (void)(packet), (slot).fields.current)

#endif
#endif

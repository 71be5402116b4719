/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The ports of full-nat: which connection has which.
 *
 * A destination answers to the port that a connection was sent on from, and that number
 * leads to the connection's record. A client's packet finds it by a hash of both its ends,
 * which chooses two sets of eight ports. A new connection takes a port of the set that has
 * more free ones; the first that finds none comes when three quarters are taken.
 *
 * Nothing ever cleans up. A port is free for others when its connection has been silent for
 * long enough, and of these and the free ones a new connection takes the best:
 *
 * - a free port goes first, then one whose connection is over, then one whose connection is
 *   not established, the longest silent of each kind before the others;
 * - a connection that is established and not over never loses its port. Where nothing else
 *   is left, the new one is dropped as *no port*.
 *
 * So a flood of SYNs takes ports only from other connections that are not established. A
 * connection becomes established when its client goes on after the destination's answer,
 * and for TCP acknowledges it: whoever forges the source does not see the answer. Of UDP
 * anyone can forge that too, and hold a port for three minutes.
 *
 * A RST counts only until something comes after it, and leaves the connection its port
 * longer than two FINs do, because anyone can forge one.
 */
#ifndef PORTS_H
#define PORTS_H

#include "ends.h"
#include "flows.h"
#include "maps.h"
#include "records.h"
#include "signature.h"

#ifdef L4LB_HOST

#define NO_NUMBER 0xffffffff

/* Of what a client may have acknowledged in its first packet after the SYN. */
#define AWAITED_WITHIN (1 << 14)

union claim {
	__u64 word;
	struct l4lb_claim fields;
};

/* What a packet tells of its connection; all 0 but for TCP. */
struct said {
	__u32 sequence;
	__u32 acknowledges;
	__u8 flags;
};

/* A port that a connection has. */
struct found {
	struct l4lb_port *port; /* NULL: it has none */
	__u64 *claim;
	__u32 number;
};

/* Where the port of a connection may be. */
struct place {
	__u32 first; /* set */
	__u32 second;
	__u32 signature;
	__u32 block; /* counted from the first of its pool */
};

static __always_inline struct place
place_of(const struct ends *ends, const struct l4lb_destination *destination)
{
	const union way way = {
		.protocol = ends->from.protocol,
		.version = ends->from.version,
	};
	const __u64 hash = hash_of_ends((const __be32 *)ends->from.address,
					ends->to.word, ports_of(ends), way);
	const __u32 block = hash >> 24 & destination->spread;
	const __u32 sets = (destination->block + block) * L4LB_CLAIM_SETS;
	const struct place place = {
		.first = sets + (hash & (L4LB_CLAIM_SETS - 1)),
		.second = sets + (hash >> 12 & (L4LB_CLAIM_SETS - 1)),
		.signature = hash >> 32 | 1,
		.block = block,
	};

	return place;
}

/* Returns the word of a port's claim, or NULL if there is no such port. */
static __always_inline __u64 *claim_of(__u32 number)
{
	const __u32 key = number / L4LB_RECORDS;
	struct l4lb_set *set = lookup(&claims, &key);

	return set ? &set->records[number % L4LB_RECORDS] : NULL;
}

static __always_inline union claim read_claim(const __u64 *where)
{
	const union claim claim = { .word = read_word(where) };

	return claim;
}

static __always_inline bool has_port(const struct l4lb_port *port,
				     const struct ends *ends)
{
	const __be32 ports = (__u32)port->client_port |
			     (__u32)port->service_port << 16;
	const __be32 *client = (const __be32 *)port->client;
	const __be32 *address = (const __be32 *)port->address;
	const __be32 *from = (const __be32 *)ends->from.address;

	return ports == ports_of(ends) && client[3] == from[3] &&
	       address[3] == ends->to.word[3] &&
	       port->protocol == ends->from.protocol &&
	       port->version == ends->from.version &&
	       (port->version != 6 ||
		(client[0] == from[0] && client[1] == from[1] &&
		 client[2] == from[2] && address[0] == ends->to.word[0] &&
		 address[1] == ends->to.word[1] &&
		 address[2] == ends->to.word[2]));
}

/* Returns the connection's port if this set has it. */
static __always_inline struct found find_in_set(const struct ends *ends,
						__u32 number, __u32 signature)
{
	struct l4lb_set *set = lookup(&claims, &number);
	struct found found = {};
	__u32 place;

	if (!set)
		return found; /* an entry of tables that had more blocks */
	place = find_record(set, signature, signature);
	if (place == L4LB_RECORDS)
		return found;
	found.claim = &set->records[place];
	/* Until it is ready, what `ports` says may be of the connection before. */
	if (!(read_claim(found.claim).fields.state & L4LB_CLAIM_READY))
		return found;
	found.number = number * L4LB_RECORDS + place;
	found.port = lookup(&ports, &found.number);
	if (found.port && !has_port(found.port, ends))
		found.port = NULL;
	return found;
}

static __always_inline struct found find_port(const struct ends *ends,
					      const struct place *place)
{
	const struct found found =
		find_in_set(ends, place->first, place->signature);

	return found.port ? found :
			    find_in_set(ends, place->second, place->signature);
}

/* Both count as one free port: IS_OVER is in each of them once. */
#define IS_OVER (1 << 17)
#define IS_FREE (IS_OVER + (1 << 16))
/* A packet on another CPU, whose clock is a tick ahead, may just have been seen. */
#define TICK 1

/*
 * Ranks how well a new connection may take this port: 0 means never. There is no branch,
 * as in rank().
 */
static __always_inline __u32 rank_claim(union claim claim, __u32 now)
{
	const __u32 silent = (__u16)(now + TICK - claim.fields.seen);
	const __u32 state = claim.fields.state;
	const __u32 is_free = ((__u64)claim.fields.signature - 1) >> 63;
	const __u32 is_tcp = state / L4LB_CLAIM_TCP & 1;
	const __u32 has_closed = state / L4LB_CLAIM_CLIENT_FIN &
				 state / L4LB_CLAIM_SERVER_FIN & 1;
	const __u32 has_ended = (state / L4LB_CLAIM_RST | has_closed) & 1;
	/* One that is just being taken counts as established. */
	const __u32 is_kept =
		(state / L4LB_CLAIM_ESTABLISHED | ~state / L4LB_CLAIM_READY) &
		1;
	__u32 lasts =
		L4LB_CLAIM_UDP + is_tcp * (L4LB_CLAIM_LASTS - L4LB_CLAIM_UDP);

	lasts -= has_ended *
		 (lasts - L4LB_CLAIM_RESET +
		  has_closed * (L4LB_CLAIM_RESET - L4LB_CLAIM_ENDED));
	return is_free * IS_FREE |
	       (1 - is_free) * (is_kept * is_negative(lasts + TICK - silent) *
					(IS_OVER + silent) +
				(1 - is_kept) * (1 + silent));
}

/* Returns the larger of two numbers below 2^31, without a branch. */
static __always_inline __u32 larger(__u32 one, __u32 other)
{
	return one + ((other - one) & (is_negative(other - one) - 1));
}

/*
 * Returns the number of the best port of two sets for a new connection, or NO_NUMBER. It
 * takes only numbers and is not static, so the verifier looks at it once.
 */
__noinline __u32 find_free_port(__u32 first, __u32 second, __u32 now)
{
	const struct l4lb_set *one = lookup(&claims, &first);
	const struct l4lb_set *other = lookup(&claims, &second);
	__u32 free_of_one = 0, free_of_other = 0, best_of_one = 0,
	      best_of_other = 0, rank;

	if (!one || !other)
		return NO_NUMBER;
#pragma clang loop unroll(disable)
	for (__u32 place = 0; place < L4LB_RECORDS; place++) {
		rank = rank_claim(read_claim(&one->records[place]), now);
		free_of_one += rank / IS_OVER;
		best_of_one = larger(best_of_one, rank * L4LB_RECORDS + place);
		rank = rank_claim(read_claim(&other->records[place]), now);
		free_of_other += rank / IS_OVER;
		best_of_other =
			larger(best_of_other, rank * L4LB_RECORDS + place);
	}
	if (free_of_other > free_of_one ||
	    (free_of_other == free_of_one && best_of_other > best_of_one)) {
		best_of_one = best_of_other;
		first = second;
	}
	return best_of_one < L4LB_RECORDS ?
		       NO_NUMBER :
		       first * L4LB_RECORDS + best_of_one % L4LB_RECORDS;
}

/*
 * Takes a port for a connection. False if there is none, or if another CPU was quicker:
 * then the client sends again.
 */
static __always_inline bool take_port(const struct ends *ends,
				      const struct place *place, __u16 id,
				      __u32 now, __u32 *number)
{
	union claim before, taken = {
		.fields.signature = place->signature,
		.fields.seen = now,
		.fields.state =
			ends->from.protocol == IPPROTO_TCP ? L4LB_CLAIM_TCP : 0,
	};
	struct l4lb_port *port;
	__u64 *claim;

	*number = find_free_port(place->first, place->second, now);
	if (*number == NO_NUMBER)
		return false;
	claim = claim_of(*number);
	port = lookup(&ports, number);
	if (never(!claim || !port))
		return false;
	before = read_claim(claim);
	if (!rank_claim(before, now) ||
	    __sync_val_compare_and_swap(claim, before.word, taken.word) !=
		    before.word)
		return false;
	__builtin_memcpy(port->client, ends->from.address, 16);
	__builtin_memcpy(port->address, &ends->to, 16);
	port->client_port = ends->from.port;
	port->service_port = ends->port;
	port->destination = id;
	port->protocol = ends->from.protocol;
	port->version = ends->from.version;
	port->awaited = 0;
	before = taken;
	taken.fields.state |= L4LB_CLAIM_READY;
	/* It also makes others see the lines above before this one. */
	__sync_val_compare_and_swap(claim, before.word, taken.word);
	return true;
}

/*
 * Notes what a packet changes in the state of its connection. Both directions write here,
 * on different CPUs, and meanwhile the port may get another connection.
 */
static __always_inline void note(__u64 *where, __u32 signature, __u16 added,
				 __u16 removed, __u32 now)
{
	union claim claim, noted;

#pragma unroll
	for (int attempt = 0; attempt < 2; attempt++) {
		claim = read_claim(where);
		if (claim.fields.signature != signature)
			return;
		noted = claim;
		noted.fields.state = (claim.fields.state & ~removed) | added;
		noted.fields.seen = now;
		if (noted.word == claim.word ||
		    __sync_val_compare_and_swap(where, claim.word,
						noted.word) == claim.word)
			return;
	}
}

static __always_inline bool is_syn(const struct said *said)
{
	return (said->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

/*
 * Tells whether a packet shows that its client has seen the destination's answer. Without
 * the flag ACK the number says nothing, and a server drops the packet in silence; to a
 * wrong number with that flag it answers with a RST.
 */
static __always_inline bool goes_on(const struct l4lb_port *port,
				    union claim claim, const struct said *said)
{
	if (!(claim.fields.state & L4LB_CLAIM_ANSWERED))
		return false;
	return !(claim.fields.state & L4LB_CLAIM_TCP) ||
	       ((said->flags & (TCP_SYN | TCP_ACK)) == TCP_ACK &&
		said->acknowledges - port->awaited < AWAITED_WITHIN);
}

static __always_inline void note_client(const struct l4lb_port *port,
					__u64 *where, union claim claim,
					const struct said *said, __u32 now)
{
	__u16 added = 0;

	if (said->flags & TCP_RST) {
		note(where, claim.fields.signature, L4LB_CLAIM_RST, 0, now);
		return;
	}
	if (said->flags & TCP_FIN)
		added |= L4LB_CLAIM_CLIENT_FIN;
	if (goes_on(port, claim, said))
		added |= L4LB_CLAIM_ESTABLISHED;
	note(where, claim.fields.signature, added, L4LB_CLAIM_RST, now);
}

/*
 * A SYN from the destination tells of a connection whose client has not yet gone on: a new
 * one with the ends of the one before, or one that seemed to have gone on by a forged
 * packet. A server that has a connection does not answer a forged SYN with one.
 */
static __always_inline void note_answer(struct l4lb_port *port, __u64 *where,
					union claim claim,
					const struct said *said, __u32 now)
{
	__u16 added = L4LB_CLAIM_ANSWERED, removed = L4LB_CLAIM_RST;

	if (said->flags & TCP_RST) {
		note(where, claim.fields.signature, L4LB_CLAIM_RST, 0, now);
		return;
	}
	if (said->flags & TCP_FIN)
		added |= L4LB_CLAIM_SERVER_FIN;
	if (said->flags & TCP_SYN) {
		removed = ~(L4LB_CLAIM_READY | L4LB_CLAIM_TCP);
		if (port->awaited != said->sequence + 1)
			port->awaited = said->sequence + 1;
	}
	note(where, claim.fields.signature, added, removed, now);
}

#endif
#endif

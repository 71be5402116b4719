// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <netinet/icmp6.h>
#include <rte_arp.h>
#include <rte_ip.h>
#include <string.h>

#include "own.h"

/* A neighbour solicitation up to its target, and an advertisement with one option. */
struct solicitation {
	struct rte_ether_hdr eth;
	struct rte_ipv6_hdr ip;
	struct nd_neighbor_solicit nd;
} __attribute__((packed));

struct advertisement {
	struct rte_ether_hdr eth;
	struct rte_ipv6_hdr ip;
	struct nd_neighbor_advert nd;
	struct nd_opt_hdr option;
	struct rte_ether_addr mac;
} __attribute__((packed));

struct question {
	struct rte_ether_hdr eth;
	struct rte_arp_hdr arp;
} __attribute__((packed));

#define IPV6_HOPS \
	255 /* a router would have taken one: it comes from this link */

static const __u8 all_nodes[16] = { 0xff, 0x02, [15] = 1 };

static bool is_own(const struct own_address *own, int own_count,
		   const void *address, bool is_ipv6)
{
	for (int i = 0; i < own_count; i++)
		if (own[i].is_ipv6 == is_ipv6 &&
		    !memcmp(own[i].bytes, address, is_ipv6 ? 16 : 4))
			return true;
	return false;
}

static void answer_arp(struct question *frame, const struct rte_ether_addr *mac)
{
	const struct rte_arp_ipv4 asked = frame->arp.arp_data;

	frame->arp.arp_opcode = RTE_BE16(RTE_ARP_OP_REPLY);
	frame->arp.arp_data = (struct rte_arp_ipv4){
		.arp_sha = *mac,
		.arp_sip = asked.arp_tip,
		.arp_tha = asked.arp_sha,
		.arp_tip = asked.arp_sip,
	};
	frame->eth.dst_addr = frame->eth.src_addr;
	frame->eth.src_addr = *mac;
}

static bool is_arp_question(const struct question *frame)
{
	return frame->eth.ether_type == RTE_BE16(RTE_ETHER_TYPE_ARP) &&
	       frame->arp.arp_hardware == RTE_BE16(RTE_ARP_HRD_ETHER) &&
	       frame->arp.arp_protocol == RTE_BE16(RTE_ETHER_TYPE_IPV4) &&
	       frame->arp.arp_opcode == RTE_BE16(RTE_ARP_OP_REQUEST);
}

static bool is_solicitation(const struct solicitation *frame)
{
	return frame->eth.ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV6) &&
	       frame->ip.proto == IPPROTO_ICMPV6 &&
	       frame->ip.hop_limits == IPV6_HOPS &&
	       frame->nd.nd_ns_type == ND_NEIGHBOR_SOLICIT &&
	       frame->nd.nd_ns_code == 0;
}

/* Who has no address yet, and asks whether somebody has this one, hears it with all others. */
static void answer_solicitation(struct advertisement *frame,
				const struct rte_ether_addr *mac)
{
	static const __u8 none[16];
	const struct in6_addr asked = frame->nd.nd_na_target;
	const bool is_for_all = !memcmp(frame->ip.src_addr, none, sizeof(none));

	memcpy(frame->ip.dst_addr, is_for_all ? all_nodes : frame->ip.src_addr,
	       sizeof(all_nodes));
	memcpy(frame->ip.src_addr, &asked, sizeof(asked));
	frame->ip.payload_len =
		RTE_BE16(sizeof(*frame) - offsetof(struct advertisement, nd));
	frame->nd.nd_na_type = ND_NEIGHBOR_ADVERT;
	frame->nd.nd_na_flags_reserved =
		ND_NA_FLAG_OVERRIDE | (is_for_all ? 0 : ND_NA_FLAG_SOLICITED);
	frame->option = (struct nd_opt_hdr){
		.nd_opt_type = ND_OPT_TARGET_LINKADDR,
		.nd_opt_len = 1,
	};
	frame->mac = *mac;
	frame->nd.nd_na_cksum = 0;
	frame->nd.nd_na_cksum = rte_ipv6_udptcp_cksum(&frame->ip, &frame->nd);
	frame->eth.dst_addr =
		is_for_all ?
			(struct rte_ether_addr){ { 0x33, 0x33, 0, 0, 0, 1 } } :
			frame->eth.src_addr;
	frame->eth.src_addr = *mac;
}

/* Makes the frame as long as an advertisement, and drops what it had behind. */
static bool fit(struct rte_mbuf *frame)
{
	const int more = (int)sizeof(struct advertisement) - frame->pkt_len;

	if (more > 0)
		return rte_pktmbuf_append(frame, more);
	return !rte_pktmbuf_trim(frame, -more);
}

bool answer_question(struct rte_mbuf *frame, const struct own_address *own,
		     int own_count, const struct rte_ether_addr *mac)
{
	struct question *question = rte_pktmbuf_mtod(frame, struct question *);
	struct solicitation *solicitation =
		rte_pktmbuf_mtod(frame, struct solicitation *);

	if (frame->nb_segs != 1)
		return false;
	if (frame->data_len >= sizeof(*question) && is_arp_question(question) &&
	    is_own(own, own_count, &question->arp.arp_data.arp_tip, false)) {
		answer_arp(question, mac);
		return true;
	}
	if (frame->data_len < sizeof(*solicitation) ||
	    !is_solicitation(solicitation) ||
	    !is_own(own, own_count, &solicitation->nd.nd_ns_target, true) ||
	    !fit(frame))
		return false;
	answer_solicitation(rte_pktmbuf_mtod(frame, struct advertisement *),
			    mac);
	return true;
}

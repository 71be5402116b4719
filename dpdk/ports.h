/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* DPDK's ports: the one that is balanced, and the exception, a device of the host. */
#ifndef PORTS_H
#define PORTS_H

#include <linux/types.h>
#include <net/if.h>
#include <rte_ethdev.h>

struct port {
	__u16 id;
	const char *driver;
	char name[RTE_ETH_NAME_MAX_LEN];
	char device[IF_NAMESIZE]; /* in the kernel; empty if it has none */
	struct rte_ether_addr mac;
	__u16 mtu;
};

/* Starts the only port that there is, with as many queues as threads. */
struct port start_port(unsigned int queues);
/* Makes a network device of this name, with the MAC address and the MTU of the port. */
struct port start_exception(const char *name, const struct port *like,
			    unsigned int queues);
/* The tools give the tables the MAC address of their device, so it has to be the port's. */
void check_device(const char *device, const struct port *port);
void stop_port(const struct port *port);

#endif

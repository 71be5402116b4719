// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <rte_bus.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "errors.h"
#include "ports.h"

#define DESCRIPTORS 1024
#define HASHED (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP)

static struct rte_mempool *pool;

/* All rings full, a burst for each thread on its way, and some for its cache. */
static void make_pool(unsigned int queues, bool has_exception_too)
{
	const unsigned int rings = 2 * (1 + has_exception_too) * queues;

	pool = rte_pktmbuf_pool_create(
		"frames",
		rte_align32pow2(rings * DESCRIPTORS + queues * 1024) - 1, 256,
		0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (!pool)
		fail("there is too little memory of DPDK's",
		     "more huge pages, or -m with more MiB in front of the --",
		     "no memory for frames: %s", rte_strerror(rte_errno));
}

static void configure(struct port *port, unsigned int queues)
{
	struct rte_eth_conf wanted = {};
	struct rte_eth_dev_info info;
	__u16 received = DESCRIPTORS, sent = DESCRIPTORS;
	int error = rte_eth_dev_info_get(port->id, &info);

	if (error)
		fail(NULL, NULL, "port %s: %s", port->name,
		     rte_strerror(-error));
	port->driver = info.driver_name;
	if (queues > info.max_rx_queues || queues > info.max_tx_queues)
		fail("each processor of -l needs a queue of its own",
		     "fewer processors in -l", "port %s has %u queues, not %u",
		     port->name,
		     RTE_MIN(info.max_rx_queues, info.max_tx_queues), queues);
	if (queues > 1) {
		wanted.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		wanted.rx_adv_conf.rss_conf.rss_hf =
			info.flow_type_rss_offloads & HASHED;
	}
	/* A frame that is longer than one buffer. */
	wanted.rxmode.offloads = info.rx_offload_capa &
				 RTE_ETH_RX_OFFLOAD_SCATTER;
	wanted.txmode.offloads = info.tx_offload_capa &
				 RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	error = rte_eth_dev_configure(port->id, queues, queues, &wanted);
	if (!error)
		error = rte_eth_dev_adjust_nb_rx_tx_desc(port->id, &received,
							 &sent);
	for (unsigned int queue = 0; !error && queue < queues; queue++)
		error = rte_eth_rx_queue_setup(port->id, queue, received,
					       SOCKET_ID_ANY, NULL, pool);
	for (unsigned int queue = 0; !error && queue < queues; queue++)
		error = rte_eth_tx_queue_setup(port->id, queue, sent,
					       SOCKET_ID_ANY, NULL);
	if (error)
		fail(NULL, NULL, "port %s cannot be set up: %s", port->name,
		     rte_strerror(-error));
}

static void start(struct port *port)
{
	struct rte_eth_dev_info info;
	const int error = rte_eth_dev_start(port->id);

	if (error)
		fail(NULL, NULL, "port %s does not start: %s", port->name,
		     rte_strerror(-error));
	/* Neighbour discovery asks groups; not every driver has to be told. */
	rte_eth_allmulticast_enable(port->id);
	rte_eth_macaddr_get(port->id, &port->mac);
	rte_eth_dev_get_mtu(port->id, &port->mtu);
	if (!rte_eth_dev_info_get(port->id, &info) && info.if_index)
		if_indextoname(info.if_index, port->device);
}

struct port start_port(unsigned int queues)
{
	const unsigned int ports = rte_eth_dev_count_avail();
	struct port port = {};
	__u16 id;

	if (ports != 1)
		fail(ports ? NULL :
			     "no --vdev and no -a names one, or its driver "
			     "does not take it",
		     "one port, such as --vdev=net_tap0,iface=tapdpdk in front "
		     "of the --",
		     "DPDK has %u ports, but one process balances one", ports);
	RTE_ETH_FOREACH_DEV(id)
	port.id = id;
	rte_eth_dev_get_name_by_port(port.id, port.name);
	make_pool(queues, true);
	configure(&port, queues);
	start(&port);
	return port;
}

/*
 * The tap of a port is the wire, on which no host lives. With IPv6 it would have the same
 * link-local address as the exception, which then would take that for a duplicate.
 */
static void silence(const struct port *port)
{
	char path[64];
	FILE *file;

	if (strcmp(port->driver, "net_tap") || !*port->device)
		return;
	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6",
		 port->device);
	file = fopen(path, "we");
	if (!file)
		return; /* the kernel has no IPv6 */
	fputs("1", file);
	fclose(file);
}

struct port start_exception(const char *name, const struct port *like,
			    unsigned int queues)
{
	static const char exception[] = "net_tap_exception";
	char arguments[128], mac[RTE_ETHER_ADDR_FMT_SIZE];
	struct port port = {};
	int error;

	if (if_nametoindex(name))
		fail("another process made it, or it is another kind of device",
		     "choose another name, or remove it",
		     "there is a device %s already", name);
	silence(like);
	rte_ether_format_addr(mac, sizeof(mac), &like->mac);
	snprintf(arguments, sizeof(arguments), "iface=%s,mac=%s", name, mac);
	error = rte_eal_hotplug_add("vdev", exception, arguments);
	if (!error)
		error = rte_eth_dev_get_port_by_name(exception, &port.id);
	if (error)
		fail("there is no /dev/net/tun, or the driver net_tap is not "
		     "installed",
		     "modprobe tun; apt install librte-net-tap23",
		     "no device %s: %s", name, rte_strerror(-error));
	snprintf(port.name, sizeof(port.name), "%s", exception);
	configure(&port, queues);
	rte_eth_dev_set_mtu(port.id, like->mtu);
	start(&port);
	return port;
}

void check_device(const char *device, const struct port *port)
{
	char its[RTE_ETHER_ADDR_FMT_SIZE], ports[RTE_ETHER_ADDR_FMT_SIZE];
	const int asking = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct rte_ether_addr mac;
	struct ifreq about = {};
	char next[128];

	snprintf(about.ifr_name, sizeof(about.ifr_name), "%s", device);
	if (asking < 0 || ioctl(asking, SIOCGIFHWADDR, &about))
		fail("the name is mistyped, or it is in another network "
		     "namespace",
		     "name one that ip link shows, or leave --device out",
		     "the device %s: %s", device, strerror(errno));
	close(asking);
	memcpy(&mac, about.ifr_hwaddr.sa_data, sizeof(mac));
	if (rte_is_same_ether_addr(&mac, &port->mac))
		return;
	rte_ether_format_addr(its, sizeof(its), &mac);
	rte_ether_format_addr(ports, sizeof(ports), &port->mac);
	snprintf(next, sizeof(next), "ip link set dev %s address %s", device,
		 ports);
	fail("the tables get the MAC address of the device, and packets for "
	     "the port would "
	     "not be for us",
	     next, "%s has the MAC address %s, and port %s has %s", device, its,
	     port->name, ports);
}

void stop_port(const struct port *port)
{
	rte_eth_dev_stop(port->id);
	rte_eth_dev_close(port->id);
}

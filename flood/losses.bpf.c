// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Counts the frames that a device did not accept. The test run does not report them, but
 * the kernel's tracepoints do, for each burst of 16 frames and for every driver.
 */
#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

#include "losses.h"

/* The fields that are read of the kernel's structures; libbpf finds their offsets. */
#pragma clang attribute push(__attribute__((preserve_access_index)), \
			     apply_to = record)
struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
};

typedef struct {
	struct net *net;
} possible_net_t;

struct net_device {
	int ifindex;
	possible_net_t nd_net;
};
#pragma clang attribute pop

const volatile struct watched watched = {};
struct losses losses = {};

static __always_inline bool is_watched(const struct net_device *device)
{
	return (__u32)device->ifindex == watched.ifindex &&
	       device->nd_net.net->ns.inum == watched.namespace_inode;
}

static __always_inline void lose(int frames, int error)
{
	__sync_fetch_and_add(&losses.frames, frames);
	losses.error = error;
}

/* The driver got a burst. Arguments: devices from and to, sent, dropped, error. */
SEC("tp_btf/xdp_devmap_xmit")
int count_dropped(__u64 *arguments)
{
	const int dropped = arguments[3];

	if (dropped > 0 && is_watched((void *)arguments[1]))
		lose(dropped, arguments[4]);
	return 0;
}

/* A frame did not reach the driver. Arguments: device, program, target, error. */
SEC("tp_btf/xdp_redirect_err")
int count_refused(__u64 *arguments)
{
	if (is_watched((void *)arguments[0]))
		lose(1, arguments[3]);
	return 0;
}

char license_name[] SEC("license") = "Dual BSD/GPL";

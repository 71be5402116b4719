// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** The kernel's helpers, which a program can call by number: enum bpf_func_id. */

export const LOOKUP = 1;
export const UPDATE = 2;
export const DELETE = 3;
export const RANDOM = 7;
export const TAIL_CALL = 12;
export const EVENT_OUTPUT = 25;
export const ADJUST_HEAD = 44;
export const ADJUST_TAIL = 65;

/** The helpers that the card has, too. */
export const CARD_HELPERS = new Set([
  LOOKUP,
  UPDATE,
  DELETE,
  RANDOM,
  EVENT_OUTPUT,
  ADJUST_HEAD,
  ADJUST_TAIL,
]);

/** The helpers that do not write to what their arguments point to. */
export const READING_HELPERS = new Set([LOOKUP, UPDATE, DELETE, EVENT_OUTPUT]);

/** Names for findings, of the helpers that an XDP program is likely to call. */
const NAMES: Record<number, string> = {
  1: 'map_lookup_elem',
  2: 'map_update_elem',
  3: 'map_delete_elem',
  5: 'ktime_get_ns',
  6: 'trace_printk',
  7: 'get_prandom_u32',
  8: 'get_smp_processor_id',
  12: 'tail_call',
  23: 'redirect',
  25: 'perf_event_output',
  28: 'csum_diff',
  42: 'get_numa_node_id',
  44: 'xdp_adjust_head',
  51: 'redirect_map',
  54: 'xdp_adjust_meta',
  65: 'xdp_adjust_tail',
  69: 'fib_lookup',
  84: 'sk_lookup_tcp',
  85: 'sk_lookup_udp',
  86: 'sk_release',
  93: 'spin_lock',
  94: 'spin_unlock',
  99: 'skc_lookup_tcp',
  100: 'tcp_check_syncookie',
  110: 'tcp_gen_syncookie',
  118: 'jiffies64',
  125: 'ktime_get_boot_ns',
  130: 'ringbuf_output',
  131: 'ringbuf_reserve',
  160: 'ktime_get_coarse_ns',
  163: 'check_mtu',
  164: 'for_each_map_elem',
  181: 'loop',
  188: 'xdp_get_buff_len',
  189: 'xdp_load_bytes',
  190: 'xdp_store_bytes',
  195: 'map_lookup_percpu_elem',
  204: 'tcp_raw_gen_syncookie_ipv4',
  208: 'ktime_get_tai_ns',
};

export function nameOfHelper(number: number): string {
  const name = NAMES[number];
  return name === undefined ? `helper ${number}` : `bpf_${name}()`;
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * steer: does for l4lb_steer.o what neither ip nor bpftool can. It attaches the program to
 * the network namespace that it runs in, and puts the sockets of servers into its map.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "borrow.h"
#include "errors.h"
#include "listeners.h"

static const char usage[] =
	"Usage: steer attach PROGRAM LINK\n"
	"       steer servers MAP [SERVER]...\n"
	"       steer look SERVER...\n"
	"\n"
	"  attach   attach the pinned PROGRAM to this network\n"
	"           namespace, and pin that as LINK; where LINK is\n"
	"           already, put PROGRAM in place of its own\n"
	"  servers  put the listening sockets of these servers, and\n"
	"           no others, into the map with the id MAP\n"
	"  look     change nothing\n"
	"\n"
	"A SERVER is a struct l4lb_server in hexadecimal. For each\n"
	"there is a line: it \"listens\", \"nobody\" does, or its socket\n"
	"is \"out of reach\", with the reason.\n";

static int open_pinned(const char *path)
{
	const int descriptor = bpf_obj_get(path);

	if (descriptor < 0)
		fail(errno, path);
	return descriptor;
}

static bool update_link(const char *path, int program)
{
	const int link = bpf_obj_get(path);
	int error;

	if (link < 0)
		return false;
	error = bpf_link_update(link, program, NULL);
	close(link);
	if (error)
		unlink(path); /* its network namespace is gone */
	return !error;
}

static void attach(const char *program_path, const char *link_path)
{
	const int program = open_pinned(program_path);
	int namespace, link;

	if (update_link(link_path, program))
		return;
	namespace = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (namespace < 0)
		fail(errno, "/proc/self/ns/net");
	link = bpf_link_create(program, namespace, BPF_SK_LOOKUP, NULL);
	if (link < 0)
		fail(errno, "could not attach the program to the namespace");
	if (bpf_obj_pin(link, link_path))
		fail(errno, link_path);
}

static struct l4lb_server read_server(const char *text)
{
	struct l4lb_server server;
	__u8 *bytes = (__u8 *)&server;

	if (strlen(text) != 2 * sizeof(server))
		wrong_usage("a server has 40 hexadecimal digits");
	for (size_t i = 0; i < sizeof(server); i++)
		if (sscanf(text + 2 * i, "%2hhx", &bytes[i]) != 1)
			wrong_usage("a server has 40 hexadecimal digits");
	return server;
}

/* Returns the cookie of the server's socket in the map, 0: there is none. */
static __u64 known_cookie(int map, const struct l4lb_server *server)
{
	__u64 cookie;

	return bpf_map_lookup_elem(map, server, &cookie) ? 0 : cookie;
}

/* Borrows the listener and puts it into the map, where it stays until it is closed. */
static int add_listener(int map, const struct l4lb_server *server, __u32 inode)
{
	const int socket = borrow_socket(inode);
	const __u64 value = socket;
	int error = 0;

	if (socket < 0)
		return -socket;
	if (bpf_map_update_elem(map, server, &value, BPF_ANY))
		error = errno;
	close(socket);
	return error;
}

static void tell_reach(int error)
{
	if (!error)
		puts("listens");
	else if (error == ENOENT)
		puts("out of reach: no process has its socket");
	else if (error == EPERM)
		puts("out of reach: this may not take it from its process");
	else
		printf("out of reach: %s\n", strerror(error));
}

static void look_for(int map, const struct l4lb_server *server)
{
	const __u64 known = known_cookie(map, server);
	struct listener found;

	if (!find_listener(server, known, &found)) {
		bpf_map_delete_elem(map, server);
		puts("nobody");
		return;
	}
	if (found.cookie == known)
		tell_reach(0);
	else
		tell_reach(add_listener(map, server, found.inode));
}

static bool is_among(const struct l4lb_server *server, char **texts, int count)
{
	for (int i = 0; i < count; i++) {
		const struct l4lb_server one = read_server(texts[i]);

		if (!memcmp(&one, server, sizeof(one)))
			return true;
	}
	return false;
}

/* Removes servers that are no destinations any more. */
static void forget_others(int map, char **texts, int count)
{
	struct l4lb_server next, other;
	bool has_other = false;

	while (!bpf_map_get_next_key(map, has_other ? &other : NULL, &next)) {
		if (is_among(&next, texts, count)) {
			other = next;
			has_other = true;
		} else if (bpf_map_delete_elem(map, &next)) {
			return; /* it has just been closed: the next time */
		}
	}
}

static void fill_servers(const char *id, char **texts, int count)
{
	const int map = bpf_map_get_fd_by_id(strtoul(id, NULL, 10));

	if (map < 0)
		fail(errno, "could not open the map");
	for (int i = 0; i < count; i++) {
		const struct l4lb_server server = read_server(texts[i]);

		look_for(map, &server);
	}
	forget_others(map, texts, count);
}

static void look_only(char **texts, int count)
{
	struct listener found;

	for (int i = 0; i < count; i++) {
		const struct l4lb_server server = read_server(texts[i]);

		puts(find_listener(&server, 0, &found) ? "listens" : "nobody");
	}
}

int main(int count, char **arguments)
{
	if (count == 2 && !strcmp(arguments[1], "--help")) {
		fputs(usage, stdout);
		return EXIT_SUCCESS;
	}
	if (count == 4 && !strcmp(arguments[1], "attach"))
		attach(arguments[2], arguments[3]);
	else if (count >= 3 && !strcmp(arguments[1], "servers"))
		fill_servers(arguments[2], arguments + 3, count - 3);
	else if (count >= 3 && !strcmp(arguments[1], "look"))
		look_only(arguments + 2, count - 2);
	else
		wrong_usage("name a command: attach, servers or look");
	return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
}

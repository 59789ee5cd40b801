/*
 * lookup any|4|6 NAME...: asks the C library for each name, as programs do, and prints a line of it:
 *
 *   NAME CANONICAL ADDRESS...
 *   NAME EAI_NONAME
 *
 * One source for every C library, so that they are told apart by what they answer alone.
 */
#define _GNU_SOURCE
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static const char *failure(int code)
{
	switch (code) {
	case EAI_NONAME: return "EAI_NONAME";
	case EAI_AGAIN: return "EAI_AGAIN";
	case EAI_FAIL: return "EAI_FAIL";
#ifdef EAI_NODATA
	case EAI_NODATA: return "EAI_NODATA";
#endif
	default: return gai_strerror(code);
	}
}

static int lookup(int family, const char *name)
{
	struct addrinfo hints = {
		.ai_family = family,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_CANONNAME,
	};
	struct addrinfo *found;
	int code = getaddrinfo(name, NULL, &hints, &found);

	if (code != 0) {
		printf("%s %s\n", name, failure(code));
		return 0;
	}
	printf("%s %s", name, found->ai_canonname);
	for (struct addrinfo *one = found; one; one = one->ai_next) {
		char text[64];

		if (getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST) != 0)
			return 1;
		printf(" %s", text);
	}
	putchar('\n');
	freeaddrinfo(found);
	return 0;
}

int main(int argc, char **argv)
{
	int family;

	if (argc < 3)
		return 2;
	if (strcmp(argv[1], "any") == 0)
		family = AF_UNSPEC;
	else
		family = strcmp(argv[1], "6") == 0 ? AF_INET6 : AF_INET;
	for (int i = 2; i < argc; i++)
		if (lookup(family, argv[i]) != 0)
			return 1;
	return 0;
}

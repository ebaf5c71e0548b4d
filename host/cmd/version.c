// moonhook version: this build and the libraries in it. MOONHOOK_VERSION comes from the Makefile.
#include <llhttp.h>
#include <luajit.h>
#include <openssl/crypto.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "verbs.h"

int cmd_version(int argc, char **argv)
{
  if (verb_wants_help(argc, argv))
    return 0;
  if (argc > 1 && strcmp(argv[1], "--json") != 0)
    return verb_usage("version", "unknown argument '%s'", argv[1]);
  if (argc > 1)
    printf("{\"version\":\"%s\",\"luajit\":\"%s\",\"libuv\":\"%s\",\"llhttp\":\"%d.%d.%d\","
           "\"openssl\":\"%s\",\"sqlite\":\"%s\"}\n",
           MOONHOOK_VERSION, LUAJIT_VERSION, uv_version_string(), LLHTTP_VERSION_MAJOR,
           LLHTTP_VERSION_MINOR, LLHTTP_VERSION_PATCH, OpenSSL_version(OPENSSL_VERSION_STRING),
           sqlite3_libversion());
  else
    printf("moonhook %s\n%s, libuv %s, llhttp %d.%d.%d, OpenSSL %s, SQLite %s\n", MOONHOOK_VERSION,
           LUAJIT_VERSION, uv_version_string(), LLHTTP_VERSION_MAJOR, LLHTTP_VERSION_MINOR,
           LLHTTP_VERSION_PATCH, OpenSSL_version(OPENSSL_VERSION_STRING), sqlite3_libversion());
  return 0;
}

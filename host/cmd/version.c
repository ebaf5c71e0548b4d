// moonhook version: this build and the libraries in it. MOONHOOK_VERSION comes from the Makefile.
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "../http/server.h"
#include "../script/state.h"
#include "../store/store.h"
#include "verbs.h"

int cmd_version(int argc, char **argv)
{
  const char *openssl = OpenSSL_version(OPENSSL_VERSION_STRING);
  char llhttp[32];
  if (verb_wants_help(argc, argv))
    return 0;
  if (argc > 1 && strcmp(argv[1], "--json") != 0)
    return verb_usage("version", "unknown argument '%s'", argv[1]);
  http_parser_version(llhttp, sizeof llhttp);
  if (argc > 1)
    printf("{\"version\":\"%s\",\"luajit\":\"%s\",\"libuv\":\"%s\",\"llhttp\":\"%s\","
           "\"openssl\":\"%s\",\"sqlite\":\"%s\",\"plugins_compiled\":%s}\n",
           MOONHOOK_VERSION, script_version(), uv_version_string(), llhttp, openssl,
           store_version(), script_compiles() ? "true" : "false");
  else
    printf("moonhook %s\n%s, libuv %s, llhttp %s, OpenSSL %s, SQLite %s\nplugins run %s\n",
           MOONHOOK_VERSION, script_version(), uv_version_string(), llhttp, openssl,
           store_version(),
           script_compiles() ? "compiled: this LuaJIT lets compiled code be interrupted"
                             : "interpreted: compiled code could not be interrupted");
  return 0;
}

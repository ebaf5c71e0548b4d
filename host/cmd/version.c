// moonhook version: this build and the libraries in it. MOONHOOK_VERSION comes from the Makefile.
#include <openssl/crypto.h>
#include <stdio.h>
#include <uv.h>

#include "../http/server.h"
#include "../script/state.h"
#include "../store/store.h"
#include "arguments.h"

int cmd_version(const Arguments *arguments)
{
  const char *openssl = OpenSSL_version(OPENSSL_VERSION_STRING);
  char llhttp[32];
  http_parser_version(llhttp, sizeof llhttp);
  if (arguments_have(arguments, "--json"))
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

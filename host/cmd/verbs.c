// The table (see verbs.h).
#include "verbs.h"

static const Flag json_flag[] = {
  { "--json", NULL, "JSON on stdout" },
  { NULL, NULL, NULL },
};

static const Flag serve_flags[] = {
  { "--config", "FILE", "configuration; default: moonhook.yaml when it is there" },
  { "--listen", "ADDR:PORT", "public listener; default 127.0.0.1:8080, port 0 takes any" },
  { "--admin", "ADDR:PORT", "health and readiness; default 127.0.0.1:8081" },
  { "--data", "DIR", "what must outlive a restart; default ./data" },
  { "--plugins", "DIR", "a plugin, or a folder of plugins; may be repeated" },
  { "--workers", "N", "processes that serve; default: the number of cores" },
  { "--log-level", "LEVEL", "debug, info, warn or error; default info" },
  { "--log-format", "FORMAT", "auto, json or pretty; default auto: pretty on a terminal" },
  { NULL, NULL, NULL },
};

static const Flag url_flags[] = {
  { "--print-urls", NULL, "a log record with the URL of each endpoint" },
  { NULL, NULL, NULL },
};

static const Flag init_flags[] = {
  { "--template", "TEMPLATE", "hello, stream, chat, openai or webhook; default hello" },
  { NULL, NULL, NULL },
};

static const Flag check_flags[] = {
  { "--check", NULL, "say whether it could start, and end" },
  { NULL, NULL, NULL },
};

static const Flag test_flags[] = {
  { "--watch", NULL, "run again after each save" },
  { "--filter", "PATTERN", "only specs whose names match" },
  { "--tags", "TAGS", "only specs with these #tags" },
  { "--output", "REPORTER", "plainTerminal, TAP, junit, json or another of busted's" },
  { "--list", NULL, "names of the specs, without running them" },
  { "--shuffle", NULL, "in a random order" },
  { NULL, NULL, NULL },
};

#define SERVE_TEXT                                                                                 \
  "Every flag is also a key of the file and a variable: --data, data:, MOONHOOK_DATA.\n"           \
  "Flags win over variables, variables over the file.\n"

const Value values[] = {
  { "DIR", VALUE_FOLDER, NULL },
  { "FILE", VALUE_FILE, NULL },
  { "FORMAT", VALUE_WORDS, "auto json pretty" },
  { "LEVEL", VALUE_WORDS, "debug info warn error" },
  { "TEMPLATE", VALUE_WORDS, "hello stream chat openai webhook" },
  { "SHELL", VALUE_WORDS, "bash zsh fish" },
  { "VERB", VALUE_VERBS, NULL },
  { NULL, VALUE_FILE, NULL },
};

const Verb verbs[] = {
  { .name = "dev",
    .places = "",
    .summary = "serve while you write: watches, reloads, prints the URLs",
    .examples = "moonhook dev                          in a plugin's folder, or beside its "
                "moonhook.yaml\n"
                "moonhook dev --config examples/demo/moonhook.yaml\n"
                "moonhook dev --plugins ./my_plugin --listen 127.0.0.1:9000\n",
    .text = "Saves are served within 100 ms; a broken file keeps the last good version and prints "
            "the\n"
            "error. URLs go to stdout, everything else to stderr. When the default port is in use, "
            "the\n"
            "next free one is taken.\n\n" SERVE_TEXT,
    .flags = { serve_flags, url_flags },
    .run = cmd_dev },
  { .name = "serve",
    .places = "",
    .summary = "serve the configured endpoints",
    .examples =
        "moonhook serve --config /etc/moonhook/moonhook.yaml\n"
        "moonhook serve --plugins ./plugins --data /var/lib/moonhook --listen 0.0.0.0:8080\n"
        "MOONHOOK_LOG_LEVEL=warn moonhook serve\n",
    .text = "SIGTERM stops: active requests end within 30 s, then it exits with 0; a second one "
            "breaks\n"
            "them off. SIGHUP reads the configuration and the plugins again.\n\n" SERVE_TEXT,
    .flags = { serve_flags, url_flags, check_flags },
    .run = cmd_serve },
  { .name = "check",
    .places = "DIR...",
    .summary = "find what is wrong in plugins, without running them",
    .examples = "moonhook check plugins/webapp_skins\n"
                "moonhook check --json plugins/*\n",
    .text = "Prints each problem as file:line:column: what: expected, got. Exits with 1 on any.\n",
    .flags = { json_flag },
    .run = cmd_check },
  { .name = "init",
    .places = "NAME",
    .summary = "make a new plugin that runs and passes its spec",
    .examples = "moonhook init greeter\n"
                "moonhook init plugins/relay --template chat\n",
    .text =
        "Makes the folder NAME with a manifest, a handler, a spec, and files for busted, luacheck\n"
        "and lua-language-server. Files that are there are never overwritten.\n",
    .flags = { init_flags },
    .run = cmd_init },
  { .name = "test",
    .places = "[DIR...]",
    .summary = "run the specs of plugins, with fakes for the world",
    .examples = "moonhook test                         in a plugin's folder: the specs in spec/\n"
                "moonhook test plugins/*\n"
                "moonhook test spec/hello_spec.lua --filter greets\n"
                "moonhook test --watch                 again after each save\n",
    .text =
        "Specs are busted's: describe, it, assert. require \"moonhook.testing\" loads the plugin "
        "as\n"
        "a host does, and plays the models, apps, tools and servers that it calls. All other\n"
        "options are busted's, too. Exits with 1 when a spec fails, with 2 when none can run:\n"
        "busted is not installed, a folder is not there.\n",
    .flags = { test_flags },
    .run = cmd_test,
    .passes_on = true },
  { .name = "lua",
    .places = "FILE [ARGUMENT...]",
    .summary = "run a Lua script that may require moonhook.testing",
    .examples = "moonhook lua script.lua one two\n",
    .text = "LuaJIT with the system's modules. A plugin's .busted names it, so that plain `busted` "
            "runs\n"
            "the same specs: lua = \"moonhook lua\".\n",
    .run = cmd_lua,
    .passes_on = true },
  { .name = "config",
    .summary = "see and check the configuration",
    .examples = "moonhook config print\n"
                "moonhook config check --config /etc/moonhook/moonhook.yaml\n" },
  { .name = "config print",
    .places = "",
    .summary = "print every value that holds, and where it comes from",
    .examples = "moonhook config print --config /etc/moonhook/moonhook.yaml\n"
                "moonhook config print --json\n",
    .text = "A value comes from the file (with line and column), a variable, a flag, or is the "
            "default.\n"
            "Secrets and hook ids are masked; keys are shown by the name of their file.\n",
    .flags = { serve_flags, json_flag },
    .run = cmd_config_print },
  { .name = "config check",
    .places = "",
    .summary = "find what serve would refuse or complain about",
    .examples = "moonhook config check --config /etc/moonhook/moonhook.yaml\n"
                "moonhook config check --json\n",
    .text = "Reads the configuration, its plugins, and the settings of its endpoints; exits with 1 "
            "on any\n"
            "problem. Nothing is started, nothing is written.\n",
    .flags = { serve_flags, json_flag },
    .run = cmd_config_check },
  { .name = "completion",
    .places = "SHELL",
    .summary = "print what completes commands in bash, zsh or fish",
    .examples = "source <(moonhook completion bash)\n"
                "moonhook completion zsh > ~/.zfunc/_moonhook\n"
                "moonhook completion fish > ~/.config/fish/completions/moonhook.fish\n",
    .run = cmd_completion },
  { .name = "man",
    .places = "",
    .summary = "print the manual page",
    .examples = "moonhook man | man -l -\n",
    .run = cmd_man },
  { .name = "version",
    .places = "",
    .summary = "print the version and what it was built with",
    .examples = "moonhook version\n"
                "moonhook version --json\n",
    .flags = { json_flag },
    .run = cmd_version },
  { .name = "help",
    .places = "[VERB] [VERB]",
    .summary = "print help",
    .examples = "moonhook help\n"
                "moonhook help dev\n",
    .run = cmd_help },
  { .name = NULL },
};

// The table (see verbs.h).
#include "verbs.h"

static const Flag json_flag[] = {
  { "--json", NULL, "JSON on stdout" },
  { NULL, NULL, NULL },
};

static const Flag serve_flags[] = {
  { "--config", "FILE", "configuration; default: moonhook.yaml when it is there" },
  { "--listen", "ADDR:PORT",
    "public listener; default 127.0.0.1:8080, a port alone is of\n127.0.0.1, port 0 takes any" },
  { "--admin", "ADDR:PORT", "health and readiness; default 127.0.0.1:8081" },
  { "--data", "DIR", "what must outlive a restart; default ./data" },
  { "--plugins", "DIR", "a plugin (folder or .difypkg), or a folder of plugins; may be repeated" },
  { "--workers", "N", "processes that serve; default: the number of cores" },
  { "--log-level", "LEVEL", "debug, info, warn or error; default info" },
  { "--log-format", "FORMAT", "auto, json or pretty; default auto: pretty on a terminal" },
  { NULL, NULL, NULL },
};

static const Flag url_flags[] = {
  { "--print-urls", NULL, "a log record with the URL of each endpoint" },
  { NULL, NULL, NULL },
};

// Where the running host is.
static const Flag ask_flags[] = {
  { "--config", "FILE", "configuration of the host; default: moonhook.yaml when it is there" },
  { "--admin", "ADDR:PORT", "where its admin listener is; default: as configured" },
  { "--key-file", "FILE", "file with its admin key; default: admin.key in its data folder" },
  { "--data", "DIR", "its data folder; default: as configured" },
  { "--json", NULL, "JSON on stdout" },
  { NULL, NULL, NULL },
};

static const Flag names_flag[] = {
  { "--names", NULL, "ids and names alone, a line each" },
  { NULL, NULL, NULL },
};

static const Flag plugin_flag[] = {
  { "--plugin", "PLUGIN", "only endpoints of this plugin" },
  { NULL, NULL, NULL },
};

static const Flag settings_flags[] = {
  { "--name", "NAME", "what operators call it" },
  { "--slug", "SLUG", "3 to 63 of a-z, 0-9 and '-' for its URL; default: a random hook id" },
  { "--set", "NAME=VALUE", "a setting; of a selector PROVIDER/MODEL, an app's id, or JSON" },
  { "--secret", "NAME=@FILE",
    "a secret setting from a file; NAME=- from standard input;\n"
    "NAME alone asks on the terminal" },
  { "--none", "NAME", "no value for a setting, not even its default" },
  { "--limit", "LIMIT=MS",
    "cpu_ms, head_ms or idle_ms instead of its plugin's, in milliseconds;\n"
    "LIMIT=default takes it away" },
  { NULL, NULL, NULL },
};

static const Flag add_flags[] = {
  { "--disabled", NULL, "do not serve it yet" },
  { NULL, NULL, NULL },
};

static const Flag set_flags[] = {
  { "--unset", "NAME", "forget a setting, so that its default holds again" },
  { NULL, NULL, NULL },
};

static const Flag base_flag[] = {
  { "--base", NULL, "only what all its URLs begin with" },
  { NULL, NULL, NULL },
};

static const Flag yes_flag[] = {
  { "--yes", NULL, "do not ask" },
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
  "Flags have a key in the file and a variable: --data, data:, MOONHOOK_DATA; --listen,\n"         \
  "public.listen, MOONHOOK_LISTEN. 'moonhook config print' shows each key and its origin.\n"       \
  "Flags win over variables, variables over the file.\n"

const Value values[] = {
  { "DIR", VALUE_FOLDER, NULL },
  { "ENDPOINT", VALUE_COMMAND, "endpoint list --names" },
  { "FILE", VALUE_FILE, NULL },
  { "FORMAT", VALUE_WORDS, "auto json pretty" },
  { "LEVEL", VALUE_WORDS, "debug info warn error" },
  { "LIMIT=MS", VALUE_WORDS, "cpu_ms= head_ms= idle_ms=" },
  { "PLUGIN", VALUE_COMMAND, "plugin list --names" },
  { "TEMPLATE", VALUE_WORDS, "hello stream chat openai webhook" },
  { "SHELL", VALUE_WORDS, "bash zsh fish" },
  { "VERB", VALUE_VERBS, NULL },
  { NULL, VALUE_FILE, NULL },
};

const Verb verbs[] = {
  { .name = "dev",
    .places = "[DIR]",
    .summary = "serve while you write: watches, reloads, prints the URLs",
    .examples = "moonhook dev                          in a plugin's folder, or beside its "
                "moonhook.yaml\n"
                "moonhook dev --config examples/demo/moonhook.yaml\n"
                "moonhook dev ./my_plugin --listen 9000\n",
    .text =
        "DIR is a plugin's folder, one that holds plugins, or one with a moonhook.yaml; default: "
        "this\n"
        "folder. Saves are served within 100 ms; a broken file keeps the last good version and "
        "prints "
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
    .places = "[DIR...]",
    .summary = "find what is wrong in plugins, without running them",
    .examples = "moonhook check                        in a plugin's folder\n"
                "moonhook check plugins/webapp_skins\n"
                "moonhook check --json plugins/*\n",
    .text =
        "Prints each problem as file:line:column: what: expected, got. Exits with 1 on any, not on "
        "warnings.\n",
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
  { .name = "endpoint",
    .summary = "see and change the endpoints of a running host",
    .examples = "moonhook endpoint list\n"
                "moonhook endpoint add webapp_skins --set app=candy\n",
    .text = "An ENDPOINT is named by its id, its name, or PLUGIN/NAME. The host is asked through "
            "its admin\n"
            "listener, with the key in its data folder. Endpoints of moonhook.yaml are listed, and "
            "changed there.\n" },
  { .name = "endpoint list",
    .places = "",
    .summary = "list endpoints with their state and URL",
    .examples = "moonhook endpoint list\n"
                "moonhook endpoint list --plugin webapp_skins --json\n",
    .flags = { plugin_flag, names_flag, ask_flags },
    .run = cmd_endpoint },
  { .name = "endpoint show",
    .places = "ENDPOINT",
    .summary = "show an endpoint with its settings, secrets masked",
    .examples = "moonhook endpoint show 'front page'\n",
    .flags = { ask_flags },
    .run = cmd_endpoint },
  { .name = "endpoint url",
    .places = "ENDPOINT",
    .summary = "print the methods and URLs of an endpoint",
    .examples = "moonhook endpoint url 'front page'\n"
                "curl $(moonhook endpoint url 'front page' --base)/pink\n",
    .flags = { base_flag, ask_flags },
    .run = cmd_endpoint },
  { .name = "endpoint add",
    .places = "PLUGIN",
    .summary = "activate a plugin: a new endpoint with a URL of its own",
    .examples =
        "moonhook endpoint add webapp_skins --name 'front page' --set app=candy\n"
        "moonhook endpoint add openai_models --secret api_key=@key.txt --set llm=local/demo\n"
        "pass show hooks/key | moonhook endpoint add openai_models --secret api_key=-\n",
    .text = "Prints its methods and URLs. Required secrets that were not given are asked for on a "
            "terminal.\n",
    .flags = { settings_flags, add_flags, ask_flags },
    .run = cmd_endpoint },
  { .name = "endpoint set",
    .places = "ENDPOINT",
    .summary = "change settings, limits, name or URL; what is not named stays",
    .examples = "moonhook endpoint set 'front page' --set bot_name=Candy\n"
                "moonhook endpoint set 'front page' --limit head_ms=30000\n"
                "moonhook endpoint set webapp_skins/talk --unset bot_name --name 'small talk'\n",
    .flags = { settings_flags, set_flags, ask_flags },
    .run = cmd_endpoint },
  { .name = "endpoint enable",
    .places = "ENDPOINT",
    .summary = "serve it",
    .examples = "moonhook endpoint enable 'front page'\n",
    .flags = { ask_flags },
    .run = cmd_endpoint },
  { .name = "endpoint disable",
    .places = "ENDPOINT",
    .summary = "answer 404 at its URL, and keep it",
    .examples = "moonhook endpoint disable 'front page'\n",
    .flags = { ask_flags },
    .run = cmd_endpoint },
  { .name = "endpoint rotate",
    .places = "ENDPOINT",
    .summary = "give it a new random URL; the old one answers 404",
    .examples = "moonhook endpoint rotate 'front page'\n"
                "moonhook endpoint rotate 'front page' --yes\n",
    .flags = { yes_flag, ask_flags },
    .run = cmd_endpoint },
  { .name = "endpoint remove",
    .places = "ENDPOINT",
    .summary = "remove it; its URL answers 404",
    .examples = "moonhook endpoint remove 'front page'\n"
                "moonhook endpoint remove 'front page' --yes\n",
    .flags = { yes_flag, ask_flags },
    .run = cmd_endpoint },
  { .name = "plugin",
    .summary = "see the plugins of a running host, let one serve again, pack one",
    .examples = "moonhook plugin list\n"
                "moonhook plugin release webapp_skins\n"
                "moonhook plugin pack my_plugin\n" },
  { .name = "plugin list",
    .places = "",
    .summary = "list plugins with their state, settings and routes",
    .examples = "moonhook plugin list\n"
                "moonhook plugin list --json\n",
    .flags = { names_flag, ask_flags },
    .run = cmd_plugin },
  { .name = "plugin release",
    .places = "PLUGIN",
    .summary = "serve it again, though it made workers hang or crash",
    .examples = "moonhook plugin release webapp_skins\n"
                "moonhook plugin release moonhook/webapp_skins\n",
    .text =
        "A plugin that ends three workers within a minute is in quarantine: its endpoints answer "
        "503.\n"
        "The next request tries it when that is over, a new version is served at once. This "
        "serves\n"
        "the same version at once, as if it had done nothing.\n",
    .flags = { ask_flags },
    .run = cmd_plugin },
  { .name = "plugin pack",
    .places = "DIR [FILE]",
    .summary = "make one file of a plugin's folder",
    .examples = "moonhook plugin pack my_plugin\n"
                "moonhook plugin pack my_plugin dist/my_plugin.difypkg\n",
    .text = "Checks the plugin and writes NAME-VERSION.difypkg, or FILE: a zip file that --plugins "
            "and\n"
            "check take in the place of a folder. Hidden files and spec/ stay out.\n",
    .run = cmd_plugin_pack },
  { .name = "secrets",
    .summary = "the key that secret settings are sealed with",
    .examples = "moonhook secrets rotate\n" },
  { .name = "secrets rotate",
    .places = "",
    .summary = "seal every secret anew with a fresh key, and forget the old ones",
    .examples = "moonhook secrets rotate\n",
    .flags = { ask_flags },
    .run = cmd_secrets },
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
  { .name = "doctor",
    .places = "",
    .summary = "find what keeps a host from working here",
    .examples = "moonhook doctor\n"
                "moonhook doctor --config /etc/moonhook/moonhook.yaml --json\n",
    .text = "Looks at the data folder, key files, listeners, the public URL, backends, the clock, "
            "LuaJIT,\n"
            "the limit of open files, and what the kernel keeps from workers; a host may be "
            "running or not.\n"
            "Exits with 1 when something is wrong; a warning is none. Calls each backend and the "
            "public URL once.\n",
    .flags = { serve_flags, json_flag },
    .run = cmd_doctor },
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

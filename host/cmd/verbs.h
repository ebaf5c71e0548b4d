// The verbs of the command line in one table. Help, the completions for shells and the manual page
// are all printed from it, and the arguments are checked against it, so they cannot say different
// things. A new verb is one entry in verbs.c and one function.
#ifndef MOONHOOK_CMD_VERBS_H
#define MOONHOOK_CMD_VERBS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct Arguments Arguments;

typedef struct {
  const char *name;    // "--config"
  const char *value;   // what follows it, a word that values[] may explain; NULL: it takes nothing
  const char *summary; // without a full stop; more lines after '\n'
} Flag;

typedef struct {
  const char *name;     // "check", or with its group "endpoint add"
  const char *places;   // what follows that is no flag: "PLUGIN [NAME]", "DIR...", ""
  const char *summary;  // one line
  const char *examples; // lines that end with '\n': a command, or a command, two blanks, a remark
  const char *text;     // what else is worth knowing, lines that end with '\n'; "" or NULL: nothing
  const Flag *flags[4]; // lists, each ended by a NULL name; --help is everywhere
  int (*run)(const Arguments *arguments); // returns the exit code; NULL: a group of verbs
  bool passes_on; // every word is a place, flags of another program too; --help only at first
} Verb;

// What a word in capitals stands for, where a shell can help.
typedef enum { VALUE_FILE, VALUE_FOLDER, VALUE_WORDS, VALUE_VERBS, VALUE_COMMAND } ValueType;

typedef struct {
  const char *name; // "LEVEL"
  ValueType type;
  const char *text; // VALUE_WORDS: the words; VALUE_COMMAND: arguments that print them, one a line
} Value;

extern const Verb verbs[];   // in the order in which help shows them; ended by a NULL name
extern const Value values[]; // ended by a NULL name

// The verb called `name` ("endpoint add"), or NULL.
const Verb *verb_find(const char *name);
// The verb that argv[1] (and argv[2]) name; *used is how many. NULL: none.
const Verb *verb_of(int argc, char **argv, int *used);
bool verb_is_group(const Verb *verb);
bool verb_is_in(const Verb *verb, const Verb *group); // "endpoint add" is in "endpoint"
// The closest name to a mistyped one among the verbs (of a group, or of none), or NULL.
const char *verb_nearest(const Verb *group, const char *word);
const Flag *verb_flag(const Verb *verb, const char *name, size_t len); // or NULL
const char *verb_nearest_flag(const Verb *verb, const char *name);     // or NULL
const Value *value_find(const char *name, size_t len);                 // or NULL

// One place of `places` at a time: *name and *len of the word, without brackets and dots. Returns
// where the next starts, or NULL at the end.
const char *verb_next_place(const char *places, const char **name, size_t *len, bool *is_optional,
                            bool *repeats);

int cmd_check(const Arguments *arguments);
int cmd_completion(const Arguments *arguments);
int cmd_config_check(const Arguments *arguments);
int cmd_config_print(const Arguments *arguments);
int cmd_dev(const Arguments *arguments);
int cmd_doctor(const Arguments *arguments);
int cmd_endpoint(const Arguments *arguments);
int cmd_help(const Arguments *arguments);
int cmd_init(const Arguments *arguments);
int cmd_lua(const Arguments *arguments);
int cmd_man(const Arguments *arguments);
int cmd_plugin(const Arguments *arguments);
int cmd_plugin_pack(const Arguments *arguments);
int cmd_secrets(const Arguments *arguments);
int cmd_serve(const Arguments *arguments);
int cmd_test(const Arguments *arguments);
int cmd_version(const Arguments *arguments);

#endif

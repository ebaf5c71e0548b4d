// The log: one record a line on stderr, JSON, or pretty on a terminal. Lines are collected and
// written once per turn or 100 ms; when the pipe is full they are dropped and counted, never waited
// for. Fields are given as key and value pairs; what log_hide was told is masked in all of them.
#ifndef MOONHOOK_BASE_LOG_H
#define MOONHOOK_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

typedef enum { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR } LogLevel;

typedef enum {
  LOG_END,
  LOG_STRING,
  LOG_BYTES,
  LOG_INTEGER,
  LOG_REAL,
  LOG_BOOL,
  LOG_READY,
} LogFieldType;

// Fields that stand together in record after record and cannot hold a secret: their JSON, made
// once. Zero-initialised: not made.
typedef struct {
  uint16_t count; // of fields
  uint16_t len;
  char json[256];
} LogReady;

typedef struct {
  LogFieldType type;
  uint16_t label_len;
  bool is_known;     // the text cannot hold a secret, and is not searched for one
  const char *label; // ,"KEY": made beforehand by the macros below; NULL: made from the key
  const char *key;
  const char *text; // LOG_STRING, LOG_BYTES
  union {
    size_t len;            // LOG_BYTES
    double number;         // LOG_REAL
    int64_t integer;       // LOG_INTEGER, LOG_BOOL
    const LogReady *ready; // LOG_READY: the fields behind this one
  };
} LogField;

// The key is a literal. Behind a label stand zeros, so that it can be copied 16 bytes at a time.
#define LOG_KEY(k)                                                                                 \
  .key = "" k "", .label = ",\"" k "\":\0\0\0\0\0\0\0\0\0\0\0\0\0\0",                              \
  .label_len = sizeof(",\"" k "\":") - 1
#define LOG_S(k, v)                                                                                \
  {                                                                                                \
    .type = LOG_STRING, LOG_KEY(k), .text = (v)                                                    \
  }
#define LOG_B(k, v, n)                                                                             \
  {                                                                                                \
    .type = LOG_BYTES, LOG_KEY(k), .text = (v), .len = (n)                                         \
  }
#define LOG_KNOWN(k, v)                                                                            \
  {                                                                                                \
    .type = LOG_STRING, .is_known = true, LOG_KEY(k), .text = (v)                                  \
  }
#define LOG_I(k, v)                                                                                \
  {                                                                                                \
    .type = LOG_INTEGER, LOG_KEY(k), .integer = (int64_t)(v)                                       \
  }
#define LOG_R(k, v)                                                                                \
  {                                                                                                \
    .type = LOG_REAL, LOG_KEY(k), .number = (v)                                                    \
  }
#define LOG_MADE(r)                                                                                \
  {                                                                                                \
    .type = LOG_READY, .key = "", .ready = (r)                                                     \
  }
#define LOG_LAST                                                                                   \
  {                                                                                                \
    .type = LOG_END                                                                                \
  }

// Process-wide: the log is the one thing that everybody may reach.
// A layout of its own for some records of the pretty log: appends what comes after the time and
// returns true, or leaves the record to the usual one. It must send no control characters.
typedef bool (*LogLayout)(Buffer *out, bool has_colour, LogLevel level, const char *message,
                          const LogField *fields);
void log_set_layout(LogLayout layout); // NULL: none
void log_open(int fd, bool is_pretty, LogLevel least);
void log_write(LogLevel level, const char *message, const LogField *fields); // fields may be NULL
// From now on this text is masked in every record (see mask.h); counted: log_show ends one of them.
void log_hide(Span secret);
void log_show(Span secret);
// Makes the JSON of `count` fields, all numbers or known, so that LOG_MADE(ready) before the same
// fields stands for them. Where they have not room nothing is made, and they are taken one by one.
void log_make_ready(LogReady *ready, const LogField *fields, uint32_t count);
// Appends what somebody else wrote as it may stand in a record: what was hidden and what looks
// secret is masked, and it is cut to `most` bytes after that.
void log_clean(Span text, size_t most, Buffer *out);
void log_flush(void);      // writes what can be written now; the loop calls it, and so does an exit
void log_forked(void);     // in a new process: what waits is its parent's to write
bool log_is_pending(void); // there are lines to flush
// Whether the end of a turn shall flush: after 100 ms, 16 KiB, or a warning. The caller then does.
bool log_is_due(uint64_t now_ms);
uint64_t log_dropped(void);
bool log_wants(LogLevel level);

// log_event(LOG_INFO, "listening", LOG_S("address", text), LOG_I("port", port));
#define log_event(level, message, ...)                                                             \
  log_write((level), (message), (const LogField[]){ __VA_ARGS__, LOG_LAST })

#endif

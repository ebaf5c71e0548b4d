// What went wrong, in words for a person. Functions whose failure a person will read take an
// `Err *` as last parameter and write the text where the facts are known.
#ifndef MOONHOOK_BASE_ERROR_H
#define MOONHOOK_BASE_ERROR_H

typedef struct {
  int code;       // a negative libuv code
  char text[512]; // one line, no final dot, names the place and what was expected
} Err;

// Writes code and text into `err` (which may be NULL); returns `code`, so that a caller can
// `return err_set(...)`. A text that is too long is cut.
int err_set(Err *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif

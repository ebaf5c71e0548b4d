// In specs: what befalls a plugin's next calls of its storage, one after the other.
#ifndef MOONHOOK_SCRIPT_STORAGE_FAULTS_H
#define MOONHOOK_SCRIPT_STORAGE_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

enum { MAX_STORAGE_FAULTS = 64 };

typedef struct {
  int code;          // UV_EIO, UV_ENOSPC; 0: it works
  uint32_t delay_ms; // until its result is there
} StorageFault;

typedef struct StorageFaults {
  StorageFault list[MAX_STORAGE_FAULTS];
  uint32_t count, at;
  bool is_lasting; // the last one befalls all further calls, too; else they work
} StorageFaults;

#endif

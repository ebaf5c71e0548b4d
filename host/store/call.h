// One queued operation, as the store's queue sees it. conversations.c and storage.c make the kinds:
// structs that begin with a StoreCall.
#ifndef MOONHOOK_STORE_CALL_H
#define MOONHOOK_STORE_CALL_H

#include "database.h"

typedef struct {
  bool is_write;
  // On the store's thread; a write: inside a transaction. 0, or a code and err->text, which undo
  // the transaction. It is run again when another call's failure undid it, so it sets its results
  // afresh each time.
  int (*run)(Database *database, StoreCall *call, Err *err);
  void (*deliver)(StoreCall *call); // on the loop's thread, with code and text set
  void (*free)(StoreCall *call);
} StoreCallType;

struct StoreCall {
  StoreCall *next;
  const StoreCallType *type;
  uint64_t deadline_ms; // monotonic: when a locked database is given up
  uint64_t expires_ms;  // when what it writes expires; 0: never
  int code;
  char text[200];
  bool is_detached;             // known to the loop's thread only
  bool is_synchronous, is_done; // somebody sleeps until it is done; he frees it
};

StoreCall *store_submit(Store *store, StoreCall *call);
void store_wait(Store *store, StoreCall *call); // submits, and sleeps until it is done

#endif

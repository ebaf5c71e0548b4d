// GET /metrics of the admin listener, in Prometheus' text format.
#ifndef MOONHOOK_PROCESS_ADMIN_METRICS_H
#define MOONHOOK_PROCESS_ADMIN_METRICS_H

#include "keeper.h"

void metrics_text(const Keeper *keeper, Buffer *out);

#endif

// Shared by the two files of host.testbed: bind_bed.c, and bind_bed_storage.c for what plugins
// keep.
#ifndef MOONHOOK_TESTING_BIND_BED_PARTS_H
#define MOONHOOK_TESTING_BIND_BED_PARTS_H

#include <lauxlib.h>

#include "bed.h"

Bed *bind_bed(lua_State *L); // raises when there is none
Span bind_check_span(lua_State *L, int at);
uint32_t bind_check_id(lua_State *L, int at);

int bind_bed_storage(lua_State *L);
int bind_bed_faults(lua_State *L);

#endif

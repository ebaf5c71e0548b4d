// The version of this build.
#ifndef MOONHOOK_CMD_VERSION_H
#define MOONHOOK_CMD_VERSION_H

#define MOONHOOK_VERSION "0.1.0"

#endif

/* da_version.h - the version, told once (floor 0). */
#ifndef DA_VERSION_H
#define DA_VERSION_H

#define DA_VERSION "0.1.0"

#endif

/* da_part_type.h - what bytes are (floor 1). */
#ifndef DA_PART_TYPE_H
#define DA_PART_TYPE_H

#include "da_buf.h"

/* The media type of what begins like that; NULL: none that is known here. */
const char *da_part_type(da_text head);

/* The same for what is to be sent in any case: text/plain, or
** application/octet-stream. `whole`: nothing follows `head`. */
const char *da_part_any_type(da_text head, int whole);

/* The name that audio of a media type has on the wire: "wav", "mp3" ... NULL
** if it is no audio. */
const char *da_part_audio_format(const char *type);

/* Whether it is written like a media type, "image/png". */
int da_part_type_ok(const char *type);

#endif

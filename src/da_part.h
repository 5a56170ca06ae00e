/* da_part.h - a part of a message's content, as wire text (floor 1).
**
** Each function appends one JSON object to `out`, or fails and leaves `out` as
** it was. What a file is, its first bytes say, never its name.
*/
#ifndef DA_PART_H
#define DA_PART_H

#include "da_buf.h"

#define DA_PART_BYTES ((size_t)20 << 20) /* if da_media says no other */

/* {"type":"text","text":text}. DA_EUTF8. */
int da_part_text(da_buf *out, da_text text, da_err *err);

/* {"type":"image_url","image_url":{"url":"data:...;base64,..."}}, with
** "detail" if there is one. DA_EUNSUPPORTED: it is no image. */
int da_part_image(da_buf *out, const da_media *m, da_err *err);

/* The same for an image that the service is to fetch: https, http, or a data
** URL of an image. DA_EURL for any other, and for control characters. */
int da_part_image_url(da_buf *out, da_text url, const char *detail,
                      da_err *err);

/* {"type":"input_audio","input_audio":{"data":...,"format":"wav"}}.
** DA_EUNSUPPORTED: it is no audio. */
int da_part_audio(da_buf *out, const da_media *m, da_err *err);

/* {"type":"file","file":{"filename":...,"file_data":"data:..."}}, whatever
** it is. */
int da_part_file(da_buf *out, const da_media *m, da_err *err);

/* {"type":"file","file":{"file_id":id}}: what the service has already. */
int da_part_file_id(da_buf *out, da_text id, da_err *err);

#endif

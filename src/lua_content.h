/* lua_content.h - questions of several parts (floor 7). */
#ifndef LUA_CONTENT_H
#define LUA_CONTENT_H

#include "lua_error.h"

/* Writes the user's message of the list at `index`, the second argument of a
** method: strings, and parts as tables. Raises if it is no such list; else
** DA_OK, DA_EUTF8, or DA_ETOOLARGE if it does not fit in *out. */
int l_content_put(lua_State *L, int index, da_buf *out, da_err *err);

/* Module functions: a part, or nil and an error.
** image, audio, file(path [, options]) or (options);
** image_url(url [, options]) */
int l_part_image(lua_State *L);
int l_part_audio(lua_State *L);
int l_part_file(lua_State *L);
int l_part_image_url(lua_State *L);

#endif

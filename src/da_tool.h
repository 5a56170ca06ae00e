/* da_tool.h - the tools that an agent has (floor 5). What a tool is, and
** what a user calls, is in deepagent_types.h and deepagent.h. */
#ifndef DA_TOOL_H
#define DA_TOOL_H

#include "da_buf.h"

/* One of them, counted: clones share it. */
typedef struct da_tool_entry {
  unsigned refs;
  da_tool tool;      /* its strings are ours */
  da_buf definition; /* as it is sent */
} da_tool_entry;

void da_tool_unref(da_tool_entry *e); /* NULL is fine */

typedef struct da_toolbox {
  da_tool_entry **items;
  size_t count;
} da_toolbox;

/* Copies what `tool` points to, and takes its ctx, which is dropped also upon
** failure. The same name again replaces the former. DA_EINVAL, DA_ENOMEM. */
int da_toolbox_add(da_toolbox *b, const da_tool *tool, da_err *err);
int da_toolbox_copy(da_toolbox *to, const da_toolbox *from);
void da_toolbox_dispose(da_toolbox *b);

/* The tool of that name, or NULL; borrowed. */
da_tool_entry *da_toolbox_find(const da_toolbox *b, da_text name);

/* Appends the JSON array of all definitions. */
int da_toolbox_put(const da_toolbox *b, da_buf *out);

struct da_tool_result {
  da_buf text;
};

#endif

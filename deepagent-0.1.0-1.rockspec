rockspec_format = "3.0"
package = "deepagent"
version = "0.1.0-1"
source = {
  -- Built where it lies, with `luarocks make`.
  url = "git+file://.",
}
description = {
  summary = "LLM agents that remember",
  detailed = "Agents over chat-completion services: ask, stream, memory and "
    .. "sessions that outlive the program. Lua on a C core.",
  license = "MIT",
}
dependencies = {
  "lua >= 5.4, < 5.5",
}
-- Without `header`: LuaRocks looks for headers in /usr/include only, while
-- the compiler finds Debian's multiarch ones by itself.
external_dependencies = {
  CURL = { library = "curl" },
}
-- The lists of files are written by `make rockspec` and checked by
-- `make lint`.
build = {
  type = "builtin",
  copy_directories = { "docs", "examples" },
  -- Where docs/ is copied, LuaRocks leaves these two out.
  install = {
    conf = { ["../README.md"] = "README.md", ["../LICENSE"] = "LICENSE" },
  },
  modules = {
    ["deepagent"] = "lua/deepagent/init.lua",
    ["deepagent.offline"] = "lua/deepagent/offline.lua",
    ["deepagent.types"] = "lua/deepagent/types.lua",
    ["deepagent.core"] = {
      sources = {
        "src/chat_answer.c",
        "src/chat_error.c",
        "src/chat_options.c",
        "src/chat_request.c",
        "src/chat_stream.c",
        "src/da_agent.c",
        "src/da_agent_session.c",
        "src/da_buf.c",
        "src/da_channel.c",
        "src/da_channel_store.c",
        "src/da_clock.c",
        "src/da_document.c",
        "src/da_document_parse.c",
        "src/da_document_salvage.c",
        "src/da_err.c",
        "src/da_go_peer.c",
        "src/da_hash.c",
        "src/da_history.c",
        "src/da_history_merge.c",
        "src/da_http.c",
        "src/da_http_head.c",
        "src/da_id_set.c",
        "src/da_json.c",
        "src/da_json_text.c",
        "src/da_limits.c",
        "src/da_message.c",
        "src/da_message_walk.c",
        "src/da_meta.c",
        "src/da_pool.c",
        "src/da_provider.c",
        "src/da_runtime.c",
        "src/da_saver.c",
        "src/da_saver_end.c",
        "src/da_saver_io.c",
        "src/da_schema.c",
        "src/da_schema_check.c",
        "src/da_schema_equal.c",
        "src/da_schema_node.c",
        "src/da_schema_number.c",
        "src/da_session_id.c",
        "src/da_settings.c",
        "src/da_sse.c",
        "src/da_store.c",
        "src/da_store_recover.c",
        "src/da_turn.c",
        "src/da_utf8.c",
        "src/file_aside.c",
        "src/file_claim.c",
        "src/file_dir.c",
        "src/file_list.c",
        "src/file_mkdirs.c",
        "src/file_name.c",
        "src/file_pieces.c",
        "src/file_read.c",
        "src/file_restore.c",
        "src/file_write.c",
        "src/lua_agent.c",
        "src/lua_backend.c",
        "src/lua_core.c",
        "src/lua_error.c",
        "src/lua_history.c",
        "src/lua_json.c",
        "src/lua_json_put.c",
        "src/lua_limits.c",
        "src/lua_provider.c",
        "src/lua_quarantine.c",
        "src/lua_runtime.c",
        "src/lua_settings.c",
        "src/lua_store.c",
        "src/lua_talk.c",
        "src/provider_chat.c",
        "src/store_file.c",
        "src/store_memory.c",
      },
      incdirs = { "src" },
      defines = { "_GNU_SOURCE" },
      libraries = { "pthread" },
    },
    ["deepagent.curl"] = {
      sources = {
        "src/da_buf.c",
        "src/da_clock.c",
        "src/da_err.c",
        "src/da_http_curl.c",
        "src/da_http_curl_error.c",
        "src/da_http_curl_headers.c",
        "src/da_http_curl_socket.c",
        "src/da_http_head.c",
        "src/da_utf8.c",
        "src/lua_curl.c",
      },
      incdirs = { "src" },
      defines = { "_GNU_SOURCE" },
      libraries = { "curl", "pthread" },
      libdirs = { "$(CURL_LIBDIR)" },
    },
  },
}

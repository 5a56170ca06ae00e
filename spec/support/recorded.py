#!/usr/bin/env python3
"""What recordings hold, read by nothing of what is being tested.

usage: recorded.py DIR               what to do with each file, as a JSON array
       recorded.py DIR PORT [any]    compares the requests that the replay
                                     server on that port got with those that
                                     were recorded; `any`: streams or not

The first: an object for each file, with its `name`, `service` (the host),
`bytes`, how many `interactions` it has, and `conversations`, one for each
agent that it takes:
  model, system, start (messages as JSON texts), members (of the request,
  but for those that follow), tools, tool_choice, response_format
  turns: content (of the user's message) or, of one that begins in the middle
    of a tool loop, unfinished (its messages as JSON texts); verb, and
    rounds: of a tool loop: {text, calls, tools}; each call has id, name,
        arguments and result; `tools` where there are others from then on
    the end: text, finish_reason; or `calls`, of which nothing follows; or
        status, message and `tries`, of an error; or unreadable: true, of a
        200 that is no answer of a chat service
    usage: {prompt, completion, total, cached, reasoning, audio} of each answer
  or skipped: why our requests cannot mean the same as this one

The second prints {name: [difference, ...]} of those that differ.
"""
import http.client
import json
import os
import re
import sys
from urllib.parse import urlsplit

# ---- answers ----------------------------------------------------------------


def text_of(content):
    """A string, or parts, of which those of type text count."""
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content
                       if part.get("type") == "text")
    return content or ""


def usage_of(usage):
    usage = usage or {}
    prompt = usage.get("prompt_tokens") or 0
    completion = usage.get("completion_tokens") or 0
    of_prompt = usage.get("prompt_tokens_details") or {}
    of_completion = usage.get("completion_tokens_details") or {}
    return {
        "prompt": prompt, "completion": completion,
        "total": usage.get("total_tokens") or prompt + completion,
        "cached": of_prompt.get("cached_tokens")
        or usage.get("prompt_cache_hit_tokens")  # DeepSeek
        or usage.get("num_cached_tokens") or 0,  # Mistral
        "reasoning": of_completion.get("reasoning_tokens") or 0,
        "audio": (of_prompt.get("audio_tokens") or 0)
        + (of_completion.get("audio_tokens") or 0)}


def call_of(call):
    function = call["function"]
    return {"id": call["id"], "name": function["name"],
            "arguments": function.get("arguments") or "{}"}


def whole(body):
    answer = json.loads(body)
    if not answer.get("choices"):
        return {"unreadable": True}
    choice = answer["choices"][0]
    message = choice["message"]
    text = text_of(message.get("content")) or message.get("refusal") or ""
    return {"verb": "ask", "text": text, "usage": usage_of(answer.get("usage")),
            "calls": [call_of(c) for c in message.get("tool_calls") or []],
            "finish_reason": choice.get("finish_reason") or ""}


def events(body):
    for line in re.split(r"\r\n|\r|\n", body):
        if line.startswith("data:"):
            data = line[5:].strip()
            if data == "[DONE]":
                return
            yield json.loads(data)


def stream(body):
    text, refusal, finish, usage, calls = "", "", "", None, {}
    for event in events(body):
        usage = event.get("usage") or usage
        for choice in event.get("choices") or []:
            if choice.get("index"):
                continue
            delta = choice.get("delta") or {}
            text += text_of(delta.get("content"))
            refusal += delta.get("refusal") or ""
            finish = choice.get("finish_reason") or finish
            for piece in delta.get("tool_calls") or []:
                call = calls.setdefault(piece["index"], {"arguments": ""})
                function = piece.get("function") or {}
                call["id"] = piece.get("id") or call["id"]
                call["name"] = function.get("name") or call["name"]
                call["arguments"] += function.get("arguments") or ""
    return {"verb": "stream", "text": text or refusal, "finish_reason": finish,
            "usage": usage_of(usage), "calls": list(calls.values())}


def failure(status, body):
    """The message, where it is plain to see."""
    try:
        error = json.loads(body)
    except ValueError:
        error = {}
    if isinstance(error, list):
        error = error[0]
    error = error.get("error", error)
    message = error if isinstance(error, str) else error.get("message")
    return {"status": status, "message": message}


def answer_of(interaction):
    status, body = interaction["status"], interaction["body"]
    if status >= 300:
        return failure(status, body)
    if "event-stream" in interaction["headers"].get("content-type", ""):
        return stream(body)
    return whole(body)


# ---- what a request means ---------------------------------------------------

ANY = object()  # whatever it is

# What is as if it were not there, and, as docs/services.md tells, what is ours
# to choose: the usage is asked for in each stream, what the model thought goes
# back only with calls that it led to, a call's place in its list never.
OF_REQUEST = {"stream": False, "stream_options": ANY, "tools": [],
              "tool_choice": "auto"}
OF_MESSAGE = {"prefix": False, "tool_calls": [], "reasoning": ANY,
              "content": "", "refusal": ""}
OF_CALL = {"type": "function", "index": ANY,
           "custom": {"input": "", "name": ""}}  # Snowflake's
OF_TOOL = {"type": "function"}
OF_SCHEMA = {"strict": False}


def without(value, defaults):
    return {name: item for name, item in value.items() if item is not None
            and not (name in defaults and defaults[name] in (ANY, item))}


def message_meaning(message):
    """An assistant's parts are their text: Mistral's client makes them."""
    message = dict(message)
    content = message.get("content")
    if message["role"] == "assistant" and isinstance(content, list) \
            and all(part["type"] == "text" for part in content):
        message["content"] = text_of(content)
    message = without(message, OF_MESSAGE)
    if "tool_calls" in message:
        message["tool_calls"] = [without(call, OF_CALL)
                                 for call in message["tool_calls"]]
    return message


def request_meaning(body):
    body = without(body, OF_REQUEST)
    body["messages"] = [message_meaning(m) for m in body["messages"]]
    if "json_schema" in body.get("response_format", {}):
        body["response_format"] = dict(
            body["response_format"], json_schema=without(
                body["response_format"]["json_schema"], OF_SCHEMA))
    if "tools" in body:  # in any order
        body["tools"] = sorted((without(tool, OF_TOOL)
                                for tool in body["tools"]), key=exact)
    return body


def exact(value):
    """Text by which values compare: 1 is 1.0, but neither is true."""
    def number(value):
        if isinstance(value, list):
            return [number(item) for item in value]
        if isinstance(value, dict):
            return {name: number(item) for name, item in value.items()}
        whole_one = isinstance(value, float) and value.is_integer()
        return int(value) if whole_one else value
    return json.dumps(number(value), sort_keys=True, ensure_ascii=False)


def same(a, b):
    return exact(a) == exact(b)


# ---- conversations ----------------------------------------------------------

NAMED = ("model", "messages", "stream", "stream_options", "tools",
         "tool_choice", "response_format")


def texts(messages):
    return [json.dumps(message) for message in messages]


def begin(messages):
    """Where the last turn begins."""
    return max(i for i, m in enumerate(messages) if m["role"] == "user")


def settings_of(request):
    """Of the agent that sends it."""
    messages = request["messages"]
    first = 0
    result = {"model": request["model"],
              "members": {name: value for name, value in request.items()
                          if name not in NAMED and value is not None}}
    if messages[0]["role"] == "system" \
            and isinstance(messages[0]["content"], str):
        result["system"] = messages[0]["content"]
        first = 1
    result["start"] = texts(messages[first:begin(messages)])
    for name in ("tools", "tool_choice", "response_format"):
        if request.get(name):
            result[name] = request[name]
    return result


def alike(a, b):
    """Whether one agent sends both requests."""
    return all(same(a.get(name), b.get(name)) for name in set(a) | set(b)
               if name not in ("messages", "tools", "stream"))


def said(answer):
    """The assistant's message that it becomes."""
    message = {"role": "assistant", "content": answer["text"]}
    if answer["calls"]:
        message["tool_calls"] = [
            {"id": call["id"], "function": {
                "name": call["name"], "arguments": call["arguments"]}}
            for call in answer["calls"]]
    return message


def what_follows(request, answer, later):
    """The messages after the answer, in a later request that goes on."""
    before = [message_meaning(m) for m in request["messages"]] \
        + [message_meaning(said(answer))]
    after = [message_meaning(m) for m in later["messages"]]
    if alike(request, later) and same(before, after[:len(before)]):
        return after[len(before):]
    return []


def results_of(calls, messages):
    """Whether they are one result for each call, in order."""
    return len(messages) == len(calls) and all(
        m["role"] == "tool" and m["tool_call_id"] == c["id"]
        and isinstance(m.get("content", ""), str)
        for m, c in zip(messages, calls))


def play(interactions, at):
    """A turn from `at` on; (turn, where it ends)."""
    request, answer = interactions[at]["request"], answer_of(interactions[at])
    messages = request["messages"]
    turn = {"rounds": [], "usage": [],
            "verb": "stream" if request.get("stream") else "ask"}
    if messages[-1]["role"] == "tool":
        turn["unfinished"] = texts(messages[begin(messages):])
    else:
        turn["content"] = messages[-1]["content"]
    while answer.get("calls") and at + 1 < len(interactions):
        later = interactions[at + 1]["request"]
        results = what_follows(request, answer, later)
        if not results_of(answer["calls"], results):
            break
        for call, message in zip(answer["calls"], results):
            call["result"] = message.get("content", "")
        turn["rounds"].append({"calls": answer["calls"],
                               "text": answer["text"]})
        if not same(request.get("tools"), later.get("tools")):
            turn["rounds"][-1]["tools"] = later["tools"]
        turn["usage"].append(answer["usage"])
        at += 1
        request, answer = later, answer_of(interactions[at])
    tries = 1
    while answer.get("status") == 429 and at + 1 < len(interactions) \
            and same(request, interactions[at + 1]["request"]):
        at, tries = at + 1, tries + 1
    turn["end"] = answer
    if "status" in answer:
        answer["tries"] = tries
    if "usage" in answer:
        turn["usage"].append(answer.pop("usage"))
    return turn, at


def goes_on(interactions, at, turn):
    """Whether the next request is the next turn of the same agent."""
    request, end = interactions[at]["request"], turn["end"]
    if at + 1 == len(interactions) or "text" not in end or end["calls"]:
        return False
    later = interactions[at + 1]["request"]
    follows = what_follows(request, end, later)
    return [m["role"] for m in follows] == ["user"] \
        and same(request.get("tools"), later.get("tools"))


def conversations(interactions):
    result, at, on = [], 0, False
    while at < len(interactions):
        request = interactions[at]["request"]
        role = request["messages"][-1]["role"]
        if role not in ("user", "tool"):
            result.append({"skipped": "a turn begins with a user's message, "
                           f"there is but one of role {role}"})
            at, on = at + 1, False
            continue
        if not on:
            result.append(dict(settings_of(request), turns=[]))
        turn, end = play(interactions, at)
        result[-1]["turns"].append(turn)
        at, on = end + 1, goes_on(interactions, end, turn)
    return result


# ---- all --------------------------------------------------------------------


def read(directory):
    for name in sorted(os.listdir(directory)):
        if name.endswith(".json"):
            with open(os.path.join(directory, name), encoding="utf-8") as file:
                yield name[:-len(".json")], json.load(file)["interactions"]


def recordings(directory):
    return [{"name": name, "service": urlsplit(its[0]["uri"]).hostname,
             "bytes": sum(len(i["body"].encode()) for i in its),
             "interactions": len(its), "conversations": conversations(its)}
            for name, its in read(directory)]


def difference(ours, theirs):
    """Where they part, in words."""
    a, b = exact(ours), exact(theirs)
    at = len(os.path.commonprefix([a, b]))
    start = max(0, at - 60)
    return f"ours ...{a[start:at + 60]}... theirs ...{b[start:at + 60]}..."


def compare(interactions, sent, any_verb):
    if len(sent) != len(interactions):
        return [f"{len(sent)} requests, not {len(interactions)}"]
    found = []
    for i, (body, interaction) in enumerate(zip(sent, interactions)):
        if not body:  # what we cannot ask for was passed over
            continue
        ours = request_meaning(body)
        theirs = request_meaning(interaction["request"])
        if any_verb:
            ours.pop("stream", None)
            theirs.pop("stream", None)
        if not same(ours, theirs):
            found.append(f"request {i + 1}: " + difference(ours, theirs))
    return found


def differences(directory, port, any_verb):
    server = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    result = {}
    for name, interactions in read(directory):
        server.request("GET", f"/{name}/_requests")
        sent = json.loads(server.getresponse().read())
        found = compare(interactions, sent, any_verb)
        if found:
            result[name] = found
    server.close()
    return result


def main():
    if len(sys.argv) == 2:
        result = recordings(sys.argv[1])
    else:
        result = differences(sys.argv[1], int(sys.argv[2]), len(sys.argv) > 3)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()

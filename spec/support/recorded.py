#!/usr/bin/env python3
"""What recordings hold, read by nothing of what is being tested.

usage: recorded.py DIR

Prints a JSON array with an object for each file: name, service (the host),
and `skip` (why it cannot be used) or `answers`, one for each interaction:
  verb     "stream" if the answer is an event stream, else "ask"
  text, finish_reason, usage [prompt, completion, total]
  status, message: of an error, instead of these
  unreadable: true, of a 200 that is no answer of a chat service
"""
import json
import os
import re
import sys
from urllib.parse import urlsplit


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
    return [prompt, completion,
            usage.get("total_tokens") or prompt + completion]


def calls(message):
    return bool(message.get("tool_calls") or message.get("function_call"))


def whole(body):
    answer = json.loads(body)
    if not answer.get("choices"):
        return {"verb": "ask", "unreadable": True}
    choice = answer["choices"][0]
    message = choice["message"]
    if calls(message):
        return None
    text = text_of(message.get("content")) or message.get("refusal") or ""
    return {"verb": "ask", "text": text, "usage": usage_of(answer.get("usage")),
            "finish_reason": choice.get("finish_reason") or ""}


def stream(body):
    text, refusal, finish, usage = "", "", "", None
    for line in re.split(r"\r\n|\r|\n", body):
        if not line.startswith("data:"):
            continue
        data = line[5:].strip()
        if data == "[DONE]":
            break
        event = json.loads(data)
        usage = event.get("usage") or usage
        for choice in event.get("choices") or []:
            if choice.get("index"):
                continue
            delta = choice.get("delta") or {}
            if calls(delta):
                return None
            text += text_of(delta.get("content"))
            refusal += delta.get("refusal") or ""
            finish = choice.get("finish_reason") or finish
    return {"verb": "stream", "text": text or refusal, "finish_reason": finish,
            "usage": usage_of(usage)}


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
    return {"verb": "ask", "status": status, "message": message}


def read(interaction):
    status, body = interaction["status"], interaction["body"]
    if status >= 300:
        return failure(status, body)
    if "event-stream" in interaction["headers"].get("content-type", ""):
        return stream(body)
    return whole(body)


def recording(path):
    name = os.path.basename(path)[:-len(".json")]
    with open(path, encoding="utf-8") as file:
        interactions = json.load(file)["interactions"]
    result = {"name": name, "service": urlsplit(interactions[0]["uri"]).hostname}
    if not all("chat/completions" in i["uri"] or "content-type" in i["uri"]
               for i in interactions):
        return dict(result, skip="not only chat completions")
    answers = [read(i) for i in interactions]
    if None in answers:
        return dict(result, skip="asks for tools (issue 4)")
    return dict(result, answers=answers,
                bytes=sum(len(i["body"].encode()) for i in interactions))


def main():
    directory = sys.argv[1]
    print(json.dumps([recording(os.path.join(directory, name))
                      for name in sorted(os.listdir(directory))
                      if name.endswith(".json")], indent=1))


if __name__ == "__main__":
    main()

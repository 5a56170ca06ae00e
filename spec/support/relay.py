#!/usr/bin/env python3
"""Stands between a client and another server on loopback, and counts.

usage: relay.py PORT OTHER_PORT

A request whose messages hold results of tools is answered "done"; any other
goes to the server on OTHER_PORT, as it is, on a connection of its own, and
what comes back, to the byte, to the client. GET /_requests/NAME: the bodies
that came to /NAME/... so far, as a JSON array. Prints "ready".
"""
import json
import socket
import sys
import threading

DONE = json.dumps({"object": "chat.completion", "model": "m", "choices": [
    {"index": 0, "finish_reason": "stop",
     "message": {"role": "assistant", "content": "done"}}]}).encode()

bodies = {}  # name -> those that came
lock = threading.Lock()


def read_request(client):
    """Head and body; empty at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = client.recv(65536)
        if not more:
            return b"", b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
        if line.lower() == b"expect: 100-continue":
            client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    parts, have = [body], len(body)
    while have < length:
        parts.append(client.recv(1 << 20))
        have += len(parts[-1])
        if not parts[-1]:
            return b"", b""
    return head, b"".join(parts)


def answer(client, body):
    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                   b"Connection: close\r\nContent-Length: %d\r\n\r\n%s"
                   % (len(body), body))


def hand_on(client, other_port, request):
    with socket.create_connection(("127.0.0.1", other_port)) as other:
        other.sendall(request)
        while True:
            data = other.recv(65536)
            if not data:
                return
            client.sendall(data)


def serve(client, other_port):
    with client:
        head, body = read_request(client)
        if not head:
            return
        path = head.split(b" ")[1].decode().strip("/").split("/")
        if path[0] == "_requests":
            with lock:
                answer(client, json.dumps(bodies.get(path[1], [])).encode())
            return
        value = json.loads(body)
        with lock:
            bodies.setdefault(path[0], []).append(value)
        if any(m["role"] == "tool" for m in value["messages"]):
            answer(client, DONE)
        else:
            hand_on(client, other_port, head + b"\r\n\r\n" + body)


def quietly(client, other_port):
    try:
        serve(client, other_port)
    except OSError:
        pass


def main():
    port, other_port = int(sys.argv[1]), int(sys.argv[2])
    listener = socket.create_server(("127.0.0.1", port))
    print("ready", flush=True)
    while True:
        client = listener.accept()[0]
        threading.Thread(target=quietly, args=(client, other_port),
                         daemon=True).start()


if __name__ == "__main__":
    main()

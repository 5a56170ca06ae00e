#!/usr/bin/env python3
"""A chat-completions server on loopback that says what a spec tells it to.

usage: server.py [--parent PID] [--tls DIR [--h2]]

Prints "ready PORT PORT2" and ends with the process PID, or upon POST /_quit.
PORT2 speaks plain HTTP. So does PORT, the same one, but with --tls: then
PORT speaks TLS with a certificate of its own, DIR/ca.pem, made for localhost
and 127.0.0.1; DIR is removed at the end. With --h2 it speaks HTTP/2 to those
who can (Debian's python3-h2).

Without a script, POST .../chat/completions is answered with "echo: " and
the last user message, plain or as a stream, as the request asks.

POST /_script {"answers": [...], "after": "fail" | "echo" | "repeat"}: the
requests that follow get these answers, one each, whatever their path;
`after` says what comes when all are used. An answer is an object; all of
its members are optional:
  status        200; reason: its text
  headers       {"name": "value"} or [["name", "value"], ...]
  body          text; json: a value to encode; base64: bytes
  times         the body so many times over
  chunks        list of texts: the body in pieces, each sent by itself
  chunk_size    the body cut into pieces of so many bytes
  delay_ms      wait before each piece but the first
  gate          true: before each piece but the first wait for a POST /_go
  wait_ms       wait before anything is sent
  early         true: the next request is answered before its body is read,
                and the connection ends (HTTP/1.1)
  framing       "length" (the default), "chunked" (the default with chunks,
                each piece one chunk), "close" (until the connection ends)
  content_length  another number than the true one
  gzip, deflate  true: the body is compressed
  raw           base64: all bytes of the answer, head and body; only
                chunk_size, delay_ms, wait_ms and the endings go with it
  endless       base64: bytes that then come again and again until the other
                side goes (HTTP/1.1)
  cut           end after so many bytes of the body
  close         true: end the connection afterwards; "silent": without
                having said so in the header
  hang          true: send what there is, then neither end nor close
  reset         true: send what there is, then reset the connection

GET  /_requests  what was received: [{method, path, headers: [[name, value],
                 ...], body (base64), connection (a number), at (seconds),
                 protocol ("1.1" or "2")}]
GET  /_stats     {connections, open, requests, answers_left}
POST /_go        lets the next piece of an answer with a gate go
POST /_reset     forgets script, requests and counts
These are not counted themselves. Over HTTP/2 a framing means nothing, `raw`
is not possible, and cut, hang and reset concern the stream alone.
"""
import argparse
import base64
import gzip
import itertools
import json
import os
import select
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import zlib

MAX_HEAD = 1 << 20


class State:
    def __init__(self, directory):
        self.lock = threading.Lock()
        self.directory = directory
        self.open = 0
        self.numbers = itertools.count(1)
        self.reset()

    def leave(self):
        if self.directory:
            shutil.rmtree(self.directory, ignore_errors=True)
        os._exit(0)

    def reset(self):
        self.answers = []
        self.after = "echo"
        self.last = None
        self.requests = []
        self.connections = set()
        self.gate = threading.Semaphore(0)

    def is_early(self):
        with self.lock:
            return bool(self.answers and self.answers[0].get("early"))

    def next_answer(self):
        with self.lock:
            if self.answers:
                self.last = self.answers.pop(0)
                return self.last
            if self.after == "echo":
                return None
            if self.after == "repeat" and self.last is not None:
                return self.last
            return error(500, "the script has no more answers")


def error(status, message):
    return {"status": status, "json": {
        "error": {"message": message, "type": "test_server", "code": None}}}


# --- the echo model ---------------------------------------------------------

def text_of(content):
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return content or ""


def echo(method, path, body):
    """The answer of a model that repeats what it hears."""
    if method != "POST" or not path.endswith("/chat/completions"):
        return error(404, "no such path: %s %s" % (method, path))
    try:
        request = json.loads(body)
        messages = request["messages"]
        spoken = [text_of(m.get("content")) for m in messages
                  if m.get("role") == "user"]
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        return error(400, "not a chat request: %r" % problem)
    if not spoken:
        return error(400, "no user message")
    text = "echo: " + spoken[-1]
    prompt = sum(len(text_of(m.get("content")).split()) for m in messages)
    completion = len(text.split())
    usage = {"prompt_tokens": prompt, "completion_tokens": completion,
             "total_tokens": prompt + completion}
    common = {"id": "chatcmpl-echo", "created": 1700000000,
              "model": request.get("model", "echo")}
    headers = [["x-request-id", "req-echo"]]
    if not request.get("stream"):
        message = {"role": "assistant", "content": text}
        return {"headers": headers, "json": dict(
            common, object="chat.completion", usage=usage,
            choices=[{"index": 0, "message": message,
                      "finish_reason": "stop"}])}

    def event(delta, finish=None):
        return sse(dict(common, object="chat.completion.chunk", choices=[
            {"index": 0, "delta": delta, "finish_reason": finish}]))

    pieces = text.split(" ")
    pieces = pieces[:1] + [" " + piece for piece in pieces[1:]]
    events = [event({"role": "assistant", "content": ""})]
    events += [event({"content": piece}) for piece in pieces]
    events.append(event({}, "stop"))
    options = request.get("stream_options") or {}
    if options.get("include_usage"):
        events.append(sse(dict(common, object="chat.completion.chunk",
                               choices=[], usage=usage)))
    events.append("data: [DONE]\n\n")
    return {"headers": headers + [["content-type", "text/event-stream"]],
            "chunks": events}


def sse(value):
    return "data: %s\n\n" % json.dumps(value, ensure_ascii=False)


# --- one connection ---------------------------------------------------------

class Connection:
    def __init__(self, state, sock, number):
        self.state, self.sock, self.number = state, sock, number
        self.buffer = b""

    def more(self):
        data = self.sock.recv(1 << 16)
        if not data:
            raise EOFError
        self.buffer += data

    def take(self, count):
        while len(self.buffer) < count:
            self.more()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def line(self, limit=MAX_HEAD):
        while b"\n" not in self.buffer:
            if len(self.buffer) > limit:
                raise EOFError
            self.more()
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.rstrip(b"\r")

    def read_request(self):
        method, path, version = self.line().decode("latin-1").split(" ", 2)
        if not version.startswith("HTTP/1."):
            raise ValueError  # such as the first bytes of TLS
        headers = []
        while True:
            line = self.line().decode("latin-1")
            if not line:
                break
            name, value = line.split(":", 1)
            headers.append([name, value.strip()])
        lower = {name.lower(): value for name, value in headers}
        if lower.get("expect", "").lower() == "100-continue":
            self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = b""
        if self.state.is_early() and not path.startswith("/_"):
            return method, path, headers, body, False
        if lower.get("transfer-encoding", "").lower() == "chunked":
            while True:
                size = int(self.line().split(b";")[0], 16)
                body += self.take(size)
                self.line()
                if size == 0:
                    break
        else:
            body = self.take(int(lower.get("content-length", 0)))
        keep = lower.get("connection", "").lower() != "close"
        return method, path, headers, body, keep

    def serve(self):
        keep = True
        while keep:
            method, path, headers, body, keep = self.read_request()
            answer = self.answer(method, path, headers, body, "1.1")
            keep = self.send(answer, keep) and keep

    def answer(self, method, path, headers, body, protocol):
        if path.startswith("/_"):
            return control(self.state, method, path, body)
        with self.state.lock:
            self.state.connections.add(self.number)
            self.state.requests.append({
                "method": method, "path": path, "headers": headers,
                "body": base64.b64encode(body).decode(),
                "connection": self.number, "at": time.time(),
                "protocol": protocol})
        answer = self.state.next_answer()
        return echo(method, path, body) if answer is None else answer

    def send(self, answer, keep):
        """Sends; returns whether the connection may be used again."""
        time.sleep(answer.get("wait_ms", 0) / 1000)
        close = answer.get("close") is True or not keep
        if "raw" in answer:
            raw = base64.b64decode(answer["raw"])
            head, close = b"", True
            pieces = cut(raw, answer.get("chunk_size") or len(raw) or 1)
        else:
            head, pieces, close = self.encode(answer, close)
        close = close or bool(answer.get("close"))
        left = answer.get("cut")
        if left is not None:
            pieces = shorten(pieces, left)
            close = True
        if pieces and not answer.get("delay_ms"):
            head, pieces[0] = b"", head + pieces[0]  # one packet for a start
        if head:
            self.sock.sendall(head)
        for index, piece in enumerate(pieces):
            if index:
                self.pause(answer)
            self.sock.sendall(piece)
        if "endless" in answer:
            more = base64.b64decode(answer["endless"])
            more *= (1 << 16) // len(more) + 1
            while True:  # until that fails
                self.sock.sendall(more)
        if answer.get("hang"):
            while self.sock.recv(1 << 16):  # until the other side goes
                pass
            return False
        if answer.get("reset"):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                 struct.pack("ii", 1, 0))
            return False
        return not close

    def pause(self, answer):
        time.sleep(answer.get("delay_ms", 0) / 1000)
        if answer.get("gate"):
            self.state.gate.acquire(timeout=300)

    @staticmethod
    def encode(answer, close):
        headers, pieces = body_of(answer)
        framing = answer.get(
            "framing", "chunked" if "chunks" in answer else "length")
        if framing == "chunked":
            headers.append(["Transfer-Encoding", "chunked"])
            pieces = [b"%x\r\n%s\r\n" % (len(piece), piece)
                      for piece in pieces if piece] + [b"0\r\n\r\n"]
            pieces[-2:] = [b"".join(pieces[-2:])]
        elif framing == "length":
            length = sum(map(len, pieces))
            headers.append(["Content-Length",
                            str(answer.get("content_length", length))])
        else:
            close = True
        if close:
            headers.append(["Connection", "close"])
        status = answer.get("status", 200)
        lines = ["HTTP/1.1 %d %s" % (status, answer.get("reason", "Answer"))]
        lines += ["%s: %s" % (name, value) for name, value in headers]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8")
        return head, pieces, close


class Connection2(Connection):
    """The same over HTTP/2, one stream after the other."""

    def serve(self):
        import h2.config
        import h2.connection
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(
            client_side=False, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.streams, self.ready = {}, []
        while True:
            self.flush()
            self.receive()
            while self.ready:
                stream, headers, body = self.ready.pop(0)
                pseudo = dict(headers)
                plain = [pair for pair in headers if pair[0][0] != ":"]
                self.send2(stream, self.answer(
                    pseudo[":method"], pseudo[":path"], plain, body, "2"))

    def flush(self):
        self.sock.sendall(self.h2.data_to_send())

    def receive(self):
        data = self.sock.recv(1 << 16)
        if not data:
            raise EOFError
        for event in self.h2.receive_data(data):
            kind = type(event).__name__
            if kind == "RequestReceived":
                self.streams[event.stream_id] = [
                    [list(pair) for pair in event.headers], b""]
            elif kind == "DataReceived":
                self.streams[event.stream_id][1] += event.data
                self.h2.acknowledge_received_data(
                    event.flow_controlled_length, event.stream_id)
            elif kind == "StreamEnded":
                self.ready.append(
                    [event.stream_id] + self.streams.pop(event.stream_id))
            elif kind == "ConnectionTerminated":
                raise EOFError
        self.flush()

    def send2(self, stream, answer):
        time.sleep(answer.get("wait_ms", 0) / 1000)
        headers, pieces = body_of(answer)
        if "content_length" in answer:
            headers.append(["content-length", str(answer["content_length"])])
        whole = not (answer.keys() & {"cut", "hang", "reset"})
        self.h2.send_headers(
            stream, [(":status", str(answer.get("status", 200)))]
            + [(name.lower(), value) for name, value in headers])
        self.flush()
        for index, piece in enumerate(
                shorten(pieces, answer.get("cut", 1 << 60))):
            if index:
                self.pause(answer)
            while piece:
                room = min(self.h2.local_flow_control_window(stream),
                           self.h2.max_outbound_frame_size)
                if room == 0:
                    self.receive()
                    continue
                self.h2.send_data(stream, piece[:room])
                self.flush()
                piece = piece[room:]
        if whole:
            self.h2.end_stream(stream)
        elif not answer.get("hang"):
            self.h2.reset_stream(stream, error_code=2)  # INTERNAL_ERROR
        if answer.get("close"):
            self.h2.close_connection()
        self.flush()
        if answer.get("close"):
            raise EOFError


def body_of(answer):
    """Headers, and the body in the pieces that it is sent in."""
    headers = answer.get("headers", [])
    if isinstance(headers, dict):
        headers = [list(pair) for pair in headers.items()]
    else:
        headers = list(headers)
    names = {name.lower() for name, _ in headers}
    pieces = [piece.encode() for piece in answer.get("chunks", [])]
    if "json" in answer:
        pieces = [json.dumps(answer["json"], ensure_ascii=False).encode()]
        if "content-type" not in names:
            headers.append(["Content-Type", "application/json"])
    elif "body" in answer:
        pieces = [answer["body"].encode()]
    elif "base64" in answer:
        pieces = [base64.b64decode(answer["base64"])]
    if answer.get("times"):
        pieces = [b"".join(pieces) * answer["times"]]
    if answer.get("gzip"):
        pieces = [gzip.compress(b"".join(pieces))]
        headers.append(["Content-Encoding", "gzip"])
    if answer.get("deflate"):
        pieces = [zlib.compress(b"".join(pieces))]
        headers.append(["Content-Encoding", "deflate"])
    if answer.get("chunk_size"):
        pieces = cut(b"".join(pieces), answer["chunk_size"])
    return headers, pieces


def cut(data, size):
    return [data[i:i + size] for i in range(0, len(data), size)]


def shorten(pieces, left):
    kept = []
    for piece in pieces:
        kept.append(piece[:left])
        left -= len(kept[-1])
    return [piece for piece in kept if piece]


# --- the spec's side --------------------------------------------------------

def control(state, method, path, body):
    with state.lock:
        if path == "/_script":
            script = json.loads(body)
            state.answers = script["answers"]
            state.after = script.get("after", "fail")
            state.last = None
            return {"json": True}
        if path == "/_requests":
            return {"json": state.requests}
        if path == "/_stats":
            return {"json": {"connections": len(state.connections),
                             "open": state.open - 1,
                             "requests": len(state.requests),
                             "answers_left": len(state.answers)}}
        if path == "/_go":
            state.gate.release()
            return {"json": True}
        if path == "/_reset":
            state.reset()
            return {"json": True}
    if path == "/_quit":
        state.leave()
    return error(404, "no such control: " + path)


def certificate(directory):
    """A key and a certificate that is its own authority."""
    key, cert = directory + "/key.pem", directory + "/ca.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-nodes", "-days", "2", "-newkey", "ec",
         "-pkeyopt", "ec_paramgen_curve:prime256v1", "-keyout", key, "-out",
         cert, "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


def end_with(pid, state):
    """Ends this process when process `pid` has ended."""
    try:
        select.select([os.pidfd_open(pid)], [], [])
    except (AttributeError, PermissionError):
        while os.path.exists("/proc/%d" % pid):
            time.sleep(0.1)
    except OSError:
        pass  # it is gone already
    state.leave()


def serve(state, sock, number, context):
    with state.lock:
        state.open += 1
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        kind = Connection
        if context:
            sock = context.wrap_socket(sock, server_side=True)
            if sock.selected_alpn_protocol() == "h2":
                kind = Connection2
        kind(state, sock, number).serve()
    except (EOFError, OSError, ValueError):
        pass
    finally:
        with state.lock:
            state.open -= 1
        sock.close()


def listen():
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(256)
    return listener


def accept(state, listener, context):
    while True:
        sock, _ = listener.accept()
        number = next(state.numbers)
        threading.Thread(target=serve, args=(state, sock, number, context),
                         daemon=True).start()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int)
    parser.add_argument("--tls")
    parser.add_argument("--h2", action="store_true")
    options = parser.parse_args()
    state = State(options.tls)
    if options.parent:
        threading.Thread(target=end_with, args=(options.parent, state),
                         daemon=True).start()
    plain = listen()
    front = plain
    if options.tls:
        front = listen()
        context = certificate(options.tls)
        protocols = ["h2"] if options.h2 else []
        context.set_alpn_protocols(protocols + ["http/1.1"])
        threading.Thread(target=accept, args=(state, front, context),
                         daemon=True).start()
    print("ready %d %d" % (front.getsockname()[1], plain.getsockname()[1]),
          flush=True)
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 1)  # whoever reads the line sees its end
    accept(state, plain, None)


if __name__ == "__main__":
    sys.exit(main())

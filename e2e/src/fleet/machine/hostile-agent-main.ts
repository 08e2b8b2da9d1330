/**
 * What listens where an agent should, on a machine that somebody else has taken over. How it behaves is read from a file at
 * each request, so that one machine can play all of them.
 */
import { chmodSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { createServer, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { create, type DescMessage, toBinary } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import {
  CheckResponseSchema,
  GetEnforcedStateResponseSchema,
  HandshakeResponseSchema,
  ListAuditResponseSchema,
  WatchFlowsResponseSchema,
  WatchStatusResponseSchema,
} from "@wardline/api/wardline/agent/v1/agent";
import { HOSTILE_TEXT } from "../hostile-text.ts";
import { lyingJournal, lyingRecords } from "./lying-records.ts";

const SOCKET_PATH = "/run/wardline/agent.sock";
const MODE_PATH = "/run/hostile-mode";
const MIB = 1024 * 1024;
const OVERSIZED_BYTES = 70 * MIB;
/** With texts of about 2 kB, below what the console refuses as a whole. */
const LIST_LENGTH = 1_100;
const MAX_DEPTH = 3;
const ANSWERS: Readonly<Record<string, DescMessage>> = {
  Handshake: HandshakeResponseSchema,
  WatchStatus: WatchStatusResponseSchema,
  WatchFlows: WatchFlowsResponseSchema,
  GetEnforcedState: GetEnforcedStateResponseSchema,
  ListAudit: ListAuditResponseSchema,
  Check: CheckResponseSchema,
};

/** Every text of the message is {@link HOSTILE_TEXT}, and every list of texts is long. */
function poisoned(schema: DescMessage, depth = 0) {
  const message = create(schema);
  const fields = reflect(schema, message);
  for (const field of schema.fields) {
    if (field.fieldKind === "scalar" && field.scalar === 9) fields.set(field, HOSTILE_TEXT);
    else if (field.fieldKind === "list" && field.listKind === "scalar" && field.scalar === 9) {
      const list = fields.get(field);
      for (let index = 0; index < LIST_LENGTH; index++) list.add(HOSTILE_TEXT);
    } else if (field.fieldKind === "message" && depth < MAX_DEPTH && !field.message.typeName.startsWith("google.")) {
      fields.set(field, reflect(field.message, poisoned(field.message, depth + 1)));
    } else if (field.fieldKind === "list" && field.listKind === "message" && depth < MAX_DEPTH) {
      fields.get(field).add(reflect(field.message, poisoned(field.message, depth + 1)));
    }
  }
  return message;
}

/** A gRPC message: a flag, four bytes of length, and the bytes. */
function framed(body: Uint8Array, claimedLength = body.length): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(claimedLength, 1);
  return Buffer.concat([head, body]);
}

function greeting(): Uint8Array {
  return toBinary(HandshakeResponseSchema, create(HandshakeResponseSchema, { apiMin: 1, apiMax: 1, role: 3 }));
}

function status(sequence: bigint, name = "hostile-1"): Buffer {
  const message = create(WatchStatusResponseSchema, { sequence, status: { info: { name } } });
  return framed(toBinary(WatchStatusResponseSchema, message));
}

function end(stream: ServerHttp2Stream, bytes: Uint8Array): void {
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  stream.end(bytes);
}

/** As fast as it is read, for ever. */
function flood(stream: ServerHttp2Stream, next: () => Uint8Array): void {
  const go = () => {
    while (!stream.destroyed && stream.write(next()));
  };
  stream.on("drain", go);
  go();
}

/** Behaviours that are the same whatever is asked. @returns whether there is one for this mode */
function answerAnything(stream: ServerHttp2Stream, mode: string): boolean {
  if (mode === "endless answer") flood(stream, () => Buffer.alloc(64 * 1024, 0x41));
  else if (mode === "endless message") {
    stream.write(framed(Buffer.alloc(1), 0xffff_fff0));
    flood(stream, () => Buffer.alloc(64 * 1024));
  } else if (mode === "malformed") end(stream, framed(Buffer.from("ff".repeat(400), "hex")));
  else if (mode === "half a message") end(stream, framed(Buffer.alloc(3), 4000));
  else return mode === "silence";
  return true;
}

/** Answers as an agent does, and has a journal of records that lie, and speak of another host. */
function lie(stream: ServerHttp2Stream, method: string): void {
  if (method === "Handshake") end(stream, framed(greeting()));
  else if (method === "WatchStatus") stream.write(status(1n, "bad-1"));
  else if (method === "GetJournal") end(stream, framed(lyingJournal()));
  else if (method === "ReadRecords") for (const each of lyingRecords("web-1")) stream.write(framed(each));
  else if (!method.startsWith("Watch")) end(stream, Buffer.alloc(0));
}

function answer(stream: ServerHttp2Stream, method: string): void {
  const mode = readFileSync(MODE_PATH, "utf8").trim();
  const isWatch = method.startsWith("Watch");
  stream.on("error", () => {});
  stream.respond({ ":status": 200, "content-type": "application/grpc+proto" }, { waitForTrailers: true });
  if (answerAnything(stream, mode)) return;
  if (mode === "lying records") {
    lie(stream, method);
    return;
  }
  const schema = ANSWERS[method];
  if (method === "Handshake" && mode !== "poison") end(stream, framed(greeting()));
  else if (mode === "oversized" && isWatch) stream.write(framed(Buffer.alloc(OVERSIZED_BYTES)));
  else if (mode === "endless statuses" && method === "WatchStatus") {
    let sequence = 0n;
    flood(stream, () => status(++sequence));
  } else if (mode !== "poison" || !schema) end(stream, Buffer.alloc(0));
  else {
    const message = Object.assign(poisoned(schema), { sequence: 1n, apiMin: 1, apiMax: 1, role: 3 });
    const bytes = framed(toBinary(schema, message));
    if (isWatch) stream.write(bytes);
    else end(stream, bytes);
  }
}

mkdirSync("/run/wardline", { recursive: true, mode: 0o755 });
rmSync(SOCKET_PATH, { force: true });
const server = createServer();
server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
  answer(stream, String(headers[":path"]).split("/").at(-1) ?? "");
});
server.on("sessionError", () => {});
server.on("connection", (socket) => {
  if (readFileSync(MODE_PATH, "utf8").trim() !== "no http") return;
  // Bytes that begin no protocol, without end.
  const go = () => {
    while (!socket.destroyed && socket.write(Buffer.alloc(64 * 1024, 0x0a)));
  };
  socket.on("drain", go).on("error", () => {});
  go();
});
server.listen(SOCKET_PATH, () => chmodSync(SOCKET_PATH, 0o666));

import { createSocket } from "node:dgram";
import { isIP } from "node:net";

/** A name server on this machine (RFC 1035), over UDP. */
export interface FakeNameServer {
  /** Address with port. */
  readonly address: string;
  /** Names and types that were asked for, in turn. */
  readonly asked: string[];
  close(): Promise<void>;
}

const TYPES: Readonly<Record<number, "A" | "AAAA">> = { 1: "A", 28: "AAAA" };
const HEADER = 12;

/** @param answers addresses by name; it keeps silent about a name that has none here. */
export async function startFakeNameServer(
  answers: Readonly<Record<string, readonly string[]>>,
): Promise<FakeNameServer> {
  const socket = createSocket("udp4");
  const asked: string[] = [];
  socket.on("message", (query, from) => {
    const { name, end } = readName(query);
    const type = query.readUInt16BE(end);
    asked.push(`${name} ${TYPES[type] ?? type}`);
    const addresses = answers[name]?.filter(
      (address) => TYPES[type] === (isIP(address) === 4 ? "A" : "AAAA"),
    );
    if (addresses === undefined) return;
    const head = Buffer.from(query.subarray(0, HEADER));
    // A response, recursion available, no error; one question, and so many answers.
    head.writeUInt16BE(0x8180, 2);
    head.writeUInt16BE(addresses.length, 6);
    head.writeUInt32BE(0, 8);
    const records = addresses.map((address) => record(type, addressBytes(address)));
    socket.send(Buffer.concat([head, query.subarray(HEADER, end + 4), ...records]), from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  return {
    address: `127.0.0.1:${socket.address().port}`,
    asked,
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}

function readName(query: Buffer): { readonly name: string; readonly end: number } {
  const labels: string[] = [];
  let at = HEADER;
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join("."), end: at + 1 };
}

function record(type: number, data: Buffer): Buffer {
  const head = Buffer.alloc(12);
  // The name is that of the question.
  head.writeUInt16BE(0xc000 | HEADER, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt32BE(60, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split(".").map(Number));
  const [before = "", after = ""] = address.split("::");
  const groups = (text: string): number[] =>
    text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16));
  const [head, tail] = [groups(before), groups(after)];
  const all = [...head, ...Array<number>(8 - head.length - tail.length).fill(0), ...tail];
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 255]));
}

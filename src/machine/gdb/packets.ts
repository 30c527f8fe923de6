/**
 * Packets of the GDB remote serial protocol, as bytes. Facts: "Remote Protocol" in the GDB manual
 * (https://sourceware.org/gdb/current/onlinedocs/gdb.html/Overview.html).
 *
 *     $ data # hh       hh: sum of the bytes of data, modulo 256, in hexadecimal
 *     % data # hh       a notification: never acknowledged
 *     + -               the last packet came well, or is to be sent again
 *     } c               in data: the byte c ^ 0x20
 *     c * n             in data: c and then n - 29 more of it
 *
 * Text is handed around as strings of one byte a character.
 */

import { limits } from "../../base/limits.ts";

/** What a decoder found. Data is unfolded; one that is broken says why. */
export type WireItem =
  | { readonly kind: "packet"; readonly data: string }
  | { readonly kind: "broken"; readonly why: string }
  | { readonly kind: "ack" }
  | { readonly kind: "nack" };

const DOLLAR = 0x24;
const PERCENT = 0x25;
const HASH = 0x23;
const STAR = 0x2a;
const PLUS = 0x2b;
const MINUS = 0x2d;
const BRACE = 0x7d;
const ESCAPE_BIT = 0x20;
/** What is added to a count to make it a character that can be printed. */
const RUN_BIAS = 29;

/** Frame a request whose data is plain: none of the bytes that need an escape. */
export function encodePacket(data: string): Uint8Array {
  const packet = new Uint8Array(data.length + 4);
  packet[0] = DOLLAR;
  for (let at = 0; at < data.length; at++) packet[at + 1] = data.charCodeAt(at);
  return finish(packet);
}

/** Frame a request that ends in binary data. */
export function encodeBinaryPacket(head: string, bytes: Uint8Array): Uint8Array {
  const data: number[] = [];
  for (const byte of bytes) {
    const isSpecial = byte === DOLLAR || byte === HASH || byte === BRACE || byte === STAR;
    if (isSpecial) data.push(BRACE, byte ^ ESCAPE_BIT);
    else data.push(byte);
  }
  const packet = new Uint8Array(head.length + data.length + 4);
  packet[0] = DOLLAR;
  for (let at = 0; at < head.length; at++) packet[at + 1] = head.charCodeAt(at);
  packet.set(data, head.length + 1);
  return finish(packet);
}

/** The checksum of what lies between the first byte and the last three. */
function finish(packet: Uint8Array): Uint8Array {
  let sum = 0;
  for (let at = 1; at < packet.length - 3; at++) sum += packet[at] as number;
  const digits = (sum & 0xff).toString(16).padStart(2, "0");
  packet[packet.length - 3] = HASH;
  packet[packet.length - 2] = digits.charCodeAt(0);
  packet[packet.length - 1] = digits.charCodeAt(1);
  return packet;
}

/** Takes bytes as they come and gives packets as they are whole. */
export class PacketDecoder {
  private chunks: Uint8Array = new Uint8Array(0);
  private at = 0;
  /** Bytes outside of packets since the last packet. */
  private noiseBytes = 0;

  push(bytes: Uint8Array): void {
    const left = this.chunks.length - this.at;
    if (left === 0) {
      this.chunks = bytes;
    } else {
      const joined = new Uint8Array(left + bytes.length);
      joined.set(this.chunks.subarray(this.at), 0);
      joined.set(bytes, left);
      this.chunks = joined;
    }
    this.at = 0;
  }

  /** The next whole item; undefined when more bytes are needed. */
  next(): WireItem | undefined {
    for (; this.at < this.chunks.length; ) {
      const byte = this.chunks[this.at] as number;
      if (byte === DOLLAR || byte === PERCENT) {
        const item = this.takePacket();
        if (item === undefined) return this.checkSize();
        // A notification is news of a kind that we never ask for.
        if (byte === PERCENT) continue;
        this.noiseBytes = 0;
        return item;
      }
      this.at++;
      if (byte === PLUS) return { kind: "ack" };
      if (byte === MINUS) return { kind: "nack" };
      if (++this.noiseBytes > limits.stubNoiseSizeBytesMax) {
        this.noiseBytes = 0;
        return {
          kind: "broken",
          why: `more than ${limits.stubNoiseSizeBytesMax} bytes that are in no packet (stubNoiseSizeBytesMax)`,
        };
      }
    }
    return undefined;
  }

  /** Whether bytes wait that are no whole packet yet. */
  get hasPart(): boolean {
    return this.at < this.chunks.length;
  }

  private checkSize(): WireItem | undefined {
    if (this.chunks.length - this.at <= limits.stubPacketSizeBytesMax) return undefined;
    this.at = this.chunks.length;
    return tooLong();
  }

  private takePacket(): WireItem | undefined {
    const { chunks } = this;
    const start = this.at + 1;
    let sum = 0;
    for (let at = start; at + 2 < chunks.length; at++) {
      const byte = chunks[at] as number;
      if (byte === DOLLAR) {
        // The rest of the former was lost on the way.
        this.at = at;
        return { kind: "broken", why: "a packet that ends in the middle" };
      }
      if (byte !== HASH) {
        sum += byte;
        continue;
      }
      this.at = at + 3;
      const digits = String.fromCharCode(chunks[at + 1] as number, chunks[at + 2] as number);
      const said = /^[0-9a-f]{2}$/i.test(digits) ? Number.parseInt(digits, 16) : undefined;
      if (said === (sum & 0xff)) return unfold(chunks.subarray(start, at));
      return {
        kind: "broken",
        why: `a packet with the checksum ${JSON.stringify(digits)}, where ${(sum & 0xff).toString(16).padStart(2, "0")} is right`,
      };
    }
    return undefined;
  }
}

function unfold(data: Uint8Array): WireItem {
  // Nearly all packets have neither escapes nor runs.
  if (!data.includes(STAR) && !data.includes(BRACE)) {
    return data.length > limits.stubPacketSizeBytesMax
      ? tooLong()
      : { kind: "packet", data: latin1(data) };
  }
  const unfolded: number[] = [];
  for (let at = 0; at < data.length; at++) {
    const byte = data[at] as number;
    if (byte === BRACE) {
      const escaped = data[++at];
      if (escaped === undefined) return { kind: "broken", why: "a packet that ends in an escape" };
      unfolded.push(escaped ^ ESCAPE_BIT);
    } else if (byte === STAR) {
      const last = unfolded.at(-1);
      const count = (data[++at] ?? 0) - RUN_BIAS;
      if (last === undefined || count < 1 || count > 126 - RUN_BIAS) {
        return { kind: "broken", why: "a packet with a run of nothing, or of no length" };
      }
      for (let one = 0; one < count; one++) unfolded.push(last);
    } else {
      unfolded.push(byte);
    }
    if (unfolded.length > limits.stubPacketSizeBytesMax) return tooLong();
  }
  return { kind: "packet", data: latin1(Uint8Array.from(unfolded)) };
}

function tooLong(): WireItem {
  return {
    kind: "broken",
    why: `a packet of more than ${limits.stubPacketSizeBytesMax} bytes (stubPacketSizeBytesMax)`,
  };
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}

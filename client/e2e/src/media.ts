// Small media of any number: images of one colour, and an audio file.

import { crc32, deflateSync } from "node:zlib";

/** A PNG of one colour; the same seed gives the same bytes. */
export function png(seed: number, { width = 64, height = 40 } = {}): Buffer {
  const colour = [(seed * 67) % 256, (seed * 131) % 256, (seed * 29 + 90) % 256];
  const row = Buffer.concat([Buffer.from([0]), Buffer.from(Array(width).fill(colour).flat())]);
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  // Makes two images of one colour differ.
  const text = Buffer.from(`Comment\0${seed}`);
  return Buffer.concat([
    Buffer.from("\x89PNG\r\n\x1a\n", "latin1"),
    chunk("IHDR", header),
    chunk("tEXt", text),
    chunk("IDAT", deflateSync(Buffer.concat(Array(height).fill(row)))),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

/** A PNG of at least this many bytes. */
export function bigPng(seed: number, bytes: number): Buffer {
  const small = png(seed);
  const end = small.length - 12;
  const filler = Buffer.alloc(bytes, `${seed} `);
  return Buffer.concat([small.subarray(0, end), chunk("jaMf", filler), small.subarray(end)]);
}

/** A second of a tone as a WAV. */
export function wav(seconds = 1): Buffer {
  const rate = 8000;
  const samples = Buffer.alloc(rate * seconds * 2);
  for (let at = 0; at < rate * seconds; at++) {
    samples.writeInt16LE(Math.round(9000 * Math.sin((2 * Math.PI * 330 * at) / rate)), at * 2);
  }
  const header = Buffer.alloc(44);
  header.write("RIFF", 0);
  header.writeUInt32LE(36 + samples.length, 4);
  header.write("WAVEfmt ", 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(rate, 24);
  header.writeUInt32LE(rate * 2, 28);
  header.writeUInt16LE(2, 32);
  header.writeUInt16LE(16, 34);
  header.write("data", 36);
  header.writeUInt32LE(samples.length, 40);
  return Buffer.concat([header, samples]);
}

/** Bytes as a file of the web platform. */
export function file(name: string, bytes: Buffer): File {
  return new File([new Uint8Array(bytes)], name);
}

/** Images by number. */
export function images(count: number, from = 0): File[] {
  return Array.from({ length: count }, (_, index) => file(`image-${from + index}.png`, png(from + index)));
}

function chunk(kind: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(kind, "latin1"), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE(crc32(body), body.length + 4);
  return out;
}

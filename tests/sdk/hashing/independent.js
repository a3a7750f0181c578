// An implementation of medproof.hashing that shares nothing with it: reads the inputs in hashing.json, prints
// the file with the results filled in. `node tests/sdk/hashing/independent.js tests/vectors/hashing.json`
const { createHmac } = require("crypto");
const { readFileSync } = require("fs");

const MASK = (1n << 64n) - 1n;
const rotl = (x, n) => (n === 0n ? x : ((x << n) | (x >> (64n - n))) & MASK);

function keccakF(a) {
  let lfsr = 1;
  for (let round = 0; round < 24; round++) {
    const c = [0, 1, 2, 3, 4].map((x) => a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20]);
    for (let i = 0; i < 25; i++) a[i] ^= c[(i + 4) % 5] ^ rotl(c[(i + 1) % 5], 1n);
    let [x, y, lane] = [1, 0, a[1]];
    for (let t = 0; t < 24; t++) {
      [x, y] = [y, (2 * x + 3 * y) % 5];
      const next = a[x + 5 * y];
      a[x + 5 * y] = rotl(lane, BigInt((((t + 1) * (t + 2)) / 2) % 64));
      lane = next;
    }
    for (let row = 0; row < 25; row += 5) {
      const r = a.slice(row, row + 5);
      for (let i = 0; i < 5; i++) a[row + i] = r[i] ^ (~r[(i + 1) % 5] & MASK & r[(i + 2) % 5]);
    }
    for (let j = 0; j < 7; j++) {
      if (lfsr & 1) a[0] ^= 1n << BigInt((1 << j) - 1);
      lfsr = (lfsr << 1) ^ (lfsr & 0x80 ? 0x171 : 0);
    }
  }
}

function keccak256(data) {
  const padded = Buffer.alloc(Math.ceil((data.length + 1) / 136) * 136);
  data.copy(padded);
  padded[data.length] |= 0x01;
  padded[padded.length - 1] |= 0x80;
  const state = Array(25).fill(0n);
  for (let block = 0; block < padded.length; block += 136) {
    for (let i = 0; i < 17; i++) state[i] ^= padded.readBigUInt64LE(block + 8 * i);
    keccakF(state);
  }
  const out = Buffer.alloc(32);
  for (let i = 0; i < 4; i++) out.writeBigUInt64LE(state[i], 8 * i);
  return out;
}

// Numbers keep their text: each becomes a string with a private mark before JSON.parse sees it.
const MARK = "\uE000";
const TOKEN = /"(?:[^"\\]|\\.)*"|-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/g;
const parse = (text) => JSON.parse(text.replace(TOKEN, (t) => (t[0] === '"' ? t : `"${MARK}${t}"`)));

function number(literal) {
  const [, sign, whole, fraction = "", power] = /^(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/.exec(literal);
  if (!literal.match(/[.eE]/)) return BigInt(literal).toString();
  const digits = (whole + fraction).replace(/^0+(?=.)/, "");
  const exponent = Number(power ?? 0) - fraction.length;
  const adjusted = exponent + digits.length - 1;
  if (exponent <= 0 && adjusted >= -6) {
    if (exponent === 0) return sign + digits;
    const wide = digits.padStart(1 - exponent, "0");
    return `${sign}${wide.slice(0, exponent)}.${wide.slice(exponent)}`;
  }
  const tail = digits.length > 1 ? `.${digits.slice(1)}` : "";
  return `${sign}${digits[0]}${tail}E${adjusted < 0 ? "" : "+"}${adjusted}`;
}

function canonical(value) {
  if (typeof value === "string") return value[0] === MARK ? number(value.slice(1)) : JSON.stringify(value);
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  const members = Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`);
  return `{${members.join(",")}}`;
}

const tagged = (tag, salt, data) =>
  keccak256(Buffer.concat([keccak256(Buffer.from(tag)), Buffer.from(salt, "hex"), data])).toString("hex");

const uint64 = (n) => {
  const out = Buffer.alloc(8);
  out.writeBigUInt64BE(BigInt(n));
  return out;
};
const encodeParts = (parts) =>
  Buffer.concat([uint64(parts.length), ...parts.map(Buffer.from).flatMap((p) => [uint64(p.length), p])]);

const vectors = JSON.parse(readFileSync(process.argv[2], "utf8"));
for (const one of vectors.records) {
  one.canonical = canonical(parse(one.json));
  one.commitment = tagged("medproof:record:v1", one.salt, Buffer.from(one.canonical));
}
for (const one of vectors.bytes) {
  one.commitment = tagged("medproof:bytes:v1", one.salt, Buffer.from(one.data, "hex"));
}
for (const one of vectors.identifiers) {
  one.identifier = createHmac("sha256", Buffer.from(one.key, "hex"))
    .update(encodeParts(["medproof:keyed:v1", one.purpose, ...one.parts]))
    .digest("hex");
}
console.log(JSON.stringify(vectors, null, 2));

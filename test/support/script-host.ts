/**
 * A world for scripts under test: a run that collects what is put out, and firings with arguments
 * and memory of the test's own making.
 */

import type { Firing, Run, StackFrame, SymbolPlace } from "../../src/script/interpret/host.ts";
import type { OutputEvent } from "../../src/script/interpret/output-event.ts";

export class FakeRun implements Run {
  readonly events: OutputEvent[] = [];
  readonly exitCodes: number[] = [];
  readonly commands: string[] = [];
  readonly files: Map<string, string> = new Map();
  /** Each look at a clock moves all of them on. */
  now = 1_000_000n;
  stepNs = 10n;

  emit(event: OutputEvent): void {
    this.events.push(event);
  }
  nowNs(clock: "monotonic" | "boot" | "tai" | "wall"): bigint {
    this.now += this.stepNs;
    return clock === "wall" ? this.now + 1_000_000_000_000n : this.now;
  }
  random(): number {
    return 4;
  }
  exit(code: number): void {
    this.exitCodes.push(code);
  }
  unwatch(): void {}
  system(command: string): void {
    this.commands.push(command);
  }
  readFile(path: string, sizeBytesMax: number): { text: string } | { why: string } {
    const text = this.files.get(path);
    return text === undefined ? { why: "no such file" } : { text: text.slice(0, sizeBytesMax) };
  }
  userName(id: number): string {
    return `user${id}`;
  }
  cgroupPath(id: bigint, filter: string): string {
    return `/${filter}/${id}`;
  }
  cgroupId(path: string): bigint {
    return BigInt(path.length);
  }
  syscallName(number: bigint): string | undefined {
    return number === 0n ? "read" : undefined;
  }
  formatTime(format: string, wallNs: bigint): string {
    return `${format}@${wallNs}`;
  }
  /** All that was printed as text, other events left out. */
  get text(): string {
    return this.events.map((event) => ("text" in event ? event.text : "")).join("");
  }
}

export class FakeFiring implements Firing {
  args: bigint[] = [1n, 2n, 3n];
  fields: bigint[] = [];
  result = 7n;
  pid = 100;
  tid = 101;
  name = "fake";
  /** Strings by address; integers by address too. */
  readonly strings: Map<bigint, string> = new Map();
  readonly memory: Map<bigint, Uint8Array> = new Map();
  readonly numbers: Map<string, bigint> = new Map();
  readonly written: { address: bigint; bytes: Uint8Array }[] = [];
  readonly signals: { signal: number; toThread: boolean }[] = [];
  frames: StackFrame[] = [];
  /** What was read, in order. */
  readonly reads: string[] = [];

  arg(index: number): bigint {
    this.reads.push(`arg${index}`);
    return this.args[index] ?? 0n;
  }
  returnValue(): bigint {
    return this.result;
  }
  register(name: string): bigint | undefined {
    return name === "ip" ? 0x1000n : undefined;
  }
  argumentField(index: number): bigint {
    return this.fields[index] ?? 0n;
  }
  processId(): number {
    return this.pid;
  }
  threadId(): number {
    return this.tid;
  }
  comm(): string {
    return this.name;
  }
  cpu(): number {
    return 3;
  }
  number(name: string): bigint {
    return this.numbers.get(name) ?? 0n;
  }
  text(name: string): string {
    return `<${name}>`;
  }
  functionName(): string {
    return "main";
  }
  probeName(): string {
    return "uprobe:/bin/x:main";
  }
  readUnsigned(address: bigint, sizeBytes: number): bigint | undefined {
    this.reads.push(`${sizeBytes}@${address.toString(16)}`);
    const bytes = this.readBytes(address, sizeBytes);
    if (bytes === undefined) return undefined;
    return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  }
  readBytes(address: bigint, sizeBytes: number): Uint8Array | undefined {
    for (const [start, bytes] of this.memory) {
      const offset = Number(address - start);
      if (offset >= 0 && offset + sizeBytes <= bytes.length) {
        return bytes.slice(offset, offset + sizeBytes);
      }
    }
    return undefined;
  }
  readString(address: bigint, sizeBytesMax: number): string | undefined {
    this.reads.push(`str@${address.toString(16)}`);
    return this.strings.get(address)?.slice(0, sizeBytesMax);
  }
  stack(): readonly StackFrame[] {
    return this.frames;
  }
  symbol(address: bigint): SymbolPlace {
    return { name: address === 0x1000n ? "malloc" : undefined, offset: 0, module: "libc" };
  }
  path(): string | undefined {
    return "/a/path";
  }
  write(address: bigint, bytes: Uint8Array): boolean {
    this.written.push({ address, bytes });
    for (const [start, held] of this.memory) {
      const offset = Number(address - start);
      if (offset >= 0 && offset + bytes.length <= held.length) held.set(bytes, offset);
    }
    return true;
  }
  signal(signal: number, toThread: boolean): boolean {
    this.signals.push({ signal, toThread });
    return true;
  }
  overrideReturn(): boolean {
    return true;
  }
}

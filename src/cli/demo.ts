/**
 * `trapline demo`: a tour on programs of this machine. Every scene is a command that anybody can
 * type again.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createPaint, type Paint } from "../report/text.ts";
import { findModuleFile } from "../session/program-search.ts";
import { writeAll } from "../session/worker/line-writer.ts";
import { parseArguments } from "./arguments.ts";
import { ExitCode } from "./exit-codes.ts";
import { isColoured } from "./output.ts";
import { DEMO_SPEC } from "./specs.ts";

/** Run the tour; 1 when a scene failed. */
export async function runDemo(argv: readonly string[]): Promise<number> {
  const parsed = parseArguments(DEMO_SPEC, argv);
  const color = parsed.findChoice("color", ["auto", "always", "never"]);
  const hasColour = isColoured(1, color, process.env);
  const folder = mkdtempSync(join(tmpdir(), "trapline-demo-"));
  const stage = new Stage(createPaint({ isColoured: hasColour }), hasColour, folder);
  try {
    for (const scene of SCENES) await scene(stage);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  stage.print("\nMore: trapline --help, trapline trace --help, trapline run --help\n");
  return stage.failures === 0 ? ExitCode.Ok : ExitCode.Failed;
}

type Scene = (stage: Stage) => Promise<void>;

const SCENES: readonly Scene[] = [showTrace, showCount, showRun, showAttach, showCheck];

/** How long a command of the tour may take. */
const SCENE_TIMEOUT_MS = 20_000;

const CLOCK_SOURCE = `import type { Session } from "trapline";

// What clock_gettime has filled in is changed as it returns: this program lives in the year 2000.
export default function (session: Session) {
  const probe = session.kretprobe("libc:clock_gettime", {
    entry(hit, call) { call.data = hit.arg(1); },
    handler(hit, call) { hit.memory.writeU64(call.data as bigint, 946_684_800n); },
  });
  return () => console.log(probe.hits, "call(s) of clock_gettime were changed");
}
`;

/** A server that asks itself, and counts what it has answered. */
const SERVER_SOURCE = `
const http = require("node:http");
let served = 0;
const server = http.createServer((_, response) => { served++; response.end("hello"); });
server.listen(0, "127.0.0.1", () => {
  const ask = () => http.get(server.address(), (answer) => { answer.resume(); answer.on("end", () => setTimeout(ask, 2)); });
  ask();
  process.stdin.on("data", () => console.log(served));
  console.log("ready");
});`;

async function showTrace(stage: Stage): Promise<void> {
  if (!stage.has("ls")) return;
  stage.heading(
    "What does a program ask of libc? Arguments, results and times, indented by nesting.",
  );
  const patterns = [
    "libc:opendir",
    "libc:readdir*",
    "libc:getpwuid",
    "libc:fopen*",
    "libc:closedir",
  ];
  await stage.trapline(["trace", "--limit", "20", ...patterns, "--", "ls", "-l", "/usr"]);
}

async function showCount(stage: Stage): Promise<void> {
  if (!stage.has("bash")) return;
  stage.heading("Where do the calls go? Counted and timed, in a shell at work.");
  const script = 'for i in $(seq 200); do x="$x$i"; done; echo ${#x}';
  const patterns = ["libc:malloc", "libc:free", "libc:strlen", "libc:mem*"];
  await stage.trapline(["trace", "--count", ...patterns, "--", "bash", "-c", script]);
}

async function showRun(stage: Stage): Promise<void> {
  if (!stage.has("date")) return;
  stage.heading("Handlers in TypeScript can change what a program sees.");
  const path = join(stage.folder, "clock.ts");
  writeFileSync(path, CLOCK_SOURCE);
  stage.print(CLOCK_SOURCE.replace(/^/gm, "  ").trimEnd().concat("\n\n"));
  await stage.trapline(["run", path, "--", "date", "-u"]);
}

async function showAttach(stage: Stage): Promise<void> {
  stage.heading("A running server (node), looked at for a second. It serves on.");
  const server = spawn(process.execPath, ["-e", SERVER_SOURCE], {
    stdio: ["pipe", "pipe", "ignore"],
  });
  try {
    await readLine(server);
    const before = await askServed(server);
    const patterns = ["libc:accept4", "libc:write*", "libc:read"];
    await stage.trapline([
      "trace",
      "--count",
      "--duration",
      "1",
      "-p",
      String(server.pid),
      ...patterns,
    ]);
    const during = await askServed(server);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const after = await askServed(server);
    stage.print(
      `  requests served: ${before} before, ${during} at detach, ${after} a moment later\n`,
    );
  } finally {
    server.kill();
  }
}

async function showCheck(stage: Stage): Promise<void> {
  stage.heading("Any instruction can be probed. How would it be executed?");
  await stage.trapline(["check", "libc:malloc", "libc:malloc+4"]);
}

/** Where scenes are played. */
class Stage {
  readonly folder: string;
  failures = 0;
  readonly #paint: Paint;
  readonly #hasColour: boolean;
  #sceneCount = 0;

  constructor(paint: Paint, hasColour: boolean, folder: string) {
    this.#paint = paint;
    this.#hasColour = hasColour;
    this.folder = folder;
  }

  has(program: string): boolean {
    return findModuleFile(program, process.env)?.kind === "program";
  }

  print(text: string): void {
    writeAll(1, text);
  }

  heading(text: string): void {
    this.#sceneCount++;
    this.print(`\n${this.#paint("heading", `${this.#sceneCount}. ${text}`)}\n\n`);
  }

  /** Show and run a command of our own. */
  async trapline(args: readonly string[]): Promise<void> {
    this.print(`${this.#paint("name", `$ trapline ${args.map(quoteWord).join(" ")}`)}\n`);
    const extension = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
    const main = fileURLToPath(new URL(`./main${extension}`, import.meta.url));
    const child = spawn(process.execPath, [...process.execArgv, main, ...args], {
      stdio: ["ignore", "inherit", "inherit"],
      env: { ...process.env, FORCE_COLOR: this.#hasColour ? "1" : "0" },
    });
    const timer = setTimeout(() => child.kill("SIGTERM"), SCENE_TIMEOUT_MS);
    const code = await new Promise<number | null>((resolve) => {
      child.on("exit", resolve);
      child.on("error", () => resolve(null));
    });
    clearTimeout(timer);
    if (code === 0) return;
    this.failures++;
    this.print(`  (this ended with ${code ?? "a signal"})\n`);
  }
}

function quoteWord(word: string): string {
  return /^[\w./:=+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

async function askServed(server: ChildProcess): Promise<string> {
  server.stdin?.write("?\n");
  return await readLine(server);
}

function readLine(server: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    server.once("exit", () => resolve("no more"));
    server.stdout?.once("data", (chunk: unknown) => resolve(String(chunk).trim()));
  });
}

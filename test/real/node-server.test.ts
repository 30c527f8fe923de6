/** node itself: a running server is attached to, probed, let go, and serves on. */

import assert from "node:assert/strict";
import { get } from "node:http";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { attach } from "../../src/index.ts";
import { findTextChanges, readTracerPid } from "./support/text.ts";
import { Running } from "./support/tools.ts";

const SERVER = fileURLToPath(new URL("./programs/server.mjs", import.meta.url));
const REQUESTS = 40;

/** One request on a connection of its own. Gives the answer. */
function ask(port: number, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get({ host: "127.0.0.1", port, path, agent: false }, (response) => {
      let text = "";
      response.on("data", (chunk: unknown) => {
        text += String(chunk);
      });
      response.on("end", () => resolve(text));
    }).on("error", reject);
  });
}

async function askAll(port: number): Promise<void> {
  for (let index = 0; index < REQUESTS; index++) {
    assert.equal(await ask(port, `/abc${index}`), [...`/abc${index}`].reverse().join(""));
  }
}

test("a node server is attached to, probed, let go, and serves on", async () => {
  using server = await Running.start([process.execPath, SERVER], "port");
  const port = Number(/port (\d+)/.exec(server.stdout)?.[1]);
  await askAll(port);

  using session = attach(server.pid);
  const names = session.symbols("uv__*").map((symbol) => symbol.name);
  assert.ok(names.includes("uv__server_io") && names.includes("uv__stream_io"), names.join(" "));
  const accepted = session.kprobe("uv_accept", { pre() {} });
  const streamed = session.kprobe("uv__stream_io", { pre() {} });
  let fds = 0;
  const calls = session.kretprobe("uv__accept", {
    handler(hit) {
      if (BigInt.asIntN(32, hit.returnValue) >= 0) fds++;
    },
  });
  const ended = session.run();
  await askAll(port);
  assert.equal(accepted.hits, REQUESTS);
  assert.equal(fds, REQUESTS);
  // The last call of a round finds nobody waiting.
  assert.ok(calls.hits >= REQUESTS);
  assert.ok(streamed.hits >= REQUESTS);
  session.detach();
  assert.deepEqual(await ended, { kind: "detached" });

  assert.equal(readTracerPid(server.pid), 0);
  assert.deepEqual(findTextChanges(server.pid), []);
  await askAll(port);
  assert.equal(accepted.hits, REQUESTS);
});

test("C++ functions of V8 and node are found by their demangled names and probed", async () => {
  using server = await Running.start([process.execPath, SERVER], "port");
  const port = Number(/port (\d+)/.exec(server.stdout)?.[1]);
  using session = attach(server.pid);
  // A class's methods: every new connection makes one TCPWrap.
  const found = session.symbols("node::TCPWrap::TCPWrap(*)");
  assert.ok(found.length > 0);
  const probe = session.kprobe("node::TCPWrap::Instantiate(*)", { pre() {} });
  const ended = session.run();
  await askAll(port);
  session.detach();
  await ended;
  assert.equal(probe.hits, REQUESTS);
  assert.deepEqual(findTextChanges(server.pid), []);
  await askAll(port);
});
